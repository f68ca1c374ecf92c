//! One stream of a still picture: its colours or its alpha.

use std::ffi::{c_int, c_uint};
use std::ops::RangeInclusive;

use libaom_sys::{AOM_USAGE_ALL_INTRA, aom_codec_enc_cfg_t};

use super::aom::{Encoder, Frame};
use crate::av1::tiles::{Grid, Mosaic};
use crate::encode::planes::{Planes, Range};
use crate::encode::settings::Chroma;
use crate::error::EncodeError;
use crate::picture::Space;

/// The range of quantization matrices, which coarsen what the eye sees least: 10 % fewer bytes at equal SSIMULACRA2
/// than without, 7 % with libaom's own range, 5 to 9. Alpha has nothing to hide and goes without, and so do drawings:
/// what matrices take is the edges of their strokes.
const MATRICES: RangeInclusive<c_uint> = 2..=10;

/// The planes that become one stream, and the settings that they are encoded with.
pub(super) struct Layer {
    pub(super) planes: Planes,
    pub(super) settings: Settings,
    /// The tiles of a large picture.
    pub(super) mosaic: Option<Mosaic>,
}

/// A picture or a part of it as AV1 units, and what decoders see where that was asked for.
pub(crate) struct Piece {
    pub(super) units: Vec<u8>,
    pub(super) shown: Option<Planes>,
    /// Whether it is the whole of a picture whose tiles did not fit together.
    pub(super) is_refused: bool,
}

/// The number of pieces of a layer: one for each part of its mosaic, or one where it has none.
pub(super) fn pieces(mosaic: Option<&Mosaic>) -> usize {
    mosaic.map_or(1, |mosaic| mosaic.parts().len())
}

impl Layer {
    pub(super) fn count(&self) -> usize {
        pieces(self.mosaic.as_ref())
    }

    pub(super) fn encode(&self, number: usize) -> Result<Piece, EncodeError> {
        let parts = self.mosaic.as_ref().map_or(&[][..], Mosaic::parts);
        let Some(part) = parts.get(number) else {
            return self.encode_whole();
        };
        let mut planes = self.planes.framed(part.area, part.frame(), part.place());
        for (area, luma) in part.marks() {
            planes.fill(area, luma);
        }
        let frame = self.settings.frame(&planes);
        let Grid { columns, rows } = part.tiles();
        let mut encoder = encoder(&frame, &self.settings, |config| {
            (config.tile_width_count, config.tile_widths) = sizes(&columns);
            (config.tile_height_count, config.tile_heights) = sizes(&rows);
        })?;
        encoder.set_small_superblocks()?;
        if self.settings.is_drawn {
            // In drawings some parts would have smaller transforms and some not, and such parts do not fit together.
            encoder.set_largest_transforms()?;
        }
        let (units, shown) = encoder.encode_still(&frame, self.settings.show)?;
        Ok(Piece {
            units,
            shown,
            is_refused: false,
        })
    }

    fn encode_whole(&self) -> Result<Piece, EncodeError> {
        let frame = self.settings.frame(&self.planes);
        let mut encoder = encoder(&frame, &self.settings, |_| ())?;
        let (units, shown) = encoder.encode_still(&frame, self.settings.show)?;
        Ok(Piece {
            units,
            shown,
            is_refused: self.mosaic.is_some(),
        })
    }

    /// Encodes the layer again when its tiles do not fit together. Drawings are tried in tiles once more, as
    /// photographs are: a whole takes more memory than there may be.
    fn encode_otherwise(self) -> Result<Piece, EncodeError> {
        if !self.settings.is_drawn {
            return self.encode_whole();
        }
        let usual = Self {
            settings: Settings {
                speed: super::SPEED,
                is_drawn: false,
                ..self.settings
            },
            ..self
        };
        let pieces: Result<_, _> = (0..usual.count()).map(|number| usual.encode(number)).collect();
        usual.finish(pieces?)
    }

    /// The whole. What is shown of one in tiles is what decoders see but for the few pixels on both sides of where two of
    /// them meet, which the loop filters change once more.
    pub(super) fn finish(self, mut pieces: Vec<Piece>) -> Result<Piece, EncodeError> {
        let Some(mosaic) = &self.mosaic else {
            return pieces.pop().map_or_else(|| self.encode_whole(), Ok);
        };
        let written: Vec<&[u8]> = pieces.iter().map(|piece| piece.units.as_slice()).collect();
        let Some(units) = mosaic.join(&written) else {
            return self.encode_otherwise();
        };
        let shown = self.settings.show.then(|| {
            let mut shown = Planes::grey(self.planes.width, self.planes.height, self.planes.chroma);
            let parts = mosaic.parts().iter().zip(&pieces);
            for (part, planes) in parts.filter_map(|(part, piece)| Some((part, piece.shown.as_ref()?))) {
                shown.copy(part.area, planes, part.place());
            }
            shown
        });
        Ok(Piece {
            units,
            shown,
            is_refused: false,
        })
    }
}

pub(super) struct Settings {
    pub(super) speed: c_int,
    /// Whether palettes are tried.
    pub(super) is_drawn: bool,
    pub(super) quantizer: c_uint,
    /// The space of the colours; `None` for alpha, which is luma alone.
    pub(super) space: Option<Space>,
    /// Whether to keep the picture that a decoder will see.
    pub(super) show: bool,
}

impl Settings {
    fn frame<'a>(&self, planes: &'a Planes) -> Frame<'a> {
        match self.space {
            Some(_) => Frame::of_color(planes),
            None => Frame::of_luma(planes),
        }
    }
}

/// Profile 0 (Main) knows no 4:4:4 but for pictures without colour, profile 1 (High) does.
pub(crate) const fn profile(chroma: Chroma) -> u8 {
    match chroma {
        Chroma::Halved => 0,
        Chroma::Full => 1,
    }
}

/// A list as libaom takes it.
fn sizes(parts: &[u32]) -> (c_int, [c_int; 64]) {
    let mut sizes = [0; 64];
    for (size, &part) in sizes.iter_mut().zip(parts) {
        *size = part.cast_signed();
    }
    let count = parts.len().min(sizes.len());
    (c_int::try_from(count).unwrap_or(0), sizes)
}

fn encoder(
    frame: &Frame<'_>,
    settings: &Settings,
    configure: impl FnOnce(&mut aom_codec_enc_cfg_t),
) -> Result<Encoder, EncodeError> {
    let mut encoder = Encoder::open(AOM_USAGE_ALL_INTRA, |config| {
        config.g_w = frame.width;
        config.g_h = frame.height;
        config.g_profile = profile(frame.chroma).into();
        // One frame, no lookahead: a still picture with the reduced header.
        config.g_limit = 1;
        config.g_lag_in_frames = 0;
        config.monochrome = c_uint::from(frame.is_monochrome);
        configure(config);
    })?;
    encoder.set_coding(settings.speed, settings.quantizer, settings.space, Range::Full)?;
    if settings.is_drawn {
        encoder.set_drawn()?;
    }
    let has_matrices = settings.space.is_some() && frame.chroma == Chroma::Halved;
    encoder.set_still(has_matrices.then_some(MATRICES))?;
    Ok(encoder)
}
