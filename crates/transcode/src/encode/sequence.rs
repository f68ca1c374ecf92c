//! Frames to one animated file, in whichever format.

use std::sync::Arc;

use tintype_model::Format;

use super::avif::animation as avif_animation;
use super::contain;
use super::png::animation as apng;
use super::settings::AnimationSettings;
use super::webp::animation as webp_animation;
use crate::error::EncodeError;
use crate::picture::Picture;

/// An animated file that takes its frames one by one. What it holds does not grow with their number, but for the bytes
/// that are encoded.
pub(crate) struct Sequence(Kind);

enum Kind {
    Avif(Box<avif_animation::Animation>),
    Webp(webp_animation::Animation),
    Png(Box<apng::Animation>),
}

/// An encoded file.
pub(crate) struct Animated {
    pub(crate) bytes: Vec<u8>,
    /// Number of frames in the file; 1 when it had to become a still.
    pub(crate) frames: u32,
}

impl Sequence {
    pub(crate) fn new(format: Format, settings: &AnimationSettings) -> Result<Self, EncodeError> {
        contain(|| {
            Ok(Self(match format {
                Format::Avif => Kind::Avif(Box::new(avif_animation::Animation::new(settings)?)),
                Format::Webp => Kind::Webp(webp_animation::Animation::new(settings)?),
                Format::Png => Kind::Png(Box::new(apng::Animation::new(settings)?)),
                Format::Jxl | Format::Jpeg => {
                    return Err(EncodeError::Pixels(format!(
                        "{} has no animations",
                        format.name()
                    )));
                }
            }))
        })
    }

    /// Adds a frame of the sequence's size, shown for `duration_ms` milliseconds.
    pub(crate) fn add(&mut self, picture: &Arc<Picture>, duration_ms: u32) -> Result<(), EncodeError> {
        contain(|| match &mut self.0 {
            Kind::Avif(animation) => animation.add(picture, duration_ms),
            Kind::Webp(animation) => animation.add(picture, duration_ms),
            Kind::Png(animation) => animation.add(picture, duration_ms),
        })
    }

    /// The file. There has to be a frame.
    pub(crate) fn finish(self, frames: u32) -> Result<Animated, EncodeError> {
        contain(|| match self.0 {
            Kind::Avif(animation) => {
                let (bytes, frames) = animation.finish()?;
                Ok(Animated { bytes, frames })
            }
            Kind::Webp(animation) => {
                let (bytes, frames) = animation.finish()?;
                Ok(Animated { bytes, frames })
            }
            Kind::Png(animation) => {
                let (bytes, is_animated) = animation.finish()?;
                let frames = if is_animated { frames } else { 1 };
                Ok(Animated { bytes, frames })
            }
        })
    }
}
