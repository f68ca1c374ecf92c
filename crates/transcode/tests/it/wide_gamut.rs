//! Colours outside sRGB: clipped by default, kept where the recipe says so.

use moxcms::{ColorProfile, Layout, TransformOptions};
use png::{BitDepth, ColorType};
use tintype_model::{Color, Format, Limits, Quality, Recipe, RenderedFile};
use tintype_transcode::probe;

use crate::fixtures::{self, full_size, photo, rgb_png};
use crate::judge::{decoded, jxl_profile, psnr, rendered};

/// A picture of that profile's own colours, as a source.
fn source(profile: &ColorProfile, channels: ColorType, width: u32, height: u32, data: &[u8]) -> Vec<u8> {
    let icc = profile.encode().unwrap();
    fixtures::png(width, height, channels, BitDepth::Eight, data, |info| {
        info.icc_profile = Some(icc.into());
    })
}

fn recipe(color: Color, formats: &[Format]) -> Recipe {
    let mut recipe = full_size(formats);
    recipe.variants[0].color = color;
    for &format in formats {
        if format != Format::Png {
            recipe.variants[0].quality.insert(format, Quality::Fixed(95));
        }
    }
    recipe
}

/// The colours of the file in Display P3: the stored values, read through the profile or the code points of the file.
fn meaning(file: &RenderedFile) -> Vec<u8> {
    let stored = decoded(file).rgb();
    let profile = match file.format {
        Format::Avif => {
            let at = position(&file.bytes, b"colrnclx");
            let primaries = at.map_or(1, |at| file.bytes[at + 9]);
            match primaries {
                1 => None,
                12 => Some(ColorProfile::new_display_p3()),
                other => panic!("primaries {other}"),
            }
        }
        // jxl-rs says what the values that it gives mean.
        Format::Jxl => Some(ColorProfile::new_from_slice(&jxl_profile(&file.bytes)).unwrap()),
        Format::Webp => chunk(&file.bytes, b"ICCP").map(|icc| ColorProfile::new_from_slice(&icc).unwrap()),
        Format::Png => png_profile(&file.bytes).map(|icc| ColorProfile::new_from_slice(&icc).unwrap()),
        Format::Jpeg => position(&file.bytes, b"ICC_PROFILE\0\x01\x01").map(|at| {
            let length = u16::from_be_bytes(file.bytes[at - 2..at].try_into().unwrap());
            ColorProfile::new_from_slice(&file.bytes[at + 14..at + usize::from(length) - 2]).unwrap()
        }),
    };
    let mut shown = vec![0; stored.len()];
    profile
        .unwrap_or_else(ColorProfile::new_srgb)
        .create_transform_8bit(
            Layout::Rgb,
            &ColorProfile::new_display_p3(),
            Layout::Rgb,
            TransformOptions::default(),
        )
        .unwrap()
        .transform(&stored, &mut shown)
        .unwrap();
    shown
}

fn position(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// A chunk of a RIFF file.
fn chunk(file: &[u8], name: &[u8; 4]) -> Option<Vec<u8>> {
    let mut rest = &file[12..];
    while rest.len() >= 8 {
        let length = u32::from_le_bytes(rest[4..8].try_into().unwrap()) as usize;
        if rest[..4] == *name {
            return Some(rest[8..8 + length].to_vec());
        }
        rest = &rest[8 + length.next_multiple_of(2)..];
    }
    assert!(rest.is_empty());
    None
}

fn png_profile(file: &[u8]) -> Option<Vec<u8>> {
    let reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
    reader.info().icc_profile.as_ref().map(|icc| icc.to_vec())
}

/// Full red of Display P3, which is outside sRGB, and a colour inside it.
fn patches() -> Vec<u8> {
    (0..64 * 64)
        .flat_map(|at| if at % 64 < 32 { [255, 0, 0] } else { [90, 120, 100] })
        .collect()
}

#[test]
fn red_of_display_p3_is_kept_in_every_format_or_clipped_to_srgb() {
    let p3 = ColorProfile::new_display_p3();
    let source = source(&p3, ColorType::Rgb, 64, 64, &patches());
    // sRGB's red in Display P3.
    for (color, red) in [(Color::Keep, [255, 0, 0]), (Color::Srgb, [234, 51, 35])] {
        for file in rendered(&source, &recipe(color, &Format::ALL)).files {
            let shown = meaning(&file);
            for (name, column, expected) in [("red", 10, red), ("olive", 50, [90, 120, 100])] {
                let at = (30 * 64 + column) * 3;
                let pixel = &shown[at..at + 3];
                let close = pixel.iter().zip(expected).all(|(&a, b)| a.abs_diff(b) <= 6);
                assert!(close, "{color:?} {:?} {name}: {pixel:?}", file.format);
            }
        }
    }
}

#[test]
fn our_own_reader_sees_the_same_colours_in_either_form() {
    let p3 = ColorProfile::new_display_p3();
    // Nothing here is outside sRGB.
    let pixels: Vec<u8> = photo(96, 64).iter().map(|value| 70 + value / 4).collect();
    let source = source(&p3, ColorType::Rgb, 96, 64, &pixels);
    for format in [Format::Jpeg, Format::Webp, Format::Png] {
        let formats = if format == Format::Webp {
            vec![format, Format::Png]
        } else {
            vec![format]
        };
        let [kept, converted] = [Color::Keep, Color::Srgb].map(|color| {
            let file = rendered(&source, &recipe(color, &formats)).files.remove(0);
            decoded(&rendered(&file.bytes, &full_size(&[Format::Png])).files[0]).rgb()
        });
        let psnr = psnr(&kept, &converted);
        assert!(psnr > 38.0, "{format:?}: {psnr} dB");
    }
}

#[test]
fn a_kept_profile_is_named_by_the_headers() {
    let p3 = ColorProfile::new_display_p3();
    let source = source(&p3, ColorType::Rgb, 64, 64, &patches());
    for file in rendered(
        &source,
        &recipe(Color::Keep, &[Format::Jpeg, Format::Webp, Format::Png]),
    )
    .files
    {
        let told = probe(&file.bytes, &Limits::default()).unwrap();
        assert_eq!(
            told.icc_description.as_deref(),
            Some("Display P3"),
            "{:?}",
            file.format
        );
    }
}

#[test]
fn other_wide_spaces_become_display_p3() {
    let adobe = ColorProfile::new_adobe_rgb();
    let green: Vec<u8> = [0, 255, 0].repeat(64 * 64);
    let source = source(&adobe, ColorType::Rgb, 64, 64, &green);
    let file = rendered(&source, &recipe(Color::Keep, &[Format::Png]))
        .files
        .remove(0);
    let pixel = &meaning(&file)[..3];
    // sRGB's green is (117, 251, 76) there.
    assert!(pixel[0] < 10 && pixel[1] > 245 && pixel[2] < 70, "{pixel:?}");
}

#[test]
fn alpha_and_scaling_work_in_display_p3() {
    let p3 = ColorProfile::new_display_p3();
    let pixels: Vec<u8> = (0..64 * 64)
        .flat_map(|at| [255, 0, 0, if at % 64 < 32 { 255 } else { 0 }])
        .collect();
    let source = source(&p3, ColorType::Rgba, 64, 64, &pixels);
    let mut small = recipe(
        Color::Keep,
        &[Format::Webp, Format::Avif, Format::Jxl, Format::Png],
    );
    small.variants[0].width = Some(16);
    for file in rendered(&source, &small).files {
        let image = decoded(&file);
        let (solid, clear) = (image.pixel(2, 8), image.pixel(13, 8));
        assert!(
            solid[0] > 250 && solid[1] < 8 && solid[2] < 8,
            "{:?} {solid:?}",
            file.format
        );
        assert_eq!(
            (solid[3] >= 250, clear[3] <= 5),
            (true, true),
            "{:?}",
            file.format
        );
        assert!(meaning(&file)[(8 * 16 + 2) * 3 + 1] < 10, "{:?}", file.format);
    }
}

#[test]
fn pictures_within_srgb_carry_no_profile() {
    let pixels = photo(64, 64);
    let srgb = ColorProfile::new_srgb();
    let tagged = source(&srgb, ColorType::Rgb, 64, 64, &pixels);
    for source in [rgb_png(64, 64, &pixels), tagged] {
        let [kept, converted] = [Color::Keep, Color::Srgb].map(|color| {
            let files = rendered(&source, &recipe(color, &Format::ALL)).files;
            files.into_iter().map(|file| file.bytes).collect::<Vec<_>>()
        });
        assert!(kept == converted);
    }
}

#[test]
fn one_source_serves_variants_of_both_kinds() {
    let p3 = ColorProfile::new_display_p3();
    let source = source(&p3, ColorType::Rgb, 64, 64, &patches());
    let mut both = recipe(Color::Keep, &[Format::Png]);
    let mut plain = both.variants[0].clone();
    plain.name = "plain".to_owned();
    plain.color = Color::Srgb;
    both.variants.push(plain);
    let files = rendered(&source, &both).files;
    assert_eq!(decoded(&files[0]).pixel(2, 2), [255, 0, 0, 255]);
    assert!(png_profile(&files[0].bytes).is_some());
    assert!(png_profile(&files[1].bytes).is_none());
    assert_eq!(meaning(&files[1])[..3], [234, 51, 35]);
}
