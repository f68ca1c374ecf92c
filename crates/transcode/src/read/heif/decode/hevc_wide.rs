//! HEVC in 4:2:2 and 4:4:4 by `hpvcd`, which is right about them (docs/decisions/0009-av1-and-hevc-decoders.md).

use hpvcd::{ChromaFormat, DecodeError, FrameYuv, SampleBuf, VideoDecoder};
use tintype_model::Dimensions;

use super::hevc::{HevcPlane, HevcSamples, PARAMETER_SETS};
use super::planes::DecodedTile;
use crate::Error;
use crate::picture::Subsampling;
use crate::read::heif::header as heif;
use crate::read::heif::header::HevcConfig;

/// Types of NAL units below this one are slices of pictures (H.265 table 7-1).
const FIRST_NON_SLICE: u8 = 32;

/// Decodes one coded picture.
pub(super) fn decode(tile: &heif::Tile<'_>) -> Result<DecodedTile<HevcPlane>, Error> {
    let config = HevcConfig::read(tile.config)?;
    // One thread: the unsafe code that the decoder has beside its SIMD lends planes to several.
    let mut decoder = VideoDecoder::with_threads(1);
    for (kind, set) in PARAMETER_SETS
        .into_iter()
        .flat_map(|kind| config.sets(kind).map(move |set| (kind, set)))
    {
        decoder.process_nal(kind, set).map_err(refused)?;
    }
    let stream = tile.stream();
    let mut pictures = 0;
    for unit in config.units(&stream)? {
        // Parameter sets in the stream would replace those that were checked.
        let [first, _, third, ..] = unit else { continue };
        let kind = (first >> 1) & 0x3F;
        if kind >= FIRST_NON_SLICE {
            continue;
        }
        // The first slice of a picture has this flag.
        pictures += u32::from(third >> 7);
        if pictures > 1 {
            break;
        }
        decoder.process_nal(kind, unit).map_err(refused)?;
    }
    decoder.flush().map_err(refused)?;
    let frame = decoder.take_frames(true).into_iter().next();
    let frame = frame.ok_or_else(|| Error::corrupt("the HEVC picture has no frame"))?;
    Ok(decoded(frame.to_yuv()))
}

fn refused(error: DecodeError) -> Error {
    match error {
        DecodeError::Unsupported(_)
        | DecodeError::UnsupportedChroma(_)
        | DecodeError::UnsupportedBitDepth(_) => {
            Error::unsupported(format!("the HEVC picture uses a tool that is not read: {error}"))
        }
        error => Error::corrupt(format!("the HEVC picture cannot be decoded: {error}")),
    }
}

fn decoded(frame: FrameYuv) -> DecodedTile<HevcPlane> {
    let side = |side| u32::try_from(side).unwrap_or(u32::MAX);
    let chroma = match frame.chroma {
        ChromaFormat::Monochrome => Subsampling::None,
        ChromaFormat::Yuv420 => Subsampling::Quarter,
        ChromaFormat::Yuv422 => Subsampling::Half,
        ChromaFormat::Yuv444 => Subsampling::Full,
    };
    let plane = |samples, stride| HevcPlane {
        samples: match samples {
            SampleBuf::U8(samples) => HevcSamples::Bytes(samples),
            SampleBuf::U16(samples) => HevcSamples::Words(samples),
        },
        stride,
    };
    DecodedTile {
        size: Dimensions {
            width: side(frame.width),
            height: side(frame.height),
        },
        depth: frame.bit_depth,
        chroma,
        planes: [
            plane(frame.y, frame.width),
            plane(frame.cb, frame.chroma_width),
            plane(frame.cr, frame.chroma_width),
        ],
    }
}
