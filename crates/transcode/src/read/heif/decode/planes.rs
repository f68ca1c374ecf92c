//! Planes of luma and colour, put together from tiles.

use tintype_model::Dimensions;

use crate::Error;
use crate::picture::Subsampling;
use crate::read::heif::header::Layer;

/// A picture before it is converted to RGB; rows without padding.
pub(super) struct Planes {
    pub(super) size: Dimensions,
    pub(super) depth: u8,
    pub(super) chroma: Subsampling,
    /// Luma and both planes of colour, which are empty where there is none.
    pub(super) samples: Samples,
}

pub(super) enum Samples {
    Bytes([Vec<u8>; 3]),
    Words([Vec<u16>; 3]),
}

/// A tile as a decoder gives it.
pub(super) struct DecodedTile<P> {
    /// Size of the luma plane.
    pub(super) size: Dimensions,
    /// Bits per sample.
    pub(super) depth: u8,
    pub(super) chroma: Subsampling,
    /// Luma and both planes of colour.
    pub(super) planes: [P; 3],
}

/// A plane of a decoded tile.
pub(super) trait Plane {
    /// Row `number`, at least as long as the plane is wide; `None` where the plane has no such row.
    fn row(&self, number: usize) -> Option<Row<'_>>;
}

/// A row of samples.
pub(super) enum Row<'a> {
    Bytes(&'a [u8]),
    /// 16 bits per sample in the byte order of the machine.
    WordBytes(&'a [u8]),
    #[cfg_attr(not(feature = "heic"), expect(dead_code, reason = "only HEVC needs it"))]
    Words(&'a [u16]),
}

impl Planes {
    pub(super) fn new(layer: &Layer<'_>) -> Self {
        let (size, chroma) = (layer.size, layer.chroma);
        let lengths = [size, chroma.size(size), chroma.size(size)].map(samples_of);
        Self {
            size,
            depth: layer.depth,
            chroma,
            samples: if layer.depth > 8 {
                Samples::Words(lengths.map(|length| vec![0; length]))
            } else {
                Samples::Bytes(lengths.map(|length| vec![0; length]))
            },
        }
    }

    /// Copies the tile at `column` and `row` of `layer`, but for what reaches over the edge.
    pub(super) fn put(
        &mut self,
        layer: &Layer<'_>,
        (column, row): (usize, usize),
        tile: &DecodedTile<impl Plane>,
    ) -> Result<(), Error> {
        if (tile.size, tile.depth, tile.chroma) != (layer.tile, self.depth, self.chroma) {
            return Err(Error::corrupt(
                "the coded picture differs from its headers in size, depth or colours",
            ));
        }
        for (plane, decoded) in tile.planes.iter().enumerate() {
            let (whole, part) = if plane == 0 {
                (self.size, layer.tile)
            } else {
                (self.chroma.size(self.size), self.chroma.size(layer.tile))
            };
            let (width, height) = (whole.width as usize, whole.height as usize);
            let (left, top) = (column * part.width as usize, row * part.height as usize);
            let columns = width.saturating_sub(left).min(part.width as usize);
            let rows = height.saturating_sub(top).min(part.height as usize);
            for number in 0..rows {
                let from = decoded.row(number).ok_or_else(short)?;
                let start = (top + number) * width + left;
                match (&mut self.samples, from) {
                    (Samples::Bytes(planes), Row::Bytes(from)) => {
                        copy(planes[plane].get_mut(start..), from, columns)
                    }
                    (Samples::Bytes(planes), Row::Words(from)) => {
                        narrow(planes[plane].get_mut(start..), from, columns)
                    }
                    (Samples::Words(planes), Row::Words(from)) => {
                        copy(planes[plane].get_mut(start..), from, columns)
                    }
                    (Samples::Words(planes), Row::WordBytes(from)) => {
                        join(planes[plane].get_mut(start..), from, columns)
                    }
                    (Samples::Bytes(_), Row::WordBytes(_)) | (Samples::Words(_), Row::Bytes(_)) => None,
                }
                .ok_or_else(short)?;
            }
        }
        Ok(())
    }
}

fn samples_of(size: Dimensions) -> usize {
    size.width as usize * size.height as usize
}

fn short() -> Error {
    Error::corrupt("the decoder gave fewer rows or columns than the picture has")
}

fn copy<T: Copy>(to: Option<&mut [T]>, from: &[T], count: usize) -> Option<()> {
    to?.get_mut(..count)?.copy_from_slice(from.get(..count)?);
    Some(())
}

fn narrow(to: Option<&mut [u8]>, from: &[u16], count: usize) -> Option<()> {
    for (to, &from) in to?.get_mut(..count)?.iter_mut().zip(from.get(..count)?) {
        *to = u8::try_from(from).unwrap_or(u8::MAX);
    }
    Some(())
}

fn join(to: Option<&mut [u16]>, from: &[u8], count: usize) -> Option<()> {
    let (from, _) = from.as_chunks::<2>();
    for (to, &from) in to?.get_mut(..count)?.iter_mut().zip(from.get(..count)?) {
        *to = u16::from_ne_bytes(from);
    }
    Some(())
}
