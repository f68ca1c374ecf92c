//! Hostile files: each ends in renditions or a rejection.

use tintype_model::{Limits, Recipe};
use tintype_transcode::{Error, probe, render};

use crate::fixtures::{self, Jpeg, Random, one, photo, rgb_png};
use crate::jpeg_rules;
use crate::judge::rejection;
use crate::lenient;
use crate::memory::asked_for;
use crate::specimens::specimens;
use crate::tiff_channels;

fn sources() -> Vec<(String, Vec<u8>)> {
    let rgb = photo(48, 40);
    // Nothing here encodes the picture of a HEIC: that one is never whole.
    let whole = specimens()
        .into_iter()
        .filter(|specimen| specimen.format != "heic")
        .map(|specimen| (format!("{} {}", specimen.format, specimen.name), specimen.bytes));
    let others = [
        ("JPEG without tables", jpeg_rules::without_tables()),
        ("PNG with a part that moves", lenient::animated_png().0),
        ("BMP of OS/2", lenient::of_os2(&fixtures::bmp(48, 40, &rgb))),
        ("TIFF in planes", tiff_channels::in_planes()),
    ];
    whole
        .chain(others.map(|(name, source)| (name.to_owned(), source)))
        .collect()
}

fn small() -> Recipe {
    one(|variant| variant.width = Some(16))
}

/// Renders, and fails on anything but renditions or a rejection. Tells whether all of a picture is published.
fn try_source(source: &[u8], message: &dyn Fn() -> String) -> bool {
    match render(source, &small(), &Limits::default(), 1) {
        Ok(rendered) => {
            assert!(probe(source, &Limits::default()).is_ok(), "{}", message());
            !rendered.image.is_truncated
        }
        Err(Error::Rejected(rejection)) => {
            assert!(!rejection.detail.is_empty());
            false
        }
        Err(error) => panic!("{}: {error}", message()),
    }
}

#[test]
fn a_file_that_is_cut_off_is_never_published_as_whole() {
    for (name, source) in sources() {
        assert!(try_source(&source, &|| name.clone()), "{name} is whole");
        let step = source.len() / 150 + 1;
        for length in (0..source.len()).step_by(step) {
            let passed = try_source(&source[..length], &|| format!("{name} cut at {length}"));
            // Animations have all that is shown once the first frame is there; the rest has its end mark last.
            let enough = match name.as_str() {
                "gif animated"
                | "webp animated"
                | "png animated"
                | "avif sequence"
                | "PNG with a part that moves" => 0.34,
                _ => 0.97,
            };
            let share = length as f64 / source.len() as f64;
            assert!(
                !passed || share > enough,
                "{name} cut at {length} of {}",
                source.len()
            );
        }
    }
}

/// The number of mutations that are tried of each source; `TINTYPE_FUZZ_ROUNDS` asks for more.
fn rounds() -> u32 {
    option_env!("TINTYPE_FUZZ_ROUNDS")
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(120)
}

#[test]
fn flipped_bits_end_in_renditions_or_a_rejection() {
    for (name, source) in sources() {
        let mut random = Random(2024);
        for round in 0..rounds() {
            let mut broken = source.clone();
            for _ in 0..=random.below(4) {
                let at = random.below(broken.len());
                broken[at] ^= 1 << random.below(8);
            }
            try_source(&broken, &|| format!("{name}, round {round} of seed 2024"));
        }
        // The header is where sizes and counts are: it gets a round of its own, with whole bytes.
        for round in 0..rounds() {
            let mut broken = source.clone();
            let at = random.below(broken.len().min(64));
            broken[at] = u8::try_from(random.below(256)).unwrap();
            try_source(&broken, &|| format!("{name}, header round {round} of seed 2024"));
        }
    }
}

#[test]
fn sizes_are_refused_from_the_header_before_anything_is_allocated() {
    let mut jpeg = Jpeg::default().encode(&photo(8, 8), 8, 8);
    let frame = jpeg.windows(2).position(|marker| marker == [0xFF, 0xC0]).unwrap();
    jpeg[frame + 5..frame + 9].fill(0xFF);
    let mut png = b"\x89PNG\r\n\x1A\n".to_vec();
    png.extend(fixtures::chunk(
        b"IHDR",
        &[0x7F, 0xFF, 0xFF, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 8, 6, 0, 0, 0],
    ));
    let gif = b"GIF89a\xFF\xFF\xFF\xFF\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02L\x01\0;".to_vec();
    let mut lossless = fixtures::webp(8, 8, &photo(8, 8), None, None);
    lossless[21..25].copy_from_slice(&[0xFF, 0xFF, 0xFF, 0x0F]);
    let mut bmp = fixtures::bmp(8, 8, &photo(8, 8));
    bmp[18..26].fill(0x7F);
    for source in [jpeg, png, gif, lossless, bmp] {
        let ((code, detail), bytes) = asked_for(|| rejection(&source));
        assert_eq!(code, "too_many_pixels", "{detail}");
        assert!(bytes < 64 << 10, "{bytes} bytes were asked for: {detail}");
    }
}

#[test]
fn a_webp_whose_bitstream_is_larger_than_its_canvas_is_refused() {
    let still = fixtures::webp(40, 30, &photo(40, 30), None, None);
    let (code, detail) = rejection(&fixtures::animated_webp((50, 40), (0, 0), (20, 15), &still, 1));
    assert_eq!(code, "corrupt_image", "{detail}");
    let (code, detail) = rejection(&fixtures::animated_webp((50, 40), (20, 20), (40, 30), &still, 1));
    assert_eq!(code, "corrupt_image", "{detail}");
}

#[test]
fn a_gif_that_ends_in_the_head_of_its_first_frame_has_no_size_to_tell() {
    let head = [0, 0, 0, 0, 4, 0, 4, 0, 0x87];
    for end in 0..=head.len() {
        let source = [&b"GIF89a\x04\0\x04\0\0\0\0,"[..], &head[..end]].concat();
        match probe(&source, &Limits::default()) {
            Err(Error::Rejected(rejection)) => assert_eq!(rejection.code.name(), "corrupt_image"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_scan_whose_header_is_too_short_is_no_reason_to_panic() {
    // Files that lack tables are written anew, scan headers included.
    let mut source = jpeg_rules::without_tables();
    let end = source.len() - 2;
    source.splice(end..end, [0xFF, 0xDA, 0, 3, 1]);
    if let Err(error) = render(&source, &small(), &Limits::default(), 1) {
        assert!(!error.to_string().contains("panicked"), "{error}");
    }
}

#[test]
fn limits_hold_at_their_edge() {
    let source = rgb_png(100, 50, &photo(100, 50));
    let limits = |max_pixels, max_bytes| Limits {
        max_pixels,
        max_bytes,
        ..Limits::default()
    };
    let bytes = source.len() as u64;
    assert!(probe(&source, &limits(5000, bytes)).is_ok());
    let code = |limits: Limits| match probe(&source, &limits) {
        Err(Error::Rejected(rejection)) => rejection.code.name(),
        other => panic!("{other:?}"),
    };
    assert_eq!(code(limits(4999, bytes)), "too_many_pixels");
    assert_eq!(code(limits(5000, bytes - 1)), "too_many_bytes");

    let still = fixtures::webp(2, 2, &[7; 16], None, None);
    let animations = [
        fixtures::gif((4, 4), (0, 0), (4, 4), &[1; 16], 5),
        fixtures::animated_webp((4, 4), (0, 0), (2, 2), &still, 5),
    ];
    for source in animations {
        let frames = |max_frames| Limits {
            max_frames,
            ..Limits::default()
        };
        assert_eq!(probe(&source, &frames(5)).unwrap().frames, 5);
        match probe(&source, &frames(4)) {
            Err(Error::Rejected(rejection)) => assert_eq!(rejection.code.name(), "too_many_frames"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn metadata_that_inflates_without_end_is_left_alone() {
    // 64 MiB of zeros as a stored-block-free deflate stream is out of reach by hand; the encoder makes one.
    let profile = vec![0; 64 << 20];
    let source = fixtures::png(
        1,
        1,
        png::ColorType::Rgb,
        png::BitDepth::Eight,
        &[1, 2, 3],
        |info| {
            info.icc_profile = Some(profile.into());
        },
    );
    assert!(source.len() < 1 << 20, "{}", source.len());
    let (told, bytes) = asked_for(|| probe(&source, &Limits::default()).unwrap());
    assert_eq!((told.color_space.as_str(), told.icc_description), ("srgb", None));
    assert!(bytes < 16 << 20, "{bytes} bytes were asked for");
}

#[test]
fn scans_without_end_are_refused() {
    let grey: Vec<u8> = photo(512, 512).chunks_exact(3).map(|pixel| pixel[0]).collect();
    let jpeg = Jpeg {
        progressive: true,
        ..Jpeg::default()
    };
    let source = jpeg.encode(&grey, 512, 512);
    let scans: Vec<usize> = source
        .windows(2)
        .enumerate()
        .filter(|(_, marker)| *marker == [0xFF, 0xDA])
        .map(|(at, _)| at)
        .collect();
    // A decoder takes the first scan, which has the DC coefficients, as often as it comes, and each time is a pass.
    let with_first = |times| {
        let first = source[scans[0]..scans[1]].repeat(times);
        [&source[..scans[0]], &first, &source[scans[1]..]].concat()
    };
    assert!(render(&with_first(2), &small(), &Limits::default(), 1).is_ok());
    let bomb = with_first(1000);
    let (code, detail) = rejection(&bomb);
    assert_eq!(code, "corrupt_image", "{detail}");
    // The scans behind the limit were not decoded.
    assert!(detail.contains("scans"), "{detail}");
}

#[test]
fn formats_that_are_not_read_are_named() {
    for (source, found) in [
        (&b"\0\0\0\x14ftypqt  \0\0\0\0qt  "[..], "QuickTime"),
        (b"FUJIFILMCCD-RAW 0201", "Fujifilm"),
        (b"%PDF-1.7", "PDF"),
        (b"hello", "no known image format"),
    ] {
        let (code, detail) = rejection(source);
        assert_eq!(code, "unsupported_format");
        assert!(detail.contains(found), "{detail}");
    }
    assert_eq!(rejection(b"").0, "empty");
}
