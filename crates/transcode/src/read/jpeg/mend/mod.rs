//! Damaged JPEGs: the search for missing units, and the same JPEG with those units filled in.
//!
//! The decoders of JPEG here go on behind damage, and show the units that follow in the wrong place. So each scan is read
//! before it is decoded, and no coefficient is kept:
//!
//! - where the file ends within a scan, the units before are right, and the rest is filled in, grey in a first scan;
//! - where a scan has restart markers, an interval that cannot be read is filled in, and the others are right;
//! - all other damage is refused, because the places of the units behind it are not known.
//!
//! Units are filled in as libjpeg does, with coefficients of zero. The decoder then gets a file without damage.

mod frame;
mod scan;
mod sink;

use std::borrow::Cow;

use self::frame::{Frame, Scan};
use self::scan::{ReadScan, ScanReader, Tables, trailing_zeros};
use self::sink::{Nowhere, Rewritten};
use crate::Error;
use crate::jpeg::bits::{Stop, scan_end};
use crate::jpeg::headers::Coding;
use crate::jpeg::table::{Decoder, tables_in};
use crate::jpeg::{
    self, DHT, DRI, EOI, MAX_SCANS, RST0, RST7, SOF0, SOF2, SOI, SOS, TEM, next_marker, segment,
};
use crate::syntax::reader::Reader;

/// A JPEG without damage.
pub(super) struct Mended<'a> {
    pub(super) jpeg: Cow<'a, [u8]>,
    /// True if a part of the picture was missing.
    pub(super) is_truncated: bool,
}

/// Reads all scans of a JPEG and fills in what is missing.
///
/// # Errors
/// A rejection when the JPEG is damaged in another way, or nothing of its picture is there.
pub(super) fn mend(jpeg: &[u8]) -> Result<Mended<'_>, Error> {
    match JpegWalk::new(jpeg).look() {
        Ok(Some(WholeScans { end, is_complete, .. })) => Ok(Mended {
            jpeg: match end {
                Some(end) => Cow::Owned([&jpeg[..end], &[0xFF, EOI]].concat()),
                None => Cow::Borrowed(jpeg),
            },
            is_truncated: !is_complete,
        }),
        Ok(None) | Err(_) => {
            let (file, is_complete) = JpegWalk::new(jpeg).rewrite()?;
            Ok(Mended {
                jpeg: Cow::Owned(file),
                is_truncated: !is_complete,
            })
        }
    }
}

/// A file of which each scan is whole.
struct WholeScans {
    /// The end of its last scan, if no end marker follows.
    end: Option<usize>,
    /// True if the scans contain the whole picture.
    is_complete: bool,
}

/// The state between two scans.
struct JpegWalk<'a> {
    jpeg: &'a [u8],
    reader: Reader<'a>,
    frame: Option<Frame>,
    tables: Tables,
    interval: usize,
    /// A bit for each coefficient that is not zero, by component and block; of progressive files.
    masks: Vec<Vec<u64>>,
    /// The number of bits that are still open, by component and coefficient.
    open: Vec<[u8; 64]>,
    scans: usize,
}

/// The number of open bits of a coefficient of which nothing is known yet.
const UNKNOWN: u8 = 255;

/// A scan that comes next.
struct NextScan {
    scan: Scan,
    /// The places of its marker and of its data.
    header: usize,
    data: usize,
}

impl<'a> JpegWalk<'a> {
    fn new(jpeg: &'a [u8]) -> Self {
        Self {
            jpeg,
            reader: Reader::at(jpeg, 2),
            frame: None,
            tables: Tables::default(),
            interval: 0,
            masks: Vec::new(),
            open: Vec::new(),
            scans: 0,
        }
    }

    fn position(&self) -> usize {
        self.jpeg.len() - self.reader.rest().len()
    }

    /// The next scan, behind the segments before it; `None` at the end of the picture, with or without a marker.
    fn next(&mut self) -> Result<Option<NextScan>, Error> {
        while let Some(marker) = next_marker(&mut self.reader) {
            let header = self.position() - 2;
            if matches!(marker, SOI | TEM | RST0..=RST7) {
                continue;
            }
            if marker == EOI {
                break;
            }
            let Ok(body) = segment(&mut self.reader) else {
                break;
            };
            match marker {
                SOF0..=SOF2 if self.frame.is_none() => self.begin(marker, body)?,
                DHT => self.define(body)?,
                DRI => {
                    let interval = Reader::new(body).be16();
                    self.interval = interval.map_or(0, usize::from);
                }
                SOS => {
                    let frame = self.frame.as_ref();
                    let frame =
                        frame.ok_or_else(|| Error::corrupt("the JPEG has a scan but no frame header"))?;
                    let next = NextScan {
                        scan: Scan::read(body, frame)?,
                        header,
                        data: self.position(),
                    };
                    self.note(&next.scan)?;
                    return Ok(Some(next));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    fn begin(&mut self, marker: u8, body: &[u8]) -> Result<(), Error> {
        let frame =
            Frame::read(marker, body).ok_or_else(|| Error::corrupt("the JPEG frame header is broken"))?;
        self.open = frame.components.iter().map(|_| [UNKNOWN; 64]).collect();
        let blocks = frame.components.iter().map(|component| component.blocks);
        self.masks = blocks
            .map(|blocks| {
                if frame.is_progressive {
                    vec![0; blocks]
                } else {
                    Vec::new()
                }
            })
            .collect();
        self.frame = Some(frame);
        Ok(())
    }

    fn define(&mut self, body: &[u8]) -> Result<(), Error> {
        let broken = || Error::corrupt("a Huffman table of the JPEG is broken");
        for (name, table) in tables_in(body).ok_or_else(broken)? {
            let tables = if name >> 4 == 0 {
                &mut self.tables.dc
            } else {
                &mut self.tables.ac
            };
            let decoder = Decoder::new(table).ok_or_else(broken)?;
            *tables.get_mut(usize::from(name & 15)).ok_or_else(broken)? = Some(decoder);
        }
        Ok(())
    }

    /// Notes the bits that a scan contains, and refuses a scan that continues one that is missing.
    fn note(&mut self, scan: &Scan) -> Result<(), Error> {
        self.scans += 1;
        if self.scans > MAX_SCANS {
            return Err(Error::corrupt(format!(
                "the JPEG has more than {MAX_SCANS} scans"
            )));
        }
        let (before, after) = scan.precision;
        let is_first = matches!(
            scan.coding,
            Coding::Sequential | Coding::FirstDc | Coding::FirstAc
        );
        let band = scan.band.0 as usize..=scan.band.1 as usize;
        for part in &scan.parts {
            for open in &mut self.open[part.component][band.clone()] {
                if !is_first && *open > before {
                    return Err(Error::corrupt("a scan of the JPEG is missing"));
                }
                *open = after;
            }
        }
        Ok(())
    }

    /// Tells whether the scans contain the whole picture.
    fn is_complete(&self) -> bool {
        self.open.iter().flatten().all(|&open| open == 0)
    }

    /// Tells whether all scans of a sequential file were read.
    fn is_full(&self) -> bool {
        self.is_complete() && self.frame.as_ref().is_some_and(|frame| !frame.is_progressive)
    }

    /// Reads all scans; `None` when something is missing.
    fn look(mut self) -> Result<Option<WholeScans>, Error> {
        let mut end = None;
        while let Some(next) = self.next()? {
            let done = self.read(&next.scan, (self.jpeg, next.data), Nowhere)?;
            if !done.is_whole || !done.is_sound {
                return Ok(None);
            }
            let Stop::Marker(_, at) = done.stop else {
                end = Some(self.jpeg.len());
                self.reader = Reader::at(self.jpeg, self.jpeg.len());
                break;
            };
            end = Some(at);
            self.reader = Reader::at(self.jpeg, at);
            if self.is_full() {
                end = None;
                break;
            }
        }
        let is_complete = self.is_complete();
        let lacks_component = self.lacking().next().is_some();
        if lacks_component {
            return Ok(None);
        }
        Ok(Some(WholeScans {
            end: end.filter(|_| !self.is_at_end_marker()),
            is_complete,
        }))
    }

    /// Tells whether the marker that was read last is the end of the picture.
    fn is_at_end_marker(&self) -> bool {
        let at = self.position();
        at >= 2 && self.jpeg.get(at - 2..at) == Some(&[0xFF, EOI])
    }

    /// The components of which a sequential file has no scan.
    fn lacking(&self) -> impl Iterator<Item = usize> {
        let is_sequential = self.frame.as_ref().is_some_and(|frame| !frame.is_progressive);
        let open = self.open.iter().enumerate().filter(move |_| is_sequential);
        open.filter(|(_, open)| open[0] == UNKNOWN)
            .map(|(component, _)| component)
    }

    fn read<S: sink::Sink>(
        &mut self,
        scan: &Scan,
        data: (&'a [u8], usize),
        sink: S,
    ) -> Result<ReadScan<S>, Error> {
        let mut none = [];
        let masks = match (scan.coding, scan.parts.first()) {
            (Coding::FirstAc | Coding::NextAc, Some(part)) => &mut self.masks[part.component],
            _ => &mut none[..],
        };
        ScanReader::new(scan, &self.tables, data, masks, sink).run(self.interval)
    }

    /// Writes the file again with the missing units filled in, and tells whether none was missing.
    fn rewrite(mut self) -> Result<(Vec<u8>, bool), Error> {
        let mut file = Vec::with_capacity(self.jpeg.len() * 2);
        let (mut copied, mut is_complete) = (0, true);
        while let Some(next) = self.next()? {
            file.extend_from_slice(&self.jpeg[copied..next.header]);
            let sink = Rewritten::new(file, &next.scan, &self.jpeg[next.header..next.data]);
            let (data, end) = self.data_of(&next);
            let done = self.read(&next.scan, (data, next.data), sink)?;
            file = done.sink.finish();
            is_complete &= done.is_whole;
            copied = match (done.stop, end) {
                (Stop::Marker(_, at), _) | (Stop::End, Stop::Marker(_, at)) => at,
                (Stop::End, Stop::End) => self.jpeg.len(),
            };
            self.reader = Reader::at(self.jpeg, copied);
            if self.is_full() {
                break;
            }
        }
        if self.scans == 0 {
            return Err(jpeg::cut());
        }
        is_complete &= self.is_complete();
        file = self.fill_lacking(file)?;
        file.extend([0xFF, EOI]);
        Ok((file, is_complete))
    }

    /// The file up to the end of the data of a scan, and how it ends. Storage that was never written ends it as the
    /// end of the file does, unless the scan is whole with it.
    fn data_of(&mut self, next: &NextScan) -> (&'a [u8], Stop) {
        let stop = scan_end(self.jpeg, next.data);
        let end = match stop {
            Stop::Marker(_, at) => at,
            Stop::End => self.jpeg.len(),
        };
        let zeros = trailing_zeros(&self.jpeg[next.data..end]);
        if zeros == 0 {
            return (self.jpeg, stop);
        }
        let masks = self.masks.clone();
        let whole = self.read(&next.scan, (self.jpeg, next.data), Nowhere);
        self.masks = masks;
        if whole.is_ok_and(|done| done.is_whole) {
            return (self.jpeg, stop);
        }
        (&self.jpeg[..end - zeros], stop)
    }

    /// A scan of zeros for each component that has none.
    fn fill_lacking(&self, mut file: Vec<u8>) -> Result<Vec<u8>, Error> {
        let lacking: Vec<usize> = self.lacking().collect();
        let Some(frame) = self.frame.as_ref().filter(|_| !lacking.is_empty()) else {
            return Ok(file);
        };
        // No restarts from here on.
        file.extend([0xFF, DRI, 0, 4, 0, 0]);
        for component in lacking {
            let scan = Scan::of(frame, component);
            let sink = Rewritten::new(file, &scan, &Scan::header_of(&frame.components[component]));
            file = ScanReader::new(&scan, &self.tables, (&[], 0), &mut [], sink)
                .filled()
                .finish();
        }
        Ok(file)
    }
}
