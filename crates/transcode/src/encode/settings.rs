//! The settings of encoders, and the results of those of stills.

use std::num::NonZeroU32;

use tintype_model::{Dimensions, Tiles};

use crate::picture::Picture;

/// The settings that one file is encoded with, beside its format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StillSettings {
    /// 1 to 100 on the format's own scale.
    pub(crate) quality: u8,
    pub(crate) chroma: Chroma,
    pub(crate) loss: Loss,
    /// True if AVIF is made with the tools for drawings.
    pub(crate) is_drawn: bool,
    /// The number of pixels by which the speed is chosen: that of the whole, also for a sample of it.
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

impl StillSettings {
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

/// An encoded still.
pub(crate) struct EncodedFile {
    pub(crate) bytes: Vec<u8>,
    /// The fate of its tiles, for a large AVIF whose tiles were not put together.
    pub(crate) tiles: Option<Tiles>,
}

/// A file, and the picture that a decoder makes of it where that was asked for and there is no decoder here.
pub(crate) struct Encoded {
    pub(crate) file: EncodedFile,
    pub(crate) shown: Option<Picture>,
}

/// The properties of an animation that are known before its first frame.
pub(crate) struct AnimationSettings {
    pub(crate) size: Dimensions,
    /// 1 to 100 on the format's own scale.
    pub(crate) quality: u8,
    /// True if every visible pixel stays as it is, in WebP; the other formats have one answer.
    pub(crate) is_lossless: bool,
    /// The number of times that the frames are shown in all; `None` for without end.
    pub(crate) plays: Option<NonZeroU32>,
    /// Number of frames that there will be.
    pub(crate) frames: u32,
    /// True if the pictures have few colours, so that lossless coding may be smaller.
    pub(crate) is_drawn: bool,
    /// The resolution of the colour differences, in AVIF.
    pub(crate) chroma: Chroma,
}

/// The most pixels, in all frames together, of an animation that is encoded at the slower settings. A longer one is encoded
/// faster, so that it is done within the time that one source may take.
const SMALL_PIXELS: u64 = 10_000_000;

impl AnimationSettings {
    pub(super) fn is_small(&self) -> bool {
        self.size.pixels().saturating_mul(self.frames.into()) <= SMALL_PIXELS
    }
}
