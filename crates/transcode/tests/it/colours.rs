//! Colours: profiles in every format that carries them, ink, and wrong profiles.

use moxcms::{ColorProfile, Layout, TransformOptions};
use png::{BitDepth, ColorType};
use tintype_model::{Format, Limits};
use tintype_transcode::probe;

use crate::fixtures::{self, Jpeg, full_size, photo};
use crate::judge::{Decoded, decoded, psnr, rendered};

fn shown(source: &[u8]) -> Decoded {
    decoded(&rendered(source, &full_size(&[Format::Png])).files[0])
}

/// The same colours, in the terms of `profile`.
fn expressed_in(profile: &ColorProfile, srgb: &[u8]) -> Vec<u8> {
    let transform = ColorProfile::new_srgb()
        .create_transform_8bit(Layout::Rgb, profile, Layout::Rgb, TransformOptions::default())
        .unwrap();
    let mut out = vec![0; srgb.len()];
    transform.transform(srgb, &mut out).unwrap();
    out
}

#[test]
fn wide_gamut_sources_keep_their_colours() {
    let (width, height) = (96, 64);
    let srgb = photo(width, height);
    for (name, profile) in [
        ("Display P3", ColorProfile::new_display_p3()),
        ("Adobe RGB", ColorProfile::new_adobe_rgb()),
        ("ProPhoto", ColorProfile::new_pro_photo_rgb()),
        ("BT.2020", ColorProfile::new_bt2020()),
    ] {
        let icc = profile.encode().unwrap();
        let wide = expressed_in(&profile, &srgb);
        assert!(psnr(&srgb, &wide) < 35.0, "{name} changes nothing");
        let jpeg = Jpeg {
            icc: Some(&icc),
            ..Jpeg::default()
        };
        let deep: Vec<u8> = wide.iter().flat_map(|&byte| [byte; 2]).collect();
        let with_profile = |info: &mut png::Info<'_>| info.icc_profile = Some(icc.clone().into());
        for (format, least, source) in [
            ("jpeg", 32.0, jpeg.encode(&wide, width, height)),
            (
                "png",
                40.0,
                fixtures::png(
                    width,
                    height,
                    ColorType::Rgb,
                    BitDepth::Eight,
                    &wide,
                    with_profile,
                ),
            ),
            (
                "png16",
                40.0,
                fixtures::png(
                    width,
                    height,
                    ColorType::Rgb,
                    BitDepth::Sixteen,
                    &deep,
                    with_profile,
                ),
            ),
            (
                "webp",
                40.0,
                fixtures::webp(width, height, &wide, None, Some(&icc)),
            ),
        ] {
            let told = probe(&source, &Limits::default()).unwrap();
            assert_eq!(told.color_space, "icc", "{name} in {format}");
            let psnr = psnr(&srgb, &shown(&source).rgb());
            assert!(psnr > least, "{name} in {format}: {psnr} dB");
        }
    }
}

#[test]
fn a_profile_in_the_wrong_place_is_ignored() {
    let pixels = photo(40, 30);
    let grey = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
    let half = ColorProfile::new_display_p3().encode().unwrap();
    let plain = shown(&Jpeg::default().encode(&pixels, 40, 30));
    for icc in [&grey[..], &half[..half.len() / 2], b"not a profile", &[0; 128]] {
        let jpeg = Jpeg {
            icc: Some(icc),
            ..Jpeg::default()
        };
        let source = jpeg.encode(&pixels, 40, 30);
        assert_eq!(shown(&source), plain);
        assert_eq!(probe(&source, &Limits::default()).unwrap().color_space, "srgb");
    }
}

#[test]
fn grey_profiles_change_grey() {
    let linear = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
    let grey = [55u8; 64];
    let source = fixtures::png(8, 8, ColorType::Grayscale, BitDepth::Eight, &grey, |info| {
        info.icc_profile = Some(linear.into());
    });
    let image = shown(&source);
    // 55 / 255 of the light is sRGB 128.
    assert!(
        image.rgb().iter().all(|value| value.abs_diff(128) <= 1),
        "{:?}",
        image.pixel(0, 0)
    );
}

#[test]
fn ink_comes_out_in_its_colours() {
    // As Adobe stores it: 255 is no ink. Cyan, magenta, yellow, black, none; then half black over nothing.
    let inks = [
        [0, 255, 255, 255],
        [255, 0, 255, 255],
        [255, 255, 0, 255],
        [255, 255, 255, 0],
        [255; 4],
        [255, 255, 255, 128],
    ];
    let colors = [
        [0, 255, 255],
        [255, 0, 255],
        [255, 255, 0],
        [0, 0, 0],
        [255; 3],
        [128; 3],
    ];
    let pixels: Vec<u8> = (0..16)
        .flat_map(|_| inks.iter().flat_map(|ink| ink.repeat(16)))
        .collect();
    let source = Jpeg::default().encode(&pixels, 96, 16);
    assert_eq!(probe(&source, &Limits::default()).unwrap().color_space, "cmyk");
    let image = shown(&source);
    for (at, want) in (0..).zip(colors) {
        let got = image.pixel(at * 16 + 8, 8);
        assert!(
            (0..3).all(|channel| got[channel].abs_diff(want[channel]) <= 12),
            "{got:?}, want {want:?}"
        );
    }
}
