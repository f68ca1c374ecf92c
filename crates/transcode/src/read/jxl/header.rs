//! JPEG XL (ISO/IEC 18181): the decoder reads the headers and walks over the frames without their pixels.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

use std::io::{self, IoSliceMut};

use jxl::api::{
    AlphaMode, Endianness, Event, ExtraChannel, JxlBasicInfo, JxlBitstreamInput, JxlColorEncoding,
    JxlColorProfile, JxlColorType, JxlDataFormat, JxlDecoder, JxlDecoderOptions, JxlPixelFormat,
    JxlPrimaries, JxlTransferFunction, JxlWhitePoint, ProfileLevel,
};
use tintype_model::{Limits, RejectionCode};

use crate::Error;
use crate::color::cicp::Cicp;
use crate::color::gamma::Gamma;
use crate::header::{MAX_PROFILE_BYTES, ParsedHeader, check_frames, check_size};
use crate::metadata::exif;
use crate::picture::{Layout, Model};
use crate::syntax::bmff;

/// Channels that a picture of the largest size may have: colour, alpha and one more.
const MAX_CHANNELS: u64 = 5;

pub(super) fn parse(source: &[u8], limits: &Limits) -> Result<ParsedHeader, Error> {
    let mut options = options(limits);
    options.scan_frames_only = true;
    let mut decoder = JxlDecoder::new(options);
    let mut input = Input::new(source);
    match decoder
        .process(&mut input, None, None)
        .map_err(|error| refused(&error, limits))?
    {
        Event::BasicInfo => {}
        Event::NeedMoreInput { .. } | Event::FrameHeader | Event::FrameComplete { .. } | Event::Complete => {
            return Err(Error::corrupt("the JPEG XL is cut off in its header"));
        }
    }
    let target = Target::set(&mut decoder)?;
    let info = decoder.basic_info().ok_or_else(no_header)?;
    let too_large = |_| Error::corrupt("the JPEG XL's size cannot be read");
    let (width, height) = info.size;
    let size = check_size(
        u32::try_from(width).map_err(too_large)?,
        u32::try_from(height).map_err(too_large)?,
        limits,
    )?;
    let mut parsed = ParsedHeader {
        size,
        orientation: Some(info.orientation as u8),
        has_alpha: target.layout.has_alpha(),
        bit_depth: u8::try_from(info.bit_depth.bits_per_sample())
            .unwrap_or(32)
            .clamp(1, 32),
        model: match target.layout {
            Layout::Grey | Layout::GreyAlpha => Model::Grey,
            Layout::Rgb | Layout::Rgba => Model::Rgb,
            Layout::InvertedCmyk => Model::Cmyk,
        },
        has_gain_map: boxes(source).any(|(kind, _)| kind == *b"jhgm"),
        // The orientation in it does not count: the codestream has its own (ISO/IEC 18181-2).
        exif: boxes(source)
            .filter(|(kind, _)| kind == b"Exif")
            .find_map(|(_, data)| exif::keep(exif::unboxed(data)?))
            .into(),
        ..ParsedHeader::default()
    };
    tell_colors(&mut parsed, decoder.output_color_profile().ok_or_else(no_header)?)?;
    count_frames(&mut decoder, input, limits, &mut parsed)?;
    Ok(parsed)
}

fn no_header() -> Error {
    Error::corrupt("the JPEG XL has no header")
}

/// The options of all decoders: pixels as stored, straight alpha, and nothing that is larger than the limits allow.
pub(crate) fn options(limits: &Limits) -> JxlDecoderOptions {
    let samples = limits.max_pixels.saturating_mul(MAX_CHANNELS);
    let mut options = JxlDecoderOptions::default();
    options.adjust_orientation = false;
    options.alpha_mode = AlphaMode::Unpremultiplied;
    options.sample_limit = Some(usize::try_from(samples).unwrap_or(usize::MAX));
    options.max_profile_level = ProfileLevel::Main10;
    options
}

/// A bare codestream has no place to say that it needs level 10 of the format, and encoders do not care: the decoder
/// would refuse it for small things, such as many splines. In a container it can be said for it; what it may cost is
/// bounded by the limits and by the jail.
const LEVEL_10: &[u8] =
    b"\0\0\0\x0CJXL \r\n\x87\n\0\0\0\x14ftypjxl \0\0\0\0jxl \0\0\0\x09jxll\x0A\0\0\0\0jxlc";

/// A source as the decoder reads it: in two parts.
pub(crate) struct Input<'a> {
    parts: [&'a [u8]; 2],
}

impl<'a> Input<'a> {
    pub(crate) fn new(source: &'a [u8]) -> Self {
        let head = if source.starts_with(b"\xFF\x0A") {
            LEVEL_10
        } else {
            &[]
        };
        Self {
            parts: [head, source],
        }
    }
}

impl JxlBitstreamInput for Input<'_> {
    fn available_bytes(&mut self) -> io::Result<usize> {
        Ok(self.parts.iter().map(|part| part.len()).sum())
    }

    fn read(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let mut total = 0usize;
        for buffer in buffers {
            let mut room = &mut **buffer;
            for part in &mut self.parts {
                let length = io::Read::read(part, room)?;
                total = total.saturating_add(length);
                room = room.get_mut(length..).unwrap_or_default();
            }
        }
        Ok(total)
    }

    fn skip(&mut self, bytes: usize) -> io::Result<usize> {
        let mut left = bytes;
        for part in &mut self.parts {
            let length = left.min(part.len());
            *part = part.get(length..).unwrap_or_default();
            left = left.saturating_sub(length);
        }
        Ok(bytes.saturating_sub(left))
    }
}

/// The pixel format that the decoder is asked for.
pub(crate) struct Target {
    pub(crate) layout: Layout,
    pub(crate) is_deep: bool,
}

impl Target {
    /// Asks a decoder that has read its headers for the channels that the picture has, in 8 bits or in 16.
    pub(crate) fn set(decoder: &mut JxlDecoder) -> Result<Self, Error> {
        let info = decoder.basic_info().ok_or_else(no_header)?;
        let profile = decoder.embedded_color_profile().ok_or_else(no_header)?;
        let (color_type, layout) = channels(info, profile);
        // Ink is converted in 8 bits.
        let is_deep = info.bit_depth.bits_per_sample() > 8 && layout != Layout::InvertedCmyk;
        let format = if is_deep {
            JxlDataFormat::U16 {
                endianness: Endianness::BigEndian,
                bit_depth: 16,
            }
        } else {
            JxlDataFormat::U8 { bit_depth: 8 }
        };
        let format = JxlPixelFormat {
            color_type,
            color_data_format: Some(format),
            extra_channel_format: vec![None; info.extra_channels.len()],
        };
        decoder
            .set_pixel_format(format)
            .map_err(|error| Error::corrupt(format!("the JPEG XL cannot be decoded: {error}")))?;
        Ok(Self { layout, is_deep })
    }
}

fn channels(info: &JxlBasicInfo, profile: &JxlColorProfile) -> (JxlColorType, Layout) {
    let has = |wanted: ExtraChannel| {
        info.extra_channels
            .iter()
            .any(|channel| channel.ec_type == wanted)
    };
    if profile.is_cmyk() && has(ExtraChannel::Black) {
        return (JxlColorType::Cmyk, Layout::InvertedCmyk);
    }
    match (profile.channels() == 1, has(ExtraChannel::Alpha)) {
        (true, true) => (JxlColorType::GrayscaleAlpha, Layout::GreyAlpha),
        (true, false) => (JxlColorType::Grayscale, Layout::Grey),
        (false, true) => (JxlColorType::Rgba, Layout::Rgba),
        (false, false) => (JxlColorType::Rgb, Layout::Rgb),
    }
}

/// Records the colour space of the pixels that the decoder gives, which is not always the embedded one: colours that
/// were stored in the format's own space (XYB) come out in sRGB when the embedded profile is an ICC profile.
fn tell_colors(parsed: &mut ParsedHeader, profile: &JxlColorProfile) -> Result<(), Error> {
    let (white, primaries, transfer) = match profile {
        JxlColorProfile::Icc(icc) => {
            parsed.icc = (icc.len() <= MAX_PROFILE_BYTES).then(|| icc.clone());
            return Ok(());
        }
        JxlColorProfile::Simple(JxlColorEncoding::XYB { .. }) => {
            return Err(Error::unsupported(
                "the JPEG XL is in the colour space XYB, which is not read",
            ));
        }
        JxlColorProfile::Simple(JxlColorEncoding::RgbColorSpace {
            white_point,
            primaries,
            transfer_function,
            ..
        }) => (white_point, Some(primaries), transfer_function),
        JxlColorProfile::Simple(JxlColorEncoding::GrayscaleColorSpace {
            white_point,
            transfer_function,
            ..
        }) => (white_point, None, transfer_function),
    };
    let number = match (white, primaries) {
        (JxlWhitePoint::D65, None | Some(JxlPrimaries::SRGB)) => Some(1),
        (JxlWhitePoint::D65, Some(JxlPrimaries::BT2100)) => Some(9),
        (JxlWhitePoint::D65, Some(JxlPrimaries::P3)) => Some(12),
        (JxlWhitePoint::DCI, Some(JxlPrimaries::P3)) => Some(11),
        _ => None,
    };
    let curve = match transfer {
        JxlTransferFunction::Linear => Some(8),
        JxlTransferFunction::SRGB => Some(13),
        JxlTransferFunction::PQ => Some(16),
        JxlTransferFunction::HLG => Some(18),
        // Their meaning here is not what H.273's numbers are taken for in pictures.
        JxlTransferFunction::BT709 | JxlTransferFunction::DCI | JxlTransferFunction::Gamma(_) => None,
    };
    if let (Some(primaries), Some(transfer)) = (number, curve) {
        parsed.cicp = Some(Cicp {
            primaries,
            transfer,
            ..Cicp::UNSPECIFIED
        });
        return Ok(());
    }
    parsed.gamma = Some(Gamma {
        primaries: primaries.map(|primaries| {
            let [red, green, blue] = primaries.to_xy_coords();
            [white.to_xy_coords(), red, green, blue]
        }),
        exponent: match transfer {
            JxlTransferFunction::Linear => Some(1.0),
            JxlTransferFunction::DCI => Some(2.6),
            JxlTransferFunction::Gamma(exponent) => Some(1.0 / exponent),
            JxlTransferFunction::BT709 | JxlTransferFunction::SRGB => None,
            JxlTransferFunction::PQ | JxlTransferFunction::HLG => {
                return Err(Error::unsupported(
                    "the JPEG XL has a high dynamic range in primaries of its own",
                ));
            }
        },
        is_camera: matches!(transfer, JxlTransferFunction::BT709),
    });
    Ok(())
}

/// Walks over the frames that are shown; the decoder skips their pixels.
fn count_frames(
    decoder: &mut JxlDecoder,
    mut input: Input<'_>,
    limits: &Limits,
    parsed: &mut ParsedHeader,
) -> Result<(), Error> {
    loop {
        let event = decoder
            .process(&mut input, None, None)
            .map_err(|error| refused(&error, limits))?;
        let frames = u32::try_from(decoder.scanned_frames().len()).unwrap_or(u32::MAX);
        check_frames(frames, limits)?;
        parsed.frames = frames;
        match event {
            Event::BasicInfo | Event::FrameHeader | Event::FrameComplete { .. } => {}
            Event::Complete => break,
            Event::NeedMoreInput { .. } => return Err(Error::corrupt("the JPEG XL is cut off")),
        }
    }
    if parsed.frames == 0 {
        return Err(Error::corrupt("the JPEG XL has no frame that is shown"));
    }
    let duration: f64 = decoder
        .scanned_frames()
        .iter()
        .map(|frame| frame.duration_ms)
        .sum();
    if parsed.frames > 1 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a cast from floating point saturates"
        )]
        let duration = duration.round() as u64;
        parsed.duration_ms = Some(duration);
    }
    Ok(())
}

/// Type and content of the boxes at the top level of a container.
fn boxes(source: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut rest = source;
    std::iter::from_fn(move || {
        // The last may leave its size open, and a file may be cut off in it.
        let (kind, body, behind) = bmff::first_or_cut(rest)?;
        rest = behind;
        Some((kind, body))
    })
}

/// Turns an error of the decoder into one about the source.
pub(crate) fn refused(error: &jxl::error::Error, limits: &Limits) -> Error {
    match error {
        jxl::error::Error::ImageSizeTooLarge(width, height) => Error::rejected(
            RejectionCode::TooManyPixels,
            format!(
                "the header says {width}x{height} pixels, the limit is {} pixels",
                limits.max_pixels
            ),
        ),
        jxl::error::Error::ImageDimensionTooLarge(side) => Error::rejected(
            RejectionCode::TooManyPixels,
            format!(
                "the header says that a side has {side} pixels, the limit is {} pixels",
                limits.max_pixels
            ),
        ),
        error => Error::corrupt(format!("the JPEG XL cannot be decoded: {error}")),
    }
}
