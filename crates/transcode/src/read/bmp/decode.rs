use std::io::Cursor;

use image::codecs::bmp::BmpDecoder;
use image::{ColorType, ImageDecoder};
use tintype_model::Dimensions;

use super::header::{as_windows, refused};
use crate::Error;
use crate::picture::{Layout, Samples};

pub(super) fn decode(source: &[u8]) -> Result<Samples, Error> {
    let source = as_windows(source)?;
    let decoder = BmpDecoder::new(Cursor::new(&source[..])).map_err(|error| refused(&error))?;
    let (width, height) = decoder.dimensions();
    let layout = match decoder.color_type() {
        ColorType::L8 => Layout::Grey,
        ColorType::Rgb8 => Layout::Rgb,
        ColorType::Rgba8 => Layout::Rgba,
        other => {
            return Err(Error::unsupported(format!(
                "the BMP has samples of type {other:?}"
            )));
        }
    };
    let bytes = usize::try_from(decoder.total_bytes()).map_err(|_| Error::corrupt("the BMP is too large"))?;
    let mut data = vec![0; bytes];
    decoder.read_image(&mut data).map_err(|error| refused(&error))?;
    Ok(Samples {
        size: Dimensions { width, height },
        layout,
        is_deep: false,
        data,
    })
}
