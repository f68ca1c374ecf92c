use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use super::mend::{Mended, mend};
use crate::Error;
use crate::header::Header;
use crate::picture::{Layout, Samples};

/// Encoders write about ten scans. Each one costs a pass over all coefficients, so a small file with thousands of
/// them would keep a core busy for minutes.
pub(super) const MAX_SCANS: usize = 100;

/// The picture, and whether a part of it was missing and is filled in.
pub(super) fn decode(source: &[u8], header: &Header) -> Result<(Samples, bool), Error> {
    let Mended { jpeg, is_truncated } = mend(source)?;
    let decode = if header.is_odd_jpeg {
        decode_slowly
    } else {
        decode_fast
    };
    Ok((decode(&jpeg, header)?, is_truncated))
}

fn decode_fast(source: &[u8], header: &Header) -> Result<Samples, Error> {
    let refused = |error| Error::corrupt(format!("the JPEG cannot be decoded: {error:?}"));
    // Some cameras leave stray bytes between header segments, which strict mode refuses: it begins with the scans.
    let options = DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(header.size.width as usize)
        .set_max_height(header.size.height as usize)
        .jpeg_set_max_scans(MAX_SCANS);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(source), options);
    decoder.decode_headers().map_err(refused)?;
    let stored = decoder.input_colorspace();
    let (output, layout) = match stored {
        Some(ColorSpace::Luma) => (ColorSpace::Luma, Layout::Grey),
        // Ink is converted with its own profile, so it has to stay ink here.
        Some(ColorSpace::CMYK) if components(&decoder) == 4 => (ColorSpace::CMYK, Layout::InvertedCmyk),
        Some(ColorSpace::YCCK) if components(&decoder) == 4 => (ColorSpace::YCCK, Layout::InvertedCmyk),
        _ => (ColorSpace::RGB, Layout::Rgb),
    };
    // Where entropy-coded data is missing all the same, only strict mode reports it.
    decoder.set_options(options.set_strict_mode(true).jpeg_set_out_colorspace(output));
    let mut data = decoder.decode().map_err(refused)?;
    if output == ColorSpace::YCCK {
        ycck_to_inverted_cmyk(&mut data);
    }
    Ok(Samples {
        size: header.size,
        layout,
        is_deep: false,
        data,
    })
}

/// Two legal and rare kinds of which zune-jpeg 0.5.15 makes stripes: baseline with subsampled components in scans of
/// their own, and luma that is coarser than chroma.
fn decode_slowly(source: &[u8], header: &Header) -> Result<Samples, Error> {
    let refused = |error: jpeg_decoder::Error| Error::corrupt(format!("the JPEG cannot be decoded: {error}"));
    let mut decoder = jpeg_decoder::Decoder::new(source);
    decoder.set_max_decoding_buffer_size(header.size.width as usize * header.size.height as usize * 4);
    let data = decoder.decode().map_err(refused)?;
    match decoder.info().map(|info| info.pixel_format) {
        Some(jpeg_decoder::PixelFormat::RGB24) => Ok(Samples {
            size: header.size,
            layout: Layout::Rgb,
            is_deep: false,
            data,
        }),
        _ => Err(Error::unsupported(
            "the JPEG has ink in an unusual subsampling, which is not read",
        )),
    }
}

fn components(decoder: &JpegDecoder<ZCursor<&[u8]>>) -> u8 {
    decoder.info().map_or(0, |info| info.components)
}

/// YCCK is CMY, taken for the complement of RGB, in YCbCr (JFIF 1.02), with K left alone.
fn ycck_to_inverted_cmyk(data: &mut [u8]) {
    for pixel in data.chunks_exact_mut(4) {
        let rgb = to_rgb([pixel[0], pixel[1], pixel[2]]);
        pixel[..3].copy_from_slice(&rgb.map(|light| 255 - light));
    }
}

/// Full-range YCbCr of BT.601, in 16-bit fixed point (JFIF 1.02).
pub(super) fn to_rgb([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    [
        clamp(y + ((91_881 * cr + 32_768) >> 16)),
        clamp(y - ((22_554 * cb + 46_802 * cr + 32_768) >> 16)),
        clamp(y + ((116_130 * cb + 32_768) >> 16)),
    ]
}

fn clamp(value: i32) -> u8 {
    u8::try_from(value.clamp(0, 255)).unwrap_or_default()
}
