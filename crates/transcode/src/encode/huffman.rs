//! Optimal Huffman tables for a baseline JPEG that has the usual ones (ITU-T T.81, Annexes C, F and K).
//!
//! libjpeg makes optimal tables too, but holds all coefficients of the picture for it, in mozjpeg twice: 6 bytes a pixel.
//! Here the file is read instead, once to count symbols and once to write them again, so nothing but the two files is
//! held. The bytes are the same.

use crate::header::jpeg::{SOI, SOS, next_marker, segment};
use crate::reader::Reader;

/// Baseline, and what it is called when quantizers are above 255.
const SOF0: u8 = 0xC0;
const SOF1: u8 = 0xC1;
const DHT: u8 = 0xC4;
const EOI: u8 = 0xD9;
/// Markers of files that this does not read: other processes, and restarts.
const OTHERS: [u8; 13] = [
    0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCC, 0xCD, 0xCE, 0xCF, 0xDD,
];
/// The longest code, in bits.
const LONGEST: usize = 16;

/// The same picture with optimal tables; `None` for what is not one baseline scan without restarts.
pub(super) fn with_optimal_tables(jpeg: &[u8]) -> Option<Vec<u8>> {
    let head = Head::read(jpeg)?;
    let mut counts = [[0u32; 256]; 4];
    head.for_each_symbol(|table, symbol, _, _| counts[table][usize::from(symbol)] += 1)?;
    let tables = counts.map(|counts| Table::optimal(&counts));

    let mut file = Vec::with_capacity(jpeg.len() + 1024);
    file.extend([0xFF, SOI]);
    for &(marker, body) in &head.segments {
        if marker != DHT {
            push_segment(&mut file, marker, body)?;
            continue;
        }
        for (table, _) in tables_in(body)? {
            let Table { lengths, symbols } = &tables[table];
            let (class, number) = (table / 2, table % 2);
            let id = u8::try_from(class << 4 | number).ok()?;
            push_segment(&mut file, DHT, &[&[id], &lengths[1..], symbols].concat())?;
        }
    }
    let codes = tables.map(|table| table.codes());
    let mut bits = BitWriter::new(file);
    head.for_each_symbol(|table, symbol, extra, count| {
        let (code, length) = codes[table][usize::from(symbol)];
        bits.put((u64::from(code) << count) | u64::from(extra), length + count);
    })?;
    let mut file = bits.finish();
    file.extend([0xFF, EOI]);
    Some(file)
}

fn push_segment(file: &mut Vec<u8>, marker: u8, body: &[u8]) -> Option<()> {
    file.extend([0xFF, marker]);
    file.extend(u16::try_from(body.len() + 2).ok()?.to_be_bytes());
    file.extend(body);
    Some(())
}

/// Everything before the coefficients, and them. Tables are numbered: DC 0 and 1, AC 0 and 1.
struct Head<'a> {
    segments: Vec<(u8, &'a [u8])>,
    /// For each block of a unit, in order: its component, and its tables.
    blocks: Vec<(usize, [usize; 2])>,
    units: u64,
    decoders: [Vec<u16>; 4],
    entropy: &'a [u8],
}

impl<'a> Head<'a> {
    fn read(jpeg: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::at(jpeg, 2);
        let mut segments = Vec::new();
        let mut frame = None;
        let mut decoders: [Vec<u16>; 4] = Default::default();
        loop {
            let marker = next_marker(&mut reader)?;
            if OTHERS.contains(&marker) {
                return None;
            }
            let body = segment(&mut reader).ok()?;
            segments.push((marker, body));
            match marker {
                SOF0 | SOF1 => frame = Some(body),
                DHT => {
                    for (table, data) in tables_in(body)? {
                        decoders[table] = Table::read(data)?.decoder();
                    }
                }
                SOS => break,
                _ => {}
            }
        }
        let (frame, (_, scan)) = (frame?, segments.last()?);
        let (blocks, units) = blocks(frame, scan)?;
        Some(Self {
            segments,
            blocks,
            units,
            decoders,
            entropy: reader.rest(),
        })
    }

    /// Calls `each` with the table and the value of each symbol, and the bits that follow it and their number.
    fn for_each_symbol(&self, mut each: impl FnMut(usize, u8, u32, u32)) -> Option<()> {
        let mut bits = BitReader::new(self.entropy);
        let mut next = |table: usize| {
            bits.fill();
            let entry = *self.decoders[table].get(bits.peek())?;
            let (length, symbol) = (u32::from(entry >> 8), entry.to_le_bytes()[0]);
            if length == 0 {
                return None;
            }
            bits.skip(length);
            let count = u32::from(symbol & 15);
            each(table, symbol, bits.take(count), count);
            Some(symbol)
        };
        for _ in 0..self.units {
            for &(_, [dc, ac]) in &self.blocks {
                next(dc)?;
                let mut at = 1;
                while at < 64 {
                    match next(ac)? {
                        // End of block.
                        0 => break,
                        symbol => at += usize::from(symbol >> 4) + 1,
                    }
                }
            }
        }
        bits.is_whole().then_some(())
    }
}

/// The tables in a segment: their numbers, and lengths with symbols.
fn tables_in(body: &[u8]) -> Option<Vec<(usize, &[u8])>> {
    let (mut rest, mut found) = (body, Vec::new());
    while let Some((&id, behind)) = rest.split_first() {
        let (class, number) = (usize::from(id >> 4), usize::from(id & 15));
        let symbols: usize = behind
            .get(..LONGEST)?
            .iter()
            .map(|&count| usize::from(count))
            .sum();
        let (table, behind) = behind.split_at_checked(LONGEST + symbols)?;
        if class > 1 || number > 1 {
            return None;
        }
        found.push((class * 2 + number, table));
        rest = behind;
    }
    Some(found)
}

/// The blocks of a unit, from the frame and scan headers, and how many units there are.
#[expect(clippy::type_complexity, reason = "used once, right here")]
fn blocks(frame: &[u8], scan: &[u8]) -> Option<(Vec<(usize, [usize; 2])>, u64)> {
    let &[8, h1, h0, w1, w0, count, ref components @ ..] = frame else {
        return None;
    };
    let (height, width) = (u16::from_be_bytes([h1, h0]), u16::from_be_bytes([w1, w0]));
    let (components, _) = components.as_chunks::<3>();
    let (&scanned, scan) = scan.split_first()?;
    if scanned != count || components.len() != usize::from(count) {
        return None;
    }
    let factors = |component: &[u8; 3]| (component[1] >> 4, component[1] & 15);
    let across = components.iter().map(|component| factors(component).0).max()?;
    let down = components.iter().map(|component| factors(component).1).max()?;
    let (scan, _) = scan.as_chunks::<2>();
    let mut blocks = Vec::new();
    for (number, (component, &[id, tables])) in components.iter().zip(scan).enumerate() {
        let (dc, ac) = (usize::from(tables >> 4), usize::from(tables & 15));
        if component[0] != id || dc > 1 || ac > 1 {
            return None;
        }
        let (h, v) = factors(component);
        // A scan of one component has no units of several blocks (T.81 A.2.2).
        let blocks_here = if count == 1 { 1 } else { h * v };
        blocks.extend((0..blocks_here).map(|_| (number, [dc, 2 + ac])));
    }
    let (across, down) = if count == 1 { (1, 1) } else { (across, down) };
    let units = |side: u16, factor: u8| u64::from(side.div_ceil(8).div_ceil(u16::from(factor.max(1))));
    Some((blocks, units(width, across) * units(height, down)))
}

/// A table as a file has it.
struct Table {
    /// How many codes have each length in bits; there is none of length 0.
    lengths: [u8; LONGEST + 1],
    /// By length of their codes.
    symbols: Vec<u8>,
}

impl Table {
    fn read(data: &[u8]) -> Option<Self> {
        let (counts, symbols) = data.split_at_checked(LONGEST)?;
        let mut lengths = [0; LONGEST + 1];
        lengths[1..].copy_from_slice(counts);
        Some(Self {
            lengths,
            symbols: symbols.to_vec(),
        })
    }

    /// The table that needs fewest bits for symbols that occur that often (T.81 K.2).
    fn optimal(counts: &[u32; 256]) -> Self {
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
            there.min_by_key(|&symbol| (frequency[symbol], std::cmp::Reverse(symbol)))
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
            lengths: std::array::from_fn(|length| u8::try_from(lengths[length]).unwrap_or(0)),
            symbols,
        }
    }

    /// Code and length of each symbol (T.81 C.2).
    fn codes(&self) -> [(u16, u32); 256] {
        let mut codes = [(0, 0); 256];
        for (symbol, code, length) in self.assigned() {
            codes[usize::from(symbol)] = (code, length);
        }
        codes
    }

    /// For any 16 bits, the length of the code that they begin with, times 256, and its symbol; 0 for none.
    fn decoder(&self) -> Vec<u16> {
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
        for (length, &count) in (1..).zip(&self.lengths[1..]) {
            for &symbol in symbols.by_ref().take(count.into()) {
                all.push((symbol, u16::try_from(code).unwrap_or(u16::MAX), length));
                code += 1;
            }
            code <<= 1;
        }
        all
    }
}

/// Bits of entropy-coded data, without the zeros that are stuffed behind 255.
struct BitReader<'a> {
    data: &'a [u8],
    at: usize,
    /// The last `held` bits are those that come next.
    bits: u64,
    held: u32,
    /// Zeros that were added behind the end.
    added: u32,
}

impl<'a> BitReader<'a> {
    const fn new(data: &'a [u8]) -> Self {
        Self {
            data,
            at: 0,
            bits: 0,
            held: 0,
            added: 0,
        }
    }

    /// Makes sure of 32 bits: the longest code and what follows it.
    fn fill(&mut self) {
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
    fn peek(&self) -> usize {
        ((self.bits >> (self.held - 16)) & 0xFFFF) as usize
    }

    const fn skip(&mut self, count: u32) {
        self.held -= count;
    }

    #[expect(clippy::cast_possible_truncation, reason = "at most 15 bits are taken")]
    const fn take(&mut self, count: u32) -> u32 {
        self.held -= count;
        ((self.bits >> self.held) & ((1 << count) - 1)) as u32
    }

    /// Whether nothing behind the end was read, and only the end is left.
    fn is_whole(&self) -> bool {
        self.held >= self.added
            && self.held - self.added < 8
            && self.data.get(self.at..) == Some(&[0xFF, EOI])
    }
}

struct BitWriter {
    data: Vec<u8>,
    bits: u64,
    held: u32,
}

impl BitWriter {
    const fn new(data: Vec<u8>) -> Self {
        Self {
            data,
            bits: 0,
            held: 0,
        }
    }

    /// Up to 32 bits.
    fn put(&mut self, value: u64, count: u32) {
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

    /// Fills up the last byte with ones.
    fn finish(mut self) -> Vec<u8> {
        self.put(0x7F, 7);
        self.data
    }
}

#[cfg(test)]
mod tests {
    use mozjpeg::{ColorSpace, Compress};

    use super::*;

    fn jpeg(
        width: usize,
        height: usize,
        sampling: (u8, u8),
        quality: f32,
        optimal: bool,
        pixel: impl Fn(usize, usize) -> [u8; 3],
    ) -> Vec<u8> {
        let pixels: Vec<u8> = (0..width * height)
            .flat_map(|at| pixel(at % width, at / width))
            .collect();
        let mut jpeg = Compress::new(ColorSpace::JCS_RGB);
        jpeg.set_size(width, height);
        jpeg.set_fastest_defaults();
        jpeg.set_quality(quality);
        jpeg.set_optimize_coding(optimal);
        jpeg.set_chroma_sampling_pixel_sizes(sampling, sampling);
        let mut started = jpeg.start_compress(Vec::new()).unwrap();
        started.write_scanlines(&pixels).unwrap();
        started.finish().unwrap()
    }

    #[test]
    fn files_are_those_that_libjpeg_makes_with_all_coefficients_at_hand() {
        let noise = |x: usize, y: usize| {
            let mixed = ((x * 2_654_435_761) ^ (y * 40_503)).wrapping_mul(2_246_822_519);
            [
                mixed.to_le_bytes()[1],
                mixed.to_le_bytes()[2],
                (x / 3 + y).to_le_bytes()[0],
            ]
        };
        let soft = |x: usize, y: usize| {
            [
                (x / 2).to_le_bytes()[0],
                (y / 2).to_le_bytes()[0],
                ((x + y) / 4).to_le_bytes()[0],
            ]
        };
        let plain = |_, _| [200, 30, 90];
        for (width, height) in [(1, 1), (16, 16), (161, 97), (640, 33)] {
            for sampling in [(2, 2), (1, 1)] {
                for quality in [5.0, 80.0, 100.0] {
                    for pixel in [&noise as &dyn Fn(usize, usize) -> [u8; 3], &soft, &plain] {
                        let usual = jpeg(width, height, sampling, quality, false, pixel);
                        let optimal = jpeg(width, height, sampling, quality, true, pixel);
                        let ours = with_optimal_tables(&usual).unwrap();
                        assert_eq!(ours, optimal, "{width}×{height} {sampling:?} {quality}");
                        // An optimal file stays as it is.
                        assert_eq!(with_optimal_tables(&ours).unwrap(), ours);
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_not_whole_is_refused() {
        let whole = jpeg(40, 40, (2, 2), 80.0, false, |x, y| {
            [(x * 6).to_le_bytes()[0], (y * 6).to_le_bytes()[0], 7]
        });
        for length in 0..whole.len() {
            assert!(with_optimal_tables(&whole[..length]).is_none(), "{length}");
        }
        let progressive = [&whole[..2], &[0xFF, 0xC2, 0, 2], &whole[2..]].concat();
        assert!(with_optimal_tables(&progressive).is_none());
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
