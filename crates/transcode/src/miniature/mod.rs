//! A small copy of a picture, for the facts that depend on the whole of it and on no detail.

pub(crate) mod appearance;
pub(crate) mod attention;

use tintype_model::{Dimensions, Rgb};

use crate::picture::Picture;

/// Rows of the source that one row of the miniature is averaged from, at least, where there are as many: more change
/// nothing that can be seen at this size, and a large picture is then read only in part.
const ROWS: usize = 8;

/// Upright sRGB pixels with alpha, not premultiplied, rows from the top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Miniature {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) pixels: Vec<[u8; 4]>,
}

/// Longest side in pixels: as much as ThumbHash takes.
const SIDE: u32 = 100;

impl Miniature {
    /// Averages `picture` down to at most 100 pixels a side; a smaller one is copied.
    pub(crate) fn new(picture: &Picture) -> Self {
        Self::of_side(picture, SIDE)
    }

    fn of_side(picture: &Picture, side: u32) -> Self {
        let Dimensions { width, height } = picture.size;
        let long = width.max(height).max(1);
        let scaled = |length: u32| {
            let scaled =
                (u64::from(length) * u64::from(side.min(long)) + u64::from(long) / 2) / u64::from(long);
            usize::try_from(scaled).unwrap_or(usize::MAX).max(1)
        };
        let (width, height) = (scaled(width), scaled(height));
        let from = (picture.width(), picture.height());
        if picture.has_alpha {
            let (pixels, _) = picture.data.as_chunks::<4>();
            average(pixels, from, (width, height))
        } else {
            let (pixels, _) = picture.data.as_chunks::<3>();
            average(pixels, from, (width, height))
        }
    }

    /// The same in another shape; sides may grow.
    pub(crate) fn stretched(&self, width: usize, height: usize) -> Self {
        average(&self.pixels, (self.width, self.height), (width, height))
    }

    /// On `background`, without alpha.
    pub(crate) fn flattened(&self, Rgb(background): Rgb) -> Self {
        let flatten = |&[red, green, blue, alpha]: &[u8; 4]| {
            let mix = |over: u8, under: u8| {
                let (alpha, rest) = (u32::from(alpha), 255 - u32::from(alpha));
                byte((u32::from(over) * alpha + u32::from(under) * rest + 127) / 255)
            };
            let [below_red, below_green, below_blue] = background;
            [
                mix(red, below_red),
                mix(green, below_green),
                mix(blue, below_blue),
                255,
            ]
        };
        Self {
            pixels: self.pixels.iter().map(flatten).collect(),
            ..*self
        }
    }

    /// The bytes, four for each pixel.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.pixels.as_flattened()
    }
}

fn byte(value: u32) -> u8 {
    u8::try_from(value).unwrap_or(u8::MAX)
}

/// Each pixel is the mean of those that it covers, weighted with their alpha.
fn average<const N: usize>(
    from: &[[u8; N]],
    (width, height): (usize, usize),
    to: (usize, usize),
) -> Miniature {
    let mut pixels = Vec::with_capacity(to.0 * to.1);
    for y in 0..to.1 {
        let (top, bottom) = covered(y, height, to.1);
        let step = ((bottom - top) / ROWS).max(1);
        for x in 0..to.0 {
            let (left, right) = covered(x, width, to.0);
            let (mut sums, mut alphas, mut count) = ([0u64; 3], 0u64, 0u64);
            for row in (top..bottom).step_by(step) {
                for pixel in &from[row * width + left..row * width + right] {
                    let alpha = if N == 4 { u64::from(pixel[3]) } else { 255 };
                    for (sum, &sample) in sums.iter_mut().zip(pixel) {
                        *sum += u64::from(sample) * alpha;
                    }
                    alphas += alpha;
                    count += 1;
                }
            }
            let mean = |sum: u64| (sum + alphas / 2).checked_div(alphas).unwrap_or(0);
            let [red, green, blue] = sums.map(mean);
            let alpha = (alphas + count / 2).checked_div(count).unwrap_or(0);
            pixels.push([red, green, blue, alpha].map(|value| u8::try_from(value).unwrap_or(u8::MAX)));
        }
    }
    Miniature {
        width: to.0,
        height: to.1,
        pixels,
    }
}

/// The part of `length` that is covered by part `index` of `count`; never empty.
fn covered(index: usize, length: usize, count: usize) -> (usize, usize) {
    let start = index * length / count;
    let end = (index + 1) * length / count;
    (start, end.max(start + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Space;

    fn picture(width: u32, height: u32, has_alpha: bool, data: Vec<u8>) -> Picture {
        Picture {
            size: Dimensions { width, height },
            has_alpha,
            space: Space::Srgb,
            data,
        }
    }

    #[test]
    fn the_longer_side_is_as_asked_and_nothing_grows() {
        for ((width, height), side, small) in [
            ((400, 300), 100, (100, 75)),
            ((300, 400), 100, (75, 100)),
            ((16_000, 1), 100, (100, 1)),
            ((3, 2), 100, (3, 2)),
            ((1, 1), 100, (1, 1)),
        ] {
            let rows = vec![7; width as usize * height as usize * 3];
            let mini = Miniature::of_side(&picture(width, height, false, rows), side);
            assert_eq!((mini.width, mini.height), small);
            assert!(mini.pixels.iter().all(|pixel| *pixel == [7, 7, 7, 255]));
            assert_eq!(mini.pixels.len(), small.0 * small.1);
        }
    }

    #[test]
    fn transparent_pixels_do_not_tint_their_neighbours() {
        let data = vec![200, 100, 50, 255, 9, 250, 9, 0];
        let mini = Miniature::of_side(&picture(2, 1, true, data), 1);
        assert_eq!(mini.pixels, [[200, 100, 50, 128]]);
        let flat = mini.flattened(Rgb([0, 0, 0]));
        assert_eq!(flat.pixels, [[100, 50, 25, 255]]);
    }

    #[test]
    fn stretching_covers_the_whole() {
        let mini = Miniature::of_side(&picture(2, 1, false, vec![10, 10, 10, 90, 90, 90]), 100);
        let wide: Vec<u8> = mini.stretched(4, 2).pixels.iter().map(|pixel| pixel[0]).collect();
        assert_eq!(wide, [10, 10, 90, 90, 10, 10, 90, 90]);
        assert_eq!(mini.stretched(1, 1).pixels, [[50, 50, 50, 255]]);
    }
}
