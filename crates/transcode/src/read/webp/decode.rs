use std::io::Cursor;

use image_webp::WebPDecoder;
use tintype_model::Dimensions;

use super::header::{First, first};
use crate::Error;
use crate::picture::{Layout, Samples};
use crate::syntax::riff::{self, ALPHA, ANIMATED, Chunk, extended};

/// The picture, or the first frame on its canvas.
///
/// The decoder gets a file that holds nothing else: image-webp 0.2.4 refuses one whose header promises a chunk that is
/// missing, and one with bytes behind its end.
pub(super) fn decode(source: &[u8], size: Dimensions) -> Result<Samples, Error> {
    let file = match first(source)? {
        First::Still {
            extended: None,
            pixels,
            ..
        } => riff::file(&[pixels], &[]),
        First::Still {
            extended: Some(has_alpha),
            size,
            alpha,
            pixels,
        } => still(size, has_alpha, alpha, pixels),
        First::Animated {
            has_alpha,
            size,
            frame,
        } => {
            let header = extended(size, ANIMATED | if has_alpha { ALPHA } else { 0 });
            riff::file(
                &[(*b"VP8X", &header), (*b"ANIM", &[0; 6]), (*b"ANMF", frame)],
                &[],
            )
        }
    };
    pixels(&file, size)
}

/// A file of the extended format with one picture.
pub(super) fn still(size: Dimensions, has_alpha: bool, alpha: Option<&[u8]>, pixels: Chunk<'_>) -> Vec<u8> {
    let header = extended(size, if has_alpha { ALPHA } else { 0 });
    let header = (*b"VP8X", &header[..]);
    match alpha {
        Some(alpha) => riff::file(&[header, (*b"ALPH", alpha), pixels], &[]),
        None => riff::file(&[header, pixels], &[]),
    }
}

/// Decodes a file that holds one picture, which a header said to be of `size`.
pub(super) fn pixels(file: &[u8], size: Dimensions) -> Result<Samples, Error> {
    let refused =
        |error: image_webp::DecodingError| Error::corrupt(format!("the WebP cannot be decoded: {error}"));
    let mut decoder = WebPDecoder::new(Cursor::new(file)).map_err(refused)?;
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
