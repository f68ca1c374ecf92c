//! Samples of any width, as the decoder gives them, and their conversion to 8 or 16 bits.

use tiff::TiffError;
use tiff::decoder::{Decoder, Limits};

use super::directory::{Directory, JPEG, OLD_JPEG, YCBCR};
use super::view::{Spliced, view};
use crate::Error;
use crate::header::Header;

/// Samples of any width in the machine's byte order.
pub(super) struct Raw {
    /// One, or one for each channel that is wanted.
    planes: Vec<Plane>,
    width: usize,
    height: usize,
    pub(super) bits: usize,
    is_float: bool,
}

struct Plane {
    data: Vec<u8>,
    row_stride: usize,
    /// Samples of a pixel.
    samples: usize,
}

/// Most bytes for each pixel: eight for each of five channels, or one for each of forty.
const MAX_PIXEL_BYTES: u64 = 40;

impl Raw {
    /// The first `channels` channels, and others beside them where pixels are whole.
    pub(super) fn decode(
        source: &[u8],
        header: &Header,
        directory: &Directory<'_>,
        channels: usize,
    ) -> Result<Self, Error> {
        check(directory)?;
        let samples = usize::try_from(directory.samples()).unwrap_or(usize::MAX);
        let planes = if directory.is_planar() && samples > 1 {
            let wanted = 0..channels.min(samples);
            wanted
                .map(|plane| Plane::decode(view(source, directory, Some(plane))?, header, 1))
                .collect::<Result<_, _>>()?
        } else {
            vec![Plane::decode(view(source, directory, None)?, header, samples)?]
        };
        Ok(Self {
            planes,
            width: header.size.width as usize,
            height: header.size.height as usize,
            bits: usize::try_from(directory.bits()).unwrap_or(usize::MAX),
            is_float: directory.is_float(),
        })
    }

    /// Tells whether the pixel consists of these channels alone, one after the other.
    fn is_packed(&self, channels: usize) -> bool {
        matches!(&self.planes[..], [plane] if plane.samples == channels
            && plane.row_stride * 8 == self.width * channels * self.bits)
    }

    /// The samples of the only plane.
    fn into_data(mut self) -> Vec<u8> {
        self.planes.swap_remove(0).data
    }

    /// The first `channels` samples of each pixel, each by `sample` from the bits that it begins at.
    fn gather(
        &self,
        channels: usize,
        bits: usize,
        mut sample: impl FnMut(&[u8], usize),
    ) -> Result<(), Error> {
        let is_planar = self.planes.len() > 1;
        let there = if is_planar {
            self.planes.len()
        } else {
            self.planes.first().map_or(0, |plane| plane.samples)
        };
        if channels > there {
            return Err(Error::corrupt(
                "the TIFF has fewer channels than its colours need",
            ));
        }
        for y in 0..self.height {
            for x in 0..self.width {
                for channel in 0..channels {
                    let (plane, at) = if is_planar {
                        (&self.planes[channel], x)
                    } else {
                        (&self.planes[0], x * self.planes[0].samples + channel)
                    };
                    sample(&plane.data[y * plane.row_stride..], at * bits);
                }
            }
        }
        Ok(())
    }

    /// 8 bits for each of the first `channels` samples. Fewer bits are stretched to the range, if `is_scaled`.
    pub(super) fn bytes(self, channels: usize, is_scaled: bool) -> Result<Vec<u8>, Error> {
        if self.bits == 8 && self.is_packed(channels) {
            return Ok(self.into_data());
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
    pub(super) fn words(self, channels: usize) -> Result<Vec<u8>, Error> {
        if self.bits == 16 && !self.is_float && self.is_packed(channels) {
            let mut data = self.into_data();
            for word in data.as_chunks_mut::<2>().0 {
                *word = u16::from_ne_bytes(*word).to_be_bytes();
            }
            return Ok(data);
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

impl Plane {
    fn decode(file: Spliced<'_>, header: &Header, samples: usize) -> Result<Self, Error> {
        let refused = |error: TiffError| refused(&error);
        let bytes = file.len();
        let mut decoder = Decoder::new(file).map_err(refused)?.with_limits(limits(bytes));
        if decoder.dimensions().map_err(refused)? != (header.size.width, header.size.height) {
            return Err(Error::corrupt("the TIFF's header cannot be read"));
        }
        let layout = decoder.image_buffer_layout().map_err(refused)?;
        let most = header.size.pixels().saturating_mul(MAX_PIXEL_BYTES);
        if u64::try_from(layout.complete_len).map_or(true, |bytes| bytes > most) {
            return Err(Error::unsupported(format!(
                "the TIFF has more than {MAX_PIXEL_BYTES} bytes for each pixel"
            )));
        }
        let mut data = vec![0; layout.complete_len];
        decoder.read_image_bytes(&mut data).map_err(refused)?;
        Ok(Self {
            data,
            row_stride: layout.row_stride.map_or(0, std::num::NonZeroUsize::get),
            samples,
        })
    }
}

/// Refuses what is not read by choice.
fn check(directory: &Directory<'_>) -> Result<(), Error> {
    if directory.is_signed() {
        return Err(Error::unsupported("the TIFF has signed samples"));
    }
    if directory.is_mixed() {
        return Err(Error::unsupported(
            "the TIFF has channels that differ in their number of bits or in their kind of number",
        ));
    }
    if directory.compression() == OLD_JPEG {
        return Err(Error::unsupported(
            "the TIFF has old-style JPEG (compression 6); save it with another compression",
        ));
    }
    if directory.compression() == JPEG && !directory.is_planar() && !matches!(directory.samples(), 1 | 3 | 4)
    {
        return Err(Error::unsupported(format!(
            "the TIFF has JPEG of {} channels; 1, 3 and 4 are read",
            directory.samples()
        )));
    }
    let is_upsampled = directory.compression() == JPEG && !directory.is_planar();
    if directory.photometric() == YCBCR && directory.is_subsampled() && !is_upsampled {
        return Err(Error::unsupported(
            "the TIFF has subsampled YCbCr that is not in JPEG; save it as RGB or with JPEG compression",
        ));
    }
    Ok(())
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

pub(super) fn unusual(bits: usize) -> Error {
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
