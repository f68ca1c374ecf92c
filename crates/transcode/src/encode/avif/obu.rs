//! The parts of an AV1 bitstream that a container has to know (AV1 bitstream and decoding process specification,
//! section 5).
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

use crate::av1::obu::{SEQUENCE_HEADER, TEMPORAL_DELIMITER, find, units};
use crate::syntax::bits::Bits;

/// The parts of a sequence header that a container repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SequenceHeader {
    pub(super) profile: u8,
    pub(super) level: u8,
    pub(super) is_high_tier: bool,
    pub(super) is_monochrome: bool,
}

impl SequenceHeader {
    /// Finds it in a temporal unit; `None` when there is none, or one with what libaom does not write.
    pub(super) fn find(unit: &[u8], is_monochrome: bool) -> Option<Self> {
        let mut bits = Bits::new(find(unit, SEQUENCE_HEADER)?);
        let profile = bits.take(3)?;
        let is_still_or_reduced = bits.take(2)?;
        let timing_and_delay = bits.take(2)?;
        let more_operating_points = bits.take(5)?;
        if is_still_or_reduced != 0 || timing_and_delay != 0 || more_operating_points != 0 {
            return None;
        }
        bits.take(12)?;
        let level = bits.take(5)?;
        Some(Self {
            profile: u8::try_from(profile).ok()?,
            level: u8::try_from(level).ok()?,
            is_high_tier: level > 7 && bits.take(1)? == 1,
            is_monochrome,
        })
    }
}

/// A temporal unit without its delimiter, which a file has no use for (AV1 in ISOBMFF 1.2, section 2.4).
pub(super) fn without_delimiter(unit: &[u8]) -> Vec<u8> {
    let kept = units(unit).filter(|obu| obu.kind != TEMPORAL_DELIMITER);
    kept.flat_map(|obu| obu.whole).copied().collect()
}

/// A unit with its header and its size.
pub(super) fn unit(kind: u8, body: &[u8]) -> Vec<u8> {
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

    /// A delimiter, a sequence header of profile 0, level 13 and high tier, and a unit of another kind.
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
    fn the_sequence_header_is_found() {
        let header = SequenceHeader::find(&UNIT, true).unwrap();
        assert_eq!((header.profile, header.level), (0, 13));
        assert!(header.is_high_tier && header.is_monochrome);
        assert_eq!(SequenceHeader::find(&UNIT[..8], true), None);
        assert_eq!(SequenceHeader::find(&UNIT[9..], true), None);
    }

    #[test]
    fn units_are_read_as_they_were_written() {
        for size in [0, 1, 127, 128, 300, 16_384] {
            let body = vec![7; size];
            let written = unit(SEQUENCE_HEADER, &body);
            let read: Vec<_> = units(&written).map(|unit| (unit.kind, unit.body)).collect();
            assert_eq!(read, [(SEQUENCE_HEADER, &body[..])]);
        }
    }

    #[test]
    fn only_the_delimiter_goes() {
        assert_eq!(without_delimiter(&UNIT), UNIT[2..]);
        assert_eq!(without_delimiter(&UNIT[2..]), UNIT[2..]);
    }
}
