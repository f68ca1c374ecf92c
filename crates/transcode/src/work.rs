//! The files that a recipe asks for of one source: their sizes, formats, colour spaces and qualities, and which of
//! them move.

use std::time::Duration;

use bytes::Bytes;
use tintype_model::{Color, Dimensions, Encoding, Format, Quality, Recipe, RenderedFile, Variant};

use crate::Error;
use crate::error::EncodeError;
use crate::geometry::Geometry;
use crate::header::Header;
use crate::picture::Space;

/// Tells the CPU time of the calling thread; this crate reads no clock of its own.
pub type Clock<'a> = dyn Fn() -> Option<Duration> + Sync + 'a;

/// A rendition of more pixels a frame is a still: encoders of video need thirty bytes for each pixel and more.
const MAX_MOVING_PIXELS: u64 = 16_000_000;

/// The longest side, in pixels, that the tracks of an AVIF can state.
const MAX_MOVING_SIDE: u32 = 65_535;

/// One file to encode, and the renditions that it serves: variants that come out alike are encoded once.
pub(crate) struct PlannedFile {
    pub(crate) geometry: Geometry,
    pub(crate) space: Space,
    pub(crate) format: Format,
    pub(crate) quality: Quality,
    /// Format and quality of a lossy source that is as large.
    pub(crate) source_quality: Option<(Format, u8)>,
    /// True if it is animated.
    pub(crate) moves: bool,
    /// Index in `Recipe::variants`, and where the rendition goes in the result.
    serves: Vec<(usize, usize)>,
}

impl PlannedFile {
    fn cost(&self) -> u64 {
        cost(self.format, self.geometry.canvas.pixels())
    }

    /// Tells whether the variant of that number is among those that it serves.
    pub(crate) fn serves(&self, variant: usize) -> bool {
        self.serves.iter().any(|&(index, _)| index == variant)
    }

    /// The renditions that it serves, each with its place in the result.
    pub(crate) fn files(
        &self,
        recipe: &Recipe,
        dimensions: Dimensions,
        bytes: &Bytes,
        encoding: &Encoding,
        cpu: Option<Duration>,
    ) -> impl Iterator<Item = (usize, RenderedFile)> {
        self.serves.iter().map(move |&(index, place)| {
            let file = RenderedFile {
                variant: recipe.variants[index].name.clone(),
                format: self.format,
                dimensions,
                bytes: bytes.clone(),
                encoding: encoding.clone(),
                cpu,
            };
            (place, file)
        })
    }
}

/// All files of the recipe, the most expensive first. `is_wide` says that the source has colours outside sRGB, and
/// `source_quality` its format and quality where it is lossy.
pub(crate) fn planned_files(
    source: Dimensions,
    recipe: &Recipe,
    header: &Header,
    is_wide: bool,
    source_quality: Option<(Format, u8)>,
) -> Vec<PlannedFile> {
    let mut planned_files: Vec<PlannedFile> = Vec::new();
    let mut place = 0;
    for (index, variant) in recipe.variants.iter().enumerate() {
        let geometry = Geometry::new(source, variant);
        let space = space(variant, is_wide);
        for &format in &variant.formats {
            let quality = variant.quality(format);
            let moves = moves(header, variant, format, &geometry);
            // Animations come in sRGB.
            let space = if moves { Space::Srgb } else { space };
            let same = planned_files.iter_mut().find(|planned| {
                (
                    &planned.geometry,
                    planned.space,
                    planned.format,
                    planned.quality,
                    planned.moves,
                ) == (&geometry, space, format, quality, moves)
            });
            match same {
                Some(planned) => planned.serves.push((index, place)),
                None => planned_files.push(PlannedFile {
                    geometry,
                    space,
                    format,
                    quality,
                    source_quality: source_quality.filter(|_| geometry.is_whole_source(source)),
                    moves,
                    serves: vec![(index, place)],
                }),
            }
            place += 1;
        }
    }
    planned_files.sort_by_key(|planned| std::cmp::Reverse(planned.cost()));
    planned_files
}

/// The colour space of a variant. `is_wide` says that the source has colours outside sRGB.
const fn space(variant: &Variant, is_wide: bool) -> Space {
    match variant.color {
        Color::Keep if is_wide => Space::DisplayP3,
        Color::Keep | Color::Srgb => Space::Srgb,
    }
}

/// Tells whether a rendition of the source is animated.
fn moves(header: &Header, variant: &Variant, format: Format, geometry: &Geometry) -> bool {
    header.is_animated()
        && variant.animation
        && format.can_be_animated()
        && geometry.canvas.pixels() <= MAX_MOVING_PIXELS
        && geometry.canvas.width.max(geometry.canvas.height) <= MAX_MOVING_SIDE
}

/// Roughly what an encode costs, in nanoseconds: only the order matters, so that the longest encodes start first.
///
/// The number for large JPEG is higher than its cost. Like PNG and JPEG XL it reads the picture itself, and the others
/// a form of their own: once the former are done the picture can be dropped, which frees 3 bytes a pixel.
pub(crate) const fn cost(format: Format, pixels: u64) -> u64 {
    let is_large = pixels > 1_000_000;
    let per_pixel = match (format, is_large) {
        (Format::Png, true) => 150,
        (Format::Jxl, true) => 130,
        (Format::Jpeg, true) => 39,
        (Format::Avif, true) => 38,
        (Format::Webp, true) => 28,
        (Format::Png, false) => 500,
        (Format::Jxl, false) => 400,
        (Format::Webp, false) => 80,
        (Format::Avif, false) => 65,
        (Format::Jpeg, false) => 24,
    };
    pixels * per_pixel
}

/// Roughly what an encode needs beside the picture, in bytes per pixel of an opaque one of 20 megapixels.
pub(crate) const fn working_bytes(format: Format) -> u64 {
    match format {
        Format::Jpeg => 1,
        Format::Avif => 4,
        Format::Webp => 4,
        Format::Png => 10,
        Format::Jxl => 40,
    }
}

/// The error of an encoder, for the first of the renditions that it serves.
pub(crate) fn failure(recipe: &Recipe, planned: &PlannedFile, source: EncodeError) -> Error {
    let variant = planned
        .serves
        .first()
        .and_then(|&(index, _)| recipe.variants.get(index));
    Error::Encode {
        variant: variant.map(|variant| variant.name.clone()).unwrap_or_default(),
        format: planned.format,
        source,
    }
}
