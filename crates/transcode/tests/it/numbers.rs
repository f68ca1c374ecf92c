//! Colours that PNG tells in numbers, and JPEGs that tell of a gain map.

use png::{BitDepth, ColorType};
use tintype_model::{Format, Limits};
use tintype_transcode::probe;

use crate::fixtures::{self, Jpeg, full_size, photo, rgb_png, with_chunk};
use crate::judge::{decoded, psnr, rendered};

fn shown(source: &[u8]) -> Vec<u8> {
    decoded(&rendered(source, &full_size(&[Format::Png])).files[0]).rgb()
}

fn color_space(source: &[u8]) -> String {
    probe(source, &Limits::default()).unwrap().color_space
}

fn exponent(value: u32) -> [u8; 4] {
    value.to_be_bytes()
}

fn p3() -> Vec<u8> {
    [31_270u32, 32_900, 68_000, 32_000, 26_500, 69_000, 15_000, 6_000]
        .into_iter()
        .flat_map(u32::to_be_bytes)
        .collect()
}

#[test]
fn high_range_png_is_brought_to_that_of_a_screen() {
    // 203 cd/m², the white of paper, is 58.07 % of PQ's range and 75 % of HLG's; 1,000 cd/m² is 75.18 % and 100 %.
    for (transfer, white, peak, word) in [(16, 38_057u16, 49_270u16, "pq"), (18, 49_151, 65_535, "hlg")] {
        let grey: Vec<u8> = [0, white, peak, peak]
            .into_iter()
            .flat_map(u16::to_be_bytes)
            .collect();
        let source = fixtures::png(4, 1, ColorType::Grayscale, BitDepth::Sixteen, &grey, |_| {});
        let source = with_chunk(&source, b"cICP", &[9, transfer, 0, 1]);
        let found = shown(&source);
        assert_eq!(found[..3], [0; 3]);
        assert!(
            found[3..6].iter().all(|value| (220..240).contains(value)),
            "{word} {found:?}"
        );
        assert!(found[6..].iter().all(|&value| value >= 254), "{word} {found:?}");
        let rgb = with_chunk(&rgb_png(4, 4, &photo(4, 4)), b"cICP", &[9, transfer, 0, 1]);
        assert_eq!(color_space(&rgb), word);
    }
}

#[test]
fn code_points_count_before_a_profile_and_a_profile_before_gamma() {
    let pixels = photo(32, 24);
    let icc = moxcms::ColorProfile::new_pro_photo_rgb().encode().unwrap();
    let with_icc = fixtures::png(32, 24, ColorType::Rgb, BitDepth::Eight, &pixels, |info| {
        info.icc_profile = Some(icc.into());
    });
    let plain = rgb_png(32, 24, &pixels);
    let code_points = |png: &[u8]| with_chunk(png, b"cICP", &[12, 13, 0, 1]);
    assert_eq!(color_space(&code_points(&with_icc)), "display-p3");
    assert_eq!(shown(&code_points(&with_icc)), shown(&code_points(&plain)));
    assert_ne!(shown(&code_points(&plain)), pixels);
    let gamma = |png: &[u8]| with_chunk(png, b"gAMA", &exponent(100_000));
    assert_eq!(shown(&gamma(&with_icc)), shown(&with_icc));
    assert_ne!(shown(&gamma(&plain)), pixels);
    assert_eq!(shown(&with_chunk(&gamma(&plain), b"sRGB", &[0])), pixels);
    // sRGB, and the range of video.
    for numbers in [[1, 13, 0, 1], [12, 13, 0, 0]] {
        assert_eq!(
            shown(&with_chunk(&plain, b"cICP", &numbers)),
            pixels,
            "{numbers:?}"
        );
    }
}

#[test]
fn gamma_and_primaries_change_what_they_should() {
    let linear = with_chunk(
        &rgb_png(2, 1, &[55, 55, 55, 255, 0, 0]),
        b"gAMA",
        &exponent(100_000),
    );
    assert_eq!(color_space(&linear), "gamma");
    let found = shown(&linear);
    assert!(found[..3].iter().all(|grey| grey.abs_diff(128) <= 1), "{found:?}");
    assert_eq!(found[3..], [255, 0, 0]);
    let usual = with_chunk(
        &rgb_png(2, 1, &[55, 55, 55, 255, 0, 0]),
        b"gAMA",
        &exponent(45_455),
    );
    assert_eq!(shown(&usual), [55, 55, 55, 255, 0, 0]);
    // Primaries alone, against the same in code points.
    let pixels = photo(16, 16);
    let told = with_chunk(&rgb_png(16, 16, &pixels), b"cHRM", &p3());
    let numbered = with_chunk(&rgb_png(16, 16, &pixels), b"cICP", &[12, 13, 0, 1]);
    assert!(psnr(&shown(&told), &shown(&numbered)) > 50.0);
    let broken = with_chunk(&rgb_png(16, 16, &pixels), b"cHRM", &[0; 32]);
    assert_eq!(shown(&broken), pixels);
}

#[test]
fn a_gain_map_is_told_and_left_out() {
    let pixels = photo(48, 32);
    let plain = Jpeg::default().encode(&pixels, 48, 32);
    let segment = |marker: u8, data: &[u8]| {
        let length = u16::try_from(data.len() + 2).unwrap().to_be_bytes();
        [&plain[..2], &[0xFF, marker], &length, data, &plain[2..]].concat()
    };
    let has = |source: &[u8]| probe(source, &Limits::default()).unwrap().has_gain_map;
    let xmp =
        b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:hdrgm=\"http://ns.adobe.com/hdr-gain-map/1.0/\"/>";
    let ultra_hdr = [
        &segment(0xE1, xmp)[..],
        &Jpeg::default().encode(&photo(8, 8), 8, 8),
    ]
    .concat();
    assert!(has(&ultra_hdr));
    assert!(has(&segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\0\0\0\0\0")));
    assert!(!has(&plain));
    assert!(!has(&segment(
        0xE1,
        b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta/>"
    )));
    assert_eq!(shown(&ultra_hdr), shown(&plain));
}
