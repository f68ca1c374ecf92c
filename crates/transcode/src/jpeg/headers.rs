//! The headers of frames and of scans (ITU-T T.81 B.2.2 and B.2.3): their fields, without a judgement of what they say.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

use crate::syntax::reader::Reader;

/// The header of a frame.
#[derive(Default)]
pub(crate) struct FrameHeader {
    /// Bits of a sample.
    pub(crate) precision: u8,
    pub(crate) height: u16,
    pub(crate) width: u16,
    /// The number of components that the header announces.
    pub(crate) count: u8,
    /// The components that the segment has room for, which can be more or fewer than it announces.
    pub(crate) components: Vec<FrameComponent>,
    /// True if bytes that make no component follow.
    pub(crate) has_rest: bool,
}

/// A component in the header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameComponent {
    pub(crate) id: u8,
    /// Sampling factors, 0 to 15.
    pub(crate) across: u8,
    pub(crate) down: u8,
    /// The number of its quantization table.
    pub(crate) quantizer: u8,
}

impl FrameHeader {
    /// Reads the content of a segment; `None` when it ends before the first component.
    pub(crate) fn read(content: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(content);
        let (precision, height, width, count) = (reader.u8()?, reader.be16()?, reader.be16()?, reader.u8()?);
        let (components, rest) = reader.rest().as_chunks::<3>();
        Some(Self {
            precision,
            height,
            width,
            count,
            components: components.iter().map(FrameComponent::read).collect(),
            has_rest: !rest.is_empty(),
        })
    }
}

impl FrameComponent {
    const fn read(&[id, factors, quantizer]: &[u8; 3]) -> Self {
        Self {
            id,
            across: factors >> 4,
            down: factors & 15,
            quantizer,
        }
    }

    /// The component as it stands in the header.
    pub(crate) const fn bytes(self) -> [u8; 3] {
        [self.id, self.across << 4 | self.down, self.quantizer]
    }

    /// Sampling factors, across and down.
    pub(crate) const fn factors(self) -> (u8, u8) {
        (self.across, self.down)
    }
}

/// The header of a scan.
#[derive(Default)]
pub(crate) struct ScanHeader<'a> {
    /// The number of components that the header announces.
    pub(crate) count: usize,
    /// The components; none when the segment ends among them.
    pub(crate) components: Vec<ScanComponent>,
    /// The parameters behind them: first and last coefficient, and the two precisions in one byte.
    pub(crate) parameters: &'a [u8],
}

/// A component in the header of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ScanComponent {
    pub(crate) id: u8,
    /// Numbers of its Huffman tables, 0 to 15.
    pub(crate) dc: u8,
    pub(crate) ac: u8,
}

impl<'a> ScanHeader<'a> {
    /// Reads the content of a segment. One without a byte announces no component.
    pub(crate) fn read(content: &'a [u8]) -> Self {
        let Some((&count, rest)) = content.split_first() else {
            return Self::default();
        };
        let count = usize::from(count);
        let (components, parameters) = rest.split_at_checked(count.saturating_mul(2)).unwrap_or_default();
        let (components, _) = components.as_chunks::<2>();
        Self {
            count,
            components: components.iter().map(ScanComponent::read).collect(),
            parameters,
        }
    }
}

impl ScanComponent {
    const fn read(&[id, tables]: &[u8; 2]) -> Self {
        Self {
            id,
            dc: tables >> 4,
            ac: tables & 15,
        }
    }
}

/// The way in which the blocks of a scan are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Sequential,
    /// The upper bits of the mean.
    FirstDc,
    /// One more bit of it.
    NextDc,
    /// The upper bits of a band of the other coefficients.
    FirstAc,
    /// One more bit of them.
    NextAc,
}

impl Coding {
    /// The coding of a scan of a progressive frame, from its first and last coefficient and the precision that it
    /// continues; `None` for a band that no scan can have.
    pub(crate) const fn of_progressive(first: u8, last: u8, high: u8) -> Option<Self> {
        match (first, last, high) {
            (0, 0, 0) => Some(Self::FirstDc),
            (0, 0, _) => Some(Self::NextDc),
            (1.., ..=63, 0) if first <= last => Some(Self::FirstAc),
            (1.., ..=63, _) if first <= last => Some(Self::NextAc),
            _ => None,
        }
    }

    /// Tells whether the scan has a band of coefficients without the mean, which is of one component.
    pub(crate) const fn is_band(self) -> bool {
        matches!(self, Self::FirstAc | Self::NextAc)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_the_components_that_are_there() {
        let header = FrameHeader::read(&[8, 1, 0, 0, 9, 3, 1, 0x21, 0, 2, 0x11, 1, 7]).unwrap();
        assert_eq!((header.precision, header.height, header.width), (8, 256, 9));
        assert_eq!((header.count, header.components.len()), (3, 2));
        assert!(header.has_rest);
        let first = header.components[0];
        assert_eq!((first.across, first.down, first.quantizer), (2, 1, 0));
        assert_eq!(first.bytes(), [1, 0x21, 0]);
        assert!(FrameHeader::read(&[8, 0, 1, 0, 1]).is_none());
    }

    #[test]
    fn a_scan_that_is_cut_among_its_components_has_none() {
        let whole = ScanHeader::read(&[1, 7, 0x12, 0, 63, 0]);
        let component = ScanComponent { id: 7, dc: 1, ac: 2 };
        assert_eq!((whole.count, whole.components), (1, vec![component]));
        assert_eq!(whole.parameters, [0, 63, 0]);
        let cut = ScanHeader::read(&[2, 7, 0x12, 0]);
        assert_eq!((cut.count, cut.components.len(), cut.parameters.len()), (2, 0, 0));
        assert_eq!(ScanHeader::read(&[]).count, 0);
    }

    #[test]
    fn a_band_of_a_progressive_scan_is_the_mean_or_without_it() {
        for (first, last, high, expected) in [
            (0, 0, 0, Some(Coding::FirstDc)),
            (0, 0, 1, Some(Coding::NextDc)),
            (1, 63, 0, Some(Coding::FirstAc)),
            (5, 5, 2, Some(Coding::NextAc)),
            (0, 63, 0, None),
            (6, 5, 0, None),
            (1, 64, 0, None),
            (64, 64, 0, None),
        ] {
            assert_eq!(
                Coding::of_progressive(first, last, high),
                expected,
                "{first} {last} {high}"
            );
        }
    }
}
