//! RGB to planes, mostly 4:2:0: the input of the encoders whose format comes from video.

use std::borrow::Cow;
use std::sync::Arc;

use tintype_model::Dimensions;
use yuv::{
    BufferStoreMut, YuvConversionMode, YuvError, YuvPlanarImage, YuvPlanarImageMut, YuvRange,
    YuvStandardMatrix, rgb_to_yuv420, rgb_to_yuv444, rgba_to_yuv420, rgba_to_yuv444, yuv444_to_rgb,
};

use super::invisible::fill_transparent;
use super::settings::Chroma;
use crate::error::EncodeError;
use crate::geometry::Area;
use crate::picture::{Picture, Space};

/// Y, Cb and Cr planes (BT.601 matrix), without padding; odd sides round up in the chroma planes.
#[derive(PartialEq, Eq)]
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

/// The part of 0 to 255 that the samples use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Range {
    /// All of it: stills in AVIF, and alpha.
    Full,
    /// 16 to 235, chroma 16 to 240: WebP, and animations in AVIF.
    Limited,
}

impl Planes {
    /// Makes the planes and drops the picture. If nobody else has the picture, its memory becomes the luma, so that little
    /// more memory is needed at any time.
    pub(crate) fn new(picture: Arc<Picture>, range: Range, chroma: Chroma) -> Result<Self, EncodeError> {
        match Arc::try_unwrap(picture) {
            Ok(picture) if !picture.has_alpha => Self::in_place(picture, range, chroma),
            Ok(picture) => Self::of_shared(&picture, range, chroma),
            Err(picture) => Self::of_shared(&picture, range, chroma),
        }
    }

    pub(crate) fn of_shared(picture: &Picture, range: Range, chroma: Chroma) -> Result<Self, EncodeError> {
        let mut planes = Self::grey(picture.size.width, picture.size.height, chroma);
        let pixels = if picture.has_alpha {
            let (pixels, _) = picture.data.as_chunks::<4>();
            planes.alpha = Some(pixels.iter().map(|pixel| pixel[3]).collect());
            Cow::Owned(fill_transparent(picture))
        } else {
            Cow::Borrowed(&picture.data)
        };
        let (y, u, v) = (&mut planes.y, &mut planes.u, &mut planes.v);
        convert(&pixels, picture.has_alpha, picture.size, range, chroma, [y, u, v])?;
        Ok(planes)
    }

    /// From opaque pixels.
    fn in_place(picture: Picture, range: Range, chroma: Chroma) -> Result<Self, EncodeError> {
        const BAND: u32 = 64;
        let Dimensions { width, height } = picture.size;
        let mut planes = Self::of_luma(picture.data, width, height, chroma);
        let row = width as usize;
        let samples = |rows: u32| chroma.of(width) as usize * chroma.of(rows) as usize;
        let mut luma = vec![0; row * BAND as usize];
        for first in (0..height).step_by(BAND as usize) {
            let rows = BAND.min(height - first);
            let size = Dimensions { width, height: rows };
            let luma = &mut luma[..row * rows as usize];
            let first_row = first as usize * row;
            let colors = samples(first)..samples(first) + samples(rows);
            let (u, v) = (&mut planes.u[colors.clone()], &mut planes.v[colors]);
            let pixels = &planes.y[first_row * 3..][..luma.len() * 3];
            convert(pixels, false, size, range, chroma, [luma, u, v])?;
            // Three times as many bytes were read so far.
            planes.y[first_row..][..luma.len()].copy_from_slice(luma);
        }
        planes.y.truncate(row * height as usize);
        planes.y.shrink_to_fit();
        Ok(planes)
    }

    /// The middle of all ranges.
    pub(crate) fn grey(width: u32, height: u32, chroma: Chroma) -> Self {
        Self::of_luma(vec![128; width as usize * height as usize], width, height, chroma)
    }

    /// Luma without colours.
    pub(crate) fn of_luma(y: Vec<u8>, width: u32, height: u32, chroma: Chroma) -> Self {
        let colors = chroma.of(width) as usize * chroma.of(height) as usize;
        Self {
            width,
            height,
            chroma,
            y,
            u: vec![128; colors],
            v: vec![128; colors],
            alpha: None,
        }
    }

    pub(crate) const fn size(&self) -> Dimensions {
        Dimensions {
            width: self.width,
            height: self.height,
        }
    }

    pub(crate) const fn chroma_width(&self) -> u32 {
        self.chroma.of(self.width)
    }

    /// Fills an area with what is in the other planes from that column and row on. All of them begin in even columns and
    /// rows.
    pub(crate) fn copy(&mut self, area: Area, from: &Self, (left, top): (u32, u32)) {
        let width = self.width;
        for ((to, chroma), (of, _)) in self.each_mut().into_iter().zip(from.each()) {
            let samples = |pixels| chroma.of(pixels) as usize;
            for row in 0..samples(area.height) {
                let start = (samples(top) + row) * samples(from.width) + samples(left);
                let place = (samples(area.top) + row) * samples(width) + samples(area.left);
                let count = samples(area.width);
                to[place..][..count].copy_from_slice(&of[start..][..count]);
            }
        }
    }

    /// Gives the luma of an area one value.
    pub(crate) fn fill(&mut self, area: Area, luma: u8) {
        let rows = self.y.chunks_exact_mut(self.width as usize);
        for row in rows.skip(area.top as usize).take(area.height as usize) {
            row[area.left as usize..][..area.width as usize].fill(luma);
        }
    }

    /// An area of these, without alpha, from that column and row on in grey ones of that size. All begin in even
    /// columns and rows. Up to the next multiple of eight columns and rows what is on the edge is repeated.
    pub(crate) fn framed(&self, area: Area, (width, height): (u32, u32), (left, top): (u32, u32)) -> Self {
        let mut framed = Self::grey(width, height, self.chroma);
        framed.copy(Area { left, top, ..area }, self, (area.left, area.top));
        for (plane, chroma) in framed.each_mut() {
            let samples = |pixels: u32| chroma.of(pixels) as usize;
            let repeated = samples(area.width.next_multiple_of(8));
            let start = |row: usize| (samples(top) + row) * samples(width) + samples(left);
            for row in 0..samples(area.height) {
                let row = &mut plane[start(row)..][..repeated];
                let last = row[samples(area.width) - 1];
                row[samples(area.width)..].fill(last);
            }
            let last = start(samples(area.height) - 1);
            for row in samples(area.height)..samples(area.height.next_multiple_of(8)) {
                plane.copy_within(last..last + repeated, start(row));
            }
        }
        framed
    }

    fn each(&self) -> [(&[u8], Chroma); 3] {
        [
            (&self.y, Chroma::Full),
            (&self.u, self.chroma),
            (&self.v, self.chroma),
        ]
    }

    fn each_mut(&mut self) -> [(&mut [u8], Chroma); 3] {
        [
            (&mut self.y, Chroma::Full),
            (&mut self.u, self.chroma),
            (&mut self.v, self.chroma),
        ]
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
            size: self.size(),
            has_alpha: self.alpha.is_some(),
            // Any colour will do: it has no effect on the visible picture.
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

/// Fills planes of a size with its pixels, RGBA or RGB.
fn convert(
    pixels: &[u8],
    has_alpha: bool,
    Dimensions { width, height }: Dimensions,
    range: Range,
    chroma: Chroma,
    [y, u, v]: [&mut [u8]; 3],
) -> Result<(), EncodeError> {
    let chroma_stride = chroma.of(width);
    let mut image = YuvPlanarImageMut {
        y_plane: BufferStoreMut::Borrowed(y),
        y_stride: width,
        u_plane: BufferStoreMut::Borrowed(u),
        u_stride: chroma_stride,
        v_plane: BufferStoreMut::Borrowed(v),
        v_stride: chroma_stride,
        width,
        height,
    };
    let (convert, channels) = match (has_alpha, chroma) {
        (true, Chroma::Halved) => (rgba_to_yuv420 as Convert, 4),
        (true, Chroma::Full) => (rgba_to_yuv444 as Convert, 4),
        (false, Chroma::Halved) => (rgb_to_yuv420 as Convert, 3),
        (false, Chroma::Full) => (rgb_to_yuv444 as Convert, 3),
    };
    let range = match range {
        Range::Full => YuvRange::Full,
        Range::Limited => YuvRange::Limited,
    };
    let (matrix, mode) = (YuvStandardMatrix::Bt601, YuvConversionMode::Balanced);
    convert(&mut image, pixels, width * channels, range, matrix, mode)
        .map_err(|error| EncodeError::Pixels(error.to_string()))
}

type Convert = fn(
    &mut YuvPlanarImageMut<'_, u8>,
    &[u8],
    u32,
    YuvRange,
    YuvStandardMatrix,
    YuvConversionMode,
) -> Result<(), YuvError>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_area_is_framed_with_its_edges_repeated_and_comes_back() {
        for chroma in [Chroma::Halved, Chroma::Full] {
            let mut whole = Planes::grey(37, 21, chroma);
            let mut sample = 0u8;
            for (plane, _) in whole.each_mut() {
                plane.fill_with(|| {
                    sample = sample.wrapping_mul(5).wrapping_add(3);
                    sample
                });
            }
            let area = Area {
                left: 16,
                top: 8,
                width: 21,
                height: 13,
            };
            let framed = whole.framed(area, (48, 40), (8, 16));
            let mut back = Planes::grey(37, 21, chroma);
            back.copy(area, &framed, (8, 16));
            for (number, (_, chroma)) in whole.each().into_iter().enumerate() {
                let samples = |pixels| chroma.of(pixels) as usize;
                let sample = |planes: &Planes, x: usize, y: usize| {
                    planes.each()[number].0[y * samples(planes.width) + x]
                };
                for y in 0..samples(40) {
                    for x in 0..samples(48) {
                        // To 24 columns and 16 rows.
                        let inside =
                            (samples(8)..samples(32)).contains(&x) && (samples(16)..samples(32)).contains(&y);
                        let expected = if inside {
                            let column = (x - samples(8)).min(samples(21) - 1);
                            let row = (y - samples(16)).min(samples(13) - 1);
                            sample(&whole, samples(16) + column, samples(8) + row)
                        } else {
                            128
                        };
                        assert_eq!(sample(&framed, x, y), expected, "{x}, {y} of {number}");
                    }
                }
                for y in 0..samples(21) {
                    for x in 0..samples(37) {
                        let is_copied = x >= samples(16) && y >= samples(8);
                        let expected = if is_copied { sample(&whole, x, y) } else { 128 };
                        assert_eq!(sample(&back, x, y), expected, "{x}, {y} of {number}");
                    }
                }
            }
        }
    }

    #[test]
    fn white_and_black_reach_the_ends_of_their_range() {
        let both = Picture {
            size: Dimensions { width: 2, height: 1 },
            has_alpha: false,
            space: Space::Srgb,
            data: vec![255, 255, 255, 0, 0, 0],
        };
        let planes = |range| Planes::of_shared(&both, range, Chroma::Halved).unwrap();
        assert_eq!(planes(Range::Full).y, [255, 0]);
        assert_eq!(planes(Range::Limited).y, [235, 16]);
        assert_eq!(planes(Range::Full).u, [128]);
    }

    #[test]
    fn pixels_of_ones_own_become_the_same_planes() {
        for (width, height) in [(1, 1), (3, 2), (37, 63), (37, 64), (38, 129), (5, 130)] {
            let picture = Picture {
                size: Dimensions { width, height },
                has_alpha: false,
                space: Space::Srgb,
                data: (0..width * height * 3)
                    .map(|at| u8::try_from(at * at / 3 % 251).unwrap())
                    .collect(),
            };
            for (range, chroma) in [(Range::Full, Chroma::Full), (Range::Limited, Chroma::Halved)] {
                let shared = Planes::of_shared(&picture, range, chroma).unwrap();
                let own = Planes::new(Arc::new(picture.clone()), range, chroma).unwrap();
                assert_eq!(own.each(), shared.each(), "{width}×{height}");
                assert_eq!((own.width, own.height), (width, height));
            }
        }
    }
}
