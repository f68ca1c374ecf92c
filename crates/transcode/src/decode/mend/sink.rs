//! The symbols of a scan, written again.

use super::frame::{Coding, Scan};

/// Takes what is read of a scan.
pub(super) trait Sink {
    /// A place to come back to.
    type Mark: Copy;
    fn mark(&self) -> Self::Mark;
    fn back_to(&mut self, mark: Self::Mark);
    fn dc(&mut self, symbol: u8);
    fn ac(&mut self, symbol: u8);
    fn bits(&mut self, value: u32, count: u32);
    fn restart(&mut self, number: usize);
}

/// For a file that is only looked at.
pub(super) struct Nowhere;

impl Sink for Nowhere {
    type Mark = ();
    fn mark(&self) {}
    fn back_to(&mut self, (): ()) {}
    fn dc(&mut self, _: u8) {}
    fn ac(&mut self, _: u8) {}
    fn bits(&mut self, _: u32, _: u32) {}
    fn restart(&mut self, _: usize) {}
}

/// Writes with tables that have a code for every symbol, so that whatever is missing can be written.
pub(super) struct Rewritten {
    pub(super) file: Vec<u8>,
    bits: u64,
    held: u32,
}

/// Codes of all symbols of DC have this many bits.
const DC_BITS: u8 = 5;

impl Rewritten {
    /// Goes on behind `file`, where the header of `scan` comes next.
    pub(super) fn new(mut file: Vec<u8>, scan: &Scan) -> Self {
        let has_dc = !matches!(scan.coding, Coding::FirstAc | Coding::RefinedAc);
        let has_ac = !matches!(scan.coding, Coding::FirstDc | Coding::RefinedDc);
        for part in &scan.parts {
            if has_dc {
                define(&mut file, part.dc, DC_BITS, 16);
            }
            if has_ac {
                define(&mut file, 0x10 | part.ac, 8, 255);
            }
        }
        Self {
            file,
            bits: 0,
            held: 0,
        }
    }

    /// Fills up the last byte with ones.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.align();
        self.file
    }

    fn align(&mut self) {
        let gap = (8 - self.held % 8) % 8;
        self.bits((1 << gap) - 1, gap);
    }
}

/// Writes a table of `count` symbols from 0 on, all with codes of `bits`.
fn define(file: &mut Vec<u8>, id: usize, bits: u8, count: u8) {
    let mut lengths = [0; 16];
    lengths[usize::from(bits) - 1] = count;
    let size = 2 + 1 + 16 + u16::from(count);
    file.extend([0xFF, 0xC4]);
    file.extend(size.to_be_bytes());
    file.push(u8::try_from(id).unwrap_or(0));
    file.extend(lengths);
    file.extend(0..count);
}

impl Sink for Rewritten {
    type Mark = (usize, u64, u32);

    fn mark(&self) -> Self::Mark {
        (self.file.len(), self.bits, self.held)
    }

    fn back_to(&mut self, (length, bits, held): Self::Mark) {
        self.file.truncate(length);
        (self.bits, self.held) = (bits, held);
    }

    fn dc(&mut self, symbol: u8) {
        self.bits(symbol.into(), DC_BITS.into());
    }

    fn ac(&mut self, symbol: u8) {
        self.bits(symbol.into(), 8);
    }

    fn bits(&mut self, value: u32, count: u32) {
        self.bits = (self.bits << count) | u64::from(value);
        self.held += count;
        while self.held >= 8 {
            self.held -= 8;
            let byte = (self.bits >> self.held).to_le_bytes()[0];
            self.file.push(byte);
            if byte == 255 {
                self.file.push(0);
            }
        }
    }

    fn restart(&mut self, number: usize) {
        self.align();
        self.file
            .extend([0xFF, 0xD0 | u8::try_from(number % 8).unwrap_or(0)]);
    }
}
