//! AV1 pictures that are put together from tiles, each of which was encoded alone.
//!
//! libaom needs fifteen to twenty bytes of memory for each pixel that it encodes, so a large picture is encoded tile by
//! tile, and each thread holds one tile at a time. The file has no seams: the tiles of an AV1 frame do not depend on
//! each other before the loop filters (AV1 bitstream and decoding process specification, section 5.9.15; prediction in
//! 7.11, contexts in 8.3), and those filters run over the whole frame. So the bytes that libaom writes for a tile that
//! is encoded as a frame of its own are the bytes of that tile in the whole picture, if the headers of both agree about
//! the reading of tiles. Only a new header is written, with the size of the whole and its tiles.
//!
//! Two more parts of the headers have to agree:
//!
//! * The loop filters have to be the same. At libaom's speeds from 7 on they follow from the quantizer alone.
//! * libaom decides after it has encoded a frame whether blocks state the sizes of their transforms (`tx_mode`). At these
//!   speeds they do if one block is not a square, and there hardly is such a block but where the picture ends within a
//!   square. A [`Padding`] makes sure of one; it is a tile of its own and is left out of the whole. Where the whole ends in
//!   the middle of its last superblock in both directions its last tile can have no such padding, and then no tile has any.

mod frame;
mod grid;

use frame::{none, skip_to_tiles};
use grid::SUPERBLOCK;
pub(crate) use grid::{Grid, LeastTile};
use tintype_model::Dimensions;

use super::sequence::{self, SequenceHeader};
use super::units::{self, FRAME, SEQUENCE_HEADER, find};
use crate::geometry::Area;
use crate::syntax::bits::{Bits, Writer};

/// A frame that is put together from tiles.
#[derive(Clone)]
pub(crate) struct TiledFrame {
    size: Dimensions,
    grid: Grid,
    /// Row by row.
    tiles: Vec<Tile>,
}

/// A tile of the picture, and the padded frame in which it is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tile {
    /// Its place in the picture.
    pub(crate) area: Area,
    padding: Padding,
}

/// The part of an encoded frame beside its tile that is not a part of the picture: a tile of its own of grey columns or
/// rows on one side, or nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Padding {
    left: u32,
    above: u32,
    right: u32,
    below: u32,
    /// True if it has [`Tile::marks`].
    is_marked: bool,
}

impl Padding {
    /// The padding of a tile of `width` columns and `height` rows, in a frame of at least `least_area` pixels.
    /// `has_halves` asks for a block that is not a square: libaom makes one of half a square of 32 pixels on the right
    /// or below, and beside the marks.
    fn of(width: u32, height: u32, least_area: u32, has_halves: bool) -> Self {
        let missing = least_area.saturating_sub(width * height);
        // The least number, and as many whole superblocks as the area needs.
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

/// Rounds up to whole superblocks, in pixels.
const fn superblocks(side: u32) -> u32 {
    side.next_multiple_of(SUPERBLOCK)
}

/// The number of coded columns or rows, which is a multiple of 8.
const fn coded(side: u32) -> u32 {
    side.next_multiple_of(8)
}

impl Tile {
    /// Columns and rows of the tile.
    const fn size(self) -> (u32, u32) {
        (coded(self.area.width), coded(self.area.height))
    }

    /// Columns and rows of the padded frame.
    pub(crate) const fn frame_size(self) -> (u32, u32) {
        let (width, height) = self.size();
        let Padding {
            left,
            above,
            right,
            below,
            ..
        } = self.padding;
        (left + width + right, above + height + below)
    }

    /// The place of the tile in the padded frame.
    pub(crate) const fn place(self) -> (u32, u32) {
        (self.padding.left, self.padding.above)
    }

    /// The areas of the padding that are not grey, in the padded frame, and their luma. They are above or on the left,
    /// in the last square of 32 pixels that begins in the second half of the first superblock. Where 8 or 16 columns
    /// (rows) of that square are in the picture, libaom halves the grey square before it. Where 24 are in the picture
    /// it would not, but it divides this square, which is not plain, and halves the block behind it.
    pub(crate) fn marks(self) -> Vec<(Area, u8)> {
        if !self.padding.is_marked {
            return Vec::new();
        }
        let (width, height) = self.size();
        let last = |side: u32| (side / 32 * 32, (side % 32).min(16));
        let mark = |begin: u32| {
            let across = (begin, 16);
            let ((left, width), (top, height)) = if self.padding.above > 0 {
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

    /// The tiles of the padded frame.
    pub(crate) fn frame_tiles(self) -> Grid {
        let (width, height) = self.size();
        let Padding {
            left,
            above,
            right,
            below,
            ..
        } = self.padding;
        let sides = |sides: [u32; 3]| {
            let superblocks = sides.map(|side| side.div_ceil(SUPERBLOCK));
            superblocks.into_iter().filter(|&side| side > 0).collect()
        };
        Grid {
            columns: sides([left, width, right]),
            rows: sides([above, height, below]),
        }
    }

    /// The number of the picture's tile among the tiles of the padded frame.
    fn number(self) -> usize {
        usize::from(self.place() != (0, 0))
    }

    /// Reads the headers and the tile that libaom wrote for the padded frame. `None` when they use tools that are not
    /// supported here (copies of blocks, segments, lossless coding, loop restoration).
    fn read(self, units: &[u8]) -> Option<(SharedHeader, &[u8])> {
        let body = find(units, SEQUENCE_HEADER)?;
        let sequence = SequenceHeader::read(body)?;
        let parts = sequence.parts(body)?;
        let (width, height) = self.frame_size();
        if (sequence.size.width, sequence.size.height) != (width, height) {
            return None;
        }
        let body = find(units, FRAME)?;
        let mut bits = Bits::new(body);
        // A flag of probabilities that stay as they are.
        bits.skip(1)?;
        let has_palettes = bits.flag()?;
        if has_palettes {
            // A flag of motion in whole pixels; a still picture has no motion.
            bits.skip(1)?;
        }
        // Another size to show; copies of blocks.
        none(&mut bits, if has_palettes { 2 } else { 1 })?;
        let before = bits.position();
        let (grid, length_bytes) = Grid::read(width, height, &mut bits)?;
        if grid != self.frame_tiles() {
            return None;
        }
        let start = bits.position();
        skip_to_tiles(&mut bits, &sequence)?;
        let end = bits.position();
        let shared = SharedHeader {
            sequence: parts,
            frame: [0..before, start..end].map(|range| Writer::of(body, range)),
        };
        let tiles = frame::tiles(body.get(end.div_ceil(8)..)?, grid.count(), length_bytes)?;
        Some((shared, tiles.into_iter().nth(self.number())?))
    }
}

/// The content of headers that all tiles must share: everything but the size.
#[derive(PartialEq, Eq)]
struct SharedHeader {
    /// [`SequenceHeader::parts`].
    sequence: [Writer; 2],
    /// The bits of the frame header before `tile_info`, and those behind it.
    frame: [Writer; 2],
}

impl TiledFrame {
    /// A picture in as many tiles as it has room for; `None` for a picture that is too small for two.
    pub(crate) fn new(size: Dimensions, least: LeastTile) -> Option<Self> {
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
        let tiles = places
            .map(|((left, width), (top, height))| Tile {
                area: Area {
                    left,
                    top,
                    width,
                    height,
                },
                padding: Padding::of(coded(width), coded(height), least.area, has_halves),
            })
            .collect();
        Some(Self { size, grid, tiles })
    }

    /// All tiles, row by row.
    pub(crate) fn tiles(&self) -> &[Tile] {
        &self.tiles
    }

    /// Puts the tiles together that libaom wrote, and gives the units of a still picture. `None` when they do not fit:
    /// the headers of one differ from the others, or it [uses](Tile::read) tools that are not supported here. Then the
    /// whole has to be encoded at once.
    pub(crate) fn join(&self, written: &[&[u8]]) -> Option<Vec<u8>> {
        let mut read = self
            .tiles
            .iter()
            .zip(written)
            .map(|(tile, units)| tile.read(units));
        let (shared, first) = read.next()??;
        let mut tiles = vec![first];
        for next in read {
            let (other, tile) = next?;
            if other != shared {
                return None;
            }
            tiles.push(tile);
        }
        if tiles.len() != self.grid.count() {
            return None;
        }

        let Dimensions { width, height } = self.size;
        let [before, behind] = &shared.frame;
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

        let sequence = sequence::written(self.size, &shared.sequence);
        let mut file = units::written(SEQUENCE_HEADER, &sequence);
        file.extend(units::written(FRAME, &frame));
        Some(file)
    }
}

/// The begin and the length of each part of a side, in pixels.
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
    fn units_that_are_no_tile_are_refused() {
        let size = Dimensions {
            width: 120,
            height: 60,
        };
        let tiled = TiledFrame::new(size, LeastTile { side: 50, area: 1 }).unwrap();
        assert_eq!(tiled.tiles().len(), 2);
        assert_eq!(tiled.join(&[]), None);
        assert_eq!(tiled.join(&[&[], &[]]), None);
        let no_tiles: &[u8] = &[0x0A, 2, 0x18, 0x80, 0x32, 1, 0];
        assert_eq!(tiled.join(&[no_tiles; 2]), None);
    }
}
