//! Huffman tables (ITU-T T.81, Annexes C and K.2).

use std::array;
use std::cmp::Reverse;

/// The longest code, in bits.
pub(in crate::encode) const LONGEST: usize = 16;

/// A table as a file has it.
pub(in crate::encode) struct Table {
    /// Number of codes of each length: 1, 2 and up to 16 bits.
    pub(in crate::encode) lengths: [u8; LONGEST],
    /// By length of their codes.
    pub(in crate::encode) symbols: Vec<u8>,
}

impl Table {
    pub(in crate::encode) fn read(data: &[u8]) -> Option<Self> {
        let (&lengths, symbols) = data.split_first_chunk()?;
        Some(Self {
            lengths,
            symbols: symbols.to_vec(),
        })
    }

    /// Whether no two codes begin alike, and there are 256 at most.
    pub(in crate::encode) fn is_possible(&self) -> bool {
        // In units of the longest code.
        let taken: u32 = (1..=LONGEST)
            .zip(&self.lengths)
            .map(|(length, &count)| u32::from(count) << (LONGEST - length))
            .sum();
        taken <= 1 << LONGEST && self.symbols.len() <= 256
    }

    /// The table that needs fewest bits for symbols that occur that often (T.81 K.2).
    pub(in crate::encode) fn optimal(counts: &[u32; 256]) -> Self {
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
    pub(in crate::encode) fn codes(&self) -> [(u16, u32); 256] {
        let mut codes = [(0, 0); 256];
        for (symbol, code, length) in self.assigned() {
            codes[usize::from(symbol)] = (code, length);
        }
        codes
    }

    /// For any 16 bits, the length of the code that they begin with, times 256, and its symbol; 0 for none.
    pub(in crate::encode) fn decoder(&self) -> Vec<u16> {
        let mut decoder = vec![0; 1 << LONGEST];
        for (symbol, code, length) in self.assigned() {
            let rest = u16::BITS - length;
            let first = usize::from(code) << rest;
            let entry = u16::try_from(length << 8).unwrap_or(0) | u16::from(symbol);
            if let Some(entries) = decoder.get_mut(first..first + (1 << rest)) {
                entries.fill(entry);
            }
        }
        decoder
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

#[cfg(test)]
mod tests {
    use super::*;

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
        let decoder = table.decoder();
        for (symbol, code, length) in codes {
            let bits = usize::from(code) << (16 - length);
            assert_eq!(
                decoder[bits],
                u16::try_from(length << 8).unwrap() | u16::from(symbol)
            );
        }
    }
}
