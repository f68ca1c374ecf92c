//! Frame and scan headers (ITU-T T.81 B.2.2 and B.2.3), and which coefficients are known.

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
    /// Which coefficients of each block are not zero, as far as they are known; in progressive frames only.
    pub(super) nonzero: Vec<u64>,
    /// Down to which bit each coefficient is known.
    known: [u8; 64],
}

/// The way in which the blocks of a scan are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Sequential,
    /// The upper bits of the mean.
    FirstDc,
    /// One more bit of it.
    NextDc,
    /// The upper bits of a band of the others.
    FirstAc,
    /// One more bit of them.
    NextAc,
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
        let &[8, h1, h0, w1, w0, count, ref rest @ ..] = body else {
            return None;
        };
        let (told, behind) = rest.as_chunks::<3>();
        if !matches!(count, 1 | 3) || told.len() != usize::from(count) || !behind.is_empty() {
            return None;
        }
        let width = usize::from(u16::from_be_bytes([w1, w0]));
        let height = usize::from(u16::from_be_bytes([h1, h0]));
        let factors = |&[_, factors, _]: &[u8; 3]| (usize::from(factors >> 4), usize::from(factors & 15));
        let are_usual = told
            .iter()
            .map(factors)
            .all(|(across, down)| matches!(across, 1 | 2 | 4) && matches!(down, 1 | 2 | 4));
        let most_across = told.iter().map(|component| factors(component).0).max()?;
        let most_down = told.iter().map(|component| factors(component).1).max()?;
        let have_quantizers = told.iter().all(|component| component[2] < 4);
        if !are_usual || !have_quantizers || width == 0 || height == 0 {
            return None;
        }
        let component = |told: &[u8; 3]| {
            let (across, down) = factors(told);
            let stride = width.div_ceil(8 * most_across) * across;
            let blocks = height.div_ceil(8 * most_down) * down * stride;
            Component {
                id: told[0],
                across,
                down,
                quantizer: told[2].into(),
                columns: (width * across).div_ceil(most_across).div_ceil(8),
                rows: (height * down).div_ceil(most_down).div_ceil(8),
                stride,
                nonzero: vec![0; if marker == 0xC2 { blocks } else { 0 }],
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
        let is_band = matches!(scan.coding, Coding::FirstAc | Coding::NextAc);
        let scanned = scan.components.first().filter(|_| is_band)?;
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

    /// Whether there is something to see of every component.
    pub(super) fn is_shown(&self) -> bool {
        self.components
            .iter()
            .all(|component| component.known[0] != UNKNOWN)
    }
}

impl Scan {
    pub(super) fn read(header: &[u8], frame: &Frame) -> Option<Self> {
        let (&count, rest) = header.split_first()?;
        let (told, rest) = rest.split_at_checked(2 * usize::from(count))?;
        let &[first, last, bits] = rest else {
            return None;
        };
        let (first, last, high, low) = (usize::from(first), usize::from(last), bits >> 4, bits & 15);
        let (told, _) = told.as_chunks::<2>();
        let scanned = |&[id, tables]: &[u8; 2]| {
            let component = frame.components.iter().position(|component| component.id == id)?;
            let (dc, ac) = (usize::from(tables >> 4), usize::from(tables & 15));
            (dc < 4 && ac < 4).then_some(Scanned {
                component,
                dc,
                ac: 4 + ac,
            })
        };
        let components = told.iter().map(scanned).collect::<Option<Vec<_>>>()?;
        let are_in_order = components
            .windows(2)
            .all(|pair| pair[0].component < pair[1].component);
        let coding = match (frame.marker, first, last, high) {
            (0xC0 | 0xC1, 0, 63, 0) if low == 0 => Coding::Sequential,
            (0xC2, 0, 0, 0) => Coding::FirstDc,
            (0xC2, 0, 0, _) => Coding::NextDc,
            (0xC2, 1.., ..=63, 0) if first <= last => Coding::FirstAc,
            (0xC2, 1.., ..=63, _) if first <= last => Coding::NextAc,
            _ => return None,
        };
        let is_band = matches!(coding, Coding::FirstAc | Coding::NextAc);
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
                _ => !is_band && scan.blocks(frame) <= MAX_BLOCKS,
            };
        fits.then_some(scan)
    }

    /// Whether every scan brings bits that were not known, in their order (T.81 G.1.1.1).
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
