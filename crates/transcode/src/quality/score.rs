//! SSIMULACRA2 of renditions: 100 is identical, 90 hard to tell from the original, 70 high, 50 medium quality.
//!
//! * Up to [`WHOLE_PIXELS`] the whole picture is compared, beyond it a sample: tiles of 256 by 256 pixels, evenly
//!   spread, side by side in one picture of about [`SAMPLE_PIXELS`]. That bounds time and memory (about
//!   100 bytes for each pixel compared), whatever the picture is.
//! * Pictures with alpha are compared on a dark and on a light background (sRGB 0.1 and 0.9); the worse score counts.
//!   JPEG is compared with the picture on the recipe's background, which is what it was given.
//! * Values of Display P3 are compared as if they were sRGB's.
//! * AVIF is taken as libaom reconstructs it, with its colours interpolated as browsers do; JPEG XL, WebP and
//!   JPEG are decoded.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use fast_ssim2::{PixelDescriptor, PixelSlice, Ssimulacra2Reference};
use tintype_model::{Dimensions, Format, Limits, Rgb};

use crate::encode::{self, Encoded};
use crate::error::EncodeError;
use crate::picture::Picture;
use crate::{color, header, read};

/// Pictures up to this size are compared as a whole.
pub(crate) const WHOLE_PIXELS: u64 = 1_000_000;
/// Pixels that the sample of a larger picture has at most.
pub(crate) const SAMPLE_PIXELS: u32 = TILE * TILE * 12;
const TILE: u32 = 256;
/// The blocks of all formats begin at multiples of this, so that a sample is coded much as in its place.
const GRID: u32 = 64;

/// The picture, or the sample of it, that its renditions are compared with.
pub(crate) struct ScoreReference {
    /// The whole of a small picture, or the sample.
    picture: Arc<Picture>,
    /// The places that the sample is taken from; `None` for the whole.
    tiles: Option<Tiles>,
    /// Pixels of the whole picture.
    pixels: u64,
    background: Rgb,
    reference: OnceLock<Result<Ssimulacra2Reference, String>>,
    /// On the background, where the picture has alpha.
    flat_reference: OnceLock<Result<Ssimulacra2Reference, String>>,
}

impl ScoreReference {
    pub(crate) fn new(picture: &Arc<Picture>, background: Rgb) -> Self {
        let tiles = (picture.size.pixels() > WHOLE_PIXELS).then(|| Tiles::of(picture.size));
        Self::of(picture, tiles, background)
    }

    /// A reference that compares the whole of any picture, in memory that grows with it: for the comparison of samples with
    /// wholes.
    pub(crate) fn thorough(picture: &Arc<Picture>) -> Self {
        Self::of(picture, None, Rgb::default())
    }

    fn of(picture: &Arc<Picture>, tiles: Option<Tiles>, background: Rgb) -> Self {
        Self {
            picture: tiles
                .as_ref()
                .map_or_else(|| Arc::clone(picture), |tiles| Arc::new(tiles.cut(picture))),
            tiles,
            pixels: picture.size.pixels(),
            background,
            reference: OnceLock::new(),
            flat_reference: OnceLock::new(),
        }
    }

    /// The pixels that are compared: to be encoded by searches.
    pub(crate) fn picture(&self) -> &Arc<Picture> {
        &self.picture
    }

    /// Tells whether [`Self::picture`] is the whole picture.
    pub(crate) const fn is_whole(&self) -> bool {
        self.tiles.is_none()
    }

    /// Pixels of the whole picture.
    pub(crate) const fn pixels(&self) -> u64 {
        self.pixels
    }

    /// The score of an encoding of [`Self::picture`].
    pub(crate) fn score_sample(&self, format: Format, encoded: &Encoded) -> Result<f64, EncodeError> {
        let shown = shown(encoded)?;
        self.compare(format, &shown)
    }

    /// The score of an encoding of the whole picture.
    pub(crate) fn score_whole(&self, format: Format, encoded: &Encoded) -> Result<f64, EncodeError> {
        let shown = shown(encoded)?;
        match &self.tiles {
            Some(tiles) => self.compare(format, &tiles.cut(&shown)),
            None => self.compare(format, &shown),
        }
    }

    fn compare(&self, format: Format, shown: &Picture) -> Result<f64, EncodeError> {
        let is_flat = format == Format::Jpeg && self.picture.has_alpha;
        let reference = if is_flat {
            self.flat_reference.get_or_init(|| {
                let flat = encode::flatten(&self.picture, self.background);
                reference(self.picture.size, &flat, false)
            })
        } else {
            self.reference
                .get_or_init(|| reference(self.picture.size, &self.picture.data, self.picture.has_alpha))
        };
        let reference = reference
            .as_ref()
            .map_err(|error| EncodeError::Pixels(error.clone()))?;
        slice(shown.size, &shown.data, shown.has_alpha)
            .and_then(|shown| reference.compare(&shown).map_err(|error| error.to_string()))
            .map_err(EncodeError::Pixels)
    }
}

fn slice(size: Dimensions, data: &[u8], has_alpha: bool) -> Result<PixelSlice<'_>, String> {
    let (channels, descriptor) = if has_alpha {
        (4, PixelDescriptor::RGBA8_SRGB)
    } else {
        (3, PixelDescriptor::RGB8_SRGB)
    };
    PixelSlice::new(
        data,
        size.width,
        size.height,
        size.width as usize * channels,
        descriptor,
    )
    .map_err(|error| error.to_string())
}

fn reference(size: Dimensions, data: &[u8], has_alpha: bool) -> Result<Ssimulacra2Reference, String> {
    Ssimulacra2Reference::new(&slice(size, data, has_alpha)?).map_err(|error| error.to_string())
}

/// The picture that a file of ours shows: decoded here, unless `encoded` has it already.
fn shown(encoded: &Encoded) -> Result<Cow<'_, Picture>, EncodeError> {
    match &encoded.shown {
        Some(shown) => Ok(Cow::Borrowed(shown)),
        None => decoded(&encoded.file.bytes).map(Cow::Owned),
    }
}

fn decoded(file: &[u8]) -> Result<Picture, EncodeError> {
    // The files were made here, so that the widest limits are enough.
    let limits = Limits {
        max_frames: 1,
        ..header::CHECKED
    };
    let decoded = || -> Result<Picture, crate::Error> {
        let header = read::header(file, &limits)?;
        let samples = read::decode(file, &header)?.samples;
        Ok(color::to_srgb(samples, None, 1))
    };
    decoded().map_err(|error| EncodeError::Pixels(format!("a rendition cannot be read back: {error}")))
}

/// Evenly spread parts of a picture: `columns` by `rows` of them, each of the same size.
struct Tiles {
    size: Dimensions,
    lefts: Vec<u32>,
    tops: Vec<u32>,
}

impl Tiles {
    fn of(picture: Dimensions) -> Self {
        let size = Dimensions {
            width: TILE.min(picture.width),
            height: TILE.min(picture.height),
        };
        let budget = SAMPLE_PIXELS / (size.width * size.height);
        let (most_columns, most_rows) = (picture.width / size.width, picture.height / size.height);
        let (columns, rows) = if picture.width >= picture.height {
            let rows = most_rows.min(3);
            ((budget / rows).min(most_columns), rows)
        } else {
            let columns = most_columns.min(3);
            (columns, (budget / columns).min(most_rows))
        };
        Self {
            size,
            lefts: places(picture.width, size.width, columns),
            tops: places(picture.height, size.height, rows),
        }
    }

    /// The tiles side by side.
    fn cut(&self, picture: &Picture) -> Picture {
        let channels = picture.channels();
        let line = self.size.width as usize * channels;
        let count = self.lefts.len() * self.tops.len();
        let mut data = Vec::with_capacity(line * self.size.height as usize * count);
        for top in &self.tops {
            for row in *top..top + self.size.height {
                let row = &picture.data[row as usize * picture.width() * channels..];
                for left in &self.lefts {
                    data.extend_from_slice(&row[*left as usize * channels..][..line]);
                }
            }
        }
        let side = |tiles: usize, side: u32| side * u32::try_from(tiles).unwrap_or(1);
        Picture {
            size: Dimensions {
                width: side(self.lefts.len(), self.size.width),
                height: side(self.tops.len(), self.size.height),
            },
            has_alpha: picture.has_alpha,
            space: picture.space,
            data,
        }
    }
}

/// The begin of each of `count` parts of `length`, in the middle of its share of `whole`, on the grid.
fn places(whole: u32, length: u32, count: u32) -> Vec<u32> {
    let begin = |number: u32| {
        let middle = u64::from(2 * number + 1) * u64::from(whole) / u64::from(2 * count);
        let begin = u32::try_from(middle).unwrap_or(0).saturating_sub(length / 2);
        (begin / GRID * GRID).min(whole - length)
    };
    (0..count).map(begin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Space;

    #[test]
    fn tiles_lie_inside_apart_and_within_the_budget() {
        for (width, height) in [
            (1000, 1001),
            (4000, 3000),
            (3000, 4000),
            (60_000, 20),
            (20, 60_000),
            (5000, 300),
            (1_000_001, 1),
        ] {
            let tiles = Tiles::of(Dimensions { width, height });
            for (places, length, whole) in [
                (&tiles.lefts, tiles.size.width, width),
                (&tiles.tops, tiles.size.height, height),
            ] {
                assert!(!places.is_empty(), "{width}x{height}");
                assert!(
                    places.iter().all(|place| place + length <= whole),
                    "{width}x{height}"
                );
                let apart = places.windows(2).all(|pair| pair[1] >= pair[0] + length);
                assert!(apart, "{width}x{height}: {places:?}");
            }
            let count = u32::try_from(tiles.lefts.len() * tiles.tops.len()).unwrap();
            let pixels = count * tiles.size.width * tiles.size.height;
            assert!(
                pixels <= SAMPLE_PIXELS && pixels > 0,
                "{width}x{height}: {pixels}"
            );
        }
    }

    #[test]
    fn a_sample_holds_the_pixels_of_its_tiles() {
        let size = Dimensions {
            width: 1200,
            height: 900,
        };
        let byte = |value: u32| u8::try_from(value % 251).unwrap();
        let pixels = (0..size.width * size.height).flat_map(|at| [byte(at % 1200), byte(at / 1200), 7]);
        let picture = Picture {
            size,
            has_alpha: false,
            space: Space::Srgb,
            data: pixels.collect(),
        };
        let tiles = Tiles::of(size);
        let sample = tiles.cut(&picture);
        assert_eq!(sample.data.len(), sample.width() * sample.height() * 3);
        let at = |x: usize, y: usize| &sample.data[(y * sample.width() + x) * 3..][..2];
        assert_eq!(at(0, 0), [byte(tiles.lefts[0]), byte(tiles.tops[0])]);
        assert_eq!(
            at(256 + 5, 256 + 9),
            [byte(tiles.lefts[1] + 5), byte(tiles.tops[1] + 9)]
        );
    }
}
