//! ICO: the directory, and the header of its largest picture, which is a PNG or a BMP without a file header.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

use std::io::Cursor;

use image::codecs::ico::IcoDecoder;
use tintype_model::{Dimensions, Limits};

use crate::Error;
use crate::header::{ParsedHeader, check_size};
use crate::read::png;
use crate::syntax::reader::Reader;

/// The largest picture of an icon.
pub(crate) enum Entry<'a> {
    Png(&'a [u8]),
    Bmp {
        /// An icon that holds a BMP alone.
        icon: Vec<u8>,
        /// The bytes behind its colours: a bit for each pixel, as far as they are there.
        mask: &'a [u8],
        /// True if its pixels have room for alpha.
        has_alpha: bool,
    },
}

/// `\0\0\x01\0` begins other files too: the first picture has to lie behind the directory.
pub(super) fn is_icon(source: &[u8]) -> bool {
    is_directory(source, 1)
}

/// A directory of icons (1) or of cursors (2).
pub(crate) fn is_directory(source: &[u8], kind: u16) -> bool {
    let mut reader = Reader::new(source);
    let directory = (reader.le16(), reader.le16(), reader.le16());
    let (Some(0), Some(parsed), Some(count @ 1..)) = directory else {
        return false;
    };
    if parsed != kind {
        return false;
    }
    let first = Reader::at(source, 18)
        .le32()
        .and_then(|first| usize::try_from(first).ok());
    let behind = usize::from(count).saturating_mul(16).saturating_add(6);
    first.is_some_and(|first| first >= behind)
}

pub(super) fn parse(source: &[u8], limits: &Limits) -> Result<ParsedHeader, Error> {
    match Entry::largest(source, limits)? {
        Entry::Png(png) => {
            let parsed = png::parse(png, limits)?;
            Ok(ParsedHeader { frames: 1, ..parsed })
        }
        Entry::Bmp { icon, .. } => {
            let decoder = IcoDecoder::new(Cursor::new(&icon[..])).map_err(|error| refused(&error))?;
            let (width, height) = image::ImageDecoder::dimensions(&decoder);
            Ok(ParsedHeader {
                size: check_size(width, height, limits)?,
                has_alpha: true,
                frames: 1,
                bit_depth: 8,
                ..ParsedHeader::default()
            })
        }
    }
}

const PNG: &[u8] = b"\x89PNG\r\n\x1A\n";

/// Bits for each pixel of a picture whose entry leaves them out.
fn own_bits(source: &[u8], offset: u32) -> u16 {
    let picture = usize::try_from(offset)
        .ok()
        .and_then(|offset| source.get(offset..));
    match picture.unwrap_or_default() {
        picture if picture.starts_with(PNG) => 32,
        picture => Reader::at(picture, 14).le16().unwrap_or(0),
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
            let bits = if bits == 0 { own_bits(source, offset) } else { bits };
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
        if picture.starts_with(PNG) {
            return Ok(Self::Png(picture));
        }
        Self::bitmap(picture, limits)
    }

    /// The decoder wants a directory whose sides are those of the picture, which those of real icons are not always; and
    /// no mask, which it would apply to pixels that have alpha as well.
    fn bitmap(picture: &'a [u8], limits: &Limits) -> Result<Self, Error> {
        let mut header = Reader::new(picture);
        let header = (header.le32(), header.le32(), header.le32());
        let (Some(40 | 52 | 56 | 64 | 108 | 124), Some(width), Some(doubled)) = header else {
            return Err(Error::corrupt(
                "the icon's largest picture is neither PNG nor BMP",
            ));
        };
        // The mask is counted as rows of the picture.
        let size = check_size(width, doubled / 2, limits)?;
        let end = colors_end(picture, size).filter(|&end| end <= picture.len());
        let (colors, mask) = picture.split_at(end.unwrap_or(picture.len()));
        let side = |side: u32| u8::try_from(side).unwrap_or(0);
        let length = u32::try_from(colors.len()).unwrap_or(u32::MAX);
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
        icon.extend_from_slice(colors);
        Ok(Self::Bmp {
            icon,
            mask,
            has_alpha: has_alpha(picture),
        })
    }
}

/// Tells whether the pixels have 32 bits, and not three masks that leave out eight of them.
fn has_alpha(picture: &[u8]) -> bool {
    let mut fields = Reader::at(picture, 14);
    let (bits, compression) = (fields.le16(), fields.le32());
    let has_short_header = Reader::new(picture).le32() == Some(40);
    bits == Some(32) && !(compression == Some(3) && has_short_header)
}

/// The end of the colours of an uncompressed picture, which has `size` without its mask.
fn colors_end(picture: &[u8], size: Dimensions) -> Option<usize> {
    let header_bytes = Reader::new(picture).le32()?;
    let mut fields = Reader::at(picture, 14);
    let (bits, compression) = (u32::from(fields.le16()?), fields.le32()?);
    let used = Reader::at(picture, 32).le32()?;
    let palette = match (bits, used) {
        (0, _) => return None,
        (1..=8, 0) => 1u32 << bits,
        (1..=8, used) => used,
        _ => 0,
    };
    let masks = match (compression, header_bytes) {
        (0, _) => 0,
        (3, 52 | 56) => 0,
        (3, _) => 12,
        _ => return None,
    };
    let row = u64::from(size.width)
        .checked_mul(bits.into())?
        .div_ceil(32)
        .checked_mul(4)?;
    let head = u64::from(header_bytes)
        .checked_add(masks)?
        .checked_add(u64::from(palette).checked_mul(4)?)?;
    usize::try_from(row.checked_mul(size.height.into())?.checked_add(head)?).ok()
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
