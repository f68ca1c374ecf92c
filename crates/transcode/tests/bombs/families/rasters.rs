//! GIF, WebP, BMP and ICO.

use super::{CORRUPT, FRAMES, Family, PIXELS, SHOWN, family};
use crate::fixtures::{animated_webp, bmp, gif, icon, rgb_png, riff, three, webp};

pub(super) fn all() -> Vec<Family> {
    [gifs(), webps(), bitmaps()].into_iter().flatten().collect()
}

fn gifs() -> Vec<Family> {
    vec![
        family("GIF: a screen of 65,535 by 65,535 pixels", PIXELS, || {
            b"GIF89a\xFF\xFF\xFF\xFF\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02L\x01\0;".to_vec()
        }),
        family(
            "GIF: a frame of 65,535 by 65,535 pixels on a screen of one",
            PIXELS,
            || {
                let mut file = gif((1, 1), (0, 0), (1, 1), &[0], 2);
                let at = file
                    .windows(9)
                    .rposition(|bytes| bytes == [0x2C, 0, 0, 0, 0, 1, 0, 1, 0])
                    .unwrap();
                file[at + 5..at + 9].fill(0xFF);
                file
            },
        ),
        family("GIF: 100,000 frames of one pixel", FRAMES, || {
            gif((1, 1), (0, 0), (1, 1), &[0], 100_000)
        }),
        family(
            "GIF: 200 frames on a screen of 7,000 by 7,000 pixels",
            PIXELS,
            || gif((7_000, 7_000), (0, 0), (1, 1), &[0], 200),
        ),
        family(
            "GIF: LZW codes for a hundred thousand times the picture",
            CORRUPT,
            || {
                let mut file = gif((4, 4), (0, 0), (4, 4), &[1; 16], 1);
                let at = file
                    .windows(10)
                    .position(|bytes| bytes == [0x2C, 0, 0, 0, 0, 4, 0, 4, 0, 0])
                    .unwrap()
                    + 11;
                file.splice(at..at, [&[255][..], &[0x55; 255]].concat().repeat(20_000));
                file
            },
        ),
        family("GIF: 40 MiB of comments", SHOWN, || {
            let mut file = gif((4, 4), (0, 0), (4, 4), &[1; 16], 1);
            file.pop();
            file.extend([0x21, 0xFE]);
            file.extend([&[255][..], &[b'x'; 255]].concat().repeat(160_000));
            file.extend([0, 0x3B]);
            file
        }),
    ]
}

fn webps() -> Vec<Family> {
    vec![
        family("WebP: a canvas of 2²⁴ by 2²⁴ pixels", PIXELS, || {
            let mut file = animated_webp((8, 8), (0, 0), (8, 8), &webp(8, 8, &[9; 256], None, None), 1);
            file[24..30].fill(0xFF);
            file
        }),
        family(
            "WebP: a lossless picture of 16,384 by 16,384 pixels",
            PIXELS,
            || {
                let mut file = webp(8, 8, &[9; 192], None, None);
                file[21..25].copy_from_slice(&[0xFF, 0xFF, 0xFF, 0x0F]);
                file
            },
        ),
        family("WebP: a lossy picture of 16,383 by 16,383 pixels", PIXELS, || {
            let frame = [&[0x30, 1, 0, 0x9D, 1, 0x2A, 0xFF, 0x3F, 0xFF, 0x3F][..], &[0; 64]].concat();
            riff(b"RIFF", &[b"WEBP", &riff(b"VP8 ", &frame)[..]].concat())
        }),
        family("WebP: 3,000 frames of one pixel", FRAMES, || {
            animated_webp((1, 1), (0, 0), (1, 1), &webp(1, 1, &[9; 4], None, None), 3_000)
        }),
        family(
            "WebP: 900 frames on a canvas of 5,000 by 5,000 pixels",
            PIXELS,
            || {
                animated_webp(
                    (5_000, 5_000),
                    (0, 0),
                    (1, 1),
                    &webp(1, 1, &[9; 4], None, None),
                    900,
                )
            },
        ),
        family("WebP: a still larger than its canvas", CORRUPT, || {
            let still = webp(64, 64, &[9; 12_288], None, None);
            let mut file = still[..12].to_vec();
            file.extend(riff(b"VP8X", &[&[0, 0, 0, 0][..], &three(1), &three(1)].concat()));
            file.extend(&still[12..]);
            let length = u32::try_from(file.len() - 8).unwrap();
            file[4..8].copy_from_slice(&length.to_le_bytes());
            file
        }),
        family("WebP: XMP of 30 MiB", SHOWN, || {
            let still = webp(8, 8, &[9; 192], None, None);
            let xmp = riff(b"XMP ", &b"<x>".repeat(10 << 20));
            let head = riff(b"VP8X", &[&[4, 0, 0, 0][..], &three(7), &three(7)].concat());
            riff(b"RIFF", &[b"WEBP", &head[..], &still[12..], &xmp].concat())
        }),
    ]
}

fn bitmaps() -> Vec<Family> {
    vec![
        family("BMP: a header of 2³¹ by 2³¹ pixels", PIXELS, || {
            let mut file = bmp(8, 8, &[9; 192]);
            file[18..26].copy_from_slice(&[0xFF, 0xFF, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0x7F]);
            file
        }),
        family("BMP: 2³¹ rows from the top", PIXELS, || {
            let mut file = bmp(8, 8, &[9; 192]);
            file[22..26].copy_from_slice(&i32::MIN.to_le_bytes());
            file
        }),
        family(
            "BMP: 7,000 by 7,000 pixels announced, of which 64 are there",
            CORRUPT,
            || {
                let mut file = bmp(8, 8, &[9; 192]);
                file[18..26].copy_from_slice(&[7_000_u32.to_le_bytes(), 7_000_u32.to_le_bytes()].concat());
                file
            },
        ),
        family("BMP: a palette of 2³² colours", CORRUPT, || {
            let mut file = bmp(8, 8, &[9; 192]);
            file[28] = 8;
            file[46..50].fill(0xFF);
            file
        }),
        family("ICO: 65,535 entries of 4 GiB", CORRUPT, || {
            let entry = [&[0, 0, 0, 0, 1, 0, 32, 0][..], &[0xFF; 8]].concat();
            [b"\0\0\x01\0\xFF\xFF", &entry.repeat(65_535)[..]].concat()
        }),
        family("ICO: a PNG of 30,000 by 30,000 pixels inside", PIXELS, || {
            let mut file = icon(8, 8, &[9; 256]);
            let mut png = rgb_png(8, 8, &[9; 192]);
            let header = [30_000_u32.to_be_bytes(), 30_000_u32.to_be_bytes()].concat();
            png[16..24].copy_from_slice(&header);
            let whole = crate::fixtures::chunk(b"IHDR", &png[16..29]);
            png.splice(8..33, whole);
            file.truncate(22);
            file[14..18].copy_from_slice(&u32::try_from(png.len()).unwrap().to_le_bytes());
            file.extend(png);
            file
        }),
        family("ICO: a bitmap of 2³⁰ by 2³⁰ pixels inside", PIXELS, || {
            let bitmap = bmp(8, 8, &[9; 192]).split_off(14);
            let mut file = b"\0\0\x01\0\x01\0\x08\x08\0\0\x01\0\x18\0".to_vec();
            file.extend(u32::try_from(bitmap.len()).unwrap().to_le_bytes());
            file.extend(22_u32.to_le_bytes());
            file.extend(bitmap);
            file[26..34]
                .copy_from_slice(&[(1_u32 << 30).to_le_bytes(), (1_u32 << 31).to_le_bytes()].concat());
            file
        }),
    ]
}
