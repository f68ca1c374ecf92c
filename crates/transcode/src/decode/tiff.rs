use std::borrow::Cow;
use std::io::Cursor;

use tiff::TiffError;
use tiff::decoder::{Decoder, Limits};

use super::jpeg::{MAX_SCANS, to_rgb};
use crate::Error;
use crate::header::Header;
use crate::header::tiff::{Alpha, CMYK, Directory, JPEG, PALETTE, YCBCR};
use crate::picture::{Layout, Samples};
use crate::reader::Reader;

/// The first page.
pub(super) fn decode(source: &[u8], header: &Header) -> Result<Samples, Error> {
    let directory =
        Directory::read(source).ok_or_else(|| Error::corrupt("the TIFF's directory cannot be read"))?;
    check_chunks(source, header, &directory)?;
    let raw = Raw::decode(source, header, &directory)?;
    let alpha = directory.alpha();
    let (layout, is_deep, mut data) = if directory.photometric() == PALETTE {
        if raw.bits > 8 {
            return Err(unusual(raw.bits));
        }
        (Layout::Rgb, false, look_up(&directory, &raw.bytes(1, false)?)?)
    } else {
        let colors = usize::try_from(directory.colors()).unwrap_or(1);
        let channels = colors + usize::from(alpha.is_some());
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
        // TIFF counts ink, the pipeline counts the light that it lets through.
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

/// The decoder allocates what a tile or the JPEG in a strip says it needs, and does not mind when bytes are missing
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

/// What the decoder gives: samples of any width in the machine's byte order, in pixels or in planes.
struct Raw {
    data: Vec<u8>,
    width: usize,
    height: usize,
    bits: usize,
    is_float: bool,
    row_stride: usize,
    /// Bytes from one plane to the next; 0 if pixels are whole.
    plane_stride: usize,
    /// Samples of a pixel, or of all planes.
    samples: usize,
}

impl Raw {
    fn decode(source: &[u8], header: &Header, directory: &Directory<'_>) -> Result<Self, Error> {
        if directory.is_signed() {
            return Err(Error::unsupported("the TIFF has signed samples"));
        }
        let unused = directory.extra() - u64::from(directory.alpha().is_some());
        if unused > 0 && directory.has_predictor() {
            // The decoder drops the other channels before it undoes the prediction across all of them.
            return Err(Error::unsupported(
                "the TIFF has channels beside its colours and a predictor",
            ));
        }
        let source = as_indices(source, directory)?;
        let mut decoder = Decoder::new(Cursor::new(&source[..]))
            .map_err(|error| refused(&error))?
            .with_limits(limits(source.len()));
        let size = decoder.dimensions().map_err(|error| refused(&error))?;
        if size != (header.size.width, header.size.height) {
            return Err(Error::corrupt("the TIFF's header cannot be read"));
        }
        let color = decoder.colortype().map_err(|error| refused(&error))?;
        let layout = decoder.image_buffer_layout().map_err(|error| refused(&error))?;
        // No more than eight bytes for each of five channels; usually three bytes in all.
        let most = header.size.pixels().saturating_mul(40);
        if u64::try_from(layout.complete_len).map_or(true, |bytes| bytes > most) {
            return Err(Error::unsupported(
                "the TIFF has more than five channels or 64 bits",
            ));
        }
        let mut data = vec![0; layout.complete_len];
        decoder
            .read_image_bytes(&mut data)
            .map_err(|error| refused(&error))?;
        let stride = |stride: Option<std::num::NonZeroUsize>| stride.map_or(0, std::num::NonZeroUsize::get);
        Ok(Self {
            data,
            width: header.size.width as usize,
            height: header.size.height as usize,
            bits: usize::try_from(directory.bits()).unwrap_or(usize::MAX),
            is_float: directory.is_float(),
            row_stride: stride(layout.row_stride),
            plane_stride: if layout.planes > 1 {
                stride(layout.plane_stride)
            } else {
                0
            },
            samples: usize::from(color.num_samples()),
        })
    }

    /// Whether these channels are all there is, one after the other.
    const fn is_packed(&self, channels: usize) -> bool {
        self.plane_stride == 0
            && self.samples == channels
            && self.row_stride * 8 == self.width * channels * self.bits
    }

    /// The first `channels` samples of each pixel, each by `sample` from the bits that it begins at.
    fn gather(
        &self,
        channels: usize,
        bits: usize,
        mut sample: impl FnMut(&[u8], usize),
    ) -> Result<(), Error> {
        if channels > self.samples {
            return Err(Error::corrupt(
                "the TIFF has fewer channels than its colours need",
            ));
        }
        for y in 0..self.height {
            for x in 0..self.width {
                for channel in 0..channels {
                    let (plane, at) = if self.plane_stride > 0 {
                        (channel * self.plane_stride, x)
                    } else {
                        (0, x * self.samples + channel)
                    };
                    sample(&self.data[plane + y * self.row_stride..], at * bits);
                }
            }
        }
        Ok(())
    }

    /// 8 bits for each of the first `channels` samples. Fewer bits are stretched to the range, if `is_scaled`.
    fn bytes(self, channels: usize, is_scaled: bool) -> Result<Vec<u8>, Error> {
        if self.bits == 8 && self.is_packed(channels) {
            return Ok(self.data);
        }
        if self.bits > 8 {
            let words = self.words(channels)?;
            return Ok(words.chunks_exact(2).map(|word| word[0]).collect());
        }
        let mut data = Vec::with_capacity(self.width * self.height * channels);
        let bits = self.bits;
        if !matches!(bits, 1 | 2 | 4 | 8) || self.is_float {
            return Err(unusual(self.bits));
        }
        let most = u8::MAX >> (8 - bits);
        let factor = if is_scaled { u8::MAX / most } else { 1 };
        self.gather(channels, bits, |row, at| {
            let byte = row[at / 8] >> (8 - bits - at % 8);
            data.push((byte & most) * factor);
        })?;
        Ok(data)
    }

    /// Two big-endian bytes for each of the first `channels` samples.
    fn words(mut self, channels: usize) -> Result<Vec<u8>, Error> {
        if self.bits == 16 && !self.is_float && self.is_packed(channels) {
            for word in self.data.as_chunks_mut::<2>().0 {
                *word = u16::from_ne_bytes(*word).to_be_bytes();
            }
            return Ok(self.data);
        }
        let mut data = Vec::with_capacity(self.width * self.height * channels * 2);
        let mut push = |word: u16| data.extend(word.to_be_bytes());
        let done = match (self.bits, self.is_float) {
            (16, false) => self.gather(channels, 16, |row, at| push(u16::from_ne_bytes(take(row, at)))),
            (32, false) => self.gather(channels, 32, |row, at| {
                push(
                    (u32::from_ne_bytes(take(row, at)) >> 16)
                        .try_into()
                        .unwrap_or(u16::MAX),
                );
            }),
            (16, true) => self.gather(channels, 16, |row, at| {
                push(from_unit(half(u16::from_ne_bytes(take(row, at)))));
            }),
            (32, true) => self.gather(channels, 32, |row, at| {
                push(from_unit(f32::from_ne_bytes(take(row, at))))
            }),
            _ => Err(unusual(self.bits)),
        };
        done.map(|()| data)
    }
}

fn unusual(bits: usize) -> Error {
    Error::unsupported(format!(
        "the TIFF has {bits} bits per sample; 1, 2, 4, 8, 16 and 32 are read, and 16 and 32 as floating point"
    ))
}

/// The bytes of a sample that begins at a bit, which is a whole byte.
fn take<const N: usize>(row: &[u8], bit: usize) -> [u8; N] {
    row.get(bit / 8..)
        .and_then(|rest| rest.first_chunk())
        .copied()
        .unwrap_or([0; N])
}

/// 0 to 1 is what a screen shows; the rest is clipped, and what is no number is black.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value is between 0 and 65,535; a cast of NaN is 0"
)]
fn from_unit(value: f32) -> u16 {
    (value.clamp(0.0, 1.0) * 65_535.0 + 0.5) as u16
}

/// IEEE 754 binary16.
fn half(bits: u16) -> f32 {
    let (exponent, fraction) = ((bits >> 10) & 31, f32::from(bits & 1023) / 1024.0);
    let value = match exponent {
        0 => fraction * 2f32.powi(-14),
        31 if fraction > 0.0 => f32::NAN,
        31 => f32::INFINITY,
        exponent => (1.0 + fraction) * 2f32.powi(i32::from(exponent) - 15),
    };
    if bits >> 15 == 1 { -value } else { value }
}

/// The decoder knows no palettes: it is told that the indices are grey.
fn as_indices<'a>(source: &'a [u8], directory: &Directory<'_>) -> Result<Cow<'a, [u8]>, Error> {
    if directory.photometric() != PALETTE {
        return Ok(Cow::Borrowed(source));
    }
    let at = directory
        .photometric_at()
        .ok_or_else(|| Error::corrupt("the TIFF has a palette that cannot be applied"))?;
    let mut copy = source.to_vec();
    copy[at..at + 2].copy_from_slice(&directory.black_is_zero());
    Ok(Cow::Owned(copy))
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

fn limits(source_bytes: usize) -> Limits {
    let mut limits = Limits::default();
    // The buffers for pixels are ours, and checked against the picture's size.
    limits.intermediate_buffer_size = source_bytes;
    limits
}

fn refused(error: &TiffError) -> Error {
    match error {
        TiffError::UnsupportedError(_) => Error::unsupported(format!("the TIFF is not supported: {error}")),
        TiffError::FormatError(_)
        | TiffError::IoError(_)
        | TiffError::LimitsExceeded
        | TiffError::IntSizeError
        | TiffError::UsageError(_) => Error::corrupt(format!("the TIFF cannot be decoded: {error}")),
    }
}
