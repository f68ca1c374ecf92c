//! RGB to planes, mostly 4:2:0: the form in which the video-born encoders work.

use std::borrow::Cow;

use tintype_model::Dimensions;
use yuv::{
    BufferStoreMut, YuvConversionMode, YuvPlanarImage, YuvPlanarImageMut, YuvRange, YuvStandardMatrix,
    rgb_to_yuv420, rgb_to_yuv444, rgba_to_yuv420, rgba_to_yuv444, yuv444_to_rgb,
};

use super::Chroma;
use crate::error::EncodeError;
use crate::picture::Picture;
use crate::space::Space;

/// Y, Cb and Cr planes (BT.601 matrix), without padding; odd sides round up in the chroma planes.
pub(crate) struct Planes {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) chroma: Chroma,
    pub(crate) y: Vec<u8>,
    pub(crate) u: Vec<u8>,
    pub(crate) v: Vec<u8>,
    /// The alpha channel, as it is.
    pub(crate) alpha: Option<Vec<u8>>,
}

/// Which part of 0 to 255 the samples use.
#[derive(Clone, Copy)]
pub(crate) enum Range {
    /// All of it: AVIF.
    Full,
    /// 16 to 235, chroma 16 to 240: WebP.
    Limited,
}

impl Planes {
    pub(crate) const fn chroma_width(&self) -> u32 {
        self.chroma.of(self.width)
    }

    pub(crate) fn new(picture: &Picture, range: Range) -> Result<Self, EncodeError> {
        Self::with_chroma(picture, range, Chroma::Halved)
    }

    pub(crate) fn with_chroma(
        picture: &Picture,
        range: Range,
        resolution: Chroma,
    ) -> Result<Self, EncodeError> {
        let (width, height) = (picture.size.width, picture.size.height);
        let luma = picture.width() * picture.height();
        let chroma = resolution.of(width) as usize * resolution.of(height) as usize;
        let mut planes = Self {
            width,
            height,
            chroma: resolution,
            y: vec![0; luma],
            u: vec![0; chroma],
            v: vec![0; chroma],
            alpha: picture
                .has_alpha
                .then(|| picture.data.chunks_exact(4).map(|pixel| pixel[3]).collect()),
        };
        let chroma_stride = planes.chroma_width();
        let mut image = YuvPlanarImageMut {
            y_plane: BufferStoreMut::Borrowed(&mut planes.y),
            y_stride: width,
            u_plane: BufferStoreMut::Borrowed(&mut planes.u),
            u_stride: chroma_stride,
            v_plane: BufferStoreMut::Borrowed(&mut planes.v),
            v_stride: chroma_stride,
            width,
            height,
        };
        let range = match range {
            Range::Full => YuvRange::Full,
            Range::Limited => YuvRange::Limited,
        };
        let (matrix, mode) = (YuvStandardMatrix::Bt601, YuvConversionMode::Balanced);
        if picture.has_alpha {
            let filled = fill_transparent(picture);
            let convert = match resolution {
                Chroma::Halved => rgba_to_yuv420,
                Chroma::Full => rgba_to_yuv444,
            };
            convert(&mut image, &filled, width * 4, range, matrix, mode)
        } else {
            let convert = match resolution {
                Chroma::Halved => rgb_to_yuv420,
                Chroma::Full => rgb_to_yuv444,
            };
            convert(&mut image, &picture.data, width * 3, range, matrix, mode)
        }
        .map_err(|error| EncodeError::Pixels(error.to_string()))?;
        Ok(planes)
    }

    /// Keeps `rows` rows from row `first` on, which is even; there is no alpha.
    pub(crate) fn keep_rows(&mut self, first: u32, rows: u32) {
        for (plane, resolution) in [
            (&mut self.y, Chroma::Full),
            (&mut self.u, self.chroma),
            (&mut self.v, self.chroma),
        ] {
            let bytes = |rows: u32| resolution.of(rows) as usize * resolution.of(self.width) as usize;
            plane.truncate(bytes(first + rows));
            plane.drain(..bytes(first).min(plane.len()));
        }
        self.height = rows;
    }

    /// Adds the rows of planes of the same width below; those above have an even number of rows, and there is no alpha.
    pub(crate) fn append(&mut self, below: Self) {
        self.height += below.height;
        self.y.extend(below.y);
        self.u.extend(below.u);
        self.v.extend(below.v);
    }

    /// The pixels that browsers make of planes of full range: halved colours are interpolated.
    pub(crate) fn to_picture(&self) -> Result<Picture, EncodeError> {
        let mut rgb = vec![0; self.y.len() * 3];
        let (u, v) = match self.chroma {
            Chroma::Halved => (
                Cow::Owned(self.doubled(&self.u)),
                Cow::Owned(self.doubled(&self.v)),
            ),
            Chroma::Full => (Cow::Borrowed(&self.u), Cow::Borrowed(&self.v)),
        };
        let image = YuvPlanarImage {
            y_plane: &self.y,
            y_stride: self.width,
            u_plane: &u,
            u_stride: self.width,
            v_plane: &v,
            v_stride: self.width,
            width: self.width,
            height: self.height,
        };
        yuv444_to_rgb(
            &image,
            &mut rgb,
            self.width * 3,
            YuvRange::Full,
            YuvStandardMatrix::Bt601,
        )
        .map_err(|error| EncodeError::Pixels(error.to_string()))?;
        let data = match &self.alpha {
            None => rgb,
            Some(alpha) => {
                let (pixels, _) = rgb.as_chunks::<3>();
                let pixels = pixels.iter().zip(alpha);
                pixels.flat_map(|(&[r, g, b], &alpha)| [r, g, b, alpha]).collect()
            }
        };
        Ok(Picture {
            size: Dimensions {
                width: self.width,
                height: self.height,
            },
            has_alpha: self.alpha.is_some(),
            // Whichever it is: nobody but a comparison of values sees it.
            space: Space::Srgb,
            data,
        })
    }

    /// A halved plane at full size. Each sample lies in the middle of its four pixels, which take nine parts of it,
    /// three of each neighbour and one of the diagonal one. (`yuv420_to_rgb_bilinear` of yuv 0.8.20 takes the
    /// neighbours to the right and below for all four, which moves the colours by a pixel.)
    fn doubled(&self, plane: &[u8]) -> Vec<u8> {
        let stride = self.width.div_ceil(2) as usize;
        let last = plane.len() / stride.max(1);
        let near = |at: usize, count: usize| {
            let other = if at.is_multiple_of(2) {
                (at / 2).saturating_sub(1)
            } else {
                (at / 2 + 1).min(count - 1)
            };
            (at / 2, other)
        };
        let mut doubled = Vec::with_capacity(self.y.len());
        for y in 0..self.height as usize {
            let (row, other_row) = near(y, last);
            let (row, other_row) = (
                &plane[row * stride..][..stride],
                &plane[other_row * stride..][..stride],
            );
            for x in 0..self.width as usize {
                let (column, other) = near(x, stride);
                let mix = |row: &[u8]| 3 * u16::from(row[column]) + u16::from(row[other]);
                let sum = 3 * mix(row) + mix(other_row) + 8;
                doubled.push(u8::try_from(sum / 16).unwrap_or(255));
            }
        }
        doubled
    }
}

/// Gives invisible pixels the colour of what is around them.
///
/// Chroma is shared by four pixels, and blocks are coded as wholes: the black that invisible pixels hold would
/// darken the edge of what is visible. Each level of a pyramid averages the visible colour of four pixels below;
/// going back down, invisible pixels take their colour from the level above.
fn fill_transparent(picture: &Picture) -> Vec<u8> {
    let (pixels, _) = picture.data.as_chunks::<4>();
    let mut filled = picture.data.clone();
    let levels = pyramid(pixels, picture.width(), picture.height());
    let (out, _) = filled.as_chunks_mut::<4>();
    let (mut width, mut colors): (usize, Vec<[u8; 4]>) = match levels.last() {
        Some(top) => (top.width, top.pixels.clone()),
        None => return filled,
    };
    for level in levels.iter().rev().skip(1) {
        let mut below = level.pixels.clone();
        take_from_above(&mut below, level.width, &colors, width);
        (width, colors) = (level.width, below);
    }
    take_from_above(out, picture.width(), &colors, width);
    filled
}

struct Level {
    width: usize,
    pixels: Vec<[u8; 4]>,
}

fn pyramid(pixels: &[[u8; 4]], width: usize, height: usize) -> Vec<Level> {
    let mut levels: Vec<Level> = Vec::new();
    let (mut width, mut height) = (width, height);
    loop {
        let below = levels.last().map_or(pixels, |level| &level.pixels);
        if width == 1 && height == 1 || below.iter().all(|pixel| pixel[3] != 0) {
            return levels;
        }
        let halved = halve(below, width);
        (width, height) = (width.div_ceil(2), height.div_ceil(2));
        levels.push(Level {
            width,
            pixels: halved,
        });
    }
}

fn halve(pixels: &[[u8; 4]], width: usize) -> Vec<[u8; 4]> {
    let mut halved = Vec::with_capacity(pixels.len() / 4 + width);
    for rows in pixels.chunks(2 * width) {
        let (upper, lower) = rows.split_at(width.min(rows.len()));
        for column in (0..width).step_by(2) {
            let mut sum = [0u32; 4];
            for row in [upper, lower] {
                for pixel in row.iter().skip(column).take(2) {
                    let alpha = u32::from(pixel[3]);
                    for channel in 0..3 {
                        sum[channel] += u32::from(pixel[channel]) * alpha;
                    }
                    sum[3] += alpha;
                }
            }
            let weight = sum[3].max(1);
            let color = |sum: u32| u8::try_from((sum + weight / 2) / weight).unwrap_or(255);
            // What is visible at all stays visible above.
            let alpha = u8::try_from(sum[3].div_ceil(4)).unwrap_or(255);
            halved.push([color(sum[0]), color(sum[1]), color(sum[2]), alpha]);
        }
    }
    halved
}

fn take_from_above(pixels: &mut [[u8; 4]], width: usize, above: &[[u8; 4]], above_width: usize) {
    for (y, row) in pixels.chunks_exact_mut(width).enumerate() {
        for (x, pixel) in row.iter_mut().enumerate() {
            if pixel[3] == 0
                && let Some(color) = above.get(y / 2 * above_width + x / 2)
            {
                pixel[..3].copy_from_slice(&color[..3]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u32, height: u32, data: Vec<u8>) -> Picture {
        Picture {
            size: Dimensions { width, height },
            has_alpha: true,
            space: Space::Srgb,
            data,
        }
    }

    #[test]
    fn invisible_pixels_take_the_colour_next_to_them_and_visible_ones_keep_theirs() {
        let mut data = vec![0; 7 * 5 * 4];
        data[..4].copy_from_slice(&[200, 100, 50, 255]);
        let filled = fill_transparent(&picture(7, 5, data));
        for pixel in filled.chunks_exact(4) {
            assert_eq!(pixel[..3], [200, 100, 50]);
        }
        assert_eq!(filled[3], 255);
        assert!(filled.chunks_exact(4).skip(1).all(|pixel| pixel[3] == 0));
    }

    #[test]
    fn pictures_without_anything_to_fill_stay_as_they_are() {
        let opaque = picture(2, 1, vec![1, 2, 3, 255, 4, 5, 6, 1]);
        assert_eq!(fill_transparent(&opaque), opaque.data);
        let empty = picture(3, 3, vec![0; 36]);
        assert_eq!(fill_transparent(&empty), empty.data);
        let dot = picture(1, 1, vec![9, 9, 9, 0]);
        assert_eq!(fill_transparent(&dot), dot.data);
    }

    #[test]
    fn white_and_black_reach_the_ends_of_their_range() {
        let both = Picture {
            size: Dimensions { width: 2, height: 1 },
            has_alpha: false,
            space: Space::Srgb,
            data: vec![255, 255, 255, 0, 0, 0],
        };
        assert_eq!(Planes::new(&both, Range::Full).unwrap().y, [255, 0]);
        assert_eq!(Planes::new(&both, Range::Limited).unwrap().y, [235, 16]);
        assert_eq!(Planes::new(&both, Range::Full).unwrap().u, [128]);
    }
}
