use std::io::Cursor;

use image_webp::WebPDecoder;
use tintype_model::Dimensions;

use crate::Error;
use crate::picture::{Layout, Samples};

/// A picture of which a header said that it is of `size`.
pub(crate) fn decode(source: &[u8], size: Dimensions) -> Result<Samples, Error> {
    let refused =
        |error: image_webp::DecodingError| Error::corrupt(format!("the WebP cannot be decoded: {error}"));
    let mut decoder = WebPDecoder::new(Cursor::new(source)).map_err(refused)?;
    if decoder.dimensions() != (size.width, size.height) {
        return Err(Error::corrupt("the WebP's header cannot be read"));
    }
    let bytes = decoder
        .output_buffer_size()
        .ok_or_else(|| Error::corrupt("the WebP is too large"))?;
    let mut data = vec![0; bytes];
    decoder.read_image(&mut data).map_err(refused)?;
    Ok(Samples {
        size,
        layout: if decoder.has_alpha() {
            Layout::Rgba
        } else {
            Layout::Rgb
        },
        is_deep: false,
        data,
    })
}
