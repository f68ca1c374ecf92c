//! How coarse a still picture was coded: the fields of a frame header up to the quantizer (sections 5.9.2, 5.9.15 and
//! 5.9.17).
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

use super::sequence::SequenceHeader;
use super::units::{FRAME, FRAME_HEADER, find};
use crate::syntax::bits::Bits;

/// The limits of a tile, in luma samples.
const MAX_TILE_WIDTH: u32 = 4096;
const MAX_TILE_AREA: u32 = 4096 * 2304;
const MAX_TILES: u32 = 64;

/// `base_q_idx` of the first frame, 0 (the finest) to 255. `None` for streams whose sequence header is not that of a
/// reduced still picture.
pub(crate) fn base_quantizer(stream: &[u8]) -> Option<u8> {
    let sequence = SequenceHeader::find(stream).filter(|sequence| sequence.is_reduced)?;
    let frame = find(stream, FRAME).or_else(|| find(stream, FRAME_HEADER))?;
    let bits = &mut Bits::new(frame);
    // Whether probabilities stay as they are.
    bits.skip(1)?;
    let has_screen_tools = bits.flag()?;
    if has_screen_tools {
        // Whether motion is in whole pixels.
        bits.skip(1)?;
    }
    let is_scaled = sequence.tools.has_superres && bits.flag()?;
    let mut width = sequence.size.width;
    if is_scaled {
        let eighths = bits.take(3)?.checked_add(9)?;
        let wide = width.checked_mul(8)?.checked_add(eighths >> 1)?;
        width = wide.checked_div(eighths)?;
    }
    let is_shown_otherwise = bits.flag()?;
    if is_shown_otherwise {
        bits.skip(32)?;
    }
    if has_screen_tools && !is_scaled {
        // Whether blocks are copied within the picture.
        bits.skip(1)?;
    }
    skip_tiles(bits, &Superblocks::of(width, &sequence))?;
    u8::try_from(bits.take(8)?).ok()
}

/// A frame, in superblocks.
struct Superblocks {
    /// The logarithm of their side in samples.
    side_log2: u32,
    across: u32,
    down: u32,
}

impl Superblocks {
    fn of(width: u32, sequence: &SequenceHeader) -> Self {
        let side_log2 = if sequence.tools.has_large_superblocks {
            7
        } else {
            6
        };
        Self {
            side_log2,
            across: width.div_ceil(1 << side_log2),
            down: sequence.size.height.div_ceil(1 << side_log2),
        }
    }
}

/// Passes over `tile_info`.
fn skip_tiles(bits: &mut Bits<'_>, blocks: &Superblocks) -> Option<()> {
    let &Superblocks {
        side_log2,
        across,
        down,
    } = blocks;
    let widest = MAX_TILE_WIDTH >> side_log2;
    let area = across.checked_mul(down)?;
    let least_columns = log2(widest, across);
    let least_tiles = least_columns.max(log2(MAX_TILE_AREA >> side_log2 >> side_log2, area));
    let (columns, rows);
    if bits.flag()? {
        columns = take_log2(bits, least_columns, log2(1, across.min(MAX_TILES)))?;
        rows = take_log2(
            bits,
            least_tiles.saturating_sub(columns),
            log2(1, down.min(MAX_TILES)),
        )?;
    } else {
        let (count, wide) = skip_parts(bits, across, widest)?;
        columns = log2(1, count);
        let largest = match least_tiles {
            0 => area,
            least => area.checked_shr(least.checked_add(1)?)?,
        };
        let (count, _) = skip_parts(bits, down, largest.checked_div(wide)?.max(1))?;
        rows = log2(1, count);
    }
    if columns > 0 || rows > 0 {
        bits.skip(columns.checked_add(rows)?.checked_add(2)?)?;
    }
    Some(())
}

/// The logarithm of a number of tiles of equal size: one more for each bit that is set.
fn take_log2(bits: &mut Bits<'_>, least: u32, most: u32) -> Option<u32> {
    let mut value = least;
    while value < most && bits.flag()? {
        value = value.checked_add(1)?;
    }
    Some(value)
}

/// Passes over the sizes of columns or rows. Answers how many there are, and the largest, in superblocks.
fn skip_parts(bits: &mut Bits<'_>, whole: u32, most: u32) -> Option<(u32, u32)> {
    let (mut count, mut largest, mut rest) = (0u32, 1, whole);
    while rest > 0 {
        let part = bits.below(rest.min(most))?.checked_add(1)?;
        rest = rest.checked_sub(part)?;
        largest = largest.max(part);
        count = count.checked_add(1)?;
    }
    Some((count, largest))
}

/// The least power of two, as its logarithm, that makes `size` at least `target` (`tile_log2`).
fn log2(size: u32, target: u32) -> u32 {
    (0..31)
        .find(|&shift| size.checked_shl(shift).is_none_or(|size| size >= target))
        .unwrap_or(31)
}
