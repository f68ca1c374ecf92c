//! WebP stills by libwebp's advanced API, from planes to bytes.
#![expect(
    unsafe_code,
    reason = "libwebp is a C library; it only ever sees pixels that we made"
)]

pub(super) mod animation;
pub(super) mod profile;

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::slice;
use std::sync::Arc;

use libwebp_sys::{
    WebPConfig, WebPEncCSP, WebPEncode, WebPEncodingError, WebPMemoryWrite, WebPMemoryWriter,
    WebPMemoryWriterClear, WebPMemoryWriterInit, WebPPicture, WebPPictureFree, WebPPreset,
    WebPValidateConfig,
};
use tintype_model::Dimensions;

use super::planes::{Planes, Range};
use super::settings::{Chroma, Loss, StillSettings};
use crate::error::EncodeError;
use crate::picture::Picture;

/// Above this many pixels method 2 is used: four tenths of the time of method 4.
const LARGE_PIXELS: u64 = 1_000_000;

/// At method 2, more bits for plain parts than by default (50): 3 % fewer bytes at equal SSIMULACRA2.
const LARGE_NOISE_SHAPING: i32 = 80;

/// Method 2 with this setting scores no worse at one step less than method 4 at the number asked for, as a mean over
/// photographs, and a number should not mean more bytes in a large picture than in a small one.
const LARGE_QUALITY_STEP: f32 = 1.0;

/// The amounts of mode detail, 0 to 100, that may be given up so that it fits the 512 KiB that the format has for it;
/// tried in turn, because only very large and busy pictures need more than none.
const PARTITION_LIMITS: [i32; 3] = [0, 60, 100];

pub(super) fn encode(picture: Arc<Picture>, settings: &StillSettings) -> Result<Vec<u8>, EncodeError> {
    if settings.loss != Loss::Usual {
        return encode_lossless(&picture, settings);
    }
    let mut planes = Planes::new(picture, Range::Limited, Chroma::Halved)?;
    let mut config = config(settings.quality)?;
    // Not 6: libwebp's coder of alpha then searches for minutes what saves 2 %.
    config.method = 4;
    if settings.sized_for > LARGE_PIXELS {
        config.method = 2;
        config.sns_strength = LARGE_NOISE_SHAPING;
        config.quality = (config.quality - LARGE_QUALITY_STEP).max(0.0);
    }
    let mut result = Err(failed("no attempt", 0));
    for limit in PARTITION_LIMITS {
        config.partition_limit = limit;
        result = write(&mut picture_of(&mut planes)?, &config);
        if !matches!(&result, Err(EncodeError::Webp { code, .. }) if *code == PARTITION0_OVERFLOW) {
            break;
        }
    }
    result
}

pub(super) fn config(quality: u8) -> Result<WebPConfig, EncodeError> {
    WebPConfig::new_with_preset(WebPPreset::WEBP_PRESET_DEFAULT, quality.into())
        .map_err(|()| failed("config", 0))
}

/// The effort of the lossless coder, 0 to 100.
pub(super) const LOSSLESS_QUALITY: f32 = 50.0;

/// Every visible pixel as it is.
fn encode_lossless(picture: &Picture, settings: &StillSettings) -> Result<Vec<u8>, EncodeError> {
    let mut config = config(100)?;
    config.lossless = 1;
    // Fully transparent pixels take the colour that needs the fewest bytes.
    config.exact = i32::from(settings.loss == Loss::Nothing);
    config.quality = LOSSLESS_QUALITY;
    config.method = if settings.sized_for > LARGE_PIXELS { 3 } else { 4 };
    let mut words = argb(picture);
    let mut described = picture_of_argb(&mut words, picture.size)?;
    // The words are borrowed until the call is over.
    write(&mut described, &config)
}

const PARTITION0_OVERFLOW: u32 = WebPEncodingError::VP8_ENC_ERROR_PARTITION0_OVERFLOW as u32;

const fn failed(step: &'static str, code: u32) -> EncodeError {
    EncodeError::Webp { step, code }
}

/// Encodes a picture whose planes, or whose ARGB pixels, hold as many rows and columns as it announces and outlive
/// the call.
fn write(picture: &mut WebPPicture, config: &WebPConfig) -> Result<Vec<u8>, EncodeError> {
    // SAFETY: `config` is initialized and only read.
    if unsafe { WebPValidateConfig(config) } == 0 {
        return Err(failed("WebPValidateConfig", 0));
    }
    let mut output = Output::new();
    picture.writer = Some(WebPMemoryWrite);
    picture.custom_ptr = (&raw mut output.writer).cast::<c_void>();
    // SAFETY: both callers set buffers that hold as many rows and columns as the picture announces, and hold on to them
    // for the whole call. `custom_ptr` is the memory writer that `WebPMemoryWrite` expects, and `output` outlives the
    // call. The picture owns no memory (`memory_` is null) but what libwebp makes while encoding ARGB, and that is freed
    // by `WebPPictureFree`, which leaves borrowed buffers alone.
    let done = unsafe {
        let done = WebPEncode(config, &raw mut *picture);
        WebPPictureFree(&raw mut *picture);
        done
    };
    if done == 0 {
        return Err(failed("WebPEncode", picture.error_code as u32));
    }
    Ok(output.bytes().to_vec())
}

pub(super) fn signed(side: u32) -> Result<c_int, EncodeError> {
    c_int::try_from(side).map_err(|_| failed("side", 0))
}

/// Pixels as libwebp takes them: alpha in the highest byte of a word.
pub(super) fn argb(picture: &Picture) -> Vec<u32> {
    if picture.has_alpha {
        let (pixels, _) = picture.data.as_chunks::<4>();
        let word = |&[red, green, blue, alpha]: &[u8; 4]| u32::from_be_bytes([alpha, red, green, blue]);
        pixels.iter().map(word).collect()
    } else {
        let (pixels, _) = picture.data.as_chunks::<3>();
        let word = |&[red, green, blue]: &[u8; 3]| u32::from_be_bytes([255, red, green, blue]);
        pixels.iter().map(word).collect()
    }
}

/// A picture that points into `words`, of which there have to be as many as `size` has pixels. It owns no memory, and
/// must not be used when `words` are gone.
pub(super) fn picture_of_argb(words: &mut [u32], size: Dimensions) -> Result<WebPPicture, EncodeError> {
    if u64::try_from(words.len()).unwrap_or(0) != size.pixels() {
        return Err(failed("pixels", 0));
    }
    let mut picture = WebPPicture::new().map_err(|()| failed("WebPPictureInit", 0))?;
    picture.use_argb = 1;
    picture.width = signed(size.width)?;
    picture.height = signed(size.height)?;
    picture.argb_stride = picture.width;
    picture.argb = words.as_mut_ptr();
    Ok(picture)
}

fn picture_of(planes: &mut Planes) -> Result<WebPPicture, EncodeError> {
    let mut picture = WebPPicture::new().map_err(|()| failed("WebPPictureInit", 0))?;
    picture.use_argb = 0;
    picture.width = signed(planes.width)?;
    picture.height = signed(planes.height)?;
    picture.y_stride = signed(planes.width)?;
    picture.uv_stride = signed(planes.chroma_width())?;
    picture.y = planes.y.as_mut_ptr();
    picture.u = planes.u.as_mut_ptr();
    picture.v = planes.v.as_mut_ptr();
    picture.colorspace = WebPEncCSP::WEBP_YUV420;
    if let Some(alpha) = &mut planes.alpha {
        picture.colorspace = WebPEncCSP::WEBP_YUV420A;
        picture.a = alpha.as_mut_ptr();
        picture.a_stride = signed(planes.width)?;
    }
    Ok(picture)
}

/// libwebp's growing buffer, freed on every path.
struct Output {
    writer: WebPMemoryWriter,
}

impl Output {
    fn new() -> Self {
        let mut writer = MaybeUninit::uninit();
        // SAFETY: the pointer is to memory of the right size, all of which the function writes.
        let writer = unsafe {
            WebPMemoryWriterInit(writer.as_mut_ptr());
            writer.assume_init()
        };
        Self { writer }
    }

    fn bytes(&self) -> &[u8] {
        if self.writer.mem.is_null() {
            return &[];
        }
        // SAFETY: libwebp wrote `size` bytes at `mem`, which stays allocated until `drop`.
        unsafe { slice::from_raw_parts(self.writer.mem, self.writer.size) }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // SAFETY: the writer was initialized by `WebPMemoryWriterInit` and is not used again.
        unsafe { WebPMemoryWriterClear(&raw mut self.writer) }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::picture::Space;

    const SIZE: Dimensions = Dimensions {
        width: 210,
        height: 150,
    };

    /// Plain on the left, textured on the right, and transparent at the top where it has alpha.
    fn picture(has_alpha: bool) -> Arc<Picture> {
        let mut data = Vec::new();
        let mut noise = 1u32;
        for y in 0..SIZE.height {
            for x in 0..SIZE.width {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let busy = u8::try_from(noise >> 25).unwrap() * u8::from(x > SIZE.width / 2);
                let slope = u8::try_from((x + y) / 4).unwrap();
                data.extend([slope + busy, slope / 2 + busy, 200 - slope]);
                if has_alpha {
                    data.push(u8::try_from((y * 2).min(255)).unwrap());
                }
            }
        }
        Arc::new(Picture {
            size: SIZE,
            has_alpha,
            space: Space::Srgb,
            data,
        })
    }

    /// Encoded as a picture of so many pixels would be.
    fn sized_for(picture: &Arc<Picture>, pixels: u64) -> Vec<u8> {
        let settings = StillSettings::usual(80, pixels);
        encode(Arc::clone(picture), &settings).unwrap()
    }

    fn pixels(webp: &[u8]) -> Vec<u8> {
        let mut decoder = image_webp::WebPDecoder::new(Cursor::new(webp)).unwrap();
        let mut pixels = vec![0; decoder.output_buffer_size().unwrap()];
        decoder.read_image(&mut pixels).unwrap();
        pixels
    }

    fn error(one: &[u8], other: &[u8]) -> f64 {
        assert_eq!(one.len(), other.len());
        let squares = one
            .iter()
            .zip(other)
            .map(|(one, other)| f64::from(one.abs_diff(*other)).powi(2));
        squares.sum::<f64>() / one.len() as f64
    }

    #[test]
    fn large_pictures_are_as_close_to_the_source_as_small_ones() {
        for has_alpha in [false, true] {
            let picture = picture(has_alpha);
            let (small, large) = (sized_for(&picture, 1), sized_for(&picture, LARGE_PIXELS + 1));
            let shown = |webp: &[u8]| error(&pixels(webp), &picture.data);
            assert!(
                shown(&large) < shown(&small) * 1.25,
                "{} {}",
                shown(&large),
                shown(&small)
            );
            assert!(
                large.len() < small.len() * 5 / 4,
                "{} {}",
                large.len(),
                small.len()
            );
        }
    }
}
