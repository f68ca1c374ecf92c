//! The units of a scan (ITU-T T.81, annexes E, F and G), read to find missing ones.

mod fill;

use super::frame::{Scan, ScanComponent};
use super::sink::Sink;
use crate::Error;
use crate::jpeg::bits::{Bits, Stop};
use crate::jpeg::headers::Coding;
use crate::jpeg::table::Decoder;
use crate::jpeg::{RST0, RST7};

/// No picture has so large a coefficient: those of 8 bits per sample end at 1,024.
const MAX_DC: i32 = 4095;
/// Bytes of zero in a row that are storage which was never written.
const ZEROS: usize = 64;
/// The same where zeros end no blocks.
const HOLE: usize = 32;

/// The Huffman tables that are defined, by number.
#[derive(Default)]
pub(super) struct Tables {
    pub(super) dc: [Option<Decoder>; 4],
    pub(super) ac: [Option<Decoder>; 4],
}

pub(super) struct ScanReader<'a, S> {
    scan: &'a Scan,
    tables: &'a Tables,
    data: &'a [u8],
    bits: Bits<'a>,
    /// A bit for each coefficient that is not zero, for the blocks of a scan of AC.
    masks: &'a mut [u64],
    sink: S,
    is_sound: bool,
    state: State,
    /// The masks as they were before the interval, with their places.
    undo: Vec<(usize, u64)>,
}

/// The state that goes from unit to unit.
#[derive(Clone, Copy, Default)]
struct State {
    dc: [i32; 4],
    /// Number of blocks from here on that are known to have no more coefficients.
    run: u32,
}

pub(super) struct ReadScan<S> {
    pub(super) sink: S,
    /// True if no unit is missing.
    pub(super) is_whole: bool,
    /// True if no interval is there twice.
    pub(super) is_sound: bool,
    pub(super) stop: Stop,
}

/// The reasons why a unit cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// The data ends in it.
    Short,
    /// The bits are no code.
    Broken,
}

impl<'a, S: Sink> ScanReader<'a, S> {
    pub(super) fn new(
        scan: &'a Scan,
        tables: &'a Tables,
        (data, start): (&'a [u8], usize),
        masks: &'a mut [u64],
        sink: S,
    ) -> Self {
        Self {
            scan,
            tables,
            data,
            bits: Bits::new(data, start),
            masks,
            sink,
            is_sound: true,
            state: State::default(),
            undo: Vec::new(),
        }
    }

    /// Reads all units, in intervals of `interval` of them (0: without restarts), and fills in those that are missing.
    ///
    /// # Errors
    /// When damage may have moved what follows it: without restarts nothing tells where a unit belongs.
    pub(super) fn run(mut self, interval: usize) -> Result<ReadScan<S>, Error> {
        let units = self.scan.units;
        let interval = if interval == 0 { units } else { interval.min(units) };
        let count = units.div_ceil(interval);
        let (mut good, mut is_whole) = (0, true);
        let mut missing = 0;
        let mut end = None;
        for number in 0..count {
            let first = number * interval;
            let last = units.min(first + interval);
            self.state = State::default();
            if missing > 0 || end.is_some() {
                missing = usize::saturating_sub(missing, 1);
                self.fill(first..last);
                is_whole = false;
            } else {
                let (read, stop) = self.interval(number, first..last, count > 1)?;
                good += read;
                is_whole &= read == last - first;
                match stop {
                    Stop::Marker(code @ RST0..=RST7, at) => {
                        self.bits = Bits::new(self.data, behind(self.data, at));
                        missing = ahead(code, number);
                    }
                    stop => end = Some(stop),
                }
            }
            if number + 1 < count {
                self.sink.restart(number);
            }
        }
        if good == 0 && matches!(self.scan.coding, Coding::Sequential | Coding::FirstDc) {
            return Err(Error::corrupt("no part of the JPEG's picture can be read"));
        }
        let stop = match end {
            Some(stop) => stop,
            None => self.trailing()?,
        };
        Ok(ReadScan {
            sink: self.sink,
            is_whole,
            is_sound: self.is_sound,
            stop,
        })
    }

    /// Reads one interval and fills in the units that cannot be read; the number of right units, and the end of the data.
    fn interval(
        &mut self,
        number: usize,
        units: std::ops::Range<usize>,
        has_restarts: bool,
    ) -> Result<(usize, Stop), Error> {
        let mark = self.sink.mark();
        loop {
            self.state = State::default();
            self.undo.clear();
            let start = self.bits.position();
            let (next, trouble) = self.units(units.clone());
            let (stop, is_clean) = self.bits.stop();
            let data = match stop {
                Stop::Marker(_, at) => self.data.get(start..at),
                Stop::End => self.data.get(start..),
            };
            let has_hole = self.has_hole(data.unwrap_or_default(), trouble.is_some());
            if let Stop::Marker(code @ RST0..=RST7, at) = stop
                && matches!(ahead(code, number), 6 | 7)
            {
                // A marker or an interval that was there before.
                self.forget(mark);
                self.is_sound = false;
                self.bits = Bits::new(self.data, behind(self.data, at));
                continue;
            }
            match (trouble, stop) {
                (None, _) if is_clean && !has_hole => {}
                (Some(Trouble::Short), Stop::End) if !has_hole => self.fill(next..units.end),
                _ if has_restarts => {
                    self.forget(mark);
                    self.fill(units);
                    return Ok((0, stop));
                }
                _ if has_hole => {
                    return Err(Error::corrupt(
                        "the JPEG is damaged: a part of a scan was never written, and nothing tells where what follows \
                         belongs",
                    ));
                }
                (None, _) => {
                    return Err(Error::corrupt(format!(
                        "the JPEG is damaged: a scan has more data than its {} units",
                        units.end
                    )));
                }
                (Some(_), _) => {
                    return Err(Error::corrupt(format!(
                        "the JPEG is damaged: of the {} units of a scan {next} can be read, and nothing tells where \
                         those that follow belong",
                        units.end
                    )));
                }
            }
            if let Stop::Marker(code @ RST0..=RST7, _) = stop
                && ahead(code, number) > 2
            {
                return Err(Error::corrupt(
                    "the JPEG is damaged: its restart markers are out of order",
                ));
            }
            return Ok((next - units.start, stop));
        }
    }

    /// Tells whether the data of an interval contain storage that was never written. With most tables zeros are
    /// coefficients, never as many in a row; where they end blocks, they may be a plain picture, unless the interval
    /// `is_short`.
    fn has_hole(&self, data: &[u8], is_short: bool) -> bool {
        let are_ends = |part: &ScanComponent| {
            let table = self.tables.ac.get(part.ac).and_then(Option::as_ref);
            table.and_then(Decoder::of_zeros) == Some(0)
        };
        let is_odd = self.scan.coding == Coding::Sequential && !self.scan.parts.iter().all(are_ends);
        let most = match (is_odd, is_short) {
            (true, _) => HOLE,
            (false, true) => ZEROS,
            (false, false) => return false,
        };
        let filling = data.iter().rev().take_while(|&&byte| byte == 0).count();
        let written = data.len() - filling;
        let mut zeros = 0;
        data[..written].iter().any(|&byte| {
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            zeros >= most
        })
    }

    /// The end of the scan when a restart marker follows its last interval, as some encoders write it.
    fn trailing(&self) -> Result<Stop, Error> {
        match self.bits.stop() {
            (stop @ (Stop::End | Stop::Marker(0..=0xCF | 0xD8..=0xFF, _)), true) => Ok(stop),
            _ => Err(Error::corrupt(format!(
                "the JPEG is damaged: a scan has more data than its {} units",
                self.scan.units
            ))),
        }
    }

    /// Undoes the reading of an interval.
    fn forget(&mut self, mark: S::Mark) {
        self.sink.back_to(mark);
        self.state = State::default();
        self.restore(0);
    }

    fn restore(&mut self, length: usize) {
        for (block, mask) in self.undo.drain(length..).rev() {
            if let Some(place) = self.masks.get_mut(block) {
                *place = mask;
            }
        }
    }

    /// Reads units until one cannot be read, and tells which is next.
    fn units(&mut self, units: std::ops::Range<usize>) -> (usize, Option<Trouble>) {
        for unit in units.clone() {
            let (mark, state, undo) = (self.sink.mark(), self.state, self.undo.len());
            let read = self.unit(unit);
            if read.is_none() || self.bits.is_exhausted() {
                let trouble = if self.bits.is_near_end() {
                    Trouble::Short
                } else {
                    Trouble::Broken
                };
                self.sink.back_to(mark);
                self.state = state;
                self.restore(undo);
                return (unit, Some(trouble));
            }
        }
        (units.end, (self.state.run > 0).then_some(Trouble::Broken))
    }

    fn unit(&mut self, unit: usize) -> Option<()> {
        let scan = self.scan;
        for (place, part) in scan.parts.iter().enumerate() {
            for _ in 0..part.blocks_in_unit {
                match scan.coding {
                    Coding::Sequential => {
                        self.dc(place, part.dc)?;
                        self.sequential_ac(part.ac)?;
                    }
                    Coding::FirstDc => self.dc(place, part.dc)?,
                    Coding::NextDc => {
                        self.bit()?;
                    }
                    Coding::FirstAc => self.first_ac(part.ac, unit)?,
                    Coding::NextAc => self.refined_ac(part.ac, unit)?,
                }
            }
        }
        Some(())
    }

    fn dc(&mut self, place: usize, table: usize) -> Option<()> {
        let tables = self.tables;
        let symbol = self.bits.symbol(tables.dc.get(table)?.as_ref()?)?;
        let count = u32::from(symbol);
        if count > 15 {
            return None;
        }
        let value = self.bits.take(count);
        self.sink.dc(symbol);
        self.sink.bits(value, count);
        let value = i32::try_from(value).ok()?;
        let is_negative = count > 0 && value >> (count - 1) == 0;
        let difference = if is_negative {
            value - (1 << count) + 1
        } else {
            value
        };
        let dc = self.state.dc.get_mut(place)?;
        *dc += difference;
        (dc.abs() <= MAX_DC).then_some(())
    }

    fn ac_symbol(&mut self, table: usize) -> Option<(u32, u32)> {
        let tables = self.tables;
        let symbol = self.bits.symbol(tables.ac.get(table)?.as_ref()?)?;
        self.sink.ac(symbol);
        Some((u32::from(symbol >> 4), u32::from(symbol & 15)))
    }

    fn copy(&mut self, count: u32) -> u32 {
        let value = self.bits.take(count);
        self.sink.bits(value, count);
        value
    }

    fn bit(&mut self) -> Option<u32> {
        self.bits.fill();
        Some(self.copy(1))
    }

    fn sequential_ac(&mut self, table: usize) -> Option<()> {
        let mut at = 1;
        while at < 64 {
            match self.ac_symbol(table)? {
                (0, 0) => break,
                (15, 0) => at += 16,
                (_, 0) => return None,
                (zeros, count) => {
                    at += zeros + 1;
                    self.copy(count);
                }
            }
        }
        (at <= 64).then_some(())
    }

    fn set(&mut self, block: usize, mask: u64) -> Option<()> {
        let place = self.masks.get_mut(block)?;
        if *place != mask {
            self.undo.push((block, *place));
            *place = mask;
        }
        Some(())
    }

    fn first_ac(&mut self, table: usize, block: usize) -> Option<()> {
        if self.state.run > 0 {
            self.state.run -= 1;
            return Some(());
        }
        let (start, end) = self.scan.band;
        let mut mask = *self.masks.get(block)?;
        let mut at = start;
        while at <= end {
            match self.ac_symbol(table)? {
                (15, 0) => at += 16,
                (size, 0) => {
                    self.state.run = (1 << size) - 1 + self.copy(size);
                    break;
                }
                (zeros, count) => {
                    at += zeros;
                    self.copy(count);
                    mask |= 1u64.checked_shl(at).filter(|_| at <= end)?;
                    at += 1;
                }
            }
        }
        self.set(block, mask).filter(|()| at <= end + 1)
    }

    fn refined_ac(&mut self, table: usize, block: usize) -> Option<()> {
        let (start, end) = self.scan.band;
        let mut mask = *self.masks.get(block)?;
        let mut at = start;
        if self.state.run == 0 {
            while at <= end {
                let (mut zeros, count) = self.ac_symbol(table)?;
                let is_new = match (zeros, count) {
                    (15, 0) => false,
                    (size, 0) => {
                        self.state.run = (1 << size) + self.copy(size);
                        break;
                    }
                    (_, 1) => {
                        self.copy(1);
                        true
                    }
                    _ => return None,
                };
                while at <= end {
                    if mask >> at & 1 != 0 {
                        self.bit()?;
                    } else if zeros == 0 {
                        break;
                    } else {
                        zeros -= 1;
                    }
                    at += 1;
                }
                if at > end {
                    return None;
                }
                if is_new {
                    mask |= 1 << at;
                }
                at += 1;
            }
        }
        if self.state.run > 0 {
            for at in at..=end {
                if mask >> at & 1 != 0 {
                    self.bit()?;
                }
            }
            self.state.run -= 1;
        }
        self.set(block, mask)
    }
}

/// The number of intervals, modulo 8, by which the restart marker `code` is ahead of the one that ends interval
/// `number`.
fn ahead(code: u8, number: usize) -> usize {
    (usize::from(code & 7) + 8 - number % 8) % 8
}

/// The place behind the marker that begins at `at`.
pub(super) fn behind(data: &[u8], at: usize) -> usize {
    let rest = data.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|&&byte| byte == 255).count() + 1
}

/// The number of bytes at the end of `data` that were never written: zeros, at least [`ZEROS`] of them, or else 0.
pub(super) fn trailing_zeros(data: &[u8]) -> usize {
    let zeros = data.iter().rev().take_while(|&&byte| byte == 0).count();
    if zeros >= ZEROS { zeros } else { 0 }
}
