//! Animations by libaom with prediction between frames: one encoder for the colours and one for alpha.

use std::ffi::{c_int, c_uint};

use libaom_sys as aom;
use tintype_model::Dimensions;

use super::aom::{Encoder, Frame};
use super::sequence::{Sample, Sequence, Track};
use super::{alpha_quantizer, profile, quantizer};
use crate::av1::sequence::SequenceHeader;
use crate::av1::units::without_delimiter;
use crate::encode::planes::{Planes, Range};
use crate::encode::settings::{AnimationSettings, Chroma};
use crate::error::EncodeError;
use crate::picture::{Picture, Space};

/// Frames from one that can be decoded by itself to the next.
const KEY_FRAME_DISTANCE: c_uint = 60;

/// Chromium 150 shows the colours of a sequence as if they were of limited range, whatever the file says.
const RANGE: Range = Range::Limited;

/// The settings of libaom for the effort that an animation is encoded with.
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

/// The encoder of one animation.
pub(crate) struct Animation {
    size: Dimensions,
    quality: u8,
    effort: Effort,
    plays: Option<std::num::NonZeroU32>,
    chroma: Chroma,
    durations_ms: Vec<u32>,
    /// The frame that was added last, with its duration: those that look like it make it longer.
    last: Option<(Planes, u32)>,
    color: Stream,
    /// Begins with the first frame that has transparency: until then every frame is opaque.
    alpha: Option<Stream>,
}

impl Animation {
    pub(crate) fn new(settings: &AnimationSettings) -> Result<Self, EncodeError> {
        let effort = if settings.is_small() { THOROUGH } else { QUICK };
        Ok(Self {
            size: settings.size,
            quality: settings.quality,
            effort,
            plays: settings.plays,
            chroma: settings.chroma,
            durations_ms: Vec::new(),
            last: None,
            color: Stream::new(
                settings.size,
                effort,
                quantizer(settings.quality),
                Some(settings.chroma),
            )?,
            alpha: None,
        })
    }

    /// Adds a frame, which has the animation's size.
    pub(crate) fn add(&mut self, picture: &Picture, duration_ms: u32) -> Result<(), EncodeError> {
        if picture.size != self.size {
            return Err(EncodeError::Pixels("a frame has another size".to_owned()));
        }
        let planes = Planes::of_shared(picture, RANGE, self.chroma)?;
        if let Some((last, duration)) = &mut self.last
            && let Some(sum) = duration.checked_add(duration_ms).filter(|_| *last == planes)
        {
            *duration = sum;
            return Ok(());
        }
        match self.last.replace((planes, duration_ms)) {
            Some((planes, duration_ms)) => self.encode(planes, duration_ms),
            None => Ok(()),
        }
    }

    fn encode(&mut self, mut planes: Planes, duration_ms: u32) -> Result<(), EncodeError> {
        self.color.add(&Frame::of_color(&planes).in_range(RANGE))?;
        let alpha = planes.alpha.take();
        if self.alpha.is_some() || alpha.is_some() {
            let of_alpha = |alpha| Planes::of_luma(alpha, planes.width, planes.height, Chroma::Halved);
            let opaque = of_alpha(vec![255; planes.y.len()]);
            if self.alpha.is_none() {
                let quantizer = alpha_quantizer(self.quality);
                let mut stream = Stream::new(self.size, self.effort, quantizer, None)?;
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

    /// The file, and how many frames it has.
    pub(crate) fn finish(mut self) -> Result<(Vec<u8>, u32), EncodeError> {
        if let Some((planes, duration_ms)) = self.last.take() {
            self.encode(planes, duration_ms)?;
        }
        let count = self.durations_ms.len();
        let color = self.color.finish(count)?;
        let alpha = match &mut self.alpha {
            Some(alpha) => Some(alpha.finish(count)?),
            None => None,
        };
        let file = Sequence {
            size: self.size,
            plays: self.plays,
            durations_ms: &self.durations_ms,
            color,
            alpha,
        }
        .write()?;
        Ok((file, u32::try_from(count).unwrap_or(u32::MAX)))
    }
}

/// An encoder and the samples that it has given.
struct Stream {
    encoder: Encoder,
    /// Number of frames that were given to the encoder.
    frames: aom::aom_codec_pts_t,
    samples: Vec<Sample>,
}

impl Stream {
    /// A stream of colours, or without any, of alpha.
    fn new(
        size: Dimensions,
        effort: Effort,
        quantizer: c_uint,
        color: Option<Chroma>,
    ) -> Result<Self, EncodeError> {
        let mut encoder = Encoder::open(effort.usage, |config| {
            (config.g_w, config.g_h) = (size.width, size.height);
            config.g_lag_in_frames = effort.frames_ahead;
            config.kf_max_dist = KEY_FRAME_DISTANCE;
            config.monochrome = c_uint::from(color.is_none());
            config.g_profile = color.map_or(0, profile).into();
        })?;
        let (space, range) = match color {
            Some(_) => (Some(Space::Srgb), RANGE),
            None => (None, Range::Full),
        };
        encoder.set_coding(effort.speed, quantizer, space, range)?;
        Ok(Self {
            encoder,
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
        // Other headers have what the boxes here do not repeat, and libaom does not write them.
        let header = SequenceHeader::find(&first.data)
            .filter(|header| !header.is_still && !header.is_reduced && header.points.is_plain);
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
