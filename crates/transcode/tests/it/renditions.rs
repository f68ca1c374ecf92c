//! The renditions: their number, formats, sizes and quality, and that they contain nothing but pixels.

use tintype_model::{Fit, Format, Limits, Quality, Recipe, Rgb, Tiles};
use tintype_transcode::render;

use crate::container::{self, Heif, Item, full, streams};
use crate::fixtures::{self, Jpeg, full_size, one, photo, rgb_png, rgba_png};
use crate::judge::{decoded, psnr, rendered, score};

const DEFAULT: [Format; 3] = [Format::Avif, Format::Webp, Format::Jpeg];
const LOSSY: [Format; 4] = [Format::Jxl, Format::Avif, Format::Webp, Format::Jpeg];

#[test]
fn the_default_recipe_makes_nine_files_in_its_order() {
    let source = Jpeg::default().encode(&photo(1200, 900), 1200, 900);
    let rendered = rendered(&source, &Recipe::default());
    let files: Vec<_> = rendered
        .files
        .iter()
        .map(|file| {
            (
                file.variant.as_str(),
                file.format,
                file.dimensions.width,
                file.dimensions.height,
            )
        })
        .collect();
    let mut expected = Vec::new();
    for (variant, width, height) in [
        ("original", 1200, 900),
        ("medium", 800, 600),
        ("thumbnail", 300, 225),
    ] {
        expected.extend(DEFAULT.map(|format| (variant, format, width, height)));
    }
    assert_eq!(files, expected);
    rendered.files.iter().map(decoded).for_each(drop);
}

#[test]
fn lossy_renditions_look_like_the_source() {
    let (width, height) = (640, 480);
    let pixels = photo(width, height);
    for file in rendered(&rgb_png(width, height, &pixels), &full_size(&LOSSY)).files {
        let score = score(&pixels, &decoded(&file).rgb(), width, height);
        // Measured 65 to 72 at the default qualities; a wrong matrix or range costs 30 and more.
        assert!(score > 55.0, "{:?} scores {score}", file.format);
    }
}

#[test]
fn quality_is_bytes_for_likeness_in_every_lossy_format() {
    let (width, height) = (320, 240);
    let pixels = photo(width, height);
    for format in LOSSY {
        let [low, high] = [30, 90].map(|quality| {
            let mut recipe = full_size(&[format]);
            recipe.variants[0].quality.insert(format, Quality::Fixed(quality));
            let file = rendered(&rgb_png(width, height, &pixels), &recipe)
                .files
                .remove(0);
            (file.bytes.len(), psnr(&pixels, &decoded(&file).rgb()))
        });
        assert!(
            high.0 > low.0 * 3 / 2 && high.1 > low.1 + 2.0,
            "{format:?}: {low:?} {high:?}"
        );
    }
}

#[test]
fn png_keeps_every_pixel() {
    let pixels = photo(97, 61);
    let file = rendered(&rgb_png(97, 61, &pixels), &full_size(&[Format::Png]))
        .files
        .remove(0);
    assert_eq!(decoded(&file).rgb(), pixels);
    let grey: Vec<u8> = (0..=255).collect();
    let grey_png = fixtures::png(
        16,
        16,
        png::ColorType::Grayscale,
        png::BitDepth::Eight,
        &grey,
        |_| {},
    );
    let file = rendered(&grey_png, &full_size(&[Format::Png])).files.remove(0);
    let expected: Vec<u8> = grey.iter().flat_map(|&grey| [grey; 3]).collect();
    assert_eq!(decoded(&file).rgb(), expected);
}

/// A downscale written down from the definition: linear light, each pixel the mean of what it covers.
fn area_average(pixels: &[u8], size: (usize, usize), factor: usize) -> Vec<u8> {
    let linear = |value: u8| {
        let value = f64::from(value) / 255.0;
        if value <= 0.040_45 {
            value / 12.92
        } else {
            ((value + 0.055) / 1.055).powf(2.4)
        }
    };
    let encoded = |value: f64| {
        let value = if value <= 0.003_130_8 {
            value * 12.92
        } else {
            1.055 * value.powf(1.0 / 2.4) - 0.055
        };
        fixtures::byte(value * 255.0)
    };
    let mut out = Vec::new();
    for y in 0..size.1 / factor {
        for x in 0..size.0 / factor {
            for channel in 0..3 {
                let mut sum = 0.0;
                for line in y * factor..(y + 1) * factor {
                    for column in x * factor..(x + 1) * factor {
                        sum += linear(pixels[(line * size.0 + column) * 3 + channel]);
                    }
                }
                out.push(encoded(sum / (factor * factor) as f64));
            }
        }
    }
    out
}

#[test]
fn downscaling_averages_light_not_code_values() {
    let pixels = photo(1200, 900);
    for (factor, least) in [(3, 34.0), (4, 34.0), (10, 34.0)] {
        let recipe = one(|variant| variant.width = Some(1200 / factor));
        let small = decoded(&rendered(&rgb_png(1200, 900, &pixels), &recipe).files[0]);
        let expected = area_average(&pixels, (1200, 900), factor as usize);
        let psnr = psnr(&expected, &small.rgb());
        assert!(psnr > least, "factor {factor}: {psnr} dB");
    }
    // Black and white in equal parts: half the light is sRGB 188, half the code values would be 128.
    let checkers: Vec<u8> = (0..64 * 64)
        .flat_map(|at| [if (at + at / 64) % 2 == 0 { 0 } else { 255 }; 3])
        .collect();
    let recipe = one(|variant| variant.width = Some(8));
    let small = decoded(&rendered(&rgb_png(64, 64, &checkers), &recipe).files[0]);
    assert!(
        small.rgb().iter().all(|value| value.abs_diff(188) <= 2),
        "{:?}",
        small.rgb()
    );
}

#[test]
fn bands_leave_no_seams() {
    // Tall enough for several bands; a vertical ramp would show any row that is off.
    let pixels: Vec<u8> = (0..1500u32)
        .flat_map(|y| [fixtures::byte(f64::from(y) / 1500.0 * 255.0); 3 * 20])
        .collect();
    let recipe = one(|variant| variant.height = Some(700));
    let small = decoded(&rendered(&rgb_png(20, 1500, &pixels), &recipe).files[0]);
    let column: Vec<u8> = (0..700).map(|y| small.pixel(4, y)[0]).collect();
    for (y, pair) in column.windows(2).enumerate() {
        let step = i16::from(pair[1]) - i16::from(pair[0]);
        assert!((-1..=2).contains(&step), "row {y}: {pair:?}");
    }
    assert!(
        column[0] <= 2 && column[699] >= 253,
        "{:?}",
        (column[0], column[699])
    );
}

#[test]
fn a_small_rendition_looks_the_same_whether_a_larger_one_is_made_as_well_or_not() {
    let (width, height) = (1600, 1200);
    // Stripes of one pixel in the lower half: whatever is not averaged in linear light becomes too dark there.
    let mut pixels = photo(width, height);
    for (row, line) in pixels.chunks_exact_mut(width as usize * 3).enumerate() {
        if row >= 600 {
            let value = if row % 2 == 0 { 255 } else { 0 };
            line[..2400].fill(value);
        }
    }
    let source = rgb_png(width, height, &pixels);
    let alone = one(|variant| {
        (variant.width, variant.height) = (Some(300), Some(300));
        variant.formats = vec![Format::Png];
    });
    let mut both = alone.clone();
    let mut larger = both.variants[0].clone();
    larger.name = "larger".to_owned();
    (larger.width, larger.height) = (Some(800), Some(600));
    both.variants.push(larger);
    let [alone, small] = [alone, both].map(|recipe| decoded(&rendered(&source, &recipe).files[0]));
    assert_eq!((small.width, small.height), (300, 225));
    let score = score(&alone.rgb(), &small.rgb(), 300, 225);
    assert!(score > 88.0, "{score}");
}

#[test]
fn cover_shows_the_centre_and_contain_pads_with_the_background() {
    // Three vertical stripes: red, green, blue.
    let stripes: Vec<u8> = (0..40 * 90)
        .flat_map(|at| match at % 90 / 30 {
            0 => [255, 0, 0],
            1 => [0, 255, 0],
            _ => [0, 0, 255],
        })
        .collect();
    let source = rgb_png(90, 40, &stripes);
    let sized = |fit, width, height| {
        one(|variant| {
            (variant.width, variant.height, variant.fit) = (Some(width), Some(height), fit);
        })
    };
    let cover = decoded(&rendered(&source, &sized(Fit::Cover, 20, 20)).files[0]);
    assert_eq!(cover.pixel(10, 10), [0, 255, 0, 255]);
    assert_eq!(
        (cover.pixel(1, 10)[0] > 100, cover.pixel(18, 10)[2] > 100),
        (true, true)
    );

    let mut recipe = sized(Fit::Contain, 45, 45);
    recipe.background = Rgb([9, 8, 7]);
    let contain = decoded(&rendered(&source, &recipe).files[0]);
    assert_eq!(contain.pixel(0, 0), [9, 8, 7, 255]);
    assert_eq!(contain.pixel(22, 22), [0, 255, 0, 255]);
    assert_eq!((contain.width, contain.height), (45, 45));

    let fill = decoded(&rendered(&source, &sized(Fit::Fill, 30, 40)).files[0]);
    assert_eq!((fill.width, fill.height), (30, 40));
    assert_eq!(fill.pixel(15, 20), [0, 255, 0, 255]);
}

#[test]
fn every_format_takes_every_shape() {
    for (width, height) in [
        (1, 1),
        (2, 3),
        (3, 2),
        (1, 400),
        (1, 4000),
        (8000, 3),
        (17, 16),
        (65, 33),
    ] {
        for channels in [3, 4] {
            let data: Vec<u8> = (0..width as usize * height as usize * channels)
                .map(|at| u8::try_from(at % 239).unwrap())
                .collect();
            let source = if channels == 3 {
                rgb_png(width, height, &data)
            } else {
                rgba_png(width, height, &data)
            };
            let mut recipe = Recipe::default();
            for variant in &mut recipe.variants {
                variant.formats = Format::ALL.to_vec();
            }
            for file in rendered(&source, &recipe).files {
                decoded(&file);
            }
        }
    }
}

#[test]
fn bytes_do_not_depend_on_the_number_of_threads() {
    let opaque = Jpeg::default().encode(&photo(1300, 1000), 1300, 1000);
    let data: Vec<u8> = photo(400, 300)
        .chunks_exact(3)
        .enumerate()
        .flat_map(|(at, pixel)| [pixel[0], pixel[1], pixel[2], u8::try_from(at % 256).unwrap()])
        .collect();
    let mut recipe = Recipe::default();
    recipe.variants[1].formats = Format::ALL.to_vec();
    for source in [opaque, rgba_png(400, 300, &data)] {
        let [one, four] = [1, 4].map(|threads| {
            let rendered = render(&source, &recipe, &Limits::default(), threads).unwrap();
            rendered
                .files
                .into_iter()
                .map(|file| file.bytes)
                .collect::<Vec<_>>()
        });
        assert!(one == four);
    }
}

#[test]
fn variants_that_come_out_alike_share_their_bytes() {
    let source = rgb_png(200, 100, &photo(200, 100));
    let files = rendered(&source, &Recipe::default()).files;
    assert_eq!(files.len(), 9);
    assert_eq!(files[1].bytes.as_ptr(), files[7].bytes.as_ptr());
    // `original` has other qualities of AVIF and JPEG than the rest.
    for format in [0, 2] {
        assert_ne!(files[format].bytes, files[format + 3].bytes);
        assert_eq!(files[format + 3].bytes, files[format + 6].bytes);
    }
}

#[test]
fn nothing_but_pixels_is_carried_over() {
    let token = b"CANARY-3f9c1e77-DO-NOT-PUBLISH";
    let exif = fixtures::exif(1, token);
    let mut profile = moxcms::ColorProfile::new_display_p3();
    profile.description = Some(moxcms::ProfileText::PlainString(
        String::from_utf8_lossy(token).into_owned(),
    ));
    let icc = profile.encode().unwrap();
    let pixels = photo(80, 60);
    let jpeg = Jpeg {
        exif: Some(&exif),
        icc: Some(&icc),
        comment: Some(token),
        ..Jpeg::default()
    };
    let mut jpeg = jpeg.encode(&pixels, 80, 60);
    jpeg.extend(token);
    let text = [&b"Comment\0"[..], token].concat();
    let png = fixtures::with_chunk(&rgb_png(80, 60, &pixels), b"tEXt", &text);
    let mut png = fixtures::with_chunk(&png, b"eXIf", &exif);
    png.extend(token);
    let webp = fixtures::webp(80, 60, &pixels, Some(&exif), Some(&icc));
    let contains =
        |haystack: &[u8], needle: &[u8]| haystack.windows(needle.len()).any(|window| window == needle);
    let picture = Item::picture(
        (80, 60),
        &streams(80, 60, &pixels).remove(0),
        &[container::icc(&icc)],
    );
    let block = [&[0; 4], &exif[..]].concat();
    let items = [b"Exif", b"mime", b"uri ", b"tmap"].map(|kind| {
        let data = if kind == b"Exif" { &block[..] } else { token };
        Item::new(kind, &[full(b"udes", token)], data)
    });
    let mut heif = Heif::avif([vec![picture], items.to_vec()].concat());
    for item in 2..=5 {
        heif = heif.refer(b"cdsc", item, &[1]);
    }
    for source in [jpeg, png, webp, heif.file()] {
        assert!(contains(&source, token));
        let mut recipe = Recipe::default();
        recipe.variants[0].formats = Format::ALL.to_vec();
        for file in rendered(&source, &recipe).files {
            for secret in [
                &token[..],
                b"Exif",
                b"EXIF",
                b"eXIf",
                b"ICC",
                b"iCCP",
                b"acsp",
                b"tEXt",
            ] {
                assert!(
                    !contains(&file.bytes, secret),
                    "{:?} carries {secret:?}",
                    file.format
                );
            }
        }
    }
}

/// Plain on the left, noise on the right.
fn halves(width: u32, height: u32) -> Vec<u8> {
    let mut random = 1u32;
    let pixels = (0..width * height).flat_map(|at| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let is_plain = at % width < width / 2;
        [if is_plain { 200 } else { random.to_be_bytes()[0] }; 3]
    });
    pixels.collect()
}

#[test]
fn an_avif_whose_tiles_do_not_fit_together_is_whole_and_says_so() {
    let width = 1504;
    let mut recipe = full_size(&[Format::Avif]);
    recipe.variants[0]
        .quality
        .insert(Format::Avif, Quality::Fixed(65));
    // The first ends in the middle of a superblock both ways.
    for (height, expected) in [(1312, Some(Tiles::Refused)), (1300, None)] {
        let pixels = halves(width, height);
        let source = rgb_png(width, height, &pixels);
        let [one, two] = [1, 2].map(|threads| {
            let rendered = render(&source, &recipe, &Limits::default(), threads).unwrap();
            assert_eq!(rendered.tiles_refused(), u64::from(expected.is_some()));
            rendered.files.into_iter().next().unwrap()
        });
        assert_eq!(one.encoding.tiles, expected, "{height} rows");
        assert!(one.bytes == two.bytes, "{height} rows");
        let psnr = psnr(&pixels, &decoded(&one).rgb());
        assert!(psnr > 20.0, "{height} rows: {psnr} dB");
    }
}
