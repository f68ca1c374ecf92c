//! Pixels that we made to rendition bytes. Each encoder takes one picture and one quality, and gives one file that
//! carries pixels only: no EXIF and no comment, and no profile where they are sRGB, which is what an untagged file means.

mod avif;
mod invisible;
mod jpeg;
mod jxl;
mod original;
mod pieces;
mod planes;
mod png;
pub(crate) mod sequence;
mod webp;

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tintype_model::{Format, Rgb};

use crate::error::EncodeError;
use crate::picture::Picture;

pub(crate) use original::Original;
pub(crate) use pieces::Pieces;

/// The settings that one file is encoded with, beside its format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// 1 to 100 on the format's own scale.
    pub(crate) quality: u8,
    pub(crate) chroma: Chroma,
    pub(crate) loss: Loss,
    /// Whether AVIF is made with the tools for what is drawn.
    pub(crate) is_drawn: bool,
    /// Pixels of the picture whose speed is taken: a sample is encoded as the whole would be.
    pub(crate) sized_for: u64,
}

/// The loss that is allowed, in JPEG XL and WebP; the other formats have one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// As much as the quality says.
    Usual,
    /// The colours of pixels that are fully transparent.
    Invisible,
    Nothing,
}

/// Resolution of the colour differences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chroma {
    /// Half in both directions (4:2:0).
    Halved,
    /// The same as luma (4:4:4), in AVIF and JPEG; lossy WebP knows only half.
    Full,
}

impl Chroma {
    /// The number of columns or rows of colour differences beside `luma` of them of luma; odd numbers round up.
    pub(crate) const fn of(self, luma: u32) -> u32 {
        match self {
            Self::Halved => luma.div_ceil(2),
            Self::Full => luma,
        }
    }
}

impl Settings {
    /// The settings for a photograph of `pixels` pixels.
    pub(crate) const fn usual(quality: u8, pixels: u64) -> Self {
        Self {
            quality,
            chroma: Chroma::Halved,
            loss: Loss::Usual,
            is_drawn: false,
            sized_for: pixels,
        }
    }
}

/// A file, and what a decoder makes of it where that was asked for and there is no decoder here.
pub(crate) struct Encoded {
    pub(crate) bytes: Vec<u8>,
    pub(crate) shown: Option<Picture>,
}

/// Encodes one picture with the settings of a photograph. `quality` is 1 to 100 on the format's own scale.
///
/// The picture is let go of as soon as the encoder has its own form of it.
pub(crate) fn encode(
    picture: Arc<Picture>,
    format: Format,
    quality: u8,
    background: Rgb,
) -> Result<Vec<u8>, EncodeError> {
    let settings = Settings::usual(quality, picture.size.pixels());
    encode_with(picture, format, &settings, background)
}

/// [`encode`] with all settings.
pub(crate) fn encode_with(
    picture: Arc<Picture>,
    format: Format,
    settings: &Settings,
    background: Rgb,
) -> Result<Vec<u8>, EncodeError> {
    run(picture, format, settings, background, false).map(|encoded| encoded.bytes)
}

/// [`encode_with`], keeping what libaom reconstructs.
pub(crate) fn encode_and_show(
    picture: Arc<Picture>,
    format: Format,
    settings: &Settings,
    background: Rgb,
) -> Result<Encoded, EncodeError> {
    run(picture, format, settings, background, true)
}

fn run(
    picture: Arc<Picture>,
    format: Format,
    settings: &Settings,
    background: Rgb,
    show: bool,
) -> Result<Encoded, EncodeError> {
    let bytes_only = |bytes| Encoded { bytes, shown: None };
    let encode = || match format {
        Format::Avif => avif::encode(picture, settings, show),
        Format::Jxl => jxl::encode(&picture, settings).map(bytes_only),
        Format::Webp => {
            let head = webp::profile::Head::of(&picture);
            webp::encode(picture, settings).map(|file| bytes_only(head.with_profile(file)))
        }
        Format::Jpeg => jpeg::encode(&picture, settings, background).map(bytes_only),
        Format::Png => png::encode(picture).map(bytes_only),
    };
    contain(encode)
}

/// Runs an encoder; libjpeg reports errors by unwinding.
fn contain<T>(work: impl FnOnce() -> Result<T, EncodeError>) -> Result<T, EncodeError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(EncodeError::Panicked))
}

/// RGB pixels as JPEG gets them: transparency shows the background.
pub(crate) fn flatten(picture: &Picture, background: Rgb) -> Cow<'_, [u8]> {
    jpeg::flatten(picture, background)
}

/// The lowest quality that gives the same file: AVIF has 64 steps.
pub(crate) fn canonical(format: Format, quality: u8) -> u8 {
    match format {
        Format::Avif => avif::canonical(quality),
        Format::Jxl | Format::Webp | Format::Jpeg | Format::Png => quality,
    }
}

/// Roughly what an encode costs, in nanoseconds: only the order matters, so that the longest work starts first.
///
/// Large JPEG is said to cost more than it does. Like PNG and JPEG XL it reads the picture itself, and the others a form
/// of their own: once the former are done the picture can be let go, which is 3 bytes a pixel.
pub(crate) const fn cost(format: Format, pixels: u64) -> u64 {
    let is_large = pixels > 1_000_000;
    let per_pixel = match (format, is_large) {
        (Format::Png, true) => 150,
        (Format::Jxl, true) => 130,
        (Format::Jpeg, true) => 39,
        (Format::Avif, true) => 38,
        (Format::Webp, true) => 28,
        (Format::Png, false) => 500,
        (Format::Jxl, false) => 400,
        (Format::Webp, false) => 80,
        (Format::Avif, false) => 65,
        (Format::Jpeg, false) => 24,
    };
    pixels * per_pixel
}

/// Roughly what an encode needs beside the picture, in bytes per pixel of an opaque one of 20 megapixels.
pub(crate) const fn working_bytes(format: Format) -> u64 {
    match format {
        Format::Jpeg => 1,
        Format::Avif => 4,
        Format::Webp => 4,
        Format::Png => 10,
        Format::Jxl => 40,
    }
}
