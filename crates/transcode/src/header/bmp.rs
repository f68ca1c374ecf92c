//! BMP: the sizes in the DIB header; what the pixels are is told by the decoder, which reads no pixel for it.

use std::io::Cursor;

use image::codecs::bmp::BmpDecoder;
use image::{ColorType, ImageDecoder};
use tintype_model::Limits;

use super::{Found, Model, check_size};
use crate::Error;
use crate::reader::Reader;

pub(super) fn parse(source: &[u8], limits: &Limits) -> Result<Found, Error> {
    let cut = || Error::corrupt("the BMP is cut off in its header");
    let mut reader = Reader::at(source, 14);
    let header_bytes = reader.le32().ok_or_else(cut)?;
    let (width, height) = if header_bytes == 12 {
        (reader.le16().map(u32::from), reader.le16().map(u32::from))
    } else {
        let width = reader.le32();
        // Rows run from the top when the height is negative.
        (
            width,
            reader.le32().map(|height| height.cast_signed().unsigned_abs()),
        )
    };
    let size = check_size(width.ok_or_else(cut)?, height.ok_or_else(cut)?, limits)?;
    let decoder = BmpDecoder::new(Cursor::new(source)).map_err(|error| refused(&error))?;
    if decoder.dimensions() != (size.width, size.height) {
        return Err(Error::corrupt("the BMP's header cannot be read"));
    }
    Ok(Found {
        size,
        orientation: None,
        has_alpha: matches!(decoder.color_type(), ColorType::Rgba8),
        frames: 1,
        bit_depth: 8,
        model: if decoder.color_type() == ColorType::L8 {
            Model::Grey
        } else {
            Model::Rgb
        },
        is_odd_jpeg: false,
        exif: None,
        icc: None,
        ..Found::default()
    })
}

pub(crate) fn refused(error: &image::ImageError) -> Error {
    match error {
        image::ImageError::Unsupported(_) => Error::unsupported(format!("the BMP is not supported: {error}")),
        image::ImageError::Decoding(_)
        | image::ImageError::Encoding(_)
        | image::ImageError::Parameter(_)
        | image::ImageError::Limits(_)
        | image::ImageError::IoError(_) => Error::corrupt(format!("the BMP cannot be decoded: {error}")),
    }
}
