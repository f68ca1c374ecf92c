//! The header before the tiles of a still picture as libaom writes it (sections 5.9 and 5.11).

use super::super::sequence::SequenceHeader;
use crate::syntax::bits::Bits;

/// Skips the fields of a frame header between `tile_info` and the tiles (section 5.9.2), for a key frame without copies
/// of blocks. `None` when one of them has a value that is not supported here, or the data end.
pub(super) fn skip_to_tiles(bits: &mut Bits<'_>, sequence: &SequenceHeader) -> Option<()> {
    let is_monochrome = sequence.is_monochrome();
    // Quantizers: the first is that of luma; 0 could mean lossless coding, which has no filters.
    if bits.take(8)? == 0 {
        return None;
    }
    let differences = if is_monochrome { 1 } else { 3 };
    for _ in 0..differences {
        if bits.flag()? {
            bits.skip(7)?;
        }
    }
    let has_matrices = bits.flag()?;
    if has_matrices {
        bits.skip(8)?;
    }
    // Segments; quantizers that change from block to block.
    none(bits, 2)?;
    let levels = [bits.take(6)?, bits.take(6)?];
    if !is_monochrome && levels != [0, 0] {
        bits.skip(12)?;
    }
    bits.skip(3)?;
    let has_changes = bits.flag()?;
    if has_changes && bits.flag()? {
        // Eight frames that are referred to, two modes.
        for _ in 0..10 {
            if bits.flag()? {
                bits.skip(7)?;
            }
        }
    }
    if sequence.tools.has_cdef {
        bits.skip(2)?;
        let strengths = 1 << bits.take(2)?;
        bits.skip(strengths * if is_monochrome { 6 } else { 12 })?;
    }
    if sequence.tools.has_restoration {
        none(bits, if is_monochrome { 2 } else { 6 })?;
    }
    // Two flags: blocks state the size of their transforms; fewer kinds of transforms are used.
    bits.skip(2)
}

/// Passes over bits that are all zero.
pub(super) fn none(bits: &mut Bits<'_>, count: u32) -> Option<()> {
    (bits.take(count)? == 0).then_some(())
}

/// The tiles of a frame, behind its header: lengths of so many bytes come before all but the last.
pub(super) fn tiles(mut rest: &[u8], count: usize, length_bytes: usize) -> Option<Vec<&[u8]>> {
    if count > 1 {
        // All tiles are in this group, says its header.
        rest = rest.strip_prefix(&[0])?;
    }
    let mut tiles = Vec::new();
    for number in 1..=count {
        let mut length = rest.len();
        if number < count {
            let (told, behind) = rest.split_at_checked(length_bytes)?;
            let little_endian = told.iter().rev();
            length = little_endian.fold(0, |sum, &byte| (sum << 8) | usize::from(byte)) + 1;
            rest = behind;
        }
        let (tile, behind) = rest.split_at_checked(length)?;
        tiles.push(tile);
        rest = behind;
    }
    Some(tiles)
}
