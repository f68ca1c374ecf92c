//! The `meta` box of a HEIF file (ISO/IEC 23008-12, ISO/IEC 14496-12 section 8.11): items, the places of their bytes, the
//! items that they are derived from, and their properties.

use super::boxes::{self, Box};
use crate::Error;
use crate::syntax::reader::Reader;

/// More items are refused. A photo of 48 megapixels has 200 to 400 of them: its tiles, their gain map's, metadata.
const MAX_ITEMS: usize = 8192;
/// More parts of one item are refused.
const MAX_EXTENTS: u16 = 4096;

/// The items of a file. Everything borrows from the file; lists are as long as the boxes that hold them.
pub(super) struct Meta<'a> {
    source: &'a [u8],
    primary: Option<u32>,
    items: Vec<Item>,
    locations: Vec<Location<'a>>,
    references: Vec<Reference<'a>>,
    properties: Vec<Box<'a>>,
    associations: Vec<Association<'a>>,
    idat: &'a [u8],
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    pub(super) id: u32,
    pub(super) kind: [u8; 4],
}

struct Location<'a> {
    item: u32,
    method: u16,
    base: u64,
    count: u16,
    extents: Reader<'a>,
    sizes: [usize; 3],
}

struct Reference<'a> {
    kind: [u8; 4],
    from: u32,
    to: &'a [u8],
    is_wide: bool,
}

struct Association<'a> {
    item: u32,
    indices: &'a [u8],
    is_wide: bool,
}

impl<'a> Meta<'a> {
    /// Reads the body of the `meta` box of `source`.
    pub(super) fn read(source: &'a [u8], meta: Box<'a>) -> Result<Self, Error> {
        let (_, _, reader) = meta.full()?;
        let boxes = boxes::children(reader.rest())?;
        let mut found = Self {
            source,
            primary: None,
            items: Vec::new(),
            locations: Vec::new(),
            references: Vec::new(),
            properties: Vec::new(),
            associations: Vec::new(),
            idat: boxes::find(&boxes, b"idat").map_or(&[], |idat| idat.body),
        };
        for part in boxes {
            match &part.kind {
                b"pitm" => found.primary = Some(primary(part)?),
                b"iinf" => found.items = items(part)?,
                b"iloc" => found.locations = locations(part)?,
                b"iref" => found.references = references(part)?,
                b"iprp" => found.read_properties(part)?,
                _ => {}
            }
        }
        Ok(found)
    }

    fn read_properties(&mut self, iprp: Box<'a>) -> Result<(), Error> {
        for part in boxes::children(iprp.body)? {
            match &part.kind {
                b"ipco" if self.properties.is_empty() => self.properties = boxes::children(part.body)?,
                b"ipma" => associations(part, &mut self.associations)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// The item that stands for the file.
    pub(super) fn primary(&self) -> Option<Item> {
        self.item(self.primary?)
    }

    pub(super) fn item(&self, id: u32) -> Option<Item> {
        self.items.iter().copied().find(|item| item.id == id)
    }

    pub(super) fn has_kind(&self, kind: &[u8; 4]) -> bool {
        self.items.iter().any(|item| &item.kind == kind)
    }

    /// The items that refer to `to` in the manner `kind`: its metadata (`cdsc`) or its auxiliary pictures (`auxl`).
    pub(super) fn referring(&self, kind: [u8; 4], to: u32) -> impl Iterator<Item = Item> {
        self.references
            .iter()
            .filter(move |reference| reference.kind == kind && reference.targets().any(|id| id == to))
            .filter_map(|reference| self.item(reference.from))
    }

    /// The items that `from` refers to in the manner `kind`, in order.
    pub(super) fn referred(&self, kind: [u8; 4], from: u32) -> Vec<u32> {
        self.references
            .iter()
            .filter(|reference| reference.kind == kind && reference.from == from)
            .flat_map(Reference::targets)
            .collect()
    }

    /// The properties of an item, in their order.
    pub(super) fn properties(&self, item: u32) -> impl Iterator<Item = Property<'a>> {
        self.associations
            .iter()
            .filter(move |association| association.item == item)
            .flat_map(Association::indices)
            .filter_map(|(is_essential, index)| {
                let found = *self.properties.get(index.checked_sub(1)?)?;
                Some(Property { found, is_essential })
            })
    }

    /// The parts of an item's bytes. Together they are no longer than the file.
    pub(super) fn data(&self, item: u32) -> Result<Vec<&'a [u8]>, Error> {
        let location = self
            .locations
            .iter()
            .find(|location| location.item == item)
            .ok_or_else(|| Error::corrupt(format!("item {item} has no place in the file (iloc)")))?;
        location.parts(self.source, self.idat)
    }
}

/// One property of an item.
#[derive(Clone, Copy)]
pub(super) struct Property<'a> {
    pub(super) found: Box<'a>,
    /// True if a reader that does not know the property must not show the item.
    pub(super) is_essential: bool,
}

impl Location<'_> {
    fn parts<'a>(&self, file: &'a [u8], idat: &'a [u8]) -> Result<Vec<&'a [u8]>, Error> {
        let outside = || Error::corrupt(format!("item {} lies outside of the file", self.item));
        let data = match self.method {
            0 => file,
            1 => idat,
            _ => {
                return Err(Error::unsupported(
                    "items made of parts of other items are not read",
                ));
            }
        };
        let [offset_size, length_size, index_size] = self.sizes;
        let mut reader = self.extents;
        let mut parts = Vec::new();
        let mut total = 0usize;
        for _ in 0..self.count {
            reader.skip(index_size).ok_or_else(outside)?;
            let offset = uint(&mut reader, offset_size).ok_or_else(outside)?;
            let length = uint(&mut reader, length_size).ok_or_else(outside)?;
            let start = self
                .base
                .checked_add(offset)
                .and_then(|at| usize::try_from(at).ok());
            let from = start.and_then(|start| data.get(start..)).ok_or_else(outside)?;
            let part = match usize::try_from(length).map_err(|_| outside())? {
                // To the end.
                0 => from,
                length => from.get(..length).ok_or_else(outside)?,
            };
            total = total.saturating_add(part.len());
            if total > data.len() {
                return Err(Error::corrupt(format!(
                    "item {} is larger than the file",
                    self.item
                )));
            }
            parts.push(part);
        }
        Ok(parts)
    }
}

impl Reference<'_> {
    fn targets(&self) -> impl Iterator<Item = u32> {
        ids(self.to, self.is_wide)
    }
}

impl Association<'_> {
    /// Tells whether the property is essential, and gives its number, from 1.
    fn indices(&self) -> impl Iterator<Item = (bool, usize)> {
        let is_wide = self.is_wide;
        ids_of(self.indices, if is_wide { 2 } else { 1 }).map(move |word| {
            let top = if is_wide { 0x8000 } else { 0x80 };
            (
                word & top != 0,
                usize::try_from(word & !top).unwrap_or(usize::MAX),
            )
        })
    }
}

fn ids(bytes: &[u8], is_wide: bool) -> impl Iterator<Item = u32> {
    ids_of(bytes, if is_wide { 4 } else { 2 })
}

fn ids_of(bytes: &[u8], width: usize) -> impl Iterator<Item = u32> {
    bytes
        .chunks_exact(width)
        .map(|id| id.iter().fold(0, |sum, &byte| (sum << 8) | u32::from(byte)))
}

/// An unsigned number of `size` bytes, 0 where there are none.
fn uint(reader: &mut Reader<'_>, size: usize) -> Option<u64> {
    let bytes = reader.take(size)?;
    Some(bytes.iter().fold(0, |sum, &byte| (sum << 8) | u64::from(byte)))
}

/// An item's number, which later versions of a box widened to 32 bits.
fn item_id(reader: &mut Reader<'_>, is_wide: bool) -> Option<u32> {
    if is_wide {
        reader.be32()
    } else {
        reader.be16().map(u32::from)
    }
}

fn primary(pitm: Box<'_>) -> Result<u32, Error> {
    let (version, _, mut reader) = pitm.full()?;
    item_id(&mut reader, version > 0).ok_or_else(|| pitm.cut())
}

fn items(iinf: Box<'_>) -> Result<Vec<Item>, Error> {
    let (version, _, mut reader) = iinf.full()?;
    // The number of entries, which the boxes tell as well.
    item_id(&mut reader, version > 0).ok_or_else(|| iinf.cut())?;
    let mut items = Vec::new();
    for infe in boxes::children(reader.rest())? {
        if &infe.kind != b"infe" {
            continue;
        }
        let (version, _, mut reader) = infe.full()?;
        if version < 2 {
            continue;
        }
        let id = item_id(&mut reader, version > 2).ok_or_else(|| infe.cut())?;
        reader.skip(2).ok_or_else(|| infe.cut())?;
        let kind = reader.four().ok_or_else(|| infe.cut())?;
        if items.len() == MAX_ITEMS {
            return Err(Error::corrupt(format!("there are more than {MAX_ITEMS} items")));
        }
        items.push(Item { id, kind });
    }
    Ok(items)
}

fn locations(iloc: Box<'_>) -> Result<Vec<Location<'_>>, Error> {
    let cut = || iloc.cut();
    let (version, _, mut reader) = iloc.full()?;
    let sizes = reader.be16().ok_or_else(cut)?;
    let nibble = |shift: u16| usize::from((sizes >> shift) & 0xF);
    let (offset_size, length_size, base_size) = (nibble(12), nibble(8), nibble(4));
    let index_size = if version > 0 { nibble(0) } else { 0 };
    let sizes = [offset_size, length_size, index_size];
    if [offset_size, length_size, base_size, index_size]
        .iter()
        .any(|size| !matches!(size, 0 | 4 | 8))
    {
        return Err(Error::corrupt("the box iloc has numbers of an impossible size"));
    }
    let extent_bytes = offset_size.saturating_add(length_size).saturating_add(index_size);
    let count = item_id(&mut reader, version > 1).ok_or_else(cut)?;
    if usize::try_from(count).map_or(true, |count| count > MAX_ITEMS) {
        return Err(Error::corrupt(format!("there are more than {MAX_ITEMS} items")));
    }
    let mut locations = Vec::new();
    for _ in 0..count {
        let item = item_id(&mut reader, version > 1).ok_or_else(cut)?;
        let method = if version > 0 {
            reader.be16().ok_or_else(cut)? & 0xF
        } else {
            0
        };
        let data_reference = reader.be16().ok_or_else(cut)?;
        let base = uint(&mut reader, base_size).ok_or_else(cut)?;
        let extent_count = reader.be16().ok_or_else(cut)?;
        if extent_count > MAX_EXTENTS {
            return Err(Error::corrupt(format!(
                "item {item} has more than {MAX_EXTENTS} parts"
            )));
        }
        let extents = reader;
        reader
            .skip(extent_bytes.saturating_mul(usize::from(extent_count)))
            .ok_or_else(cut)?;
        // Bytes in another file are never read.
        if data_reference == 0 {
            locations.push(Location {
                item,
                method,
                base,
                count: extent_count,
                extents,
                sizes,
            });
        }
    }
    Ok(locations)
}

fn references(iref: Box<'_>) -> Result<Vec<Reference<'_>>, Error> {
    let (version, _, reader) = iref.full()?;
    let is_wide = version > 0;
    let mut references = Vec::new();
    for part in boxes::children(reader.rest())? {
        let mut reader = Reader::new(part.body);
        let from = item_id(&mut reader, is_wide).ok_or_else(|| part.cut())?;
        let count = usize::from(reader.be16().ok_or_else(|| part.cut())?);
        let width = if is_wide { 4 } else { 2 };
        let to = reader
            .take(count.saturating_mul(width))
            .ok_or_else(|| part.cut())?;
        references.push(Reference {
            kind: part.kind,
            from,
            to,
            is_wide,
        });
    }
    Ok(references)
}

fn associations<'a>(ipma: Box<'a>, found: &mut Vec<Association<'a>>) -> Result<(), Error> {
    let cut = || ipma.cut();
    let (version, flags, mut reader) = ipma.full()?;
    let is_wide = flags & 1 != 0;
    let count = reader.be32().ok_or_else(cut)?;
    for _ in 0..count {
        let item = item_id(&mut reader, version > 0).ok_or_else(cut)?;
        let count = usize::from(reader.u8().ok_or_else(cut)?);
        let bytes = if is_wide { count.saturating_mul(2) } else { count };
        let indices = reader.take(bytes).ok_or_else(cut)?;
        if found.len() == MAX_ITEMS {
            return Err(Error::corrupt(format!(
                "more than {MAX_ITEMS} items have properties"
            )));
        }
        found.push(Association {
            item,
            indices,
            is_wide,
        });
    }
    Ok(())
}
