//! The frame and its scans (ITU-T T.81 B.2.2 and B.2.3), and the coefficients that are known.

use crate::jpeg::SOF2;
use crate::jpeg::headers::{Coding, FrameComponent, FrameHeader, ScanComponent, ScanHeader};

/// At most so many blocks are in a unit of several components (T.81 B.2.3).
const MAX_BLOCKS: usize = 10;

/// A precision that no coefficient has: none of its bits are known.
const UNKNOWN: u8 = u8::MAX;

pub(super) struct Frame {
    /// Baseline, extended or progressive.
    pub(super) marker: u8,
    width: usize,
    height: usize,
    pub(super) components: Vec<Component>,
}

pub(super) struct Component {
    pub(super) id: u8,
    /// Blocks of a unit, across and down.
    pub(super) across: usize,
    pub(super) down: usize,
    pub(super) quantizer: usize,
    /// Blocks that have pixels.
    pub(super) columns: usize,
    pub(super) rows: usize,
    /// Blocks from one row to the next: whole units.
    pub(super) stride: usize,
    /// A bit for each known coefficient of a block that is not zero; in progressive frames only.
    pub(super) nonzero: Vec<u64>,
    /// The lowest known bit of each coefficient.
    known: [u8; 64],
}

/// A component in a scan, and its tables: DC 0 to 3, AC 4 to 7.
pub(super) struct Scanned {
    pub(super) component: usize,
    pub(super) dc: usize,
    pub(super) ac: usize,
}

pub(super) struct Scan {
    pub(super) coding: Coding,
    pub(super) components: Vec<Scanned>,
    /// The band of coefficients.
    pub(super) first: usize,
    pub(super) last: usize,
    /// The bits as a header tells them: known before, and known behind.
    high: u8,
    low: u8,
}

impl Frame {
    pub(super) fn read(marker: u8, body: &[u8]) -> Option<Self> {
        let header = FrameHeader::read(body)?;
        let (told, count) = (&header.components, header.count);
        let is_exact = told.len() == usize::from(count) && !header.has_rest;
        if header.precision != 8 || !matches!(count, 1 | 3) || !is_exact {
            return None;
        }
        let (width, height) = (usize::from(header.width), usize::from(header.height));
        let are_usual = told
            .iter()
            .all(|component| matches!(component.factors(), (1 | 2 | 4, 1 | 2 | 4)));
        let most_across = usize::from(told.iter().map(|component| component.across).max()?);
        let most_down = usize::from(told.iter().map(|component| component.down).max()?);
        let have_quantizers = told.iter().all(|component| component.quantizer < 4);
        if !are_usual || !have_quantizers || width == 0 || height == 0 {
            return None;
        }
        let component = |told: &FrameComponent| {
            let (across, down) = (usize::from(told.across), usize::from(told.down));
            let stride = width.div_ceil(8 * most_across) * across;
            let blocks = height.div_ceil(8 * most_down) * down * stride;
            Component {
                id: told.id,
                across,
                down,
                quantizer: told.quantizer.into(),
                columns: (width * across).div_ceil(most_across).div_ceil(8),
                rows: (height * down).div_ceil(most_down).div_ceil(8),
                stride,
                nonzero: vec![0; if marker == SOF2 { blocks } else { 0 }],
                known: [UNKNOWN; 64],
            }
        };
        let components: Vec<Component> = told.iter().map(component).collect();
        let is_distinct = |at: usize| !components[..at].iter().any(|other| other.id == components[at].id);
        (0..components.len()).all(is_distinct).then_some(Self {
            marker,
            width,
            height,
            components,
        })
    }

    /// The header; components are numbered from 1.
    pub(super) fn header(&self) -> Vec<u8> {
        let low = |value: usize| value.to_le_bytes()[0];
        let mut header = vec![8];
        for side in [self.height, self.width] {
            header.extend([low(side >> 8), low(side)]);
        }
        header.push(low(self.components.len()));
        for (number, component) in (1u8..).zip(&self.components) {
            let factors = component.across << 4 | component.down;
            header.extend([number, low(factors), low(component.quantizer)]);
        }
        header
    }

    /// Units of all components, across and down.
    pub(super) fn units(&self) -> Option<(usize, usize)> {
        let first = self.components.first()?;
        let rows = self
            .height
            .div_ceil(8 * self.components.iter().map(|component| component.down).max()?);
        Some((first.stride / first.across, rows))
    }

    /// A copy of [`Component::nonzero`] for the component of a scan of a band, before the scan changes it; `None` for
    /// other scans.
    pub(super) fn known(&self, scan: &Scan) -> Option<Vec<u64>> {
        let scanned = scan.components.first().filter(|_| scan.coding.is_band())?;
        Some(self.components.get(scanned.component)?.nonzero.clone())
    }

    pub(super) fn restore(&mut self, scan: &Scan, known: Option<Vec<u64>>) {
        if let (Some(scanned), Some(known)) = (scan.components.first(), known) {
            self.components[scanned.component].nonzero = known;
        }
    }

    /// Notes that the coefficients of a scan are known now.
    pub(super) fn pass(&mut self, scan: &Scan) {
        for scanned in &scan.components {
            self.components[scanned.component].known[scan.first..=scan.last].fill(scan.low);
        }
    }

    /// Tells whether the scans contain a part of every component.
    pub(super) fn is_shown(&self) -> bool {
        self.components
            .iter()
            .all(|component| component.known[0] != UNKNOWN)
    }
}

impl Scan {
    pub(super) fn read(header: &[u8], frame: &Frame) -> Option<Self> {
        let header = ScanHeader::read(header);
        let &[first, last, bits] = header.parameters else {
            return None;
        };
        let (high, low) = (bits >> 4, bits & 15);
        let coding = match frame.marker {
            SOF2 => Coding::of_progressive(first, last, high)?,
            _ if (first, last, bits) == (0, 63, 0) => Coding::Sequential,
            _ => return None,
        };
        let (first, last) = (usize::from(first), usize::from(last));
        let scanned = |told: &ScanComponent| {
            let component = frame
                .components
                .iter()
                .position(|component| component.id == told.id)?;
            let (dc, ac) = (usize::from(told.dc), usize::from(told.ac));
            (dc < 4 && ac < 4).then_some(Scanned {
                component,
                dc,
                ac: 4 + ac,
            })
        };
        let components = header
            .components
            .iter()
            .map(scanned)
            .collect::<Option<Vec<_>>>()?;
        let are_in_order = components
            .windows(2)
            .all(|pair| pair[0].component < pair[1].component);
        let scan = Self {
            coding,
            components,
            first,
            last,
            high,
            low,
        };
        let fits = are_in_order
            && scan.fits_what_is_known(frame)
            && match scan.components.len() {
                0 => false,
                1 => true,
                _ => !coding.is_band() && scan.blocks(frame) <= MAX_BLOCKS,
            };
        fits.then_some(scan)
    }

    /// Tells whether every scan brings bits that were not known, in their order (T.81 G.1.1.1).
    fn fits_what_is_known(&self, frame: &Frame) -> bool {
        let before = if self.high == 0 { UNKNOWN } else { self.high };
        let is_next = self.high == 0 || self.low + 1 == self.high;
        let fits = |scanned: &Scanned| {
            let known = &frame.components[scanned.component].known;
            let has_dc = self.first == 0 || known[0] != UNKNOWN;
            has_dc && known[self.first..=self.last].iter().all(|&bit| bit == before)
        };
        is_next && self.low <= 13 && self.components.iter().all(fits)
    }

    /// Blocks of a unit.
    fn blocks(&self, frame: &Frame) -> usize {
        let components = self
            .components
            .iter()
            .map(|scanned| &frame.components[scanned.component]);
        components
            .map(|component| component.across * component.down)
            .sum()
    }

    /// The header; components are numbered from 1.
    pub(super) fn header(&self) -> Vec<u8> {
        let low = |value: usize| value.to_le_bytes()[0];
        let mut header = vec![low(self.components.len())];
        for scanned in &self.components {
            // The number of a table that is not used is 0.
            let tables = match self.coding {
                Coding::Sequential => scanned.dc << 4 | (scanned.ac - 4),
                Coding::FirstDc => scanned.dc << 4,
                Coding::NextDc => 0,
                Coding::FirstAc | Coding::NextAc => scanned.ac - 4,
            };
            header.extend([low(scanned.component + 1), low(tables)]);
        }
        header.extend([low(self.first), low(self.last), self.high << 4 | self.low]);
        header
    }
}
