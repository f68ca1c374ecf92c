//! libaom at its fast all-intra speeds, and the AVIF container around what it gives.
#![expect(
    unsafe_code,
    reason = "libaom is a C library; it only ever sees pixels that we made"
)]

use std::ffi::{c_int, c_uint};
use std::mem::MaybeUninit;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::{ptr, slice};

use avif_serialize::constants::ColorPrimaries;
use libaom_sys as aom;

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
        space,
        show,
    };
    let (color, mut shown) = encode_frame(&Frame::of_color(&planes), &of_color)?;
    let alpha = match &alpha {
        Some(alpha) => {
            let of_alpha = Settings {
                quantizer: alpha_quantizer(settings.quality),
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
    space: Space,
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

/// Three planes, each with its stride.
pub(super) struct Frame<'a> {
    width: u32,
    height: u32,
    planes: [(&'a [u8], u32); 3],
    chroma: Chroma,
    is_monochrome: bool,
}

impl<'a> Frame<'a> {
    pub(super) fn of_color(planes: &'a Planes) -> Self {
        let chroma = planes.chroma_width();
        Self {
            width: planes.width,
            height: planes.height,
            planes: [
                (&planes.y, planes.width),
                (&planes.u, chroma),
                (&planes.v, chroma),
            ],
            chroma: planes.chroma,
            is_monochrome: false,
        }
    }

    /// Alpha is a picture of its own, with luma only; libaom still wants to be shown chroma planes: [`Frame::grey`].
    pub(super) fn of_alpha(planes: &Planes, alpha: &'a [u8], grey: &'a [u8]) -> Self {
        let chroma = planes.width.div_ceil(2);
        Self {
            width: planes.width,
            height: planes.height,
            planes: [(alpha, planes.width), (grey, chroma), (grey, chroma)],
            chroma: Chroma::Halved,
            is_monochrome: true,
        }
    }

    /// A halved chroma plane without colour.
    pub(super) fn grey(planes: &Planes) -> Vec<u8> {
        vec![128; planes.width.div_ceil(2) as usize * planes.height.div_ceil(2) as usize]
    }

    /// Columns and rows of one of the planes.
    const fn plane_size(&self, index: usize) -> (u32, u32) {
        match (index, self.chroma) {
            (0, _) | (_, Chroma::Full) => (self.width, self.height),
            (_, Chroma::Halved) => (self.width.div_ceil(2), self.height.div_ceil(2)),
        }
    }
}

/// One still picture, as the OBUs that AVIF carries.
fn encode_frame(frame: &Frame<'_>, settings: &Settings) -> Result<(Vec<u8>, Option<Planes>), EncodeError> {
    let mut encoder = Encoder::open(aom::AOM_USAGE_ALL_INTRA, |config| {
        config.g_w = frame.width;
        config.g_h = frame.height;
        config.g_profile = profile(frame.chroma).into();
        // One frame, no lookahead: a still picture with the reduced header.
        config.g_limit = 1;
        config.g_lag_in_frames = 0;
        config.monochrome = c_uint::from(frame.is_monochrome);
    })?;
    encoder.set_coding(settings.speed, settings.quantizer, frame.is_monochrome)?;
    // 3 % fewer bytes at equal SSIMULACRA2 than the default, PSNR.
    encoder.set(aom::AOME_SET_TUNING, AOM_TUNE_SSIM)?;
    if !frame.is_monochrome && frame.chroma == Chroma::Halved {
        encoder.set_unsigned(aom::AV1E_SET_ENABLE_QM, 1)?;
        encoder.set_unsigned(aom::AV1E_SET_QM_MIN, *MATRICES.start())?;
        encoder.set_unsigned(aom::AV1E_SET_QM_MAX, *MATRICES.end())?;
    }
    if !frame.is_monochrome {
        let primaries = match settings.space {
            Space::Srgb => 1,
            Space::DisplayP3 => 12,
        };
        encoder.set(aom::AV1E_SET_COLOR_PRIMARIES, primaries)?;
        encoder.set(aom::AV1E_SET_TRANSFER_CHARACTERISTICS, 13)?;
        encoder.set(aom::AV1E_SET_MATRIX_COEFFICIENTS, 6)?;
    }
    encoder.encode_still(frame, settings.show)
}

/// A libaom encoder, destroyed on every path.
pub(super) struct Encoder {
    context: aom::aom_codec_ctx_t,
}

// SAFETY: the context is a heap structure without thread-local state, runs on the calling thread only (`g_threads` is
// 1), and whoever has the encoder has it alone.
unsafe impl Send for Encoder {}

impl Encoder {
    /// An encoder at constant quality with what `configure` sets beside.
    pub(super) fn open(
        usage: c_uint,
        configure: impl FnOnce(&mut aom::aom_codec_enc_cfg_t),
    ) -> Result<Self, EncodeError> {
        let mut config = MaybeUninit::<aom::aom_codec_enc_cfg_t>::uninit();
        // SAFETY: the interface is a static of libaom; the configuration is written whole when the call succeeds.
        let (interface, mut config) = unsafe {
            let interface = aom::aom_codec_av1_cx();
            let code = aom::aom_codec_enc_config_default(interface, config.as_mut_ptr(), usage);
            check("aom_codec_enc_config_default", code)?;
            (interface, config.assume_init())
        };
        configure(&mut config);
        // Parallelism is over renditions; the bytes must not depend on threads.
        config.g_threads = 1;
        config.rc_end_usage = aom::AOM_Q;
        config.rc_min_quantizer = 0;
        config.rc_max_quantizer = 63;
        let mut context = MaybeUninit::<aom::aom_codec_ctx_t>::zeroed();
        // SAFETY: all pointers are valid for the call. libaom clears the context first and keeps a copy of the
        // configuration; on failure it has freed what it allocated.
        unsafe {
            let code = aom::aom_codec_enc_init_ver(
                context.as_mut_ptr(),
                interface,
                &raw const config,
                0,
                ABI_VERSION,
            );
            check("aom_codec_enc_init", code)?;
            Ok(Self {
                context: context.assume_init(),
            })
        }
    }

    /// Sets what all pictures share: full range, and for colours sRGB with the matrix of [`Planes`].
    pub(super) fn set_coding(
        &mut self,
        speed: c_int,
        quantizer: c_uint,
        is_monochrome: bool,
    ) -> Result<(), EncodeError> {
        self.set(aom::AOME_SET_CPUUSED, speed)?;
        self.set_unsigned(aom::AOME_SET_CQ_LEVEL, quantizer)?;
        self.set(aom::AV1E_SET_COLOR_RANGE, 1)?;
        if !is_monochrome {
            self.set(aom::AV1E_SET_COLOR_PRIMARIES, 1)?;
            self.set(aom::AV1E_SET_TRANSFER_CHARACTERISTICS, 13)?;
            self.set(aom::AV1E_SET_MATRIX_COEFFICIENTS, 6)?;
        }
        Ok(())
    }

    /// Sets a control whose parameter libaom reads as `int`.
    fn set(&mut self, control: aom::aome_enc_control_id, value: c_int) -> Result<(), EncodeError> {
        // SAFETY: the context is initialized; the callers in this module pass controls that take an `int`.
        let code = unsafe { aom::aom_codec_control(&raw mut self.context, control.cast_signed(), value) };
        check("aom_codec_control", code)
    }

    /// Sets a control whose parameter libaom reads as `unsigned int`.
    fn set_unsigned(&mut self, control: aom::aome_enc_control_id, value: c_uint) -> Result<(), EncodeError> {
        // SAFETY: the context is initialized; the callers in this module pass controls that take an `unsigned int`.
        let code = unsafe { aom::aom_codec_control(&raw mut self.context, control.cast_signed(), value) };
        check("aom_codec_control", code)
    }

    fn encode_still(
        &mut self,
        frame: &Frame<'_>,
        show: bool,
    ) -> Result<(Vec<u8>, Option<Planes>), EncodeError> {
        let mut data = Vec::new();
        let mut take = |packet: &[u8], _| data.extend_from_slice(packet);
        self.encode(frame, 0, &mut take)?;
        let shown = show.then(|| self.reconstruction(frame)).transpose()?;
        self.flush(0, &mut take)?;
        if data.is_empty() {
            return Err(EncodeError::Aom {
                step: "aom_codec_get_cx_data",
                code: 0,
            });
        }
        Ok((data, shown))
    }

    /// Encodes a frame that is shown at `time`, and gives `take` every packet that is ready and whether it is a key
    /// frame. Each packet is a temporal unit: frames that are not shown come with the one that is shown next.
    pub(super) fn encode(
        &mut self,
        frame: &Frame<'_>,
        time: aom::aom_codec_pts_t,
        take: &mut impl FnMut(&[u8], bool),
    ) -> Result<(), EncodeError> {
        let image = image_of(frame)?;
        // SAFETY: `image_of` checked that each plane holds the rows and columns that it announces, and the planes
        // are borrowed during the call; libaom copies what it keeps and does not write to them.
        let code = unsafe { aom::aom_codec_encode(&raw mut self.context, &raw const image, time, 1, 0) };
        check("aom_codec_encode", code)?;
        self.drain(take);
        Ok(())
    }

    /// Ends the stream, and gives `take` what is ready; there may be more until a call gives nothing.
    pub(super) fn flush(
        &mut self,
        time: aom::aom_codec_pts_t,
        take: &mut impl FnMut(&[u8], bool),
    ) -> Result<(), EncodeError> {
        // SAFETY: no image means the end of the stream.
        let code = unsafe { aom::aom_codec_encode(&raw mut self.context, ptr::null(), time, 1, 0) };
        check("aom_codec_encode (flush)", code)?;
        self.drain(take);
        Ok(())
    }

    /// The frame that was encoded last, as every AV1 decoder reconstructs it: the standard leaves them no choice.
    fn reconstruction(&mut self, frame: &Frame<'_>) -> Result<Planes, EncodeError> {
        let refused = |step| EncodeError::Aom { step, code: 0 };
        // SAFETY: the context is initialized. The image belongs to it and stays valid until the next call.
        let image = unsafe {
            aom::aom_codec_get_preview_frame(&raw mut self.context)
                .as_ref()
                .ok_or_else(|| refused("aom_codec_get_preview_frame"))?
        };
        if image.fmt != format_of(frame.chroma) || (image.d_w, image.d_h) != (frame.width, frame.height) {
            return Err(refused("reconstruction is another picture"));
        }
        let plane = |index: usize| -> Result<Vec<u8>, EncodeError> {
            let (columns, rows) = frame.plane_size(index);
            let mut copy = Vec::with_capacity(columns as usize * rows as usize);
            if frame.is_monochrome && index > 0 {
                return Ok(copy);
            }
            let stride = usize::try_from(image.stride[index]).map_err(|_| refused("stride"))?;
            if image.planes[index].is_null() || stride < columns as usize {
                return Err(refused("plane is too small"));
            }
            for row in 0..rows as usize {
                // SAFETY: the plane is 8-bit, as the format says, and has `rows` rows of `columns` samples, `stride`
                // bytes apart, because format and size are those of the frame that was encoded.
                let line =
                    unsafe { slice::from_raw_parts(image.planes[index].add(row * stride), columns as usize) };
                copy.extend_from_slice(line);
            }
            Ok(copy)
        };
        Ok(Planes {
            width: frame.width,
            height: frame.height,
            chroma: frame.chroma,
            y: plane(0)?,
            u: plane(1)?,
            v: plane(2)?,
            alpha: None,
        })
    }

    fn drain(&mut self, take: &mut impl FnMut(&[u8], bool)) {
        let mut iterator: aom::aom_codec_iter_t = ptr::null();
        loop {
            // SAFETY: the context is initialized; a packet stays valid until the next call, and `buf` holds `sz`
            // bytes in a packet of that kind.
            unsafe {
                let packet = aom::aom_codec_get_cx_data(&raw mut self.context, &raw mut iterator);
                if packet.is_null() {
                    return;
                }
                if (*packet).kind == aom::AOM_CODEC_CX_FRAME_PKT {
                    let frame = (*packet).data.frame;
                    let bytes = slice::from_raw_parts(frame.buf.cast::<u8>(), frame.sz);
                    take(bytes, frame.flags & aom::AOM_FRAME_IS_KEY != 0);
                }
            }
        }
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: the context was initialized and is not used again. The only failure is a context that was not.
        unsafe {
            aom::aom_codec_destroy(&raw mut self.context);
        }
    }
}

const fn format_of(chroma: Chroma) -> aom::aom_img_fmt_t {
    match chroma {
        Chroma::Halved => aom::AOM_IMG_FMT_I420,
        Chroma::Full => aom::AOM_IMG_FMT_I444,
    }
}

fn image_of(frame: &Frame<'_>) -> Result<aom::aom_image_t, EncodeError> {
    let refused = |step| EncodeError::Aom { step, code: 0 };
    // SAFETY: the structure consists of integers and pointers, for which zero is a value.
    let mut image: aom::aom_image_t = unsafe { MaybeUninit::zeroed().assume_init() };
    image.fmt = format_of(frame.chroma);
    image.monochrome = c_int::from(frame.is_monochrome);
    image.range = aom::AOM_CR_FULL_RANGE;
    image.bit_depth = 8;
    let (bits_per_pixel, shift) = match frame.chroma {
        Chroma::Halved => (12, 1),
        Chroma::Full => (24, 0),
    };
    image.bps = bits_per_pixel;
    (image.w, image.h) = (frame.width, frame.height);
    (image.d_w, image.d_h) = (frame.width, frame.height);
    (image.x_chroma_shift, image.y_chroma_shift) = (shift, shift);
    for (index, (plane, stride)) in frame.planes.into_iter().enumerate() {
        let (columns, rows) = frame.plane_size(index);
        let bytes = u64::from(stride) * u64::from(rows);
        if stride < columns || u64::try_from(plane.len()).unwrap_or(0) < bytes {
            return Err(refused("plane is too small"));
        }
        image.planes[index] = plane.as_ptr().cast_mut();
        image.stride[index] = c_int::try_from(stride).map_err(|_| refused("stride"))?;
    }
    Ok(image)
}

#[expect(clippy::cast_possible_wrap, reason = "the version is a small number")]
const ABI_VERSION: c_int = aom::AOM_ENCODER_ABI_VERSION as c_int;

#[expect(clippy::cast_possible_wrap, reason = "the constant is a small number")]
const AOM_TUNE_SSIM: c_int = aom::AOM_TUNE_SSIM as c_int;

fn check(step: &'static str, code: aom::aom_codec_err_t) -> Result<(), EncodeError> {
    if code == aom::AOM_CODEC_OK {
        Ok(())
    } else {
        Err(EncodeError::Aom { step, code })
    }
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
