//! The kind of a file by its first bytes. Names and declared media types are never asked.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

use super::bmp::header::is_os2;
use crate::Error;
use crate::syntax::markup;
use crate::syntax::reader::Reader;

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
    Ico,
    Tiff,
    Jxl,
    Svg,
}

impl Kind {
    pub(crate) const ALL: [Self; 11] = [
        Self::Jpeg,
        Self::Png,
        Self::Gif,
        Self::Webp,
        Self::Avif,
        Self::Heic,
        Self::Bmp,
        Self::Ico,
        Self::Tiff,
        Self::Jxl,
        Self::Svg,
    ];

    /// Whether this build reads it: HEIC, whose codec is patented, can be left out.
    pub(crate) const fn is_read(self) -> bool {
        cfg!(feature = "heic") || !matches!(self, Self::Heic)
    }

    /// Whether all frames of the format are read; of other formats that have several, only the first is.
    pub(crate) const fn is_played(self) -> bool {
        matches!(self, Self::Gif | Self::Png | Self::Webp)
    }

    /// The name for people.
    const fn title(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::Gif => "GIF",
            Self::Webp => "WebP",
            Self::Bmp => "BMP",
            Self::Avif => "AVIF",
            Self::Heic => "HEIC",
            Self::Ico => "ICO",
            Self::Tiff => "TIFF",
            Self::Jxl => "JPEG XL",
            Self::Svg => "SVG",
        }
    }

    /// The answer to a format that was left out.
    pub(crate) fn not_read(self) -> Error {
        Error::unsupported(format!(
            "this build does not read {}; {}",
            self.title(),
            Self::all_read()
        ))
    }

    /// The formats that this build reads, as the end of a sentence.
    fn all_read() -> String {
        let titles: Vec<&str> = Self::ALL
            .into_iter()
            .filter(|kind| kind.is_read())
            .map(Self::title)
            .collect();
        match titles.split_last() {
            Some((last, rest)) => format!("{} and {last} are read", rest.join(", ")),
            None => String::new(),
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "jpeg",
            Self::Png => "png",
            Self::Gif => "gif",
            Self::Webp => "webp",
            Self::Bmp => "bmp",
            Self::Avif => "avif",
            Self::Heic => "heic",
            Self::Ico => "ico",
            Self::Tiff => "tiff",
            Self::Jxl => "jxl",
            Self::Svg => "svg",
        }
    }
}

/// The format of `source`, or a rejection that names what it looks like instead.
pub(crate) fn sniff(source: &[u8]) -> Result<Kind, Error> {
    match recognize(source) {
        Some(kind) if kind.is_read() => Ok(kind),
        Some(kind) => Err(kind.not_read()),
        None => {
            let what = other_format(source).unwrap_or("no known image format");
            Err(Error::unsupported(format!(
                "the content is {what}; {}",
                Kind::all_read()
            )))
        }
    }
}

fn recognize(source: &[u8]) -> Option<Kind> {
    let starts = |magic: &[u8]| source.starts_with(magic);
    let holds = |at: usize, magic: &[u8]| source.get(at..).is_some_and(|rest| rest.starts_with(magic));
    if starts(b"\xFF\xD8\xFF") {
        Some(Kind::Jpeg)
    } else if starts(b"\x89PNG\r\n\x1A\n") {
        Some(Kind::Png)
    } else if starts(b"GIF87a") || starts(b"GIF89a") {
        Some(Kind::Gif)
    } else if starts(b"RIFF") && holds(8, b"WEBP") {
        Some(Kind::Webp)
    } else if starts(b"BM") && is_bitmap_header(source) {
        Some(Kind::Bmp)
    } else if starts(b"\xFF\x0A") || starts(b"\0\0\0\x0CJXL \r\n\x87\n") {
        Some(Kind::Jxl)
    } else if [&b"II*\0"[..], b"MM\0*", b"II+\0", b"MM\0+"]
        .into_iter()
        .any(starts)
    {
        Some(Kind::Tiff)
    } else if let Some(kind) = heif_kind(source) {
        // Before icons: a box of 256 bytes begins as they do.
        Some(kind)
    } else if is_icon(source) {
        Some(Kind::Ico)
    } else if markup::is_svg(source) {
        Some(Kind::Svg)
    } else {
        None
    }
}

/// A HEIF file by the brands in its `ftyp` (ISO/IEC 23008-12 section 10, AVIF 1.1 section 6); `None` for any other
/// file, films among them. The brands of HEIF itself say nothing about the codec: such a file is named after what else
/// it is compatible with.
fn heif_kind(source: &[u8]) -> Option<Kind> {
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
        Some(Kind::Avif)
    } else if has(&[
        b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1",
    ]) {
        Some(Kind::Heic)
    } else {
        None
    }
}

/// Brands behind this are not looked at.
const MAX_FTYP_BYTES: usize = 512;

/// `\0\0\x01\0` begins other files too: the first picture has to lie behind the directory.
fn is_icon(source: &[u8]) -> bool {
    is_directory(source, 1)
}

/// A directory of icons (1) or of cursors (2).
fn is_directory(source: &[u8], kind: u16) -> bool {
    let mut reader = Reader::new(source);
    let directory = (reader.le16(), reader.le16(), reader.le16());
    let (Some(0), Some(found), Some(count @ 1..)) = directory else {
        return false;
    };
    if found != kind {
        return false;
    }
    let first = Reader::at(source, 18)
        .le32()
        .and_then(|first| usize::try_from(first).ok());
    let behind = usize::from(count).saturating_mul(16).saturating_add(6);
    first.is_some_and(|first| first >= behind)
}

/// `BM` alone begins too many texts: the size of the DIB header must be one that exists.
fn is_bitmap_header(source: &[u8]) -> bool {
    let size = source
        .get(14..18)
        .and_then(|bytes| bytes.try_into().ok())
        .map(u32::from_le_bytes);
    size.is_some_and(|size| matches!(size, 12 | 40 | 52 | 56 | 108 | 124) || is_os2(size))
}

fn other_format(source: &[u8]) -> Option<&'static str> {
    const MAGIC: [(usize, &[u8], &str); 16] = [
        (4, b"ftypcrx ", "a camera raw file (Canon CR3)"),
        (4, b"ftyp", "an MP4 or QuickTime file"),
        (4, b"jP  \r\n\x87\n", "JPEG 2000"),
        (0, b"IIR", "a camera raw file (Olympus ORF)"),
        (0, b"IIU\0", "a camera raw file (Panasonic RW2)"),
        (0, b"FUJIFILMCCD-RAW", "a camera raw file (Fujifilm RAF)"),
        (0, b"8BPS", "a Photoshop document"),
        (0, b"%PDF", "PDF"),
        (0, b"%!PS", "PostScript"),
        (0, b"\x1F\x8B", "gzip-compressed data"),
        (0, b"PK\x03\x04", "a ZIP archive"),
        (0, b"P6", "PPM"),
        (0, b"P5", "PGM"),
        (0, b"version https://git-lfs", "a Git LFS pointer"),
        (0, b"{", "JSON text"),
        (0, b"\0\0\x01\0", "an icon (ICO) that is broken"),
    ];
    for (at, magic, name) in MAGIC {
        if source.get(at..).is_some_and(|rest| rest.starts_with(magic)) {
            return Some(name);
        }
    }
    if is_directory(source, 2) {
        return Some("a cursor (CUR)");
    }
    let head = source.get(..source.len().min(1024)).unwrap_or_default();
    if contains_ignoring_case(head, b"<html") || contains_ignoring_case(head, b"<!doctype html") {
        Some("HTML")
    } else if head.trim_ascii_start().starts_with(b"<") {
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
    fn heic_is_read_or_rejected_by_name_as_the_build_has_it() {
        let found = sniff(b"\0\0\0\x10ftypheic\0\0\0\0");
        if cfg!(feature = "heic") {
            assert_eq!(found.ok(), Some(Kind::Heic));
        } else {
            let message = found.unwrap_err().to_string();
            assert!(
                message.starts_with("unsupported_format: this build does not read HEIC; JPEG, "),
                "{message}"
            );
        }
    }

    #[test]
    fn content_decides_and_the_rejection_names_what_was_found() {
        assert_eq!(sniff(b"\xFF\xD8\xFF\xE0....").ok(), Some(Kind::Jpeg));
        assert_eq!(sniff(b"RIFF\0\0\0\0WEBPVP8 ").ok(), Some(Kind::Webp));
        assert_eq!(sniff(b"BM bitmap? no, prose").ok(), None);
        assert_eq!(recognize(b"MM\0*"), Some(Kind::Tiff));
        assert_eq!(recognize(b"\xFF\x0A"), Some(Kind::Jxl));
        assert_eq!(recognize(b"<?xml version='1.0'?><svg/>"), Some(Kind::Svg));
        for (source, kind) in [
            (&b"\0\0\0\x10ftypavif\0\0\0\0"[..], Kind::Avif),
            (b"\0\0\0\x14ftypmif1\0\0\0\0avis", Kind::Avif),
            (b"\0\0\0\x10ftypheic\0\0\0\0", Kind::Heic),
            (b"\0\0\0\x18ftypmif1\0\0\0\0miafheix", Kind::Heic),
        ] {
            assert_eq!(recognize(source), Some(kind));
        }
        for (source, name) in [
            (&b"\0\0\0\x14ftypisom\0\0\0\0mp42"[..], "MP4"),
            (b"<?xml version='1.0'?><Error>", "XML"),
            (b"  <!DOCTYPE html><body>", "HTML"),
            (b"\0\0\x01\0", "ICO"),
            (
                b"\0\0\x02\0\x01\0\x20\x20\0\0\x01\0\x01\0\x09\0\0\0\x16\0\0\0",
                "CUR",
            ),
            (b"", "no known image format"),
        ] {
            let message = sniff(source).unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
            assert!(message.starts_with("unsupported_format: "), "{message}");
        }
    }
}
