//! The symbols of a scan, written again.

use super::frame::Scan;
use crate::jpeg::bits::{BitWriter, Place};
use crate::jpeg::headers::Coding;
use crate::jpeg::{DHT, RST0, push_segment};

/// Receives the symbols of a scan.
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

/// Keeps nothing, for a file that is only examined.
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
    bits: BitWriter,
}

/// Codes of all symbols of DC have this many bits.
const DC_BITS: u8 = 5;

impl Rewritten {
    /// Goes on behind `file` with the tables of `scan` and its `header`.
    pub(super) fn new(mut file: Vec<u8>, scan: &Scan, header: &[u8]) -> Self {
        let has_dc = !matches!(scan.coding, Coding::FirstAc | Coding::NextAc);
        let has_ac = !matches!(scan.coding, Coding::FirstDc | Coding::NextDc);
        for part in &scan.parts {
            if has_dc {
                define(&mut file, part.dc, DC_BITS, 16);
            }
            if has_ac {
                define(&mut file, 0x10 | part.ac, 8, 255);
            }
        }
        file.extend_from_slice(header);
        Self {
            bits: BitWriter::new(file),
        }
    }

    /// Fills up the last byte with ones.
    pub(super) fn finish(self) -> Vec<u8> {
        self.bits.finish()
    }
}

/// Writes a table of `count` symbols from 0 on, all with codes of `bits`.
fn define(file: &mut Vec<u8>, name: usize, bits: u8, count: u8) {
    let mut table = vec![u8::try_from(name).unwrap_or(0)];
    table.extend((1..=16).map(|length| if length == bits { count } else { 0 }));
    table.extend(0..count);
    push_segment(file, DHT, &table);
}

impl Sink for Rewritten {
    type Mark = Place;

    fn mark(&self) -> Place {
        self.bits.place()
    }

    fn back_to(&mut self, place: Place) {
        self.bits.back_to(place);
    }

    fn dc(&mut self, symbol: u8) {
        self.bits(symbol.into(), DC_BITS.into());
    }

    fn ac(&mut self, symbol: u8) {
        self.bits(symbol.into(), 8);
    }

    fn bits(&mut self, value: u32, count: u32) {
        self.bits.put(value.into(), count);
    }

    fn restart(&mut self, number: usize) {
        self.bits.mark(RST0 | u8::try_from(number % 8).unwrap_or(0));
    }
}
