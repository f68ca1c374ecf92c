//! The headers of the frame and of its scans (ITU-T T.81 B.2.2 and B.2.3).

use crate::Error;
use crate::jpeg::headers::{Coding, FrameHeader, ScanHeader};
use crate::jpeg::{SOF2, SOS};

pub(super) struct Frame {
    pub(super) is_progressive: bool,
    pub(super) components: Vec<Component>,
    /// Units of interleaved scans, across and down.
    units: (usize, usize),
}

pub(super) struct Component {
    id: u8,
    /// Blocks of a unit of an interleaved scan.
    blocks_in_unit: usize,
    /// Blocks of a scan of its own.
    pub(super) blocks: usize,
}

pub(super) struct Scan {
    pub(super) parts: Vec<ScanComponent>,
    pub(super) coding: Coding,
    /// First and last coefficient.
    pub(super) band: (u32, u32),
    /// The bits that earlier scans left open, if there were any, and those that this one leaves open.
    pub(super) precision: (u8, u8),
    pub(super) units: usize,
}

/// One component in a scan.
pub(super) struct ScanComponent {
    pub(super) component: usize,
    pub(super) blocks_in_unit: usize,
    /// Numbers of its tables.
    pub(super) dc: usize,
    pub(super) ac: usize,
}

impl Frame {
    pub(super) fn read(marker: u8, body: &[u8]) -> Option<Self> {
        let header = FrameHeader::read(body)?;
        let (height, width) = (usize::from(header.height), usize::from(header.width));
        let entries = header.components.get(..header.count.into())?;
        let across = usize::from(entries.iter().map(|entry| entry.across).max()?);
        let down = usize::from(entries.iter().map(|entry| entry.down).max()?);
        let is_legal = |factor: usize| (1..=4).contains(&factor);
        let components = entries.iter().map(|entry| {
            let (h, v) = (usize::from(entry.across), usize::from(entry.down));
            (is_legal(h) && is_legal(v)).then(|| Component {
                id: entry.id,
                blocks_in_unit: h * v,
                blocks: (width * h).div_ceil(across * 8) * (height * v).div_ceil(down * 8),
            })
        });
        Some(Self {
            is_progressive: marker == SOF2,
            components: components.collect::<Option<_>>()?,
            units: (width.div_ceil(across * 8), height.div_ceil(down * 8)),
        })
    }
}

impl Scan {
    /// Reads the header of a scan; one that does not fit its frame is refused.
    pub(super) fn read(body: &[u8], frame: &Frame) -> Result<Self, Error> {
        Self::parse(body, frame).ok_or_else(|| Error::corrupt("a scan of the JPEG does not fit its frame"))
    }

    fn parse(body: &[u8], frame: &Frame) -> Option<Self> {
        let header = ScanHeader::read(body);
        let count = header.count;
        let mut parts: Vec<ScanComponent> = Vec::new();
        for entry in header.components {
            let fresh = |&(number, component): &(usize, &Component)| {
                component.id == entry.id && !parts.iter().any(|part| part.component == number)
            };
            let (component, found) = frame.components.iter().enumerate().find(fresh)?;
            parts.push(ScanComponent {
                component,
                // A scan of one component has no units of several blocks (T.81 A.2.2).
                blocks_in_unit: if count == 1 { 1 } else { found.blocks_in_unit },
                dc: usize::from(entry.dc & 3),
                ac: usize::from(entry.ac & 3),
            });
        }
        let first = frame.components.get(parts.first()?.component)?;
        let units = if count == 1 {
            first.blocks
        } else {
            frame.units.0 * frame.units.1
        };
        let mut scan = Self {
            parts,
            coding: Coding::Sequential,
            band: (0, 63),
            precision: (0, 0),
            units,
        };
        // The band in a sequential scan has no meaning.
        if frame.is_progressive {
            let &[start, end, precision, ..] = header.parameters else {
                return None;
            };
            scan.precision = (precision >> 4, precision & 15);
            scan.band = (start.into(), end.into());
            scan.coding = Coding::of_progressive(start, end, scan.precision.0)?;
            if scan.coding.is_band() && count > 1 {
                return None;
            }
        }
        Some(scan)
    }

    /// The header, with its marker, of a scan of one component of a sequential frame with the first tables.
    pub(super) fn header_of(component: &Component) -> [u8; 10] {
        [0xFF, SOS, 0, 8, 1, component.id, 0, 0, 63, 0]
    }

    /// The scan that [`Self::header_of`] announces.
    pub(super) fn of(frame: &Frame, component: usize) -> Self {
        Self {
            parts: vec![ScanComponent {
                component,
                blocks_in_unit: 1,
                dc: 0,
                ac: 0,
            }],
            coding: Coding::Sequential,
            band: (0, 63),
            precision: (0, 0),
            units: frame.components[component].blocks,
        }
    }
}
