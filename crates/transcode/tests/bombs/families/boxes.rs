//! AVIF, HEIC and JPEG XL.

use super::{CORRUPT, FRAMES, Family, PIXELS, SHOWN, UNSUPPORTED, family};
use crate::container::{self, Heif, Item, boxed, full, grid, ispe, sequence, streams};
use crate::fixtures::{jxl, photo};

pub(super) fn all() -> Vec<Family> {
    [pictures(), structures(), jxls()].into_iter().flatten().collect()
}

fn stream() -> Vec<u8> {
    streams(64, 64, &photo(64, 64)).remove(0)
}

fn picture() -> Item {
    Item::picture((64, 64), &stream(), &[])
}

fn whole() -> Vec<u8> {
    Heif::avif(vec![picture()]).file()
}

fn pictures() -> Vec<Family> {
    vec![
        family("AVIF: `ispe` of 2³² by 2³² pixels", PIXELS, || {
            Heif::avif(vec![Item::picture((u32::MAX, u32::MAX), &stream(), &[])]).file()
        }),
        family("AVIF: a stream that is larger than `ispe` says", CORRUPT, || {
            let large = streams(1_024, 1_024, &photo(1_024, 1_024)).remove(0);
            Heif::avif(vec![Item::picture((16, 16), &large, &[])]).file()
        }),
        family("AVIF: a grid of 65,535 by 65,535 pixels", PIXELS, || {
            let cells = Item::new(b"grid", &[ispe(65_535, 65_535)], &grid(255, 255, 65_535, 65_535));
            Heif::avif(vec![cells, picture()]).refer(b"dimg", 1, &[2]).file()
        }),
        family(
            "AVIF: a grid of 200 tiles of 7,000 by 7,000 pixels",
            CORRUPT,
            || {
                let cells = Item::new(b"grid", &[ispe(64, 64)], &grid(10, 20, 64, 64));
                let tile = Item::picture((7_000, 7_000), &stream(), &[]);
                Heif::avif(vec![cells, tile]).refer(b"dimg", 1, &[2; 200]).file()
            },
        ),
        family("AVIF: a grid that is made of itself", CORRUPT, || {
            let cells = Item::new(b"grid", &[ispe(64, 64)], &grid(1, 1, 64, 64));
            Heif::avif(vec![cells]).refer(b"dimg", 1, &[1]).file()
        }),
        family(
            "AVIF: pictures derived from each other in a circle",
            UNSUPPORTED,
            || {
                let item = Item::new(b"iden", &[ispe(64, 64)], &[]);
                Heif::avif(vec![item.clone(), item])
                    .refer(b"dimg", 1, &[2])
                    .refer(b"dimg", 2, &[1])
                    .file()
            },
        ),
        family("AVIF: an overlay", UNSUPPORTED, || {
            Heif::avif(vec![Item::new(b"iovl", &[ispe(64, 64)], &[0; 16])]).file()
        }),
        family("AVIF: a sequence of 3,000 frames", FRAMES, || {
            sequence((64, 64), &vec![stream(); 3_000], 40)
        }),
        family("AVIF: a sequence of 2³² frames by its tables", CORRUPT, || {
            let mut file = sequence((64, 64), &[stream()], 40);
            for name in [b"stts", b"stsz"] {
                let at = file.windows(4).position(|found| found == name).unwrap();
                file[at + 12..at + 16].fill(0xFF);
            }
            file
        }),
        family("HEIC: `ispe` of 2³² by 2³² pixels", PIXELS, || heic(u32::MAX)),
        family("HEIC: 30,000 by 30,000 pixels", PIXELS, || heic(30_000)),
    ]
}

fn heic(side: u32) -> Vec<u8> {
    let item = Item::new(b"hvc1", &[ispe(side, side), boxed(b"hvcC", &[0; 23])], &[0; 16]);
    Heif {
        brands: vec![*b"heic", *b"mif1"],
        ..Heif::avif(vec![item])
    }
    .file()
}

fn structures() -> Vec<Family> {
    vec![
        family("AVIF: 60,000 items", CORRUPT, || {
            let head = boxed(b"ftyp", b"avif\0\0\0\0avifmif1");
            let entry = boxed(b"infe", b"\x02\0\0\0\0\x01\0\0av01\0");
            let items = [&60_000_u16.to_be_bytes()[..], &entry.repeat(60_000)].concat();
            let meta = [full(b"pitm", &[0, 1]), full(b"iinf", &items)].concat();
            [head, full(b"meta", &meta)].concat()
        }),
        family(
            "AVIF: 4,000 extents that are each the whole file",
            CORRUPT,
            || {
                let mut item = picture();
                item.data.resize(4 << 20, 0);
                let mut file = Heif {
                    extents: 4_000,
                    ..Heif::avif(vec![item])
                }
                .file();
                let iloc = file.windows(4).position(|name| name == b"iloc").unwrap();
                let length = u32::try_from(file.len()).unwrap().to_be_bytes();
                for extent in 0..4_000 {
                    let at = iloc + 18 + extent * 8;
                    file[at..at + 4].fill(0);
                    file[at + 4..at + 8].copy_from_slice(&length);
                }
                file
            },
        ),
        family("AVIF: boxes nested 100,000 deep", UNSUPPORTED, || {
            let depth = 100_000_u32;
            let mut file = boxed(b"ftyp", b"avif\0\0\0\0avifmif1");
            file.extend(
                (0..depth).flat_map(|level| [&((depth - level) * 8).to_be_bytes()[..], b"moov"].concat()),
            );
            file
        }),
        family("AVIF: a million empty boxes", CORRUPT, || {
            [
                boxed(b"ftyp", b"avif\0\0\0\0avifmif1"),
                boxed(b"free", b"").repeat(1_000_000),
            ]
            .concat()
        }),
        family("AVIF: a box of 2⁶³ bytes", CORRUPT, || {
            let mut file = whole();
            let meta = file.windows(4).position(|name| name == b"meta").unwrap() - 4;
            file.truncate(meta);
            file.extend(b"\0\0\0\x01meta\x80\0\0\0\0\0\0\0");
            file
        }),
        family("AVIF: a profile of 30 MiB", SHOWN, || {
            let profile = container::icc(&vec![0; 30 << 20]);
            Heif::avif(vec![Item::picture((64, 64), &stream(), &[profile])]).file()
        }),
    ]
}

fn jxls() -> Vec<Family> {
    vec![
        family("JPEG XL: a header of 2³⁰ by 2³⁰ pixels", PIXELS, || {
            // Sides of 30 bits each, as the largest class of sizes is written (ISO/IEC 18181-1, `SizeHeader`).
            let mut bits = Vec::new();
            put(&mut bits, 0, 1);
            for _ in 0..2 {
                put(&mut bits, 3, 2);
                put(&mut bits, (1 << 30) - 1, 30);
                if bits.len() < 40 {
                    put(&mut bits, 0, 3);
                }
            }
            bits.resize(512, false);
            let bytes = bits
                .chunks(8)
                .map(|bits| bits.iter().rev().fold(0, |byte, &bit| byte << 1 | u8::from(bit)));
            [0xFF, 0x0A].into_iter().chain(bytes).collect()
        }),
        family("JPEG XL: compressed boxes of 30 MiB", SHOWN, || {
            with_boxes(&boxed(b"brob", &[b"Exif", &vec![0x1B; 30 << 20][..]].concat()))
        }),
        family("JPEG XL: a million empty boxes", SHOWN, || {
            with_boxes(&boxed(b"free", b"").repeat(1_000_000))
        }),
        family(
            "JPEG XL: a JPEG's data of 30 MiB beside the picture",
            SHOWN,
            || with_boxes(&boxed(b"jbrd", &vec![0x55; 30 << 20])),
        ),
    ]
}

fn put(bits: &mut Vec<bool>, value: u32, count: u32) {
    bits.extend((0..count).map(|bit| value >> bit & 1 == 1));
}

fn with_boxes(more: &[u8]) -> Vec<u8> {
    let start = [boxed(b"JXL ", b"\r\n\x87\n"), boxed(b"ftyp", b"jxl \0\0\0\0jxl ")].concat();
    [&start[..], more, &boxed(b"jxlc", &jxl(16, 16, &photo(16, 16)))].concat()
}
