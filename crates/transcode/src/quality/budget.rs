//! The budget for attempts beside the files that have to be made: at most half of their CPU time.
//!
//! The decision is made before an attempt starts, from the numbers below and not from a clock, so that the same source
//! gives the same bytes everywhere. The numbers are nanoseconds a pixel of drawn pictures that are not plain, measured
//! on those of `examples/drawn.rs`: about the least for files that have to be made, about the most for attempts.

use tintype_model::Format;

/// The attempt: lossy WebP.
const TRIED: u64 = 65;

/// The least number of bytes that an attempt must be able to save.
const LEAST_GAIN: usize = 2048;

/// The most that a lossy file saves, in hundredths of the lossless one.
const MOST_GAIN: usize = 60;

/// Lossless files of fewer bits than pixels are smaller than lossy ones.
const PIXELS_PER_BIT: u64 = 2;

/// The least cost of a file that is made of a drawn picture, in nanoseconds a pixel.
pub(crate) const fn needed(format: Format) -> u64 {
    match format {
        Format::Jxl => 100,
        Format::Avif => 80,
        // Lossless.
        Format::Webp => 45,
        Format::Png => 40,
        Format::Jpeg => 8,
    }
}

/// Tells whether the attempt costs at most half as much as the files of the same picture that have to be made.
pub(super) const fn allows(needed: u64) -> bool {
    2 * TRIED <= needed
}

/// Tells whether an attempt can save enough on a lossless file of so many bytes.
pub(super) const fn is_worth_it(bytes: usize, pixels: u64) -> bool {
    bytes * MOST_GAIN / 100 >= LEAST_GAIN && bytes as u64 * 8 * PIXELS_PER_BIT >= pixels
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(formats: &[Format]) -> u64 {
        formats.iter().map(|&format| needed(format)).sum()
    }

    #[test]
    fn a_second_webp_is_made_beside_enough_else() {
        use Format::{Avif, Jpeg, Png, Webp};
        for formats in [&[Avif, Webp, Jpeg][..], &[Avif, Webp, Png]] {
            assert!(allows(sum(formats)), "{formats:?}");
        }
        for formats in [&[Webp][..], &[Webp, Jpeg], &[Webp, Png]] {
            assert!(!allows(sum(formats)), "{formats:?}");
        }
    }

    #[test]
    fn nothing_is_tried_for_less_than_two_kilobytes() {
        assert!(!is_worth_it(3_000, 20_000));
        assert!(is_worth_it(4_000, 20_000));
        // 0.3 bits a pixel.
        assert!(!is_worth_it(37_276, 960 * 1200));
    }
}
