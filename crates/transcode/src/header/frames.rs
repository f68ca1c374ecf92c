//! The frames of an animation as its file has them, before they are laid on its canvas.

use crate::Error;
use crate::picture::Samples;

/// Reads the frames of one animation, from the first to the last. Memory does not grow with their number.
pub(crate) trait Frames {
    /// The next frame. It is asked for no more often than the header counted frames.
    ///
    /// # Errors
    /// When the frame is broken or missing.
    fn next(&mut self) -> Result<StoredFrame, Error>;
}

/// One frame as a decoder gives it.
pub(crate) struct StoredFrame {
    pub(crate) samples: Samples,
    pub(crate) placement: Placement,
    /// The time for which the frame asks to be shown, in milliseconds.
    pub(crate) milliseconds: u64,
}

/// The way in which a frame's pixels are combined with those of the canvas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blend {
    /// They replace them, transparent ones too.
    Replace,
    /// They are laid over them.
    Over,
}

/// The change to a frame's part of the canvas when the frame's time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disposal {
    /// It stays.
    Keep,
    /// It becomes transparent, as in browsers, whatever background colour the file names.
    Clear,
    /// It becomes what it was before the frame.
    Restore,
}

/// The place of a frame on the canvas, and the way in which it is laid there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placement {
    pub(crate) left: u32,
    pub(crate) top: u32,
    pub(crate) blend: Blend,
    pub(crate) disposal: Disposal,
}
