//! One AV1 picture out of strips that were encoded one after the other.
//!
//! libaom holds fifteen bytes for each pixel of what it encodes, so a large picture is encoded in strips, and only one is
//! held at a time. The file has no seams: AV1 divides a frame into tiles that know nothing of each other before the loop
//! filters (AV1 bitstream and decoding process specification, section 5.9.15; prediction in 7.11, contexts in 8.3), and
//! those filters run over the whole frame. So what libaom writes for a strip is, byte for byte, a row of tiles of the
//! whole picture, if both headers say the same about how tiles are read. Only a new header is written, with the size of
//! the whole and its tiles.
//!
//! What the headers say beside:
//!
//! * The loop filters have to be the same. At libaom's speeds from 7 on they follow from the quantizer alone.
//! * Whether blocks say how large their transforms are (`tx_mode`) libaom decides when it has encoded a frame: at these
//!   speeds they do if there is a block that is not a square, and there hardly is one but where the picture ends in the
//!   midst of a square. [`Extra`] rows make sure of one; they are a row of tiles of their own and left out of the whole. In
//!   the lowest strip, with which it begins, that is not always possible. The others do as it does.

mod grid;
mod header;

use grid::Grid;
use header::{Sequence, none, skip_to_tiles};

use super::obu;
use crate::bits::{Bits, Writer};
use crate::obu::{FRAME, SEQUENCE_HEADER, find};

pub(super) use grid::SUPERBLOCK;

/// A picture that is put together from strips.
pub(super) struct Stack {
    width: u32,
    height: u32,
    is_monochrome: bool,
    /// Superblocks from top to bottom that are encoded at once, at least.
    least: u32,
    grid: Grid,
    /// What all strips have to say alike.
    common: Option<Common>,
    /// The tiles of each strip, from the top.
    tiles: Vec<Vec<Vec<u8>>>,
}

/// Rows of the picture that are encoded at once, and what is encoded with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Strip {
    /// Counted from the top.
    pub(super) number: usize,
    /// In pixels.
    pub(super) first: u32,
    pub(super) rows: u32,
    pub(super) extra: Extra,
}

/// Rows that are encoded with a strip and are not of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extra {
    None,
    /// Rows of superblocks above, as [`Strip::luma_above`].
    Above(u32),
    /// Half a square of grey below: libaom makes one block of it that is not a square.
    Below,
}

impl Strip {
    /// Rows above and below, in pixels.
    pub(super) const fn extra_rows(self) -> (u32, u32) {
        match self.extra {
            Extra::None => (0, 0),
            Extra::Above(superblocks) => (superblocks * SUPERBLOCK, 0),
            Extra::Below => (0, 16),
        }
    }

    /// That of the frame that is encoded, in pixels.
    pub(super) const fn height(self) -> u32 {
        let (above, below) = self.extra_rows();
        above + self.rows + below
    }

    /// Heights of the rows of tiles that it has to be encoded in, in superblocks.
    pub(super) fn tile_rows(self) -> Vec<u32> {
        let rows = self.rows.div_ceil(SUPERBLOCK);
        match self.extra {
            Extra::None => vec![rows],
            Extra::Above(superblocks) => vec![superblocks, rows],
            Extra::Below => vec![rows, 1],
        }
    }

    /// The luma of the rows above: grey, but for the last square of 32 pixels that begins in the lower half of the first
    /// superblock. Where 8 or 16 columns of the last squares are in the picture libaom halves the grey one. Where 24 are it
    /// would not, but it takes the other one, which is not plain, apart, and halves what is on its right.
    pub(super) fn luma_above(self, width: u32) -> Vec<u8> {
        let contrast = (width / 32 * 32)..(width / 32 * 32 + 16);
        let sample = |x: u32, y: u32| match y {
            32..48 if contrast.contains(&x) => 8,
            48..64 if contrast.contains(&x) => 248,
            _ => 128,
        };
        (0..self.extra_rows().0)
            .flat_map(|y| (0..width).map(move |x| (x, y)))
            .map(|(x, y)| sample(x, y))
            .collect()
    }
}

/// What is in the headers of a strip beside its size.
#[derive(PartialEq, Eq)]
struct Common {
    /// [`Sequence::parts`].
    sequence: [Writer; 2],
    /// Of the frame header: what comes before `tile_info`, and behind it.
    frame: [Writer; 2],
    /// `tx_mode_select`, which is in there.
    blocks_tell_transforms: bool,
}

impl Stack {
    /// A picture in as many strips as it has room for, of at least `least` superblocks from top to bottom; `None` for one
    /// that is too small.
    pub(super) fn new(width: u32, height: u32, is_monochrome: bool, least: u32) -> Option<Self> {
        let grid = Grid::new(width, height, least)?;
        (grid.rows.len() > 1).then(|| Self {
            width,
            height,
            is_monochrome,
            least,
            tiles: vec![Vec::new(); grid.rows.len()],
            grid,
            common: None,
        })
    }

    /// The strip that comes next: the lowest, then the others from the top.
    pub(super) fn next(&self) -> Option<Strip> {
        let lowest = self.grid.rows.len() - 1;
        let number = match &self.common {
            None => lowest,
            Some(_) => self.tiles.iter().position(Vec::is_empty)?,
        };
        let superblocks = |rows: &[u32]| rows.iter().sum::<u32>() * SUPERBLOCK;
        let first = superblocks(&self.grid.rows[..number]);
        let rows = superblocks(&self.grid.rows[number..=number]).min(self.height - first);
        // Pictures are coded in units of 8 pixels.
        let ends_in_a_square = !self.width.next_multiple_of(8).is_multiple_of(32);
        let extra = match &self.common {
            None if self.height.is_multiple_of(SUPERBLOCK) => Extra::Below,
            None => {
                let missing = self.least.saturating_sub(rows / SUPERBLOCK);
                match missing.max(ends_in_a_square.into()) {
                    0 => Extra::None,
                    superblocks => Extra::Above(superblocks),
                }
            }
            Some(common) if common.blocks_tell_transforms => Extra::Below,
            Some(_) => Extra::None,
        };
        Some(Strip {
            number,
            first,
            rows,
            extra,
        })
    }

    /// Widths of the columns of tiles of every strip, in superblocks.
    pub(super) fn columns(&self) -> &[u32] {
        &self.grid.columns
    }

    /// Takes what libaom wrote for the strip that comes next. `None` when it cannot be a part of the whole: it differs
    /// from the strips before, or uses what is not understood here (tools for screen content, segments, lossless coding,
    /// loop restoration), and then the whole has to be encoded at once.
    pub(super) fn push(&mut self, strip: Strip, units: &[u8]) -> Option<()> {
        let sequence = Sequence::read(find(units, SEQUENCE_HEADER)?, self.is_monochrome)?;
        if (sequence.width, sequence.height) != (self.width, strip.height()) {
            return None;
        }
        let frame = find(units, FRAME)?;
        let mut bits = Bits::new(frame);
        // Whether probabilities stay as they are.
        bits.skip(1)?;
        // Tools for screen content; another size to show.
        none(&mut bits, 2)?;
        let before = bits.position();
        let (grid, length_bytes) = Grid::read(self.width, strip.height(), &mut bits)?;
        if grid.columns != self.grid.columns || grid.rows != strip.tile_rows() {
            return None;
        }
        let start = bits.position();
        let blocks_tell_transforms = skip_to_tiles(&mut bits, &sequence, self.is_monochrome)?;
        let end = bits.position();
        let common = Common {
            sequence: sequence.parts,
            frame: [0..before, start..end].map(|range| Writer::of(frame, range)),
            blocks_tell_transforms,
        };
        match &self.common {
            Some(first) if *first != common => return None,
            Some(_) => {}
            None => self.common = Some(common),
        }
        let mut tiles = header::tiles(frame.get(end.div_ceil(8)..)?, grid.count(), length_bytes)?;
        if matches!(strip.extra, Extra::Above(_)) {
            tiles.drain(..grid.columns.len());
        }
        tiles.truncate(grid.columns.len());
        *self.tiles.get_mut(strip.number)? = tiles;
        Some(())
    }

    /// The whole, as units of a still picture; `None` when strips are missing.
    pub(super) fn finish(self) -> Option<Vec<u8>> {
        let common = self.common?;
        if self.tiles.iter().any(Vec::is_empty) {
            return None;
        }
        let [before, behind] = &common.frame;
        let mut header = Writer::default();
        header.append(before);
        self.grid.write(self.width, self.height, &mut header);
        header.append(behind);
        let mut frame = header.bytes();
        // All tiles are in this group.
        frame.push(0);
        for (number, tile) in self.tiles.iter().flatten().enumerate() {
            if number + 1 < self.grid.count() {
                frame.extend(u32::try_from(tile.len() - 1).ok()?.to_le_bytes());
            }
            frame.extend(tile);
        }

        let sequence = Sequence::write(self.width, self.height, &common.sequence);
        let mut file = obu::unit(SEQUENCE_HEADER, &sequence);
        file.extend(obu::unit(FRAME, &frame));
        Some(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_strip_is_refused() {
        let mut stack = Stack::new(200, 200, false, 1).unwrap();
        let strip = stack.next().unwrap();
        assert!(stack.push(strip, &[]).is_none());
        assert!(stack.push(strip, &[0x0A, 2, 0x18, 0x80, 0x32, 1, 0]).is_none());
        assert!(stack.finish().is_none());
    }
}
