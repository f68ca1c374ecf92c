//! Animated sources: their frames one at a time, composed, and the renditions made of them.

mod canvas;
mod gif;
mod png;
mod render;
mod webp;

pub(crate) use render::encode_all;

use self::canvas::{Canvas, Placement};
use crate::header::Header;
use crate::header::motion::shown_ms;
use crate::panics::contain;
use crate::picture::{Picture, Samples};
use crate::read::sniff::Kind;
use crate::{Error, color};

/// One frame as a decoder gives it.
struct Part {
    samples: Samples,
    placement: Placement,
    /// The time for which the frame asks to be shown, in milliseconds.
    milliseconds: u64,
}

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
    decoder: Decoder<'a>,
    left: u32,
}

enum Decoder<'a> {
    Gif(Box<gif::Frames<'a>>),
    Png(Box<png::Frames<'a>>),
    Webp(webp::Frames<'a>),
}

impl<'a> Player<'a> {
    /// Begins an animation whose header is `header`.
    fn new(source: &'a [u8], header: &'a Header) -> Result<Self, Error> {
        if header.motion.is_cut {
            return Err(Error::corrupt("the animation is cut off"));
        }
        let decoder = contain(|| match header.kind {
            Kind::Gif => gif::Frames::new(source).map(Box::new).map(Decoder::Gif),
            Kind::Png => png::Frames::new(source, header).map(Box::new).map(Decoder::Png),
            Kind::Webp => webp::Frames::new(source, header.size).map(Decoder::Webp),
            other => Err(other.not_read()),
        })?;
        Ok(Self {
            header,
            canvas: Canvas::new(header.size),
            decoder,
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
        let part = contain(|| match &mut self.decoder {
            Decoder::Gif(frames) => frames.next(),
            Decoder::Png(frames) => frames.next(),
            Decoder::Webp(frames) => frames.next(),
        })?;
        let frame = color::to_srgb(part.samples, self.header.profile.as_ref(), threads);
        self.canvas.lay(&frame, part.placement);
        drop(frame);
        let picture = self.header.orientation.apply(self.canvas.picture(), threads);
        Ok(Some(Frame {
            picture: picture.without_idle_alpha(),
            duration_ms: shown_ms(part.milliseconds),
        }))
    }
}
