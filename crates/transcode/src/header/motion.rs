//! The timing of an animation, and the cost of decoding it.

use std::num::NonZeroU32;

use tintype_model::{Dimensions, Limits, RejectionCode};

use crate::Error;

/// Browsers show frames that ask for this or less for [`SHORT_FRAMES_MS`] instead, in every format.
const TOO_SHORT_MS: u64 = 10;
const SHORT_FRAMES_MS: u32 = 100;
/// The longest delay of a GIF. With it a sum of three thousand frames fits the 31 bits that libwebp has for it.
const LONGEST_MS: u32 = 655_350;

/// The timing of an animation, without its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Motion {
    /// The number of times that the frames are shown in all; `None` for without end.
    pub(crate) plays: Option<NonZeroU32>,
    /// The duration of one showing, in milliseconds.
    pub(crate) duration_ms: u64,
    /// True if the file ends within a block after its first frame.
    pub(crate) is_cut: bool,
    /// Pixels of frames beyond those of the canvas: only GIF has frames that are larger.
    excess_pixels: u64,
}

impl Default for Motion {
    fn default() -> Self {
        Self {
            plays: Some(NonZeroU32::MIN),
            duration_ms: 0,
            is_cut: false,
            excess_pixels: 0,
        }
    }
}

impl Motion {
    /// Sets how often the frames are shown, 0 for without end.
    pub(crate) const fn set_plays(&mut self, plays: u32) {
        self.plays = NonZeroU32::new(plays);
    }

    /// Counts one frame that asks to be shown for `milliseconds`.
    pub(crate) fn add(&mut self, milliseconds: u64) {
        self.duration_ms = self.duration_ms.saturating_add(shown_ms(milliseconds).into());
    }

    /// Counts what a frame of `frame` pixels has more than a canvas of `canvas` pixels.
    pub(crate) const fn add_excess(&mut self, frame: u64, canvas: u64) {
        self.excess_pixels = self.excess_pixels.saturating_add(frame.saturating_sub(canvas));
    }

    /// The duration of one showing, in milliseconds, where a walk counted the frames and there are more than one.
    pub(crate) fn told(&self, frames: u32) -> Option<u64> {
        (frames > 1 && self.duration_ms > 0).then_some(self.duration_ms)
    }

    /// Checks what decoding all frames would cost.
    pub(crate) fn check(&self, canvas: Dimensions, frames: u32, limits: &Limits) -> Result<(), Error> {
        let pixels = canvas
            .pixels()
            .saturating_mul(frames.into())
            .saturating_add(self.excess_pixels);
        if frames > 1 && pixels > limits.max_animation_pixels {
            return Err(Error::rejected(
                RejectionCode::TooManyPixels,
                format!(
                    "{frames} frames of {}x{} have {pixels} pixels, the limit is {} pixels for all frames together",
                    canvas.width, canvas.height, limits.max_animation_pixels
                ),
            ));
        }
        Ok(())
    }
}

/// The time, in milliseconds, for which a frame that asks for `milliseconds` is shown.
pub(crate) fn shown_ms(milliseconds: u64) -> u32 {
    if milliseconds <= TOO_SHORT_MS {
        return SHORT_FRAMES_MS;
    }
    u32::try_from(milliseconds).unwrap_or(u32::MAX).min(LONGEST_MS)
}

/// Milliseconds of an APNG delay in seconds; a denominator of 0 means 100 (PNG, third edition, section 11.3.6.2).
pub(crate) fn delay_ms(numerator: u16, denominator: u16) -> u64 {
    let denominator = if denominator == 0 {
        100
    } else {
        u64::from(denominator)
    };
    let thousands = u64::from(numerator).saturating_mul(1000);
    thousands
        .saturating_add(denominator / 2)
        .checked_div(denominator)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_shown_as_long_as_browsers_show_them() {
        for (asked, shown) in [(0, 100), (10, 100), (11, 11), (40, 40), (u64::MAX, 655_350)] {
            assert_eq!(shown_ms(asked), shown, "{asked}");
        }
    }

    #[test]
    fn delays_are_fractions_of_a_second() {
        for (numerator, denominator, milliseconds) in [
            (1, 10, 100),
            (4, 0, 40),
            (1, 60, 17),
            (65_535, 1, 65_535_000),
            (0, 7, 0),
        ] {
            assert_eq!(
                delay_ms(numerator, denominator),
                milliseconds,
                "{numerator}/{denominator}"
            );
        }
    }

    #[test]
    fn all_frames_together_are_limited() {
        let limits = Limits {
            max_animation_pixels: 1000,
            ..Limits::default()
        };
        let canvas = Dimensions {
            width: 10,
            height: 10,
        };
        let mut motion = Motion::default();
        assert!(motion.check(canvas, 10, &limits).is_ok());
        let error = motion.check(canvas, 11, &limits).unwrap_err().to_string();
        assert!(error.contains("11 frames of 10x10 have 1100 pixels"), "{error}");
        motion.add_excess(101, 100);
        assert!(motion.check(canvas, 10, &limits).is_err());
        let huge = Dimensions {
            width: 1001,
            height: 1,
        };
        assert!(Motion::default().check(huge, 1, &limits).is_ok());
    }
}
