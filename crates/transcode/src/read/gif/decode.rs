use std::io::Cursor;
use std::num::NonZeroU64;

use super::header::is_outgrown;
use crate::Error;
use crate::header::Header;
use crate::picture::{Layout, Samples};

/// The first frame on its canvas: what it does not cover is transparent, as in browsers, whatever the background
/// colour says.
pub(super) fn decode(source: &[u8], header: &Header) -> Result<Samples, Error> {
    let mut decoder = open(source)?;
    let screen = (decoder.width(), decoder.height());
    let shared = decoder.global_palette().map(<[u8]>::to_vec);
    let frame = decoder
        .read_next_frame()
        .map_err(|error| refused(&error))?
        .ok_or_else(|| Error::corrupt("the GIF has no frame"))?;
    let colors = colors(frame, shared.as_deref())?;
    let (left, top) = first_place(frame, screen);
    let (layout, channels) = if header.has_alpha {
        (Layout::Rgba, 4)
    } else {
        (Layout::Rgb, 3)
    };
    let (width, height) = (header.size.width as usize, header.size.height as usize);
    let mut data = vec![0; width * height * channels];
    let rows = data.chunks_exact_mut(width * channels).skip(top.into());
    for (row, indices) in rows.zip(frame.buffer.chunks_exact(frame.width.into())) {
        let pixels = row.chunks_exact_mut(channels).skip(left.into());
        for (pixel, &index) in pixels.zip(indices) {
            pixel.copy_from_slice(&colors[usize::from(index)][..channels]);
        }
    }
    Ok(Samples {
        size: header.size,
        layout,
        is_deep: false,
        data,
    })
}

/// The place of the first frame on its canvas.
pub(crate) const fn first_place(frame: &gif::Frame<'_>, screen: (u16, u16)) -> (u16, u16) {
    if is_outgrown(screen, (frame.width, frame.height)) {
        (0, 0)
    } else {
        (frame.left, frame.top)
    }
}

pub(crate) fn refused(error: &gif::DecodingError) -> Error {
    Error::corrupt(format!("the GIF cannot be decoded: {error}"))
}

/// A decoder of indices; the header's walk has bounded the size of each frame.
pub(crate) fn open(source: &[u8]) -> Result<gif::Decoder<Cursor<&[u8]>>, Error> {
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::Indexed);
    // Unknown extensions are skipped, as the parser of the header does.
    options.allow_unknown_blocks(true);
    options.set_memory_limit(gif::MemoryLimit::Bytes(NonZeroU64::MAX));
    options
        .read_info(Cursor::new(source))
        .map_err(|error| refused(&error))
}

/// The colours that the indices of a frame stand for, in RGBA; `shared` is the palette of the file. Fails when neither
/// the frame nor the file has a palette.
pub(crate) fn colors(frame: &gif::Frame<'_>, shared: Option<&[u8]>) -> Result<[[u8; 4]; 256], Error> {
    let palette = frame
        .palette
        .as_deref()
        .or(shared)
        .ok_or_else(|| Error::corrupt("a frame of the GIF has no palette"))?;
    let mut colors = [[0, 0, 0, 255]; 256];
    for (color, entry) in colors.iter_mut().zip(palette.chunks_exact(3)) {
        color[..3].copy_from_slice(entry);
    }
    if let Some(transparent) = frame.transparent {
        colors[usize::from(transparent)] = [0; 4];
    }
    Ok(colors)
}
