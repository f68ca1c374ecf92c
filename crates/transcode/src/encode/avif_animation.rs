//! libaom with prediction between frames, one encoder for the colours and one for alpha.

use std::ffi::{c_int, c_uint};

use libaom_sys as aom;
use tintype_model::Dimensions;

use super::Chroma;
use super::aom::{Encoder, Frame};
use super::avif::{alpha_quantizer, quantizer};
use super::avif_sequence::{Sample, Sequence, Track};
use super::obu::{SequenceHeader, without_delimiter};
use super::planes::{Planes, Range};
use super::sequence::Settings;
use crate::error::EncodeError;
use crate::picture::Picture;
use crate::space::Space;

/// Frames from one that can be decoded by itself to the next.
const KEY_FRAME_DISTANCE: c_uint = 60;

/// How an animation is encoded.
///
/// On corpus animations of 80 to 300 pixels a side, against real-time coding at the same quantizer, looking ahead
/// needs 15 to 52 % fewer bytes at 0.5 dB more to 0.5 dB less, in five to ten times the time. The frames ahead are in
/// memory, which is little where all frames together are small.
#[derive(Clone, Copy)]
struct Effort {
    usage: c_uint,
    speed: c_int,
    frames_ahead: c_uint,
}

const THOROUGH: Effort = Effort {
    usage: aom::AOM_USAGE_GOOD_QUALITY,
    speed: 6,
    frames_ahead: 19,
};
const QUICK: Effort = Effort {
    usage: aom::AOM_USAGE_REALTIME,
    speed: 9,
    frames_ahead: 0,
};

/// An animation in the making.
pub(super) struct Animation {
    size: Dimensions,
    quality: u8,
    effort: Effort,
    plays: Option<std::num::NonZeroU32>,
    durations_ms: Vec<u32>,
    color: Stream,
    /// Begins with the first frame that has transparency: until then every frame is opaque.
    alpha: Option<Stream>,
}

impl Animation {
    pub(super) fn new(settings: &Settings) -> Result<Self, EncodeError> {
        let effort = if settings.is_small() { THOROUGH } else { QUICK };
        Ok(Self {
            size: settings.size,
            quality: settings.quality,
            effort,
            plays: settings.plays,
            durations_ms: Vec::new(),
            color: Stream::new(settings.size, effort, quantizer(settings.quality), false)?,
            alpha: None,
        })
    }

    /// Adds a frame, which has the animation's size.
    pub(super) fn add(&mut self, picture: &Picture, duration_ms: u32) -> Result<(), EncodeError> {
        if picture.size != self.size {
            return Err(EncodeError::Pixels("a frame has another size".to_owned()));
        }
        let mut planes = Planes::of_shared(picture, Range::Full, Chroma::Halved)?;
        self.color.add(&Frame::of_color(&planes))?;
        let alpha = planes.alpha.take();
        if self.alpha.is_some() || alpha.is_some() {
            let of_alpha = |alpha| Planes::of_luma(alpha, planes.width, planes.height, Chroma::Halved);
            let opaque = of_alpha(vec![255; planes.y.len()]);
            if self.alpha.is_none() {
                let quantizer = alpha_quantizer(self.quality);
                let mut stream = Stream::new(self.size, self.effort, quantizer, true)?;
                for _ in &self.durations_ms {
                    stream.add(&Frame::of_luma(&opaque))?;
                }
                self.alpha = Some(stream);
            }
            if let Some(stream) = &mut self.alpha {
                let shown = alpha.map_or(opaque, of_alpha);
                stream.add(&Frame::of_luma(&shown))?;
            }
        }
        self.durations_ms.push(duration_ms);
        Ok(())
    }

    /// The file.
    pub(super) fn finish(mut self) -> Result<Vec<u8>, EncodeError> {
        let count = self.durations_ms.len();
        let color = self.color.finish(count)?;
        let alpha = match &mut self.alpha {
            Some(alpha) => Some(alpha.finish(count)?),
            None => None,
        };
        Sequence {
            size: self.size,
            plays: self.plays,
            durations_ms: &self.durations_ms,
            color,
            alpha,
        }
        .write()
    }
}

/// One encoder and what came out of it.
struct Stream {
    encoder: Encoder,
    is_monochrome: bool,
    /// How many frames went in.
    frames: aom::aom_codec_pts_t,
    samples: Vec<Sample>,
}

impl Stream {
    fn new(
        size: Dimensions,
        effort: Effort,
        quantizer: c_uint,
        is_monochrome: bool,
    ) -> Result<Self, EncodeError> {
        let mut encoder = Encoder::open(effort.usage, |config| {
            (config.g_w, config.g_h) = (size.width, size.height);
            config.g_lag_in_frames = effort.frames_ahead;
            config.kf_max_dist = KEY_FRAME_DISTANCE;
            config.monochrome = c_uint::from(is_monochrome);
        })?;
        encoder.set_coding(effort.speed, quantizer, (!is_monochrome).then_some(Space::Srgb))?;
        Ok(Self {
            encoder,
            is_monochrome,
            frames: 0,
            samples: Vec::new(),
        })
    }

    fn add(&mut self, frame: &Frame<'_>) -> Result<(), EncodeError> {
        self.encoder
            .encode(frame, self.frames, &mut keep(&mut self.samples))?;
        self.frames += 1;
        Ok(())
    }

    /// Ends the stream, which has to have `count` samples now.
    fn finish(&mut self, count: usize) -> Result<Track<'_>, EncodeError> {
        loop {
            let before = self.samples.len();
            self.encoder.flush(self.frames, &mut keep(&mut self.samples))?;
            if self.samples.len() == before {
                break;
            }
        }
        let missing = |step| EncodeError::Aom { step, code: 0 };
        let first = self.samples.first().filter(|_| self.samples.len() == count);
        let first = first.ok_or_else(|| missing("aom_codec_get_cx_data"))?;
        let header = SequenceHeader::find(&first.data, self.is_monochrome);
        Ok(Track {
            header: header.ok_or_else(|| missing("sequence header"))?,
            samples: &self.samples,
        })
    }
}

fn keep(samples: &mut Vec<Sample>) -> impl FnMut(&[u8], bool) {
    |packet, is_sync| {
        samples.push(Sample {
            data: without_delimiter(packet),
            is_sync,
        });
    }
}
