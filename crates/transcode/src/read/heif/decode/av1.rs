//! AV1 by `re_rav1d`, dav1d in Rust (docs/decisions/0009-av1-and-hevc-decoders.md).

use re_rav1d::dav1d::{Decoder, Error as Refusal, Picture, PixelLayout, PlanarImageComponent, Settings};
use tintype_model::Dimensions;

use super::planes::{DecodedTile, Plane, Row};
use crate::Error;
use crate::av1::units::units;
use crate::picture::Subsampling;
use crate::read::heif::header as heif;

/// The units that make a picture: all but metadata, tile lists and padding. The decoder's parser of metadata has
/// arithmetic that panics in a function that C may call, which would end the process.
const PICTURE_UNITS: [u8; 6] = [1, 2, 3, 4, 6, 7];
/// Headers of frames, by themselves and with their tiles.
const FRAME_HEADERS: [u8; 2] = [3, 6];
/// A picture has one frame for each of its layers, or some that it only refers to.
const MAX_FRAMES: usize = 64;
/// A still picture is one frame; a stream that goes on asking for more after this many calls is broken.
const MAX_CALLS: usize = 64;

/// A plane of a decoded picture.
pub(super) struct Av1Plane {
    /// `None` for colours that the picture does not have.
    bytes: Option<re_rav1d::dav1d::Plane>,
    /// Bytes from one row to the next.
    stride: usize,
    /// True if a sample has two bytes.
    is_deep: bool,
}

/// Decodes the first frame that a stream shows.
pub(super) fn decode(tile: &heif::Tile<'_>, size: Dimensions) -> Result<DecodedTile<Av1Plane>, Error> {
    let refused = |error: Refusal| Error::corrupt(format!("the AV1 picture cannot be decoded: {error}"));
    let mut settings = Settings::new();
    settings.set_n_threads(1);
    settings.set_max_frame_delay(1);
    // Only the best layer of a layered picture is decoded, as a viewer shows it in the end.
    settings.set_all_layers(false);
    settings.set_operating_point(u32::from(tile.operating_point & 31));
    settings.set_frame_size_limit(u32::try_from(size.pixels()).unwrap_or(u32::MAX));
    settings.set_strict_std_compliance(true);
    let mut decoder = Decoder::with_settings(&settings).map_err(refused)?;
    let whole = tile.stream();
    let stream: Vec<u8> = units(&whole)
        .filter(|unit| PICTURE_UNITS.contains(&unit.kind))
        .flat_map(|unit| unit.whole)
        .copied()
        .collect();
    if stream.is_empty() {
        return Err(Error::corrupt("the AV1 stream is empty"));
    }
    if units(&whole)
        .filter(|unit| FRAME_HEADERS.contains(&unit.kind))
        .count()
        > MAX_FRAMES
    {
        return Err(Error::corrupt(format!(
            "the AV1 picture consists of more than {MAX_FRAMES} frames"
        )));
    }
    let mut sent = decoder.send_data(stream, None, None, None);
    for _ in 0..MAX_CALLS {
        match decoder.get_picture() {
            Ok(picture) => return decoded(&picture),
            Err(Refusal::Again) => {}
            Err(error) => return Err(refused(error)),
        }
        match sent {
            // All is sent and there is no picture.
            Ok(()) => break,
            Err(Refusal::Again) => sent = decoder.send_pending_data(),
            Err(error) => return Err(refused(error)),
        }
    }
    Err(Error::corrupt("the AV1 stream shows no frame"))
}

fn decoded(picture: &Picture) -> Result<DecodedTile<Av1Plane>, Error> {
    let chroma = match picture.pixel_layout() {
        PixelLayout::I400 => Subsampling::None,
        PixelLayout::I420 => Subsampling::Quarter,
        PixelLayout::I422 => Subsampling::Half,
        PixelLayout::I444 => Subsampling::Full,
    };
    let components = [
        PlanarImageComponent::Y,
        PlanarImageComponent::U,
        PlanarImageComponent::V,
    ];
    let is_there = |component| component == PlanarImageComponent::Y || chroma != Subsampling::None;
    let depth = u8::try_from(picture.bit_depth())
        .map_err(|_| Error::corrupt("the AV1 picture has too many bits per sample"))?;
    Ok(DecodedTile {
        size: Dimensions {
            width: picture.width(),
            height: picture.height(),
        },
        depth,
        chroma,
        planes: components.map(|component| Av1Plane {
            bytes: is_there(component).then(|| picture.plane(component)),
            stride: picture.stride(component) as usize,
            is_deep: depth > 8,
        }),
    })
}

impl Plane for Av1Plane {
    fn row(&self, number: usize) -> Option<Row<'_>> {
        let start = number.checked_mul(self.stride)?;
        let row = self.bytes.as_ref()?.as_ref().get(start..)?.get(..self.stride)?;
        Some(if self.is_deep {
            Row::WordBytes(row)
        } else {
            Row::Bytes(row)
        })
    }
}
