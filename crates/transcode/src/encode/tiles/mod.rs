//! One AV1 picture out of tiles that were encoded by themselves.
//!
//! libaom holds fifteen to twenty bytes for each pixel of what it encodes, so a large picture is encoded in parts, of which
//! each thread holds one at a time. The file has no seams: AV1 divides a frame into tiles that know nothing of each other before the loop
//! filters (AV1 bitstream and decoding process specification, section 5.9.15; prediction in 7.11, contexts in 8.3), and
//! those filters run over the whole frame. So what libaom writes for a part is, byte for byte, a tile of the whole
//! picture, if both headers say the same about how tiles are read. Only a new header is written, with the size of the
//! whole and its tiles.
//!
//! What the headers say beside:
//!
//! * The loop filters have to be the same. At libaom's speeds from 7 on they follow from the quantizer alone.
//! * Whether blocks say how large their transforms are (`tx_mode`) libaom decides when it has encoded a frame: at these
//!   speeds they do if there is a block that is not a square, and there hardly is one but where the picture ends in the
//!   midst of a square. A [`Margin`] makes sure of one; it is a tile of its own and left out of the whole. Where the whole
//!   ends in the middle of its last superblock both ways its last part can have no such margin, and so none has.

mod grid;
mod header;

pub(super) use grid::Least;
use grid::{Grid, SUPERBLOCK};
use header::{Sequence, none, skip_to_tiles};
use tintype_model::Dimensions;

use super::obu;
use crate::bits::{Bits, Writer};
use crate::geometry::Area;
use crate::obu::{FRAME, SEQUENCE_HEADER, find};

/// A picture that is put together from tiles.
pub(super) struct Mosaic {
    size: Dimensions,
    grid: Grid,
    /// Of the frames that become tiles.
    least_area: u32,
}

/// A tile of the picture, and the frame as which it is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Where it is in the picture.
    pub(super) area: Area,
    margin: Margin,
}

/// What is encoded beside a tile, as a tile of its own, and is not of the picture: so many columns or rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Margin {
    /// Grey, of whole superblocks or none.
    Plain(u32),
    /// Grey, whole superblocks and half a square of 32 pixels: libaom makes one block of it that is not a square.
    Below(u32),
    Right(u32),
    /// Whole superblocks with [`Part::marks`].
    Above(u32),
    Left(u32),
}

impl Margin {
    /// That of a tile of so many columns and rows, in a frame of at least so many pixels. `has_halves` asks for a block that
    /// is not a square.
    const fn of(width: u32, height: u32, least_area: u32, has_halves: bool) -> Self {
        let missing = least_area.saturating_sub(width * height);
        let (rows, columns) = (missing.div_ceil(width), missing.div_ceil(height));
        if !has_halves {
            Self::Plain(rows.next_multiple_of(SUPERBLOCK))
        } else if height.is_multiple_of(SUPERBLOCK) {
            Self::Below(16 + rows.saturating_sub(16).next_multiple_of(SUPERBLOCK))
        } else if width.is_multiple_of(SUPERBLOCK) {
            Self::Right(16 + columns.saturating_sub(16).next_multiple_of(SUPERBLOCK))
        } else if !width.is_multiple_of(32) {
            Self::Above(SUPERBLOCK + rows.saturating_sub(SUPERBLOCK).next_multiple_of(SUPERBLOCK))
        } else {
            Self::Left(SUPERBLOCK + columns.saturating_sub(SUPERBLOCK).next_multiple_of(SUPERBLOCK))
        }
    }
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
    pub(super) const fn frame(self) -> (u32, u32) {
        let (width, height) = self.tile();
        match self.margin {
            Margin::Plain(rows) | Margin::Below(rows) | Margin::Above(rows) => (width, height + rows),
            Margin::Right(columns) | Margin::Left(columns) => (width + columns, height),
        }
    }

    /// Where the tile begins in the frame.
    pub(super) const fn place(self) -> (u32, u32) {
        match self.margin {
            Margin::Below(_) | Margin::Right(_) => (0, 0),
            Margin::Plain(rows) | Margin::Above(rows) => (0, rows),
            Margin::Left(columns) => (columns, 0),
        }
    }

    /// What of the margin is not grey: parts of the frame and their luma. They are above or on the left, in the last square
    /// of 32 pixels that begins in the second half of the first superblock. Where 8 or 16 columns (rows) of that square are
    /// in the picture libaom halves the grey one before. Where 24 are it would not, but it takes this one, which is not
    /// plain, apart, and halves what is behind.
    pub(super) fn marks(self) -> Vec<(Area, u8)> {
        let (width, height) = self.tile();
        let last = |side: u32| (side / 32 * 32, (side % 32).min(16));
        let place = |across: u32| match self.margin {
            Margin::Plain(_) | Margin::Below(_) | Margin::Right(_) => None,
            Margin::Above(_) => {
                let (left, width) = last(width);
                Some(Area {
                    left,
                    top: across,
                    width,
                    height: 16,
                })
            }
            Margin::Left(_) => {
                let (top, height) = last(height);
                Some(Area {
                    left: across,
                    top,
                    width: 16,
                    height,
                })
            }
        };
        let marks = [(32, 8), (48, 248)];
        marks
            .into_iter()
            .filter_map(|(across, luma)| Some((place(across)?, luma)))
            .collect()
    }

    /// Widths of the columns and heights of the rows of tiles of the frame, in superblocks.
    pub(super) fn tiles(self) -> (Vec<u32>, Vec<u32>) {
        let superblocks = |side: u32| side.div_ceil(SUPERBLOCK);
        let (width, height) = self.tile();
        let (width, height) = (superblocks(width), superblocks(height));
        match self.margin {
            Margin::Plain(0) => (vec![width], vec![height]),
            Margin::Below(rows) => (vec![width], vec![height, superblocks(rows)]),
            Margin::Right(columns) => (vec![width, superblocks(columns)], vec![height]),
            Margin::Plain(rows) | Margin::Above(rows) => (vec![width], vec![superblocks(rows), height]),
            Margin::Left(columns) => (vec![superblocks(columns), width], vec![height]),
        }
    }

    /// Which of those tiles is that of the picture.
    const fn number(self) -> usize {
        match self.margin {
            Margin::Plain(0) | Margin::Below(_) | Margin::Right(_) => 0,
            Margin::Plain(_) | Margin::Above(_) | Margin::Left(_) => 1,
        }
    }

    /// Reads what libaom wrote for the frame. `None` when it uses what is not understood here (tools for screen content,
    /// segments, lossless coding, loop restoration).
    fn read(self, units: &[u8], is_monochrome: bool) -> Option<(Common, Vec<u8>)> {
        let sequence = Sequence::read(find(units, SEQUENCE_HEADER)?, is_monochrome)?;
        let (width, height) = self.frame();
        if (sequence.width, sequence.height) != (width, height) {
            return None;
        }
        let frame = find(units, FRAME)?;
        let mut bits = Bits::new(frame);
        // Whether probabilities stay as they are.
        bits.skip(1)?;
        // Tools for screen content; another size to show.
        none(&mut bits, 2)?;
        let before = bits.position();
        let (grid, length_bytes) = Grid::read(width, height, &mut bits)?;
        let (columns, rows) = self.tiles();
        if grid != (Grid { columns, rows }) {
            return None;
        }
        let start = bits.position();
        skip_to_tiles(&mut bits, &sequence, is_monochrome)?;
        let end = bits.position();
        let common = Common {
            sequence: sequence.parts,
            frame: [0..before, start..end].map(|range| Writer::of(frame, range)),
        };
        let tiles = header::tiles(frame.get(end.div_ceil(8)..)?, grid.count(), length_bytes)?;
        Some((common, tiles.into_iter().nth(self.number())?))
    }
}

/// What is in the headers of a part beside its size.
#[derive(PartialEq, Eq)]
struct Common {
    /// [`Sequence::parts`].
    sequence: [Writer; 2],
    /// Of the frame header: what comes before `tile_info`, and behind it.
    frame: [Writer; 2],
}

impl Mosaic {
    /// A picture in as many tiles as it has room for; `None` for one that is too small for two.
    pub(super) fn new(size: Dimensions, least: Least) -> Option<Self> {
        let grid = Grid::new(size.width, size.height, least)?;
        (grid.count() > 1).then_some(Self {
            size,
            grid,
            least_area: least.area,
        })
    }

    /// All parts, row by row.
    pub(super) fn parts(&self) -> Vec<Part> {
        let [across, down] = [self.size.width, self.size.height].map(|side| coded(side) % SUPERBLOCK);
        let has_halves = (across, down) != (SUPERBLOCK / 2, SUPERBLOCK / 2);
        let columns = extents(&self.grid.columns, self.size.width);
        let rows = extents(&self.grid.rows, self.size.height);
        let places = rows
            .iter()
            .flat_map(|&row| columns.iter().map(move |&column| (column, row)));
        places
            .map(|((left, width), (top, height))| Part {
                area: Area {
                    left,
                    top,
                    width,
                    height,
                },
                margin: Margin::of(coded(width), coded(height), self.least_area, has_halves),
            })
            .collect()
    }

    /// The whole, as units of a still picture, of what libaom wrote for each of the parts. `None` when that does not make a
    /// picture: one differs from the others, or [uses](Part::read) what is not understood here. Then the whole has to be
    /// encoded at once.
    pub(super) fn join(&self, written: &[&[u8]], is_monochrome: bool) -> Option<Vec<u8>> {
        let parts = self.parts();
        let mut read = parts
            .iter()
            .zip(written)
            .map(|(part, units)| part.read(units, is_monochrome));
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

        let sequence = Sequence::write(width, height, &common.sequence);
        let mut file = obu::unit(SEQUENCE_HEADER, &sequence);
        file.extend(obu::unit(FRAME, &frame));
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
        assert_eq!(mosaic.join(&[], false), None);
        assert_eq!(mosaic.join(&[&[], &[]], false), None);
        let no_tiles: &[u8] = &[0x0A, 2, 0x18, 0x80, 0x32, 1, 0];
        assert_eq!(mosaic.join(&[no_tiles; 2], false), None);
    }
}
