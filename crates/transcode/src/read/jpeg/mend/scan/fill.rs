//! Missing units, written with coefficients that add nothing to the picture.

use super::{ScanReader, Sink};
use crate::jpeg::headers::Coding;

impl<S: Sink> ScanReader<'_, S> {
    /// The whole scan with missing units only.
    pub(crate) fn filled(mut self) -> S {
        self.fill(0..self.scan.units);
        self.sink
    }

    /// Writes units that say nothing: the middle of all values, or what earlier scans said.
    pub(super) fn fill(&mut self, units: std::ops::Range<usize>) {
        let scan = self.scan;
        for unit in units {
            for (place, part) in scan.parts.iter().enumerate() {
                for _ in 0..part.blocks_in_unit {
                    self.fill_block(place, unit);
                }
            }
        }
    }

    fn fill_block(&mut self, place: usize, block: usize) {
        match self.scan.coding {
            Coding::Sequential => {
                self.fill_dc(place);
                self.sink.ac(0);
            }
            Coding::FirstDc => self.fill_dc(place),
            Coding::NextDc => self.sink.bits(0, 1),
            Coding::FirstAc if self.state.run > 0 => self.state.run -= 1,
            Coding::FirstAc => self.sink.ac(0),
            Coding::NextAc => {
                if self.state.run == 0 {
                    self.sink.ac(0);
                    self.state.run = 1;
                }
                let mask = self.masks.get(block).copied().unwrap_or(0);
                let (start, end) = self.scan.band;
                for _ in (start..=end).filter(|at| mask >> at & 1 != 0) {
                    self.sink.bits(0, 1);
                }
                self.state.run -= 1;
            }
        }
    }

    fn fill_dc(&mut self, place: usize) {
        let difference = -std::mem::take(&mut self.state.dc[place]);
        let count = u32::BITS - difference.unsigned_abs().leading_zeros();
        let value = if difference < 0 {
            difference + (1 << count) - 1
        } else {
            difference
        };
        self.sink.dc(u8::try_from(count).unwrap_or(0));
        self.sink.bits(value.unsigned_abs(), count);
    }
}
