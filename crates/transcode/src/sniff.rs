//! What a file is by its first bytes. Names and declared media types are never asked.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::Error;
use crate::reader::Reader;

/// The formats that are decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Jpeg,
    Png,
    Gif,
    Webp,
    Bmp,
    Avif,
    Heic,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "jpeg",
            Self::Png => "png",
            Self::Gif => "gif",
            Self::Webp => "webp",
            Self::Bmp => "bmp",
            Self::Avif => "avif",
            Self::Heic => "heic",
        }
    }
}

/// The format of `source`, or a rejection that names what it looks like instead.
pub(crate) fn sniff(source: &[u8]) -> Result<Kind, Error> {
    let starts = |magic: &[u8]| source.starts_with(magic);
    let holds = |at: usize, magic: &[u8]| source.get(at..).is_some_and(|rest| rest.starts_with(magic));
    if starts(b"\xFF\xD8\xFF") {
        Ok(Kind::Jpeg)
    } else if starts(b"\x89PNG\r\n\x1A\n") {
        Ok(Kind::Png)
    } else if starts(b"GIF87a") || starts(b"GIF89a") {
        Ok(Kind::Gif)
    } else if starts(b"RIFF") && holds(8, b"WEBP") {
        Ok(Kind::Webp)
    } else if starts(b"BM") && is_bitmap_header(source) {
        Ok(Kind::Bmp)
    } else if let Some(kind) = heif_kind(source) {
        kind
    } else {
        let what = other_format(source).unwrap_or("no known image format");
        Err(Error::unsupported(format!(
            "the content is {what}; {READ} are read"
        )))
    }
}

/// What this build reads, for people.
const READ: &str = match (cfg!(feature = "avif"), cfg!(feature = "heic")) {
    (true, true) => "JPEG, PNG, GIF, WebP, BMP, AVIF and HEIC",
    (true, false) => "JPEG, PNG, GIF, WebP, BMP and AVIF",
    (false, true) => "JPEG, PNG, GIF, WebP, BMP and HEIC",
    (false, false) => "JPEG, PNG, GIF, WebP and BMP",
};

/// A HEIF file by the brands in its `ftyp` (ISO/IEC 23008-12 section 10, AVIF 1.1 section 6); `None` for any other
/// file, films among them. The brands of HEIF itself say nothing about the codec: such a file is named after what else
/// it is compatible with.
fn heif_kind(source: &[u8]) -> Option<Result<Kind, Error>> {
    let mut reader = Reader::new(source);
    let size = usize::try_from(reader.be32()?).ok()?;
    if &reader.four()? != b"ftyp" {
        return None;
    }
    let brands = source.get(8..size.min(source.len()).min(MAX_FTYP_BYTES))?;
    let (brands, _) = brands.as_chunks::<4>();
    // The second word is the minor version.
    let has = |wanted: &[&[u8; 4]]| {
        brands
            .iter()
            .enumerate()
            .any(|(at, brand)| at != 1 && wanted.contains(&brand))
    };
    if has(&[b"avif", b"avis"]) {
        Some(read_by(cfg!(feature = "avif"), Kind::Avif, "AVIF"))
    } else if has(&[
        b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1",
    ]) {
        Some(read_by(cfg!(feature = "heic"), Kind::Heic, "HEIC"))
    } else {
        None
    }
}

/// Brands behind this are not looked at.
const MAX_FTYP_BYTES: usize = 512;

/// A format that a build can go without.
fn read_by(build: bool, kind: Kind, name: &str) -> Result<Kind, Error> {
    if build {
        Ok(kind)
    } else {
        Err(Error::unsupported(format!(
            "the content is {name}, which this build does not read; {READ} are read"
        )))
    }
}

/// `BM` alone begins too many texts: the size of the DIB header must be one that exists.
fn is_bitmap_header(source: &[u8]) -> bool {
    let size = source
        .get(14..18)
        .and_then(|bytes| bytes.try_into().ok())
        .map(u32::from_le_bytes);
    matches!(size, Some(12 | 40 | 52 | 56 | 108 | 124))
}

fn other_format(source: &[u8]) -> Option<&'static str> {
    const MAGIC: [(usize, &[u8], &str); 18] = [
        (4, b"ftyp", "an MP4 or QuickTime file"),
        (0, b"\xFF\x0A", "JPEG XL"),
        (4, b"JXL \r\n\x87\n", "JPEG XL"),
        (4, b"jP  \r\n\x87\n", "JPEG 2000"),
        (0, b"II*\0", "TIFF"),
        (0, b"MM\0*", "TIFF"),
        (0, b"II+\0", "BigTIFF"),
        (0, b"MM\0+", "BigTIFF"),
        (0, b"\0\0\x01\0", "an icon (ICO)"),
        (0, b"8BPS", "a Photoshop document"),
        (0, b"%PDF", "PDF"),
        (0, b"%!PS", "PostScript"),
        (0, b"\x1F\x8B", "gzip-compressed data"),
        (0, b"PK\x03\x04", "a ZIP archive"),
        (0, b"P6", "PPM"),
        (0, b"P5", "PGM"),
        (0, b"version https://git-lfs", "a Git LFS pointer"),
        (0, b"{", "JSON text"),
    ];
    for (at, magic, name) in MAGIC {
        if source.get(at..).is_some_and(|rest| rest.starts_with(magic)) {
            return Some(name);
        }
    }
    let head = source.get(..source.len().min(1024)).unwrap_or_default();
    let text = head.trim_ascii_start();
    if contains_ignoring_case(head, b"<svg") {
        Some("SVG")
    } else if contains_ignoring_case(head, b"<html") || contains_ignoring_case(head, b"<!doctype html") {
        Some("HTML")
    } else if text.starts_with(b"<") {
        Some("XML or HTML")
    } else {
        None
    }
}

fn contains_ignoring_case(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window.eq_ignore_ascii_case(needle))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_decides_and_the_rejection_names_what_was_found() {
        assert_eq!(sniff(b"\xFF\xD8\xFF\xE0....").ok(), Some(Kind::Jpeg));
        assert_eq!(sniff(b"RIFF\0\0\0\0WEBPVP8 ").ok(), Some(Kind::Webp));
        assert_eq!(sniff(b"BM bitmap? no, prose").ok(), None);
        for (source, kind) in [
            (&b"\0\0\0\x10ftypavif\0\0\0\0"[..], Kind::Avif),
            (b"\0\0\0\x14ftypmif1\0\0\0\0avis", Kind::Avif),
            (b"\0\0\0\x10ftypheic\0\0\0\0", Kind::Heic),
            (b"\0\0\0\x18ftypmif1\0\0\0\0miafheix", Kind::Heic),
        ] {
            match sniff(source) {
                Ok(found) => assert_eq!(found, kind),
                Err(error) => assert!(error.to_string().contains("this build does not read"), "{error}"),
            }
        }
        for (source, name) in [
            (&b"\0\0\0\x14ftypisom\0\0\0\0mp42"[..], "MP4"),
            (b"<?xml version='1.0'?><SVG>", "SVG"),
            (b"  <!DOCTYPE html><body>", "HTML"),
            (b"II*\0", "TIFF"),
            (b"", "no known image format"),
        ] {
            let message = sniff(source).unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
            assert!(message.starts_with("unsupported_format: "), "{message}");
        }
    }
}
