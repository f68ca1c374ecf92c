//! `quality = "auto"`, scores, drawings, and newer formats that are larger than older ones.

use tintype_model::{Format, Limits, Quality, Recipe, Rendered, RenderedFile};
use tintype_transcode::stages::Pixels;

use crate::drawings;
use crate::fixtures::{Random, byte, full_size, photo, rgb_png, rgba_png};
use crate::judge::{decoded, psnr, rendered, score};

const LOSSY: [Format; 3] = [Format::Avif, Format::Webp, Format::Jpeg];

/// The decoders that judge do not interpolate halved colours all in the same way.
const TOLERANCE: f64 = 2.0;

fn auto(target: u8) -> Quality {
    Quality::Auto { target }
}

fn at(formats: &[Format], width: Option<u32>, quality: Quality) -> Recipe {
    let mut recipe = full_size(formats);
    recipe.variants[0].width = width;
    for format in formats {
        recipe.variants[0].quality.insert(*format, quality);
    }
    recipe
}

/// The pixels that the encoders were given: those of the same variant in PNG.
fn given(source: &[u8], width: Option<u32>) -> Vec<u8> {
    decoded(&rendered(source, &at(&[Format::Png], width, Quality::Fixed(100))).files[0]).rgb()
}

fn judged(file: &RenderedFile, given: &[u8]) -> f64 {
    score(
        given,
        &decoded(file).rgb(),
        file.dimensions.width,
        file.dimensions.height,
    )
}

fn file(rendered: &Rendered, format: Format) -> &RenderedFile {
    let mut files = rendered.files.iter();
    files.find(|file| file.format == format).unwrap()
}

/// Smooth shapes without texture.
fn easy(width: u32, height: u32) -> Vec<u8> {
    let mut pixels = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let (fx, fy) = (f64::from(x) / 97.0, f64::from(y) / 131.0);
            let light = 128.0 + 60.0 * fx.sin() + 50.0 * fy.cos();
            pixels.extend([byte(light), byte(light * 0.8 + 20.0), byte(220.0 - light * 0.5)]);
        }
    }
    pixels
}

/// Lines of strokes in two colours, as a page of text has them, with a coloured heading.
fn page(width: u32, height: u32) -> Vec<u8> {
    let mut random = Random(3);
    let mut pixels = vec![255; width as usize * height as usize * 3];
    let columns = width as usize;
    for line in 0..height as usize / 16 {
        let color = if line % 9 == 0 {
            [200, 20, 40]
        } else {
            [30, 30, 35]
        };
        let mut x = 8;
        while x + 12 < columns {
            let (width, top) = (1 + random.below(2), line * 16 + random.below(3));
            for y in top..top + 8 {
                for column in x..x + width {
                    pixels[(y * columns + column) * 3..][..3].copy_from_slice(&color);
                }
            }
            let bar = line * 16 + random.below(10);
            for column in x..x + 5 {
                pixels[(bar * columns + column) * 3..][..3].copy_from_slice(&color);
            }
            x += 4 + random.below(6);
        }
    }
    pixels
}

#[test]
fn auto_reaches_its_target_in_every_format_and_size() {
    let (width, height) = (1100, 1000);
    let source = rgb_png(width, height, &photo(width, height));
    for size in [None, Some(320)] {
        let given = given(&source, size);
        for target in [60, 75] {
            for file in rendered(&source, &at(&LOSSY, size, auto(target))).files {
                let what = format!(
                    "{:?} at {size:?}, target {target}: {:?}",
                    file.format, file.encoding
                );
                let told = f64::from(file.encoding.score.unwrap());
                let judged = judged(&file, &given);
                // Beyond a megapixel the score told is that of a sample.
                let tolerance = if size.is_none() {
                    TOLERANCE + 2.0
                } else {
                    TOLERANCE
                };
                assert!((told - judged).abs() < tolerance, "{what}: judged {judged}");
                assert!(told > f64::from(target) - 0.51, "{what}");
                assert!(told < f64::from(target) + 3.0, "{what}");
                assert!(
                    file.encoding.quality.is_some() && !file.encoding.is_lossless,
                    "{what}"
                );
            }
        }
    }
}

#[test]
fn a_higher_target_takes_more_bytes() {
    let source = rgb_png(400, 300, &photo(400, 300));
    let [low, high] = [60, 80].map(|target| rendered(&source, &at(&LOSSY, None, auto(target))));
    for (low, high) in low.files.iter().zip(&high.files) {
        assert!(high.bytes.len() > low.bytes.len() * 5 / 4, "{:?}", low.format);
        assert!(high.encoding.quality > low.encoding.quality, "{:?}", low.format);
    }
}

#[test]
fn a_harder_picture_gets_a_higher_quality() {
    let [easy, hard] = [easy(400, 300), photo(400, 300)].map(|pixels| {
        let files = rendered(&rgb_png(400, 300, &pixels), &at(&LOSSY, None, auto(80))).files;
        files
            .into_iter()
            .map(|file| file.encoding.quality.unwrap())
            .collect::<Vec<_>>()
    });
    for (format, (easy, hard)) in LOSSY.iter().zip(easy.iter().zip(&hard)) {
        assert!(easy < hard, "{format:?}: {easy} {hard}");
    }
}

#[test]
fn scores_are_told_when_asked_for_and_change_no_byte() {
    let source = rgb_png(400, 300, &photo(400, 300));
    let silent = rendered(&source, &full_size(&Format::ALL));
    let mut recipe = full_size(&Format::ALL);
    recipe.scores = true;
    let told = rendered(&source, &recipe);
    for (silent, told) in silent.files.iter().zip(&told.files) {
        assert_eq!(silent.bytes, told.bytes);
        assert_eq!(silent.encoding.score, None, "{:?}", silent.format);
        let score = f64::from(told.encoding.score.unwrap());
        let judged = judged(told, &photo(400, 300));
        assert!(
            (score - judged).abs() < TOLERANCE,
            "{:?}: {score} {judged}",
            told.format
        );
    }
}

#[test]
fn transparent_pictures_are_scored_on_backgrounds() {
    let side = 256;
    let pixels: Vec<u8> = photo(side, side)
        .chunks_exact(3)
        .enumerate()
        .flat_map(|(at, pixel)| {
            let (x, y) = (at % 256, at / 256);
            let alpha = if (x / 32 + y / 32) % 2 == 0 { 255 } else { 0 };
            [pixel[0], pixel[1], pixel[2], alpha]
        })
        .collect();
    let files = rendered(&rgba_png(side, side, &pixels), &at(&LOSSY, None, auto(70))).files;
    for file in files {
        let score = file.encoding.score.unwrap();
        assert!(
            (69.4..74.0).contains(&score),
            "{:?}: {:?}",
            file.format,
            file.encoding
        );
    }
}

#[test]
fn a_page_of_text_is_lossless_in_webp_and_keeps_its_colours_in_the_others() {
    let pixels = page(640, 480);
    let source = rgb_png(640, 480, &pixels);
    for quality in [None, Some(auto(80))] {
        let mut recipe = full_size(&LOSSY);
        if let Some(quality) = quality {
            recipe = at(&LOSSY, None, quality);
        }
        let rendered = rendered(&source, &recipe);
        let webp = file(&rendered, Format::Webp);
        assert!(webp.encoding.is_lossless, "{:?}", webp.encoding);
        assert_eq!(decoded(webp).rgb(), pixels);
        // The middle of a red stroke keeps its colour only at full chroma resolution.
        for format in [Format::Avif, Format::Jpeg] {
            let file = file(&rendered, format);
            let psnr = psnr(&pixels, &decoded(file).rgb());
            assert!(psnr > 29.0, "{format:?}, {quality:?}: {psnr} dB");
        }
    }
}

#[test]
fn photos_are_never_lossless() {
    for pixels in [photo(640, 480), easy(640, 480)] {
        let source = rgb_png(640, 480, &pixels);
        for width in [None, Some(200)] {
            for file in rendered(&source, &at(&LOSSY, width, Quality::Fixed(80))).files {
                assert!(!file.encoding.is_lossless, "{:?}", file.format);
            }
        }
    }
}

fn noise(width: u32, height: u32) -> Vec<u8> {
    let mut random = Random(11);
    (0..width * height * 3)
        .map(|_| byte(f64::from(random.next() % 256)))
        .collect()
}

#[test]
fn a_newer_format_that_is_larger_says_why() {
    let sources = [
        ("noise", noise(200, 150)),
        ("a photo", photo(200, 150)),
        ("a page", page(200, 160)[..200 * 150 * 3].to_vec()),
        ("one colour", vec![90; 200 * 150 * 3]),
    ];
    let mut reasons = Vec::new();
    for (name, pixels) in sources {
        for scores in [false, true] {
            for qualities in [[65, 80, 80], [90, 50, 30], [30, 90, 20], [80, 60, 95]] {
                let mut recipe = full_size(&Format::ALL);
                recipe.scores = scores;
                for (format, quality) in LOSSY.into_iter().zip(qualities) {
                    recipe.variants[0].quality.insert(format, Quality::Fixed(quality));
                }
                let rendered = rendered(&rgb_png(200, 150, &pixels), &recipe);
                for (age, newer) in rendered.files.iter().enumerate() {
                    let what = format!("{name}, {qualities:?}: {:?} {:?}", newer.format, newer.encoding);
                    let smaller = rendered.files[age + 1..]
                        .iter()
                        .filter(|older| older.bytes.len() < newer.bytes.len())
                        .min_by_key(|older| older.bytes.len());
                    let reason = newer.encoding.larger_because.as_ref();
                    assert_eq!(reason.is_some(), smaller.is_some(), "{what}");
                    let (Some(reason), Some(smaller)) = (reason, smaller) else {
                        continue;
                    };
                    if reason.starts_with("it scores") {
                        let [better, worse] = [newer, smaller].map(|file| judged(file, &pixels));
                        assert!(better > worse, "{what}: {better} {worse}");
                    } else {
                        let bytes = format!("{} bytes", smaller.bytes.len());
                        assert!(
                            reason.starts_with(smaller.format.name()) && reason.contains(&bytes),
                            "{what}"
                        );
                    }
                    reasons.push(reason.clone());
                }
            }
        }
    }
    for kind in ["it scores", "every pixel as it is", "at the quality asked for"] {
        assert!(
            reasons.iter().any(|reason| reason.contains(kind)),
            "{kind}: {reasons:?}"
        );
    }
}

/// AVIF with palettes, and the smaller one of lossy and lossless WebP.
#[test]
fn drawings_are_encoded_as_drawings_from_the_start() {
    let mut table = String::new();
    let mut wrong = Vec::new();
    for drawing in drawings::all() {
        let rendered = rendered(&drawing.source, &full_size(&LOSSY));
        let pixels = Pixels::decode(&drawing.source, &Limits::default(), 1).unwrap();
        let [avif, webp] = [Format::Avif, Format::Webp].map(|format| file(&rendered, format));
        let usual = pixels.encode(Format::Avif, 80).unwrap().len();
        let name = drawing.name;
        table.push_str(&format!(
            "{name}: AVIF {} (usual {usual}), WebP {} {}\n",
            avif.bytes.len(),
            webp.bytes.len(),
            if webp.encoding.is_lossless {
                "lossless"
            } else {
                "lossy"
            },
        ));
        // A tenth more than WebP, or WebP is as good as can be, and served instead.
        let is_served = !webp.encoding.is_lossless || avif.bytes.len() <= webp.bytes.len();
        if is_served && avif.bytes.len() * 10 > webp.bytes.len() * 11 {
            wrong.push(name);
        }
        if usual > 1_000 && avif.bytes.len() > usual {
            wrong.push(name);
        }
        let alone = rendered_alone(&drawing.source, Format::Webp);
        assert!(webp.bytes.len() <= alone.bytes.len(), "{name}");
    }
    assert!(wrong.is_empty(), "{wrong:?} of\n{table}");
}

fn rendered_alone(source: &[u8], format: Format) -> RenderedFile {
    rendered(source, &full_size(&[format, Format::Jpeg]))
        .files
        .remove(0)
}

#[test]
fn a_screenshot_with_a_photo_in_it_is_lossy_where_that_is_smaller() {
    let source = drawings::screenshot(1200, 750);
    let both = rendered(&source, &full_size(&LOSSY));
    assert!(!file(&both, Format::Webp).encoding.is_lossless);
    // Beside a JPEG alone a second attempt would cost more than half of what has to be made.
    assert!(rendered_alone(&source, Format::Webp).encoding.is_lossless);
}

#[test]
fn choices_do_not_depend_on_threads() {
    let source = rgb_png(400, 300, &photo(400, 300));
    let [one, four] = [1, 4].map(|threads| {
        let recipe = at(&LOSSY, Some(300), auto(70));
        tintype_transcode::render(&source, &recipe, &Limits::default(), threads).unwrap()
    });
    for (one, four) in one.files.iter().zip(&four.files) {
        assert_eq!(one.bytes, four.bytes);
        assert_eq!(one.encoding, four.encoding);
    }
}
