//! HEIF: one container of pictures in AV1 (AVIF) and in HEVC (HEIC).

mod decode;
mod header;

use crate::header::format::{Decoded, SourceFormat};
use crate::syntax::reader::Reader;

pub(super) static AVIF: SourceFormat = SourceFormat {
    name: "avif",
    title: "AVIF",
    library: "re_rav1d",
    is_read: true,
    recognize: |source| has_brand(source, &[b"avif", b"avis"]),
    parse: header::parse,
    decode: |source, _| decode::decode(source).map(Decoded::whole),
    animation: None,
    rendition: None,
};

/// Files whose brands say no more than that they are HEIF are taken for HEIC: the brands of HEIF itself say nothing about
/// the codec. [`AVIF`] is asked first.
pub(super) static HEIC: SourceFormat = SourceFormat {
    name: "heic",
    title: "HEIC",
    library: "heic-rs",
    is_read: cfg!(feature = "heic"),
    recognize: |source| has_brand(source, &HEIC_BRANDS),
    parse: header::parse,
    decode: |source, _| decode::decode(source).map(Decoded::whole),
    animation: None,
    rendition: None,
};

const HEIC_BRANDS: [&[u8; 4]; 8] = [
    b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1",
];

/// Brands behind this are not looked at.
const MAX_FTYP_BYTES: usize = 512;

/// Tells whether the `ftyp` box of a file names one of the brands (ISO/IEC 23008-12 section 10, AVIF 1.1 section 6).
/// Films name none of ours.
fn has_brand(source: &[u8], wanted: &[&[u8; 4]]) -> bool {
    brands(source).is_some_and(|mut brands| brands.any(|brand| wanted.contains(&brand)))
}

fn brands(source: &[u8]) -> Option<impl Iterator<Item = &[u8; 4]>> {
    let mut reader = Reader::new(source);
    let size = usize::try_from(reader.be32()?).ok()?;
    if &reader.four()? != b"ftyp" {
        return None;
    }
    let brands = source.get(8..size.min(source.len()).min(MAX_FTYP_BYTES))?;
    let (brands, _) = brands.as_chunks::<4>();
    // The second word is the minor version.
    let brands = brands.iter().enumerate().filter(|&(at, _)| at != 1);
    Some(brands.map(|(_, brand)| brand))
}
