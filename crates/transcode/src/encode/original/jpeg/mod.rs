//! A JPEG source as a JPEG again: the same coefficients, in segments that are written here.
//!
//! The bytes are untrusted. Only numbers that were understood are taken over: sizes, quantizers, and the symbols of the
//! scans, which get the tables that fit them best (ITU-T T.81, Annexes B, F, G and K.2). Metadata and bytes between the
//! segments or behind the end are left out. Every scan has to be whole: there is no file where a symbol is missing, out of
//! place or one too many, or where browsers show the source in different ways.

mod frame;
mod quantizer;
mod scan;
#[cfg(test)]
mod tests;

use frame::{Frame, Scan};
use quantizer::Quantizer;
use scan::{Tables, Token};

use crate::jpeg::bits::BitWriter;
use crate::jpeg::table::Table;
use crate::jpeg::{
    APP0, APP14, APP15, COM, DHT, DQT, DRI, EOI, MAX_SCANS, SOF0, SOF2, SOI, SOS, next_marker, push_segment,
    segment,
};
use crate::syntax::reader::Reader;

/// JFIF 1.01 without a density and a thumbnail.
const JFIF: &[u8] = b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0";

/// The same picture in a file of our own; `None` where that cannot be made.
pub(super) fn rewritten(jpeg: &[u8]) -> Option<Vec<u8>> {
    let mut rewrite = Rewrite::default();
    let mut reader = Reader::at(jpeg, 2);
    loop {
        let marker = next_marker(&mut reader)?;
        if marker == EOI {
            return rewrite.finish();
        }
        let body = segment(&mut reader).ok()?;
        if marker == SOS {
            let used = rewrite.scan(body, reader.rest())?;
            reader.skip(used)?;
        } else {
            rewrite.segment(marker, body)?;
        }
    }
}

/// The quality at which libjpeg has quantizers about as coarse as those of the luma of `jpeg`, 1 to 100.
pub(super) fn quality(jpeg: &[u8]) -> Option<u8> {
    let mut reader = Reader::at(jpeg, 2);
    let mut rewrite = Rewrite::default();
    loop {
        let marker = next_marker(&mut reader)?;
        let body = segment(&mut reader).ok()?;
        match marker {
            SOS => break,
            DQT | SOF0..=SOF2 => rewrite.segment(marker, body)?,
            _ => {}
        }
    }
    let luma = rewrite.frame?.components.first()?.quantizer;
    Some(rewrite.quantizers.get(luma)?.as_ref()?.quality())
}

/// A file that is read and written at the same time.
#[derive(Default)]
struct Rewrite {
    frame: Option<Frame>,
    quantizers: [Option<Quantizer>; 4],
    tables: Tables,
    /// Units between two restarts; 0 for no restarts.
    interval: u16,
    is_jfif: bool,
    /// The colour transform that Adobe's marker names.
    adobe: Option<u8>,
    scans: usize,
    file: Vec<u8>,
}

impl Rewrite {
    /// Takes in any segment but the header of a scan.
    fn segment(&mut self, marker: u8, body: &[u8]) -> Option<()> {
        // All that scans are read with comes before the first one, but for the tables of their symbols.
        let is_before = self.scans == 0;
        match marker {
            DQT if is_before => Quantizer::read_all(body, &mut self.quantizers),
            SOF0..=SOF2 if self.frame.is_none() => {
                self.frame = Some(Frame::read(marker, body)?);
                Some(())
            }
            DHT => self.tables.read(body),
            DRI if is_before => {
                self.interval = u16::from_be_bytes(body.try_into().ok()?);
                Some(())
            }
            APP0 if body.starts_with(b"JFIF\0") => {
                self.is_jfif = true;
                Some(())
            }
            APP14 if body.starts_with(b"Adobe") => {
                self.adobe = Some(*body.get(11)?);
                Some(())
            }
            APP0..=APP15 | COM => Some(()),
            _ => None,
        }
    }

    /// Takes in a scan and gives the length of its data, which are at the start of `data`.
    fn scan(&mut self, header: &[u8], data: &[u8]) -> Option<usize> {
        if self.scans == 0 {
            self.begin()?;
        }
        self.scans += 1;
        let frame = self.frame.as_mut().filter(|_| self.scans <= MAX_SCANS)?;
        let scan = Scan::read(header, frame)?;
        let before = frame.known(&scan);
        let mut counts = [[0u32; 256]; 8];
        let mut count = |token: Token| {
            if let Token::Symbol { table, symbol } = token {
                counts[table][usize::from(symbol)] += 1;
            }
        };
        let used = scan::walk(frame, &scan, &self.tables, self.interval, data, &mut count)?;
        frame.restore(&scan, before);

        let mut file = std::mem::take(&mut self.file);
        let codes = push_tables(&mut file, &counts)?;
        push_segment(&mut file, SOS, &scan.header());
        let mut bits = BitWriter::new(file);
        let mut write = |token: Token| match token {
            Token::Symbol { table, symbol } => {
                let (code, length) = codes[table][usize::from(symbol)];
                bits.put(code.into(), length);
            }
            Token::Bits { value, count } => bits.put(value.into(), count),
            Token::Restart(marker) => bits.mark(marker),
        };
        scan::walk(frame, &scan, &self.tables, self.interval, data, &mut write)?;
        self.file = bits.finish();
        frame.pass(&scan);
        Some(used)
    }

    /// Writes what comes before the scans.
    fn begin(&mut self) -> Option<()> {
        let frame = self.frame.as_ref()?;
        if !self.means_what_is_written(frame) {
            return None;
        }
        let file = &mut self.file;
        file.extend([0xFF, SOI]);
        if self.is_jfif {
            push_segment(file, APP0, JFIF);
        }
        let mut tables = Vec::new();
        for (number, quantizer) in (0u8..).zip(&self.quantizers) {
            if frame
                .components
                .iter()
                .any(|component| component.quantizer == usize::from(number))
            {
                quantizer.as_ref()?.write(number, &mut tables);
            }
        }
        push_segment(file, DQT, &tables);
        push_segment(file, frame.marker, &frame.header());
        if self.interval > 0 {
            push_segment(file, DRI, &self.interval.to_be_bytes());
        }
        Some(())
    }

    /// Tells whether all decoders take the components for grey or YCbCr: by JFIF's marker, by Adobe's, or without both
    /// by their numbers, and without two that disagree.
    fn means_what_is_written(&self, frame: &Frame) -> bool {
        let is_numbered = frame.components.iter().map(|component| component.id).eq(1..=3);
        match (frame.components.len(), self.adobe) {
            (1, _) => true,
            (_, Some(transform)) => transform == 1,
            (_, None) => self.is_jfif || is_numbered,
        }
    }

    fn finish(self) -> Option<Vec<u8>> {
        if !self.frame?.is_shown() {
            return None;
        }
        let mut file = self.file;
        file.extend([0xFF, EOI]);
        Some(file)
    }
}

/// Writes the tables that fit best, and gives their codes.
fn push_tables(file: &mut Vec<u8>, counts: &[[u32; 256]; 8]) -> Option<Vec<[(u16, u32); 256]>> {
    let (mut body, mut codes) = (Vec::new(), Vec::new());
    for (number, counts) in (0u8..).zip(counts) {
        let table = Table::optimal(counts);
        codes.push(table.codes());
        if table.symbols.is_empty() {
            continue;
        }
        body.push(((number / 4) << 4) | (number % 4));
        body.extend(table.lengths);
        body.extend(&table.symbols);
    }
    if !body.is_empty() {
        push_segment(file, DHT, &body);
    }
    Some(codes)
}
