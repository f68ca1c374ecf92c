//! The bits of a scan and the Huffman tables that they are coded with (ITU-T T.81, annexes B, C and F).

use crate::reader::Reader;

/// The longest code, in bits.
const LONGEST: usize = 16;
/// Codes of up to this many bits are found in one step.
const FAST: u32 = 10;

/// Entropy-coded data, without the zeros that are stuffed behind 255. Behind its end there are zeros.
#[derive(Clone)]
pub(super) struct Bits<'a> {
    data: &'a [u8],
    /// The byte that comes next; at the end of the data, or at a marker, it stays there.
    at: usize,
    /// The last `held` bits are those that come next.
    bits: u64,
    held: u32,
    /// Zeros that were added behind the end.
    added: u32,
}

/// Where entropy-coded data ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// At a marker: its code, and where it begins in the file.
    Marker(u8, usize),
    /// With the file.
    End,
}

impl<'a> Bits<'a> {
    pub(super) const fn new(data: &'a [u8], at: usize) -> Self {
        Self {
            data,
            at,
            bits: 0,
            held: 0,
            added: 0,
        }
    }

    /// The byte that comes next where no bit was read yet.
    pub(super) const fn position(&self) -> usize {
        self.at
    }

    /// Makes sure of 32 bits: the longest code and what follows it.
    pub(super) fn fill(&mut self) {
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
    pub(super) const fn take(&mut self, count: u32) -> u32 {
        self.held -= count;
        ((self.bits >> self.held) & ((1 << count) - 1)) as u32
    }

    /// The next symbol, with 16 bits behind it to take; `None` for bits that are no code.
    pub(super) fn symbol(&mut self, table: &Table) -> Option<u8> {
        self.fill();
        let ahead = ((self.bits >> (self.held - 16)) & 0xFFFF) as usize;
        let entry = table.fast[ahead >> (16 - FAST)];
        let (length, symbol) = match entry {
            0 => table.find(ahead)?,
            entry => (u32::from(entry >> 8), entry.to_le_bytes()[0]),
        };
        self.held -= length;
        Some(symbol)
    }

    /// Whether more was taken than there is.
    pub(super) const fn is_exhausted(&self) -> bool {
        self.held < self.added
    }

    /// Whether a code that comes next may be cut off.
    pub(super) const fn is_near_end(&self) -> bool {
        self.held < self.added + 16
    }

    /// Where the data ends, and whether nothing but filling is left before that.
    ///
    /// Encoders pad with zeros or ones, and some old cameras leave a byte or two behind, which no unit fits into.
    pub(super) fn stop(&self) -> (Stop, bool) {
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
pub(super) fn scan_end(data: &[u8], at: usize) -> Stop {
    let mut reader = Reader::at(data, at);
    while let Some(gap) = reader.rest().iter().position(|&byte| byte == 255) {
        let at = data.len() - reader.rest().len() + gap;
        match stop_at(data, at) {
            Stop::Marker(0 | 0xD0..=0xD7, _) | Stop::End => {
                if reader.skip(gap + 1).is_none() {
                    break;
                }
            }
            stop @ Stop::Marker(..) => return stop,
        }
    }
    Stop::End
}

/// One Huffman table.
pub(super) struct Table {
    /// For the next [`FAST`] bits, the length of the code that they begin with, times 256, and its symbol; 0 for none.
    fast: Vec<u16>,
    /// The first number of 16 bits that begins with no code of that length or a shorter one.
    limits: [usize; LONGEST],
    /// The place of a length's first symbol, less its first code.
    places: [isize; LONGEST],
    symbols: Vec<u8>,
}

impl Table {
    /// Reads a table, and tells how many bytes it takes. `None` when it is cut off, or has more codes than fit.
    pub(super) fn read(data: &[u8]) -> Option<(Self, usize)> {
        let (lengths, rest) = data.split_first_chunk::<LONGEST>()?;
        let count = lengths.iter().map(|&count| usize::from(count)).sum();
        let symbols = rest.get(..count).filter(|_| count <= 256)?;
        let mut table = Self {
            fast: vec![0; 1 << FAST],
            limits: [0; LONGEST],
            places: [0; LONGEST],
            symbols: symbols.to_vec(),
        };
        let (mut code, mut place) = (0usize, 0usize);
        for (length, &count) in (1u32..).zip(lengths) {
            let index = length as usize - 1;
            table.places[index] = place.cast_signed() - code.cast_signed();
            for _ in 0..count {
                if code >= 1 << length {
                    return None;
                }
                if length <= FAST {
                    let rest = FAST - length;
                    let entry = u16::try_from(length << 8).ok()? | u16::from(symbols[place]);
                    table.fast[code << rest..(code + 1) << rest].fill(entry);
                }
                code += 1;
                place += 1;
            }
            table.limits[index] = code << (LONGEST - length as usize);
            code <<= 1;
        }
        Some((table, LONGEST + count))
    }

    /// The symbol whose code is zeros.
    pub(super) fn of_zeros(&self) -> Option<u8> {
        self.fast
            .first()
            .filter(|&&entry| entry != 0)
            .map(|entry| entry.to_le_bytes()[0])
    }

    /// Length and symbol of a longer code that 16 bits begin with.
    fn find(&self, ahead: usize) -> Option<(u32, u8)> {
        let index = self.limits.iter().position(|&limit| ahead < limit)?;
        let code = ahead >> (LONGEST - 1 - index);
        let place = usize::try_from(code.cast_signed() + self.places[index]).ok()?;
        Some((u32::try_from(index + 1).ok()?, *self.symbols.get(place)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_every_length_are_found() {
        // One code of each length: 0, 10, 110, up to 16 bits.
        let data: Vec<u8> = [1; LONGEST].into_iter().chain(0..16).collect();
        let (table, length) = Table::read(&data).unwrap();
        assert_eq!(length, 32);
        for symbol in 0..16u8 {
            let ones = u32::MAX.checked_shl(32 - u32::from(symbol)).unwrap_or(0);
            let stream: Vec<u8> = ones.to_be_bytes().iter().flat_map(|&byte| [byte, 0]).collect();
            // A stuffed zero follows 255 alone.
            let stream: Vec<u8> = stream
                .chunks(2)
                .flat_map(|pair| if pair[0] == 255 { pair } else { &pair[..1] })
                .copied()
                .collect();
            assert_eq!(Bits::new(&stream, 0).symbol(&table), Some(symbol));
        }
        let ones = [255, 0, 255, 0];
        assert_eq!(Bits::new(&ones, 0).symbol(&table), None);
        // Three codes of one bit.
        assert!(Table::read(&[&[3][..], &[0; 15], &[1, 2, 3]].concat()).is_none());
    }

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
