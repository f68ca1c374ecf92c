//! JPEG XL as another crate writes it.

use jixel::{
    ColorEncoding, EncodeConfig, Orientation, TransferFunction, encode_image, encode_image_16bit,
    encode_image_gray, encode_image_with_alpha,
};
use moxcms::ColorProfile;
use tintype_model::{Dimensions, Limits};
use tintype_transcode::{Error, probe};

use crate::fixtures::photo;
use crate::judge::{psnr, rejection, score, shown, told};

fn lossless() -> EncodeConfig {
    EncodeConfig::default().with_lossless(true)
}

#[test]
fn lossless_pixels_come_out_as_they_went_in() {
    let (width, height) = (70, 50);
    let pixels = photo(width, height);
    let size = (width as usize, height as usize);
    let rgb = encode_image(&pixels, size.0, size.1, &lossless()).unwrap();
    assert_eq!(shown(&rgb).rgb(), pixels);
    assert_eq!(
        (told(&rgb).format.as_str(), told(&rgb).color_space.as_str()),
        ("jxl", "srgb")
    );
    let rgba: Vec<u8> = pixels
        .chunks_exact(3)
        .flat_map(|p| [p[0], p[1], p[2], p[1]])
        .collect();
    let cut_out = encode_image_with_alpha(&rgba, size.0, size.1, &lossless()).unwrap();
    assert!(told(&cut_out).has_alpha);
    assert_eq!(shown(&cut_out).rgba, rgba);
    let grey: Vec<u8> = pixels.chunks_exact(3).map(|pixel| pixel[1]).collect();
    let source = encode_image_gray(&grey, size.0, size.1, &lossless()).unwrap();
    assert_eq!(told(&source).color_space, "grey");
    assert_eq!(
        shown(&source).rgb(),
        grey.iter().flat_map(|&grey| [grey; 3]).collect::<Vec<u8>>()
    );
    let deep: Vec<u16> = pixels.iter().map(|&byte| u16::from(byte) * 257).collect();
    let source = encode_image_16bit(&deep, size.0, size.1, &lossless()).unwrap();
    assert_eq!(told(&source).bit_depth, 16);
    assert_eq!(shown(&source).rgb(), pixels);
}

#[test]
fn lossy_pictures_look_like_themselves_in_any_colours() {
    let (width, height) = (256, 192);
    let pixels = photo(width, height);
    let size = (width as usize, height as usize);
    let config = EncodeConfig::default().with_quality(92.0);
    let plain = encode_image(&pixels, size.0, size.1, &config).unwrap();
    let found = score(&shown(&plain).rgb(), &pixels, width, height);
    assert!(found > 75.0, "{found}");
    // The same numbers mean more saturated colours in Display P3.
    let config = EncodeConfig::default()
        .with_quality(92.0)
        .with_color_encoding(ColorEncoding::display_p3());
    let wide = encode_image(&pixels, size.0, size.1, &config).unwrap();
    assert_eq!(told(&wide).color_space, "display-p3");
    let transform = ColorProfile::new_display_p3()
        .create_transform_8bit(
            moxcms::Layout::Rgb,
            &ColorProfile::new_srgb(),
            moxcms::Layout::Rgb,
            moxcms::TransformOptions::default(),
        )
        .unwrap();
    let mut expected = vec![0; pixels.len()];
    transform.transform(&pixels, &mut expected).unwrap();
    let (right, wrong) = (
        psnr(&shown(&wide).rgb(), &expected),
        psnr(&shown(&wide).rgb(), &pixels),
    );
    assert!(right > 30.0 && right > wrong + 3.0, "{right} dB, {wrong} dB");
}

#[test]
fn embedded_profiles_and_orientations_are_applied() {
    let pixels = photo(40, 30);
    let icc = ColorProfile::new_display_p3().encode().unwrap();
    let config = lossless()
        .with_icc_profile(icc)
        .with_orientation(Orientation::from_exif(6).unwrap());
    let source = encode_image(&pixels, 40, 30, &config).unwrap();
    let info = told(&source);
    assert_eq!((info.orientation, info.color_space.as_str()), (6, "icc"));
    assert_eq!(
        info.dimensions,
        Dimensions {
            width: 30,
            height: 40
        }
    );
    let first = shown(&source).pixel(29, 0);
    assert!(psnr(&first[..3], &pixels[..3]) > 20.0, "{first:?}");
}

#[test]
fn limits_come_from_the_header() {
    let source = encode_image(&photo(64, 64), 64, 64, &EncodeConfig::default()).unwrap();
    let limits = |max_pixels| Limits {
        max_pixels,
        ..Limits::default()
    };
    assert!(probe(&source, &limits(4096)).is_ok());
    match probe(&source, &limits(4095)) {
        Err(Error::Rejected(rejection)) => assert_eq!(rejection.code.name(), "too_many_pixels"),
        other => panic!("{other:?}"),
    }
    let (code, detail) = rejection(&source[..source.len() / 2]);
    assert_eq!(code, "corrupt_image", "{detail}");
    assert_eq!(rejection(b"\xFF\x0A").0, "corrupt_image");
}

#[test]
fn light_follows_from_samples_by_each_transfer_function() {
    let srgb = |light: f64| {
        let light = light.clamp(0.0, 1.0);
        let value = if light <= 0.003_130_8 {
            12.92 * light
        } else {
            1.055 * light.powf(1.0 / 2.4) - 0.055
        };
        value * 255.0
    };
    // ISO/IEC 18181-1 annex E: the inverse of what each is for.
    type Light = fn(f64) -> f64;
    let cases: [(TransferFunction, &str, Light); 4] = [
        (TransferFunction::Srgb, "srgb", |value| {
            if value <= 0.040_45 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        }),
        (TransferFunction::Linear, "cicp", |value| value),
        (TransferFunction::Bt709, "gamma", |value| {
            if value < 0.081 {
                value / 4.5
            } else {
                ((value + 0.0993) / 1.0993).powf(1.0 / 0.45)
            }
        }),
        (TransferFunction::Smpte428, "gamma", |value| value.powf(2.6)),
    ];
    let ramp: Vec<u8> = (0..=255u8).flat_map(|value| [value; 3]).collect();
    for (transfer, name, light) in cases {
        let encoding = ColorEncoding {
            transfer,
            ..ColorEncoding::srgb()
        };
        let config = lossless().with_color_encoding(encoding);
        let source = encode_image(&ramp, 16, 16, &config).unwrap();
        assert_eq!(told(&source).color_space, name, "{transfer:?}");
        let seen = shown(&source).rgb();
        for (value, seen) in (0..=255u32).zip(seen.chunks_exact(3)) {
            let expected = srgb(light(f64::from(value) / 255.0));
            for &seen in seen {
                assert!(
                    (f64::from(seen) - expected).abs() < 1.6,
                    "{transfer:?}: {value} is {seen}, not {expected}"
                );
            }
        }
    }
}
