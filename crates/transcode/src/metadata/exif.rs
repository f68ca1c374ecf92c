//! TIFF structures as EXIF carries them, and the one field that changes pixels: orientation (Exif 3.0 section 4.6.5,
//! tag 0x0112).

const ORIENTATION: u16 = 0x0112;
const BYTE: u16 = 1;
const SHORT: u16 = 3;
const LONG: u16 = 4;
const IFD: u16 = 13;
const LONG8: u16 = 16;
const IFD8: u16 = 18;

/// Larger blocks are not kept. JPEG cannot hold more than 64 KiB, and what phones write has less.
pub(crate) const MAX_BYTES: usize = 1 << 20;
/// Most fields that a directory of BigTIFF is looked at for: as many as one of TIFF can have.
const MAX_FIELDS: u64 = 0xFFFF;

/// The EXIF block of a file.
#[derive(Debug, Default)]
pub(crate) enum Block {
    #[default]
    None,
    /// A copy, from its TIFF header on, at most [`MAX_BYTES`] long.
    Copied(Vec<u8>),
    /// The directories of the file itself, a TIFF of any size, which is not copied for their sake.
    File,
}

impl Block {
    /// The structure of the block in `source`, which it was found in.
    pub(crate) fn tiff<'a>(&'a self, source: &'a [u8]) -> Option<Tiff<'a>> {
        match self {
            Self::None => None,
            Self::Copied(block) => Tiff::new(block),
            Self::File => Tiff::of_file(source),
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
/// Only IFD0 is looked at and no offset other than its own is followed, so loops and wild offsets elsewhere in the
/// structure do no harm. Whatever cannot be read is `None`.
pub(crate) fn orientation(exif: &[u8]) -> Option<u8> {
    let field = Tiff::new(exif)?.first()?.field(ORIENTATION)?;
    let value = field.number()?;
    u8::try_from(value).ok().filter(|value| (1..=8).contains(value))
}

/// A TIFF structure. Nothing is allocated and no directory is entered that was not asked for, so the work is bounded
/// by the number of questions, whatever the structure says about itself.
#[derive(Clone, Copy)]
pub(crate) struct Tiff<'a> {
    data: &'a [u8],
    order: Order,
    /// Offsets and counts have 64 bits, as in BigTIFF.
    is_big: bool,
}

/// An image file directory: a list of fields.
#[derive(Clone, Copy)]
pub(crate) struct Directory<'a> {
    tiff: Tiff<'a>,
    at: usize,
}

/// One field's value.
#[derive(Clone, Copy)]
pub(crate) struct Field<'a> {
    order: Order,
    /// The type of its parts (TIFF 6.0 section 2).
    pub(crate) kind: u16,
    /// Exactly as long as type and count say.
    pub(crate) bytes: &'a [u8],
}

impl<'a> Tiff<'a> {
    /// `exif` may begin with `Exif\0\0`.
    pub(crate) fn new(exif: &'a [u8]) -> Option<Self> {
        let data = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
        // Nobody reads a block that is BigTIFF, so that its orientation must not count here either.
        Self::of_file(data).filter(|tiff| !tiff.is_big)
    }

    /// A whole file, TIFF or BigTIFF.
    pub(crate) fn of_file(data: &'a [u8]) -> Option<Self> {
        let order = match data.get(..2)? {
            b"II" => Order::Little,
            b"MM" => Order::Big,
            _ => return None,
        };
        let is_big = match order.u16(data, 2)? {
            42 => false,
            43 => true,
            _ => return None,
        };
        Some(Self { data, order, is_big })
    }

    /// IFD0.
    pub(crate) fn first(self) -> Option<Directory<'a>> {
        let at = self.wide(if self.is_big { 8 } else { 4 })?;
        self.directory(at)
    }

    fn directory(self, at: u64) -> Option<Directory<'a>> {
        let at = usize::try_from(at).ok()?;
        Some(Directory { tiff: self, at })
    }

    /// The number at `at`, which has 32 bits in TIFF and 64 in BigTIFF.
    fn wide(self, at: usize) -> Option<u64> {
        if self.is_big {
            self.order.u64(self.data, at)
        } else {
            self.order.u32(self.data, at).map(u64::from)
        }
    }
}

impl<'a> Directory<'a> {
    /// The directory whose offset is the value of the field `tag`.
    pub(crate) fn directory(self, tag: u16) -> Option<Self> {
        let at = self.field(tag)?.offset()?;
        self.tiff.directory(at)
    }

    /// The first field with that tag, if it has a value that lies in the structure. A count of fields that lies does
    /// not hide the fields before the end.
    pub(crate) fn field(self, tag: u16) -> Option<Field<'a>> {
        let Tiff { data, order, is_big } = self.tiff;
        let (count, head, step) = if is_big {
            (order.u64(data, self.at)?, 8, 20)
        } else {
            (order.u16(data, self.at)?.into(), 2, 12)
        };
        let mut entry = self.at.checked_add(head)?;
        for _ in 0..count.min(MAX_FIELDS) {
            if order.u16(data, entry)? == tag {
                return self.value(entry);
            }
            entry = entry.checked_add(step)?;
        }
        None
    }

    fn value(self, entry: usize) -> Option<Field<'a>> {
        let Tiff { data, order, is_big } = self.tiff;
        let kind = order.u16(data, entry.checked_add(2)?)?;
        let count = usize::try_from(self.tiff.wide(entry.checked_add(4)?)?).ok()?;
        let size: usize = match kind {
            1 | 2 | 6 | 7 | 129 => 1,
            3 | 8 => 2,
            4 | 9 | 11 | IFD => 4,
            5 | 10 | 12 | LONG8 | 17 | IFD8 => 8,
            _ => return None,
        };
        let length = size.checked_mul(count)?;
        let (place, room) = if is_big { (12, 8) } else { (8, 4) };
        let place = entry.checked_add(place)?;
        let at = if length <= room {
            place
        } else {
            usize::try_from(self.tiff.wide(place)?).ok()?
        };
        let bytes = data.get(at..at.checked_add(length)?)?;
        Some(Field { order, kind, bytes })
    }
}

impl Field<'_> {
    /// The first part, if it is an unsigned integer.
    pub(crate) fn number(self) -> Option<u32> {
        match self.kind {
            BYTE => self.bytes.first().copied().map(u32::from),
            SHORT => self.order.u16(self.bytes, 0).map(u32::from),
            LONG => self.order.u32(self.bytes, 0),
            _ => None,
        }
    }

    /// Where something lies. libtiff gives offsets of directories a type of their own.
    fn offset(self) -> Option<u64> {
        match self.kind {
            IFD => self.order.u32(self.bytes, 0).map(u64::from),
            LONG8 | IFD8 => self.order.u64(self.bytes, 0),
            _ => self.number().map(u64::from),
        }
    }

    /// The 32-bit number at `index`.
    pub(crate) fn long(self, index: usize) -> Option<u32> {
        self.order.u32(self.bytes, index.checked_mul(4)?)
    }
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

    fn u64(self, data: &[u8], at: usize) -> Option<u64> {
        let bytes = data.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Little => u64::from_le_bytes(*bytes),
            Self::Big => u64::from_be_bytes(*bytes),
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
