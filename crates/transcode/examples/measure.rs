use std::time::Instant;
use tintype_model::{Limits, Recipe, Format};
use tintype_transcode::{render, stages::Pixels};
fn main() {
    let path = std::env::args().nth(1).unwrap();
    let threads: usize = std::env::args().nth(2).unwrap().parse().unwrap();
    let out = std::env::args().nth(3);
    let source = std::fs::read(&path).unwrap();
    let limits = Limits::default();
    let recipe = Recipe::default();
    let t = Instant::now();
    let p = Pixels::decode(&source, &limits, threads).unwrap();
    println!("decode+color+orient {:?}", t.elapsed());
    let t = Instant::now();
    let m = p.resize(&recipe.variants[1], threads).unwrap();
    println!("resize medium {:?}", t.elapsed());
    let t = Instant::now();
    let s = p.resize(&recipe.variants[2], threads).unwrap();
    println!("resize thumb {:?}", t.elapsed());
    for (name, px) in [("full", &p), ("medium", &m), ("thumb", &s)] {
        for f in Format::ALL {
            let t = Instant::now();
            let b = px.encode(f, if f==Format::Avif {60} else {80}).unwrap();
            println!("{name} {} {:?} {} bytes", f.name(), t.elapsed(), b.len());
        }
    }
    drop((p, m, s));
    for _ in 0..3 {
    let t = Instant::now();
    let r = render(&source, &recipe, &limits, threads).unwrap();
    println!("render {:?}", t.elapsed());
    if let Some(out) = &out { for f in &r.files { std::fs::write(format!("{out}/{}.{}", f.variant, f.format.extension()), &f.bytes).unwrap(); } }
    }
    println!("{}", std::fs::read_to_string("/proc/self/status").unwrap().lines().find(|l| l.starts_with("VmHWM")).unwrap());
}
