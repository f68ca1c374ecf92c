//! A TIFF as its decoder can read it: the same strips and tiles under a directory of our own.

use std::io::{Read, Seek, SeekFrom};

use super::directory::{BLACK_IS_ZERO, Directory};
use super::fields::Field;
use crate::Error;

/// Tags that the decoder needs and that stay as they are.
const KEPT: [u16; 7] = [
    256, // ImageWidth
    257, // ImageLength
    259, // Compression
    278, // RowsPerStrip
    322, // TileWidth
    323, // TileLength
    347, // JPEGTables
];
const BITS_PER_SAMPLE: u16 = 258;
const PHOTOMETRIC: u16 = 262;
const PREDICTOR: u16 = 317;
/// LZW and Deflate, which has two numbers: the only compressions that predictors belong to. libtiff does not look at the
/// tag with any other.
const PREDICTED: [u64; 3] = [5, 8, 32_946];
const SAMPLES_PER_PIXEL: u16 = 277;
const SAMPLE_FORMAT: u16 = 339;
/// Offsets and lengths of strips, and of tiles.
const CHUNKS: [u16; 4] = [273, 279, 324, 325];

/// The file with another directory, which says that its samples are bands without a meaning: tiff 0.11.3 drops channels
/// before it undoes a prediction across all of them, inverts one channel only, knows no palettes, and panics at tiles in
/// planes.
///
/// With `plane`, that plane is all of the file.
pub(super) fn view<'a>(
    source: &'a [u8],
    directory: &Directory<'a>,
    plane: Option<usize>,
) -> Result<Spliced<'a>, Error> {
    let unreadable = || Error::corrupt("the TIFF's directory cannot be read");
    let planes = usize::try_from(directory.samples()).map_err(|_| unreadable())?;
    let mut numbers = vec![
        (BITS_PER_SAMPLE, directory.bits()),
        (PHOTOMETRIC, BLACK_IS_ZERO),
        (
            SAMPLES_PER_PIXEL,
            if plane.is_some() { 1 } else { directory.samples() },
        ),
    ];
    numbers.extend(directory.sample_format().map(|format| (SAMPLE_FORMAT, format)));
    let mut tail = Tail::new(source.len(), directory.tiff.is_big);
    for (tag, number) in numbers {
        tail.fields
            .push((tag, directory.short(number).ok_or_else(unreadable)?));
    }
    let predictor = PREDICTED.contains(&directory.compression()).then_some(PREDICTOR);
    for tag in KEPT.into_iter().chain(predictor) {
        tail.fields.extend(directory.field(tag).map(|field| (tag, field)));
    }
    for tag in CHUNKS {
        let Some(field) = directory.field(tag) else {
            continue;
        };
        let field = match plane {
            Some(plane) => field.part(plane, planes).ok_or_else(|| {
                Error::corrupt("the TIFF has planes that differ in their number of strips or tiles")
            })?,
            None => field,
        };
        tail.fields.push((tag, field));
    }
    Ok(Spliced {
        head: directory.head(tail.start).ok_or_else(unreadable)?,
        source,
        tail: tail.written(directory).ok_or_else(unreadable)?,
        at: 0,
    })
}

/// A directory behind the end of a file.
struct Tail<'a> {
    /// Its place in the file.
    start: usize,
    is_big: bool,
    fields: Vec<(u16, Field<'a>)>,
}

impl<'a> Tail<'a> {
    const fn new(start: usize, is_big: bool) -> Self {
        Self {
            start,
            is_big,
            fields: Vec::new(),
        }
    }

    /// `None` if an offset does not fit the kind of file.
    fn written(mut self, directory: &Directory<'_>) -> Option<Vec<u8>> {
        self.fields.sort_by_key(|(tag, _)| *tag);
        let (entry, inline) = if self.is_big { (20, 8) } else { (12, 4) };
        let count = self.fields.len();
        let mut head = if self.is_big {
            directory.tiff.order.bytes64(count as u64).to_vec()
        } else {
            directory.tiff.order.bytes16(u16::try_from(count).ok()?).to_vec()
        };
        let behind = self.start + head.len() + count * entry + inline;
        let mut values = Vec::new();
        for (tag, field) in &self.fields {
            head.extend(directory.tiff.order.bytes16(*tag));
            head.extend(directory.tiff.order.bytes16(field.kind));
            head.extend(directory.word(field.count()?)?);
            let bytes = &field.bytes[..];
            if bytes.len() > inline {
                head.extend(directory.word((behind + values.len()) as u64)?);
                values.extend_from_slice(bytes);
            } else {
                head.extend_from_slice(bytes);
                head.resize(head.len() + inline - bytes.len(), 0);
            }
        }
        // No directory follows.
        head.resize(head.len() + inline, 0);
        head.extend(values);
        Some(head)
    }
}

/// A file whose beginning is replaced, with something behind its end.
pub(super) struct Spliced<'a> {
    head: Vec<u8>,
    source: &'a [u8],
    tail: Vec<u8>,
    at: u64,
}

impl Spliced<'_> {
    /// In bytes.
    pub(super) const fn len(&self) -> usize {
        self.source.len() + self.tail.len()
    }

    /// From the place that is read next to the end of the part that it lies in.
    fn rest(&self) -> &[u8] {
        let at = usize::try_from(self.at).unwrap_or(usize::MAX);
        if at < self.head.len() {
            &self.head[at..]
        } else if at < self.source.len() {
            &self.source[at..]
        } else {
            self.tail.get(at - self.source.len()..).unwrap_or_default()
        }
    }
}

impl Read for Spliced<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let rest = self.rest();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.at += length as u64;
        Ok(length)
    }
}

impl Seek for Spliced<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let end = self.len() as u64;
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(offset) => end.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
        };
        self.at = at.ok_or(std::io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
