//! Untrusted bytes to samples, by memory-safe decoders only.

mod bmp;
pub(crate) mod gif;
mod heif;
mod ico;
mod jpeg;
mod jxl;
mod mend;
pub(crate) mod png;
mod svg;
mod tiff;
pub(crate) mod webp;

use crate::header::Header;
use crate::picture::Samples;
use crate::sniff::Kind;
use crate::{Error, contain};

/// Decodes the picture whose header is `header`: the first frame of an animation, on its canvas. Tells whether a part
/// of it is missing.
///
/// A JPEG whose end is missing is shown as far as it goes (docs/formats.md). All other pixel data that is missing or
/// cannot be decoded rejects the source.
pub(crate) fn decode(source: &[u8], header: &Header) -> Result<(Samples, bool), Error> {
    if header.kind == Kind::Jpeg {
        return contain(|| jpeg::decode(source, header));
    }
    let samples = contain(|| match header.kind {
        Kind::Jpeg => jpeg::decode(source, header).map(|(samples, _)| samples),
        Kind::Png => png::decode(source),
        Kind::Gif => gif::decode(source, header),
        Kind::Webp => webp::decode(source, header.size),
        Kind::Bmp => bmp::decode(source),
        Kind::Avif | Kind::Heic => heif::decode(source),
        Kind::Ico => ico::decode(source, header),
        Kind::Tiff => tiff::decode(source, header),
        Kind::Jxl => jxl::decode(source, header),
        Kind::Svg => svg::decode(source, header),
    })?;
    Ok((samples, false))
}
