//! One image item of an AVIF: the AV1 stream of its colours or of its alpha.

use std::ffi::{c_int, c_uint};
use std::ops::RangeInclusive;

use libaom_sys::{AOM_USAGE_ALL_INTRA, aom_codec_enc_cfg_t};

use super::aom::{Encoder, Frame};
use crate::av1::tiles::{Grid, TiledFrame};
use crate::encode::planes::{Planes, Range};
use crate::encode::settings::Chroma;
use crate::error::EncodeError;
use crate::picture::Space;

/// The range of quantization matrices, which coarsen the details that the eye sees least: 10 % fewer bytes at equal
/// SSIMULACRA2 than without, 7 % with libaom's own range, 5 to 9. Alpha and drawings are encoded without matrices, which
/// would blur the edges of their strokes.
const MATRICES: RangeInclusive<c_uint> = 2..=10;

/// The planes that become one stream, and the settings that they are encoded with.
pub(super) struct Item {
    pub(super) planes: Planes,
    pub(super) settings: ItemSettings,
    /// The tiles of a large picture; `None` for one that is encoded as a whole.
    pub(super) tiled: Option<TiledFrame>,
}

/// A frame as AV1 units: a whole picture, or a padded tile of one.
pub(crate) struct EncodedFrame {
    pub(super) units: Vec<u8>,
    /// The picture that decoders see, where that was asked for.
    pub(super) shown: Option<Planes>,
    /// True if it is the whole of a picture whose tiles did not fit together.
    pub(super) is_refused: bool,
}

/// The number of frames of an item: one for each tile, or one for a picture that is encoded as a whole.
pub(super) fn frame_count(tiled: Option<&TiledFrame>) -> usize {
    tiled.map_or(1, |tiled| tiled.tiles().len())
}

impl Item {
    pub(super) fn frame_count(&self) -> usize {
        frame_count(self.tiled.as_ref())
    }

    pub(super) fn encode(&self, number: usize) -> Result<EncodedFrame, EncodeError> {
        let tiles = self.tiled.as_ref().map_or(&[][..], TiledFrame::tiles);
        let Some(tile) = tiles.get(number) else {
            return self.encode_whole();
        };
        let mut planes = self.planes.framed(tile.area, tile.frame_size(), tile.place());
        for (area, luma) in tile.marks() {
            planes.fill(area, luma);
        }
        let frame = self.settings.frame(&planes);
        let Grid { columns, rows } = tile.frame_tiles();
        let mut encoder = encoder(&frame, &self.settings, |config| {
            (config.tile_width_count, config.tile_widths) = sizes(&columns);
            (config.tile_height_count, config.tile_heights) = sizes(&rows);
        })?;
        encoder.set_small_superblocks()?;
        if self.settings.is_drawn {
            // In drawings some tiles would have smaller transforms and some not, and such tiles do not fit together.
            encoder.set_largest_transforms()?;
        }
        let (units, shown) = encoder.encode_still(&frame, self.settings.show)?;
        Ok(EncodedFrame {
            units,
            shown,
            is_refused: false,
        })
    }

    fn encode_whole(&self) -> Result<EncodedFrame, EncodeError> {
        let frame = self.settings.frame(&self.planes);
        let mut encoder = encoder(&frame, &self.settings, |_| ())?;
        let (units, shown) = encoder.encode_still(&frame, self.settings.show)?;
        Ok(EncodedFrame {
            units,
            shown,
            is_refused: self.tiled.is_some(),
        })
    }

    /// Encodes the item again when its tiles do not fit together. Drawings are encoded in tiles once more, with the
    /// settings of photographs: a whole may take more memory than there is.
    fn encode_otherwise(self) -> Result<EncodedFrame, EncodeError> {
        if !self.settings.is_drawn {
            return self.encode_whole();
        }
        let usual = Self {
            settings: ItemSettings {
                speed: super::SPEED,
                is_drawn: false,
                ..self.settings
            },
            ..self
        };
        let frames: Result<_, _> = (0..usual.frame_count())
            .map(|number| usual.encode(number))
            .collect();
        usual.finish(frames?)
    }

    /// The whole picture, from all frames. For one in tiles the shown picture is the one that decoders see but for a few
    /// pixels on both sides of the edges between tiles, which the loop filters change once more.
    pub(super) fn finish(self, mut frames: Vec<EncodedFrame>) -> Result<EncodedFrame, EncodeError> {
        let Some(tiled) = &self.tiled else {
            return frames.pop().map_or_else(|| self.encode_whole(), Ok);
        };
        let written: Vec<&[u8]> = frames.iter().map(|frame| frame.units.as_slice()).collect();
        let Some(units) = tiled.join(&written) else {
            return self.encode_otherwise();
        };
        let shown = self.settings.show.then(|| {
            let mut shown = Planes::grey(self.planes.width, self.planes.height, self.planes.chroma);
            let tiles = tiled.tiles().iter().zip(&frames);
            for (tile, planes) in tiles.filter_map(|(tile, frame)| Some((tile, frame.shown.as_ref()?))) {
                shown.copy(tile.area, planes, tile.place());
            }
            shown
        });
        Ok(EncodedFrame {
            units,
            shown,
            is_refused: false,
        })
    }
}

/// The settings of libaom for one item.
pub(super) struct ItemSettings {
    pub(super) speed: c_int,
    /// True if palettes are tried.
    pub(super) is_drawn: bool,
    pub(super) quantizer: c_uint,
    /// The space of the colours; `None` for alpha, which is luma alone.
    pub(super) space: Option<Space>,
    /// True if the picture that a decoder will see is kept.
    pub(super) show: bool,
}

impl ItemSettings {
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

/// The sizes of tiles in the form that libaom reads.
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
    settings: &ItemSettings,
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
