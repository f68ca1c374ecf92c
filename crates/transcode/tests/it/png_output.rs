//! PNG: every pixel as it is, stored in the smallest form that can hold it.

use std::io::Cursor;

use png::{BitDepth, ColorType};
use tintype_model::{Format, Limits};
use tintype_transcode::render;

use crate::fixtures::{Random, full_size, photo, rgb_png, rgba_png};
use crate::judge::{decoded, rendered};

/// Scattered pixels of these colours, each of which is there.
fn scattered(colors: &[[u8; 4]], width: u32, height: u32) -> Vec<u8> {
    let mut random = Random(3);
    let pixels = width as usize * height as usize;
    (0..pixels)
        .flat_map(|at| {
            colors[if at < colors.len() {
                at
            } else {
                random.below(colors.len())
            }]
        })
        .collect()
}

fn opaque(colors: usize) -> Vec<[u8; 4]> {
    let color = |at: usize| u8::try_from(at).unwrap();
    (0..colors)
        .map(|at| [color(at), color(at * 7 % 256), 255 - color(at), 255])
        .collect()
}

fn grey(levels: usize) -> Vec<[u8; 4]> {
    (0..levels)
        .map(|at| {
            let level = u8::try_from(at * 255 / (levels - 1)).unwrap();
            [level, level, level, 255]
        })
        .collect()
}

fn translucent(mut colors: Vec<[u8; 4]>) -> Vec<[u8; 4]> {
    for (at, color) in colors.iter_mut().enumerate() {
        color[3] = u8::try_from(at * 13 % 256).unwrap();
    }
    colors
}

#[test]
fn pixels_are_stored_in_the_smallest_form_that_holds_them() {
    use BitDepth::{Eight, Four, One, Two};
    use ColorType::{Grayscale, GrayscaleAlpha, Indexed};
    let (width, height) = (101, 67);
    for (name, colors, form) in [
        ("black and white", grey(2), (Grayscale, One)),
        ("four greys", grey(4), (Grayscale, Two)),
        ("sixteen greys", grey(16), (Grayscale, Four)),
        ("all greys", grey(256), (Grayscale, Eight)),
        ("two colours", opaque(2), (Indexed, One)),
        ("four colours", opaque(4), (Indexed, Two)),
        ("sixteen colours", opaque(16), (Indexed, Four)),
        ("all indices", opaque(256), (Indexed, Eight)),
        ("translucent colours", translucent(opaque(14)), (Indexed, Four)),
        ("translucent greys", translucent(grey(256)), (Indexed, Eight)),
    ] {
        let pixels = scattered(&colors, width, height);
        let file = rendered(&rgba_png(width, height, &pixels), &full_size(&[Format::Png]))
            .files
            .remove(0);
        assert_eq!(decoded(&file).rgba, pixels, "{name}");
        let reader = png::Decoder::new(Cursor::new(&file.bytes)).read_info().unwrap();
        assert_eq!(reader.info().color_type, form.0, "{name}");
        assert!(reader.info().bit_depth as u8 >= form.1 as u8, "{name}");
        // Scattered pixels take as many bits as their index, in whatever depth they are stored.
        let least = usize::from(form.1 as u8) * pixels.len() / 32;
        let palette = colors.len() * if form.0 == Indexed { 4 } else { 0 };
        assert!(
            file.bytes.len() < least * 11 / 10 + palette + 200,
            "{name}: {} bytes, {least} at least",
            file.bytes.len()
        );
    }
    // More combinations of grey and alpha than a palette holds.
    let mut random = Random(5);
    let pixels: Vec<u8> = (0..width * height)
        .flat_map(|_| {
            let (grey, alpha) = (random.below(256), random.below(256));
            [grey, grey, grey, alpha].map(|value| u8::try_from(value).unwrap())
        })
        .collect();
    let file = rendered(&rgba_png(width, height, &pixels), &full_size(&[Format::Png]))
        .files
        .remove(0);
    assert_eq!(decoded(&file).rgba, pixels);
    let reader = png::Decoder::new(Cursor::new(&file.bytes)).read_info().unwrap();
    assert_eq!(reader.info().color_type, GrayscaleAlpha);
}

#[test]
fn colours_that_nobody_sees_are_kept() {
    let pixels: Vec<u8> = photo(64, 64)
        .chunks_exact(3)
        .enumerate()
        .flat_map(|(at, pixel)| [pixel[0], pixel[1], pixel[2], if at % 3 == 0 { 0 } else { 200 }])
        .collect();
    let file = rendered(&rgba_png(64, 64, &pixels), &full_size(&[Format::Png]))
        .files
        .remove(0);
    assert_eq!(decoded(&file).rgba, pixels);
}

/// Three sizes, one for each way of compressing.
#[test]
fn every_size_is_exact_and_smaller_than_the_plain_encoder_makes_it() {
    for (width, height) in [(320, 240), (1000, 700), (1900, 1200)] {
        for (name, pixels) in [
            ("photo", photo(width, height)),
            ("drawing", drawing(width, height)),
        ] {
            let source = rgb_png(width, height, &pixels);
            let file = rendered(&source, &full_size(&[Format::Png])).files.remove(0);
            assert_eq!(decoded(&file).rgb(), pixels, "{name} {width}x{height}");
            let plain = plain(width, height, &pixels).len();
            assert!(
                file.bytes.len() < plain,
                "{name} {width}x{height}: {} bytes, plainly {plain}",
                file.bytes.len()
            );
        }
    }
}

/// Soft discs on a flat ground.
fn drawing(width: u32, height: u32) -> Vec<u8> {
    (0..height)
        .flat_map(|y| (0..width).map(move |x| (x % 90).abs_diff(45).pow(2) + (y % 70).abs_diff(35).pow(2)))
        .flat_map(|distance| match distance {
            0..400 => [200, 40, 30],
            400..440 => [220, 140, 130],
            _ => [240, 240, 235],
        })
        .collect()
}

/// A PNG as the `png` crate writes it at its fast setting.
fn plain(width: u32, height: u32, rgb: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(ColorType::Rgb);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(rgb).unwrap();
    writer.finish().unwrap();
    file
}

#[test]
fn the_same_pixels_give_the_same_bytes() {
    let source = rgb_png(400, 300, &photo(400, 300));
    let [one, four] = [1, 4].map(|threads| {
        let mut files = render(&source, &full_size(&[Format::Png]), &Limits::default(), threads)
            .unwrap()
            .files;
        files.remove(0).bytes
    });
    assert_eq!(one, four);
}
