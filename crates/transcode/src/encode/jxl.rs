//! JPEG XL by jixel, which is written in Rust.

use jixel::{ColorEncoding, EncodeConfig, Speed};

use super::settings::{Loss, StillSettings};
use crate::error::EncodeError;
use crate::panics::quietly;
use crate::picture::{Picture, Space};

/// Up to this many pixels jixel's speed `Fast` is used: on photos at 800 pixels a side it needs as many bytes as our AVIF
/// at equal SSIMULACRA2, in as much time; the next slower speed takes twice the time for 1 to 2 %. Larger ones are encoded
/// at `Fastest`: 19 % fewer bytes than our AVIF of a photo of 8 megapixels, in 3.4 times the time; `Fast` takes 9 times.
const LARGE_PIXELS: u64 = 1_000_000;

/// Lossy, or lossless where the settings say so.
///
/// jixel is young: 0.5.3 panics on some pictures of a few pixels with alpha. A picture that it cannot encode in one way
/// is encoded in another, always in the same order. A photo of 12 megapixels takes 14 bytes a pixel beside the picture,
/// lossless 42.
pub(super) fn encode(picture: &Picture, settings: &StillSettings) -> Result<Vec<u8>, EncodeError> {
    let config = EncodeConfig::default()
        .with_color_encoding(match picture.space {
            Space::Srgb => ColorEncoding::srgb(),
            Space::DisplayP3 => ColorEncoding::display_p3(),
        })
        // As cjxl does: the edges of a cut-out stay where they are, and take few bytes.
        .with_alpha_distance(0.0)
        .with_num_threads(1);
    let lossless = config.clone().with_speed(Speed::Fast).with_lossless(true);
    let ways = match settings.loss {
        Loss::Usual => {
            let config = config.with_distance(distance(settings.quality));
            let speed = if settings.sized_for > LARGE_PIXELS {
                Speed::Fastest
            } else {
                Speed::Fast
            };
            let simple = config.clone().with_speed(Speed::UltraFast);
            vec![config.with_speed(speed), simple, lossless]
        }
        Loss::Invisible | Loss::Nothing => vec![lossless],
    };
    for way in ways {
        if let Some(encoded) = quietly(|| encode_as(picture, &way)) {
            return encoded;
        }
    }
    Err(EncodeError::Panicked)
}

fn encode_as(picture: &Picture, config: &EncodeConfig) -> Result<Vec<u8>, EncodeError> {
    let (width, height) = (picture.width(), picture.height());
    let encoded = if picture.has_alpha {
        jixel::encode_image_with_alpha(&picture.data, width, height, config)
    } else {
        jixel::encode_image(&picture.data, width, height, config)
    };
    encoded.map_err(|error| EncodeError::Jxl(error.to_string()))
}

/// The butteraugli distance that libjxl's cjxl takes for a quality (`JxlEncoderDistanceFromQuality`).
fn distance(quality: u8) -> f32 {
    let quality = f32::from(quality.min(100));
    if quality >= 30.0 {
        0.1 + (100.0 - quality) * 0.09
    } else {
        53.0 / 3000.0 * quality * quality - 23.0 / 20.0 * quality + 25.0
    }
}
