//! BMP: the sizes and the colours in the DIB header. The kind of pixels comes from the decoder, which reads no pixel for
//! that.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

use std::borrow::Cow;
use std::io::Cursor;

use image::codecs::bmp::BmpDecoder;
use image::{ColorType, ImageDecoder};
use tintype_model::{Dimensions, Limits};

use crate::Error;
use crate::color::gamma::{Chromaticities, Gamma, SRGB};
use crate::header::{MAX_PROFILE_BYTES, ParsedHeader, check_size};
use crate::picture::Model;
use crate::syntax::reader::Reader;

/// The place of the DIB header in the file.
const DIB: usize = 14;
const INFO_HEADER_BYTES: usize = 40;

/// `BM` alone begins too many texts: the size of the DIB header must be one that exists.
pub(super) fn is_bitmap(source: &[u8]) -> bool {
    let size = source
        .get(14..18)
        .and_then(|bytes| bytes.try_into().ok())
        .map(u32::from_le_bytes);
    source.starts_with(b"BM")
        && size.is_some_and(|size| matches!(size, 12 | 40 | 52 | 56 | 108 | 124) || is_os2(size))
}

pub(super) fn parse(source: &[u8], limits: &Limits) -> Result<ParsedHeader, Error> {
    let cut = || Error::corrupt("the BMP is cut off in its header");
    let mut reader = Reader::at(source, DIB);
    let header_bytes = reader.le32().ok_or_else(cut)?;
    let (width, height) = if header_bytes == 12 {
        (reader.le16().map(u32::from), reader.le16().map(u32::from))
    } else {
        let width = reader.le32();
        // Rows run from the top when the height is negative.
        (
            width,
            reader.le32().map(|height| height.cast_signed().unsigned_abs()),
        )
    };
    let size = check_size(width.ok_or_else(cut)?, height.ok_or_else(cut)?, limits)?;
    let plain = as_windows(source)?;
    check_rows(&plain, size)?;
    let decoder = BmpDecoder::new(Cursor::new(&plain[..])).map_err(|error| refused(&error))?;
    if decoder.dimensions() != (size.width, size.height) {
        return Err(Error::corrupt("the BMP's header cannot be read"));
    }
    let colors = Colors::read(source, header_bytes).unwrap_or_default();
    Ok(ParsedHeader {
        size,
        has_alpha: matches!(decoder.color_type(), ColorType::Rgba8),
        frames: 1,
        bit_depth: 8,
        model: if decoder.color_type() == ColorType::L8 {
            Model::Grey
        } else {
            Model::Rgb
        },
        icc: colors.icc,
        gamma: colors.gamma,
        ..ParsedHeader::default()
    })
}

/// Refuses a file that is shorter than the rows that it announces, before memory is taken for them. Rows that are coded
/// have no length of their own.
fn check_rows(source: &[u8], size: Dimensions) -> Result<(), Error> {
    let mut reader = Reader::at(source, DIB);
    let is_core = reader.le32() == Some(12);
    let bits = Reader::at(source, if is_core { 24 } else { 28 })
        .le16()
        .unwrap_or(0);
    let coding = if is_core {
        None
    } else {
        Reader::at(source, 30).le32()
    };
    if matches!(coding, Some(1 | 2 | 4 | 5)) {
        return Ok(());
    }
    let needed = size.pixels().saturating_mul(bits.into()).div_ceil(8);
    if u64::try_from(source.len()).is_ok_and(|length| length < needed) {
        return Err(Error::corrupt(format!(
            "the BMP is cut off: {}x{} pixels of {bits} bits are more than its {} bytes",
            size.width,
            size.height,
            source.len()
        )));
    }
    Ok(())
}

/// Tells whether a DIB header of that size is one of OS/2 2.x: 64 bytes, or fewer where the rest is zero.
pub(crate) const fn is_os2(header_bytes: u32) -> bool {
    let is_windows = matches!(header_bytes, 40 | 52 | 56);
    let is_whole = header_bytes.is_multiple_of(4) || matches!(header_bytes, 42 | 46);
    header_bytes >= 16 && header_bytes <= 64 && is_whole && !is_windows
}

/// The file with a header that the decoder knows: those of OS/2 2.x begin with the same fields.
///
/// # Errors
/// If its pixels are compressed in a way that only OS/2 has.
pub(crate) fn as_windows(source: &[u8]) -> Result<Cow<'_, [u8]>, Error> {
    let header_bytes = Reader::at(source, DIB).le32().unwrap_or(0);
    if !is_os2(header_bytes) {
        return Ok(Cow::Borrowed(source));
    }
    let cut = || Error::corrupt("the BMP is cut off in its header");
    let length = usize::try_from(header_bytes).map_err(|_| cut())?;
    let (file_header, rest) = source.split_at_checked(DIB).ok_or_else(cut)?;
    let (header, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
    let mut info = header.to_vec();
    info.resize(INFO_HEADER_BYTES, 0);
    let compression = Reader::at(&info, 16).le32().unwrap_or(0);
    if compression > 2 {
        return Err(Error::unsupported(format!(
            "the BMP is of OS/2 2.x and has compression {compression} (3 is Huffman, 4 is RLE of 24 bits); uncompressed \
             pixels, RLE8 and RLE4 are read"
        )));
    }
    let size = u32::try_from(INFO_HEADER_BYTES).unwrap_or_default();
    info.splice(..4, size.to_le_bytes());
    let pixels = Reader::at(source, 10).le32().unwrap_or(0);
    let pixels = pixels.saturating_add(size).saturating_sub(header_bytes);
    let mut file = Vec::with_capacity(source.len().saturating_add(INFO_HEADER_BYTES));
    file.extend_from_slice(file_header.get(..10).ok_or_else(cut)?);
    file.extend(pixels.to_le_bytes());
    file.extend(info);
    file.extend_from_slice(rest);
    Ok(Cow::Owned(file))
}

/// The meaning of the colours by headers of version 4 and 5 ([MS-WMF] 2.2.2.10 and 2.2.2.11).
#[derive(Default)]
struct Colors {
    icc: Option<Vec<u8>>,
    gamma: Option<Gamma>,
}

const CALIBRATED_RGB: u32 = 0;
/// `MBED`, as a number.
const PROFILE_EMBEDDED: u32 = 0x4D42_4544;

impl Colors {
    fn read(source: &[u8], header_bytes: u32) -> Option<Self> {
        if !matches!(header_bytes, 108 | 124) {
            return None;
        }
        let header = source.get(DIB..)?;
        let mut reader = Reader::at(header, 56);
        match reader.le32()? {
            CALIBRATED_RGB => Some(Self {
                icc: None,
                gamma: calibration(&mut reader),
            }),
            PROFILE_EMBEDDED if header_bytes == 124 => {
                let mut reader = Reader::at(header, 112);
                let start = usize::try_from(reader.le32()?).ok()?;
                let length = usize::try_from(reader.le32()?).ok()?;
                let profile = header.get(start..start.checked_add(length)?)?;
                Some(Self {
                    icc: (length <= MAX_PROFILE_BYTES).then(|| profile.to_vec()),
                    gamma: None,
                })
            }
            _ => None,
        }
    }
}

/// Primaries and gamma of a calibrated RGB. White is that of sRGB, which browsers take as well: the header has none.
/// `None` where the fields are empty, as most writers leave them, or the three gammas differ.
fn calibration(reader: &mut Reader<'_>) -> Option<Gamma> {
    let mut primaries: Chromaticities = SRGB;
    for place in primaries.iter_mut().skip(1) {
        let [x, y, z] = [reader.le32()?, reader.le32()?, reader.le32()?].map(f64::from);
        let sum = x + y + z;
        if sum <= 0.0 {
            return None;
        }
        *place = (narrow(x / sum), narrow(y / sum));
    }
    let gammas = [reader.le32()?, reader.le32()?, reader.le32()?];
    if gammas.iter().any(|&gamma| gamma == 0 || gamma != gammas[0]) {
        return None;
    }
    Some(Gamma {
        primaries: Some(primaries),
        exponent: Some(narrow(f64::from(gammas[0]) / 65_536.0)),
        is_camera: false,
    })
}

#[expect(clippy::cast_possible_truncation, reason = "values with a few digits")]
fn narrow(value: f64) -> f32 {
    value as f32
}

pub(crate) fn refused(error: &image::ImageError) -> Error {
    match error {
        image::ImageError::Unsupported(_) => Error::unsupported(format!("the BMP is not supported: {error}")),
        image::ImageError::Decoding(_)
        | image::ImageError::Encoding(_)
        | image::ImageError::Parameter(_)
        | image::ImageError::Limits(_)
        | image::ImageError::IoError(_) => Error::corrupt(format!("the BMP cannot be decoded: {error}")),
    }
}
