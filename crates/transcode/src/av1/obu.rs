//! The units that an AV1 stream is made of (AV1 bitstream and decoding process specification, section 5.3).
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

use crate::syntax::reader::Reader;

pub(crate) const SEQUENCE_HEADER: u8 = 1;
pub(crate) const TEMPORAL_DELIMITER: u8 = 2;
pub(crate) const FRAME: u8 = 6;

/// One open bitstream unit.
pub(crate) struct Obu<'a> {
    pub(crate) kind: u8,
    /// With its header.
    pub(crate) whole: &'a [u8],
    pub(crate) body: &'a [u8],
}

/// The units of `data`, up to the first that is broken.
pub(crate) fn units(data: &[u8]) -> impl Iterator<Item = Obu<'_>> {
    let mut rest = data;
    std::iter::from_fn(move || {
        let (unit, behind) = unit(rest)?;
        rest = behind;
        Some(unit)
    })
}

/// The content of the first unit of the kind `kind`.
pub(crate) fn find(data: &[u8], kind: u8) -> Option<&[u8]> {
    units(data).find(|unit| unit.kind == kind).map(|unit| unit.body)
}

fn unit(data: &[u8]) -> Option<(Obu<'_>, &[u8])> {
    let mut reader = Reader::new(data);
    let header = reader.u8()?;
    if header & 0x80 != 0 {
        return None;
    }
    if header & 4 != 0 {
        reader.u8()?;
    }
    let size = if header & 2 != 0 {
        leb128(&mut reader)?
    } else {
        reader.rest().len()
    };
    let body = reader.take(size)?;
    let rest = reader.rest();
    let whole = data.get(..data.len().checked_sub(rest.len())?)?;
    let kind = (header >> 3) & 0xF;
    Some((Obu { kind, whole, body }, rest))
}

fn leb128(reader: &mut Reader<'_>) -> Option<usize> {
    let mut value = 0u64;
    for shift in (0..56).step_by(7) {
        let byte = reader.u8()?;
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return usize::try_from(value).ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_end_where_the_stream_does() {
        assert_eq!(units(&[0x12, 0, 0x32, 0xFF, 0xFF]).count(), 1);
        assert_eq!(units(&[0x92, 0]).count(), 0);
        // The last unit may leave out its size.
        assert_eq!(
            units(&[0x12, 0, 0x30, 1, 2, 3]).last().unwrap().whole,
            [0x30, 1, 2, 3]
        );
        assert_eq!(
            units(&[0x32, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1]).count(),
            0
        );
    }
}
