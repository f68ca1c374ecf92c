use super::{CORRUPT, FRAMES, Family, PIXELS, SHOWN, deflated, family};
use crate::fixtures::{chunk, rgb_png, with_chunk};

pub(super) fn all() -> Vec<Family> {
    vec![
        family("PNG: header of 2³¹ by 2³¹ pixels", PIXELS, || {
            headed(0x7FFF_FFFF, 0x7FFF_FFFF, &[])
        }),
        family("PNG: one row of 2³¹ pixels", PIXELS, || {
            headed(0x7FFF_FFFF, 1, &[])
        }),
        family(
            "PNG: pixels that inflate to a thousand times the picture",
            SHOWN,
            || headed(8, 8, &[chunk(b"IDAT", &deflated(32 << 20))]),
        ),
        family("PNG: `iCCP` that inflates to 64 MiB", SHOWN, || {
            with_text(b"iCCP", b"p\0\0", 64 << 20)
        }),
        family("PNG: `zTXt` that inflates to 64 MiB", SHOWN, || {
            with_text(b"zTXt", b"k\0\0", 64 << 20)
        }),
        family("PNG: `iTXt` that inflates to 64 MiB", SHOWN, || {
            with_text(b"iTXt", b"XML:com.adobe.xmp\0\x01\0\0\0", 64 << 20)
        }),
        family("PNG: 2,000 texts that inflate to 1 MiB each", SHOWN, || {
            let text = chunk(b"zTXt", &[b"k\0\0", &deflated(1 << 20)[..]].concat()).repeat(2_000);
            behind_header(&text)
        }),
        family("PNG: a million empty chunks", SHOWN, || {
            behind_header(&chunk(b"abCd", b"").repeat(1_000_000))
        }),
        family("PNG: C2PA boxes nested 100,000 deep", SHOWN, || {
            with_chunk(&small(), b"caBX", &nested())
        }),
        family("PNG: EXIF whose directories go in a circle", SHOWN, || {
            with_chunk(&small(), b"eXIf", &super::jpegs::circular_exif())
        }),
        family("APNG: 2³¹ frames by its header", FRAMES, || {
            animated(8, 8, 0x7FFF_FFFF, &[])
        }),
        family("APNG: 3,000 frames of one pixel", FRAMES, || {
            animated(1, 1, 3_000, &frames(1, 1, 3_000))
        }),
        family("APNG: 200 frames of 7,000 by 7,000 pixels", PIXELS, || {
            animated(7_000, 7_000, 200, &frames(7_000, 7_000, 200))
        }),
        family("PNG: a length of 2³² - 1", CORRUPT, || {
            let mut file = headed(8, 8, &[]);
            file.truncate(33);
            file.extend([0xFF; 4]);
            file.extend(b"IDAT");
            file
        }),
    ]
}

fn small() -> Vec<u8> {
    rgb_png(8, 8, &[9; 192])
}

fn behind_header(chunks: &[u8]) -> Vec<u8> {
    let file = small();
    [&file[..33], chunks, &file[33..]].concat()
}

/// A PNG with this header and these chunks.
fn headed(width: u32, height: u32, chunks: &[Vec<u8>]) -> Vec<u8> {
    let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
    let header = chunk(b"IHDR", &[&size[..], &[8, 2, 0, 0, 0]].concat());
    let pixels = if chunks.is_empty() {
        chunk(b"IDAT", &deflated(1 << 20))
    } else {
        Vec::new()
    };
    [
        b"\x89PNG\r\n\x1A\n",
        &header[..],
        &chunks.concat(),
        &pixels,
        &chunk(b"IEND", b""),
    ]
    .concat()
}

fn with_text(name: &[u8; 4], head: &[u8], inflated: usize) -> Vec<u8> {
    with_chunk(&small(), name, &[head, &deflated(inflated)].concat())
}

/// `more` stands behind the default image, which is the first frame.
fn animated(width: u32, height: u32, frames: u32, more: &[u8]) -> Vec<u8> {
    let control = chunk(b"acTL", &[frames.to_be_bytes(), [0; 4]].concat());
    let pixels = chunk(b"IDAT", &deflated(1 << 20));
    headed(
        width,
        height,
        &[control, frame(0, width, height), pixels, more.to_vec()],
    )
}

/// The control chunk of a frame.
fn frame(sequence: u32, width: u32, height: u32) -> Vec<u8> {
    let numbers = [sequence, width, height, 0, 0].map(u32::to_be_bytes).concat();
    chunk(b"fcTL", &[&numbers[..], &[0, 1, 0, 1, 0, 0]].concat())
}

/// All frames but the first, each with a few bytes of data.
fn frames(width: u32, height: u32, count: u32) -> Vec<u8> {
    let one = |number: u32| {
        let data = chunk(b"fdAT", &[&(2 * number).to_be_bytes()[..], &[0; 8]].concat());
        [frame(2 * number - 1, width, height), data].concat()
    };
    (1..count).flat_map(one).collect()
}

/// Boxes in boxes, as C2PA has them, each of which says to hold all that follows.
fn nested() -> Vec<u8> {
    let depth = 100_000_u32;
    (0..depth)
        .flat_map(|level| [&((depth - level) * 8).to_be_bytes()[..], b"jumb"].concat())
        .collect()
}
