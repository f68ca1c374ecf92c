//! The formats that are read: untrusted bytes to headers and samples, by memory-safe decoders only.
//!
//! Each format is a folder of its own, and a row in [`FORMATS`].

mod bmp;
mod gif;
mod heif;
mod ico;
mod jpeg;
mod jxl;
mod png;
mod sniff;
mod svg;
mod tiff;
mod webp;

use tintype_model::Limits;

use crate::Error;
use crate::header::format::{Decoded, SourceFormat};
use crate::header::{self, Header};
use crate::panics::contain;

/// All formats, in the order in which people are told of them. The first that recognizes a file has it: HEIF comes
/// before icons, because a box of 256 bytes begins as they do, and SVG, which is known by its text, comes last.
static FORMATS: [&SourceFormat; 11] = [
    &jpeg::FORMAT,
    &png::FORMAT,
    &gif::FORMAT,
    &webp::FORMAT,
    &heif::AVIF,
    &heif::HEIC,
    &bmp::FORMAT,
    &ico::FORMAT,
    &tiff::FORMAT,
    &jxl::FORMAT,
    &svg::FORMAT,
];

/// The formats that this build reads.
pub(crate) fn formats() -> impl Iterator<Item = &'static SourceFormat> {
    FORMATS.into_iter().filter(|format| format.is_read)
}

/// Reads the header of `source`, whatever its format, and checks every limit.
pub(crate) fn header(source: &[u8], limits: &Limits) -> Result<Header, Error> {
    header::check_bytes(source, limits)?;
    Header::read(sniff::sniff(source)?, source, limits)
}

/// Decodes the picture whose header is `header`: the first frame of an animation, on its canvas.
///
/// A JPEG whose end is missing is shown as far as it goes (docs/formats.md). All other pixel data that is missing or
/// cannot be decoded rejects the source.
pub(crate) fn decode(source: &[u8], header: &Header) -> Result<Decoded, Error> {
    contain(|| (header.format.decode)(source, header))
}
