//! Pixels that we made to rendition bytes. Each encoder takes one picture and one quality, and gives one file that
//! carries pixels only: no EXIF and no comment, and no profile where they are sRGB, which is what an untagged file means.

mod avif;
mod jpeg;
mod jxl;
mod planes;
mod png;
mod repack;
mod riff;
mod webp;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tintype_model::{Format, Quality, Rgb};

use crate::error::EncodeError;
use crate::picture::Picture;

pub(crate) use repack::Original;

/// Encodes one picture.
///
/// The picture is let go of as soon as the encoder has its own form of it.
pub(crate) fn encode(
    picture: Arc<Picture>,
    format: Format,
    quality: Quality,
    background: Rgb,
) -> Result<Vec<u8>, EncodeError> {
    let encode = || match (format, quality) {
        (Format::Jxl, quality) => jxl::encode(&picture, quality),
        (Format::Avif, quality) => avif::encode(picture, lossy(quality)),
        (Format::Webp, quality) => {
            let head = riff::Head::of(&picture);
            let file = match quality {
                Quality::Fixed(quality) => webp::encode(picture, quality),
                Quality::Lossless => webp::encode_lossless(&picture),
            };
            Ok(head.with_profile(file?))
        }
        (Format::Jpeg, quality) => jpeg::encode(&picture, lossy(quality), background),
        (Format::Png, _) => png::encode(&picture),
    };
    // libjpeg reports errors by unwinding.
    catch_unwind(AssertUnwindSafe(encode)).unwrap_or(Err(EncodeError::Panicked))
}

/// The quality on the scale of a format that always loses something.
const fn lossy(quality: Quality) -> u8 {
    match quality {
        Quality::Fixed(quality) => quality,
        Quality::Lossless => 100,
    }
}

/// Roughly what an encode costs, in nanoseconds: only the order matters, so that the longest work starts first.
pub(crate) const fn cost(format: Format, pixels: u64) -> u64 {
    let is_large = pixels > 1_000_000;
    let per_pixel = match (format, is_large) {
        (Format::Jxl, true) => 130,
        (Format::Jxl, false) => 400,
        (Format::Avif, true) => 23,
        (Format::Avif, false) => 230,
        (Format::Webp, true) => 21,
        (Format::Webp, false) => 80,
        (Format::Png, true) => 150,
        (Format::Png, false) => 500,
        (Format::Jpeg, true) => 7,
        (Format::Jpeg, false) => 54,
    };
    pixels * per_pixel
}

/// What an encode needs beside the picture, in bytes per pixel of a large opaque one.
pub(crate) const fn working_bytes(format: Format) -> u64 {
    match format {
        Format::Jpeg => 4,
        Format::Webp => 6,
        Format::Png => 10,
        Format::Avif => 15,
        Format::Jxl => 40,
    }
}
