use mozjpeg::{ColorSpace, Compress, Marker};

use super::*;
use crate::jpeg::table::LONGEST;

#[derive(Clone, Copy, Debug)]
struct Kind {
    is_grey: bool,
    is_progressive: bool,
    is_optimal: bool,
    sampling: (u8, u8),
    quality: f32,
}

/// A picture with edges, texture and noise, with a comment in the file and other bytes behind it.
fn jpeg(width: usize, height: usize, kind: Kind) -> Vec<u8> {
    let noise = |at: usize| (at.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0] & 31;
    let pixels = (0..width * height).flat_map(|at| {
        let (x, y) = (at % width, at / width);
        let edge = if (x / 20 + y / 15) % 2 == 0 { 60 } else { 170 };
        [
            edge + noise(at),
            (x * 2).to_le_bytes()[0] / 2 + noise(at + 7),
            edge,
        ]
    });
    let pixels: Vec<u8> = if kind.is_grey {
        pixels.step_by(3).collect()
    } else {
        pixels.collect()
    };
    let mut jpeg = Compress::new(if kind.is_grey {
        ColorSpace::JCS_GRAYSCALE
    } else {
        ColorSpace::JCS_RGB
    });
    jpeg.set_size(width, height);
    jpeg.set_fastest_defaults();
    jpeg.set_quality(kind.quality);
    jpeg.set_optimize_coding(kind.is_optimal);
    if !kind.is_grey {
        jpeg.set_chroma_sampling_pixel_sizes(kind.sampling, kind.sampling);
    }
    if kind.is_progressive {
        jpeg.set_progressive_mode();
    }
    let mut started = jpeg.start_compress(Vec::new()).unwrap();
    started.write_marker(Marker::COM, b"secret");
    started.write_marker(Marker::APP(1), b"Exif\0\0secret");
    started.write_scanlines(&pixels).unwrap();
    let mut file = started.finish().unwrap();
    file.extend(b"PK\x03\x04 secret");
    file
}

fn kinds() -> Vec<Kind> {
    let mut kinds = Vec::new();
    for (is_progressive, is_optimal) in [(false, false), (false, true), (true, true)] {
        for (is_grey, sampling) in [(true, (1, 1)), (false, (1, 1)), (false, (2, 1)), (false, (2, 2))] {
            for quality in [3.0, 30.0, 75.0, 100.0] {
                kinds.push(Kind {
                    is_grey,
                    is_progressive,
                    is_optimal,
                    sampling,
                    quality,
                });
            }
        }
    }
    kinds
}

fn pixels(jpeg: &[u8]) -> Vec<u8> {
    jpeg_decoder::Decoder::new(jpeg).decode().unwrap()
}

fn contains(file: &[u8], word: &[u8]) -> bool {
    file.windows(word.len()).any(|window| window == word)
}

#[test]
fn pixels_stay_and_everything_else_goes() {
    for (width, height) in [(1, 1), (8, 8), (17, 3), (161, 97)] {
        for kind in kinds() {
            let source = jpeg(width, height, kind);
            let ours = rewritten(&source).unwrap_or_else(|| panic!("{width}×{height} {kind:?}"));
            assert!(pixels(&ours) == pixels(&source), "{width}×{height} {kind:?}");
            assert!(
                ours.len() < source.len(),
                "{width}×{height} {kind:?}: {}",
                ours.len()
            );
            assert!(!contains(&ours, b"secret"), "{width}×{height} {kind:?}");
            assert!(ours.ends_with(&[0xFF, EOI]));
            // There is nothing left to do.
            assert!(rewritten(&ours) == Some(ours), "{width}×{height} {kind:?}");
        }
    }
}

#[test]
fn a_file_that_is_not_whole_is_refused() {
    for kind in kinds().into_iter().step_by(7) {
        let source = jpeg(40, 40, kind);
        let end = source.windows(2).rposition(|pair| pair == [0xFF, EOI]).unwrap();
        for length in 0..end + 1 {
            assert!(rewritten(&source[..length]).is_none(), "{kind:?}: {length}");
        }
    }
}

/// Damage of all kinds gives another picture or none, and never a panic.
#[test]
fn damage_is_survived() {
    let mut random = 1u32;
    let mut below = |limit: usize| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) as usize % limit
    };
    for kind in kinds().into_iter().step_by(3) {
        let source = jpeg(50, 30, kind);
        for _ in 0..150 {
            let mut damaged = source.clone();
            for _ in 0..=below(3) {
                let at = below(damaged.len());
                damaged[at] = below(256).to_le_bytes()[0];
            }
            if let Some(file) = rewritten(&damaged) {
                let decoded = jpeg_decoder::Decoder::new(&file[..]).decode();
                assert!(decoded.is_ok(), "{kind:?}: {decoded:?}");
            }
        }
    }
}

/// Four grey blocks in one row, two to an interval, all of the same brightness.
fn with_restarts(markers: &[u8]) -> Vec<u8> {
    let mut file = vec![0xFF, SOI];
    push_segment(&mut file, DQT, &[&[0][..], &[16; 64]].concat());
    push_segment(&mut file, 0xC0, &[8, 0, 8, 0, 32, 1, 1, 0x11, 0]);
    push_segment(&mut file, DRI, &[0, 2]);
    let one_of_two = |id: u8, symbols: [u8; 2]| {
        let mut lengths = [0; LONGEST];
        lengths[1] = 2;
        [&[id][..], &lengths, &symbols].concat()
    };
    push_segment(&mut file, DHT, &one_of_two(0x00, [0, 5]));
    push_segment(&mut file, DHT, &one_of_two(0x10, [0, 1]));
    push_segment(&mut file, SOS, &[1, 1, 0, 0, 63, 0]);
    for &marker in markers {
        // Category 5 and 20, end of block; category 0, end of block; ones.
        file.extend([0b0110_1000, 0b0000_0111, 0xFF, marker]);
    }
    file
}

#[test]
fn restarts_are_kept_in_their_order() {
    let source = with_restarts(&[0xD0, EOI]);
    assert_eq!(pixels(&source), vec![168; 32 * 8]);
    let ours = rewritten(&source).unwrap();
    assert_eq!(pixels(&ours), vec![168; 32 * 8]);
    assert!(contains(&ours, &[0xFF, 0xD0]));
    for markers in [&[0xD1, EOI][..], &[EOI], &[0xD0, 0xD1, EOI]] {
        assert!(rewritten(&with_restarts(markers)).is_none(), "{markers:?}");
    }
}

#[test]
fn quality_is_read_off_the_quantizers() {
    for wanted in [5u8, 25, 50, 75, 80, 95, 100] {
        let kind = Kind {
            is_grey: false,
            is_progressive: false,
            is_optimal: false,
            sampling: (2, 2),
            quality: wanted.into(),
        };
        let told = quality(&jpeg(16, 16, kind)).unwrap();
        assert!(told.abs_diff(wanted) <= 1, "{wanted}: {told}");
    }
    assert_eq!(quality(b"\xFF\xD8\xFF\xD9"), None);
}

#[test]
fn colours_that_are_not_told_for_certain_are_refused() {
    let kind = Kind {
        is_grey: false,
        is_progressive: false,
        is_optimal: false,
        sampling: (1, 1),
        quality: 80.0,
    };
    let source = jpeg(16, 16, kind);
    let adobe = |transform: u8| {
        let mut file = source[..2].to_vec();
        push_segment(
            &mut file,
            APP14,
            &[b"Adobe\0\x64\0\0\0\0", &[transform][..]].concat(),
        );
        [&file[..], &source[2..]].concat()
    };
    assert!(rewritten(&adobe(1)).is_some());
    assert!(rewritten(&adobe(0)).is_none());
    // Components called R, G and B, without a marker.
    let mut named = source.clone();
    let jfif = named.windows(4).position(|window| window == b"JFIF").unwrap();
    named[jfif] = b'X';
    assert!(rewritten(&named).is_some());
    let frame = named.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    for (component, name) in [b'R', b'G', b'B'].into_iter().enumerate() {
        named[frame + 10 + 3 * component] = name;
    }
    let scan = named.windows(2).position(|pair| pair == [0xFF, SOS]).unwrap();
    for (component, name) in [b'R', b'G', b'B'].into_iter().enumerate() {
        named[scan + 5 + 2 * component] = name;
    }
    assert!(rewritten(&named).is_none());
}
