//! Huffman tables (ITU-T T.81, Annexes C and K.2).

use std::array;
use std::cmp::Reverse;

/// The longest code, in bits.
pub(crate) const LONGEST: usize = 16;
/// Codes of up to this many bits are found in one step.
const FAST: u32 = 10;

/// A table as a file has it.
pub(crate) struct Table {
    /// Number of codes of each length: 1, 2 and up to 16 bits.
    pub(crate) lengths: [u8; LONGEST],
    /// By length of their codes.
    pub(crate) symbols: Vec<u8>,
}

impl Table {
    /// The table that needs fewest bits for symbols that occur that often (T.81 K.2).
    pub(crate) fn optimal(counts: &[u32; 256]) -> Self {
        // One more symbol, so that no code consists of ones only; of equal frequencies the largest symbol comes first.
        let mut frequency = [0u64; 257];
        for (to, &from) in frequency.iter_mut().zip(counts) {
            *to = from.into();
        }
        frequency[256] = 1;
        let mut size = [0usize; 257];
        let mut others: [Option<usize>; 257] = [None; 257];
        let least = |frequency: &[u64; 257], but: Option<usize>| {
            let there = (0..257).filter(|&symbol| frequency[symbol] > 0 && Some(symbol) != but);
            there.min_by_key(|&symbol| (frequency[symbol], Reverse(symbol)))
        };
        // Every symbol of a tree gets a bit more; the last of them.
        let lengthen = |tree: usize, size: &mut [usize; 257], others: &[Option<usize>; 257]| {
            let mut at = tree;
            size[at] += 1;
            while let Some(next) = others[at] {
                at = next;
                size[at] += 1;
            }
            at
        };
        while let Some(first) = least(&frequency, None)
            && let Some(second) = least(&frequency, Some(first))
        {
            frequency[first] += frequency[second];
            frequency[second] = 0;
            let last = lengthen(first, &mut size, &others);
            others[last] = Some(second);
            lengthen(second, &mut size, &others);
        }
        let mut lengths = vec![0u32; 258];
        for &size in size.iter().filter(|&&size| size > 0) {
            lengths[size] += 1;
        }
        // Codes that are too long go in pairs below a shorter one (T.81 figure K.3).
        for length in (LONGEST + 1..lengths.len()).rev() {
            while lengths[length] > 0 {
                let mut shorter = length - 2;
                while lengths[shorter] == 0 {
                    shorter -= 1;
                }
                lengths[length] -= 2;
                lengths[length - 1] += 1;
                lengths[shorter + 1] += 2;
                lengths[shorter] -= 1;
            }
        }
        // The additional symbol has one of the longest.
        if let Some(longest) = (1..=LONGEST).rev().find(|&length| lengths[length] > 0) {
            lengths[longest] -= 1;
        }
        let mut symbols: Vec<u8> = (0..=255)
            .filter(|&symbol| size[usize::from(symbol)] > 0)
            .collect();
        symbols.sort_by_key(|&symbol| size[usize::from(symbol)]);
        Self {
            lengths: array::from_fn(|at| u8::try_from(lengths[at + 1]).unwrap_or(0)),
            symbols,
        }
    }

    /// Code and length of each symbol (T.81 C.2).
    pub(crate) fn codes(&self) -> [(u16, u32); 256] {
        let mut codes = [(0, 0); 256];
        for (symbol, code, length) in self.assigned() {
            codes[usize::from(symbol)] = (code, length);
        }
        codes
    }

    fn assigned(&self) -> Vec<(u8, u16, u32)> {
        let (mut code, mut symbols, mut all) = (0u32, self.symbols.iter(), Vec::new());
        for (length, &count) in (1..).zip(&self.lengths) {
            for &symbol in symbols.by_ref().take(count.into()) {
                all.push((symbol, u16::try_from(code).unwrap_or(u16::MAX), length));
                code += 1;
            }
            code <<= 1;
        }
        all
    }
}

/// The tables of a segment, each with the byte that names its class and number (T.81 B.2.4.2); `None` when one is cut off.
pub(crate) fn tables_in(segment: &[u8]) -> Option<Vec<(u8, Table)>> {
    let (mut rest, mut found) = (segment, Vec::new());
    while let Some((&name, behind)) = rest.split_first() {
        let (&lengths, behind) = behind.split_first_chunk::<LONGEST>()?;
        let count = lengths.iter().map(|&count| usize::from(count)).sum();
        let (symbols, behind) = behind.split_at_checked(count)?;
        let symbols = symbols.to_vec();
        found.push((name, Table { lengths, symbols }));
        rest = behind;
    }
    Some(found)
}

/// The symbols of a table, to be found by their codes.
pub(crate) struct Decoder {
    /// For the next [`FAST`] bits, the length of the code that they begin with, times 256, and its symbol; 0 for none.
    fast: Vec<u16>,
    /// The first number of 16 bits that begins with no code of that length or a shorter one.
    limits: [usize; LONGEST],
    /// The place of a length's first symbol, less its first code.
    places: [isize; LONGEST],
    symbols: Vec<u8>,
}

impl Decoder {
    /// `None` for a table that has more codes than fit, or more than 256.
    pub(crate) fn new(table: Table) -> Option<Self> {
        let Table { lengths, symbols } = table;
        if symbols.len() > 256 {
            return None;
        }
        let mut decoder = Self {
            fast: vec![0; 1 << FAST],
            limits: [0; LONGEST],
            places: [0; LONGEST],
            symbols,
        };
        let (mut code, mut place) = (0usize, 0usize);
        for (length, count) in (1u32..).zip(lengths) {
            let index = length as usize - 1;
            decoder.places[index] = place.cast_signed() - code.cast_signed();
            for _ in 0..count {
                if code >= 1 << length {
                    return None;
                }
                if length <= FAST {
                    let rest = FAST - length;
                    let entry = u16::try_from(length << 8).ok()? | u16::from(decoder.symbols[place]);
                    decoder.fast[code << rest..(code + 1) << rest].fill(entry);
                }
                code += 1;
                place += 1;
            }
            decoder.limits[index] = code << (LONGEST - length as usize);
            code <<= 1;
        }
        Some(decoder)
    }

    /// The symbol whose code is zeros.
    pub(crate) fn of_zeros(&self) -> Option<u8> {
        self.fast
            .first()
            .filter(|&&entry| entry != 0)
            .map(|entry| entry.to_le_bytes()[0])
    }

    /// Length and symbol of the code that 16 bits begin with; `None` for bits that are no code.
    pub(crate) fn find(&self, ahead: usize) -> Option<(u32, u8)> {
        match self.fast[ahead >> (16 - FAST)] {
            0 => self.find_long(ahead),
            entry => Some((u32::from(entry >> 8), entry.to_le_bytes()[0])),
        }
    }

    /// Length and symbol of a longer code that 16 bits begin with.
    fn find_long(&self, ahead: usize) -> Option<(u32, u8)> {
        let index = self.limits.iter().position(|&limit| ahead < limit)?;
        let code = ahead >> (LONGEST - 1 - index);
        let place = usize::try_from(code.cast_signed() + self.places[index]).ok()?;
        Some((u32::try_from(index + 1).ok()?, *self.symbols.get(place)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jpeg::bits::Bits;

    /// The only table of a segment, behind the byte with its class and number.
    fn only(table: &[u8]) -> Option<Table> {
        let [(0x11, table)] = <[_; 1]>::try_from(tables_in(&[&[0x11], table].concat())?).ok()? else {
            return None;
        };
        Some(table)
    }

    #[test]
    fn codes_of_every_length_are_found() {
        // One code of each length: 0, 10, 110, up to 16 bits.
        let data: Vec<u8> = [1; LONGEST].into_iter().chain(0..16).collect();
        let decoder = Decoder::new(only(&data).unwrap()).unwrap();
        for symbol in 0..16u8 {
            let ones = u32::MAX.checked_shl(32 - u32::from(symbol)).unwrap_or(0);
            let stream: Vec<u8> = ones.to_be_bytes().iter().flat_map(|&byte| [byte, 0]).collect();
            // A stuffed zero follows 255 alone.
            let stream: Vec<u8> = stream
                .chunks(2)
                .flat_map(|pair| if pair[0] == 255 { pair } else { &pair[..1] })
                .copied()
                .collect();
            assert_eq!(Bits::new(&stream, 0).symbol(&decoder), Some(symbol));
        }
        let ones = [255, 0, 255, 0];
        assert_eq!(Bits::new(&ones, 0).symbol(&decoder), None);
        // Three codes of one bit.
        let full = only(&[&[3][..], &[0; 15], &[1, 2, 3]].concat()).unwrap();
        assert!(Decoder::new(full).is_none());
    }

    #[test]
    fn codes_that_would_be_too_long_are_shortened() {
        // Frequencies of Fibonacci: each symbol one bit longer than the last.
        let mut counts = [0u32; 256];
        let (mut one, mut other) = (1, 1);
        for count in &mut counts[..30] {
            *count = one;
            (one, other) = (other, one + other);
        }
        let table = Table::optimal(&counts);
        let codes = table.assigned();
        assert_eq!(codes.len(), 30);
        assert!(
            codes
                .iter()
                .all(|&(_, code, length)| length <= 16 && u32::from(code) < (1 << length) - 1)
        );
        let decoder = Decoder::new(table).unwrap();
        for (symbol, code, length) in codes {
            let bits = usize::from(code) << (16 - length);
            assert_eq!(decoder.find(bits), Some((length, symbol)));
        }
    }
}
