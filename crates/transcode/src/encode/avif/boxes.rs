//! Boxes of ISO/IEC 14496-12 (ISOBMFF), written into each other.

use crate::av1::sequence::SequenceHeader;
use crate::error::EncodeError;

pub(super) fn too_large() -> EncodeError {
    EncodeError::Pixels("the sequence is too large for its file format".to_owned())
}

/// Bytes with boxes in them.
pub(super) struct Boxes(pub(super) Vec<u8>);

type Content<'a> = &'a mut Boxes;

impl Boxes {
    /// Adds a box (ISOBMFF section 4.2).
    pub(super) fn push(
        &mut self,
        name: &[u8; 4],
        content: impl FnOnce(Content<'_>) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        let start = self.0.len();
        self.u32(0);
        self.bytes(name);
        content(self)?;
        let length = u32::try_from(self.0.len() - start).map_err(|_| too_large())?;
        if let Some(field) = self.0.get_mut(start..start + 4) {
            field.copy_from_slice(&length.to_be_bytes());
        }
        Ok(())
    }

    /// Adds a box with version and flags.
    pub(super) fn full(
        &mut self,
        name: &[u8; 4],
        version: u32,
        flags: u32,
        content: impl FnOnce(Content<'_>) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.push(name, |b| {
            b.u32(version << 24 | flags);
            content(b)
        })
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn zeros(&mut self, count: usize) {
        self.0.resize(self.0.len() + count, 0);
    }

    pub(super) fn u16(&mut self, number: u16) {
        self.bytes(&number.to_be_bytes());
    }

    pub(super) fn u32(&mut self, number: u32) {
        self.bytes(&number.to_be_bytes());
    }

    pub(super) fn u64(&mut self, number: u64) {
        self.bytes(&number.to_be_bytes());
    }

    pub(super) fn len32(&mut self, number: usize) -> Result<(), EncodeError> {
        self.u32(u32::try_from(number).map_err(|_| too_large())?);
        Ok(())
    }

    /// Creation and modification: no time, so that the same source gives the same bytes.
    pub(super) fn times(&mut self) {
        self.zeros(16);
    }

    /// The unity matrix (ISOBMFF section 8.2.2.2).
    pub(super) fn matrix(&mut self) {
        for value in [0x0001_0000, 0, 0, 0, 0x0001_0000, 0, 0, 0, 0x4000_0000] {
            self.u32(value);
        }
    }

    pub(super) fn handler(&mut self, name: &[u8; 4]) -> Result<(), EncodeError> {
        self.full(b"hdlr", 0, 0, |b| {
            b.u32(0);
            b.bytes(name);
            b.zeros(12);
            b.bytes(&[0]); // no name
            Ok(())
        })
    }

    /// `av1C` (AV1 in ISOBMFF 1.2, section 2.3), without the sequence header, which is in the first sample.
    pub(super) fn configuration(&mut self, header: &SequenceHeader) -> Result<(), EncodeError> {
        self.push(b"av1C", |b| {
            let monochrome = u8::from(header.is_monochrome()) << 4;
            let tier = u8::from(header.points.is_high_tier) << 7;
            // 8 bits, siting unknown; but for profile 1, chroma is halved both ways.
            let halved = if header.profile == 1 { 0 } else { 0b1100 };
            b.bytes(&[
                0x81,
                header.profile << 5 | header.points.level,
                tier | monochrome | halved,
                0,
            ]);
            Ok(())
        })
    }

    /// sRGB in the matrix of BT.601, limited range (ISOBMFF section 12.1.5).
    pub(super) fn colors(&mut self) -> Result<(), EncodeError> {
        self.push(b"colr", |b| {
            b.bytes(b"nclx");
            for number in [1, 13, 6] {
                b.u16(number);
            }
            b.bytes(&[0]);
            Ok(())
        })
    }
}
