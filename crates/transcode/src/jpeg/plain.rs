//! JPEGs that break a rule of T.81 in a way that libjpeg, and with it every browser, accepts: rewritten so that they keep
//! it. Only headers are rewritten; no entropy-coded byte is touched.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

use std::borrow::Cow;

use super::headers::{FrameComponent, FrameHeader, ScanComponent, ScanHeader};
use super::{
    APP0, APP14, APP15, COM, DHT, EOI, RST0, RST7, SOF2, SOI, SOS, TEM, next_marker, push_segment, segment,
};
use crate::Error;
use crate::syntax::reader::Reader;

/// The colour model of the components.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Color {
    Grey,
    YCbCr,
    Rgb,
    Cmyk,
    Ycck,
}

/// A JPEG that keeps the rules, and what its components are.
pub(crate) struct Plain<'a> {
    pub(crate) bytes: Cow<'a, [u8]>,
    pub(crate) color: Color,
}

/// Rewrites `source` where it has to be.
///
/// # Errors
/// If the components of a scan cannot be told apart, or the headers cannot be read.
pub(crate) fn plain(source: &[u8]) -> Result<Plain<'_>, Error> {
    let facts = Facts::read(source)?;
    let color = facts.color();
    let bytes = if facts.are_plain() {
        Cow::Borrowed(source)
    } else {
        Cow::Owned(facts.rewrite(source)?)
    };
    Ok(Plain { bytes, color })
}

/// Tells whether `source` has to be rewritten before it is decoded; `false` for a file whose headers cannot be read.
pub(crate) fn is_rewritten(source: &[u8]) -> bool {
    Facts::read(source).is_ok_and(|facts| !facts.are_plain())
}

/// The identifiers by which decoders recognize RGB without Adobe's marker.
const RGB_IDS: [u8; 3] = *b"RGB";
/// Spectral selection and approximation of a sequential scan (T.81 table B.3).
const SEQUENTIAL_SCAN: [u8; 3] = [0, 63, 0];

const fn is_start_of_frame(marker: u8) -> bool {
    matches!(marker, 0xC0..=0xC2)
}

/// The segments of a file up to the end of its picture, each with its marker and the place of its content.
struct Segments<'a> {
    source: &'a [u8],
    reader: Reader<'a>,
    is_in_scans: bool,
}

impl<'a> Segments<'a> {
    fn new(source: &'a [u8]) -> Self {
        Self {
            source,
            reader: Reader::at(source, 2),
            is_in_scans: false,
        }
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = (u8, usize, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let marker = next_marker(&mut self.reader)?;
            let is_segment = match marker {
                EOI => return None,
                SOI | TEM | RST0..=RST7 => false,
                // Codes that damage has put between entropy-coded bytes.
                0xC0..=0xC3 | 0xC5..=0xCB | 0xCD..=0xCF | 0x02..=0xBF | 0xF0..=0xFD => !self.is_in_scans,
                _ => true,
            };
            if !is_segment {
                continue;
            }
            let content = segment(&mut self.reader).ok()?;
            let behind = self.reader.rest().len().checked_add(content.len())?;
            self.is_in_scans |= marker == SOS;
            return Some((marker, self.source.len().checked_sub(behind)?, content));
        }
    }
}

/// The facts in the headers of a JPEG.
#[derive(Default)]
struct Facts {
    components: Vec<FrameComponent>,
    is_sequential: bool,
    is_jfif: bool,
    /// The last transform that an Adobe marker names.
    adobe: Option<u8>,
    /// True if a scan has parameters that belong to the progressive process.
    has_odd_scan: bool,
    /// True if a scan has fewer components than the frame.
    has_partial_scan: bool,
    /// True if a scan uses a standard table that the file does not define; every decoder knows these.
    lacks_tables: bool,
}

impl Facts {
    /// Reads until all facts are known: a photograph in one scan or in progressive ones is not read to its end.
    fn read(source: &[u8]) -> Result<Self, Error> {
        let mut facts = Self::default();
        let mut tables = Tables::default();
        for (marker, _, content) in Segments::new(source) {
            match marker {
                APP0 => facts.is_jfif |= content.starts_with(b"JFIF\0") && content.len() >= 14,
                APP14 if content.starts_with(b"Adobe") => {
                    facts.adobe = content.get(11).copied().or(facts.adobe);
                }
                DHT => tables.define(content),
                SOS => {
                    facts.scan(content, &tables);
                    let is_last = facts.is_sequential && !facts.has_partial_scan;
                    if is_last || (!facts.is_sequential && facts.are_plain()) {
                        break;
                    }
                }
                marker if is_start_of_frame(marker) && facts.components.is_empty() => {
                    facts.is_sequential = marker != SOF2;
                    facts.components = FrameHeader::read(content).unwrap_or_default().components;
                }
                _ => {}
            }
        }
        if matches!(facts.components.len(), 1 | 3 | 4) {
            Ok(facts)
        } else {
            Err(Error::corrupt("the JPEG's frame header cannot be read"))
        }
    }

    fn scan(&mut self, content: &[u8], tables: &Tables) {
        let header = ScanHeader::read(content);
        self.has_partial_scan |= header.count < self.components.len();
        if self.is_sequential {
            self.lacks_tables |= header.components.iter().any(|&used| tables.lack(used));
            let parameters = content.len().checked_sub(3).and_then(|at| content.get(at..));
            self.has_odd_scan |= parameters != Some(&SEQUENTIAL_SCAN[..]);
        }
    }

    /// The model by libjpeg's rules (`default_decompress_parms`): JFIF counts before Adobe's marker, and that before the
    /// identifiers.
    fn color(&self) -> Color {
        match (self.components.len(), self.adobe) {
            (1, _) => Color::Grey,
            (4, None | Some(0)) => Color::Cmyk,
            (4, _) => Color::Ycck,
            _ if self.is_jfif => Color::YCbCr,
            (_, Some(0)) => Color::Rgb,
            (_, None) if self.has_rgb_ids() => Color::Rgb,
            _ => Color::YCbCr,
        }
    }

    fn ids(&self) -> impl Iterator<Item = u8> {
        self.components.iter().map(|component| component.id)
    }

    fn has_rgb_ids(&self) -> bool {
        self.ids().eq(RGB_IDS)
    }

    fn has_equal_ids(&self) -> bool {
        let mut seen = [false; 256];
        self.ids().any(|id| {
            seen.get_mut(usize::from(id))
                .is_some_and(|seen| std::mem::replace(seen, true))
        })
    }

    /// Tells whether all decoders read the file in the same way.
    fn are_plain(&self) -> bool {
        let is_color_plain = match (self.color(), self.adobe) {
            // A single component has no sampling to speak of (T.81 section A.2.2), but some decoders look at it.
            (Color::Grey, adobe) => {
                adobe.is_none()
                    && self
                        .components
                        .iter()
                        .all(|component| component.factors() == (1, 1))
            }
            (Color::YCbCr, None | Some(1)) => !self.has_rgb_ids(),
            (Color::Rgb | Color::Cmyk, None | Some(0)) | (Color::Ycck, Some(2)) => true,
            _ => false,
        };
        is_color_plain && !self.has_odd_scan && !self.lacks_tables && !self.has_equal_ids()
    }

    fn rewrite(&self, source: &[u8]) -> Result<Vec<u8>, Error> {
        if self.has_equal_ids() && self.has_partial_scan {
            return Err(Error::unsupported(
                "the JPEG has components of the same name in scans of their own, which cannot be told apart",
            ));
        }
        let mut file = vec![0xFF, SOI];
        if self.color() == Color::Ycck {
            push_segment(&mut file, APP14, b"Adobe\0\x64\0\0\0\0\x02");
        }
        if self.lacks_tables {
            push_segment(&mut file, DHT, &STANDARD_TABLES);
        }
        // From the first scan on bytes stay where they are, seen from here.
        let mut scans = None;
        for (marker, at, content) in Segments::new(source) {
            match marker {
                APP0..=APP15 | COM if scans.is_none() => {}
                SOS => {
                    let (from, to) = *scans.get_or_insert_with(|| {
                        let start = at.saturating_sub(4);
                        let to = file.len();
                        file.extend_from_slice(source.get(start..).unwrap_or_default());
                        (start, to)
                    });
                    let patched = self.rewritten_scan(content);
                    let at = at.saturating_sub(from).saturating_add(to);
                    if let Some(place) = file.get_mut(at..at.saturating_add(patched.len())) {
                        place.copy_from_slice(&patched);
                    }
                }
                _ if scans.is_some() => {}
                marker if is_start_of_frame(marker) => {
                    push_segment(&mut file, marker, &self.rewritten_frame(content))
                }
                marker => push_segment(&mut file, marker, content),
            }
        }
        Ok(file)
    }

    /// The identifier of a component: its place, or the letter by which decoders recognize RGB.
    fn id(&self, place: usize) -> u8 {
        match RGB_IDS.get(place) {
            Some(&id) if self.color() == Color::Rgb => id,
            _ => u8::try_from(place).unwrap_or(u8::MAX).saturating_add(1),
        }
    }

    fn rewritten_frame(&self, content: &[u8]) -> Vec<u8> {
        let mut frame = content.get(..6).unwrap_or_default().to_vec();
        for (place, &component) in self.components.iter().enumerate() {
            let (across, down) = match self.components.len() {
                1 => (1, 1),
                _ => component.factors(),
            };
            let renamed = FrameComponent {
                id: self.id(place),
                across,
                down,
                ..component
            };
            frame.extend(renamed.bytes());
        }
        frame
    }

    /// The rewritten scan header, which has as many bytes. Each of several components with the same identifier is taken
    /// once, in their order, as libjpeg-turbo does.
    fn rewritten_scan(&self, content: &[u8]) -> Vec<u8> {
        let mut scan = content.to_vec();
        let count = usize::from(content.first().copied().unwrap_or(0));
        let mut taken = vec![false; self.components.len()];
        let (components, _) = scan.get_mut(1..).unwrap_or_default().as_chunks_mut::<2>();
        for [id, _] in components.iter_mut().take(count) {
            let mut places = self.components.iter().zip(&mut taken).enumerate();
            let found = places.find(|(_, (component, taken))| component.id == *id && !**taken);
            // No component has the last number, so that a scan which names none is refused as before.
            *id = match found {
                Some((place, (_, taken))) => {
                    *taken = true;
                    self.id(place)
                }
                None => u8::MAX,
            };
        }
        if self.is_sequential
            && let Some(parameters) = scan.last_chunk_mut()
        {
            *parameters = SEQUENTIAL_SCAN;
        }
        scan
    }
}

/// The Huffman tables that have been defined so far: a bit for each of four, of DC and AC.
#[derive(Default)]
struct Tables {
    defined: [u8; 2],
}

impl Tables {
    fn define(&mut self, content: &[u8]) {
        let mut reader = Reader::new(content);
        while let (Some(name), Some(counts)) = (reader.u8(), reader.take(16)) {
            if let Some(defined) = self.defined.get_mut(usize::from(name >> 4)) {
                *defined |= 1u8.checked_shl((name & 15).into()).unwrap_or(0);
            }
            let symbols = counts.iter().map(|&count| usize::from(count)).sum();
            if reader.skip(symbols).is_none() {
                return;
            }
        }
    }

    /// Tells whether a component uses a standard table that the file does not define.
    fn lack(&self, used: ScanComponent) -> bool {
        let [dc, ac] = self.defined;
        let lacks = |defined: u8, table: u8| table < 2 && defined >> table & 1 == 0;
        lacks(dc, used.dc) || lacks(ac, used.ac)
    }
}

/// The tables of T.81 annex K.3, which files of webcams (Motion JPEG) leave out: DC and AC of luma, DC and AC of chroma.
#[rustfmt::skip]
const STANDARD_TABLES: [u8; 416] = [
    0x00, 0x00, 0x01, 0x05, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01,
    0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0A, 0x0B, 0x10, 0x00, 0x02, 0x01, 0x03, 0x03, 0x02, 0x04, 0x03,
    0x05, 0x05, 0x04, 0x04, 0x00, 0x00, 0x01, 0x7D, 0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41,
    0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71, 0x14, 0x32, 0x81, 0x91, 0xA1, 0x08, 0x23, 0x42, 0xB1, 0xC1, 0x15, 0x52,
    0xD1, 0xF0, 0x24, 0x33, 0x62, 0x72, 0x82, 0x09, 0x0A, 0x16, 0x17, 0x18, 0x19, 0x1A, 0x25, 0x26, 0x27, 0x28, 0x29,
    0x2A, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3A, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4A, 0x53, 0x54, 0x55,
    0x56, 0x57, 0x58, 0x59, 0x5A, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6A, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78,
    0x79, 0x7A, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A,
    0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xA8, 0xA9, 0xAA, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7, 0xB8, 0xB9, 0xBA, 0xC2,
    0xC3, 0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8, 0xD9, 0xDA, 0xE1, 0xE2,
    0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA, 0x01,
    0x00, 0x03, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02,
    0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0A, 0x0B, 0x11, 0x00, 0x02, 0x01, 0x02, 0x04, 0x04, 0x03, 0x04, 0x07,
    0x05, 0x04, 0x04, 0x00, 0x01, 0x02, 0x77, 0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41,
    0x51, 0x07, 0x61, 0x71, 0x13, 0x22, 0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xA1, 0xB1, 0xC1, 0x09, 0x23, 0x33, 0x52,
    0xF0, 0x15, 0x62, 0x72, 0xD1, 0x0A, 0x16, 0x24, 0x34, 0xE1, 0x25, 0xF1, 0x17, 0x18, 0x19, 0x1A, 0x26, 0x27, 0x28,
    0x29, 0x2A, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3A, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4A, 0x53, 0x54, 0x55,
    0x56, 0x57, 0x58, 0x59, 0x5A, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6A, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78,
    0x79, 0x7A, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99,
    0x9A, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xA8, 0xA9, 0xAA, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7, 0xB8, 0xB9, 0xBA,
    0xC2, 0xC3, 0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8, 0xD9, 0xDA, 0xE2,
    0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA,
];
