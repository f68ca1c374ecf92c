use jpeg_decoder::ColorTransform;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use super::mend::{Mended, mend};
use crate::Error;
use crate::header::Header;
use crate::header::format::Decoded;
use crate::jpeg::MAX_SCANS;
use crate::jpeg::plain::{Color, Plain, plain};
use crate::picture::{Layout, Samples};

/// The picture, and whether a part of it was missing and is filled in.
pub(super) fn decode(source: &[u8], header: &Header) -> Result<Decoded, Error> {
    let Plain { bytes, color } = plain(source)?;
    let Mended { jpeg, is_truncated } = mend(&bytes)?;
    let decode = if header.is_odd_jpeg {
        decode_slowly
    } else {
        decode_fast
    };
    let mut data = decode(&jpeg, color, header)?;
    if color == Color::Ycck {
        ycck_to_inverted_cmyk(&mut data);
    }
    let samples = Samples {
        size: header.size,
        layout: match color {
            Color::Grey => Layout::Grey,
            Color::YCbCr | Color::Rgb => Layout::Rgb,
            // Ink is converted with its own profile, so it has to stay ink here.
            Color::Cmyk | Color::Ycck => Layout::InvertedCmyk,
        },
        is_deep: false,
        data,
    };
    Ok(Decoded {
        samples,
        is_truncated,
    })
}

fn decode_fast(jpeg: &[u8], color: Color, header: &Header) -> Result<Vec<u8>, Error> {
    let refused = |error| Error::corrupt(format!("the JPEG cannot be decoded: {error:?}"));
    // Some cameras leave stray bytes between header segments, which strict mode refuses: it begins with the scans.
    let options = DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(header.size.width as usize)
        .set_max_height(header.size.height as usize)
        .jpeg_set_max_scans(MAX_SCANS);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(jpeg), options);
    decoder.decode_headers().map_err(refused)?;
    let output = match color {
        Color::Grey => ColorSpace::Luma,
        Color::Cmyk => ColorSpace::CMYK,
        Color::Ycck => ColorSpace::YCCK,
        Color::YCbCr | Color::Rgb => ColorSpace::RGB,
    };
    // Where entropy-coded data is missing all the same, only strict mode reports it.
    decoder.set_options(options.set_strict_mode(true).jpeg_set_out_colorspace(output));
    decoder.decode().map_err(refused)
}

/// Files that other decoders read otherwise than libjpeg does. Of some samplings zune-jpeg 0.5.15 makes stripes, and it
/// refuses others; what has been rewritten comes here as well, so that one decoder sees all that is unusual.
fn decode_slowly(jpeg: &[u8], color: Color, header: &Header) -> Result<Vec<u8>, Error> {
    let refused = |error: jpeg_decoder::Error| match error {
        jpeg_decoder::Error::Unsupported(feature) => {
            Error::unsupported(format!("the JPEG uses a feature that is not read: {feature:?}"))
        }
        error => Error::corrupt(format!("the JPEG cannot be decoded: {error}")),
    };
    let mut decoder = jpeg_decoder::Decoder::new(jpeg);
    decoder.set_max_decoding_buffer_size(header.size.width as usize * header.size.height as usize * 4);
    let is_ink = matches!(color, Color::Cmyk | Color::Ycck);
    decoder.set_color_transform(match color {
        Color::Grey => ColorTransform::Grayscale,
        Color::YCbCr => ColorTransform::YCbCr,
        Color::Rgb => ColorTransform::RGB,
        Color::Cmyk | Color::Ycck => ColorTransform::CMYK,
    });
    let mut data = decoder.decode().map_err(refused)?;
    if is_ink {
        // The transform gives amounts of ink, and the file has amounts of light.
        data.iter_mut().for_each(|ink| *ink = !*ink);
    }
    Ok(data)
}

/// YCCK is CMY, taken for the complement of RGB, in YCbCr (JFIF 1.02), with K left alone.
fn ycck_to_inverted_cmyk(data: &mut [u8]) {
    for pixel in data.chunks_exact_mut(4) {
        let rgb = to_rgb([pixel[0], pixel[1], pixel[2]]);
        pixel[..3].copy_from_slice(&rgb.map(|light| 255 - light));
    }
}

/// Full-range YCbCr of BT.601, in 16-bit fixed point (JFIF 1.02).
pub(crate) fn to_rgb([y, cb, cr]: [u8; 3]) -> [u8; 3] {
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
