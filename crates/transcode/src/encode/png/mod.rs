//! PNG, lossless and as small as it gets for the time that it is worth: oxipng stores the pixels as grey, with a
//! palette or without alpha where that loses nothing, tries row filters, and compresses with libdeflate.
//!
//! It is given one thread and no deadline, so the same pixels give the same bytes.

pub(super) mod animation;

use std::sync::Arc;

use oxipng::{BitDepth, ColorType, Deflater, FilterStrategy, Options, RawImage};

use crate::error::EncodeError;
use crate::picture::Picture;

/// Up to this many pixels four filters are tried, at twice the time of two: 1 to 3 % fewer bytes.
const SMALL_PIXELS: u64 = 300_000;

/// Above this many pixels only the quickest compression is affordable: a sixth of the time, 7 % larger photos and 15 %
/// larger drawings and text.
const LARGE_PIXELS: u64 = 2_000_000;

pub(super) fn encode(picture: Arc<Picture>) -> Result<Vec<u8>, EncodeError> {
    let Picture {
        size,
        has_alpha,
        space,
        data,
    } = Arc::unwrap_or_clone(picture);
    let color = if has_alpha {
        ColorType::RGBA
    } else {
        ColorType::RGB {
            transparent_color: None,
        }
    };
    let mut image = RawImage::new(size.width, size.height, color, BitDepth::Eight, data)?;
    if let Some(icc) = space.icc() {
        image.add_icc_profile(&icc);
    }
    Ok(image.create_optimized_png(&options(size.pixels()))?)
}

fn options(pixels: u64) -> Options {
    if pixels <= SMALL_PIXELS {
        Options::from_preset(2)
    } else if pixels <= LARGE_PIXELS {
        Options::from_preset(1)
    } else {
        // No filter for what has few colours, Paeth's for photos.
        Options {
            filters: [FilterStrategy::NONE, FilterStrategy::PAETH]
                .into_iter()
                .collect(),
            deflater: Deflater::Libdeflater { compression: 1 },
            ..Options::default()
        }
    }
}
