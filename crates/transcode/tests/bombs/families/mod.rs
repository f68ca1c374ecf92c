//! The bombs, by format.

mod boxes;
mod drawings;
mod jpegs;
mod pngs;
mod rasters;
mod tiffs;

use std::io::Write as _;

/// One way of asking for too much.
pub(crate) struct Family {
    /// What it does, for people.
    pub(crate) name: &'static str,
    /// The code that it is refused with; `None` where the picture is shown, without what makes it a bomb.
    pub(crate) refused: Option<&'static str>,
    pub(crate) make: fn() -> Vec<u8>,
    /// Most memory that it may take beyond its own bytes.
    pub(crate) memory: usize,
}

impl Family {
    /// One that takes more than the others may, in MiB.
    const fn within(mut self, memory: usize) -> Self {
        self.memory = memory << 20;
        self
    }
}

const PIXELS: Option<&str> = Some("too_many_pixels");
const FRAMES: Option<&str> = Some("too_many_frames");
const CORRUPT: Option<&str> = Some("corrupt_image");
const UNSUPPORTED: Option<&str> = Some("unsupported_format");
const BYTES: Option<&str> = Some("too_many_bytes");
/// The picture is shown.
const SHOWN: Option<&str> = None;

const fn family(name: &'static str, refused: Option<&'static str>, make: fn() -> Vec<u8>) -> Family {
    Family {
        name,
        refused,
        make,
        memory: 16 << 20,
    }
}

/// All of them.
pub(crate) fn all() -> Vec<Family> {
    let mut all = pngs::all();
    all.extend(rasters::all());
    all.extend(jpegs::all());
    all.extend(tiffs::all());
    all.extend(boxes::all());
    all.extend(drawings::all());
    all.push(family("any file of more bytes than the limit", BYTES, || {
        vec![0; (64 << 20) + 1]
    }));
    all.push(family("a ZIP archive", UNSUPPORTED, || {
        [b"PK\x03\x04\x14\0\0\0\x08\0", &deflated(32 << 20)[..]].concat()
    }));
    all
}

/// So many zeros, as a zlib stream of a thousandth of their size.
fn deflated(bytes: usize) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..bytes >> 20 {
        encoder.write_all(&zeros).unwrap();
    }
    encoder.finish().unwrap()
}
