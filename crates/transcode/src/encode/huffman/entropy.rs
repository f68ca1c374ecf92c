//! The bits of a scan (ITU-T T.81, Annex F): a zero is stuffed behind each byte of 255.

use crate::header::jpeg::EOI;

/// Bits of entropy-coded data, without the zeros that are stuffed behind 255.
pub(in crate::encode) struct BitReader<'a> {
    data: &'a [u8],
    at: usize,
    /// The last `held` bits are those that come next.
    bits: u64,
    held: u32,
    /// Zeros that were added behind the end.
    added: u32,
}

impl<'a> BitReader<'a> {
    pub(in crate::encode) const fn new(data: &'a [u8]) -> Self {
        Self {
            data,
            at: 0,
            bits: 0,
            held: 0,
            added: 0,
        }
    }

    /// Makes sure of 32 bits: the longest code and what follows it.
    pub(in crate::encode) fn fill(&mut self) {
        while self.held <= 56 {
            let byte = match (self.data.get(self.at), self.data.get(self.at + 1)) {
                (Some(255), Some(0)) => {
                    self.at += 2;
                    255
                }
                (Some(255), _) | (None, _) => {
                    self.added += 8;
                    0
                }
                (Some(&byte), _) => {
                    self.at += 1;
                    byte
                }
            };
            self.bits = (self.bits << 8) | u64::from(byte);
            self.held += 8;
        }
    }

    /// The next 16 bits.
    pub(in crate::encode) fn peek(&self) -> usize {
        ((self.bits >> (self.held - 16)) & 0xFFFF) as usize
    }

    pub(in crate::encode) const fn skip(&mut self, count: u32) {
        self.held -= count;
    }

    #[expect(clippy::cast_possible_truncation, reason = "at most 15 bits are taken")]
    pub(in crate::encode) const fn take(&mut self, count: u32) -> u32 {
        self.held -= count;
        ((self.bits >> self.held) & ((1 << count) - 1)) as u32
    }

    /// Whether nothing behind the end was read, and only the end is left.
    pub(in crate::encode) fn is_whole(&self) -> bool {
        self.is_within() && self.data.get(self.at..) == Some(&[0xFF, EOI])
    }

    /// Whether all data were read but for less than a byte, and nothing behind them.
    pub(in crate::encode) fn is_at_end(&self) -> bool {
        self.is_within() && self.at == self.data.len()
    }

    fn is_within(&self) -> bool {
        self.held >= self.added && self.held - self.added < 8
    }
}

/// The other direction, behind what is in `data` already.
pub(in crate::encode) struct BitWriter {
    data: Vec<u8>,
    bits: u64,
    held: u32,
}

impl BitWriter {
    pub(in crate::encode) const fn new(data: Vec<u8>) -> Self {
        Self {
            data,
            bits: 0,
            held: 0,
        }
    }

    /// Up to 32 bits.
    pub(in crate::encode) fn put(&mut self, value: u64, count: u32) {
        self.bits = (self.bits << count) | value;
        self.held += count;
        while self.held >= 8 {
            self.held -= 8;
            let byte = (self.bits >> self.held).to_le_bytes()[0];
            self.data.push(byte);
            if byte == 255 {
                self.data.push(0);
            }
        }
    }

    /// Fills up the last byte with ones, and adds a marker.
    pub(in crate::encode) fn mark(&mut self, marker: u8) {
        let missing = (8 - self.held % 8) % 8;
        self.put((1 << missing) - 1, missing);
        self.data.extend([0xFF, marker]);
    }

    /// Fills up the last byte with ones.
    pub(in crate::encode) fn finish(mut self) -> Vec<u8> {
        self.put(0x7F, 7);
        self.data
    }
}
