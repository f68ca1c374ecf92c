use std::io::Cursor;

use image_webp::WebPDecoder;

use crate::Error;
use crate::header::Header;
use crate::picture::{Layout, Samples};

pub(super) fn decode(source: &[u8], header: &Header) -> Result<Samples, Error> {
    let refused =
        |error: image_webp::DecodingError| Error::corrupt(format!("the WebP cannot be decoded: {error}"));
    let mut decoder = WebPDecoder::new(Cursor::new(source)).map_err(refused)?;
    if decoder.dimensions() != (header.size.width, header.size.height) {
        return Err(Error::corrupt("the WebP's header cannot be read"));
    }
    let bytes = decoder
        .output_buffer_size()
        .ok_or_else(|| Error::corrupt("the WebP is too large"))?;
    let mut data = vec![0; bytes];
    decoder.read_image(&mut data).map_err(refused)?;
    Ok(Samples {
        size: header.size,
        layout: if decoder.has_alpha() {
            Layout::Rgba
        } else {
            Layout::Rgb
        },
        is_deep: false,
        data,
    })
}
