//! Stills by libaom at its fast all-intra speeds, and the AVIF container around what it gives.

use std::ffi::{c_int, c_uint};
use std::ops::RangeInclusive;
use std::sync::Arc;

use avif_serialize::constants::ColorPrimaries;
use libaom_sys::AOM_USAGE_ALL_INTRA;

use super::aom::{Encoder, Frame};
use super::planes::{Planes, Range};
use super::{Chroma, Effort, Encoded};
use crate::error::EncodeError;
use crate::picture::Picture;
use crate::space::Space;

/// The fastest speed for stills. At 800 pixels a side speeds 7 and 8 need 6 % fewer bytes at equal SSIMULACRA2, in five
/// and four times the time; quantization matrices give more than that for nothing.
const SPEED: c_int = 9;

/// The range of quantization matrices, which coarsen what the eye sees least: 10 % fewer bytes at equal SSIMULACRA2
/// than without, 7 % with libaom's own range, 5 to 9. Alpha has nothing to hide and goes without, and so do drawings:
/// what matrices take is the edges of their strokes.
const MATRICES: RangeInclusive<c_uint> = 2..=10;

/// At the quality of the colours, a fully transparent background came back with an alpha of 1; lossless alpha made a
/// drawing on a transparent background larger than its WebP.
const ALPHA_QUALITY: u8 = 82;

pub(super) fn encode(
    picture: Arc<Picture>,
    settings: &super::Settings,
    show: bool,
) -> Result<Encoded, EncodeError> {
    let (size, space) = (picture.size, picture.space);
    let mut planes = Planes::with_chroma(&picture, Range::Full, settings.chroma)?;
    drop(picture);
    let alpha = planes.alpha.take();
    let of_color = Settings {
        speed: match settings.effort {
            Effort::Usual => SPEED,
            Effort::High => SPEED - 2,
        },
        quantizer: quantizer(settings.quality),
        space: Some(space),
        show,
    };
    let (color, mut shown) = encode_frame(&Frame::of_color(&planes), &of_color)?;
    let alpha = match &alpha {
        Some(alpha) => {
            let of_alpha = Settings {
                quantizer: alpha_quantizer(settings.quality),
                space: None,
                ..of_color
            };
            let grey = Frame::grey(&planes);
            let (file, shown_alpha) = encode_frame(&Frame::of_alpha(&planes, alpha, &grey), &of_alpha)?;
            if let (Some(shown), Some(shown_alpha)) = (&mut shown, shown_alpha) {
                shown.alpha = Some(shown_alpha.y);
            }
            Some(file)
        }
        None => None,
    };
    let mut file = Vec::with_capacity(color.len() + alpha.as_ref().map_or(0, Vec::len) + 512);
    let is_halved = settings.chroma == Chroma::Halved;
    avif_serialize::Aviffy::new()
        .set_width(size.width)
        .set_height(size.height)
        .set_bit_depth(8)
        .set_seq_profile(profile(settings.chroma))
        .set_chroma_subsampling((is_halved, is_halved))
        .set_color_primaries(match space {
            Space::Srgb => ColorPrimaries::Bt709,
            Space::DisplayP3 => ColorPrimaries::DisplayP3,
        })
        .write_slice(&mut file, &color, alpha.as_deref())?;
    Ok(Encoded {
        bytes: file,
        shown: shown.map(|planes| planes.to_picture()).transpose()?,
    })
}

struct Settings {
    speed: c_int,
    quantizer: c_uint,
    /// That of the colours; none for alpha, which has no colours.
    space: Option<Space>,
    /// Whether to keep the picture that a decoder will see.
    show: bool,
}

/// Profile 0 (Main) knows no 4:4:4 but for pictures without colour, profile 1 (High) does.
const fn profile(chroma: Chroma) -> u8 {
    match chroma {
        Chroma::Halved => 0,
        Chroma::Full => 1,
    }
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

/// One still picture, as the OBUs that AVIF carries.
fn encode_frame(frame: &Frame<'_>, settings: &Settings) -> Result<(Vec<u8>, Option<Planes>), EncodeError> {
    let mut encoder = Encoder::open(AOM_USAGE_ALL_INTRA, |config| {
        config.g_w = frame.width;
        config.g_h = frame.height;
        config.g_profile = profile(frame.chroma).into();
        // One frame, no lookahead: a still picture with the reduced header.
        config.g_limit = 1;
        config.g_lag_in_frames = 0;
        config.monochrome = c_uint::from(frame.is_monochrome);
    })?;
    encoder.set_coding(settings.speed, settings.quantizer, settings.space)?;
    let has_matrices = settings.space.is_some() && frame.chroma == Chroma::Halved;
    encoder.set_still(has_matrices.then_some(MATRICES))?;
    encoder.encode_still(frame, settings.show)
}

#[cfg(test)]
mod tests {
    use tintype_model::Dimensions;

    use super::*;

    /// Soft shades with some texture, and alpha that is 255 in one half and falls in the other.
    fn picture(width: u32, height: u32, channels: usize) -> Arc<Picture> {
        let byte = |value: u32| u8::try_from(value % 256).unwrap();
        let pixels = (0..width * height).flat_map(|at| {
            let (x, y) = (at % width, at / width);
            let texture = (x * 7 + y * 13) % 9;
            let color = [x + texture, y + 60 + texture, (x + y) / 2 + texture];
            let alpha = if x < width / 2 { 255 } else { 255 - y };
            [byte(color[0]), byte(color[1]), byte(color[2]), byte(alpha)]
                .into_iter()
                .take(channels)
        });
        Arc::new(Picture {
            size: Dimensions { width, height },
            has_alpha: channels == 4,
            space: Space::Srgb,
            data: pixels.collect(),
        })
    }

    fn decoded(file: &[u8]) -> Vec<u8> {
        let image = avif_decode::Decoder::from_avif(file).unwrap().to_image().unwrap();
        match image {
            avif_decode::Image::Rgb8(image) => image.pixels().flat_map(|p| [p.r, p.g, p.b]).collect(),
            avif_decode::Image::Rgba8(image) => image.pixels().flat_map(|p| [p.r, p.g, p.b, p.a]).collect(),
            _ => panic!("neither RGB nor RGBA"),
        }
    }

    #[test]
    fn what_is_shown_is_what_another_decoder_sees() {
        for (channels, chroma) in [
            (3, Chroma::Halved),
            (3, Chroma::Full),
            (4, Chroma::Halved),
            (4, Chroma::Full),
        ] {
            // Odd sides, so that the last colours stand for less than four pixels.
            let picture = picture(161, 121, channels);
            let usual = super::super::Settings::usual(40, picture.size.pixels());
            let settings = super::super::Settings { chroma, ..usual };
            let made = encode(Arc::clone(&picture), &settings, true).unwrap();
            let shown = made.shown.unwrap();
            let seen = decoded(&made.bytes);
            assert_eq!(seen.len(), shown.data.len());
            let squares: f64 = seen
                .iter()
                .zip(&shown.data)
                .map(|(&one, &other)| (f64::from(one) - f64::from(other)).powi(2))
                .sum();
            let psnr = 10.0 * (255.0 * 255.0 * seen.len() as f64 / squares.max(1e-9)).log10();
            // The other decoder repeats halved colours instead of interpolating them.
            assert!(psnr > 46.0, "{channels} channels, {chroma:?}: {psnr} dB");
        }
    }

    #[test]
    fn qualities_with_the_same_quantizer_are_one() {
        for quality in 1..=100 {
            let lowest = canonical(quality);
            assert_eq!(quantizer(lowest), quantizer(quality));
            assert!(lowest <= quality && (lowest == 1 || quantizer(lowest - 1) != quantizer(quality)));
        }
    }
}
