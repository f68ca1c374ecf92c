use std::io::Cursor;

use png::{BitDepth, ColorType, Transformations};
use tintype_model::Dimensions;

use super::header::{METADATA_LIMITS, refused, without_animation};
use crate::Error;
use crate::picture::{Layout, Samples};

pub(crate) type Reader<'a> = png::Reader<Cursor<&'a [u8]>>;

/// The default image: the only one of a PNG, and the first of an APNG unless that hides it.
///
/// An animation whose control chunks are wrong still has it.
pub(crate) fn decode(source: &[u8]) -> Result<Samples, Error> {
    default_image(source).or_else(|error| match without_animation(source) {
        Some(still) => default_image(&still),
        None => Err(error),
    })
}

fn default_image(source: &[u8]) -> Result<Samples, Error> {
    let (mut reader, mut data) = open(source, METADATA_LIMITS)?;
    let frame = reader.next_frame(&mut data).map_err(|error| refused(&error))?;
    data.truncate(frame.buffer_size());
    samples(&frame, data)
}

/// A decoder of pixels alone, palettes applied, and a buffer that holds any of its frames.
pub(crate) fn open(source: &[u8], limits: png::Limits) -> Result<(Reader<'_>, Vec<u8>), Error> {
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(source), limits);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(Transformations::EXPAND);
    let reader = decoder.read_info().map_err(|error| refused(&error))?;
    let bytes = reader
        .output_buffer_size()
        .ok_or_else(|| Error::corrupt("the PNG is too large"))?;
    Ok((reader, vec![0; bytes]))
}

/// `data` is the rows of `frame`, without padding.
pub(crate) fn samples(frame: &png::OutputInfo, data: Vec<u8>) -> Result<Samples, Error> {
    let layout = match frame.color_type {
        ColorType::Grayscale => Layout::Grey,
        ColorType::GrayscaleAlpha => Layout::GreyAlpha,
        ColorType::Rgb => Layout::Rgb,
        ColorType::Rgba => Layout::Rgba,
        ColorType::Indexed => return Err(Error::corrupt("the PNG has a palette that cannot be applied")),
    };
    Ok(Samples {
        size: Dimensions {
            width: frame.width,
            height: frame.height,
        },
        layout,
        is_deep: frame.bit_depth == BitDepth::Sixteen,
        data,
    })
}
