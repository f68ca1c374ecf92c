//! The chunks of PNG (third edition, section 5.3).
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

use super::reader::Reader;

/// Name and content of the next chunk; its check sum is passed over. `None` when it is cut off.
pub(crate) fn chunk<'a>(reader: &mut Reader<'a>) -> Option<([u8; 4], &'a [u8])> {
    let length = usize::try_from(reader.be32()?).ok()?;
    let name = reader.four()?;
    let data = reader.take(length)?;
    reader.skip(4)?;
    Some((name, data))
}
