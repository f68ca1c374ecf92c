//! The container of WebP (RFC 9649 section 2): its chunks, read and written.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

use tintype_model::Dimensions;

use super::reader::Reader;
use crate::Error;

/// Name and content.
pub(crate) type Chunk<'a> = ([u8; 4], &'a [u8]);

/// Flags of a `VP8X` chunk.
pub(crate) const ANIMATED: u8 = 0b10;
pub(crate) const ALPHA: u8 = 0b1_0000;
pub(crate) const PROFILE: u8 = 0b10_0000;

/// The chunks of the container. Bytes behind it do not belong to it, and need not be chunks.
pub(crate) fn chunks(source: &[u8]) -> Result<Reader<'_>, Error> {
    let mut reader = Reader::at(source, 4);
    let announced = reader.le32().unwrap_or(0);
    let body = reader.rest();
    let length = usize::try_from(announced).map_err(|_| cut())?;
    // Some writers leave out the padding byte at the end, and some do not count it.
    if length > body.len().saturating_add(1) {
        return Err(Error::corrupt(format!(
            "the WebP is cut off: it says {announced} bytes and has {}",
            body.len()
        )));
    }
    let mut chunks = Reader::new(body.get(..length).unwrap_or(body));
    chunks.skip(4).ok_or_else(cut)?;
    Ok(chunks)
}

/// A chunk, without its padding; `None` at the end of the file.
pub(crate) fn chunk<'a>(reader: &mut Reader<'a>) -> Result<Option<Chunk<'a>>, Error> {
    if reader.rest().len() < 8 {
        return Ok(None);
    }
    let name = reader.four().ok_or_else(cut)?;
    let length = reader.le32().ok_or_else(cut)?;
    let length = usize::try_from(length).map_err(|_| cut())?;
    let data = reader.take(length).ok_or_else(cut)?;
    if length % 2 == 1 && !reader.rest().is_empty() {
        reader.skip(1).ok_or_else(cut)?;
    }
    Ok(Some((name, data)))
}

/// The error for a file that ends early.
pub(crate) fn cut() -> Error {
    Error::corrupt("the WebP is cut off")
}

/// A file of these chunks, with the chunks in `rest` behind them as they are.
pub(crate) fn file(chunks: &[Chunk<'_>], rest: &[u8]) -> Vec<u8> {
    let mut file = b"RIFF\0\0\0\0WEBP".to_vec();
    for (name, data) in chunks {
        file.extend_from_slice(name);
        file.extend(length(data.len()));
        file.extend_from_slice(data);
        // Padded to an even length.
        if data.len() % 2 == 1 {
            file.push(0);
        }
    }
    file.extend_from_slice(rest);
    let body = length(file.len().saturating_sub(8));
    if let Some(field) = file.get_mut(4..8) {
        field.copy_from_slice(&body);
    }
    file
}

/// The content of a `VP8X` chunk.
pub(crate) fn extended(size: Dimensions, flags: u8) -> Vec<u8> {
    let sides = [size.width, size.height];
    let [width, height] = sides.map(|side| side.saturating_sub(1).to_le_bytes());
    [&[flags, 0, 0, 0], &width[..3], &height[..3]].concat()
}

/// Chunks come from a file that counts its bytes in the same 32 bits, or from our encoder, which does.
fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes()
}
