use jpeg_decoder::ColorTransform;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use super::plain_jpeg::{Color, check_scans, plain};
use crate::Error;
use crate::header::Header;
use crate::picture::{Layout, Samples};

/// Encoders write about ten scans. Each one costs a pass over all coefficients, so a small file with thousands of
/// them would keep a core busy for minutes.
pub(super) const MAX_SCANS: usize = 100;

pub(super) fn decode(source: &[u8], header: &Header) -> Result<Samples, Error> {
    if header.is_odd_jpeg {
        return decode_slowly(source, header);
    }
    let refused = |error| Error::corrupt(format!("the JPEG cannot be decoded: {error:?}"));
    // Some cameras leave stray bytes between header segments, which strict mode refuses: it begins with the scans.
    let options = DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(header.size.width as usize)
        .set_max_height(header.size.height as usize)
        .jpeg_set_max_scans(MAX_SCANS);
    let plain = plain(source)?;
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(&plain.bytes[..]), options);
    decoder.decode_headers().map_err(refused)?;
    let (output, layout) = match plain.color {
        Color::Grey => (ColorSpace::Luma, Layout::Grey),
        // Ink is converted with its own profile, so it has to stay ink here.
        Color::Cmyk => (ColorSpace::CMYK, Layout::InvertedCmyk),
        Color::Ycck => (ColorSpace::YCCK, Layout::InvertedCmyk),
        Color::YCbCr | Color::Rgb => (ColorSpace::RGB, Layout::Rgb),
    };
    // Where entropy-coded data is missing, only strict mode reports it; otherwise the rest comes out grey.
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

/// Files that other decoders read otherwise than libjpeg does. Of some samplings zune-jpeg 0.5.15 makes stripes, and it
/// refuses others; what has been rewritten comes here as well, so that one decoder sees all that is unusual.
fn decode_slowly(source: &[u8], header: &Header) -> Result<Samples, Error> {
    let refused = |error: jpeg_decoder::Error| match error {
        jpeg_decoder::Error::Unsupported(feature) => {
            Error::unsupported(format!("the JPEG has what is not read: {feature:?}"))
        }
        error => Error::corrupt(format!("the JPEG cannot be decoded: {error}")),
    };
    check_scans(source)?;
    let plain = plain(source)?;
    let mut decoder = jpeg_decoder::Decoder::new(&plain.bytes[..]);
    decoder.set_max_decoding_buffer_size(header.size.width as usize * header.size.height as usize * 4);
    let (transform, layout) = match plain.color {
        Color::Grey => (ColorTransform::Grayscale, Layout::Grey),
        Color::YCbCr => (ColorTransform::YCbCr, Layout::Rgb),
        Color::Rgb => (ColorTransform::RGB, Layout::Rgb),
        // The transform counts the ink that the file counts the light of.
        Color::Cmyk | Color::Ycck => (ColorTransform::CMYK, Layout::InvertedCmyk),
    };
    decoder.set_color_transform(transform);
    let mut data = decoder.decode().map_err(refused)?;
    if layout == Layout::InvertedCmyk {
        data.iter_mut().for_each(|ink| *ink = !*ink);
    }
    if plain.color == Color::Ycck {
        ycck_to_inverted_cmyk(&mut data);
    }
    Ok(Samples {
        size: header.size,
        layout,
        is_deep: false,
        data,
    })
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
