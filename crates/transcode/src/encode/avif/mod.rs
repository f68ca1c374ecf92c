//! Stills by libaom at its fast all-intra speeds, in the AVIF container.

pub(super) mod animation;
mod aom;
mod boxes;
mod item;
mod sequence;
#[cfg(test)]
mod tests;

use std::ffi::{c_int, c_uint};
use std::sync::Arc;

use avif_serialize::constants::ColorPrimaries;
use tintype_model::{Dimensions, Tiles};

pub(super) use item::EncodedFrame;
pub(super) use item::profile;
use item::{Item, ItemSettings, frame_count};

use super::planes::{Planes, Range};
use super::settings::{Chroma, Encoded, EncodedFile};
use crate::av1::tiles::{LeastTile, TiledFrame};
use crate::error::EncodeError;
use crate::picture::{Picture, Space};

/// The fastest speed for stills. At 800 pixels a side speeds 7 and 8 need 6 % fewer bytes at equal SSIMULACRA2, in five
/// and four times the time; quantization matrices give more than that for nothing.
const SPEED: c_int = 9;

/// The speed for drawings: the slowest at which libaom chooses blocks by their variance, and the fastest at which it
/// compares palettes with the other modes by what they cost. At speed 9, the usual one, a page of text has twice the
/// bytes and pixel art seven times as many; speed 8 needs two thirds of the time for up to four times the bytes. Speed
/// 7 is also the fastest at which transforms can be as large as their blocks, which the tiles of a large drawing need
/// to fit together.
const DRAWN_SPEED: c_int = 7;

/// The least tile. libaom makes other choices for smaller frames, which cost up to 19 % more bytes.
const LEAST_TILE: LeastTile = LeastTile {
    side: 720,
    area: 1280 * 720,
};

/// The least quality of alpha. At the quality of the colours, a fully transparent background came back with an alpha of
/// 1; lossless alpha made a drawing on a transparent background larger than its WebP.
const ALPHA_QUALITY: u8 = 82;

pub(super) fn encode(
    picture: Arc<Picture>,
    settings: &super::settings::StillSettings,
    show: bool,
) -> Result<Encoded, EncodeError> {
    let encoder = StillEncoder::new(picture, settings, show)?;
    let frames: Result<_, _> = (0..encoder.frame_count())
        .map(|number| encoder.encode(number))
        .collect();
    encoder.finish(frames?)
}

/// The number of AV1 frames that a picture is encoded in: one for each tile of a large one, and as many for its alpha.
pub(super) fn frames_of(picture: &Picture) -> usize {
    let items = if picture.has_alpha { 2 } else { 1 };
    items * frame_count(TiledFrame::new(picture.size, LEAST_TILE).as_ref())
}

/// The encoder of one still.
pub(super) struct StillEncoder {
    size: Dimensions,
    space: Space,
    chroma: Chroma,
    color: Item,
    alpha: Option<Item>,
}

impl StillEncoder {
    /// Converts the picture to planes and drops it.
    pub(super) fn new(
        picture: Arc<Picture>,
        settings: &super::settings::StillSettings,
        show: bool,
    ) -> Result<Self, EncodeError> {
        let (size, space, chroma) = (picture.size, picture.space, settings.chroma);
        let mut planes = Planes::new(picture, Range::Full, chroma)?;
        let alpha = planes.alpha.take();
        let of_color = ItemSettings {
            speed: if settings.is_drawn { DRAWN_SPEED } else { SPEED },
            is_drawn: settings.is_drawn,
            quantizer: quantizer(settings.quality),
            space: Some(space),
            show,
        };
        let of_alpha = ItemSettings {
            quantizer: alpha_quantizer(settings.quality),
            space: None,
            ..of_color
        };
        let tiled = TiledFrame::new(size, LEAST_TILE);
        let alpha = alpha.map(|alpha| Item {
            planes: Planes::of_luma(alpha, size.width, size.height, Chroma::Halved),
            settings: of_alpha,
            tiled: tiled.clone(),
        });
        let color = Item {
            planes,
            settings: of_color,
            tiled,
        };
        Ok(Self {
            size,
            space,
            chroma,
            color,
            alpha,
        })
    }

    fn frame_count(&self) -> usize {
        self.color.frame_count() + self.alpha.as_ref().map_or(0, Item::frame_count)
    }

    /// Encodes one of the frames: those of the colours come first.
    pub(super) fn encode(&self, number: usize) -> Result<EncodedFrame, EncodeError> {
        match (number.checked_sub(self.color.frame_count()), &self.alpha) {
            (Some(number), Some(alpha)) => alpha.encode(number),
            _ => self.color.encode(number),
        }
    }

    /// Writes the file from all frames.
    pub(super) fn finish(self, mut frames: Vec<EncodedFrame>) -> Result<Encoded, EncodeError> {
        let of_alpha = frames.split_off(self.color.frame_count().min(frames.len()));
        let color = self.color.finish(frames)?;
        let alpha = self.alpha.map(|alpha| alpha.finish(of_alpha)).transpose()?;
        let is_refused = color.is_refused || alpha.as_ref().is_some_and(|alpha| alpha.is_refused);
        let (alpha, shown_alpha) = alpha.map_or((None, None), |alpha| (Some(alpha.units), alpha.shown));
        let bytes = container(self.size, self.chroma, self.space, &color.units, alpha.as_deref())?;
        let shown = color.shown.map(|planes| Planes {
            alpha: shown_alpha.map(|planes| planes.y),
            ..planes
        });
        Ok(Encoded {
            file: EncodedFile {
                bytes,
                tiles: is_refused.then_some(Tiles::Refused),
            },
            shown: shown.map(|planes| planes.to_picture()).transpose()?,
        })
    }
}

/// The file around a picture's colours and alpha.
fn container(
    size: Dimensions,
    chroma: Chroma,
    space: Space,
    color: &[u8],
    alpha: Option<&[u8]>,
) -> Result<Vec<u8>, EncodeError> {
    let mut file = Vec::with_capacity(color.len() + alpha.map_or(0, <[u8]>::len) + 512);
    let is_halved = chroma == Chroma::Halved;
    avif_serialize::Aviffy::new()
        .set_width(size.width)
        .set_height(size.height)
        .set_bit_depth(8)
        .set_seq_profile(profile(chroma))
        .set_chroma_subsampling((is_halved, is_halved))
        .set_color_primaries(match space {
            Space::Srgb => ColorPrimaries::Bt709,
            Space::DisplayP3 => ColorPrimaries::DisplayP3,
        })
        .write_slice(&mut file, color, alpha)?;
    Ok(file)
}

/// The scale of libavif: 100 is quantizer 0, 1 is quantizer 62.
pub(super) fn quantizer(quality: u8) -> c_uint {
    ((100 - c_uint::from(quality.min(100))) * 63 + 50) / 100
}

/// The quantizer of the alpha beside colours of `quality`, which is at least [`ALPHA_QUALITY`]: what is transparent
/// stays so, and the edges of a cut-out stay where they are.
pub(super) fn alpha_quantizer(quality: u8) -> c_uint {
    quantizer(quality.max(ALPHA_QUALITY))
}

/// The lowest quality with the same quantizer.
pub(super) fn canonical(quality: u8) -> u8 {
    let same = |lower: &u8| quantizer(*lower) == quantizer(quality);
    (1..=quality).find(same).unwrap_or(quality)
}
