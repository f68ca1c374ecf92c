//! The format of a file by its first bytes. Names and declared media types are never asked.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

use super::{FORMATS, formats, ico};
use crate::Error;
use crate::header::format::SourceFormat;

/// The format of `source`, or a rejection that names what it looks like instead.
pub(super) fn sniff(source: &[u8]) -> Result<&'static SourceFormat, Error> {
    match recognize(source) {
        Some(format) if format.is_read => Ok(format),
        Some(format) => Err(Error::unsupported(format!(
            "this build does not read {}; {}",
            format.title,
            all_read()
        ))),
        None => {
            let what = other_format(source).unwrap_or("no known image format");
            Err(Error::unsupported(format!(
                "the content is {what}; {}",
                all_read()
            )))
        }
    }
}

fn recognize(source: &[u8]) -> Option<&'static SourceFormat> {
    FORMATS.into_iter().find(|format| (format.recognize)(source))
}

/// The formats that this build reads, as the end of a sentence.
fn all_read() -> String {
    let titles: Vec<&str> = formats().map(|format| format.title).collect();
    match titles.split_last() {
        Some((last, rest)) => format!("{} and {last} are read", rest.join(", ")),
        None => String::new(),
    }
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
    if ico::is_directory(source, 2) {
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

    fn name(source: &[u8]) -> Option<&'static str> {
        sniff(source).ok().map(|format| format.name)
    }

    fn recognized(source: &[u8]) -> Option<&'static str> {
        recognize(source).map(|format| format.name)
    }

    #[test]
    fn heic_is_read_or_rejected_by_name_as_the_build_has_it() {
        let found = sniff(b"\0\0\0\x10ftypheic\0\0\0\0");
        if cfg!(feature = "heic") {
            assert_eq!(found.ok().map(|format| format.name), Some("heic"));
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
        assert_eq!(name(b"\xFF\xD8\xFF\xE0...."), Some("jpeg"));
        assert_eq!(name(b"RIFF\0\0\0\0WEBPVP8 "), Some("webp"));
        assert_eq!(name(b"BM bitmap? no, prose"), None);
        assert_eq!(recognized(b"MM\0*"), Some("tiff"));
        assert_eq!(recognized(b"\xFF\x0A"), Some("jxl"));
        assert_eq!(recognized(b"<?xml version='1.0'?><svg/>"), Some("svg"));
        for (source, format) in [
            (&b"\0\0\0\x10ftypavif\0\0\0\0"[..], "avif"),
            (b"\0\0\0\x14ftypmif1\0\0\0\0avis", "avif"),
            (b"\0\0\0\x10ftypheic\0\0\0\0", "heic"),
            (b"\0\0\0\x18ftypmif1\0\0\0\0miafheix", "heic"),
        ] {
            assert_eq!(recognized(source), Some(format));
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
