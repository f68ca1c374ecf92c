use std::io::Cursor;

use image::codecs::ico::IcoDecoder;
use image::{ColorType, ImageDecoder};
use tintype_model::Limits;

use super::header::{Entry, refused};
use crate::Error;
use crate::header::Header;
use crate::picture::{Layout, Samples};
use crate::read::png;

/// The largest picture, cut out by its mask if it has no alpha of its own.
pub(super) fn decode(source: &[u8], header: &Header) -> Result<Samples, Error> {
    let limits = Limits {
        max_pixels: header.size.pixels(),
        ..Limits::default()
    };
    let (icon, mask, has_alpha) = match Entry::largest(source, &limits)? {
        Entry::Png(source) => return png::decode(source),
        Entry::Bmp {
            icon,
            mask,
            has_alpha,
        } => (icon, mask, has_alpha),
    };
    let decoder = IcoDecoder::new(Cursor::new(&icon[..])).map_err(|error| refused(&error))?;
    if decoder.dimensions() != (header.size.width, header.size.height)
        || decoder.color_type() != ColorType::Rgba8
    {
        return Err(Error::corrupt("the icon's largest picture cannot be read"));
    }
    let bytes =
        usize::try_from(decoder.total_bytes()).map_err(|_| Error::corrupt("the icon is too large"))?;
    let mut data = vec![0; bytes];
    decoder.read_image(&mut data).map_err(|error| refused(&error))?;
    // Where there is alpha, Windows and browsers look at that alone. Icons older than alpha may have 32 bits for each
    // pixel, of which eight are zero everywhere.
    if !has_alpha || data.chunks_exact(4).all(|pixel| pixel[3] == 0) {
        apply_mask(&mut data, mask, header.size.width as usize);
    }
    Ok(Samples {
        size: header.size,
        layout: Layout::Rgba,
        is_deep: false,
        data,
    })
}

/// A bit for each pixel, set where it is transparent, in rows of whole 32 bits from the bottom. Rows that are missing hide
/// nothing.
fn apply_mask(data: &mut [u8], mask: &[u8], width: usize) {
    data.chunks_exact_mut(4).for_each(|pixel| pixel[3] = 255);
    let rows = data.chunks_exact_mut(width * 4).rev();
    for (row, mask) in rows.zip(mask.chunks_exact(width.div_ceil(32) * 4)) {
        for (x, pixel) in row.chunks_exact_mut(4).enumerate() {
            if mask[x / 8] & (0x80 >> (x % 8)) != 0 {
                pixel[3] = 0;
            }
        }
    }
}
