//! Measurements on a folder of pictures, on which `quality = "auto"` and the handling of drawings are built.
//!
//! ```text
//! cargo run -p tintype-transcode --example quality -- curves  FILE...   scores by quality, format and size
//! cargo run -p tintype-transcode --example quality -- defaults FILE...  scores at equal bytes: what defaults are chosen by
//! cargo run -p tintype-transcode --example quality -- content FILE...   photograph or drawing, and why
//! cargo run -p tintype-transcode --example quality -- drawings FILE...  as photographs against as they are
//! cargo run -p tintype-transcode --example quality -- auto    FILE...   cost and result of "auto" against fixed
//! ```
#![expect(clippy::print_stdout, reason = "a program whose output is a table")]

use std::path::Path;

use tintype_model::{Format, Limits, Quality, Recipe, Rendered, Variant};
use tintype_transcode::render;
use tintype_transcode::stages::Pixels;

const LOSSY: [Format; 3] = [Format::Avif, Format::Webp, Format::Jpeg];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((command, files)) = arguments.split_first() else {
        return Err("curves, defaults, content, drawings or auto, then files".into());
    };
    let mut measured = Vec::new();
    for file in files {
        let source = std::fs::read(file)?;
        let name = Path::new(file).file_name().unwrap_or_default().to_string_lossy();
        match command.as_str() {
            "curves" => curves(&name, &source)?,
            "defaults" => measured.extend(defaults(&name, &source)?),
            "content" => content(&name, &source)?,
            "drawings" => drawings(&name, &source)?,
            "auto" => auto(&name, &source)?,
            other => return Err(format!("unknown command {other:?}").into()),
        }
    }
    print_medians(&measured);
    Ok(())
}

fn curves(name: &str, source: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
    let original = Pixels::decode(source, &Limits::default(), 2)?;
    for variant in Recipe::default().variants {
        let is_whole = variant.width.is_none();
        let pixels = original.resize(&variant, 2)?;
        for format in LOSSY {
            let qualities: &[u8] = match (is_whole, format) {
                (true, Format::Avif) => &[50, 65, 80],
                (true, _) => &[60, 80, 90],
                (false, _) => &[1, 10, 20, 30, 40, 50, 60, 65, 70, 75, 80, 85, 90, 95, 100],
            };
            for &quality in qualities {
                let measured = pixels.measure(format, quality)?;
                println!(
                    "{name}\t{}\t{}\t{quality}\t{}\t{:.2}\t{:.2}\t{:.2}",
                    variant.name,
                    format.name(),
                    measured.bytes,
                    measured.sample,
                    measured.in_place,
                    measured.whole,
                );
            }
        }
    }
    Ok(())
}

/// One encode of one variant of a photograph.
struct Encoded {
    variant: String,
    format: Format,
    quality: u8,
    /// Its bytes as a share of those of the WebP at its default quality.
    share: f64,
    score: f64,
}

fn defaults(name: &str, source: &[u8]) -> Result<Vec<Encoded>, Box<dyn std::error::Error>> {
    let mut measured = Vec::new();
    let original = Pixels::decode(source, &Limits::default(), 2)?;
    for variant in Recipe::default().variants {
        let pixels = original.resize(&variant, 2)?;
        let is_whole = variant.width.is_none();
        let avif: &[u8] = if is_whole {
            &[65, 71, 73, 75]
        } else {
            &[65, 75, 80, 82]
        };
        let jpeg: &[u8] = if is_whole {
            &[65, 68, 70, 75, 80]
        } else {
            &[75, 78, 80, 85]
        };
        let qualities = [(Format::Avif, avif), (Format::Webp, &[80]), (Format::Jpeg, jpeg)];
        let each = |(format, qualities): (Format, &[u8])| {
            qualities
                .iter()
                .map(move |&quality| (format, quality))
                .collect::<Vec<_>>()
        };
        let wanted: Vec<_> = qualities.into_iter().flat_map(each).collect();
        let scores = pixels.scores(&wanted)?;
        let webp = wanted.iter().position(|&(format, _)| format == Format::Webp);
        let of_webp = webp
            .and_then(|at| scores.get(at))
            .map_or(f64::NAN, |&(bytes, _)| bytes as f64);
        for (&(format, quality), &(bytes, score)) in wanted.iter().zip(&scores) {
            println!(
                "{name}\t{}\t{}\t{quality}\t{bytes}\t{score:.2}",
                variant.name,
                format.name()
            );
            measured.push(Encoded {
                variant: variant.name.clone(),
                format,
                quality,
                share: bytes as f64 / of_webp,
                score,
            });
        }
    }
    Ok(measured)
}

/// Prints the median score, and the median of the bytes as a share of WebP's, of each variant, format and quality.
fn print_medians(measured: &[Encoded]) {
    let mut groups: Vec<(&str, Format, u8)> = Vec::new();
    for encoded in measured {
        let group = (encoded.variant.as_str(), encoded.format, encoded.quality);
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    for (variant, format, quality) in groups {
        let of_group: Vec<&Encoded> = measured
            .iter()
            .filter(|encoded| {
                (encoded.variant.as_str(), encoded.format, encoded.quality) == (variant, format, quality)
            })
            .collect();
        let score = median(of_group.iter().map(|encoded| encoded.score));
        let share = 100.0 * median(of_group.iter().map(|encoded| encoded.share));
        let (format, photographs) = (format.name(), of_group.len());
        println!("median of {photographs}\t{variant}\t{format}\t{quality}\t{share:.0} % of WebP\t{score:.1}");
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() % 2 {
        1 => values[half],
        _ => (values[half.saturating_sub(1)] + values[half]) / 2.0,
    }
}

fn content(name: &str, source: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
    let pixels = match Pixels::decode(source, &Limits::default(), 2) {
        Ok(pixels) => pixels,
        Err(error) => {
            println!("{name}\t{error}");
            return Ok(());
        }
    };
    let before = cpu_seconds();
    let (is_drawn, [blocks, flat, edged, drawn, same]) = pixels.content();
    let took = cpu_seconds() - before;
    let share = |count: usize| 100.0 * count as f64 / blocks.max(1) as f64;
    println!(
        "{name}\t{}x{}\t{}\tflat {:.1} %\tedged {:.1} %\tdrawn {:.1} %\tsame {:.1} %\t{took:.3} s",
        pixels.size().width,
        pixels.size().height,
        if is_drawn { "drawn" } else { "photo" },
        share(flat),
        share(edged),
        share(drawn),
        100.0 * same as f64 / ((blocks - flat).max(1) * 56) as f64,
    );
    Ok(())
}

fn drawings(name: &str, source: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
    let original = Pixels::decode(source, &Limits::default(), 2)?;
    let recipe = Recipe {
        scores: true,
        ..Recipe::default()
    };
    let rendered = render(source, &recipe, &Limits::default(), 2)?;
    for file in &rendered.files {
        let Some(variant) = recipe.variant(&file.variant) else {
            continue;
        };
        let Quality::Fixed(quality) = variant.quality(file.format) else {
            continue;
        };
        let before = original.resize(variant, 2)?.measure(file.format, quality)?;
        println!(
            "{name}\t{}\t{}\t{}\t{:.1}\t{}\t{:.1}\t{}{}",
            file.variant,
            file.format.name(),
            before.bytes,
            before.in_place,
            file.bytes.len(),
            file.encoding.score.unwrap_or_default(),
            if file.encoding.is_lossless {
                "lossless "
            } else {
                ""
            },
            file.encoding.larger_because.as_deref().unwrap_or_default(),
        );
    }
    Ok(())
}

fn auto(name: &str, source: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
    let fixed = Recipe::default();
    let mut auto = Recipe::default();
    for variant in &mut auto.variants {
        let target = Quality::DEFAULT_TARGET;
        variant.quality = LOSSY.map(|format| (format, Quality::Auto { target })).into();
    }
    for (how, recipe) in [("fixed", fixed), ("auto", auto)] {
        let before = cpu_seconds();
        let rendered = render(source, &recipe, &Limits::default(), 1)?;
        let bytes: usize = rendered.files.iter().map(|file| file.bytes.len()).sum();
        let cpu = (cpu_seconds() - before) * 1000.0;
        println!("{name}\tthe default recipe\tall\t{how}\t{bytes}\t{cpu:.0} ms");
    }
    for variant in Recipe::default().variants {
        let variant = Variant {
            quality: std::collections::BTreeMap::new(),
            ..variant
        };
        let mut chosen = variant.clone();
        for format in LOSSY {
            let target = Quality::DEFAULT_TARGET;
            chosen.quality.insert(format, Quality::Auto { target });
        }
        for format in LOSSY {
            let only = |variant: &Variant| {
                let mut variant = variant.clone();
                variant.formats = vec![format];
                variant.quality.retain(|of, _| *of == format);
                variant
            };
            let (fixed, fixed_cpu) = timed(source, only(&variant))?;
            let (auto, auto_cpu) = timed(source, only(&chosen))?;
            for (how, rendered, cpu) in [("fixed", fixed, fixed_cpu), ("auto", auto, auto_cpu)] {
                if let Some(file) = rendered.files.iter().find(|file| file.format == format) {
                    println!(
                        "{name}\t{}\t{}\t{how}\t{}\t{:.0} ms\t{:?}",
                        variant.name,
                        format.name(),
                        file.bytes.len(),
                        cpu * 1000.0,
                        file.encoding,
                    );
                }
            }
        }
    }
    Ok(())
}

fn timed(source: &[u8], variant: Variant) -> Result<(Rendered, f64), Box<dyn std::error::Error>> {
    let recipe = Recipe {
        variants: vec![variant],
        ..Recipe::default()
    };
    let before = cpu_seconds();
    let rendered = render(source, &recipe, &Limits::default(), 1)?;
    Ok((rendered, cpu_seconds() - before))
}

/// User and system time of this process so far (Linux); the kernel counts in hundredths.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0
}
