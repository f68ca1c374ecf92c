//! The structure of TIFF (TIFF 6.0 section 2) and BigTIFF, which EXIF has as well: directories of fields.
//!
//! Nothing is allocated and no directory is entered that was not asked for, so the work is bounded by the number of
//! questions, whatever the structure contains.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

const BYTE: u16 = 1;
pub(crate) const ASCII: u16 = 2;
pub(crate) const SHORT: u16 = 3;
const LONG: u16 = 4;
pub(crate) const RATIONAL: u16 = 5;
const UNDEFINED: u16 = 7;
const IFD: u16 = 13;
const LONG8: u16 = 16;
const IFD8: u16 = 18;
/// Exif 3.0.
pub(crate) const UTF8: u16 = 129;

/// Most entries of a directory that are looked at: as many as one of TIFF, which counts them in 16 bits, can have.
const MAX_ENTRIES: u64 = 0xFFFF;

/// A TIFF structure: a file, or a block in one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tiff<'a> {
    /// All of it; offsets count from its beginning.
    pub(crate) data: &'a [u8],
    pub(crate) order: Order,
    /// True if offsets and counts have 64 bits, as in BigTIFF.
    pub(crate) is_big: bool,
}

/// An image file directory: a list of entries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Directory<'a> {
    tiff: Tiff<'a>,
    at: usize,
}

/// An entry of a directory; it may be cut off behind its tag.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    tiff: Tiff<'a>,
    at: usize,
    pub(crate) tag: u16,
}

/// The value of an entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'a> {
    order: Order,
    /// The type of its parts.
    pub(crate) kind: u16,
    /// Exactly as long as type and count say.
    pub(crate) bytes: &'a [u8],
}

/// The order of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Little,
    Big,
}

impl<'a> Tiff<'a> {
    /// `None` for data that do not begin as TIFF or BigTIFF.
    pub(crate) fn new(data: &'a [u8]) -> Option<Self> {
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

    /// The first directory.
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

    /// The bytes of an entry, and those of its value if that is in the entry itself.
    const fn entry_bytes(self) -> (usize, usize) {
        if self.is_big { (20, 8) } else { (12, 4) }
    }
}

impl<'a> Directory<'a> {
    /// The directory whose offset is the value of the first entry `tag`.
    pub(crate) fn directory(self, tag: u16) -> Option<Self> {
        let at = self.field(tag)?.offset()?;
        self.tiff.directory(at)
    }

    /// The value of the first entry with that tag, if it lies in the structure.
    pub(crate) fn field(self, tag: u16) -> Option<Field<'a>> {
        self.entries().find(|entry| entry.tag == tag)?.field()
    }

    /// The entries, up to the end of the structure: a wrong count does not hide those before it.
    pub(crate) fn entries(self) -> impl Iterator<Item = Entry<'a>> {
        let tiff = self.tiff;
        let (count, head) = if tiff.is_big {
            (tiff.order.u64(tiff.data, self.at), 8)
        } else {
            (tiff.order.u16(tiff.data, self.at).map(u64::from), 2)
        };
        let mut next = self.at.checked_add(head);
        (0..count.unwrap_or(0).min(MAX_ENTRIES)).map_while(move |_| {
            let at = next?;
            next = at.checked_add(tiff.entry_bytes().0);
            let tag = tiff.order.u16(tiff.data, at)?;
            Some(Entry { tiff, at, tag })
        })
    }
}

impl<'a> Entry<'a> {
    /// Tells whether all of its bytes are there.
    pub(crate) fn is_whole(self) -> bool {
        let end = self.at.checked_add(self.tiff.entry_bytes().0);
        end.is_some_and(|end| end <= self.tiff.data.len())
    }

    /// Its value, if that is of a known type and lies in the structure.
    pub(crate) fn field(self) -> Option<Field<'a>> {
        let Tiff { data, order, is_big } = self.tiff;
        let kind = order.u16(data, self.at.checked_add(2)?)?;
        let count = usize::try_from(self.tiff.wide(self.at.checked_add(4)?)?).ok()?;
        let length = width(kind)?.checked_mul(count)?;
        let place = self.at.checked_add(if is_big { 12 } else { 8 })?;
        let at = if length <= self.tiff.entry_bytes().1 {
            place
        } else {
            usize::try_from(self.tiff.wide(place)?).ok()?
        };
        let bytes = data.get(at..at.checked_add(length)?)?;
        Some(Field { order, kind, bytes })
    }
}

impl<'a> Field<'a> {
    /// Its parts, as far as they are whole numbers without a sign, or bytes without a meaning.
    pub(crate) fn numbers(self) -> impl Iterator<Item = u64> + 'a {
        let Self { order, kind, bytes } = self;
        let parts = bytes.chunks_exact(width(kind).unwrap_or(1));
        parts.filter_map(move |part| match kind {
            BYTE | UNDEFINED => part.first().copied().map(u64::from),
            SHORT => order.u16(part, 0).map(u64::from),
            LONG | IFD => order.u32(part, 0).map(u64::from),
            LONG8 | IFD8 => order.u64(part, 0),
            _ => None,
        })
    }

    /// The first part, if it is of a type for numbers.
    pub(crate) fn number(self) -> Option<u64> {
        let is_number = matches!(self.kind, BYTE | SHORT | LONG);
        is_number.then(|| self.numbers().next())?
    }

    /// The value as an offset. libtiff gives offsets of directories a type of their own.
    fn offset(self) -> Option<u64> {
        match self.kind {
            IFD | LONG8 | IFD8 => self.numbers().next(),
            _ => self.number(),
        }
    }

    /// The 32-bit number at `index`.
    pub(crate) fn long(self, index: usize) -> Option<u32> {
        self.order.u32(self.bytes, index.checked_mul(4)?)
    }
}

/// Bytes of a part of that type; `None` for one that is not known.
pub(crate) const fn width(kind: u16) -> Option<usize> {
    match kind {
        BYTE | ASCII | 6 | UNDEFINED | UTF8 => Some(1),
        SHORT | 8 => Some(2),
        LONG | 9 | 11 | IFD => Some(4),
        RATIONAL | 10 | 12 | LONG8 | 17 | IFD8 => Some(8),
        _ => None,
    }
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

    pub(crate) const fn bytes16(self, value: u16) -> [u8; 2] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    pub(crate) const fn bytes32(self, value: u32) -> [u8; 4] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    pub(crate) const fn bytes64(self, value: u64) -> [u8; 8] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A structure whose directory has these entries of tag, type, count and four bytes.
    fn little(count: u16, entries: &[(u16, u16, u32, [u8; 4])]) -> Vec<u8> {
        let mut data = b"II*\0\x08\0\0\0".to_vec();
        data.extend(count.to_le_bytes());
        for (tag, kind, parts, value) in entries {
            data.extend(tag.to_le_bytes());
            data.extend(kind.to_le_bytes());
            data.extend(parts.to_le_bytes());
            data.extend(value);
        }
        data
    }

    fn tags(data: &[u8]) -> Vec<u16> {
        let directory = Tiff::new(data).unwrap().first().unwrap();
        directory.entries().map(|entry| entry.tag).collect()
    }

    #[test]
    fn entries_end_where_they_are_counted_or_where_the_structure_ends() {
        let two = [(1, SHORT, 1, [5, 0, 0, 0]), (2, SHORT, 1, [6, 0, 0, 0])];
        assert_eq!(tags(&little(1, &two)), [1]);
        assert_eq!(tags(&little(9, &two)), [1, 2]);
        assert_eq!(tags(&little(9, &two)[..24]), [1, 2]);
        assert_eq!(tags(&little(9, &two)[..23]), [1]);
        assert!(tags(&little(9, &two)[..9]).is_empty());
    }

    #[test]
    fn a_value_is_in_its_entry_or_where_that_says_and_nowhere_else() {
        let mut data = little(
            3,
            &[
                (1, SHORT, 2, [5, 0, 6, 0]),
                (2, LONG, 2, [46, 0, 0, 0]),
                (3, LONG, 2, [47, 0, 0, 0]),
            ],
        );
        data.extend([7, 0, 0, 0, 8, 0, 0, 0]);
        let directory = Tiff::new(&data).unwrap().first().unwrap();
        let numbers = |tag| {
            directory
                .field(tag)
                .map(|field| field.numbers().collect::<Vec<_>>())
        };
        assert_eq!(numbers(1), Some(vec![5, 6]));
        assert_eq!(numbers(2), Some(vec![7, 8]));
        assert_eq!(numbers(3), None);
        assert_eq!(numbers(4), None);
    }

    #[test]
    fn bigtiff_counts_in_64_bits() {
        let mut data = b"MM\0\x2B\0\x08\0\0\0\0\0\0\0\0\0\x10".to_vec();
        data.extend(1u64.to_be_bytes());
        data.extend([0, 9, 0, 16]);
        data.extend(1u64.to_be_bytes());
        data.extend((1u64 << 40).to_be_bytes());
        let directory = Tiff::new(&data).unwrap().first().unwrap();
        assert_eq!(directory.field(9).unwrap().numbers().next(), Some(1 << 40));
        assert_eq!(directory.field(9).unwrap().number(), None);
    }
}
