//! HEIF files made by hand, around pictures that our own encoder made.

use tintype_model::{Format, Limits};
use tintype_transcode::render;

use crate::fixtures::{full_size, rgb_png, rgba_png};

pub(crate) fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len() + 8).unwrap();
    [&size.to_be_bytes()[..], kind, body].concat()
}

/// With version 0 and no flags.
pub(crate) fn full(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    boxed(kind, &[&[0; 4], body].concat())
}

pub(crate) fn ispe(width: u32, height: u32) -> Vec<u8> {
    full(b"ispe", &[width.to_be_bytes(), height.to_be_bytes()].concat())
}

/// The configuration of the encoder's streams: 8 bits, 4:2:0.
pub(crate) fn av1c() -> Vec<u8> {
    boxed(b"av1C", &[0x81, 0, 0x0C, 0])
}

pub(crate) fn nclx(primaries: u16, transfer: u16, matrix: u16) -> Vec<u8> {
    let codes = [primaries, transfer, matrix].map(u16::to_be_bytes).concat();
    boxed(b"colr", &[b"nclx", &codes[..], &[0x80]].concat())
}

pub(crate) fn icc(profile: &[u8]) -> Vec<u8> {
    boxed(b"colr", &[b"prof", profile].concat())
}

pub(crate) fn alpha_role() -> Vec<u8> {
    full(b"auxC", b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0")
}

/// A grid's payload.
pub(crate) fn grid(rows: u8, columns: u8, width: u16, height: u16) -> Vec<u8> {
    let head = [0, 0, rows - 1, columns - 1];
    [&head[..], &width.to_be_bytes(), &height.to_be_bytes()].concat()
}

#[derive(Clone)]
pub(crate) struct Item {
    pub(crate) kind: [u8; 4],
    pub(crate) properties: Vec<Vec<u8>>,
    pub(crate) data: Vec<u8>,
}

impl Item {
    pub(crate) fn new(kind: &[u8; 4], properties: &[Vec<u8>], data: &[u8]) -> Self {
        Self {
            kind: *kind,
            properties: properties.to_vec(),
            data: data.to_vec(),
        }
    }

    /// An AV1 picture.
    pub(crate) fn picture((width, height): (u32, u32), stream: &[u8], more: &[Vec<u8>]) -> Self {
        let properties = [&[ispe(width, height), av1c()], more].concat();
        Self::new(b"av01", &properties, stream)
    }
}

/// A file whose items are numbered from 1, the first of which is the picture.
#[derive(Clone)]
pub(crate) struct Heif {
    pub(crate) brands: Vec<[u8; 4]>,
    pub(crate) items: Vec<Item>,
    /// Number of parts that the data of each item is cut into.
    pub(crate) extents: u16,
    /// From an item to others, in a manner.
    pub(crate) references: Vec<([u8; 4], u16, Vec<u16>)>,
}

impl Heif {
    pub(crate) fn avif(items: Vec<Item>) -> Self {
        Self {
            brands: vec![*b"avif", *b"mif1", *b"miaf"],
            items,
            extents: 1,
            references: Vec::new(),
        }
    }

    pub(crate) fn refer(mut self, kind: &[u8; 4], from: u16, to: &[u16]) -> Self {
        self.references.push((*kind, from, to.to_vec()));
        self
    }

    pub(crate) fn file(&self) -> Vec<u8> {
        let mut ftyp = self.brands[0].to_vec();
        ftyp.extend([0; 4]);
        ftyp.extend(self.brands.concat());
        let ftyp = boxed(b"ftyp", &ftyp);
        // The size of `meta` does not depend on the offsets in it.
        let start = ftyp.len() + self.meta(0).len() + 8;
        let data: Vec<u8> = self.items.iter().flat_map(|item| item.data.clone()).collect();
        [ftyp, self.meta(start), boxed(b"mdat", &data)].concat()
    }

    fn meta(&self, start: usize) -> Vec<u8> {
        let count = u16::try_from(self.items.len()).unwrap().to_be_bytes();
        let mut entries = count.to_vec();
        let mut locations = [&[0x44, 0][..], &count].concat();
        let mut properties = Vec::new();
        let mut associations = u32::from(u16::from_be_bytes(count)).to_be_bytes().to_vec();
        let (mut offset, mut number) = (start, 0u8);
        for (item, id) in self.items.iter().zip(1u16..) {
            let id = id.to_be_bytes();
            // Version 2 has the item's type.
            let infe = [&[2, 0, 0, 0][..], &id, &[0, 0], &item.kind, &[0]].concat();
            entries.extend(boxed(b"infe", &infe));
            locations.extend([&id[..], &[0, 0], &self.extents.to_be_bytes()].concat());
            let parts = usize::from(self.extents);
            for part in 0..parts {
                let [first, end] = [part, part + 1].map(|part| item.data.len() * part / parts);
                for number in [offset + first, end - first] {
                    locations.extend(u32::try_from(number).unwrap().to_be_bytes());
                }
            }
            offset += item.data.len();
            associations.extend(id);
            associations.push(u8::try_from(item.properties.len()).unwrap());
            for property in &item.properties {
                properties.extend(property);
                number += 1;
                associations.push(number | 0x80);
            }
        }
        let references: Vec<u8> = self
            .references
            .iter()
            .flat_map(|(kind, from, to)| {
                let ids = [&[*from, u16::try_from(to.len()).unwrap()], &to[..]].concat();
                boxed(
                    kind,
                    &ids.into_iter().flat_map(u16::to_be_bytes).collect::<Vec<_>>(),
                )
            })
            .collect();
        let iprp = [boxed(b"ipco", &properties), full(b"ipma", &associations)].concat();
        let parts = [
            full(b"hdlr", b"\0\0\0\0pict\0\0\0\0\0\0\0\0\0\0\0\0\0"),
            full(b"pitm", &[0, 1]),
            full(b"iloc", &locations),
            full(b"iinf", &entries),
            full(b"iref", &references),
            boxed(b"iprp", &iprp),
        ];
        full(b"meta", &parts.concat())
    }
}

/// An image sequence of AV1 pictures, each of which is whole; `delta` in a thousandth of a second.
pub(crate) fn sequence((width, height): (u16, u16), frames: &[Vec<u8>], delta: u32) -> Vec<u8> {
    let word = |value: usize| u32::try_from(value).unwrap().to_be_bytes();
    let ftyp = boxed(b"ftyp", b"avis\0\0\0\0avisavifmsf1mif1miaf");
    let moov = |offset: usize| {
        let mut entry = vec![0; 78];
        entry[24..26].copy_from_slice(&width.to_be_bytes());
        entry[26..28].copy_from_slice(&height.to_be_bytes());
        entry.extend(av1c());
        entry.extend(nclx(1, 13, 6));
        let sizes: Vec<u8> = frames.iter().flat_map(|frame| word(frame.len())).collect();
        let count = word(frames.len());
        let table = [
            full(b"stsd", &[&[0, 0, 0, 1], &boxed(b"av01", &entry)[..]].concat()),
            full(b"stts", &[[0, 0, 0, 1], count, delta.to_be_bytes()].concat()),
            full(
                b"stsc",
                &[[0, 0, 0, 1], [0, 0, 0, 1], count, [0, 0, 0, 1]].concat(),
            ),
            full(b"stsz", &[&[0; 4], &count[..], &sizes].concat()),
            full(b"stco", &[[0, 0, 0, 1], word(offset)].concat()),
        ];
        let info = boxed(b"minf", &boxed(b"stbl", &table.concat()));
        let media = [
            full(b"mdhd", &[[0; 4], [0; 4], word(1000), [0; 4], [0; 4]].concat()),
            full(b"hdlr", b"\0\0\0\0pict\0\0\0\0\0\0\0\0\0\0\0\0\0"),
            info,
        ];
        let head = [[0; 4], [0; 4], [0, 0, 0, 1]].concat();
        let track = [full(b"tkhd", &head), boxed(b"mdia", &media.concat())];
        boxed(b"moov", &boxed(b"trak", &track.concat()))
    };
    let start = ftyp.len() + moov(0).len() + 8;
    [ftyp, moov(start), boxed(b"mdat", &frames.concat())].concat()
}

/// The AV1 streams of a picture, encoded by this engine: of its colours, and of its alpha if it has one.
pub(crate) fn streams(width: u32, height: u32, pixels: &[u8]) -> Vec<Vec<u8>> {
    let source = if pixels.len() == width as usize * height as usize * 4 {
        rgba_png(width, height, pixels)
    } else {
        rgb_png(width, height, pixels)
    };
    let mut recipe = full_size(&[Format::Avif]);
    recipe.variants[0]
        .quality
        .insert(Format::Avif, tintype_model::Quality::Fixed(95));
    let file = render(&source, &recipe, &Limits::default(), 1).unwrap().files[0]
        .bytes
        .to_vec();
    let iloc = file.windows(4).position(|name| name == b"iloc").unwrap() + 4;
    let number = |at: usize, bytes: usize| {
        file[at..at + bytes]
            .iter()
            .fold(0, |sum, &byte| sum << 8 | usize::from(byte))
    };
    let mut items: Vec<(usize, Vec<u8>)> = (0..number(iloc + 6, 2))
        .map(|item| {
            let at = iloc + 8 + item * 14;
            (
                number(at, 2),
                file[number(at + 6, 4)..][..number(at + 10, 4)].to_vec(),
            )
        })
        .collect();
    items.sort();
    items.into_iter().map(|(_, stream)| stream).collect()
}
