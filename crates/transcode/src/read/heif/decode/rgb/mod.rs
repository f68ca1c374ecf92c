//! From luma and colour to RGB or grey, with alpha, at the depth of the picture.

use tintype_model::Dimensions;
use yuv::{YuvError, YuvPlanarImage, YuvRange, YuvStandardMatrix};

use super::planes::{self, Planes};
use crate::Error;
use crate::color::cicp::Cicp;
use crate::picture::{Layout, Samples, Subsampling};
use crate::read::heif::header::Crop;

/// The number of rows that are converted at a time.
const BAND: usize = 64;

/// The properties of the samples on which their conversion depends.
pub(super) struct SampleFormat {
    pub(super) cicp: Cicp,
    /// True if the luma of the picture, and of alpha, uses all values.
    pub(super) is_full_range: bool,
    pub(super) is_alpha_full_range: bool,
    pub(super) is_premultiplied: bool,
    pub(super) crop: Option<Crop>,
}

pub(super) fn convert(
    color: &Planes,
    alpha: Option<&Planes>,
    format: &SampleFormat,
) -> Result<Samples, Error> {
    match &color.samples {
        planes::Samples::Bytes(planes) => Conversion::<u8>::new(color, planes, alpha, format)?.run(),
        planes::Samples::Words(planes) => Conversion::<u16>::new(color, planes, alpha, format)?.run(),
    }
}

/// A sample of 8 bits, or of up to 16.
trait Sample: Copy + Default + Into<u32> + std::fmt::Debug {
    const BYTES: usize;
    /// A value of `depth` bits, spread to all of this type.
    fn spread(value: Self, depth: u8) -> u32;
    /// A row of such values, as bytes.
    fn write_row(from: &[Self], depth: u8, to: &mut [u8]);
    /// A value that fits.
    fn narrow(value: u32) -> Self;
    fn write(value: u32, to: &mut [u8]);
    fn rgb(image: &YuvPlanarImage<'_, Self>, out: &mut [Self], coding: ColorCoding) -> Result<(), YuvError>;
}

/// The coding of colours in the planes.
#[derive(Clone, Copy)]
struct ColorCoding {
    depth: u8,
    chroma: Subsampling,
    range: YuvRange,
    matrix: Matrix,
}

#[derive(Clone, Copy)]
enum Matrix {
    /// Green, blue and red as they are.
    Identity,
    YCgCo,
    Standard(YuvStandardMatrix),
}

impl Sample for u8 {
    const BYTES: usize = 1;

    fn spread(value: Self, _: u8) -> u32 {
        value.into()
    }

    fn write_row(from: &[Self], _: u8, to: &mut [u8]) {
        to.copy_from_slice(from);
    }

    fn narrow(value: u32) -> Self {
        Self::try_from(value).unwrap_or(Self::MAX)
    }

    fn write(value: u32, to: &mut [u8]) {
        to[0] = Self::narrow(value);
    }

    fn rgb(image: &YuvPlanarImage<'_, Self>, out: &mut [Self], coding: ColorCoding) -> Result<(), YuvError> {
        let (stride, range) = (image.width * 3, coding.range);
        match coding.matrix {
            Matrix::Identity => yuv::gbr_to_rgb(image, out, stride, range),
            Matrix::YCgCo => yuv::ycgco444_to_rgb(image, out, stride, range),
            Matrix::Standard(matrix) => yuv::yuv444_to_rgb(image, out, stride, range, matrix),
        }
    }
}

impl Sample for u16 {
    const BYTES: usize = 2;

    fn spread(value: Self, depth: u8) -> u32 {
        let value = u32::from(value);
        (value << (16 - depth)) | (value >> (2 * depth - 16))
    }

    fn write_row(from: &[Self], depth: u8, to: &mut [u8]) {
        let (to, _) = to.as_chunks_mut::<2>();
        for (to, &from) in to.iter_mut().zip(from) {
            *to = Self::narrow(Self::spread(from, depth)).to_be_bytes();
        }
    }

    fn narrow(value: u32) -> Self {
        Self::try_from(value).unwrap_or(Self::MAX)
    }

    fn write(value: u32, to: &mut [u8]) {
        let value = Self::narrow(value);
        to.copy_from_slice(&value.to_be_bytes());
    }

    fn rgb(image: &YuvPlanarImage<'_, Self>, out: &mut [Self], coding: ColorCoding) -> Result<(), YuvError> {
        let (stride, range) = (image.width * 3, coding.range);
        let is_ten = coding.depth == 10;
        match coding.matrix {
            Matrix::Identity if is_ten => yuv::gb10_to_rgb10(image, out, stride, range),
            Matrix::Identity => yuv::gb12_to_rgb12(image, out, stride, range),
            Matrix::YCgCo if is_ten => yuv::icgc410_to_rgb10(image, out, stride, range),
            Matrix::YCgCo => yuv::icgc412_to_rgb12(image, out, stride, range),
            Matrix::Standard(matrix) if is_ten => yuv::i410_to_rgb10(image, out, stride, range, matrix),
            Matrix::Standard(matrix) => yuv::i412_to_rgb12(image, out, stride, range, matrix),
        }
    }
}

/// The buffers for one band of rows.
#[derive(Default)]
struct Scratch<T> {
    /// Both planes of colour, as wide as luma.
    wide: [Vec<T>; 2],
    sums: Vec<u32>,
    rgb: Vec<T>,
}

/// The conversion of one picture.
struct Conversion<'a, T> {
    size: Dimensions,
    planes: &'a [Vec<T>; 3],
    coding: ColorCoding,
    /// Grey of each sample of luma, where there is no colour.
    greys: Option<Vec<u32>>,
    /// Alpha as a plane, and as what each of its samples means.
    alpha: Option<(&'a Planes, Vec<u32>)>,
    is_premultiplied: bool,
    crop: Crop,
}

impl<'a, T: Sample> Conversion<'a, T> {
    fn new(
        color: &Planes,
        planes: &'a [Vec<T>; 3],
        alpha: Option<&'a Planes>,
        format: &SampleFormat,
    ) -> Result<Self, Error> {
        let coding = ColorCoding {
            depth: color.depth,
            chroma: color.chroma,
            range: if format.is_full_range {
                YuvRange::Full
            } else {
                YuvRange::Limited
            },
            matrix: matrix(format.cicp, color.chroma)?,
        };
        let white = if T::BYTES == 1 { 255 } else { 65_535 };
        let whole = Crop {
            left: 0,
            top: 0,
            size: color.size,
        };
        let is_grey = color.chroma == Subsampling::None;
        Ok(Self {
            size: color.size,
            planes,
            coding,
            greys: is_grey.then(|| levels(color.depth, format.is_full_range, white)),
            alpha: alpha.map(|alpha| (alpha, levels(alpha.depth, format.is_alpha_full_range, white))),
            is_premultiplied: format.is_premultiplied,
            crop: format.crop.unwrap_or(whole),
        })
    }

    fn run(&self) -> Result<Samples, Error> {
        let layout = match (self.greys.is_some(), self.alpha.is_some()) {
            (true, false) => Layout::Grey,
            (true, true) => Layout::GreyAlpha,
            (false, false) => Layout::Rgb,
            (false, true) => Layout::Rgba,
        };
        let (columns, rows) = (self.crop.size.width as usize, self.crop.size.height as usize);
        let pixel_bytes = layout.channels() * T::BYTES;
        let mut data = vec![0; columns * rows * pixel_bytes];
        let mut scratch = Scratch::default();
        for (number, band) in data.chunks_mut(BAND * columns * pixel_bytes).enumerate() {
            let first = self.crop.top as usize + number * BAND;
            let count = band.len() / (columns * pixel_bytes);
            self.colors(first, count, &mut scratch)?;
            for (row, out) in band.chunks_exact_mut(columns * pixel_bytes).enumerate() {
                let colors = scratch.rgb.get(row * self.size.width as usize * 3..);
                self.row(first + row, colors.unwrap_or_default(), out, pixel_bytes);
            }
        }
        Ok(Samples {
            size: self.crop.size,
            layout,
            is_deep: T::BYTES == 2,
            data,
        })
    }

    /// Converts `count` rows from `first` on to RGB.
    fn colors(&self, first: usize, count: usize, scratch: &mut Scratch<T>) -> Result<(), Error> {
        if self.greys.is_some() {
            return Ok(());
        }
        let width = self.size.width as usize;
        let rows = first * width..(first + count) * width;
        let mut colors = [&self.planes[1], &self.planes[2]].map(|plane| plane.as_slice());
        if self.coding.chroma == Subsampling::Full {
            colors = colors.map(|plane| &plane[rows.clone()]);
        } else {
            for (plane, wide) in colors.iter_mut().zip(&mut scratch.wide) {
                wide.resize(rows.len(), T::default());
                for (row, out) in wide.chunks_exact_mut(width).enumerate() {
                    self.widen(plane, first + row, &mut scratch.sums, out);
                }
                *plane = wide;
            }
        }
        let image = YuvPlanarImage {
            y_plane: &self.planes[0][rows],
            y_stride: self.size.width,
            u_plane: colors[0],
            u_stride: self.size.width,
            v_plane: colors[1],
            v_stride: self.size.width,
            width: self.size.width,
            height: u32::try_from(count).unwrap_or_default(),
        };
        scratch.rgb.resize(count * width * 3, T::default());
        T::rgb(&image, &mut scratch.rgb, self.coding)
            .map_err(|error| Error::corrupt(format!("the colours cannot be converted: {error}")))
    }

    /// Row `row` of a plane of colour, interpolated to the width of luma: three parts of the nearest sample and one of
    /// the next, in both directions, as libjpeg and libyuv do.
    fn widen(&self, plane: &[T], row: usize, sums: &mut Vec<u32>, out: &mut [T]) {
        let color = self.coding.chroma.size(self.size);
        let (width, height) = (color.width as usize, color.height as usize);
        let (near, far) = match self.coding.chroma {
            Subsampling::Quarter if row.is_multiple_of(2) => (row / 2, (row / 2).saturating_sub(1)),
            Subsampling::Quarter => (row / 2, (row / 2 + 1).min(height - 1)),
            _ => (row, row),
        };
        let line = |number: usize| &plane[number * width..][..width];
        sums.clear();
        let pairs = line(near).iter().zip(line(far));
        sums.extend(pairs.map(|(&near, &far)| 3 * near.into() + far.into()));
        let value = |near: u32, far: u32| T::narrow((3 * near + far + 8) >> 4);
        out[0] = value(sums[0], sums[0]);
        // Between two samples of colour lie the odd pixel of the first and the even pixel of the second.
        let between = out[1..].chunks_exact_mut(2).zip(sums.windows(2));
        for (pixels, pair) in between {
            pixels[0] = value(pair[0], pair[1]);
            pixels[1] = value(pair[1], pair[0]);
        }
        if let (0, [.., last]) = (out.len() % 2, &mut *out) {
            *last = value(sums[width - 1], sums[width - 1]);
        }
    }

    /// Writes row `row` of the picture, whose colours are `colors`.
    fn row(&self, row: usize, colors: &[T], out: &mut [u8], pixel_bytes: usize) {
        let (width, left) = (self.size.width as usize, self.crop.left as usize);
        let depth = self.coding.depth;
        if self.greys.is_none() && self.alpha.is_none() {
            T::write_row(&colors[left * 3..][..out.len() / T::BYTES], depth, out);
            return;
        }
        let white = if T::BYTES == 1 { 255 } else { 65_535 };
        let start = row * width + left;
        for (column, pixel) in out.chunks_exact_mut(pixel_bytes).enumerate() {
            let alpha = self
                .alpha
                .as_ref()
                .map(|(plane, levels)| plane.luma(start + column, levels));
            let write = |channel: usize, value: u32, pixel: &mut [u8]| {
                let value = match alpha {
                    Some(alpha) if self.is_premultiplied => divided(value, alpha, white),
                    _ => value,
                };
                T::write(value, &mut pixel[channel * T::BYTES..][..T::BYTES]);
            };
            let colors_written = match &self.greys {
                Some(greys) => {
                    let luma: u32 = self.planes[0][start + column].into();
                    write(0, greys[(luma as usize).min(greys.len() - 1)], pixel);
                    1
                }
                None => {
                    let color = &colors[(left + column) * 3..][..3];
                    for (channel, &value) in color.iter().enumerate() {
                        write(channel, T::spread(value, depth), pixel);
                    }
                    3
                }
            };
            if let Some(alpha) = alpha {
                T::write(alpha, &mut pixel[colors_written * T::BYTES..][..T::BYTES]);
            }
        }
    }
}

impl Planes {
    /// The level that sample `at` of the luma plane stands for.
    fn luma(&self, at: usize, levels: &[u32]) -> u32 {
        let sample = match &self.samples {
            planes::Samples::Bytes(planes) => usize::from(planes[0][at]),
            planes::Samples::Words(planes) => usize::from(planes[0][at]),
        };
        levels[sample.min(levels.len() - 1)]
    }
}

/// A colour before it was multiplied with its alpha.
fn divided(value: u32, alpha: u32, white: u32) -> u32 {
    (value * white + alpha / 2)
        .checked_div(alpha)
        .unwrap_or(0)
        .min(white)
}

/// The level of each sample of `depth` bits, from 0 for black to `white` for the brightest.
fn levels(depth: u8, is_full_range: bool, white: u32) -> Vec<u32> {
    let top = (1u32 << depth) - 1;
    let (black, span) = if is_full_range {
        (0, top)
    } else {
        (16 << (depth - 8), 219 << (depth - 8))
    };
    (0..=top)
        .map(|sample| {
            let above = sample.saturating_sub(black).min(span);
            (above * white + span / 2) / span
        })
        .collect()
}

/// The matrix that the numbers name (H.273 table 4). One that is not named is BT.601's, as in every other reader.
fn matrix(cicp: Cicp, chroma: Subsampling) -> Result<Matrix, Error> {
    // Display P3's own, from its primaries (H.273 equations 38 to 44).
    const P3: YuvStandardMatrix = YuvStandardMatrix::Custom(0.228_975, 0.079_287);
    let standard = match (cicp.matrix, cicp.primaries) {
        (0, _) if chroma == Subsampling::Full => return Ok(Matrix::Identity),
        (0, _) if chroma != Subsampling::None => {
            return Err(Error::corrupt("green, blue and red cannot be subsampled"));
        }
        (8, _) => return Ok(Matrix::YCgCo),
        (1, _) | (12, 1) => YuvStandardMatrix::Bt709,
        (4, _) => YuvStandardMatrix::Fcc,
        (7, _) => YuvStandardMatrix::Smpte240,
        (9, _) | (12, 9) => YuvStandardMatrix::Bt2020,
        (12, 11 | 12) => P3,
        (10 | 11 | 13 | 14, _) => {
            return Err(Error::unsupported(format!(
                "the colours are coded by matrix {} of H.273, which is not read",
                cicp.matrix
            )));
        }
        _ => YuvStandardMatrix::Bt601,
    };
    Ok(Matrix::Standard(standard))
}

#[cfg(test)]
mod tests;
