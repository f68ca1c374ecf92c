//! One AV1 picture out of tiles that were encoded by themselves.
//!
//! libaom holds fifteen to twenty bytes for each pixel of what it encodes, so a large picture is encoded in parts, of which
//! each thread holds one at a time. The file has no seams: AV1 divides a frame into tiles that know nothing of each other before the loop
//! filters (AV1 bitstream and decoding process specification, section 5.9.15; prediction in 7.11, contexts in 8.3), and
//! those filters run over the whole frame. So what libaom writes for a part is, byte for byte, a tile of the whole
//! picture, if both headers say the same about how tiles are read. Only a new header is written, with the size of the
//! whole and its tiles.
//!
//! Two more parts of the headers have to agree:
//!
//! * The loop filters have to be the same. At libaom's speeds from 7 on they follow from the quantizer alone.
//! * Whether blocks say how large their transforms are (`tx_mode`) libaom decides when it has encoded a frame: at these
//!   speeds they do if there is a block that is not a square, and there hardly is one but where the picture ends in the
//!   midst of a square. A [`Margin`] makes sure of one; it is a tile of its own and left out of the whole. Where the whole
//!   ends in the middle of its last superblock both ways its last part can have no such margin, and so none has.

mod frame;
mod grid;

use frame::{none, skip_to_tiles};
use grid::SUPERBLOCK;
pub(crate) use grid::{Grid, Least};
use tintype_model::Dimensions;

use super::sequence::{self, SequenceHeader};
use super::units::{self, FRAME, SEQUENCE_HEADER, find};
use crate::geometry::Area;
use crate::syntax::bits::{Bits, Writer};

/// A picture that is put together from tiles.
#[derive(Clone)]
pub(crate) struct Mosaic {
    size: Dimensions,
    grid: Grid,
    /// Row by row.
    parts: Vec<Part>,
}

/// A tile of the picture, and the frame as which it is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Where it is in the picture.
    pub(crate) area: Area,
    margin: Margin,
}

/// The part of a frame that is encoded beside a tile, as a tile of its own, and is not of the picture: columns or rows
/// of grey on one side, or nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Margin {
    left: u32,
    above: u32,
    right: u32,
    below: u32,
    /// Whether it has [`Part::marks`].
    is_marked: bool,
}

impl Margin {
    /// The margin of a tile of `width` columns and `height` rows, in a frame of at least `least_area` pixels.
    /// `has_halves` asks for a block that is not a square: libaom makes one of half a square of 32 pixels on the right
    /// or below, and of what is marked.
    fn of(width: u32, height: u32, least_area: u32, has_halves: bool) -> Self {
        let missing = least_area.saturating_sub(width * height);
        // So many and whole superblocks, as far as they are needed.
        let columns = |least: u32| least + superblocks(missing.div_ceil(height).saturating_sub(least));
        let rows = |least: u32| least + superblocks(missing.div_ceil(width).saturating_sub(least));
        let none = Self::default();
        if !has_halves {
            Self {
                above: rows(0),
                ..none
            }
        } else if height.is_multiple_of(SUPERBLOCK) {
            Self {
                below: rows(16),
                ..none
            }
        } else if width.is_multiple_of(SUPERBLOCK) {
            Self {
                right: columns(16),
                ..none
            }
        } else if !width.is_multiple_of(32) {
            Self {
                above: rows(SUPERBLOCK),
                is_marked: true,
                ..none
            }
        } else {
            Self {
                left: columns(SUPERBLOCK),
                is_marked: true,
                ..none
            }
        }
    }
}

/// Rounded up to whole ones, in pixels.
const fn superblocks(side: u32) -> u32 {
    side.next_multiple_of(SUPERBLOCK)
}

/// Columns or rows as they are coded: in units of 8 pixels.
const fn coded(side: u32) -> u32 {
    side.next_multiple_of(8)
}

impl Part {
    /// Columns and rows of the tile.
    const fn tile(self) -> (u32, u32) {
        (coded(self.area.width), coded(self.area.height))
    }

    /// Columns and rows of the frame.
    pub(crate) const fn frame(self) -> (u32, u32) {
        let (width, height) = self.tile();
        let Margin {
            left,
            above,
            right,
            below,
            ..
        } = self.margin;
        (left + width + right, above + height + below)
    }

    /// Where the tile begins in the frame.
    pub(crate) const fn place(self) -> (u32, u32) {
        (self.margin.left, self.margin.above)
    }

    /// The areas of the margin that are not grey, in the frame, and their luma. They are above or on the left, in the
    /// last square of 32 pixels that begins in the second half of the first superblock. Where 8 or 16 columns (rows) of
    /// that square are in the picture libaom halves the grey one before. Where 24 are it would not, but it takes this
    /// one, which is not plain, apart, and halves what is behind.
    pub(crate) fn marks(self) -> Vec<(Area, u8)> {
        if !self.margin.is_marked {
            return Vec::new();
        }
        let (width, height) = self.tile();
        let last = |side: u32| (side / 32 * 32, (side % 32).min(16));
        let mark = |begin: u32| {
            let across = (begin, 16);
            let ((left, width), (top, height)) = if self.margin.above > 0 {
                (last(width), across)
            } else {
                (across, last(height))
            };
            Area {
                left,
                top,
                width,
                height,
            }
        };
        vec![(mark(32), 8), (mark(48), 248)]
    }

    /// The tiles of the frame.
    pub(crate) fn tiles(self) -> Grid {
        let (width, height) = self.tile();
        let Margin {
            left,
            above,
            right,
            below,
            ..
        } = self.margin;
        let sides = |sides: [u32; 3]| {
            let superblocks = sides.map(|side| side.div_ceil(SUPERBLOCK));
            superblocks.into_iter().filter(|&side| side > 0).collect()
        };
        Grid {
            columns: sides([left, width, right]),
            rows: sides([above, height, below]),
        }
    }

    /// Which of those tiles is that of the picture.
    fn number(self) -> usize {
        usize::from(self.place() != (0, 0))
    }

    /// Reads what libaom wrote for the frame. `None` when it uses what is not understood here (copies of blocks, segments,
    /// lossless coding, loop restoration).
    fn read(self, units: &[u8]) -> Option<(Common, &[u8])> {
        let body = find(units, SEQUENCE_HEADER)?;
        let sequence = SequenceHeader::read(body)?;
        let parts = sequence.parts(body)?;
        let (width, height) = self.frame();
        if (sequence.size.width, sequence.size.height) != (width, height) {
            return None;
        }
        let body = find(units, FRAME)?;
        let mut bits = Bits::new(body);
        // Whether probabilities stay as they are.
        bits.skip(1)?;
        let has_palettes = bits.flag()?;
        if has_palettes {
            // Whether motion is in whole pixels, of which a still picture has none.
            bits.skip(1)?;
        }
        // Another size to show; copies of blocks.
        none(&mut bits, if has_palettes { 2 } else { 1 })?;
        let before = bits.position();
        let (grid, length_bytes) = Grid::read(width, height, &mut bits)?;
        if grid != self.tiles() {
            return None;
        }
        let start = bits.position();
        skip_to_tiles(&mut bits, &sequence)?;
        let end = bits.position();
        let common = Common {
            sequence: parts,
            frame: [0..before, start..end].map(|range| Writer::of(body, range)),
        };
        let tiles = frame::tiles(body.get(end.div_ceil(8)..)?, grid.count(), length_bytes)?;
        Some((common, tiles.into_iter().nth(self.number())?))
    }
}

/// The content of the headers of a part beside its size.
#[derive(PartialEq, Eq)]
struct Common {
    /// [`SequenceHeader::parts`].
    sequence: [Writer; 2],
    /// The bits of the frame header before `tile_info`, and those behind it.
    frame: [Writer; 2],
}

impl Mosaic {
    /// A picture in as many tiles as it has room for; `None` for one that is too small for two.
    pub(crate) fn new(size: Dimensions, least: Least) -> Option<Self> {
        let grid = Grid::new(size.width, size.height, least)?;
        if grid.count() < 2 {
            return None;
        }
        let ends_in_the_middle = |side: u32| coded(side) % SUPERBLOCK == SUPERBLOCK / 2;
        let has_halves = !(ends_in_the_middle(size.width) && ends_in_the_middle(size.height));
        let columns = extents(&grid.columns, size.width);
        let rows = extents(&grid.rows, size.height);
        let places = rows
            .iter()
            .flat_map(|&row| columns.iter().map(move |&column| (column, row)));
        let parts = places
            .map(|((left, width), (top, height))| Part {
                area: Area {
                    left,
                    top,
                    width,
                    height,
                },
                margin: Margin::of(coded(width), coded(height), least.area, has_halves),
            })
            .collect();
        Some(Self { size, grid, parts })
    }

    /// All parts, row by row.
    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The whole, as units of a still picture, of what libaom wrote for each of the parts. `None` when that does not make a
    /// picture: one differs from the others, or [uses](Part::read) what is not understood here. Then the whole has to be
    /// encoded at once.
    pub(crate) fn join(&self, written: &[&[u8]]) -> Option<Vec<u8>> {
        let mut read = self
            .parts
            .iter()
            .zip(written)
            .map(|(part, units)| part.read(units));
        let (common, first) = read.next()??;
        let mut tiles = vec![first];
        for part in read {
            let (other, tile) = part?;
            if other != common {
                return None;
            }
            tiles.push(tile);
        }
        if tiles.len() != self.grid.count() {
            return None;
        }

        let Dimensions { width, height } = self.size;
        let [before, behind] = &common.frame;
        let mut header = Writer::default();
        header.append(before);
        self.grid.write(width, height, &mut header);
        header.append(behind);
        let mut frame = header.bytes();
        // All tiles are in this group.
        frame.push(0);
        for (number, tile) in tiles.into_iter().enumerate() {
            if number + 1 < self.grid.count() {
                frame.extend(u32::try_from(tile.len() - 1).ok()?.to_le_bytes());
            }
            frame.extend(tile);
        }

        let sequence = sequence::written(self.size, &common.sequence);
        let mut file = units::written(SEQUENCE_HEADER, &sequence);
        file.extend(units::written(FRAME, &frame));
        Some(file)
    }
}

/// Where each of the parts of a side begins and how long it is, in pixels.
fn extents(parts: &[u32], side: u32) -> Vec<(u32, u32)> {
    let mut begin = 0;
    parts
        .iter()
        .map(|&part| {
            let length = (part * SUPERBLOCK).min(side - begin);
            let extent = (begin, length);
            begin += length;
            extent
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_part_is_refused() {
        let size = Dimensions {
            width: 120,
            height: 60,
        };
        let mosaic = Mosaic::new(size, Least { side: 50, area: 1 }).unwrap();
        assert_eq!(mosaic.parts().len(), 2);
        assert_eq!(mosaic.join(&[]), None);
        assert_eq!(mosaic.join(&[&[], &[]]), None);
        let no_tiles: &[u8] = &[0x0A, 2, 0x18, 0x80, 0x32, 1, 0];
        assert_eq!(mosaic.join(&[no_tiles; 2]), None);
    }
}
