//! Untrusted bytes to samples, by memory-safe decoders only.

pub(crate) mod bmp;
pub(crate) mod gif;
pub(crate) mod heif;
pub(crate) mod ico;
pub(crate) mod jpeg;
pub(crate) mod jxl;
pub(crate) mod png;
pub(crate) mod sniff;
pub(crate) mod svg;
pub(crate) mod tiff;
pub(crate) mod webp;

use self::sniff::Kind;
use crate::Error;
use crate::header::Header;
use crate::panics::contain;
use crate::picture::Samples;

/// Decodes the picture whose header is `header`: the first frame of an animation, on its canvas. Tells whether a part
/// of it is missing.
///
/// A JPEG whose end is missing is shown as far as it goes (docs/formats.md). All other pixel data that is missing or
/// cannot be decoded rejects the source.
pub(crate) fn decode(source: &[u8], header: &Header) -> Result<(Samples, bool), Error> {
    if header.kind == Kind::Jpeg {
        return contain(|| jpeg::decode::decode(source, header));
    }
    let samples = contain(|| match header.kind {
        Kind::Jpeg => jpeg::decode::decode(source, header).map(|(samples, _)| samples),
        Kind::Png => png::decode::decode(source),
        Kind::Gif => gif::decode::decode(source, header),
        Kind::Webp => webp::decode::decode(source, header.size),
        Kind::Bmp => bmp::decode::decode(source),
        Kind::Avif | Kind::Heic => heif::decode::decode(source),
        Kind::Ico => ico::decode::decode(source, header),
        Kind::Tiff => tiff::decode::decode(source, header),
        Kind::Jxl => jxl::decode::decode(source, header),
        Kind::Svg => svg::decode::decode(source, header),
    })?;
    Ok((samples, false))
}
