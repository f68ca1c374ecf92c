//! The bits of a scan (ITU-T T.81, annex F): a zero is stuffed behind each byte of 255.

use super::table::Decoder;
use super::{EOI, RST0, RST7};
use crate::syntax::reader::Reader;

/// Entropy-coded data, without the zeros that are stuffed behind 255. Behind its end there are zeros.
#[derive(Clone)]
pub(crate) struct Bits<'a> {
    data: &'a [u8],
    /// The byte that comes next; at the end of the data, or at a marker, it stays there.
    at: usize,
    /// The last `held` bits are those that come next.
    bits: u64,
    held: u32,
    /// Zeros that were added behind the end.
    added: u32,
}

/// The end of entropy-coded data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// At a marker: its code, and where it begins in the file.
    Marker(u8, usize),
    /// At the end of the file.
    End,
}

impl<'a> Bits<'a> {
    pub(crate) const fn new(data: &'a [u8], at: usize) -> Self {
        Self {
            data,
            at,
            bits: 0,
            held: 0,
            added: 0,
        }
    }

    /// The byte that comes next where no bit was read yet.
    pub(crate) const fn position(&self) -> usize {
        self.at
    }

    /// Makes sure of 32 bits: the longest code and what follows it.
    pub(crate) fn fill(&mut self) {
        if self.held >= 32 {
            return;
        }
        let next = self.data.get(self.at..).and_then(|rest| rest.first_chunk::<4>());
        if let Some(bytes) = next.filter(|bytes| !bytes.contains(&255)) {
            self.bits = (self.bits << 32) | u64::from(u32::from_be_bytes(*bytes));
            self.held += 32;
            self.at += 4;
            return;
        }
        while self.held <= 56 {
            let byte = match next_byte(self.data, self.at) {
                Some((byte, behind)) => {
                    self.at = behind;
                    byte
                }
                None => {
                    self.added += 8;
                    0
                }
            };
            self.bits = (self.bits << 8) | u64::from(byte);
            self.held += 8;
        }
    }

    /// Up to 16 bits; there have to be as many ([`Self::fill`]).
    #[expect(clippy::cast_possible_truncation, reason = "at most 16 bits are taken")]
    pub(crate) const fn take(&mut self, count: u32) -> u32 {
        self.held -= count;
        ((self.bits >> self.held) & ((1 << count) - 1)) as u32
    }

    /// The next symbol, with 16 bits behind it to take; `None` for bits that are no code.
    pub(crate) fn symbol(&mut self, table: &Decoder) -> Option<u8> {
        self.fill();
        let ahead = ((self.bits >> (self.held - 16)) & 0xFFFF) as usize;
        let (length, symbol) = table.find(ahead)?;
        self.held -= length;
        Some(symbol)
    }

    /// Tells whether more bits were taken than the data has.
    pub(crate) const fn is_exhausted(&self) -> bool {
        self.held < self.added
    }

    /// Tells whether the next code may be cut off.
    pub(crate) const fn is_near_end(&self) -> bool {
        self.held < self.added + 16
    }

    /// Tells whether all data were read but for less than a byte, and nothing behind them.
    pub(crate) fn is_at_end(&self) -> bool {
        self.is_within_a_byte() && self.at == self.data.len()
    }

    /// The same, where the data ends at the end marker of the file.
    pub(crate) fn is_at_end_marker(&self) -> bool {
        self.is_within_a_byte() && self.data.get(self.at..) == Some(&[0xFF, EOI])
    }

    fn is_within_a_byte(&self) -> bool {
        !self.is_exhausted() && self.held - self.added < 8
    }

    /// The end of the data, and whether nothing but filling is left before it.
    ///
    /// Encoders pad with zeros or ones, and some old cameras leave a byte or two behind, which no unit fits into.
    pub(crate) fn stop(&self) -> (Stop, bool) {
        let whole = self.held.saturating_sub(self.added) / 8;
        let behind = (0..whole).map(|byte| (self.bits >> (self.added + 8 * byte)).to_le_bytes()[0]);
        let (mut count, mut is_filling) = (0usize, true);
        let mut note = |byte: u8| {
            count += 1;
            is_filling &= matches!(byte, 0 | 255);
        };
        behind.for_each(&mut note);
        let mut at = self.at;
        while let Some((byte, behind)) = next_byte(self.data, at) {
            note(byte);
            at = behind;
        }
        let is_clean = is_filling || count <= 2;
        (stop_at(self.data, at), is_clean)
    }
}

/// A byte of data, and where the next one is; `None` at a marker and at the end.
fn next_byte(data: &[u8], at: usize) -> Option<(u8, usize)> {
    match *data.get(at)? {
        255 => {
            let behind = data.get(at..)?.iter().position(|&byte| byte != 255)?;
            (data.get(at + behind)? == &0).then_some((255, at + behind + 1))
        }
        byte => Some((byte, at + 1)),
    }
}

fn stop_at(data: &[u8], at: usize) -> Stop {
    let rest = data.get(at..).unwrap_or_default();
    let code = rest.iter().find(|&&byte| byte != 255);
    code.map_or(Stop::End, |&code| Stop::Marker(code, at))
}

/// The first marker from `at` on that is no restart.
pub(crate) fn scan_end(data: &[u8], at: usize) -> Stop {
    let mut reader = Reader::at(data, at);
    while let Some(gap) = reader.rest().iter().position(|&byte| byte == 255) {
        let at = data.len() - reader.rest().len() + gap;
        match stop_at(data, at) {
            Stop::Marker(0 | RST0..=RST7, _) | Stop::End => {
                if reader.skip(gap + 1).is_none() {
                    break;
                }
            }
            stop @ Stop::Marker(..) => return stop,
        }
    }
    Stop::End
}

/// Writes the bits of a scan behind what is in `data` already.
pub(crate) struct BitWriter {
    data: Vec<u8>,
    bits: u64,
    held: u32,
}

impl BitWriter {
    pub(crate) const fn new(data: Vec<u8>) -> Self {
        Self {
            data,
            bits: 0,
            held: 0,
        }
    }

    /// Up to 32 bits.
    pub(crate) fn put(&mut self, value: u64, count: u32) {
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
    pub(crate) fn mark(&mut self, marker: u8) {
        let missing = (8 - self.held % 8) % 8;
        self.put((1 << missing) - 1, missing);
        self.data.extend([0xFF, marker]);
    }

    /// Fills up the last byte with ones.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.put(0x7F, 7);
        self.data
    }

    /// The place to come back to with [`Self::back_to`].
    pub(crate) const fn place(&self) -> Place {
        Place {
            length: self.data.len(),
            bits: self.bits,
            held: self.held,
        }
    }

    /// Removes all that was written since.
    pub(crate) fn back_to(&mut self, place: Place) {
        self.data.truncate(place.length);
        (self.bits, self.held) = (place.bits, place.held);
    }
}

/// A place in the bits that are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    length: usize,
    bits: u64,
    held: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_ends_at_markers_and_with_the_file() {
        let mut bits = Bits::new(&[1, 255, 0, 7, 255, 255, 0xD9], 0);
        bits.fill();
        assert_eq!([bits.take(8), bits.take(8)], [1, 255]);
        assert_eq!(bits.stop(), (Stop::Marker(0xD9, 4), true));
        bits.take(8);
        assert!(!bits.is_exhausted());
        bits.take(1);
        assert!(bits.is_exhausted());
        assert_eq!(Bits::new(&[1, 2, 3, 255], 0).stop(), (Stop::End, false));
        assert_eq!(
            scan_end(&[1, 255, 0, 255, 0xD0, 2, 255, 0xC4, 3], 0),
            Stop::Marker(0xC4, 6)
        );
        assert_eq!(scan_end(&[1, 255, 0, 255], 0), Stop::End);
    }
}
