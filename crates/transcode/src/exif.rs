//! The one EXIF field that changes pixels: orientation (Exif 3.0 section 4.6.5, tag 0x0112).
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

const ORIENTATION: u16 = 0x0112;
const BYTE: u16 = 1;
const SHORT: u16 = 3;
const LONG: u16 = 4;

/// The orientation, 1 to 8, in a TIFF structure as EXIF carries it, with or without its `Exif\0\0` prefix.
///
/// Only IFD0 is looked at and no offset other than its own is followed, so loops and wild offsets elsewhere in the
/// structure do no harm. Whatever cannot be read is `None`.
pub(crate) fn orientation(exif: &[u8]) -> Option<u8> {
    let tiff = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    let order = match tiff.get(..2)? {
        b"II" => Order::Little,
        b"MM" => Order::Big,
        _ => return None,
    };
    if order.u16(tiff, 2)? != 42 {
        return None;
    }
    let ifd = usize::try_from(order.u32(tiff, 4)?).ok()?;
    let count = order.u16(tiff, ifd)?;
    let mut entry = ifd.checked_add(2)?;
    for _ in 0..count {
        if order.u16(tiff, entry)? == ORIENTATION {
            return value(order, tiff, entry);
        }
        entry = entry.checked_add(12)?;
    }
    None
}

fn value(order: Order, tiff: &[u8], entry: usize) -> Option<u8> {
    let at = entry.checked_add(8)?;
    let value = match order.u16(tiff, entry.checked_add(2)?)? {
        BYTE => u32::from(*tiff.get(at)?),
        SHORT => u32::from(order.u16(tiff, at)?),
        LONG => order.u32(tiff, at)?,
        _ => return None,
    };
    u8::try_from(value).ok().filter(|value| (1..=8).contains(value))
}

#[derive(Clone, Copy)]
enum Order {
    Little,
    Big,
}

impl Order {
    fn u16(self, data: &[u8], at: usize) -> Option<u16> {
        let bytes = data.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Little => u16::from_le_bytes(*bytes),
            Self::Big => u16::from_be_bytes(*bytes),
        })
    }

    fn u32(self, data: &[u8], at: usize) -> Option<u32> {
        let bytes = data.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Little => u32::from_le_bytes(*bytes),
            Self::Big => u32::from_be_bytes(*bytes),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn what_is_no_orientation_is_ignored() {
        assert_eq!(orientation(&little(1, ORIENTATION, SHORT, 0)), None);
        assert_eq!(orientation(&little(1, ORIENTATION, SHORT, 99)), None);
        assert_eq!(orientation(&little(1, ORIENTATION, 2, 6)), None);
        assert_eq!(orientation(b""), None);
        assert_eq!(orientation(b"XX*\0\x08\0\0\0"), None);
        assert_eq!(orientation(b"II*\0\xFF\xFF\xFF\xFF"), None);
    }
}
