//! EXIF orientation (Exif 3.0 section 4.6.5, table 6), applied to pixels.

use tintype_model::Dimensions;

use crate::parallel;
use crate::picture::Picture;

/// The turn, with or without mirroring, that brings stored pixels upright.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Orientation {
    exif: u8,
}

/// Rows of destination pixels that one task turns; also the side of the tiles in which pixels are transposed, so
/// that both the reads and the writes of a tile stay in the cache.
const BAND: usize = 64;

impl Orientation {
    /// Anything but 2 to 8 means upright.
    pub(crate) fn from_exif(value: Option<u8>) -> Self {
        Self {
            exif: value.filter(|value| (1..=8).contains(value)).unwrap_or(1),
        }
    }

    pub(crate) const fn exif(self) -> u8 {
        self.exif
    }

    const fn swaps_axes(self) -> bool {
        self.exif >= 5
    }

    pub(crate) const fn apply_to_size(self, size: Dimensions) -> Dimensions {
        if self.swaps_axes() {
            Dimensions {
                width: size.height,
                height: size.width,
            }
        } else {
            size
        }
    }

    /// Turns the pixels.
    pub(crate) fn apply(self, picture: Picture, threads: usize) -> Picture {
        if self.exif == 1 {
            return picture;
        }
        let size = self.apply_to_size(picture.size);
        let mut data = vec![0; picture.data.len()];
        if picture.has_alpha {
            self.turn::<4>(&picture, size, &mut data, threads);
        } else {
            self.turn::<3>(&picture, size, &mut data, threads);
        }
        Picture {
            size,
            has_alpha: picture.has_alpha,
            space: picture.space,
            data,
        }
    }

    fn turn<const N: usize>(self, from: &Picture, to: Dimensions, data: &mut [u8], threads: usize) {
        let (source, _) = from.data.as_chunks::<N>();
        let (stride, rows) = (from.width(), from.height());
        let width = to.width as usize;
        parallel::for_bands(threads, data, BAND * width * N, |number, band| {
            let (band, _) = band.as_chunks_mut::<N>();
            let top = number * BAND;
            for left in (0..width).step_by(BAND) {
                let right = (left + BAND).min(width);
                for (y, row) in band.chunks_exact_mut(width).enumerate() {
                    let y = top + y;
                    for (x, pixel) in row[left..right].iter_mut().enumerate() {
                        let (column, line) = self.source_of(left + x, y, stride, rows);
                        *pixel = source[line * stride + column];
                    }
                }
            }
        });
    }

    /// The stored place of the upright pixel (`x`, `y`), in a stored picture of `width` by `height` pixels.
    #[inline]
    const fn source_of(self, x: usize, y: usize, width: usize, height: usize) -> (usize, usize) {
        match self.exif {
            2 => (width - 1 - x, y),
            3 => (width - 1 - x, height - 1 - y),
            4 => (x, height - 1 - y),
            5 => (y, x),
            6 => (y, height - 1 - x),
            7 => (width - 1 - y, height - 1 - x),
            8 => (width - 1 - y, x),
            _ => (x, y),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Space;

    fn turned(exif: u8, width: u32, height: u32, letters: &str) -> (u32, String) {
        let picture = Picture {
            size: Dimensions { width, height },
            has_alpha: false,
            space: Space::Srgb,
            data: letters.bytes().flat_map(|letter| [letter; 3]).collect(),
        };
        let turned = Orientation::from_exif(Some(exif)).apply(picture, 2);
        let letters = turned
            .data
            .chunks_exact(3)
            .map(|pixel| char::from(pixel[0]))
            .collect();
        (turned.size.width, letters)
    }

    /// Stored rows "abc" over "def". The words of the EXIF table: which side of the scene row 0 and column 0 are.
    #[test]
    fn each_orientation_puts_the_stored_rows_where_the_standard_says() {
        for (exif, width, letters) in [
            (1, 3, "abcdef"),
            (2, 3, "cbafed"), // row 0 top, column 0 right
            (3, 3, "fedcba"), // row 0 bottom, column 0 right
            (4, 3, "defabc"), // row 0 bottom, column 0 left
            (5, 2, "adbecf"), // row 0 left, column 0 top
            (6, 2, "daebfc"), // row 0 right, column 0 top
            (7, 2, "fcebda"), // row 0 right, column 0 bottom
            (8, 2, "cfbead"), // row 0 left, column 0 bottom
        ] {
            assert_eq!(
                turned(exif, 3, 2, "abcdef"),
                (width, letters.to_owned()),
                "orientation {exif}"
            );
        }
    }

    #[test]
    fn sides_larger_than_a_tile_are_turned_whole() {
        let (width, height) = (BAND + 3, 2 * BAND + 1);
        let data: Vec<u8> = (0..width * height)
            .flat_map(|at| [at % 251, at / 251, 7, 255])
            .map(|value| u8::try_from(value % 256).unwrap())
            .collect();
        let picture = Picture {
            size: Dimensions {
                width: u32::try_from(width).unwrap(),
                height: u32::try_from(height).unwrap(),
            },
            has_alpha: true,
            space: Space::Srgb,
            data,
        };
        let quarter = Orientation::from_exif(Some(6));
        let mut turned = picture.clone();
        for _ in 0..4 {
            turned = quarter.apply(turned, 3);
        }
        assert_eq!(turned, picture);
        let back = Orientation::from_exif(Some(8)).apply(quarter.apply(picture.clone(), 1), 1);
        assert_eq!(back, picture);
    }
}
