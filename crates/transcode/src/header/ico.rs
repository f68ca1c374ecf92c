//! ICO: the directory, and the header of its largest picture, which is a PNG or a BMP without a file header.

use std::io::Cursor;

use image::codecs::ico::IcoDecoder;
use tintype_model::Limits;

use super::{Found, check_size, png};
use crate::Error;
use crate::reader::Reader;

/// The largest picture of an icon.
pub(crate) enum Entry<'a> {
    Png(&'a [u8]),
    /// An icon that holds a BMP alone.
    Bmp(Vec<u8>),
}

pub(super) fn parse(source: &[u8], limits: &Limits) -> Result<Found, Error> {
    match Entry::largest(source, limits)? {
        Entry::Png(png) => {
            let found = png::parse(png, limits)?;
            Ok(Found { frames: 1, ..found })
        }
        Entry::Bmp(icon) => {
            let decoder = IcoDecoder::new(Cursor::new(&icon[..])).map_err(|error| refused(&error))?;
            let (width, height) = image::ImageDecoder::dimensions(&decoder);
            Ok(Found {
                size: check_size(width, height, limits)?,
                has_alpha: true,
                frames: 1,
                bit_depth: 8,
                ..Found::default()
            })
        }
    }
}

impl<'a> Entry<'a> {
    /// The entry with most pixels, and of those the one with most colours. Its true size is in the picture itself:
    /// the directory has one byte for each side.
    pub(crate) fn largest(source: &'a [u8], limits: &Limits) -> Result<Self, Error> {
        let cut = || Error::corrupt("the icon is cut off in its directory");
        let mut reader = Reader::at(source, 4);
        let count = reader.le16().ok_or_else(cut)?;
        let mut best: Option<((u32, u16), u32, u32)> = None;
        for _ in 0..count {
            let side = |byte: u8| if byte == 0 { 256 } else { u32::from(byte) };
            let width = reader.u8().ok_or_else(cut)?;
            let height = reader.u8().ok_or_else(cut)?;
            reader.skip(4).ok_or_else(cut)?;
            let bits = reader.le16().ok_or_else(cut)?;
            let (length, offset) = (reader.le32().ok_or_else(cut)?, reader.le32().ok_or_else(cut)?);
            let rank = (side(width).saturating_mul(side(height)), bits);
            if best.is_none_or(|(other, ..)| rank > other) {
                best = Some((rank, length, offset));
            }
        }
        let (_, length, offset) = best.ok_or_else(|| Error::corrupt("the icon has no picture"))?;
        let picture = usize::try_from(offset)
            .ok()
            .zip(usize::try_from(length).ok())
            .and_then(|(offset, length)| source.get(offset..offset.checked_add(length)?))
            .ok_or_else(|| Error::corrupt("the icon's largest picture lies outside of the file"))?;
        if picture.starts_with(b"\x89PNG\r\n\x1A\n") {
            return Ok(Self::Png(picture));
        }
        Self::bitmap(picture, limits)
    }

    /// The decoder wants a directory whose sides are those of the picture, which those of real icons are not always.
    fn bitmap(picture: &[u8], limits: &Limits) -> Result<Self, Error> {
        let mut header = Reader::new(picture);
        let header = (header.le32(), header.le32(), header.le32());
        let (Some(40 | 52 | 56 | 64 | 108 | 124), Some(width), Some(doubled)) = header else {
            return Err(Error::corrupt(
                "the icon's largest picture is neither PNG nor BMP",
            ));
        };
        // The mask is counted as rows of the picture.
        let size = check_size(width, doubled / 2, limits)?;
        let side = |side: u32| u8::try_from(side).unwrap_or(0);
        let length = u32::try_from(picture.len()).unwrap_or(u32::MAX);
        let mut icon = vec![
            0,
            0,
            1,
            0,
            1,
            0,
            side(size.width),
            side(size.height),
            0,
            0,
            1,
            0,
            0,
            0,
        ];
        icon.extend(length.to_le_bytes());
        icon.extend([22, 0, 0, 0]);
        icon.extend_from_slice(picture);
        Ok(Self::Bmp(icon))
    }
}

pub(crate) fn refused(error: &image::ImageError) -> Error {
    match error {
        image::ImageError::Unsupported(_) => {
            Error::unsupported(format!("the icon is not supported: {error}"))
        }
        image::ImageError::Decoding(_)
        | image::ImageError::Encoding(_)
        | image::ImageError::Parameter(_)
        | image::ImageError::Limits(_)
        | image::ImageError::IoError(_) => Error::corrupt(format!("the icon cannot be decoded: {error}")),
    }
}
