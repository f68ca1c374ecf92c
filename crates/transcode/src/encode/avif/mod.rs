//! Stills by libaom at its fast all-intra speeds, and the AVIF container around what it gives.

pub(super) mod animation;
mod aom;
mod boxes;
mod layer;
mod sequence;
#[cfg(test)]
mod tests;

use std::ffi::{c_int, c_uint};
use std::sync::Arc;

use avif_serialize::constants::ColorPrimaries;
use tintype_model::{Dimensions, Tiles};

pub(super) use layer::Piece;
pub(super) use layer::profile;
use layer::{Layer, Settings, pieces};

use super::planes::{Planes, Range};
use super::settings::{Chroma, Encoded, EncodedFile};
use crate::av1::tiles::{Least, Mosaic};
use crate::error::EncodeError;
use crate::picture::{Picture, Space};

/// The fastest speed for stills. At 800 pixels a side speeds 7 and 8 need 6 % fewer bytes at equal SSIMULACRA2, in five
/// and four times the time; quantization matrices give more than that for nothing.
const SPEED: c_int = 9;

/// The speed for what is drawn: the slowest at which libaom chooses blocks by their variance, and the fastest at which it
/// compares palettes with the other modes by what they cost. At speed 9, the usual one, a page of text has twice the bytes
/// and pixel art seven times as many; speed 8 needs two thirds of the time for up to four times the bytes. Speed 7 is also the
/// fastest at which transforms can be as large as their blocks, which parts of a large drawing need to fit together.
const DRAWN_SPEED: c_int = 7;

/// libaom makes other choices for smaller frames, which cost up to 19 % more bytes.
const LEAST: Least = Least {
    side: 720,
    area: 1280 * 720,
};

/// At the quality of the colours, a fully transparent background came back with an alpha of 1; lossless alpha made a
/// drawing on a transparent background larger than its WebP.
const ALPHA_QUALITY: u8 = 82;

pub(super) fn encode(
    picture: Arc<Picture>,
    settings: &super::settings::Settings,
    show: bool,
) -> Result<Encoded, EncodeError> {
    let still = Still::new(picture, settings, show)?;
    let pieces: Result<_, _> = (0..still.count()).map(|number| still.encode(number)).collect();
    still.finish(pieces?)
}

/// The number of pieces that a picture is encoded in: a large one is divided, and alpha is encoded by itself.
pub(super) fn count(picture: &Picture) -> usize {
    let layers = if picture.has_alpha { 2 } else { 1 };
    layers * pieces(Mosaic::new(picture.size, LEAST).as_ref())
}

/// A picture on its way into a file.
pub(super) struct Still {
    size: Dimensions,
    space: Space,
    chroma: Chroma,
    color: Layer,
    alpha: Option<Layer>,
}

impl Still {
    /// Takes what it needs of the picture and lets go of it.
    pub(super) fn new(
        picture: Arc<Picture>,
        settings: &super::settings::Settings,
        show: bool,
    ) -> Result<Self, EncodeError> {
        let (size, space, chroma) = (picture.size, picture.space, settings.chroma);
        let mut planes = Planes::new(picture, Range::Full, chroma)?;
        let alpha = planes.alpha.take();
        let of_color = Settings {
            speed: if settings.is_drawn { DRAWN_SPEED } else { SPEED },
            is_drawn: settings.is_drawn,
            quantizer: quantizer(settings.quality),
            space: Some(space),
            show,
        };
        let of_alpha = Settings {
            quantizer: alpha_quantizer(settings.quality),
            space: None,
            ..of_color
        };
        let mosaic = Mosaic::new(size, LEAST);
        let alpha = alpha.map(|alpha| Layer {
            planes: Planes::of_luma(alpha, size.width, size.height, Chroma::Halved),
            settings: of_alpha,
            mosaic: mosaic.clone(),
        });
        let color = Layer {
            planes,
            settings: of_color,
            mosaic,
        };
        Ok(Self {
            size,
            space,
            chroma,
            color,
            alpha,
        })
    }

    fn count(&self) -> usize {
        self.color.count() + self.alpha.as_ref().map_or(0, Layer::count)
    }

    /// Encodes one of the pieces: those of the colours come first.
    pub(super) fn encode(&self, number: usize) -> Result<Piece, EncodeError> {
        match (number.checked_sub(self.color.count()), &self.alpha) {
            (Some(number), Some(alpha)) => alpha.encode(number),
            _ => self.color.encode(number),
        }
    }

    /// The file, of all pieces.
    pub(super) fn finish(self, mut pieces: Vec<Piece>) -> Result<Encoded, EncodeError> {
        let of_alpha = pieces.split_off(self.color.count().min(pieces.len()));
        let color = self.color.finish(pieces)?;
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
