//! The encoders of renditions. Each takes one picture and one quality, and gives one file with pixels only: without EXIF
//! and comments, and without a profile where the pixels are sRGB, which is the meaning of an untagged file.

mod avif;
mod invisible;
mod jpeg;
mod jxl;
mod original;
mod planes;
mod png;
pub(crate) mod sequence;
mod settings;
mod split;
mod webp;

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tintype_model::{Format, Rgb};

use crate::error::EncodeError;
use crate::picture::Picture;

pub(crate) use original::Original;
pub(crate) use settings::{AnimationSettings, Chroma, Encoded, EncodedFile, Loss, StillSettings};
pub(crate) use split::SplitFile;

/// Encodes one picture with the settings of a photograph. `quality` is 1 to 100 on the format's own scale.
///
/// The picture is dropped as soon as the encoder has converted it.
pub(crate) fn encode(
    picture: Arc<Picture>,
    format: Format,
    quality: u8,
    background: Rgb,
) -> Result<EncodedFile, EncodeError> {
    let settings = StillSettings::usual(quality, picture.size.pixels());
    encode_with(picture, format, &settings, background)
}

/// [`encode`] with all settings.
pub(crate) fn encode_with(
    picture: Arc<Picture>,
    format: Format,
    settings: &StillSettings,
    background: Rgb,
) -> Result<EncodedFile, EncodeError> {
    run(picture, format, settings, background, false).map(|encoded| encoded.file)
}

/// [`encode_with`], keeping the picture that libaom reconstructs.
pub(crate) fn encode_and_show(
    picture: Arc<Picture>,
    format: Format,
    settings: &StillSettings,
    background: Rgb,
) -> Result<Encoded, EncodeError> {
    run(picture, format, settings, background, true)
}

fn run(
    picture: Arc<Picture>,
    format: Format,
    settings: &StillSettings,
    background: Rgb,
    show: bool,
) -> Result<Encoded, EncodeError> {
    let bytes_only = |bytes| Encoded {
        file: EncodedFile { bytes, tiles: None },
        shown: None,
    };
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
