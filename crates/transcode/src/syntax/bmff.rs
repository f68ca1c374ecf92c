//! Boxes of the ISO base media file format (ISO/IEC 14496-12 section 4.2), which HEIF and JPEG XL files consist of.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

use std::ops::Range;

use super::reader::Reader;

/// Type and body of a box, and what follows it.
pub(crate) type Split<'a> = ([u8; 4], &'a [u8], &'a [u8]);

/// The first box; `None` when it does not end within `data`.
pub(crate) fn first(data: &[u8]) -> Option<Split<'_>> {
    let (kind, Range { start, end }) = place(data)?;
    Some((kind, data.get(start..end)?, data.get(end..)?))
}

/// The first box, or as much of it as there is.
pub(crate) fn first_or_cut(data: &[u8]) -> Option<Split<'_>> {
    let (kind, Range { start, end }) = place(data)?;
    let end = end.min(data.len());
    Some((kind, data.get(start..end)?, data.get(end..)?))
}

/// The type of the first box and where its body is, which may end behind `data`.
fn place(data: &[u8]) -> Option<([u8; 4], Range<usize>)> {
    let mut reader = Reader::new(data);
    let size = reader.be32()?;
    let kind = reader.four()?;
    let body = match size {
        // To the end of the file.
        0 => 8..data.len(),
        1 => 16..usize::try_from(reader.be64()?).ok()?,
        size => 8..usize::try_from(size).ok()?,
    };
    Some((kind, body))
}
