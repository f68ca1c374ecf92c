//! AVIF and HEIC: tiles to planes, planes to samples.

mod av1;
#[cfg(feature = "heic")]
mod hevc;
#[cfg(feature = "heic")]
mod hevc_wide;
mod planes;
mod rgb;

use self::planes::Planes;
use self::rgb::SampleFormat;
use super::header::{self as heif, Codec, Layer, Tile};
use crate::Error;
use crate::header::CHECKED;
use crate::picture::Samples;
#[cfg(feature = "heic")]
use crate::picture::Subsampling;

/// The primary picture, or the first frame of a sequence.
pub(super) fn decode(source: &[u8]) -> Result<Samples, Error> {
    let image = heif::coded_image(source, &CHECKED)?;
    let color = layer(&image.color)?;
    let alpha = image.alpha.as_ref().map(layer).transpose()?;
    let format = SampleFormat {
        cicp: image.cicp,
        is_full_range: image.color.is_full_range,
        is_alpha_full_range: image.alpha.as_ref().is_none_or(|alpha| alpha.is_full_range),
        is_premultiplied: image.is_premultiplied,
        crop: image.crop,
    };
    rgb::convert(&color, alpha.as_ref(), &format)
}

/// Decodes tile by tile, so that only one of them is there beside the picture.
fn layer(layer: &Layer<'_>) -> Result<Planes, Error> {
    let mut planes = Planes::new(layer);
    for (number, tile) in layer.tiles.iter().enumerate() {
        let place = (number % layer.columns, number / layer.columns);
        put(&mut planes, layer, place, tile)?;
    }
    Ok(planes)
}

fn put(planes: &mut Planes, layer: &Layer<'_>, place: (usize, usize), tile: &Tile<'_>) -> Result<(), Error> {
    match tile.codec {
        Codec::Av1 => planes.put(layer, place, &av1::decode(tile, layer.tile)?),
        #[cfg(feature = "heic")]
        Codec::Hevc if matches!(layer.chroma, Subsampling::Half | Subsampling::Full) => {
            planes.put(layer, place, &hevc_wide::decode(tile)?)
        }
        #[cfg(feature = "heic")]
        Codec::Hevc => planes.put(layer, place, &hevc::decode(tile)?),
        #[cfg(not(feature = "heic"))]
        Codec::Hevc => Err(Error::unsupported("this build does not read HEIC")),
    }
}
