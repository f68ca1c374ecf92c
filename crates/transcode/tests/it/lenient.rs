//! Files that break a rule of their format and that browsers show all the same, and files whose format has a rule for that.

use moxcms::ColorProfile;
use tintype_model::{Format, Limits};
use tintype_transcode::{probe, render};

use crate::fixtures::{self, full_size, photo, rgb_png};
use crate::judge::{Decoded, decoded, psnr, rejection, rendered, shown, told};

const CHUNKS: [(&[u8; 4], u8); 4] = [(b"ICCP", 0x20), (b"ALPH", 0x10), (b"EXIF", 0x08), (b"XMP ", 0x04)];

/// The bitstream chunk of a lossy and of a lossless picture, each with its padding.
fn bitstreams(width: u32, height: u32) -> [Vec<u8>; 2] {
    let rgb = photo(width, height);
    let lossy = rendered(&rgb_png(width, height, &rgb), &full_size(&[Format::Webp]));
    assert_eq!(&lossy.files[0].bytes[12..16], b"VP8 ");
    let lossless = fixtures::webp(width, height, &rgb, None, None);
    assert_eq!(&lossless[12..16], b"VP8L");
    [lossy.files[0].bytes[12..].to_vec(), lossless[12..].to_vec()]
}

/// A file of the extended format.
fn extended(flags: u8, (width, height): (u32, u32), chunks: &[u8]) -> Vec<u8> {
    let mut header = vec![flags, 0, 0, 0];
    for side in [width, height] {
        header.extend(&(side - 1).to_le_bytes()[..3]);
    }
    fixtures::riff(
        b"RIFF",
        &[b"WEBP", &fixtures::riff(b"VP8X", &header)[..], chunks].concat(),
    )
}

#[test]
fn a_webp_may_promise_chunks_that_it_does_not_have() {
    let size = (40, 30);
    for bitstream in bitstreams(size.0, size.1) {
        let plain = shown(&fixtures::riff(b"RIFF", &[b"WEBP", &bitstream[..]].concat()));
        for flags in 0..16u8 {
            let flags = CHUNKS
                .iter()
                .enumerate()
                .filter(|(at, _)| flags >> at & 1 == 1)
                .fold(0, |all, (_, (_, flag))| all | flag);
            let source = extended(flags, size, &bitstream);
            assert!(shown(&source) == plain, "{flags:x}");
            let is_lossy = bitstream.starts_with(b"VP8 ");
            assert_eq!(
                told(&source).has_alpha,
                flags & 0x10 != 0 && !is_lossy,
                "{flags:x}"
            );
        }
    }
}

#[test]
fn alpha_of_a_lossless_webp_counts_without_a_flag() {
    let rgba: Vec<u8> = photo(40, 30)
        .chunks_exact(3)
        .flat_map(|pixel| [pixel[0], pixel[1], pixel[2], pixel[1]])
        .collect();
    let plain = fixtures::webp(40, 30, &rgba, None, None);
    for flags in [0, 0x10] {
        let source = extended(flags, (40, 30), &plain[12..]);
        assert!(told(&source).has_alpha, "{flags:x}");
        assert!(shown(&source).rgba == rgba, "{flags:x}");
    }
}

#[test]
fn bytes_behind_a_webp_do_not_belong_to_it() {
    let size = (40, 30);
    for bitstream in bitstreams(size.0, size.1) {
        let simple = fixtures::riff(b"RIFF", &[b"WEBP", &bitstream[..]].concat());
        let still = fixtures::webp(size.0, size.1, &photo(size.0, size.1), None, None);
        let animated = fixtures::animated_webp(size, (0, 0), size, &still, 3);
        for file in [simple, extended(0x0C, size, &bitstream), animated] {
            let plain = shown(&file);
            for tail in [
                &b"x"[..],
                b"0123456",
                b"some text, longer than a chunk",
                &[0; 300],
                b"VP8 \xFF\xFF\xFF\x7F",
            ] {
                assert!(
                    shown(&[&file[..], tail].concat()) == plain,
                    "{} bytes",
                    tail.len()
                );
            }
            assert!(shown(&[&file[..], &file[..]].concat()) == plain);
        }
    }
}

#[test]
fn the_size_of_a_webp_may_leave_out_or_count_a_padding_byte() {
    let size = (40, 30);
    let [lossy, _] = bitstreams(size.0, size.1);
    for text in [&b"odd"[..], b"even"] {
        let mut body = lossy.clone();
        body.extend(b"XMP ");
        body.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
        body.extend(text);
        let bare = extended(0x04, size, &body);
        let plain = shown(&bare);
        let padded = [&bare[..], &[0]].concat();
        for file in [&bare, &padded] {
            for counted in [file.len() - 8, file.len() - 7] {
                let mut file = file.clone();
                file[4..8].copy_from_slice(&u32::try_from(counted).unwrap().to_le_bytes());
                assert!(shown(&file) == plain, "{counted} of {}", file.len());
            }
        }
        // Metadata that does not fit hides no picture that is there.
        let mut cut = bare.clone();
        cut.truncate(bare.len() - 2);
        let length = u32::try_from(cut.len() - 8).unwrap();
        cut[4..8].copy_from_slice(&length.to_le_bytes());
        assert!(shown(&cut) == plain);
    }
    // A picture that does not fit is no picture.
    let mut cut = extended(0, size, &lossy);
    cut.truncate(cut.len() - 40);
    assert_eq!(rejection(&cut).0, "corrupt_image");
    let length = u32::try_from(cut.len() - 8).unwrap();
    cut[4..8].copy_from_slice(&length.to_le_bytes());
    assert_eq!(rejection(&cut).0, "corrupt_image");
}

#[test]
fn a_screen_that_is_too_small_for_its_first_frame_does_not_count() {
    let indices: Vec<u8> = (0..48u8).map(|at| at % 4).collect();
    let plain = shown(&fixtures::gif((8, 6), (0, 0), (8, 6), &indices, 1));
    for screen in [(0, 0), (1, 1), (7, 6), (8, 5), (0, 6), (8, 0), (200, 5), (4, 300)] {
        for place in [(0, 0), (3, 2)] {
            for frames in [1u8, 3] {
                let source = fixtures::gif(screen, place, (8, 6), &indices, frames.into());
                assert_eq!(shown(&source), plain, "{screen:?} {place:?}");
                let rendered = rendered(&source, &full_size(&[Format::Webp]));
                let size = rendered.files[0].dimensions;
                assert_eq!((size.width, size.height), (8, 6));
                assert_eq!(told(&source).frames, u32::from(frames));
            }
        }
    }
    // One that is large enough does.
    let image = shown(&fixtures::gif((9, 6), (1, 0), (8, 6), &indices, 1));
    assert_eq!((image.width, image.pixel(0, 0)[3]), (9, 0));
}

#[test]
fn extensions_of_a_gif_that_nobody_knows_are_passed_over() {
    let indices: Vec<u8> = (0..48u8).map(|at| at % 4).collect();
    for frames in [1u8, 3] {
        let plain = fixtures::gif((8, 6), (0, 0), (8, 6), &indices, frames.into());
        // Behind the header and its palette of four colours.
        let at = 13 + 12;
        for label in [0x00, 0x02, 0x80, 0xAB, 0xFD] {
            for blocks in [&[0][..], &[3, 1, 2, 3, 0], &[1, 0, 2, 9, 9, 0]] {
                let extension = [&[0x21, label], blocks].concat();
                let source = [&plain[..at], &extension, &plain[at..]].concat();
                assert_eq!(shown(&source), shown(&plain), "{label:x}");
                assert_eq!(told(&source).frames, u32::from(frames));
                let end = plain.len() - 1;
                let source = [&plain[..end], &extension, &plain[end..]].concat();
                assert_eq!(shown(&source), shown(&plain), "{label:x} at the end");
            }
        }
    }
}

/// The BMP with a DIB header of another size, and with its other fields changed.
fn with_header(bmp: &[u8], header_bytes: usize, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut header = bmp[14..54].to_vec();
    header.resize(header_bytes.max(40), 0);
    header.truncate(header_bytes);
    header[..4].copy_from_slice(&u32::try_from(header_bytes).unwrap().to_le_bytes());
    change(&mut header);
    let offset = u32::try_from(14 + header_bytes).unwrap().to_le_bytes();
    [&bmp[..10], &offset, &header, &bmp[54..]].concat()
}

pub(crate) fn of_os2(bmp: &[u8]) -> Vec<u8> {
    with_header(bmp, 64, |_| {})
}

#[test]
fn bmp_of_os_2_is_read_in_all_lengths_of_its_header() {
    let pixels = photo(21, 13);
    let bmp = fixtures::bmp(21, 13, &pixels);
    for header_bytes in [16, 20, 24, 28, 32, 36, 42, 44, 46, 48, 60, 64] {
        let source = with_header(&bmp, header_bytes, |_| {});
        assert!(shown(&source).rgb() == pixels, "{header_bytes}");
        assert_eq!(told(&source).format, "bmp");
    }
    // With a palette behind the header: four bits, 2x1 pixels.
    for header_bytes in [16, 40, 64] {
        let mut rows: Vec<u8> = (0..16u8).flat_map(|at| [at * 3, at * 5, at * 7, 0]).collect();
        let palette = rows.len();
        rows.extend([0x1F, 0, 0, 0]);
        let source = [&bmp[..54], &rows[..]].concat();
        let mut source = with_header(&source, header_bytes, |header| {
            header[4..12].copy_from_slice(&[2, 0, 0, 0, 1, 0, 0, 0]);
            header[14] = 4;
        });
        let offset = u32::try_from(14 + header_bytes + palette).unwrap();
        source[10..14].copy_from_slice(&offset.to_le_bytes());
        assert_eq!(shown(&source).rgb(), [7, 5, 3, 105, 75, 45], "{header_bytes}");
    }
    for compression in [3, 4] {
        let source = with_header(&bmp, 64, |header| header[16] = compression);
        let (code, detail) = rejection(&source);
        assert_eq!(code, "unsupported_format", "{detail}");
    }
    assert_eq!(rejection(&with_header(&bmp, 64, |_| {})[..40]).0, "corrupt_image");
}

#[test]
fn colours_of_a_bmp_are_those_of_its_profile() {
    let pixels = photo(21, 13);
    let bmp = fixtures::bmp(21, 13, &pixels);
    let profile = ColorProfile::new_display_p3().encode().unwrap();
    let png = fixtures::png(
        21,
        13,
        png::ColorType::Rgb,
        png::BitDepth::Eight,
        &pixels,
        |info| {
            info.icc_profile = Some(profile.clone().into());
        },
    );
    let right = shown(&png);
    let fifth = |space: &[u8; 4], length: usize| {
        let mut source = with_header(&bmp, 124, |header| {
            header[56..60].copy_from_slice(space);
        });
        let start = u32::try_from(source.len() - 14).unwrap();
        source[14 + 112..14 + 116].copy_from_slice(&start.to_le_bytes());
        source[14 + 116..14 + 120].copy_from_slice(&u32::try_from(length).unwrap().to_le_bytes());
        source.extend(&profile);
        source
    };
    let source = fifth(b"DEBM", profile.len());
    assert!(shown(&source) == right);
    assert_eq!(told(&source).icc_description.as_deref(), Some("Display P3"));
    assert!(right.rgb() != pixels);
    // None that is elsewhere, cut off, or another space.
    for (space, length) in [
        (b"KNIL", profile.len()),
        (b"DEBM", profile.len() + 1),
        (b"BGRs", profile.len()),
    ] {
        assert!(shown(&fifth(space, length)).rgb() == pixels, "{space:?}");
    }
}

#[test]
fn primaries_and_gamma_of_a_bmp_are_applied() {
    let pixels = photo(21, 13);
    let bmp = fixtures::bmp(21, 13, &pixels);
    let p3 = [(0.68, 0.32), (0.265, 0.69), (0.15, 0.06)];
    let srgb = [(0.64, 0.33), (0.30, 0.60), (0.15, 0.06)];
    let fixed = |value: f64, one: f64| {
        format!("{:.0}", (value * one).abs())
            .parse::<u32>()
            .unwrap()
            .to_le_bytes()
    };
    let calibrated = |header_bytes, primaries: [(f64, f64); 3], gammas: [f64; 3]| {
        with_header(&bmp, header_bytes, |header| {
            let numbers = primaries.iter().flat_map(|&(x, y)| [x, y, 1.0 - x - y]);
            let fields = numbers
                .map(|number| fixed(number, f64::from(1 << 30)))
                .chain(gammas.map(|gamma| fixed(gamma, 65_536.0)));
            for (place, field) in header[60..108].chunks_exact_mut(4).zip(fields) {
                place.copy_from_slice(&field);
            }
        })
    };
    let told_by_png =
        |chunk: &[u8]| shown(&fixtures::with_chunk(&rgb_png(21, 13, &pixels), b"gAMA", chunk)).rgb();
    // A gamma of 1 in PNG is the exponent 100,000.
    let linear = told_by_png(&100_000u32.to_be_bytes());
    for header_bytes in [108, 124] {
        let seen = |primaries, gammas| shown(&calibrated(header_bytes, primaries, gammas)).rgb();
        assert!(seen(srgb, [2.2; 3]) == pixels);
        assert!(psnr(&seen(srgb, [1.0; 3]), &linear) > 50.0);
        assert!(psnr(&seen(p3, [2.2; 3]), &pixels) < 40.0);
        assert!(shown(&with_header(&bmp, header_bytes, |_| {})).rgb() == pixels);
        // Fields that are empty, as most writers leave them, or that contradict each other.
        for (primaries, gammas) in [
            ([(0.0, 0.0); 3], [0.0; 3]),
            (p3, [0.0; 3]),
            (srgb, [1.0, 2.2, 1.8]),
        ] {
            assert!(seen(primaries, gammas) == pixels, "{primaries:?} {gammas:?}");
        }
    }
}

#[test]
fn a_drawing_that_says_to_be_too_large_is_drawn_smaller() {
    let limits = Limits {
        max_pixels: 400 * 300,
        ..Limits::default()
    };
    for attributes in [
        "width='8000' height='6000'",
        "viewBox='0 0 8000 6000'",
        "width='1e6' height='7.5e5' viewBox='0 0 8000 6000'",
    ] {
        let source = format!(
            "<svg xmlns='http://www.w3.org/2000/svg' {attributes}><rect width='100%' height='100%' fill='#00f'/>\
             <rect width='50%' height='50%' fill='#f00'/></svg>"
        );
        let size = probe(source.as_bytes(), &limits).unwrap().dimensions;
        assert!(
            (399..=400).contains(&size.width) && (299..=300).contains(&size.height),
            "{size:?}"
        );
        let image = decoded(
            &render(source.as_bytes(), &full_size(&[Format::Png]), &limits, 1)
                .unwrap()
                .files[0],
        );
        assert_eq!(
            [image.pixel(10, 10), image.pixel(390, 290)],
            [[255, 0, 0, 255], [0, 0, 255, 255]]
        );
    }
}

/// Three frames of one colour each, the first of which is the default image.
pub(crate) fn animated_png() -> (Vec<u8>, Decoded) {
    let frames: [Vec<u8>; 3] =
        [[200, 30, 30], [30, 200, 30], [30, 30, 200]].map(|color| color.repeat(20 * 10));
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 20, 10);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_animated(3, 0).unwrap();
    encoder.set_frame_delay(1, 10).unwrap();
    let mut writer = encoder.write_header().unwrap();
    for frame in &frames {
        writer.write_image_data(frame).unwrap();
    }
    writer.finish().unwrap();
    (file, Decoded::new(20, 10, 3, &frames[0]))
}

/// `file` with the content of the `index`-th chunk of a name changed, and its check sum made to fit.
fn changed(file: &[u8], name: &[u8; 4], index: usize, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let (mut at, mut found) = (8, 0);
    loop {
        let length = usize::try_from(u32::from_be_bytes(file[at..at + 4].try_into().unwrap())).unwrap();
        if &file[at + 4..at + 8] == name {
            if found == index {
                let mut content = file[at + 8..at + 8 + length].to_vec();
                change(&mut content);
                return [
                    &file[..at],
                    &fixtures::chunk(name, &content),
                    &file[at + 12 + length..],
                ]
                .concat();
            }
            found += 1;
        }
        at += 12 + length;
    }
}

#[test]
fn an_animated_png_with_a_broken_frame_shows_its_still() {
    let (whole, still) = animated_png();
    assert_eq!(rendered(&whole, &full_size(&[Format::Png])).image.frames, 3);
    let data = |change: fn(&mut Vec<u8>)| changed(&whole, b"fdAT", 1, change);
    let control = |index, change: fn(&mut Vec<u8>)| changed(&whole, b"fcTL", index, change);
    let mut wrong_sum = whole.clone();
    let last = wrong_sum.windows(4).rposition(|name| name == b"fdAT").unwrap();
    wrong_sum[last + 12] ^= 0x55;
    for (name, source) in [
        ("compressed data", data(|data| data[4..].fill(0x55))),
        ("data that ends early", data(|data| data.truncate(8))),
        ("no data", data(|data| data.truncate(4))),
        ("a sequence number", data(|data| data[3] = 77)),
        ("a check sum", wrong_sum),
        ("a size beyond the canvas", control(2, |control| control[7] = 99)),
        (
            "a place beyond the canvas",
            control(1, |control| control[15] = 99),
        ),
        ("a size of nothing", control(2, |control| control[4..8].fill(0))),
        ("the first frame's size", control(0, |control| control[7] = 19)),
        ("the first frame's place", control(0, |control| control[15] = 1)),
        ("a disposal", control(1, |control| control[24] = 9)),
        (
            "a short control chunk",
            control(1, |control| control.truncate(20)),
        ),
        (
            "the number of frames",
            changed(&whole, b"acTL", 0, |control| control[3] = 0),
        ),
    ] {
        for format in [Format::Png, Format::Webp, Format::Avif] {
            let rendered = rendered(&source, &full_size(&[format]));
            assert_eq!(
                (rendered.image.frames, rendered.image.duration_ms),
                (1, None),
                "{name}"
            );
            let image = decoded(&rendered.files[0]);
            assert!(psnr(&image.rgb(), &still.rgb()) > 30.0, "{name} in {format:?}");
        }
    }
}

#[test]
fn an_animated_png_that_is_cut_off_is_refused() {
    let (whole, _) = animated_png();
    let third = whole.windows(4).rposition(|name| name == b"fdAT").unwrap();
    let cut = &whole[..third + 10];
    let (code, detail) = rejection(cut);
    assert_eq!(code, "corrupt_image", "{detail}");
}

#[test]
fn kinds_that_are_not_read_by_choice_are_named() {
    let png = rgb_png(8, 8, &photo(8, 8));
    let apple = [
        &png[..8],
        &fixtures::chunk(b"CgBI", &[0x50, 0, 0x20, 2]),
        &png[8..],
    ]
    .concat();
    let mut cursor = fixtures::icon(8, 8, &[9; 256]);
    cursor[2] = 2;
    for (source, word) in [(apple, "CgBI"), (cursor, "cursor")] {
        let (code, detail) = rejection(&source);
        assert_eq!(code, "unsupported_format", "{detail}");
        assert!(detail.contains(word), "{detail}");
    }
}
