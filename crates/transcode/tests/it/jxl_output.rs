//! JPEG XL: lossy, lossless, and JPEGs that keep their coefficients; all decoded by jxl-rs.

use tintype_model::{Format, Quality, Recipe};

use crate::fixtures::{self, Jpeg, full_size, photo, rgb_png, rgba_png};
use crate::judge::{decoded, jpeg, jxl, psnr, rendered};

/// JPEG XL at that quality and full size.
fn recipe(quality: Quality) -> Recipe {
    let mut recipe = full_size(&[Format::Jxl, Format::Png]);
    recipe.variants[0].quality.insert(Format::Jxl, quality);
    recipe
}

fn encoded(source: &[u8], quality: Quality) -> tintype_model::RenderedFile {
    rendered(source, &recipe(quality)).files.remove(0)
}

fn with_alpha(width: u32, height: u32) -> Vec<u8> {
    let pixels = photo(width, height);
    let pixels = pixels.chunks_exact(3).enumerate();
    pixels
        .flat_map(|(at, pixel)| [pixel[0], pixel[1], pixel[2], u8::try_from(at / 7 % 256).unwrap()])
        .collect()
}

#[test]
fn lossless_is_exact_with_alpha_and_without() {
    let (width, height) = (211, 97);
    let opaque = photo(width, height);
    let file = encoded(&rgb_png(width, height, &opaque), Quality::Lossless);
    assert_eq!(decoded(&file).rgb(), opaque);
    let clear = with_alpha(width, height);
    let file = encoded(&rgba_png(width, height, &clear), Quality::Lossless);
    assert_eq!(decoded(&file).rgba, clear);
    let webp = {
        let mut recipe = full_size(&[Format::Webp, Format::Png]);
        recipe.variants[0].quality.insert(Format::Webp, Quality::Lossless);
        rendered(&rgba_png(width, height, &clear), &recipe)
            .files
            .remove(0)
    };
    assert_eq!(decoded(&webp).rgba, clear);
}

#[test]
fn lossy_pictures_keep_their_alpha() {
    let (width, height) = (211, 97);
    let pixels = with_alpha(width, height);
    let image = decoded(&encoded(&rgba_png(width, height, &pixels), Quality::Fixed(80)));
    let alpha = |rgba: &[u8]| rgba.chunks_exact(4).map(|pixel| pixel[3]).collect::<Vec<_>>();
    assert_eq!(alpha(&pixels), alpha(&image.rgba));
}

/// The same picture as grey, 4:4:4, 4:2:0 and progressive JPEG, each turned in its own way.
fn jpegs(width: u32, height: u32) -> Vec<(&'static str, u16, Vec<u8>)> {
    let pixels = photo(width, height);
    let grey: Vec<u8> = pixels.chunks_exact(3).map(|pixel| pixel[1]).collect();
    let encode = |pixels: &[u8], orientation: u16, subsampled, progressive| {
        let exif = fixtures::exif(orientation, b"CANARY");
        let jpeg = Jpeg {
            exif: Some(&exif),
            comment: Some(b"CANARY"),
            subsampled,
            progressive,
            ..Jpeg::default()
        };
        jpeg.encode(pixels, width, height)
    };
    vec![
        ("grey", 1, encode(&grey, 1, false, false)),
        ("4:4:4", 6, encode(&pixels, 6, false, false)),
        ("4:2:0", 1, encode(&pixels, 1, true, false)),
        ("progressive", 3, encode(&pixels, 3, true, true)),
    ]
}

#[test]
fn a_lossless_jpeg_keeps_its_coefficients() {
    for (name, orientation, source) in jpegs(320, 240) {
        let file = encoded(&source, Quality::Lossless);
        assert!(
            file.bytes.len() < source.len() * 92 / 100,
            "{name}: {} bytes from {}",
            file.bytes.len(),
            source.len()
        );
        assert!(file.bytes.starts_with(&[0xFF, 0x0A]), "{name} is in a container");
        let expected = rendered(&source, &full_size(&[Format::Png])).files.remove(0);
        let (expected, shown) = (decoded(&expected), decoded(&file));
        assert_eq!(expected.width, if orientation == 6 { 240 } else { 320 }, "{name}");
        // Decoders round the inverse transform and smooth subsampled colour each in their own way.
        let psnr = psnr(&expected.rgb(), &shown.rgb());
        assert!(psnr > 42.0, "{name}: {psnr} dB");
        assert!(!file.bytes.windows(6).any(|window| window == b"CANARY"), "{name}");
    }
}

#[test]
fn a_profile_stays_with_the_coefficients_that_it_describes() {
    let mut profile = moxcms::ColorProfile::new_display_p3();
    profile.description = Some(moxcms::ProfileText::PlainString("the screen of Petra".to_owned()));
    let icc = profile.encode().unwrap();
    let pixels = photo(160, 120);
    let [plain, wide] = [None, Some(&icc[..])].map(|icc| {
        let source = Jpeg {
            icc,
            ..Jpeg::default()
        };
        encoded(&source.encode(&pixels, 160, 120), Quality::Lossless).bytes
    });
    assert!(wide.len() > plain.len() + 40);
    // Its colours stay, and its texts do not.
    let told = rendered(&wide, &full_size(&[Format::Png])).image;
    assert_eq!((told.color_space.as_str(), told.icc_description), ("icc", None));
    // The decoder gives the values as they are stored: the same in both.
    assert_eq!(jxl(&wide).rgba, jxl(&plain).rgba);
}

#[test]
fn scaled_and_inked_jpegs_are_lossless_pixels() {
    let source = Jpeg::default().encode(&photo(320, 240), 320, 240);
    let mut small = recipe(Quality::Lossless);
    small.variants[0].width = Some(100);
    let files = rendered(&source, &small).files;
    assert_eq!(decoded(&files[0]), decoded(&files[1]));
    let ink: Vec<u8> = photo(160, 120)
        .chunks_exact(3)
        .flat_map(|pixel| [pixel[0], pixel[1], pixel[2], 200])
        .collect();
    let source = Jpeg::default().encode(&ink, 160, 120);
    let files = rendered(&source, &recipe(Quality::Lossless)).files;
    assert_eq!(decoded(&files[0]), decoded(&files[1]));
}

#[test]
fn a_lossy_jxl_of_a_jpeg_is_smaller_than_a_lossless_one() {
    let source = Jpeg::default().encode(&photo(320, 240), 320, 240);
    let [lossy, lossless] =
        [Quality::Fixed(60), Quality::Lossless].map(|quality| encoded(&source, quality).bytes.len());
    assert!(lossy * 2 < lossless, "{lossy} {lossless}");
    assert!(
        psnr(
            &jpeg(&source).rgb(),
            &jxl(&encoded(&source, Quality::Fixed(90)).bytes).rgb()
        ) > 35.0
    );
}

#[test]
fn auto_reaches_its_target_and_lossless_files_need_no_score_to_be_large() {
    let source = rgb_png(400, 300, &photo(400, 300));
    let file = encoded(&source, Quality::Auto { target: 75 });
    let score = file.encoding.score.unwrap();
    assert!(score > 74.4, "{:?}", file.encoding);
    assert!(!file.encoding.is_lossless);
    let mut recipe = full_size(&[Format::Jxl, Format::Jpeg]);
    recipe.variants[0].quality.insert(Format::Jxl, Quality::Lossless);
    let files = rendered(&source, &recipe).files;
    assert!(files[0].encoding.is_lossless);
    assert!(files[0].bytes.len() > files[1].bytes.len());
    assert!(files[0].encoding.larger_because.is_some() && files[0].encoding.score.is_none());
}
