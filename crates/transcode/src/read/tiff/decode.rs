use super::directory::{Alpha, CMYK, Directory, JPEG, PALETTE, WHITE_IS_ZERO, YCBCR};
use super::raw::{Raw, unusual};
use crate::Error;
use crate::header::Header;
use crate::jpeg::MAX_SCANS;
use crate::picture::{Layout, Samples};
use crate::read::jpeg::to_rgb;
use crate::syntax::reader::Reader;

/// The first page.
pub(super) fn decode(source: &[u8], header: &Header) -> Result<Samples, Error> {
    let directory =
        Directory::read(source).ok_or_else(|| Error::corrupt("the TIFF's directory cannot be read"))?;
    check_chunks(source, header, &directory)?;
    let alpha = directory.alpha();
    let colors = usize::try_from(directory.colors()).unwrap_or(1);
    let channels = colors + usize::from(alpha.is_some());
    let raw = Raw::decode(source, header, &directory, channels)?;
    let (layout, is_deep, mut data) = if directory.photometric() == PALETTE {
        if raw.bits > 8 {
            return Err(unusual(raw.bits));
        }
        (Layout::Rgb, false, look_up(&directory, &raw.bytes(1, false)?)?)
    } else {
        let layout = match (directory.photometric(), colors, alpha) {
            (CMYK, ..) => Layout::InvertedCmyk,
            (_, 3, None) => Layout::Rgb,
            (_, 3, Some(_)) => Layout::Rgba,
            (_, _, None) => Layout::Grey,
            (_, _, Some(_)) => Layout::GreyAlpha,
        };
        // Ink is converted in 8 bits.
        let is_deep = raw.bits > 8 && layout != Layout::InvertedCmyk;
        (
            layout,
            is_deep,
            if is_deep {
                raw.words(channels)?
            } else {
                raw.bytes(channels, true)?
            },
        )
    };
    match directory.photometric() {
        WHITE_IS_ZERO => {
            let sample = if is_deep { 2 } else { 1 };
            for pixel in data.chunks_exact_mut(sample * layout.channels()) {
                pixel[..sample].iter_mut().for_each(|byte| *byte = !*byte);
            }
        }
        // TIFF has amounts of ink; the samples here are amounts of light.
        CMYK => data.iter_mut().for_each(|ink| *ink = !*ink),
        YCBCR if is_deep => return Err(Error::unsupported("the TIFF has YCbCr of more than 8 bits")),
        YCBCR => {
            let (pixels, _) = data.as_chunks_mut::<3>();
            pixels.iter_mut().for_each(|pixel| *pixel = to_rgb(*pixel));
        }
        _ => {}
    }
    if alpha == Some(Alpha::Associated) {
        divide(&mut data, layout.channels(), is_deep);
    }
    Ok(Samples {
        size: header.size,
        layout,
        is_deep,
        data,
    })
}

/// Most bytes that strips or tiles may be read to, as a multiple of the file: some share their bytes with others, and
/// thousands could share one large JPEG.
const MAX_SHARING: u64 = 16;

/// The decoder allocates what a tile or the JPEG in a strip says it needs, and accepts missing bytes
/// there: what they say has to fit the picture, and they have to lie in the file.
fn check_chunks(source: &[u8], header: &Header, directory: &Directory<'_>) -> Result<(), Error> {
    let too_large = || Error::corrupt("the TIFF has strips or tiles that are far larger than the picture");
    let pixels = header.size.pixels();
    if let Some((width, height)) = directory.tile() {
        let across = u64::from(header.size.width).div_ceil(width.max(1));
        let down = u64::from(header.size.height).div_ceil(height.max(1));
        let padded = width
            .checked_mul(height)
            .and_then(|tile| tile.checked_mul(across)?.checked_mul(down))
            .ok_or_else(too_large)?;
        if padded > pixels.saturating_mul(4).saturating_add(1 << 24) {
            return Err(too_large());
        }
    }
    let is_jpeg = directory.compression() == JPEG;
    let length = u64::try_from(source.len()).unwrap_or(u64::MAX);
    let (mut bytes, mut inner) = (0u64, 0u64);
    for (offset, count) in directory.chunks() {
        let end = offset.checked_add(count).filter(|&end| end <= length);
        let range = end.and_then(|end| Some(usize::try_from(offset).ok()?..usize::try_from(end).ok()?));
        let chunk = range
            .and_then(|range| source.get(range))
            .ok_or_else(|| Error::corrupt("the TIFF is cut off: a strip or tile lies outside of the file"))?;
        bytes = bytes.saturating_add(count);
        if bytes > length.saturating_mul(MAX_SHARING) {
            return Err(too_large());
        }
        if is_jpeg {
            inner = inner.saturating_add(jpeg_pixels(chunk).ok_or_else(too_large)?);
            if inner > pixels.saturating_mul(4).saturating_add(1 << 24) {
                return Err(too_large());
            }
        }
    }
    Ok(())
}

/// Pixels that the JPEG in a strip or tile announces; `None` if it has too many scans.
fn jpeg_pixels(chunk: &[u8]) -> Option<u64> {
    let (mut pixels, mut scans) = (0u64, 0);
    let mut reader = Reader::new(chunk);
    while let Some(gap) = reader.rest().iter().position(|&byte| byte == 0xFF) {
        reader.skip(gap + 1)?;
        match reader.rest().first() {
            Some(0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF) => {
                let mut frame = reader;
                frame.skip(4)?;
                let (height, width) = (frame.be16(), frame.be16());
                pixels = pixels.max(u64::from(height?) * u64::from(width?));
            }
            Some(0xDA) => scans += 1,
            _ => {}
        }
        if scans > MAX_SCANS {
            return None;
        }
    }
    Some(pixels)
}

fn look_up(directory: &Directory<'_>, indices: &[u8]) -> Result<Vec<u8>, Error> {
    let map = directory.palette();
    let colors = map.len() / 3;
    // Some writers use 8 bits of the 16.
    let shift = if map.iter().any(|&value| value > 255) {
        8
    } else {
        0
    };
    let channel = |value: u64| u8::try_from(value >> shift).unwrap_or(u8::MAX);
    let palette: Vec<[u8; 3]> = (0..colors)
        .map(|at| [map[at], map[at + colors], map[at + 2 * colors]].map(channel))
        .collect();
    let mut data = Vec::with_capacity(indices.len() * 3);
    for &index in indices {
        let color = palette
            .get(usize::from(index))
            .ok_or_else(|| Error::corrupt("the TIFF has a pixel that is not in its palette"))?;
        data.extend(color);
    }
    Ok(data)
}

/// Undoes the multiplication with alpha.
fn divide(data: &mut [u8], channels: usize, is_deep: bool) {
    if is_deep {
        for pixel in data.chunks_exact_mut(channels * 2) {
            let (colors, alpha) = pixel.split_at_mut((channels - 1) * 2);
            let alpha = u32::from(u16::from_be_bytes([alpha[0], alpha[1]]));
            for color in colors.chunks_exact_mut(2) {
                let value = u32::from(u16::from_be_bytes([color[0], color[1]]));
                let straight = (value * 65_535 + alpha / 2).checked_div(alpha).unwrap_or(0);
                color.copy_from_slice(&u16::try_from(straight).unwrap_or(u16::MAX).to_be_bytes());
            }
        }
    } else {
        for pixel in data.chunks_exact_mut(channels) {
            let (colors, alpha) = pixel.split_at_mut(channels - 1);
            let alpha = u32::from(alpha[0]);
            for color in colors {
                let straight = (u32::from(*color) * 255 + alpha / 2)
                    .checked_div(alpha)
                    .unwrap_or(0);
                *color = u8::try_from(straight).unwrap_or(u8::MAX);
            }
        }
    }
}
