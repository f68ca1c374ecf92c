//! Bits of a header, the most significant first.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

use std::iter;
use std::ops::Range;

pub(crate) struct Bits<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    pub(crate) const fn new(data: &'a [u8]) -> Self {
        Self::from(data, 0)
    }

    /// From that bit on.
    pub(crate) const fn from(data: &'a [u8], at: usize) -> Self {
        Self { data, at }
    }

    pub(crate) fn flag(&mut self) -> Option<bool> {
        let byte = *self.data.get(self.at >> 3)?;
        let shift = 7u32.checked_sub(u32::try_from(self.at & 7).ok()?)?;
        self.at = self.at.checked_add(1)?;
        Some((byte >> shift) & 1 != 0)
    }

    /// The number of bits that were taken.
    pub(crate) const fn position(&self) -> usize {
        self.at
    }

    /// An unsigned number of up to 32 bits.
    pub(crate) fn take(&mut self, count: u32) -> Option<u32> {
        let mut value = 0u32;
        for _ in 0..count {
            value = (value << 1) | u32::from(self.flag()?);
        }
        Some(value)
    }

    pub(crate) fn skip(&mut self, count: u32) -> Option<()> {
        for _ in 0..count {
            self.flag()?;
        }
        Some(())
    }

    /// An exponential-Golomb number (H.265 section 9.2); AV1's uvlc (section 4.10.3) is the same.
    pub(crate) fn golomb(&mut self) -> Option<u32> {
        let mut zeros = 0u32;
        while !self.flag()? {
            zeros = zeros.checked_add(1)?;
        }
        if zeros >= 32 {
            return None;
        }
        let base = 1u32.checked_shl(zeros)?.checked_sub(1)?;
        base.checked_add(self.take(zeros)?)
    }
}

/// Writes the bits of a header. It holds each bit in a byte of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Writer {
    bits: Vec<bool>,
}

impl Writer {
    /// The bits of `data` in that range; those past its end are left out.
    pub(crate) fn of(data: &[u8], range: Range<usize>) -> Self {
        let mut bits = Bits::from(data, range.start);
        Self {
            bits: range.map_while(|_| bits.flag()).collect(),
        }
    }

    pub(crate) fn put(&mut self, value: u32, count: u32) -> &mut Self {
        let bits = (0..count).rev();
        self.bits
            .extend(bits.map(|bit| value.checked_shr(bit).unwrap_or(0) & 1 != 0));
        self
    }

    pub(crate) fn append(&mut self, other: &Self) -> &mut Self {
        self.bits.extend(&other.bits);
        self
    }

    #[cfg(test)]
    pub(crate) fn golomb(&mut self, values: &[u32]) -> &mut Self {
        for value in values {
            let length = 32 - (value + 1).leading_zeros();
            self.put(0, length - 1).put(value + 1, length);
        }
        self
    }

    /// Filled up with zeros to whole bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let byte = |bits: &[bool]| {
            let padded = bits.iter().copied().chain(iter::repeat(false)).take(8);
            padded.fold(0, |byte, bit| (byte << 1) | u8::from(bit))
        };
        self.bits.chunks(8).map(byte).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_and_never_past_the_end() {
        // 1, 010, 011, 00100 and 0000
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0000]);
        assert_eq!(
            [bits.golomb(), bits.golomb(), bits.golomb()],
            [Some(0), Some(1), Some(2)]
        );
        assert_eq!(bits.golomb(), Some(3));
        assert_eq!(bits.golomb(), None);
        assert_eq!(Bits::new(&[0; 9]).golomb(), None);
        assert_eq!(Bits::new(&[0xA5, 0x3C]).take(12), Some(0xA53));
        assert_eq!(Bits::new(&[0xA5]).take(9), None);
    }

    #[test]
    fn bits_are_copied_to_wherever_the_writer_is() {
        let mut writer = Writer::default();
        writer
            .put(0b11, 2)
            .append(&Writer::of(&[0b0001_0110, 0b1100_0000], 3..10));
        assert_eq!(writer.bytes(), [0b1110_1101, 0b1000_0000]);
        writer.append(&Writer::of(&[0xFF], 7..9));
        assert_eq!(writer.bytes(), [0b1110_1101, 0b1100_0000]);
    }
}
