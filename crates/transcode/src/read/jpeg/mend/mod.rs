//! Whether all units of a JPEG are there, and the same JPEG with those that are missing filled in.
//!
//! The decoders of JPEG here read on behind damage as if nothing had happened, and what follows is then shown in the
//! wrong place. So each scan is read before them, without its coefficients being kept:
//!
//! - where the file ends within a scan, what is before is right: the rest is filled in, grey in a first scan;
//! - where a scan has restart markers, an interval that cannot be read is filled in, and the others are right;
//! - all other damage is refused, because nothing tells where the units behind it belong.
//!
//! Filled in as libjpeg does, with coefficients of zero. The decoder then gets a file without damage.

mod frame;
mod scan;
mod sink;

use std::borrow::Cow;

use self::frame::{Frame, Scan};
use self::scan::{Done, Reading, Tables, trailing_zeros};
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
    /// Whether a part of the picture was missing.
    pub(super) is_truncated: bool,
}

/// Reads all scans of a JPEG and fills in what is missing.
///
/// # Errors
/// A rejection when the JPEG is damaged in another way, or nothing of its picture is there.
pub(super) fn mend(jpeg: &[u8]) -> Result<Mended<'_>, Error> {
    match Walk::new(jpeg).look() {
        Ok(Some(Seen { end, is_complete, .. })) => Ok(Mended {
            jpeg: match end {
                Some(end) => Cow::Owned([&jpeg[..end], &[0xFF, EOI]].concat()),
                None => Cow::Borrowed(jpeg),
            },
            is_truncated: !is_complete,
        }),
        Ok(None) | Err(_) => {
            let (file, is_complete) = Walk::new(jpeg).rewrite()?;
            Ok(Mended {
                jpeg: Cow::Owned(file),
                is_truncated: !is_complete,
            })
        }
    }
}

/// A file of which each scan is whole.
struct Seen {
    /// Where its last scan ends, if no end marker follows.
    end: Option<usize>,
    /// Whether the scans tell all of the picture.
    is_complete: bool,
}

/// The state between two scans.
struct Walk<'a> {
    jpeg: &'a [u8],
    reader: Reader<'a>,
    frame: Option<Frame>,
    tables: Tables,
    interval: usize,
    /// For each component and block, which coefficients are not zero; of progressive files.
    masks: Vec<Vec<u64>>,
    /// For each component and coefficient, how many bits are still open.
    open: Vec<[u8; 64]>,
    scans: usize,
}

/// Nothing is known of a coefficient yet.
const UNKNOWN: u8 = 255;

/// A scan that comes next.
struct Next {
    scan: Scan,
    /// Where its marker is, and its data.
    header: usize,
    data: usize,
}

impl<'a> Walk<'a> {
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
    fn next(&mut self) -> Result<Option<Next>, Error> {
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
                    let next = Next {
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

    /// Notes what a scan tells, and refuses one that builds on a scan that is missing.
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

    /// Whether the scans tell all of the picture.
    fn is_complete(&self) -> bool {
        self.open.iter().flatten().all(|&open| open == 0)
    }

    /// Whether nothing more is read of a sequential file.
    fn is_full(&self) -> bool {
        self.is_complete() && self.frame.as_ref().is_some_and(|frame| !frame.is_progressive)
    }

    /// Reads all scans; `None` when something is missing.
    fn look(mut self) -> Result<Option<Seen>, Error> {
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
        Ok(Some(Seen {
            end: end.filter(|_| !self.is_at_end_marker()),
            is_complete,
        }))
    }

    /// Whether the marker that was read last is the end of the picture.
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
    ) -> Result<Done<S>, Error> {
        let mut none = [];
        let masks = match (scan.coding, scan.parts.first()) {
            (Coding::FirstAc | Coding::NextAc, Some(part)) => &mut self.masks[part.component],
            _ => &mut none[..],
        };
        Reading::new(scan, &self.tables, data, masks, sink).run(self.interval)
    }

    /// Writes the file again with what is missing filled in; tells whether nothing was.
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
    fn data_of(&mut self, next: &Next) -> (&'a [u8], Stop) {
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
            file = Reading::new(&scan, &self.tables, (&[], 0), &mut [], sink)
                .filled()
                .finish();
        }
        Ok(file)
    }
}
