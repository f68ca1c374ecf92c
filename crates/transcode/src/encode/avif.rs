//! Stills by libaom at its fast all-intra speeds, and the AVIF container around what it gives.

use std::ffi::{c_int, c_uint};
use std::ops::RangeInclusive;
use std::sync::Arc;

use avif_serialize::constants::ColorPrimaries;
use libaom_sys::{AOM_USAGE_ALL_INTRA, aom_codec_enc_cfg_t};
use tintype_model::Dimensions;

use super::aom::{Encoder, Frame};
use super::planes::{Planes, Range};
use super::tiles::{Grid, Least, Mosaic};
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
    settings: &super::Settings,
    show: bool,
) -> Result<Encoded, EncodeError> {
    let still = Still::new(picture, settings, show)?;
    let pieces: Result<_, _> = (0..still.count()).map(|number| still.encode(number)).collect();
    still.finish(pieces?)
}

/// How many pieces a picture is encoded in: a large one is divided, and alpha is encoded by itself.
pub(super) fn count(picture: &Picture) -> usize {
    let layers = if picture.has_alpha { 2 } else { 1 };
    layers * pieces(Mosaic::new(picture.size, LEAST).as_ref())
}

fn pieces(mosaic: Option<&Mosaic>) -> usize {
    mosaic.map_or(1, |mosaic| mosaic.parts().len())
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
        settings: &super::Settings,
        show: bool,
    ) -> Result<Self, EncodeError> {
        let (size, space, chroma) = (picture.size, picture.space, settings.chroma);
        let mut planes = Planes::new(picture, Range::Full, chroma)?;
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
        let (alpha, shown_alpha) = alpha.map_or((None, None), |alpha| (Some(alpha.units), alpha.shown));
        let bytes = container(self.size, self.chroma, self.space, &color.units, alpha.as_deref())?;
        let shown = color.shown.map(|planes| Planes {
            alpha: shown_alpha.map(|planes| planes.y),
            ..planes
        });
        Ok(Encoded {
            bytes,
            shown: shown.map(|planes| planes.to_picture()).transpose()?,
        })
    }
}

/// What becomes one stream.
struct Layer {
    planes: Planes,
    settings: Settings,
    /// The tiles of a large picture.
    mosaic: Option<Mosaic>,
}

/// A picture or a part of it as AV1 units, and what decoders see where that was asked for.
pub(super) struct Piece {
    units: Vec<u8>,
    shown: Option<Planes>,
}

impl Layer {
    fn count(&self) -> usize {
        pieces(self.mosaic.as_ref())
    }

    fn encode(&self, number: usize) -> Result<Piece, EncodeError> {
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
        let (units, shown) = encoder.encode_still(&frame, self.settings.show)?;
        Ok(Piece { units, shown })
    }

    fn encode_whole(&self) -> Result<Piece, EncodeError> {
        let frame = self.settings.frame(&self.planes);
        let mut encoder = encoder(&frame, &self.settings, |_| ())?;
        let (units, shown) = encoder.encode_still(&frame, self.settings.show)?;
        Ok(Piece { units, shown })
    }

    /// The whole. What is shown of one in tiles is what decoders see but for the few pixels on both sides of where two of
    /// them meet, which the loop filters change once more.
    fn finish(self, mut pieces: Vec<Piece>) -> Result<Piece, EncodeError> {
        let Some(mosaic) = &self.mosaic else {
            return pieces.pop().map_or_else(|| self.encode_whole(), Ok);
        };
        let written: Vec<&[u8]> = pieces.iter().map(|piece| piece.units.as_slice()).collect();
        let Some(units) = mosaic.join(&written, self.settings.space.is_none()) else {
            return self.encode_whole();
        };
        let shown = self.settings.show.then(|| {
            let mut shown = Planes::grey(self.planes.width, self.planes.height, self.planes.chroma);
            let parts = mosaic.parts().iter().zip(&pieces);
            for (part, planes) in parts.filter_map(|(part, piece)| Some((part, piece.shown.as_ref()?))) {
                shown.copy(part.area, planes, part.place());
            }
            shown
        });
        Ok(Piece { units, shown })
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

struct Settings {
    speed: c_int,
    quantizer: c_uint,
    /// That of the colours; none for alpha, which is luma alone.
    space: Option<Space>,
    /// Whether to keep the picture that a decoder will see.
    show: bool,
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
    fn picture(width: u32, height: u32, channels: usize) -> Picture {
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
        picture_of(width, height, channels, pixels.collect())
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
            let picture = Arc::new(picture(161, 121, channels));
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

    /// Tiles of at least so many pixels a side.
    fn sides(side: u32) -> Least {
        Least { side, area: 1 }
    }

    fn in_tiles(planes: Planes, settings: Settings, least: Least) -> Piece {
        let size = planes.size();
        let layer = Layer {
            planes,
            settings,
            mosaic: Some(Mosaic::new(size, least).expect("more than one tile")),
        };
        let pieces = (0..layer.count()).map(|number| layer.encode(number).unwrap());
        let pieces: Vec<_> = pieces.collect();
        let written: Vec<&[u8]> = pieces.iter().map(|piece| piece.units.as_slice()).collect();
        let joined = layer
            .mosaic
            .as_ref()
            .unwrap()
            .join(&written, layer.settings.space.is_none());
        assert!(
            joined.is_some(),
            "{size:?}, quantizer {}: tiles do not fit",
            layer.settings.quantizer
        );
        layer.finish(pieces).unwrap()
    }

    /// The file with those colours, and what of it is shown.
    fn colored(picture: &Picture, quality: u8, chroma: Chroma, least: Least) -> (Vec<u8>, Picture) {
        let planes = Planes::of_shared(picture, Range::Full, chroma).unwrap();
        let made = in_tiles(planes, of_color(quality), least);
        let file = container(picture.size, chroma, Space::Srgb, &made.units, None).unwrap();
        (file, made.shown.unwrap().to_picture().unwrap())
    }

    #[test]
    fn tiles_make_one_picture_without_seams() {
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
        // Tiles of one superblock and of several, last ones of a single row or column, and many in a row.
        for (width, height, chroma, least) in [
            (161, 200, Chroma::Halved, 1),
            (193, 193, Chroma::Full, 1),
            (640, 481, Chroma::Halved, 180),
            (4000, 150, Chroma::Halved, 1),
            (150, 1000, Chroma::Halved, 100),
        ] {
            let picture = soft(width, height);
            let (file, shown) = colored(&picture, 60, chroma, sides(least));
            let seen = decoded(&file);
            assert_eq!(seen.len(), shown.data.len(), "{width}×{height}");
            // The mean error of each row and column: where tiles meet and end it is what it is elsewhere.
            let (columns, rows) = (width as usize, height as usize);
            let mut of_columns = vec![0.0; columns];
            let mut of_rows = vec![0.0; rows];
            let pixels = seen.chunks(3).zip(picture.data.chunks(3));
            for (at, (seen, given)) in pixels.enumerate() {
                let pairs = seen.iter().zip(given);
                let sum: f64 = pairs.map(|(&one, &other)| f64::from(one.abs_diff(other))).sum();
                of_columns[at % columns] += sum / rows as f64;
                of_rows[at / columns] += sum / columns as f64;
            }
            for (errors, what) in [(of_columns, "column"), (of_rows, "row")] {
                let mean = errors.iter().sum::<f64>() / errors.len() as f64;
                for (at, error) in errors.iter().enumerate() {
                    assert!(
                        *error < 3.0 * mean + 1.0,
                        "{width}×{height} {what} {at}: {error}, {mean} elsewhere"
                    );
                }
            }
        }
    }

    /// From the top: nothing, noise, soft shades, more noise on the right.
    fn mixed(width: u32, height: u32) -> Picture {
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
            [u8::try_from(value.min(255)).unwrap(); 3]
        });
        picture_of(width, height, 3, pixels.collect())
    }

    #[test]
    fn tiles_fit_together_whatever_is_in_them() {
        // Sides end everywhere in a square of 64.
        let ends = [1u32, 8, 16, 23, 24, 32, 40, 48, 56, 57, 64];
        for (across, down) in ends
            .into_iter()
            .flat_map(|across| ends.map(|down| (across, down)))
        {
            let picture = mixed(128 + across, 192 + down);
            for quality in [5, 40, 65, 90] {
                let chroma = if (across + down).is_multiple_of(3) {
                    Chroma::Full
                } else {
                    Chroma::Halved
                };
                // Tiles with a side of 16 pixels do not fit: libaom treats them otherwise.
                let (file, _) = colored(&picture, quality, chroma, sides(17));
                assert_eq!(
                    decoded(&file).len(),
                    picture.data.len(),
                    "{across}, {down}, {quality}"
                );
            }
        }
    }

    #[test]
    fn tiles_with_wide_margins_fit_together_too() {
        // Tiles of two and more superblocks a side, of which the last ones lack a good deal of the area.
        let least = Least {
            side: 100,
            area: 18_700,
        };
        let ends = [40u32, 48, 56, 60, 64, 96];
        for (across, down) in ends
            .into_iter()
            .flat_map(|across| ends.map(|down| (across, down)))
        {
            let picture = mixed(320 + across, 320 + down);
            for quality in [30, 65] {
                let (file, _) = colored(&picture, quality, Chroma::Halved, least);
                let pixels = decoded(&file).len();
                assert_eq!(pixels, picture.data.len(), "{across}, {down}, {quality}");
            }
        }
    }

    #[test]
    fn alpha_is_put_together_from_tiles_too() {
        let picture = picture(161, 200, 4);
        let of_alpha = Settings {
            quantizer: alpha_quantizer(60),
            space: None,
            ..of_color(60)
        };
        let mut planes = Planes::of_shared(&picture, Range::Full, Chroma::Halved).unwrap();
        let alpha = planes.alpha.take().unwrap();
        let made = in_tiles(
            Planes::of_luma(alpha.clone(), 161, 200, Chroma::Halved),
            of_alpha,
            sides(1),
        );
        let color = in_tiles(planes, of_color(ALPHA_QUALITY), sides(1));
        let (color, tiles) = (&color.units, Some(made.units.as_slice()));
        let file = container(picture.size, Chroma::Halved, Space::Srgb, color, tiles).unwrap();
        let avif_decode::Image::Rgba8(image) = avif_decode::Decoder::from_avif(&file)
            .unwrap()
            .to_image()
            .unwrap()
        else {
            panic!("no alpha");
        };
        for ((seen, shown), given) in image.pixels().zip(&made.shown.unwrap().y).zip(alpha) {
            assert!(
                seen.a.abs_diff(*shown) < 8 && seen.a.abs_diff(given) < 16,
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
