//! The units that an AV1 stream is made of (section 5.3 of the specification), read and written.
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

/// A temporal unit without its delimiter, which a file has no use for (AV1 in ISOBMFF 1.2, section 2.4).
pub(crate) fn without_delimiter(unit: &[u8]) -> Vec<u8> {
    let kept = units(unit).filter(|obu| obu.kind != TEMPORAL_DELIMITER);
    kept.flat_map(|obu| obu.whole).copied().collect()
}

/// A unit with its header and its size.
pub(crate) fn written(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut unit = vec![(kind << 3) | 2];
    let mut size = body.len();
    while size > 0x7F {
        unit.push(u8::try_from(size & 0x7F).unwrap_or(0) | 0x80);
        size >>= 7;
    }
    unit.push(u8::try_from(size).unwrap_or(0));
    unit.extend(body);
    unit
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

    /// A delimiter, the beginning of a sequence header, and a unit of another kind.
    const UNIT: [u8; 12] = [
        0x12,
        0,
        0x0A,
        5,
        0b0000_0000,
        0b0000_0000,
        0b0000_0000,
        0b0110_1100,
        0,
        0x32,
        1,
        7,
    ];

    #[test]
    fn units_are_read_as_they_were_written() {
        for size in [0, 1, 127, 128, 300, 16_384] {
            let body = vec![7; size];
            let unit = written(SEQUENCE_HEADER, &body);
            let read: Vec<_> = units(&unit).map(|unit| (unit.kind, unit.body)).collect();
            assert_eq!(read, [(SEQUENCE_HEADER, &body[..])]);
        }
    }

    #[test]
    fn only_the_delimiter_goes() {
        assert_eq!(without_delimiter(&UNIT), UNIT[2..]);
        assert_eq!(without_delimiter(&UNIT[2..]), UNIT[2..]);
    }
}
