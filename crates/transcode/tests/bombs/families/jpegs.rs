use super::{CORRUPT, Family, PIXELS, SHOWN, UNSUPPORTED, family};
use crate::fixtures::{Jpeg, photo};

pub(super) fn all() -> Vec<Family> {
    vec![
        family("JPEG: a frame of 65,535 by 65,535 pixels", PIXELS, || {
            resized([0xFF; 4])
        }),
        family("JPEG: a height that is told later (`DNL`)", CORRUPT, || {
            resized([0, 0, 0, 40])
        }),
        family("JPEG: the first scan a thousand times", CORRUPT, || scans(1_000)),
        family("JPEG: 20,000 Huffman tables", SHOWN, || {
            let table = [&[0xFF, 0xC4, 0, 20, 0, 1][..], &[0; 15], &[0]].concat();
            behind_start(&table.repeat(20_000))
        }),
        family("JPEG: 20,000 quantization tables", SHOWN, || {
            let table = [&[0xFF, 0xDB, 0, 67, 3][..], &[1; 64]].concat();
            behind_start(&table.repeat(20_000))
        }),
        family("JPEG: 500 segments of 64 KiB", SHOWN, || segments(0xEA, b"", 500)),
        family("JPEG: a profile of 255 parts of 64 KiB", SHOWN, || {
            let parts = (1..=255_u8).map(|number| {
                let head = [b"ICC_PROFILE\0", &[number, 255][..]].concat();
                segment(0xE2, &head)
            });
            behind_start(&parts.collect::<Vec<_>>().concat())
        })
        // The decoder keeps a copy of profiles and XMP.
        .within(24),
        family("JPEG: EXIF whose directories go in a circle", SHOWN, || {
            let exif = circular_exif();
            behind_start(&exactly(0xE1, &[b"Exif\0\0", &exif[..]].concat()))
        }),
        family("JPEG: EXIF of 5,000 fields of 4 GiB each", SHOWN, || {
            let field = [&[0x01, 0x0E, 0, 2][..], &[0xFF; 8]].concat();
            let exif = [&b"MM\0*\0\0\0\x08\x13\x88"[..], &field.repeat(5_000)].concat();
            behind_start(&exactly(0xE1, &[b"Exif\0\0", &exif[..]].concat()))
        }),
        family("JPEG: extended XMP in 300 parts", SHOWN, || {
            segments(0xE1, b"http://ns.adobe.com/xmp/extension/\0", 300)
        })
        .within(24),
        family("JPEG: XMP with entities that multiply", SHOWN, || {
            let laughs = super::drawings::laughs();
            behind_start(&exactly(
                0xE1,
                &[b"http://ns.adobe.com/xap/1.0/\0", &laughs[..]].concat(),
            ))
        }),
        family("JPEG: C2PA in 400 segments", SHOWN, || {
            segments(0xEB, b"JP\0\x01", 400)
        }),
        family("JPEG: 64 pictures beside the first (MPF)", SHOWN, || {
            let file = small();
            let head = [
                &b"MPF\0MM\0*\0\0\0\x08\0\x02\xB0\x01\0\x04\0\0\0\x01\xFF\xFF\xFF\xFF"[..],
                &[0xB0, 0x02, 0, 7, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 50],
            ]
            .concat();
            [behind_start(&segment(0xE2, &head)), file.repeat(64)].concat()
        }),
        family("JPEG: arithmetic coding", UNSUPPORTED, || {
            let mut file = small();
            let at = frame(&file);
            file[at + 1] = 0xC9;
            file
        }),
    ]
}

fn small() -> Vec<u8> {
    Jpeg::default().encode(&photo(40, 40), 40, 40)
}

fn frame(file: &[u8]) -> usize {
    file.windows(2).position(|marker| marker == [0xFF, 0xC0]).unwrap()
}

/// With another height and width in its frame.
fn resized(size: [u8; 4]) -> Vec<u8> {
    let mut file = small();
    let at = frame(&file);
    file[at + 5..at + 9].copy_from_slice(&size);
    file
}

fn scans(times: usize) -> Vec<u8> {
    let jpeg = Jpeg {
        progressive: true,
        ..Jpeg::default()
    };
    let grey: Vec<u8> = photo(256, 256).chunks_exact(3).map(|pixel| pixel[0]).collect();
    let file = jpeg.encode(&grey, 256, 256);
    let scans: Vec<usize> = (0..file.len() - 1)
        .filter(|&at| file[at..at + 2] == [0xFF, 0xDA])
        .collect();
    let first = file[scans[0]..scans[1]].repeat(times);
    [&file[..scans[0]], &first, &file[scans[1]..]].concat()
}

/// Puts segments right behind the start of a small picture.
fn behind_start(segments: &[u8]) -> Vec<u8> {
    let file = small();
    [&file[..2], segments, &file[2..]].concat()
}

fn exactly(marker: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 2).unwrap().to_be_bytes();
    [&[0xFF, marker][..], &length, body].concat()
}

/// A segment of the greatest length that begins so.
fn segment(marker: u8, head: &[u8]) -> Vec<u8> {
    let mut body = head.to_vec();
    body.resize(65_533, b'x');
    exactly(marker, &body)
}

fn segments(marker: u8, head: &[u8], count: usize) -> Vec<u8> {
    behind_start(&segment(marker, head).repeat(count))
}

/// Directories that name each other, and themselves as the next.
pub(super) fn circular_exif() -> Vec<u8> {
    let mut exif = b"MM\0*\0\0\0\x08\0\x03".to_vec();
    for tag in [0x8769_u16, 0x8825, 0xA005] {
        exif.extend(tag.to_be_bytes());
        exif.extend([0, 4, 0, 0, 0, 1, 0, 0, 0, 8]);
    }
    exif.extend([0, 0, 0, 8]);
    exif
}
