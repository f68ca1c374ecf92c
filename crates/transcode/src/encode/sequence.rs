//! Frames to one animated file, in whichever format.

use std::num::NonZeroU32;
use std::sync::Arc;

use tintype_model::{Dimensions, Format};

use super::avif::animation as avif_animation;
use super::png::animation as apng;
use super::webp::animation as webp_animation;
use super::{Chroma, contain};
use crate::error::EncodeError;
use crate::picture::Picture;

/// The properties of an animation that are known before its first frame.
pub(crate) struct Settings {
    pub(crate) size: Dimensions,
    /// 1 to 100 on the format's own scale.
    pub(crate) quality: u8,
    /// Whether every visible pixel stays as it is, in WebP; the other formats have one answer.
    pub(crate) is_lossless: bool,
    /// The number of times that the frames are shown in all; `None` for without end.
    pub(crate) plays: Option<NonZeroU32>,
    /// Number of frames that there will be.
    pub(crate) frames: u32,
    /// Whether the pictures have few colours, so that lossless coding may be smaller.
    pub(crate) is_drawn: bool,
    /// The resolution of the colour differences, in AVIF.
    pub(crate) chroma: Chroma,
}

/// An animation of so many pixels in all frames together is encoded with care, a longer one in a hurry: it is to be done
/// within the time that one source may take.
const SMALL_PIXELS: u64 = 10_000_000;

impl Settings {
    pub(super) fn is_small(&self) -> bool {
        self.size.pixels().saturating_mul(self.frames.into()) <= SMALL_PIXELS
    }
}

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
    pub(crate) fn new(format: Format, settings: &Settings) -> Result<Self, EncodeError> {
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
