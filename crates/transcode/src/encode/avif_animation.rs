//! libaom with prediction between frames, one encoder for the colours and one for alpha.
#![expect(
    unsafe_code,
    reason = "libaom is a C library; it only ever sees pixels that we made"
)]

use std::ffi::{c_int, c_uint};
use std::{ptr, slice};

use libaom_sys as aom;
use tintype_model::Dimensions;

use super::Chroma;
use super::avif::{ALPHA_QUALITY, Encoder, Frame, check, image_of, quantizer};
use super::avif_sequence::{Sample, Sequence, Track};
use super::obu::{SequenceHeader, without_delimiter};
use super::planes::{Planes, Range};
use super::sequence::Settings;
use crate::error::EncodeError;
use crate::picture::Picture;

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
        let planes = Planes::new(picture, Range::Full)?;
        let chroma = planes.chroma_width();
        self.color.add(&Frame {
            width: planes.width,
            height: planes.height,
            planes: [
                (&planes.y, planes.width),
                (&planes.u, chroma),
                (&planes.v, chroma),
            ],
            chroma: Chroma::Halved,
            is_monochrome: false,
        })?;
        if self.alpha.is_some() || planes.alpha.is_some() {
            let grey = vec![128; planes.u.len()];
            let opaque = vec![255; planes.y.len()];
            let frame = |alpha| Frame {
                width: planes.width,
                height: planes.height,
                planes: [(alpha, planes.width), (&grey, chroma), (&grey, chroma)],
                chroma: Chroma::Halved,
                is_monochrome: true,
            };
            if self.alpha.is_none() {
                let quantizer = quantizer(self.quality.max(ALPHA_QUALITY));
                let mut stream = Stream::new(self.size, self.effort, quantizer, true)?;
                for _ in &self.durations_ms {
                    stream.add(&frame(&opaque))?;
                }
                self.alpha = Some(stream);
            }
            if let Some(stream) = &mut self.alpha {
                stream.add(&frame(planes.alpha.as_deref().unwrap_or(&opaque)))?;
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

// SAFETY: the context is a heap structure without thread-local state, runs on the calling thread only (`g_threads` is
// 1), and whoever has the stream has it alone.
unsafe impl Send for Stream {}

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
        encoder.set(aom::AOME_SET_CPUUSED, effort.speed)?;
        encoder.set_unsigned(aom::AOME_SET_CQ_LEVEL, quantizer)?;
        encoder.set(aom::AV1E_SET_COLOR_RANGE, 1)?;
        if !is_monochrome {
            encoder.set(aom::AV1E_SET_COLOR_PRIMARIES, 1)?;
            encoder.set(aom::AV1E_SET_TRANSFER_CHARACTERISTICS, 13)?;
            encoder.set(aom::AV1E_SET_MATRIX_COEFFICIENTS, 6)?;
        }
        Ok(Self {
            encoder,
            is_monochrome,
            frames: 0,
            samples: Vec::new(),
        })
    }

    fn add(&mut self, frame: &Frame<'_>) -> Result<(), EncodeError> {
        let image = image_of(frame)?;
        // SAFETY: `image_of` checked that each plane holds the rows and columns that it announces, and the planes
        // are borrowed during the call; libaom copies what it keeps and does not write to them.
        let code = unsafe {
            aom::aom_codec_encode(&raw mut self.encoder.context, &raw const image, self.frames, 1, 0)
        };
        check("aom_codec_encode", code)?;
        self.frames += 1;
        self.drain();
        Ok(())
    }

    /// Ends the stream, which has to have `count` samples now.
    fn finish(&mut self, count: usize) -> Result<Track<'_>, EncodeError> {
        loop {
            let before = self.samples.len();
            // SAFETY: no image means the end of the stream.
            let code = unsafe {
                aom::aom_codec_encode(&raw mut self.encoder.context, ptr::null(), self.frames, 1, 0)
            };
            check("aom_codec_encode (flush)", code)?;
            self.drain();
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

    /// Takes every frame packet that is ready. Each is a temporal unit: frames that are not shown come with the one
    /// that is shown next.
    fn drain(&mut self) {
        let mut iterator: aom::aom_codec_iter_t = ptr::null();
        loop {
            // SAFETY: the context is initialized; a packet stays valid until the next call, and `buf` holds `sz`
            // bytes in a packet of that kind.
            unsafe {
                let packet = aom::aom_codec_get_cx_data(&raw mut self.encoder.context, &raw mut iterator);
                if packet.is_null() {
                    return;
                }
                if (*packet).kind == aom::AOM_CODEC_CX_FRAME_PKT {
                    let frame = (*packet).data.frame;
                    self.samples.push(Sample {
                        data: without_delimiter(slice::from_raw_parts(frame.buf.cast::<u8>(), frame.sz)),
                        is_sync: frame.flags & aom::AOM_FRAME_IS_KEY != 0,
                    });
                }
            }
        }
    }
}
