//! Stills by libaom at its fast all-intra speeds, and the AVIF container around what it gives.

use std::collections::BTreeMap;
use std::ffi::{c_int, c_uint};
use std::ops::RangeInclusive;
use std::sync::Arc;

use avif_serialize::constants::ColorPrimaries;
use libaom_sys::{AOM_USAGE_ALL_INTRA, aom_codec_enc_cfg_t};
use tintype_model::Dimensions;

use super::aom::{Encoder, Frame};
use super::planes::{Planes, Range};
use super::strips::{SUPERBLOCK, Stack};
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

/// A strip has 768 rows at least: libaom makes other choices for frames of less than 720, which cost up to 19 % more bytes.
/// In superblocks.
const LEAST_STRIP: u32 = 768 / SUPERBLOCK;

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
    Ok(Encoded {
        bytes: container(size, settings.chroma, space, &color, alpha.as_deref())?,
        shown: shown.map(|planes| planes.to_picture()).transpose()?,
    })
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

/// A picture as AV1 units, and what decoders see where that was asked for.
type Still = (Vec<u8>, Option<Planes>);

/// One still picture, as the OBUs that AVIF carries.
///
/// What is shown of a picture in strips is what decoders see but for the few rows on both sides of where two strips meet,
/// which the loop filters change once more.
fn encode_frame(frame: &Frame<'_>, settings: &Settings) -> Result<Still, EncodeError> {
    if let Some(stack) = Stack::new(frame.width, frame.height, frame.is_monochrome, LEAST_STRIP)
        && let Some(done) = encode_strips(frame, settings, stack)?
    {
        return Ok(done);
    }
    encoder(frame, settings, |_| ())?.encode_still(frame, settings.show)
}

/// `None` when the strips do not make a picture: [`Stack::push`].
fn encode_strips(
    frame: &Frame<'_>,
    settings: &Settings,
    mut stack: Stack,
) -> Result<Option<Still>, EncodeError> {
    let mut shown: BTreeMap<usize, Planes> = BTreeMap::new();
    while let Some(strip) = stack.next() {
        let (above, below) = strip.extra_rows();
        let luma_above = strip.luma_above(frame.width);
        let planes = frame.copy_rows(strip.first, strip.rows, &luma_above, below);
        let frame = frame.with_rows(strip.height(), &planes);
        let mut encoder = encoder(&frame, settings, |config| {
            (config.tile_width_count, config.tile_widths) = sizes(stack.columns());
            (config.tile_height_count, config.tile_heights) = sizes(&strip.tile_rows());
        })?;
        encoder.set_small_superblocks()?;
        let (bytes, shown_here) = encoder.encode_still(&frame, settings.show)?;
        if stack.push(strip, &bytes).is_none() {
            return Ok(None);
        }
        if let Some(mut planes) = shown_here {
            planes.keep_rows(above, strip.rows);
            shown.insert(strip.number, planes);
        }
    }
    let shown = shown.into_values().reduce(|mut above, below| {
        above.append(below);
        above
    });
    Ok(stack.finish().map(|file| (file, shown)))
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
    encoder.set_coding(settings.speed, settings.quantizer, settings.space)?;
    let has_matrices = settings.space.is_some() && frame.chroma == Chroma::Halved;
    encoder.set_still(has_matrices.then_some(MATRICES))?;
    Ok(encoder)
}

#[cfg(test)]
mod tests {
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
        Arc::new(picture_of(width, height, channels, pixels.collect()))
    }

    fn picture_of(width: u32, height: u32, channels: usize, data: Vec<u8>) -> Picture {
        Picture {
            size: Dimensions { width, height },
            has_alpha: channels == 4,
            space: Space::Srgb,
            data,
        }
    }

    /// Those of the colours, showing what comes out.
    fn of_color(quality: u8) -> Settings {
        Settings {
            speed: SPEED,
            quantizer: quantizer(quality),
            space: Some(Space::Srgb),
            show: true,
        }
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

    /// Encodes in strips of at least `least` superblocks, and wraps it up.
    fn in_strips(picture: &Picture, quality: u8, chroma: Chroma, least: u32) -> (Vec<u8>, Picture) {
        let planes = Planes::with_chroma(picture, Range::Full, chroma).unwrap();
        let Dimensions { width, height } = picture.size;
        let stack = Stack::new(width, height, false, least).expect("more than one strip");
        let (color, shown) = encode_strips(&Frame::of_color(&planes), &of_color(quality), stack)
            .unwrap()
            .unwrap_or_else(|| panic!("{width}×{height}, quality {quality}: strips do not fit"));
        let file = container(picture.size, chroma, Space::Srgb, &color, None).unwrap();
        (file, shown.unwrap().to_picture().unwrap())
    }

    #[test]
    fn strips_make_one_picture_without_seams() {
        // Soft everywhere, so that the error depends on the place alone.
        let soft = |width: u32, height: u32| {
            let wave = |at: u32| u8::try_from((at % 400).abs_diff(200)).unwrap();
            let pixels = (0..width * height).flat_map(|at| {
                let (x, y) = (at % width, at / width);
                let texture = (x * 7 + y * 13) % 9;
                [wave(x + texture), wave(y + texture), wave(x / 2 + y + texture)]
            });
            picture_of(width, height, 3, pixels.collect())
        };
        // Strips of one superblock and of several, a last one of a single row, and several columns of tiles.
        for (width, height, chroma, least) in [
            (161, 200, Chroma::Halved, 1),
            (161, 193, Chroma::Full, 1),
            (640, 481, Chroma::Halved, 3),
            (4200, 150, Chroma::Halved, 1),
        ] {
            let picture = soft(width, height);
            let (file, shown) = in_strips(&picture, 60, chroma, least);
            let seen = decoded(&file);
            assert_eq!(seen.len(), shown.data.len(), "{width}×{height}");
            // The mean error of each row: where strips meet it is what it is elsewhere.
            let errors: Vec<f64> = seen
                .chunks(width as usize * 3)
                .zip(picture.data.chunks(width as usize * 3))
                .map(|(seen, given)| {
                    let differences = seen
                        .iter()
                        .zip(given)
                        .map(|(&one, &other)| f64::from(one.abs_diff(other)));
                    differences.sum::<f64>() / seen.len() as f64
                })
                .collect();
            let mean = errors.iter().sum::<f64>() / errors.len() as f64;
            for seam in (64..height as usize).step_by(64) {
                let near = &errors[seam - 2..(seam + 2).min(errors.len())];
                let worst = near.iter().copied().fold(0.0, f64::max);
                assert!(
                    worst < 3.0 * mean + 1.0,
                    "{width}×{height} row {seam}: {worst}, {mean} elsewhere"
                );
            }
        }
    }

    #[test]
    fn strips_fit_together_whatever_is_in_them() {
        // From the top: nothing, noise, soft shades, more noise on the right. Sides end everywhere in a square of 32.
        for (number, width) in [128u32, 136, 144, 152, 160, 161, 167, 184, 191]
            .into_iter()
            .enumerate()
        {
            for height in [193u32, 200, 208, 216, 224, 255, 256] {
                let mut random = width * height;
                let pixels = (0..width * height).flat_map(|at| {
                    let (x, y) = (at % width, at / width);
                    random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let noise = random >> 24;
                    let value = match y / 64 {
                        0 => 200,
                        1 => noise,
                        2 => 40 + x / 2,
                        _ => (x + noise * x / width / 2).min(255),
                    };
                    [u8::try_from(value).unwrap(); 3]
                });
                let picture = picture_of(width, height, 3, pixels.collect());
                for quality in [5, 40, 65, 90] {
                    let chroma = if (number + height as usize).is_multiple_of(3) {
                        Chroma::Full
                    } else {
                        Chroma::Halved
                    };
                    let (file, _) = in_strips(&picture, quality, chroma, 1);
                    assert_eq!(
                        decoded(&file).len(),
                        picture.data.len(),
                        "{width}×{height} {quality}"
                    );
                }
            }
        }
    }

    #[test]
    fn alpha_is_put_together_from_strips_too() {
        let picture = picture(161, 200, 4);
        let planes = Planes::new(&picture, Range::Full).unwrap();
        let (alpha, grey) = (planes.alpha.as_ref().unwrap(), Frame::grey(&planes));
        let of_alpha = Settings {
            quantizer: alpha_quantizer(60),
            space: None,
            ..of_color(60)
        };
        let frame = Frame::of_alpha(&planes, alpha, &grey);
        let stack = Stack::new(161, 200, true, 1).unwrap();
        let (strips, shown) = encode_strips(&frame, &of_alpha, stack).unwrap().unwrap();
        let (color, _) = encode_frame(&Frame::of_color(&planes), &of_color(ALPHA_QUALITY)).unwrap();
        let file = container(picture.size, Chroma::Halved, Space::Srgb, &color, Some(&strips)).unwrap();
        let avif_decode::Image::Rgba8(image) = avif_decode::Decoder::from_avif(&file)
            .unwrap()
            .to_image()
            .unwrap()
        else {
            panic!("no alpha");
        };
        for ((seen, shown), given) in image.pixels().zip(&shown.unwrap().y).zip(alpha) {
            assert!(
                seen.a.abs_diff(*shown) < 8 && seen.a.abs_diff(*given) < 16,
                "{} {shown} {given}",
                seen.a
            );
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
