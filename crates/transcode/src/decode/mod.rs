//! Untrusted bytes to samples, by memory-safe decoders only.

#[cfg(feature = "bmp")]
mod bmp;
#[cfg(feature = "gif")]
pub(crate) mod gif;
#[cfg(any(feature = "avif", feature = "heic"))]
mod heif;
#[cfg(feature = "ico")]
mod ico;
mod jpeg;
#[cfg(feature = "jxl")]
mod jxl;
pub(crate) mod png;
#[cfg(feature = "svg")]
mod svg;
#[cfg(feature = "tiff")]
mod tiff;
#[cfg(feature = "webp")]
pub(crate) mod webp;

use crate::header::Header;
use crate::picture::Samples;
use crate::sniff::Kind;
use crate::{Error, contain};

/// Decodes the picture whose header is `header`: the first frame of an animation, on its canvas.
///
/// Pixel data that is missing or cannot be decoded rejects the source; nothing is published with parts made up.
pub(crate) fn decode(source: &[u8], header: &Header) -> Result<Samples, Error> {
    contain(|| match header.kind {
        Kind::Jpeg => jpeg::decode(source, header),
        Kind::Png => png::decode(source),
        #[cfg(feature = "gif")]
        Kind::Gif => gif::decode(source, header),
        #[cfg(feature = "webp")]
        Kind::Webp => webp::decode(source, header.size),
        #[cfg(feature = "bmp")]
        Kind::Bmp => bmp::decode(source),
        #[cfg(feature = "avif")]
        Kind::Avif => heif::decode(source),
        #[cfg(feature = "heic")]
        Kind::Heic => heif::decode(source),
        #[cfg(feature = "ico")]
        Kind::Ico => ico::decode(source, header),
        #[cfg(feature = "tiff")]
        Kind::Tiff => tiff::decode(source, header),
        #[cfg(feature = "jxl")]
        Kind::Jxl => jxl::decode(source, header),
        #[cfg(feature = "svg")]
        Kind::Svg => svg::decode(source, header),
        #[cfg(not(all(
            feature = "avif",
            feature = "heic",
            feature = "gif",
            feature = "webp",
            feature = "bmp",
            feature = "ico",
            feature = "tiff",
            feature = "jxl",
            feature = "svg"
        )))]
        left_out => Err(left_out.not_read()),
    })
}
