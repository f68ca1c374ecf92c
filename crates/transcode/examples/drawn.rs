//! Bytes and scores of drawn pictures by format, and what attempts cost, as tables of `docs/performance.md`.
//!
//! ```text
//! cargo run -p tintype-transcode --example drawn              of generated ones
//! cargo run -p tintype-transcode --example drawn -- FILE...   of files
//! ```
#![expect(clippy::print_stdout, reason = "a program whose output is a table")]
#![expect(clippy::unwrap_used, reason = "the drawings are shared with tests")]

#[path = "../tests/it/drawings.rs"]
mod drawings;

use std::error::Error;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tintype_model::{Format, Limits, Recipe, Rendered, RenderedFile};
use tintype_transcode::render_timed;

const ROUNDS: usize = 5;
const FORMATS: [Format; 3] = [Format::Avif, Format::Webp, Format::Jpeg];

fn main() -> Result<(), Box<dyn Error>> {
    let files: Vec<String> = std::env::args().skip(1).collect();
    let mut sources = Vec::new();
    for file in &files {
        let name = file.rsplit('/').next().unwrap_or_default();
        sources.push((name.to_owned(), std::fs::read(file)?));
    }
    if files.is_empty() {
        let all = drawings::all().into_iter();
        sources = all
            .map(|drawing| (drawing.name.to_owned(), drawing.source))
            .collect();
    }
    println!(
        "| drawing | size | upload | AVIF | score | WebP | score | JPEG | score | CPU | attempts, of the rest |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for (name, source) in sources {
        rows(&name, &source)?;
    }
    Ok(())
}

/// One row for the full size, and one for the variant of 800 by 600 pixels.
fn rows(name: &str, source: &[u8]) -> Result<(), Box<dyn Error>> {
    let mut recipe = Recipe::default();
    recipe.variants.truncate(2);
    let made = render(source, &recipe)?;
    recipe.scores = true;
    let scored = render(source, &recipe)?;
    recipe.scores = false;
    // Beside JPEG alone nothing else is tried for WebP.
    for variant in &mut recipe.variants {
        variant.formats.retain(|&format| format != Format::Avif);
    }
    let first = render(source, &recipe)?;
    for variant in recipe.variants.iter().map(|variant| variant.name.as_str()) {
        let mut all = Duration::ZERO;
        let mut cells = Vec::new();
        for format in FORMATS {
            let file = file(&made, variant, format)?;
            all += file.cpu.unwrap_or_default();
            let lossless = if file.encoding.is_lossless {
                " lossless"
            } else {
                ""
            };
            cells.push(format!("{}{lossless}", file.bytes.len()));
            let score = self::file(&scored, variant, format)?.encoding.score;
            cells.push(format!("{:.1}", score.unwrap_or_default()));
        }
        let [with, without] = [&made, &first].map(|rendered| file(rendered, variant, Format::Webp));
        let (with, without) = (with?, without?);
        let attempt = with
            .cpu
            .unwrap_or_default()
            .saturating_sub(without.cpu.unwrap_or_default());
        let size = with.dimensions;
        println!(
            "| {name} | {} × {} | {} | {} | {} ms | {:.0} % |",
            size.width,
            size.height,
            source.len(),
            cells.join(" | "),
            all.as_millis(),
            100.0 * attempt.as_secs_f64() / all.saturating_sub(attempt).as_secs_f64(),
        );
    }
    Ok(())
}

/// Gives the least CPU time of each file in [`ROUNDS`].
fn render(source: &[u8], recipe: &Recipe) -> Result<Rendered, Box<dyn Error>> {
    let limits = Limits {
        max_pixels: 200_000_000,
        ..Limits::default()
    };
    let mut least = render_timed(source, recipe, &limits, 1, &clock)?;
    for _ in 1..ROUNDS {
        let again = render_timed(source, recipe, &limits, 1, &clock)?;
        for (file, again) in least.files.iter_mut().zip(again.files) {
            file.cpu = file.cpu.min(again.cpu);
        }
    }
    Ok(least)
}

fn file<'a>(rendered: &'a Rendered, variant: &str, format: Format) -> Result<&'a RenderedFile, &'static str> {
    let mut files = rendered.files.iter();
    let found = files.find(|file| file.variant == variant && file.format == format);
    found.ok_or("a file is missing")
}

fn clock() -> Option<Duration> {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).ok()
}
