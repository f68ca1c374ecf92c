//! What reading each bomb of `tests/bombs` takes, as the table of `docs/security.md`.
//!
//! ```text
//! cargo run -p tintype-transcode --example bombs
//! ```
#![expect(clippy::print_stdout, reason = "a program whose output is a table")]
#![expect(clippy::unwrap_used, reason = "the bombs are shared with tests")]

#[path = "../tests/it/allocator.rs"]
mod allocator;
#[path = "../tests/it/container.rs"]
#[expect(dead_code, reason = "tests use more of it")]
mod container;
#[path = "../tests/bombs/families/mod.rs"]
mod families;
#[path = "../tests/it/fixtures.rs"]
#[expect(dead_code, reason = "tests use more of it")]
mod fixtures;
#[path = "../tests/bombs/measure.rs"]
mod measure;

fn main() {
    println!("| bomb | bytes | answer | memory | CPU |\n|---|---|---|---|---|");
    for family in families::all() {
        let measured = measure::measured(&family);
        let code = measured.rejection.as_ref().map(|(code, _)| *code);
        assert_eq!(code, family.refused, "{}", family.name);
        assert!(measured.peak <= family.memory, "{}", family.name);
        let answer = measured
            .rejection
            .map_or("shown".to_owned(), |(code, _)| format!("`{code}`"));
        println!(
            "| {} | {} | {answer} | {:.1} MiB | {:.1} ms |",
            family.name,
            measured.size,
            measured.peak as f64 / f64::from(1 << 20),
            measured.cpu.as_secs_f64() * 1e3
        );
    }
}
