//! libwebp's advanced API, from planes to bytes.
#![expect(
    unsafe_code,
    reason = "libwebp is a C library; it only ever sees pixels that we made"
)]

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::slice;
use std::sync::Arc;

use libwebp_sys::{
    WebPConfig, WebPEncCSP, WebPEncode, WebPEncodingError, WebPMemoryWrite, WebPMemoryWriter,
    WebPMemoryWriterClear, WebPMemoryWriterInit, WebPPicture, WebPPreset, WebPValidateConfig,
};

use super::planes::{Planes, Range};
use crate::error::EncodeError;
use crate::picture::Picture;

/// Above this many pixels method 2 is used: 0.4 times the time of method 4 for 2 % more bytes at equal score.
const LARGE_PIXELS: u64 = 1_000_000;

/// How much of the mode detail may be given up so that it fits the 512 KiB that the format has for it; tried in
/// turn, because only very large and busy pictures need more than none.
const PARTITION_LIMITS: [i32; 3] = [0, 60, 100];

pub(super) fn encode(picture: Arc<Picture>, quality: u8) -> Result<Vec<u8>, EncodeError> {
    let mut planes = Planes::new(&picture, Range::Limited)?;
    let method = if picture.size.pixels() > LARGE_PIXELS {
        2
    } else {
        4
    };
    drop(picture);
    let mut config = WebPConfig::new_with_preset(WebPPreset::WEBP_PRESET_DEFAULT, quality.into())
        .map_err(|()| failed("config", 0))?;
    config.method = method;
    let mut result = Err(failed("no attempt", 0));
    for limit in PARTITION_LIMITS {
        config.partition_limit = limit;
        result = encode_planes(&mut planes, &config);
        if !matches!(&result, Err(EncodeError::Webp { code, .. }) if *code == PARTITION0_OVERFLOW) {
            break;
        }
    }
    result
}

/// Every pixel as it is, the invisible ones too.
pub(super) fn encode_lossless(picture: &Picture) -> Result<Vec<u8>, EncodeError> {
    let color = if picture.has_alpha {
        image_webp::ColorType::Rgba8
    } else {
        image_webp::ColorType::Rgb8
    };
    let mut file = Vec::new();
    image_webp::WebPEncoder::new(&mut file)
        .encode(&picture.data, picture.size.width, picture.size.height, color)
        .map_err(|error| EncodeError::Pixels(error.to_string()))?;
    Ok(file)
}

const PARTITION0_OVERFLOW: u32 = WebPEncodingError::VP8_ENC_ERROR_PARTITION0_OVERFLOW as u32;

const fn failed(step: &'static str, code: u32) -> EncodeError {
    EncodeError::Webp { step, code }
}

/// The planes are taken mutably because libwebp flattens what alpha makes invisible.
fn encode_planes(planes: &mut Planes, config: &WebPConfig) -> Result<Vec<u8>, EncodeError> {
    // SAFETY: `config` is initialized and only read.
    if unsafe { WebPValidateConfig(config) } == 0 {
        return Err(failed("WebPValidateConfig", 0));
    }
    let mut picture = picture_of(planes)?;
    let mut output = Output::new();
    picture.writer = Some(WebPMemoryWrite);
    picture.custom_ptr = (&raw mut output.writer).cast::<c_void>();
    // SAFETY: `picture_of` set planes that hold as many rows and columns as it announced, and `planes` is borrowed
    // for the whole call. `custom_ptr` is the memory writer that `WebPMemoryWrite` expects, and `output` outlives the
    // call. The picture owns no memory (`memory_` is null), so it needs no `WebPPictureFree`.
    let done = unsafe { WebPEncode(config, &raw mut picture) };
    if done == 0 {
        return Err(failed("WebPEncode", picture.error_code as u32));
    }
    Ok(output.bytes().to_vec())
}

fn picture_of(planes: &mut Planes) -> Result<WebPPicture, EncodeError> {
    let mut picture = WebPPicture::new().map_err(|()| failed("WebPPictureInit", 0))?;
    let signed = |side: u32| i32::try_from(side).map_err(|_| failed("side", 0));
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
