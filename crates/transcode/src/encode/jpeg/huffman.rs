//! Optimal Huffman tables for a baseline JPEG that has the usual ones (ITU-T T.81, Annexes C, F and K).
//!
//! libjpeg makes optimal tables too, but holds all coefficients of the picture for it, in mozjpeg twice: 6 bytes a pixel.
//! Here the file is read instead, once to count symbols and once to write them again, so nothing but the two files is
//! held. The bytes are the same.

use crate::jpeg::bits::{BitWriter, Bits};
use crate::jpeg::table::{Decoder, Table, tables_in};
use crate::jpeg::{DHT, DRI, EOI, SOF0, SOF1, SOF2, SOI, SOS, next_marker, push_segment, segment};
use crate::syntax::reader::Reader;

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
            push_segment(&mut file, marker, body);
            continue;
        }
        for (name, _) in tables_in(body)? {
            let Table { lengths, symbols } = &tables[numbered(name)?];
            push_segment(&mut file, DHT, &[&[name], &lengths[..], symbols].concat());
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

/// Everything before the coefficients, and them. Tables are numbered: DC 0 and 1, AC 0 and 1.
struct Head<'a> {
    segments: Vec<(u8, &'a [u8])>,
    /// The tables of each block of a unit, in order.
    blocks: Vec<[usize; 2]>,
    units: u64,
    decoders: [Option<Decoder>; 4],
    entropy: &'a [u8],
}

impl<'a> Head<'a> {
    fn read(jpeg: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::at(jpeg, 2);
        let mut segments = Vec::new();
        let mut frame = None;
        let mut decoders: [Option<Decoder>; 4] = Default::default();
        loop {
            let marker = next_marker(&mut reader)?;
            let body = segment(&mut reader).ok()?;
            segments.push((marker, body));
            match marker {
                // Baseline, and its name where quantizers are above 255.
                SOF0 | SOF1 => frame = Some(body),
                DHT => {
                    for (name, table) in tables_in(body)? {
                        decoders[numbered(name)?] = Some(Decoder::new(table)?);
                    }
                }
                SOS => break,
                // Other processes, and restarts.
                SOF2..=0xCF | DRI => return None,
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
        let mut bits = Bits::new(self.entropy, 0);
        let mut next = |table: usize| {
            let symbol = bits.symbol(self.decoders[table].as_ref()?)?;
            let count = u32::from(symbol & 15);
            each(table, symbol, bits.take(count), count);
            Some(symbol)
        };
        for _ in 0..self.units {
            for &[dc, ac] in &self.blocks {
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
        bits.is_at_end_marker().then_some(())
    }
}

/// The number of a table with this name in its segment; `None` where baseline has none of that name.
fn numbered(name: u8) -> Option<usize> {
    let (class, number) = (usize::from(name >> 4), usize::from(name & 15));
    (class < 2 && number < 2).then_some(class * 2 + number)
}

/// The tables of the blocks of a unit, from the frame and scan headers, and how many units there are.
fn blocks(frame: &[u8], scan: &[u8]) -> Option<(Vec<[usize; 2]>, u64)> {
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
    for (component, &[id, tables]) in components.iter().zip(scan) {
        let (dc, ac) = (usize::from(tables >> 4), usize::from(tables & 15));
        if component[0] != id || dc > 1 || ac > 1 {
            return None;
        }
        let (h, v) = factors(component);
        // A scan of one component has no units of several blocks (T.81 A.2.2).
        let blocks_here = if count == 1 { 1 } else { h * v };
        blocks.extend((0..blocks_here).map(|_| [dc, 2 + ac]));
    }
    let (across, down) = if count == 1 { (1, 1) } else { (across, down) };
    let units = |side: u16, factor: u8| u64::from(side.div_ceil(8).div_ceil(u16::from(factor.max(1))));
    Some((blocks, units(width, across) * units(height, down)))
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
    fn a_file_that_is_not_whole_is_refused() {
        let whole = jpeg(40, 40, (2, 2), 80.0, false, |x, y| {
            [(x * 6).to_le_bytes()[0], (y * 6).to_le_bytes()[0], 7]
        });
        for length in 0..whole.len() {
            assert!(with_optimal_tables(&whole[..length]).is_none(), "{length}");
        }
        let progressive = [&whole[..2], &[0xFF, 0xC2, 0, 2], &whole[2..]].concat();
        assert!(with_optimal_tables(&progressive).is_none());
    }
}
