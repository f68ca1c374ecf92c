//! Animated sources: their frames one at a time, composed, and the renditions made of them.

mod canvas;
mod render;

pub(crate) use render::encode_all;

use self::canvas::Canvas;
use crate::header::Header;
use crate::header::frames::Frames;
use crate::header::motion::shown_ms;
use crate::panics::contain;
use crate::picture::Picture;
use crate::{Error, color};

/// The whole canvas while one frame is shown.
struct Frame {
    /// Upright, in sRGB.
    picture: Picture,
    /// The time for which it is shown, in milliseconds.
    duration_ms: u32,
}

/// Reads an animation from its first frame to its last. Memory does not grow with the number of frames.
struct Player<'a> {
    header: &'a Header,
    canvas: Canvas,
    frames: Box<dyn Frames + 'a>,
    left: u32,
}

impl<'a> Player<'a> {
    /// Begins an animation whose header is `header`.
    fn new(source: &'a [u8], header: &'a Header) -> Result<Self, Error> {
        if header.motion.is_cut {
            return Err(Error::corrupt("the animation is cut off"));
        }
        let Some(animation) = &header.format.animation else {
            return Err(Error::unsupported(format!(
                "of {} only the first frame is read",
                header.format.title
            )));
        };
        let frames = contain(|| (animation.open)(source, header))?;
        Ok(Self {
            header,
            canvas: Canvas::new(header.size),
            frames,
            left: header.frames,
        })
    }

    /// The next frame; `None` after the last one that the header counted.
    ///
    /// Frames are converted to sRGB before they are laid on the canvas, as browsers do.
    fn next(&mut self, threads: usize) -> Result<Option<Frame>, Error> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        let stored = contain(|| self.frames.next())?;
        let frame = color::to_srgb(stored.samples, self.header.profile.as_ref(), threads);
        self.canvas.lay(&frame, stored.placement);
        drop(frame);
        let picture = self.header.orientation.apply(self.canvas.picture(), threads);
        Ok(Some(Frame {
            picture: picture.without_idle_alpha(),
            duration_ms: shown_ms(stored.milliseconds),
        }))
    }
}
