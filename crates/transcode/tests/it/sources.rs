//! The sources: every kind of every format that is read, and the facts that are told about it.

use png::{BitDepth, ColorType};
use tintype_model::{Format, ImageInfo, Limits};
use tintype_transcode::probe;

use crate::fixtures::{self, Jpeg, full_size, photo, rgb_png};
use crate::judge::{Decoded, decoded, psnr, rendered};

fn shown(source: &[u8]) -> Decoded {
    let rendered = rendered(source, &full_size(&[Format::Png]));
    // A header does not contain the facts that follow from pixels.
    let header = ImageInfo {
        appearance: None,
        ..rendered.image
    };
    assert_eq!(told(source), header);
    decoded(&rendered.files[0])
}

fn told(source: &[u8]) -> ImageInfo {
    probe(source, &Limits::default()).unwrap()
}

#[test]
fn jpeg_in_its_common_forms_is_read() {
    let (width, height) = (123, 77);
    let pixels = photo(width, height);
    for (progressive, subsampled) in [(false, false), (false, true), (true, false), (true, true)] {
        let jpeg = Jpeg {
            progressive,
            subsampled,
            ..Jpeg::default()
        };
        let source = jpeg.encode(&pixels, width, height);
        let psnr = psnr(&pixels, &shown(&source).rgb());
        let least = if subsampled { 30.0 } else { 36.0 };
        assert!(
            psnr > least,
            "progressive {progressive}, subsampled {subsampled}: {psnr} dB"
        );
    }
    let grey: Vec<u8> = pixels.chunks_exact(3).map(|pixel| pixel[1]).collect();
    let source = Jpeg::default().encode(&grey, width, height);
    let expected: Vec<u8> = grey.iter().flat_map(|&grey| [grey; 3]).collect();
    assert!(psnr(&expected, &shown(&source).rgb()) > 36.0);
    assert_eq!(told(&source).color_space, "grey");
}

#[test]
fn bytes_behind_a_jpeg_do_not_matter() {
    let pixels = photo(64, 48);
    let jpeg = Jpeg::default().encode(&pixels, 64, 48);
    let preview = Jpeg::default().encode(&photo(16, 16), 16, 16);
    let cut = &preview[..preview.len() / 2];
    assert_eq!(shown(&[&jpeg[..], cut].concat()), shown(&jpeg));
}

#[test]
fn png_of_every_colour_type_is_read() {
    let (width, height) = (32, 8);
    let at = |index: u32| u8::try_from(index % 256).unwrap();
    let count = width * height;
    let grey: Vec<u8> = (0..count).map(at).collect();
    let grey_alpha: Vec<u8> = (0..count).flat_map(|i| [at(i), at(255 - i)]).collect();
    let rgb: Vec<u8> = (0..count).flat_map(|i| [at(i), at(i * 3), at(i * 7)]).collect();
    let rgba: Vec<u8> = (0..count)
        .flat_map(|i| [at(i), at(i * 3), at(i * 7), at(i / 2)])
        .collect();
    for (color, channels, data) in [
        (ColorType::Grayscale, 1, &grey),
        (ColorType::GrayscaleAlpha, 2, &grey_alpha),
        (ColorType::Rgb, 3, &rgb),
        (ColorType::Rgba, 4, &rgba),
    ] {
        let expected = Decoded::new(width, height, channels, data);
        let source = fixtures::png(width, height, color, BitDepth::Eight, data, |_| {});
        assert_eq!(shown(&source), expected, "{color:?}");
        assert_eq!(told(&source).has_alpha, channels % 2 == 0);
        // The same at 16 bits: every byte twice is the same value of 65,535.
        let deep: Vec<u8> = data.iter().flat_map(|&byte| [byte; 2]).collect();
        let source = fixtures::png(width, height, color, BitDepth::Sixteen, &deep, |_| {});
        assert_eq!(shown(&source), expected, "{color:?} at 16 bits");
        assert_eq!(told(&source).bit_depth, 16);
    }
}

#[test]
fn png_palettes_and_their_transparency_are_applied() {
    let indices = [0b0001_1011u8, 0b1110_0100];
    let source = fixtures::png(4, 2, ColorType::Indexed, BitDepth::Two, &indices, |info| {
        info.palette = Some(vec![255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9].into());
        info.trns = Some(vec![255, 128, 0].into());
    });
    let image = shown(&source);
    assert_eq!(image.pixel(0, 0), [255, 0, 0, 255]);
    assert_eq!(image.pixel(1, 0), [0, 255, 0, 128]);
    assert_eq!(image.pixel(2, 0)[3], 0);
    assert_eq!(image.pixel(0, 1), [9, 9, 9, 255]);
    assert_eq!((told(&source).has_alpha, told(&source).bit_depth), (true, 8));
}

#[test]
fn an_animated_png_shows_its_default_image() {
    let still = rgb_png(9, 9, &photo(9, 9));
    let mut control = 3u32.to_be_bytes().to_vec();
    control.extend([0; 4]);
    let frame: Vec<u8> = [0u32, 9, 9, 0, 0]
        .iter()
        .flat_map(|value| value.to_be_bytes())
        .chain([0, 1, 0, 10, 0, 0])
        .collect();
    let animated = fixtures::with_chunk(&fixtures::with_chunk(&still, b"fcTL", &frame), b"acTL", &control);
    assert_eq!(shown(&animated), shown(&still));
    assert_eq!(told(&animated).frames, 1);
}

#[test]
fn a_gif_frame_is_laid_on_its_canvas() {
    let source = fixtures::gif((6, 5), (2, 1), (3, 2), &[1, 2, 3, 0, 1, 2], 4);
    let image = shown(&source);
    assert_eq!((image.width, image.height), (6, 5));
    assert_eq!(image.pixel(2, 1), [250, 20, 30, 255]);
    assert_eq!(image.pixel(4, 1), [10, 40, 230, 255]);
    assert_eq!(image.pixel(2, 2)[3], 0);
    assert_eq!(image.pixel(0, 0)[3], 0);
    assert_eq!(image.pixel(4, 2), [20, 240, 60, 255]);
    let told = told(&source);
    assert_eq!(
        (told.frames, told.has_alpha, told.format.as_str()),
        (4, true, "gif")
    );
}

#[test]
fn webp_stills_and_animations_are_read() {
    let rgb = photo(40, 30);
    assert_eq!(shown(&fixtures::webp(40, 30, &rgb, None, None)).rgb(), rgb);
    let rgba: Vec<u8> = rgb
        .chunks_exact(3)
        .flat_map(|p| [p[0], p[1], p[2], p[0] | 1])
        .collect();
    let still = fixtures::webp(40, 30, &rgba, None, None);
    assert_eq!(shown(&still).rgba, rgba);
    // Opaque, so that the animation's blending leaves the pixels alone.
    let opaque: Vec<u8> = rgb
        .chunks_exact(3)
        .flat_map(|p| [p[0], p[1], p[2], 255])
        .collect();
    let still = fixtures::webp(40, 30, &opaque, None, None);
    let animated = fixtures::animated_webp((50, 44), (6, 8), (40, 30), &still, 3);
    let image = shown(&animated);
    assert_eq!((image.width, image.height), (50, 44));
    assert_eq!(image.pixel(0, 0)[3], 0);
    // The decoder's blending rounds, even where the frame is opaque.
    assert!((0..3).all(|channel| image.pixel(6, 8)[channel].abs_diff(rgb[channel]) <= 2));
    assert_eq!((told(&animated).frames, told(&animated).has_alpha), (3, true));
}

#[test]
fn lossy_webp_is_read() {
    let pixels = photo(120, 90);
    let lossy = rendered(
        &rgb_png(120, 90, &pixels),
        &full_size(&[Format::Webp, Format::Jpeg]),
    );
    let image = shown(&lossy.files[0].bytes);
    assert!(psnr(&pixels, &image.rgb()) > 30.0);
}

#[test]
fn bmp_is_read() {
    let pixels = photo(21, 13);
    let source = fixtures::bmp(21, 13, &pixels);
    assert_eq!(shown(&source).rgb(), pixels);
    assert_eq!(told(&source).format, "bmp");
}

/// Stored so that turning by `orientation` gives back `upright` (2 columns, 3 rows of flat 16-pixel tiles).
fn stored(orientation: u16) -> (u32, u32, Vec<u8>) {
    let tiles = [
        [255, 0, 0],
        [0, 255, 0],
        [0, 0, 255],
        [255, 255, 0],
        [0, 255, 255],
        [255, 255, 255],
    ];
    // For each orientation: columns, then the tiles in stored order.
    let (columns, order) = match orientation {
        1 => (2, [0, 1, 2, 3, 4, 5]),
        2 => (2, [1, 0, 3, 2, 5, 4]),
        3 => (2, [5, 4, 3, 2, 1, 0]),
        4 => (2, [4, 5, 2, 3, 0, 1]),
        5 => (3, [0, 2, 4, 1, 3, 5]),
        6 => (3, [1, 3, 5, 0, 2, 4]),
        7 => (3, [5, 3, 1, 4, 2, 0]),
        8 => (3, [4, 2, 0, 5, 3, 1]),
        _ => unreachable!(),
    };
    let (width, height) = (columns * 16, 96 / columns);
    let mut pixels = Vec::new();
    for y in 0..height {
        for x in 0..width {
            pixels.extend(tiles[order[(y / 16 * columns + x / 16) as usize]]);
        }
    }
    (width, height, pixels)
}

#[test]
fn all_eight_orientations_come_out_upright_from_every_format_that_has_them() {
    let upright = Decoded::new(32, 48, 3, &stored(1).2);
    for orientation in 1..=8 {
        let (width, height, pixels) = stored(orientation);
        let exif = fixtures::exif(orientation, b"camera");
        let jpeg = Jpeg {
            exif: Some(&exif),
            ..Jpeg::default()
        };
        for source in [
            jpeg.encode(&pixels, width, height),
            fixtures::with_chunk(&rgb_png(width, height, &pixels), b"eXIf", &exif),
            fixtures::webp(width, height, &pixels, Some(&exif), None),
        ] {
            let told = told(&source);
            assert_eq!(told.orientation, u8::try_from(orientation).unwrap());
            assert_eq!((told.dimensions.width, told.dimensions.height), (32, 48));
            let psnr = psnr(&upright.rgb(), &shown(&source).rgb());
            assert!(
                psnr > 30.0,
                "{} with orientation {orientation}: {psnr} dB",
                told.format
            );
        }
    }
}
