//! EXIF blocks, and the one field that changes pixels: orientation (Exif 3.0 section 4.6.5,
//! tag 0x0112).

use crate::syntax::tiff::Tiff;

const ORIENTATION: u16 = 0x0112;
/// Larger blocks are not kept. JPEG cannot hold more than 64 KiB, and what phones write has less.
pub(crate) const MAX_BYTES: usize = 1 << 20;

/// The EXIF block of a file.
#[derive(Debug, Default)]
pub(crate) enum Block {
    #[default]
    None,
    /// A copy, from its TIFF header on, at most [`MAX_BYTES`] long.
    Copied(Vec<u8>),
    /// The directories of the file itself, a TIFF of any size, which is not copied.
    File,
}

impl Block {
    /// The structure of the block in `source`, which it was found in.
    pub(crate) fn tiff<'a>(&'a self, source: &'a [u8]) -> Option<Tiff<'a>> {
        match self {
            Self::None => None,
            Self::Copied(block) => structure(block),
            Self::File => Tiff::new(source),
        }
    }
}

impl From<Option<Vec<u8>>> for Block {
    fn from(copied: Option<Vec<u8>>) -> Self {
        copied.map_or(Self::None, Self::Copied)
    }
}

/// A copy of an EXIF block, unless it is too large to be one.
pub(crate) fn keep(exif: &[u8]) -> Option<Vec<u8>> {
    (exif.len() <= MAX_BYTES).then(|| exif.to_vec())
}

/// The block in a box or an item, where four bytes tell how far behind them its TIFF header is (ISO/IEC 23008-12
/// annex A.2.1, ISO/IEC 18181-2).
pub(crate) fn unboxed(data: &[u8]) -> Option<&[u8]> {
    let (offset, data) = data.split_first_chunk()?;
    data.get(usize::try_from(u32::from_be_bytes(*offset)).ok()?..)
}

/// The orientation, 1 to 8, in a TIFF structure as EXIF carries it, with or without its `Exif\0\0` prefix.
///
/// Only IFD0 is looked at and no offset other than its own is followed, so loops and wrong offsets elsewhere in the
/// structure have no effect. `None` for a structure that cannot be read.
pub(crate) fn orientation(exif: &[u8]) -> Option<u8> {
    let field = structure(exif)?.first()?.field(ORIENTATION)?;
    let value = field.number()?;
    u8::try_from(value).ok().filter(|value| (1..=8).contains(value))
}

/// The structure of a block, which may begin with `Exif\0\0`.
pub(super) fn structure(exif: &[u8]) -> Option<Tiff<'_>> {
    // Nobody reads a block that is BigTIFF, so that its orientation must not count here either.
    Tiff::new(exif.strip_prefix(b"Exif\0\0").unwrap_or(exif)).filter(|tiff| !tiff.is_big)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::tiff::SHORT;

    fn little(entries: u16, tag: u16, kind: u16, value: u16) -> Vec<u8> {
        let mut exif = b"Exif\0\0II*\0\x08\0\0\0".to_vec();
        exif.extend(entries.to_le_bytes());
        exif.extend(tag.to_le_bytes());
        exif.extend(kind.to_le_bytes());
        exif.extend(1u32.to_le_bytes());
        exif.extend(value.to_le_bytes());
        exif.extend([0, 0]);
        exif
    }

    #[test]
    fn both_byte_orders_are_read() {
        assert_eq!(orientation(&little(1, ORIENTATION, SHORT, 6)), Some(6));
        let big = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x08\0\0";
        assert_eq!(orientation(big), Some(8));
    }

    #[test]
    fn a_count_that_lies_does_not_hide_the_tag() {
        assert_eq!(orientation(&little(65_535, ORIENTATION, SHORT, 3)), Some(3));
        assert_eq!(orientation(&little(65_535, 0x0110, SHORT, 3)), None);
    }

    #[test]
    fn values_that_are_no_orientation_are_ignored() {
        assert_eq!(orientation(&little(1, ORIENTATION, SHORT, 0)), None);
        assert_eq!(orientation(&little(1, ORIENTATION, SHORT, 99)), None);
        assert_eq!(orientation(&little(1, ORIENTATION, 2, 6)), None);
        assert_eq!(orientation(b""), None);
        assert_eq!(orientation(b"XX*\0\x08\0\0\0"), None);
        assert_eq!(orientation(b"II*\0\xFF\xFF\xFF\xFF"), None);
    }
}
