//! Pixels that we made to rendition bytes. Each encoder takes one picture and one quality, and gives one file that
//! carries pixels only: no EXIF, no profile, no comment. sRGB is what an untagged file means.

mod avif;
mod jpeg;
mod planes;
mod png;
mod webp;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tintype_model::{Format, Rgb};

use crate::error::EncodeError;
use crate::picture::Picture;

/// Encodes one picture. `quality` is 1 to 100 on the format's own scale.
///
/// The picture is let go of as soon as the encoder has its own form of it.
pub(crate) fn encode(
    picture: Arc<Picture>,
    format: Format,
    quality: u8,
    background: Rgb,
) -> Result<Vec<u8>, EncodeError> {
    let encode = || match format {
        Format::Avif => avif::encode(picture, quality),
        Format::Webp => webp::encode(picture, quality),
        Format::Jpeg => jpeg::encode(&picture, quality, background),
        Format::Png => png::encode(&picture),
    };
    // libjpeg reports errors by unwinding.
    catch_unwind(AssertUnwindSafe(encode)).unwrap_or(Err(EncodeError::Panicked))
}

/// Roughly what an encode costs, in nanoseconds: only the order matters, so that the longest work starts first.
///
/// Large JPEG and PNG are said to cost more than they do. They read the picture itself, and the others a form of their
/// own: once the former are done the picture can be let go, which is 3 of the 20 bytes a pixel of all large encodes.
pub(crate) const fn cost(format: Format, pixels: u64) -> u64 {
    let is_large = pixels > 1_000_000;
    let per_pixel = match (format, is_large) {
        (Format::Png, true) => 40,
        (Format::Jpeg, true) => 39,
        (Format::Avif, true) => 38,
        (Format::Webp, true) => 28,
        (Format::Png, false) => 280,
        (Format::Webp, false) => 80,
        (Format::Avif, false) => 65,
        (Format::Jpeg, false) => 24,
    };
    pixels * per_pixel
}

/// What an encode needs beside the picture, in bytes per pixel of a large opaque one.
pub(crate) const fn working_bytes(format: Format) -> u64 {
    match format {
        Format::Jpeg | Format::Png => 4,
        Format::Webp => 6,
        Format::Avif => 15,
    }
}
