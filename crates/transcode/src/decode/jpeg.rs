use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use crate::Error;
use crate::header::Header;
use crate::picture::{Layout, Samples};

/// Encoders write about ten scans. Each one costs a pass over all coefficients, so a small file with thousands of
/// them would keep a core busy for minutes.
const MAX_SCANS: usize = 100;

pub(super) fn decode(source: &[u8], header: &Header) -> Result<Samples, Error> {
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

fn components(decoder: &JpegDecoder<ZCursor<&[u8]>>) -> u8 {
    decoder.info().map_or(0, |info| info.components)
}

/// YCCK is CMY as RGB in YCbCr (JFIF 1.02), with K left alone. Adobe stores the inks inverted, which makes the RGB
/// that comes out the light that each ink lets through.
fn ycck_to_inverted_cmyk(data: &mut [u8]) {
    for pixel in data.chunks_exact_mut(4) {
        let (y, cb, cr) = (i32::from(pixel[0]), i32::from(pixel[1]) - 128, i32::from(pixel[2]) - 128);
        // The JFIF matrix in 16-bit fixed point.
        pixel[0] = clamp(y + ((91_881 * cr + 32_768) >> 16));
        pixel[1] = clamp(y - ((22_554 * cb + 46_802 * cr + 32_768) >> 16));
        pixel[2] = clamp(y + ((116_130 * cb + 32_768) >> 16));
    }
}

fn clamp(value: i32) -> u8 {
    u8::try_from(value.clamp(0, 255)).unwrap_or_default()
}
