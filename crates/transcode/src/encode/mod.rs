//! Pixels that we made to rendition bytes. Each encoder takes one picture and one quality, and gives one file that
//! carries pixels only: no EXIF, no profile, no comment. sRGB is what an untagged file means.

mod avif;
mod jpeg;
mod planes;
mod png;
mod webp;

use std::panic::{AssertUnwindSafe, catch_unwind};

use tintype_model::{Format, Rgb};

use crate::error::EncodeError;
use crate::picture::Picture;

/// Encodes one picture. `quality` is 1 to 100 on the format's own scale.
pub(crate) fn encode(
    picture: &Picture,
    format: Format,
    quality: u8,
    background: Rgb,
) -> Result<Vec<u8>, EncodeError> {
    let encode = || match format {
        Format::Avif => avif::encode(picture, quality),
        Format::Webp => webp::encode(picture, quality),
        Format::Jpeg => jpeg::encode(picture, quality, background),
        Format::Png => png::encode(picture),
    };
    // libjpeg reports errors by unwinding.
    catch_unwind(AssertUnwindSafe(encode)).unwrap_or(Err(EncodeError::Panicked))
}

/// What an encode costs, in nanoseconds per pixel on the machine it was measured on: only the order matters, so that
/// the longest work starts first.
pub(crate) const fn cost_per_pixel(format: Format) -> u64 {
    match format {
        Format::Avif => 40,
        Format::Webp => 30,
        Format::Png => 25,
        Format::Jpeg => 8,
    }
}
