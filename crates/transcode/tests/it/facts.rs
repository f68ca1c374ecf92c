//! The facts that the record tells of a picture besides its size: the way in which it was taken, and its appearance.

use std::io::Cursor;

use tiff::encoder::TiffEncoder;
use tintype_model::{Appearance, Capture, Format, Limits, Rgb};
use tintype_transcode::{location, probe};

use crate::container::boxed;
use crate::fixtures::{
    Jpeg, Tag, camera, camera_tiff, directory, full_size, jxl, one, photo, png, rgb_png, rgba_png, tiff_with,
    webp,
};
use crate::judge::{decoded, rendered, told};
use crate::memory::asked_for;

const CANARY: &str = "51.477811";

/// An EXIF block with a camera, a moment and the place of the Royal Observatory.
fn greenwich() -> Vec<u8> {
    let place = vec![
        Tag::ascii(1, b"N"),
        Tag::rational(2, &[(51, 1), (28, 1), (4012, 100)]),
        Tag::ascii(3, b"W"),
        Tag::rational(4, &[(0, 1), (0, 1), (531, 100)]),
        Tag::ascii(29, CANARY.as_bytes()),
    ];
    camera(b"2026:11:25 18:27:58", b"+01:00", place)
}

fn jpeg(exif: &[u8]) -> Vec<u8> {
    let jpeg = Jpeg {
        exif: Some(exif),
        ..Jpeg::default()
    };
    jpeg.encode(&photo(64, 48), 64, 48)
}

/// [`greenwich`] in a TIFF's own directories.
fn tiff_from_greenwich(size: (u32, u32)) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    camera_tiff(
        TiffEncoder::new(&mut file).unwrap(),
        size,
        &photo(size.0, size.1),
        CANARY,
    );
    file.into_inner()
}

fn big_tiff_from_greenwich(size: (u32, u32)) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    camera_tiff(
        TiffEncoder::new_big(&mut file).unwrap(),
        size,
        &photo(size.0, size.1),
        CANARY,
    );
    file.into_inner()
}

/// A JPEG XL of 64 by 48 pixels in a container with these boxes before its pixels and behind them.
fn boxed_jxl(before: &[u8], behind: &[u8]) -> Vec<u8> {
    let start = b"\0\0\0\x0CJXL \r\n\x87\n\0\0\0\x14ftypjxl \0\0\0\0jxl ";
    let pixels = boxed(b"jxlc", &jxl(64, 48, &photo(64, 48)));
    [&start[..], before, &pixels, behind].concat()
}

/// A block as boxes carry it: its TIFF header comes right behind the four bytes that say so.
fn exif_box(exif: &[u8]) -> Vec<u8> {
    boxed(b"Exif", &[&[0; 4], exif].concat())
}

fn appearance(source: &[u8]) -> Appearance {
    rendered(source, &full_size(&[Format::Png]))
        .image
        .appearance
        .unwrap()
}

#[test]
fn a_camera_and_its_clock_are_told_from_every_container() {
    let exif = greenwich();
    let pixels = photo(64, 48);
    let in_png = png(
        64,
        48,
        png::ColorType::Rgb,
        png::BitDepth::Eight,
        &pixels,
        |info| {
            info.exif_metadata = Some(exif.clone().into());
        },
    );
    let config = jixel::EncodeConfig::default().with_exif(exif.clone());
    for source in [
        jpeg(&exif),
        in_png,
        webp(64, 48, &pixels, Some(&exif), None),
        tiff_from_greenwich((64, 48)),
        big_tiff_from_greenwich((64, 48)),
        jixel::encode_image(&pixels, 64, 48, &config).unwrap(),
        boxed_jxl(&exif_box(&exif), &[]),
        boxed_jxl(&[], &exif_box(&exif)),
    ] {
        let capture = told(&source).capture.unwrap();
        assert_eq!(capture.taken_at.as_deref(), Some("2026-11-25T18:27:58+01:00"));
        assert_eq!(capture.make.as_deref(), Some("Tintype"));
        assert_eq!(capture.model.as_deref(), Some("Model T"));
        assert_eq!(capture.lens.as_deref(), Some("Petzval 85 mm"));
        assert_eq!(
            rendered(&source, &full_size(&[Format::Png])).image.capture,
            Some(capture)
        );
    }
}

#[test]
fn the_place_is_told_only_to_who_asks_and_never_reaches_a_rendition() {
    let is_in = |bytes: &[u8]| {
        let canary = CANARY.as_bytes();
        bytes.windows(canary.len()).any(|window| window == canary)
    };
    let recipe = full_size(&[Format::Avif, Format::Webp, Format::Jpeg, Format::Png]);
    for source in [
        jpeg(&greenwich()),
        tiff_from_greenwich((64, 48)),
        big_tiff_from_greenwich((64, 48)),
        boxed_jxl(&exif_box(&greenwich()), &[]),
    ] {
        assert!(is_in(&source));
        assert_eq!(told(&source).capture.unwrap().location, None);
        let made = rendered(&source, &recipe);
        assert_eq!(made.image.capture.unwrap().location, None);
        assert_eq!(made.files.len(), 4);
        for file in made.files {
            assert!(!is_in(&file.bytes), "{:?}", file.format);
            for name in [&b"Exif"[..], b"eXIf", b"EXIF", b"Petzval"] {
                let carries = file.bytes.windows(name.len()).any(|window| window == name);
                assert!(!carries, "{:?} carries metadata", file.format);
            }
        }
        let place = location(&source, &Limits::default()).unwrap();
        assert!((place.latitude - 51.477_811).abs() < 1e-6, "{place:?}");
        assert!((place.longitude + 0.001_475).abs() < 1e-6, "{place:?}");
    }
}

#[test]
fn places_that_are_none_are_not_told() {
    let with = |latitude: &[(u32, u32)], name: &[u8]| {
        let place = vec![
            Tag::ascii(1, name),
            Tag::rational(2, latitude),
            Tag::ascii(3, b"E"),
            Tag::rational(4, &[(1, 1), (0, 1), (0, 1)]),
        ];
        location(&jpeg(&camera(b"", b"", place)), &Limits::default())
    };
    assert!(with(&[(89, 1), (59, 1), (0, 1)], b"S").is_some());
    assert_eq!(with(&[(90, 1), (1, 1), (0, 1)], b"S"), None);
    assert_eq!(with(&[(89, 1), (59, 0), (0, 1)], b"S"), None);
    assert_eq!(with(&[(89, 1), (59, 1)], b"S"), None);
    assert_eq!(with(&[(89, 1), (59, 1), (0, 1)], b"X"), None);
    assert_eq!(with(&[(u32::MAX, 1), (0, 1), (0, 1)], b"N"), None);
    assert_eq!(location(&jpeg(b"MM\0*"), &Limits::default()), None);
    assert_eq!(location(b"no picture", &Limits::default()), None);
}

/// Every prefix of a block, and each of its bytes changed: the picture stays, whatever becomes of the block.
#[test]
fn broken_exif_harms_nothing() {
    let exif = greenwich();
    let mut told_something = 0;
    let mut look = |exif: &[u8]| {
        let source = jpeg(exif);
        let info = told(&source);
        assert_eq!((info.dimensions.width, info.dimensions.height), (64, 48));
        let _ = location(&source, &Limits::default());
        told_something += usize::from(info.capture.is_some());
    };
    for end in 0..exif.len() {
        look(&exif[..end]);
    }
    for at in 0..exif.len() {
        for value in [0, 1, 0x7F, 0xFF] {
            let mut broken = exif.clone();
            broken[at] = value;
            look(&broken);
        }
    }
    assert!(told_something > exif.len());
}

/// Every prefix of a TIFF, and each of its bytes changed: it may be no picture any more, and nothing else happens.
#[test]
fn broken_directories_of_a_tiff_harm_nothing() {
    let look = |source: &[u8]| {
        if let Err(error) = probe(source, &Limits::default()) {
            assert!(!error.to_string().contains("panicked"), "{error}");
        }
        let _ = location(source, &Limits::default());
    };
    for tiff in [tiff_from_greenwich((4, 3)), big_tiff_from_greenwich((4, 3))] {
        for end in 0..tiff.len() {
            look(&tiff[..end]);
        }
        for at in 0..tiff.len() {
            for value in [0, 1, 0x7F, 0xFF] {
                let mut broken = tiff.clone();
                broken[at] = value;
                look(&broken);
            }
        }
    }
}

#[test]
fn wrong_counts_of_texts_and_directories_in_a_tiff_have_no_effect() {
    let size =
        u32::try_from(tiff_with(4, 4, vec![Tag::ascii(0x010F, b"Tintype"), Tag::long(0, 0)]).len()).unwrap();
    for tag in [
        Tag::text_at(0x0110, u32::MAX, 0),
        Tag::text_at(0x0110, u32::MAX, u32::MAX),
        Tag::text_at(0x0110, 5, size - 4),
        Tag::text_at(0x0110, 5, u32::MAX),
        Tag::long(0x8769, 0),
        Tag::long(0x8769, 8),
        Tag::long(0x8769, size),
        Tag::long(0x8769, u32::MAX),
        Tag::long(0x8825, 8),
        Tag::long(0x8825, u32::MAX),
    ] {
        let source = tiff_with(4, 4, vec![Tag::ascii(0x010F, b"Tintype"), tag]);
        assert_eq!(source.len(), size as usize);
        let make_alone = Capture {
            make: Some("Tintype".to_owned()),
            ..Capture::default()
        };
        assert_eq!(told(&source).capture, Some(make_alone));
        assert_eq!(location(&source, &Limits::default()), None);
    }
    let empty = Tag::text_at(0x0110, 0, 0);
    assert_eq!(told(&tiff_with(4, 4, vec![empty])).capture, None);
}

/// A block in another format has at most a megabyte; a TIFF can have a hundred, all of them one text.
#[test]
fn pixels_that_are_called_a_text_are_none() {
    let text = |count| tiff_with(2000, 2000, vec![Tag::text_at(0x0110, count, 1000)]);
    let model = |count| told(&text(count)).capture.and_then(|capture| capture.model);
    assert_eq!(model(1 << 20), Some("x".repeat(100)));
    assert_eq!(model((1 << 20) + 1), None);
    assert_eq!(model(3_900_000), None);
}

#[test]
fn a_box_of_exif_may_end_where_the_file_does_and_its_size_is_not_believed() {
    let camera = |source: &[u8]| told(source).capture.and_then(|capture| capture.model);
    let content = [&[0; 4], &greenwich()[..]].concat();
    let with_size = |size: u32, more: &[u8]| [&size.to_be_bytes()[..], b"Exif", more, &content].concat();
    let size = u64::try_from(content.len() + 16).unwrap();
    for behind in [with_size(0, &[]), with_size(1, &size.to_be_bytes())] {
        assert_eq!(
            camera(&boxed_jxl(&[], &behind)).as_deref(),
            Some("Model T"),
            "{:?}",
            &behind[..8]
        );
    }
    for behind in [
        with_size(1, &u64::MAX.to_be_bytes()),
        with_size(1, &15u64.to_be_bytes()),
        with_size(u32::MAX, &[]),
        with_size(7, &[]),
        with_size(8, &[]),
        with_size(11, &[]),
        b"\0\0\0\0Exif".to_vec(),
        b"\0\0\0\x01Exif\0".to_vec(),
    ] {
        let source = boxed_jxl(&[], &behind);
        // The decoder decides if such a file is whole.
        if let Err(error) = probe(&source, &Limits::default()) {
            assert!(!error.to_string().contains("panicked"), "{error}");
        }
        let _ = location(&source, &Limits::default());
    }
    for offset in [1, u32::MAX, u32::try_from(content.len()).unwrap()] {
        let block = boxed(b"Exif", &[&offset.to_be_bytes(), &greenwich()[..]].concat());
        assert_eq!(camera(&boxed_jxl(&block, &[])), None, "{offset}");
    }
    let gap = boxed(
        b"Exif",
        &[&6u32.to_be_bytes(), &b"Exif\0\0"[..], &greenwich()].concat(),
    );
    assert_eq!(camera(&boxed_jxl(&gap, &[])).as_deref(), Some("Model T"));
}

/// There is no Brotli decoder here; and the codestream says itself which side is up.
#[test]
fn a_packed_box_is_passed_over_and_an_orientation_in_a_box_does_not_count() {
    let packed = boxed(b"brob", &[&b"Exif"[..], &[0x0B, 0x02, 0x80, 0x00, 0x03]].concat());
    let info = told(&boxed_jxl(&packed, &[]));
    assert_eq!((info.dimensions.width, info.capture), (64, None));
    let turned = exif_box(&crate::fixtures::exif(6, b"turned"));
    let info = told(&boxed_jxl(&turned, &[]));
    assert_eq!((info.dimensions.width, info.orientation), (64, 1));
}

/// A reader that lists what a block names lists millions of fields here.
#[test]
fn a_block_that_names_its_own_bytes_again_and_again_costs_nothing() {
    let fields: Vec<Tag> = (0..5000u32).map(|at| Tag::long(0x8769, 10 + 12 * at)).collect();
    let mut exif = directory(0, &fields);
    exif[8..10].copy_from_slice(&[0xFF, 0xFF]);
    let source = jpeg(&exif);
    let (info, bytes) = asked_for(|| probe(&source, &Limits::default()).unwrap());
    assert_eq!(info.capture, None);
    assert!(bytes < 4 * source.len(), "{bytes} bytes were asked for");
}

#[test]
fn texts_of_any_length_and_encoding_come_out_short_and_printable() {
    let make = |text: &[u8]| {
        let source = jpeg(&directory(0, &[Tag::ascii(0x010F, text)]));
        told(&source).capture.and_then(|capture| capture.make)
    };
    assert_eq!(make(b"  DJI \0 hidden").as_deref(), Some("DJI"));
    assert_eq!(make(b"A\x07\x1b[31mB\n").as_deref(), Some("A[31mB"));
    assert_eq!(make(b"R\xE9flex").as_deref(), Some("Réflex"));
    assert_eq!(make("Kamera Ł".as_bytes()).as_deref(), Some("Kamera Ł"));
    assert_eq!(make(&[b'x'; 60_000]).map(|text| text.len()), Some(100));
    assert_eq!(make(b"    "), None);
    assert_eq!(make(b""), None);
}

fn bits(one: &Appearance, other: &Appearance) -> u32 {
    let number = |appearance: &Appearance| u64::from_str_radix(&appearance.perceptual_hash, 16).unwrap();
    (number(one) ^ number(other)).count_ones()
}

#[test]
fn a_picture_looks_alike_in_another_size_format_and_quality() {
    let source = rgb_png(800, 600, &photo(800, 600));
    let recipe = one(|variant| {
        (variant.width, variant.height) = (Some(300), Some(300));
        variant.formats = vec![Format::Jpeg];
        variant
            .quality
            .insert(Format::Jpeg, tintype_model::Quality::Fixed(50));
    });
    let small = rendered(&source, &recipe).files.remove(0).bytes;
    let (large, small) = (appearance(&source), appearance(&small));
    assert!(bits(&large, &small) <= 4, "{} bits", bits(&large, &small));
    // Another picture: the same turned upside down.
    let mut turned = photo(800, 600);
    turned.reverse();
    let other = appearance(&rgb_png(800, 600, &turned));
    assert!(bits(&large, &other) >= 16, "{} bits", bits(&large, &other));
}

/// The hashes as other implementations read them.
#[test]
fn placeholders_show_the_picture() {
    // Left half red, right half blue.
    let row: Vec<u8> = (0..200)
        .flat_map(|x| if x < 100 { [220, 30, 30] } else { [30, 30, 220] })
        .collect();
    let told = appearance(&rgb_png(200, 120, &row.repeat(120)));
    let blurred = blurhash::decode(&told.blurhash, 20, 12, 1.0).unwrap();
    let hash = base64(&told.thumbhash);
    let (width, height, thumb) = thumbhash::thumb_hash_to_rgba(&hash).unwrap();
    let ratio = thumbhash::thumb_hash_to_approximate_aspect_ratio(&hash).unwrap();
    assert!((ratio - 5.0 / 3.0).abs() < 0.25, "{ratio}");
    for (pixels, width, height) in [(blurred, 20, 12), (thumb, width, height)] {
        let pixel = |x: usize| &pixels[(height / 2 * width + x) * 4..][..3];
        let (left, right) = (pixel(2), pixel(width - 3));
        assert!(left[0] > 150 && left[2] < 100, "{left:?}");
        assert!(right[2] > 150 && right[0] < 100, "{right:?}");
    }
    let mut palette: Vec<[u8; 3]> = told.palette.iter().map(|color| color.0).collect();
    palette.sort_unstable();
    assert_eq!(palette, [[30, 30, 220], [220, 30, 30]]);
}

fn base64(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

#[test]
fn the_colour_that_covers_most_is_dominant_and_noise_makes_no_others() {
    // A green field with grain, a tenth of it a yellow band.
    let mut random = crate::fixtures::Random(3);
    let pixels: Vec<u8> = (0..200 * 100)
        .flat_map(|at| {
            let grain = u8::try_from(random.next() % 7).unwrap();
            let base = if at < 200 * 10 {
                [230, 220, 40]
            } else {
                [40, 120, 60]
            };
            base.map(|sample: u8| sample + grain)
        })
        .collect();
    let told = appearance(&rgb_png(200, 100, &pixels));
    let near = |Rgb(color): Rgb, other: [u8; 3]| color.iter().zip(other).all(|(a, b)| a.abs_diff(b) <= 6);
    assert_eq!(told.palette.len(), 2, "{:?}", told.palette);
    assert!(near(told.palette[0], [43, 123, 63]), "{:?}", told.palette);
    assert!(near(told.palette[1], [233, 223, 43]), "{:?}", told.palette);
    assert_eq!(told.dominant_color, told.palette[0]);
    let photo = appearance(&rgb_png(300, 200, &photo(300, 200)));
    assert!((2..=6).contains(&photo.palette.len()), "{:?}", photo.palette);
}

#[test]
fn transparent_pixels_do_not_count() {
    // A small orange square; the rest is transparent and claims to be blue.
    let pixels: Vec<u8> = (0..100 * 100)
        .flat_map(|at| {
            let inside = (40..60).contains(&(at % 100)) && (40..60).contains(&(at / 100));
            if inside {
                [250, 140, 20, 255]
            } else {
                [0, 0, 255, 0]
            }
        })
        .collect();
    let told = appearance(&rgba_png(100, 100, &pixels));
    assert_eq!(told.palette, [Rgb([250, 140, 20])]);
    let (width, height, thumb) = thumbhash::thumb_hash_to_rgba(&base64(&told.thumbhash)).unwrap();
    let middle = (height / 2 * width + width / 2) * 4;
    assert!(
        thumb[3] < 60 && thumb[middle + 3] > 100,
        "{} {}",
        thumb[3],
        thumb[middle + 3]
    );
    let nothing = appearance(&rgba_png(10, 10, &[0; 400]));
    assert!(nothing.palette.is_empty());
    assert_eq!(nothing.dominant_color, Rgb([255; 3]), "the background shows");
}

#[test]
fn the_smallest_and_the_thinnest_pictures_have_an_appearance() {
    for (width, height) in [(1, 1), (1, 3000), (3000, 1), (101, 100)] {
        let pixels = photo(width, height);
        let told = appearance(&rgb_png(width, height, &pixels));
        assert_eq!(told.blurhash.len(), 28, "{width}x{height}");
        assert_eq!(told.perceptual_hash.len(), 16);
        assert!(!told.palette.is_empty());
    }
}

/// EXIF turns the picture; its appearance is that of the upright one.
#[test]
fn appearance_is_that_of_the_upright_picture() {
    let pixels = photo(80, 60);
    let turned = Jpeg {
        exif: Some(&crate::fixtures::exif(6, b"turned")),
        ..Jpeg::default()
    };
    let turned = turned.encode(&pixels, 80, 60);
    let file = rendered(&turned, &full_size(&[Format::Png])).files.remove(0);
    let upright = decoded(&file);
    assert_eq!((upright.width, upright.height), (60, 80));
    assert_eq!(appearance(&turned), appearance(&file.bytes));
}
