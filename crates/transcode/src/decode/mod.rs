//! Untrusted bytes to samples, by memory-safe decoders only.

mod bmp;
mod gif;
#[cfg(any(feature = "avif", feature = "heic"))]
mod heif;
mod jpeg;
mod png;
mod webp;

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
        Kind::Gif => gif::decode(source, header),
        Kind::Webp => webp::decode(source, header),
        Kind::Bmp => bmp::decode(source),
        #[cfg(any(feature = "avif", feature = "heic"))]
        Kind::Avif | Kind::Heic => heif::decode(source),
        #[cfg(not(any(feature = "avif", feature = "heic")))]
        Kind::Avif | Kind::Heic => Err(Error::unsupported("this build reads neither AVIF nor HEIC")),
    })
}
