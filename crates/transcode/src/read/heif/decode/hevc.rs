//! HEVC by `heic-rs` (docs/decisions/0009-av1-and-hevc-decoders.md).

use heic_rs::hevc::{ChromaFormat, Frame, decode_still};
use tintype_model::Dimensions;

use super::planes::{DecodedTile, Plane, Row};
use crate::Error;
use crate::picture::Subsampling;
use crate::read::heif::header as heif;
use crate::read::heif::header::HevcConfig;

const VPS: u8 = 32;
const SPS: u8 = 33;
const PPS: u8 = 34;
pub(super) const PARAMETER_SETS: [u8; 3] = [VPS, SPS, PPS];

/// Decodes one coded picture.
pub(super) fn decode(tile: &heif::Tile<'_>) -> Result<DecodedTile<HevcPlane>, Error> {
    let refused = |error: heic_rs::Error| match error {
        heic_rs::Error::Unsupported(tool) => {
            Error::unsupported(format!("the HEVC picture uses a tool that is not read: {tool}"))
        }
        error => Error::corrupt(format!("the HEVC picture cannot be decoded: {error}")),
    };
    let config = HevcConfig::read(tile.config)?;
    let sets: Vec<&[u8]> = PARAMETER_SETS
        .into_iter()
        .flat_map(|kind| config.sets(kind))
        .collect();
    let stream = tile.stream();
    let units = config.units(&stream)?;
    // Parameter sets in the stream would replace those that were checked.
    let units: Vec<&[u8]> = units.into_iter().filter(|unit| !is_parameter_set(unit)).collect();
    let frame = decode_still(&sets, &units).map_err(refused)?;
    frame.validate().map_err(refused)?;
    Ok(decoded(frame))
}

fn decoded(frame: Frame) -> DecodedTile<HevcPlane> {
    let chroma = match frame.chroma {
        ChromaFormat::Monochrome => Subsampling::None,
        ChromaFormat::Yuv420 => Subsampling::Quarter,
        ChromaFormat::Yuv422 => Subsampling::Half,
        ChromaFormat::Yuv444 => Subsampling::Full,
    };
    let plane = |samples, stride: u32| HevcPlane {
        samples: HevcSamples::Words(samples),
        stride: stride as usize,
    };
    DecodedTile {
        size: Dimensions {
            width: frame.width,
            height: frame.height,
        },
        depth: frame.bit_depth,
        chroma,
        planes: [
            plane(frame.y, frame.y_stride),
            plane(frame.cb, frame.c_stride),
            plane(frame.cr, frame.c_stride),
        ],
    }
}

/// A plane that a decoder of HEVC has made.
pub(super) struct HevcPlane {
    pub(super) samples: HevcSamples,
    /// Samples from one row to the next.
    pub(super) stride: usize,
}

pub(super) enum HevcSamples {
    Bytes(Vec<u8>),
    Words(Vec<u16>),
}

impl Plane for HevcPlane {
    fn row(&self, number: usize) -> Option<Row<'_>> {
        let start = number.checked_mul(self.stride)?;
        Some(match &self.samples {
            HevcSamples::Bytes(samples) => Row::Bytes(samples.get(start..)?),
            HevcSamples::Words(samples) => Row::Words(samples.get(start..)?),
        })
    }
}

fn is_parameter_set(unit: &[u8]) -> bool {
    let kind = unit.first().map(|byte| (byte >> 1) & 0x3F);
    kind.is_none_or(|kind| (VPS..=PPS).contains(&kind))
}
