//! The engine on a generated 12-megapixel picture: decoding, resizing, each encoder, and all of it.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use tintype_model::{Dimensions, Format, Limits, Quality, Recipe};
use tintype_transcode::stages::Pixels;
use tintype_transcode::{probe, render};

const WIDTH: u32 = 4000;
const HEIGHT: u32 = 3000;

/// Soft gradients, texture and noise, so that encoders have about as much to do as with a photo.
fn photo() -> Pixels {
    let mut random = 1u32;
    let mut data = Vec::new();
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = (random >> 24) % 7;
            let wave = triangle(x, 74) * triangle(y, 46) / 20;
            for base in [y / 20, x / 25, (x + y) / 40] {
                data.push(u8::try_from(base + wave + noise).unwrap_or(255));
            }
        }
    }
    let size = Dimensions {
        width: WIDTH,
        height: HEIGHT,
    };
    Pixels::from_rgb(size, data).expect("three bytes for each pixel")
}

/// Rises and falls between 0 and half the period.
const fn triangle(at: u32, period: u32) -> u32 {
    (at % period).abs_diff(period / 2)
}

fn quality(format: Format) -> u8 {
    match Quality::default_for(format) {
        Quality::Fixed(quality) => quality,
        Quality::Lossless => 100,
        Quality::Auto { target } => target,
    }
}

fn engine(criterion: &mut Criterion) {
    let (limits, recipe) = (Limits::default(), Recipe::default());
    let full = photo();
    let source = full.encode(Format::Jpeg, 92).expect("a JPEG");
    let medium = full.resize(&recipe.variants[1], 1).expect("a smaller picture");

    let mut group = criterion.benchmark_group("12 MP");
    group.sample_size(10).measurement_time(Duration::from_secs(8));
    group.bench_function("probe", |bench| bench.iter(|| probe(black_box(&source), &limits)));
    group.bench_function("decode JPEG", |bench| {
        bench.iter(|| Pixels::decode(black_box(&source), &limits, 1));
    });
    for variant in &recipe.variants[1..] {
        group.bench_function(format!("resize to {}", variant.name), |bench| {
            bench.iter(|| black_box(&full).resize(variant, 1));
        });
    }
    for format in Format::ALL {
        group.bench_function(format!("encode {}", format.name()), |bench| {
            bench.iter(|| black_box(&full).encode(format, quality(format)));
        });
    }
    for threads in [1, 2] {
        group.bench_function(format!("render the default recipe, {threads} threads"), |bench| {
            bench.iter(|| render(black_box(&source), &recipe, &limits, threads));
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("800x600");
    group.sample_size(10);
    for format in Format::ALL {
        group.bench_function(format!("encode {}", format.name()), |bench| {
            bench.iter(|| black_box(&medium).encode(format, quality(format)));
        });
    }
    group.finish();
}

criterion_group!(benches, engine);
criterion_main!(benches);
