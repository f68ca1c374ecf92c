//! libwebp's animation encoder, from composed frames to a file.
#![expect(
    unsafe_code,
    reason = "libwebp is a C library; it only ever sees pixels that we made"
)]

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::num::NonZeroU32;
use std::ptr::{self, NonNull};
use std::slice;

use libwebp_sys::{
    WebPAnimEncoder, WebPAnimEncoderAdd, WebPAnimEncoderAssemble, WebPAnimEncoderDelete,
    WebPAnimEncoderNewInternal, WebPAnimEncoderOptions, WebPAnimEncoderOptionsInitInternal, WebPConfig,
    WebPData, WebPFree, WebPGetMuxABIVersion, WebPValidateConfig,
};
use tintype_model::Dimensions;

use super::{LOSSLESS_QUALITY, argb, picture_of_argb, signed};
use crate::encode::settings::AnimationSettings;
use crate::error::EncodeError;
use crate::picture::Picture;
use crate::syntax::riff::{self, ALPHA};

/// Frames between two that are coded whole. Every frame that could be one is encoded twice, so there is one candidate.
const KEY_FRAME_DISTANCE: c_int = 60;

/// Above this many pixels mode detail is given up, so that it fits the 512 KiB that the format has for it.
const BUSY_PIXELS: u64 = 4_000_000;

/// The encoder of one animation.
///
/// `encoder` is valid from `new` until `drop`, and nobody else has it. libwebp copies the frames that it
/// compares.
pub(crate) struct Animation {
    encoder: NonNull<WebPAnimEncoder>,
    config: WebPConfig,
    size: Dimensions,
    /// True if a frame had transparency.
    has_alpha: bool,
    /// The time at which the next frame begins, in milliseconds; it stops at the largest time that libwebp can count.
    clock: c_int,
}

// SAFETY: the encoder is a heap structure without thread-local state, and whoever has `Animation` has it alone.
unsafe impl Send for Animation {}

const fn failed(step: &'static str) -> EncodeError {
    EncodeError::Webp { step, code: 0 }
}

impl Animation {
    pub(crate) fn new(settings: &AnimationSettings) -> Result<Self, EncodeError> {
        let mut config = super::config(settings.quality)?;
        config.method = METHOD;
        if settings.is_lossless {
            (config.lossless, config.quality) = (1, LOSSLESS_QUALITY);
        }
        if settings.size.pixels() > BUSY_PIXELS {
            config.partition_limit = 100;
        }
        // SAFETY: `config` is initialized and only read.
        if unsafe { WebPValidateConfig(&raw const config) } == 0 {
            return Err(failed("WebPValidateConfig"));
        }
        let mut options = MaybeUninit::<WebPAnimEncoderOptions>::zeroed();
        // SAFETY: the pointer is to memory of the right size; the call fills it unless it returns 0.
        let mut options = unsafe {
            if WebPAnimEncoderOptionsInitInternal(options.as_mut_ptr(), WebPGetMuxABIVersion()) == 0 {
                return Err(failed("WebPAnimEncoderOptionsInit"));
            }
            options.assume_init()
        };
        options.anim_params.loop_count = plays(settings.plays);
        options.kmax = KEY_FRAME_DISTANCE;
        options.kmin = KEY_FRAME_DISTANCE - 1;
        // Each frame is then coded in both ways, which takes several times as long.
        options.allow_mixed = c_int::from(settings.is_drawn && settings.is_small() && !settings.is_lossless);
        let (width, height) = (signed(settings.size.width)?, signed(settings.size.height)?);
        // SAFETY: `options` is initialized and copied by the call, which returns null when it fails.
        let encoder =
            unsafe { WebPAnimEncoderNewInternal(width, height, &raw const options, WebPGetMuxABIVersion()) };
        Ok(Self {
            encoder: NonNull::new(encoder).ok_or_else(|| failed("WebPAnimEncoderNew"))?,
            config,
            size: settings.size,
            has_alpha: false,
            clock: 0,
        })
    }

    /// Adds a frame, which has the animation's size.
    pub(crate) fn add(&mut self, picture: &Picture, duration_ms: u32) -> Result<(), EncodeError> {
        if picture.size != self.size {
            return Err(failed("frame of another size"));
        }
        self.has_alpha |= picture.has_alpha;
        let mut words = argb(picture);
        let mut frame = picture_of_argb(&mut words, picture.size)?;
        // SAFETY: the encoder is valid. `argb` points to as many rows and columns as the frame announces, which
        // `words` holds past the call, and the frame owns no memory, so that it needs no `WebPPictureFree`.
        let done = unsafe {
            WebPAnimEncoderAdd(
                self.encoder.as_ptr(),
                &raw mut frame,
                self.clock,
                &raw const self.config,
            )
        };
        let duration = c_int::try_from(duration_ms).unwrap_or(MAX_DURATION_MS);
        self.clock = self.clock.saturating_add(duration.min(MAX_DURATION_MS));
        if done == 0 {
            return Err(EncodeError::Webp {
                step: "WebPAnimEncoderAdd",
                code: frame.error_code as u32,
            });
        }
        Ok(())
    }

    /// The file, and how many frames it has: those that look like the one before only make that one longer.
    pub(crate) fn finish(self) -> Result<(Vec<u8>, u32), EncodeError> {
        let mut output = Output(WebPData::default());
        // SAFETY: the encoder is valid. No frame means the end of the last one; the call that follows fills `output`
        // with memory that is ours to free.
        unsafe {
            if WebPAnimEncoderAdd(self.encoder.as_ptr(), ptr::null_mut(), self.clock, ptr::null()) == 0 {
                return Err(failed("WebPAnimEncoderAdd (end)"));
            }
            if WebPAnimEncoderAssemble(self.encoder.as_ptr(), &raw mut output.0) == 0 {
                return Err(failed("WebPAnimEncoderAssemble"));
            }
        }
        let mut bytes = output.bytes().to_vec();
        if self.has_alpha {
            announce_alpha(&mut bytes);
        }
        let frames = count_frames(&bytes);
        Ok((bytes, frames))
    }
}

impl Drop for Animation {
    fn drop(&mut self) {
        // SAFETY: the encoder is valid and not used again.
        unsafe { WebPAnimEncoderDelete(self.encoder.as_ptr()) }
    }
}

/// As for large stills.
const METHOD: c_int = 2;

/// The longest that one frame can be shown, which has 24 bits in the file.
const MAX_DURATION_MS: c_int = (1 << 24) - 2;

/// The format counts to 65,535, and 0 is without end.
fn plays(plays: Option<NonZeroU32>) -> c_int {
    plays.map_or(0, |plays| {
        c_int::from(u16::try_from(plays.get()).unwrap_or(u16::MAX))
    })
}

/// Sets the alpha flag of the extended header (RFC 9649 section 2.7.1).
///
/// libwebp leaves it out when the transparent part lies around opaque frames, and decoders then take the canvas
/// for an opaque one.
fn announce_alpha(file: &mut [u8]) {
    if file.get(12..16) == Some(b"VP8X")
        && let Some(flags) = file.get_mut(20)
    {
        *flags |= ALPHA;
    }
}

/// The number of frames in a file that libwebp made; a single frame becomes a still picture without ANMF chunks.
fn count_frames(file: &[u8]) -> u32 {
    let Ok(mut chunks) = riff::chunks(file) else {
        return 1;
    };
    let mut frames = 0;
    while let Ok(Some((name, _))) = riff::chunk(&mut chunks) {
        frames += u32::from(&name == b"ANMF");
    }
    frames.max(1)
}

/// The file that libwebp assembled, freed on every path.
struct Output(WebPData);

impl Output {
    fn bytes(&self) -> &[u8] {
        if self.0.bytes.is_null() {
            return &[];
        }
        // SAFETY: libwebp wrote `size` bytes at `bytes`, which stay allocated until `drop`.
        unsafe { slice::from_raw_parts(self.0.bytes, self.0.size) }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // SAFETY: the memory is libwebp's or null, and not used again.
        unsafe { WebPFree(self.0.bytes.cast_mut().cast()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Space;

    fn settings() -> AnimationSettings {
        AnimationSettings {
            size: Dimensions { width: 16, height: 8 },
            quality: 80,
            is_lossless: false,
            plays: NonZeroU32::new(3),
            frames: 3,
            is_drawn: false,
            chroma: crate::encode::Chroma::Halved,
        }
    }

    fn grey(value: u8) -> Picture {
        Picture {
            size: settings().size,
            has_alpha: false,
            space: Space::Srgb,
            data: vec![value; 16 * 8 * 3],
        }
    }

    #[test]
    fn frames_that_look_alike_are_one() {
        let mut animation = Animation::new(&settings()).unwrap();
        for (value, duration_ms) in [(10, 40), (10, 50), (200, 60)] {
            animation.add(&grey(value), duration_ms).unwrap();
        }
        let (file, frames) = animation.finish().unwrap();
        assert_eq!(frames, 2);
        let decoder = image_webp::WebPDecoder::new(std::io::Cursor::new(&file)).unwrap();
        assert_eq!((decoder.num_frames(), decoder.loop_duration()), (2, 150));
    }

    #[test]
    fn lossless_frames_are_exact() {
        let mut animation = Animation::new(&AnimationSettings {
            is_lossless: true,
            ..settings()
        })
        .unwrap();
        let noise = |seed: usize| Picture {
            data: (0..16 * 8 * 3usize)
                .map(|at| u8::try_from(at * at * seed % 251).unwrap())
                .collect(),
            ..grey(0)
        };
        for seed in [7, 11] {
            animation.add(&noise(seed), 40).unwrap();
        }
        let (file, _) = animation.finish().unwrap();
        let mut decoder = image_webp::WebPDecoder::new(std::io::Cursor::new(&file)).unwrap();
        let mut frame = vec![0; decoder.output_buffer_size().unwrap()];
        for seed in [7, 11] {
            decoder.read_frame(&mut frame).unwrap();
            // The decoder is one off wherever it lays an opaque pixel on another.
            let furthest = frame
                .iter()
                .zip(&noise(seed).data)
                .map(|(a, b)| a.abs_diff(*b))
                .max();
            assert!(furthest <= Some(1), "{seed}: {furthest:?}");
        }
    }

    #[test]
    fn animations_that_are_given_up_are_freed() {
        let mut animation = Animation::new(&settings()).unwrap();
        animation.add(&grey(1), 40).unwrap();
        drop(animation);
        assert!(Animation::new(&settings()).unwrap().finish().is_err());
        let mut other = grey(1);
        other.size.width = 15;
        assert!(Animation::new(&settings()).unwrap().add(&other, 40).is_err());
    }

    #[test]
    fn times_and_plays_stop_at_the_largest_number() {
        let mut animation = Animation::new(&settings()).unwrap();
        animation.add(&grey(0), u32::MAX).unwrap();
        animation.add(&grey(60), u32::MAX).unwrap();
        assert!(animation.finish().is_ok());
        let mut animation = Animation::new(&settings()).unwrap();
        animation.clock = c_int::MAX - 50;
        for value in 0..4 {
            animation.add(&grey(value * 60), 40).unwrap();
        }
        assert!(animation.finish().is_ok());
        assert_eq!(plays(None), 0);
        assert_eq!(plays(NonZeroU32::new(65_536)), 65_535);
    }
}
