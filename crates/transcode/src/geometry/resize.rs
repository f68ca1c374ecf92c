//! Downscaling in linear light: Lanczos3 over alpha-premultiplied, 16-bit linear samples, in bands of rows.
//!
//! `docs/decisions/0002-resize-light.md` gives the reasons for linear light and for the box filter that may come first.

use std::sync::LazyLock;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{InnerPixel, U16x3, U16x4};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};

use super::Geometry;
use crate::error::EncodeError;
use crate::parallel;
use crate::picture::Picture;

/// Rows of the result that one task makes. Fixed, so that results do not depend on the number of threads.
const BAND: usize = 96;
/// The box filter leaves at least this ratio to Lanczos3.
const LEFT_TO_LANCZOS: f64 = 2.0;
/// Largest side of a box, so that its sum fits 31 bits.
const MAX_BOX: usize = 64;
/// Lobes of Lanczos3 on each side, in pixels of the smaller picture.
const LOBES: f64 = 3.0;

/// sRGB samples to linear ones (IEC 61966-2-1).
static TO_LINEAR: LazyLock<[i32; 256]> = LazyLock::new(|| {
    std::array::from_fn(|sample| {
        let encoded = sample as f64 / 255.0;
        let linear = if encoded <= 0.040_45 {
            encoded / 12.92
        } else {
            ((encoded + 0.055) / 1.055).powf(2.4)
        };
        i32::from(quantize(linear))
    })
});

/// Linear samples to sRGB ones.
static FROM_LINEAR: LazyLock<Box<[u8]>> = LazyLock::new(|| {
    (0..=u16::MAX)
        .map(|sample| {
            let linear = f64::from(sample) / 65_535.0;
            let encoded = if linear <= 0.003_130_8 {
                linear * 12.92
            } else {
                1.055 * linear.powf(1.0 / 2.4) - 0.055
            };
            round(encoded * 255.0)
        })
        .collect()
});

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value is between 0 and 65535"
)]
fn quantize(unit: f64) -> u16 {
    (unit * 65_535.0).round() as u16
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value is between 0 and 255"
)]
fn round(value: f64) -> u8 {
    value.round() as u8
}

/// Scales the part of `picture` that `geometry` shows to `geometry.scaled`.
pub(crate) fn resize(picture: &Picture, geometry: &Geometry, threads: usize) -> Result<Picture, EncodeError> {
    let (width, height) = (geometry.scaled.width as usize, geometry.scaled.height as usize);
    let mut data = vec![0; width * height * picture.channels()];
    let failure = std::sync::Mutex::new(None);
    parallel::for_bands(
        threads,
        &mut data,
        BAND * width * picture.channels(),
        |number, band| {
            let result = if picture.has_alpha {
                band_of::<U16x4, 4>(picture, geometry, number * BAND, band)
            } else {
                band_of::<U16x3, 3>(picture, geometry, number * BAND, band)
            };
            if let Err(error) = result {
                failure
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner)
                    .get_or_insert(error);
            }
        },
    );
    match failure
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
    {
        Some(error) => Err(error),
        None => Ok(Picture {
            size: geometry.scaled,
            has_alpha: picture.has_alpha,
            space: picture.space,
            data,
        }),
    }
}

/// Makes the rows from `top` on that `band` holds, from the rows of `picture` that they depend on.
fn band_of<P, const N: usize>(
    picture: &Picture,
    geometry: &Geometry,
    top: usize,
    band: &mut [u8],
) -> Result<(), EncodeError>
where
    P: PixelTrait + Samples<N>,
{
    let width = geometry.scaled.width as usize;
    let rows = band.len() / (width * N);
    let ratio_x = geometry.crop.width / width as f64;
    let ratio_y = geometry.crop.height / f64::from(geometry.scaled.height);
    let (box_x, box_y) = (box_factor(ratio_x), box_factor(ratio_y));

    let wanted_top = (geometry.crop.top + top as f64 * ratio_y) / box_y as f64;
    let wanted_rows = rows as f64 * ratio_y / box_y as f64;
    let margin = LOBES * (ratio_y / box_y as f64).max(1.0) + 1.0;
    let first = floor((wanted_top - margin).max(0.0));
    let last = (floor(wanted_top + wanted_rows + margin) + 1).min(picture.height().div_ceil(box_y));

    let strip = linear_rows::<P, N>(picture, first..last, box_x, box_y);
    let strip_width = picture.width().div_ceil(box_x);
    let prepared = |error: &dyn std::fmt::Display| EncodeError::Pixels(error.to_string());
    let strip = TypedImageRef::new(side(strip_width), side(last - first), &strip)
        .map_err(|error| prepared(&error))?;
    let mut result = TypedImage::<P>::new(geometry.scaled.width, side(rows));
    // Rounding may push the wanted part past the last row by less than anyone can see.
    let crop_top = wanted_top - first as f64;
    let crop_rows = wanted_rows.min((last - first) as f64 - crop_top);
    let crop_left = geometry.crop.left / box_x as f64;
    let crop_width = (geometry.crop.width / box_x as f64).min(strip_width as f64 - crop_left);
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3))
        .use_alpha(false)
        .crop(crop_left, crop_top, crop_width, crop_rows);
    Resizer::new()
        .resize_typed(&strip, &mut result, &options)
        .map_err(|error| prepared(&error))?;
    for (to, from) in band.chunks_exact_mut(N).zip(result.pixels()) {
        encode_pixel(from.samples(), to);
    }
    Ok(())
}

/// Averaging whole pixels first costs one pass and hardly any quality, as long as enough is left to the good filter.
fn box_factor(ratio: f64) -> usize {
    floor(ratio / LEFT_TO_LANCZOS).clamp(1, MAX_BOX)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "positions in a picture are positive and far below 2^32"
)]
fn floor(position: f64) -> usize {
    position as usize
}

fn side(pixels: usize) -> u32 {
    u32::try_from(pixels).unwrap_or(u32::MAX)
}

/// Rows `rows` of the picture shrunk by whole factors, as premultiplied linear samples.
fn linear_rows<P: Samples<N>, const N: usize>(
    picture: &Picture,
    rows: std::ops::Range<usize>,
    box_x: usize,
    box_y: usize,
) -> Vec<P> {
    let columns = picture.width().div_ceil(box_x);
    let mut strip = Vec::with_capacity(rows.len() * columns);
    let mut sums = vec![[0i32; N]; columns];
    for row in rows {
        sums.fill([0; N]);
        let lines = (row * box_y)..((row + 1) * box_y).min(picture.height());
        let line_count = lines.len();
        for line in lines {
            let stride = picture.width() * N;
            let (pixels, _) = picture.data[line * stride..][..stride].as_chunks::<N>();
            match box_x {
                1 => add_line::<N, 1>(&mut sums, pixels),
                2 => add_line::<N, 2>(&mut sums, pixels),
                3 => add_line::<N, 3>(&mut sums, pixels),
                _ => add_any_line(&mut sums, pixels, box_x),
            }
        }
        let (last, whole) = match sums.split_last() {
            Some(split) => split,
            None => continue,
        };
        let share = share_of(line_count * box_x);
        strip.extend(whole.iter().map(|sum| P::from_samples(average(sum, share))));
        let last_share = share_of(line_count * (picture.width() - (columns - 1) * box_x));
        strip.push(P::from_samples(average(last, last_share)));
    }
    strip
}

/// Adds one line of pixels to the sums of the boxes that it crosses; `BOX` pixels make one box.
fn add_line<const N: usize, const BOX: usize>(sums: &mut [[i32; N]], pixels: &[[u8; N]]) {
    let to_linear = &*TO_LINEAR;
    let (boxes, rest) = pixels.as_chunks::<BOX>();
    for (sum, pixels) in sums.iter_mut().zip(boxes) {
        for pixel in pixels {
            add_linear(sum, pixel, to_linear);
        }
    }
    if let Some(sum) = sums.get_mut(boxes.len()) {
        for pixel in rest {
            add_linear(sum, pixel, to_linear);
        }
    }
}

fn add_any_line<const N: usize>(sums: &mut [[i32; N]], pixels: &[[u8; N]], box_x: usize) {
    let to_linear = &*TO_LINEAR;
    for (sum, pixels) in sums.iter_mut().zip(pixels.chunks(box_x)) {
        for pixel in pixels {
            add_linear(sum, pixel, to_linear);
        }
    }
}

#[inline]
fn add_linear<const N: usize>(sum: &mut [i32; N], pixel: &[u8; N], to_linear: &[i32; 256]) {
    if N == 4 {
        let alpha = i32::from(pixel[N - 1]);
        for channel in 0..N - 1 {
            // 65,535 times 255 fits; so do the sums of MAX_BOX times MAX_BOX samples.
            sum[channel] += (to_linear[usize::from(pixel[channel])] * alpha + 127) / 255;
        }
        sum[N - 1] += alpha * 257;
    } else {
        for channel in 0..N {
            sum[channel] += to_linear[usize::from(pixel[channel])];
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a box has at most 4096 pixels")]
fn share_of(pixels: usize) -> f32 {
    1.0 / pixels as f32
}

#[inline]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "an average of 16-bit samples is one; half a step of 24 bits does not matter to it"
)]
fn average<const N: usize>(sum: &[i32; N], share: f32) -> [u16; N] {
    sum.map(|sum| (sum as f32 * share + 0.5) as u16)
}

#[inline]
fn encode_pixel<const N: usize>(samples: [u16; N], to: &mut [u8]) {
    let from_linear = &*FROM_LINEAR;
    if N == 4 {
        let alpha = u32::from(samples[N - 1]);
        if alpha == 0 {
            to.fill(0);
            return;
        }
        for channel in 0..N - 1 {
            let straight = (u32::from(samples[channel]) * 65_535 + alpha / 2) / alpha;
            to[channel] = from_linear[straight.min(65_535) as usize];
        }
        to[N - 1] = round(f64::from(samples[N - 1]) / 257.0);
    } else {
        for channel in 0..N {
            to[channel] = from_linear[usize::from(samples[channel])];
        }
    }
}

/// A pixel type of the resizer, as an array.
trait Samples<const N: usize>: InnerPixel {
    fn from_samples(samples: [u16; N]) -> Self;
    fn samples(&self) -> [u16; N];
}

impl Samples<3> for U16x3 {
    fn from_samples(samples: [u16; 3]) -> Self {
        Self::new(samples)
    }
    fn samples(&self) -> [u16; 3] {
        self.0
    }
}

impl Samples<4> for U16x4 {
    fn from_samples(samples: [u16; 4]) -> Self {
        Self::new(samples)
    }
    fn samples(&self) -> [u16; 4] {
        self.0
    }
}
