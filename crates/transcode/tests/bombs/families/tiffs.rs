use super::{CORRUPT, Family, PIXELS, SHOWN, UNSUPPORTED, deflated, family};

pub(super) fn all() -> Vec<Family> {
    vec![
        family("TIFF: 2³² by 2³² pixels", PIXELS, || {
            file(&[(256, u32::MAX), (257, u32::MAX)], &[9; 64])
        }),
        family("TIFF: 100,000 directories", SHOWN, || {
            let mut file = small();
            for _ in 0..100_000 {
                let next = u32::try_from(file.len() + 18).unwrap();
                file.extend([0, 1, 1, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 1]);
                file.extend(next.to_be_bytes());
            }
            file
        }),
        family("TIFF: a directory that is its own next", SHOWN, || {
            let mut file = small();
            let end = 10 + 12 * usize::from(u16::from_be_bytes([file[8], file[9]]));
            file[end..end + 4].copy_from_slice(&8_u32.to_be_bytes());
            file
        }),
        family("TIFF: 2³² strips", CORRUPT, || {
            let mut file = small();
            for tag in [273_u16, 279] {
                let at = field(&file, tag);
                file[at + 4..at + 8].fill(0xFF);
            }
            file
        }),
        family(
            "TIFF: 7,000 by 7,000 pixels in tiles of 16 by 16, of which one is there",
            CORRUPT,
            || {
                file(
                    &[
                        (256, 7_000),
                        (257, 7_000),
                        (322, 16),
                        (323, 16),
                        (324, 0),
                        (325, 256),
                    ],
                    &[9; 256],
                )
            },
        ),
        family("TIFF: a tile of 2³¹ by 2³¹ pixels", CORRUPT, || {
            file(&[(322, 1 << 31), (323, 1 << 31), (324, 0), (325, 64)], &[9; 64])
        }),
        family(
            "TIFF: Deflate that inflates to 32 MiB for a picture of 64 pixels",
            SHOWN,
            || compressed(8, &deflated(32 << 20)),
        ),
        family("TIFF: LZW of 8 MiB for a picture of 64 pixels", CORRUPT, || {
            // A reset, then codes of nine bits for the same byte, as often as they fit.
            compressed(5, &[&[0x80, 0x0B, 0x60, 0x50][..], &vec![0x22; 8 << 20]].concat())
        }),
        family(
            "TIFF: PackBits of 8 MiB for a picture of 64 pixels",
            SHOWN,
            || compressed(32_773, &[0x81, 7].repeat(4 << 20)),
        ),
        family("TIFF: 65,535 samples a pixel", UNSUPPORTED, || {
            file(&[(277, 65_535)], &[9; 64])
        }),
        family("TIFF: 65,535 fields of 4 GiB", CORRUPT, || {
            let field = [&[0x01, 0x0E, 0, 2][..], &[0xFF; 8]].concat();
            [&b"MM\0*\0\0\0\x08\xFF\xFF"[..], &field.repeat(65_535), &[0; 4]].concat()
        }),
        family("TIFF: 4,000 strips that are the same 4 MiB", CORRUPT, || {
            let pixels = vec![9; 4 << 20];
            let table = |value: u32| value.to_be_bytes().repeat(4_000);
            let mut file = file(&[(256, 1_048), (257, 4_000), (278, 1)], &[]);
            let at = u32::try_from(file.len()).unwrap();
            for (tag, offset) in [(273, at), (279, at + 16_000)] {
                let place = field(&file, tag);
                file[place + 4..place + 8].copy_from_slice(&4_000_u32.to_be_bytes());
                file[place + 8..place + 12].copy_from_slice(&offset.to_be_bytes());
            }
            file.extend(table(at + 32_000));
            file.extend(table(4 << 20));
            file.extend(pixels);
            file
        }),
        family("BigTIFF: a directory of 2⁶⁴ fields", CORRUPT, || {
            [&b"MM\0+\0\x08\0\0\0\0\0\0\0\0\0\x10"[..], &[0xFF; 64]].concat()
        }),
    ]
}

/// A grey TIFF of 8 by 8 pixels in one strip, with other values in some of its fields. 273 and 324 are the place of the
/// pixels where they are 0.
fn file(change: &[(u16, u32)], pixels: &[u8]) -> Vec<u8> {
    let mut fields = vec![
        (256, 8),
        (257, 8),
        (258, 8),
        (259, 1),
        (262, 1),
        (273, 0),
        (277, 1),
        (278, 8),
    ];
    fields.push((279, u32::try_from(pixels.len()).unwrap()));
    for &(tag, value) in change {
        match fields.iter_mut().find(|(known, _)| *known == tag) {
            Some(field) => field.1 = value,
            None => fields.push((tag, value)),
        }
    }
    if change.iter().any(|&(tag, _)| tag == 324) {
        fields.retain(|&(tag, _)| !matches!(tag, 273 | 278 | 279));
    }
    fields.sort_unstable();
    let start = u32::try_from(14 + 12 * fields.len()).unwrap();
    let mut file = b"MM\0*\0\0\0\x08".to_vec();
    file.extend(u16::try_from(fields.len()).unwrap().to_be_bytes());
    for (tag, value) in fields {
        let value = if matches!(tag, 273 | 324) && value == 0 {
            start
        } else {
            value
        };
        file.extend(u16::to_be_bytes(tag));
        file.extend([0, 4, 0, 0, 0, 1]);
        file.extend(value.to_be_bytes());
    }
    file.extend([0; 4]);
    file.extend(pixels);
    file
}

fn small() -> Vec<u8> {
    file(&[], &[9; 64])
}

fn compressed(compression: u32, pixels: &[u8]) -> Vec<u8> {
    file(&[(259, compression)], pixels)
}

/// The place of a field's type.
fn field(file: &[u8], tag: u16) -> usize {
    let entries = file[10..].chunks_exact(12);
    12 + 12
        * entries
            .take(100)
            .position(|entry| entry[..2] == tag.to_be_bytes())
            .unwrap()
}
