//! libaom's encoder, for stills and for animations.
#![expect(
    unsafe_code,
    reason = "libaom is a C library; it only ever sees pixels that we made"
)]

use std::ffi::{c_int, c_uint};
use std::mem::MaybeUninit;
use std::ops::RangeInclusive;
use std::{ptr, slice};

use libaom_sys as aom;

use crate::encode::planes::{Planes, Range};
use crate::encode::settings::Chroma;
use crate::error::EncodeError;
use crate::picture::Space;

/// Three planes, each with its stride.
pub(super) struct Frame<'a> {
    pub(super) width: u32,
    pub(super) height: u32,
    planes: [(&'a [u8], u32); 3],
    pub(super) chroma: Chroma,
    pub(super) is_monochrome: bool,
    range: Range,
}

impl<'a> Frame<'a> {
    /// Colours of full range.
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
            range: Range::Full,
        }
    }

    /// Luma only, as alpha is coded; libaom still wants to be shown the chroma planes.
    pub(super) fn of_luma(planes: &'a Planes) -> Self {
        Self {
            is_monochrome: true,
            ..Self::of_color(planes)
        }
    }

    /// The same with samples of another range.
    pub(super) fn in_range(self, range: Range) -> Self {
        Self { range, ..self }
    }

    /// Columns and rows of one of the planes.
    const fn plane_size(&self, index: usize) -> (u32, u32) {
        let resolution = match index {
            0 => Chroma::Full,
            _ => self.chroma,
        };
        (resolution.of(self.width), resolution.of(self.height))
    }
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

    /// Sets what all pictures have: a range, and for colours their space (`None` for alpha) with the matrix of
    /// [`Planes`], as code points of ITU-T H.273.
    pub(super) fn set_coding(
        &mut self,
        speed: c_int,
        quantizer: c_uint,
        space: Option<Space>,
        range: Range,
    ) -> Result<(), EncodeError> {
        self.set(aom::AOME_SET_CPUUSED, speed)?;
        self.set_unsigned(aom::AOME_SET_CQ_LEVEL, quantizer)?;
        self.set(aom::AV1E_SET_COLOR_RANGE, range_of(range).cast_signed())?;
        if let Some(space) = space {
            let primaries = match space {
                Space::Srgb => 1,
                Space::DisplayP3 => 12,
            };
            self.set(aom::AV1E_SET_COLOR_PRIMARIES, primaries)?;
            self.set(aom::AV1E_SET_TRANSFER_CHARACTERISTICS, 13)?;
            self.set(aom::AV1E_SET_MATRIX_COEFFICIENTS, 6)?;
        }
        Ok(())
    }

    /// Sets what stills have beside: quantization matrices of that range, if any.
    pub(super) fn set_still(&mut self, matrices: Option<RangeInclusive<c_uint>>) -> Result<(), EncodeError> {
        // 3 % fewer bytes at equal SSIMULACRA2 than the default, PSNR.
        self.set(aom::AOME_SET_TUNING, AOM_TUNE_SSIM)?;
        if let Some(range) = matrices {
            self.set_unsigned(aom::AV1E_SET_ENABLE_QM, 1)?;
            self.set_unsigned(aom::AV1E_SET_QM_MIN, *range.start())?;
            self.set_unsigned(aom::AV1E_SET_QM_MAX, *range.end())?;
        }
        Ok(())
    }

    /// Sets tools for what is drawn: palettes, but no copies of blocks. To find these takes five times the time, for up
    /// to a fifth of the bytes, and no loop filter runs beside them.
    pub(super) fn set_drawn(&mut self) -> Result<(), EncodeError> {
        self.set(aom::AV1E_SET_TUNE_CONTENT, AOM_CONTENT_SCREEN)?;
        self.set(aom::AV1E_SET_ENABLE_PALETTE, 1)?;
        self.set(aom::AV1E_SET_ENABLE_INTRABC, 0)
    }

    /// Sets transforms that are as large as their blocks, so that no block says how large they are; up to speed 7.
    pub(super) fn set_largest_transforms(&mut self) -> Result<(), EncodeError> {
        self.set(aom::AV1E_SET_ENABLE_TX_SIZE_SEARCH, 0)
    }

    /// Sets superblocks of 64 × 64 pixels, where libaom would choose by size.
    pub(super) fn set_small_superblocks(&mut self) -> Result<(), EncodeError> {
        self.set_unsigned(aom::AV1E_SET_SUPERBLOCK_SIZE, aom::AOM_SUPERBLOCK_SIZE_64X64)
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

    /// Encodes a frame that is the whole stream: its bytes and, where `show` asks for it, what decoders will see.
    pub(super) fn encode_still(
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
            let samples = columns as usize * rows as usize;
            if frame.is_monochrome && index > 0 {
                return Ok(vec![128; samples]);
            }
            let mut copy = Vec::with_capacity(samples);
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

const fn range_of(range: Range) -> aom::aom_color_range_t {
    match range {
        Range::Full => aom::AOM_CR_FULL_RANGE,
        Range::Limited => aom::AOM_CR_STUDIO_RANGE,
    }
}

fn image_of(frame: &Frame<'_>) -> Result<aom::aom_image_t, EncodeError> {
    let refused = |step| EncodeError::Aom { step, code: 0 };
    // SAFETY: the structure consists of integers and pointers, for which zero is a value.
    let mut image: aom::aom_image_t = unsafe { MaybeUninit::zeroed().assume_init() };
    image.fmt = format_of(frame.chroma);
    image.monochrome = c_int::from(frame.is_monochrome);
    image.range = range_of(frame.range);
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

#[expect(clippy::cast_possible_wrap, reason = "the constant is a small number")]
const AOM_CONTENT_SCREEN: c_int = aom::AOM_CONTENT_SCREEN as c_int;

fn check(step: &'static str, code: aom::aom_codec_err_t) -> Result<(), EncodeError> {
    if code == aom::AOM_CODEC_OK {
        Ok(())
    } else {
        Err(EncodeError::Aom { step, code })
    }
}
