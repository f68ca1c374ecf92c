//! The headers before the tiles of a still picture as libaom writes it (AV1 bitstream and decoding process
//! specification, sections 5.5, 5.9 and 5.11).

use crate::syntax::bits::{Bits, Writer};

/// "Maximum parameters" (annex A.3), which is also what the box around it says.
const LEVEL: u32 = 31;

/// A reduced still picture's sequence header (section 5.5).
pub(super) struct Sequence {
    pub(super) width: u32,
    pub(super) height: u32,
    has_cdef: bool,
    has_restoration: bool,
    /// The bits before the level (profile and flags) and those after the size (tools and colours), without the trailing
    /// bits.
    pub(super) parts: [Writer; 2],
}

impl Sequence {
    pub(super) fn read(body: &[u8], is_monochrome: bool) -> Option<Self> {
        let mut bits = Bits::new(body);
        bits.skip(3)?;
        let is_reduced_still = bits.take(2)? == 3;
        bits.skip(5)?;
        let (width_bits, height_bits) = (bits.take(4)? + 1, bits.take(4)? + 1);
        let (width, height) = (bits.take(width_bits)? + 1, bits.take(height_bits)? + 1);
        let start = bits.position();
        let has_large_superblocks = bits.flag()?;
        // Filter intra and intra edge filter concern tiles only.
        bits.skip(2)?;
        let has_superres = bits.flag()?;
        let (has_cdef, has_restoration) = (bits.flag()?, bits.flag()?);
        // The last bit that is set is the first of the trailing ones; before it `film_grain_params_present` and, where
        // there is colour, `separate_uv_delta_q`.
        let last = body.iter().rposition(|&byte| byte != 0)?;
        let end = last * 8 + 7 - body[last].trailing_zeros() as usize;
        let flags = if is_monochrome { 1 } else { 2 };
        none(&mut Bits::from(body, end.checked_sub(flags as usize)?), flags)?;
        let is_usual = is_reduced_still && !has_large_superblocks && !has_superres;
        (is_usual && start < end).then_some(Self {
            width,
            height,
            has_cdef,
            has_restoration,
            parts: [0..5, start..end].map(|range| Writer::of(body, range)),
        })
    }

    /// The header of a picture of another size that has the same parts.
    pub(super) fn write(width: u32, height: u32, [before, behind]: &[Writer; 2]) -> Vec<u8> {
        let mut bits = Writer::default();
        bits.append(before).put(LEVEL, 5);
        let sides = [width - 1, height - 1];
        let counts = sides.map(|side| (32 - side.leading_zeros()).max(1));
        for count in counts {
            bits.put(count - 1, 4);
        }
        for (side, count) in sides.into_iter().zip(counts) {
            bits.put(side, count);
        }
        // The trailing bits begin with a one.
        bits.append(behind).put(1, 1).bytes()
    }
}

/// Skips the fields of a frame header between `tile_info` and the tiles (section 5.9.2), for a key frame without copies
/// of blocks. `None` when one of them has a value that is not supported here, or the data end.
pub(super) fn skip_to_tiles(bits: &mut Bits<'_>, sequence: &Sequence, is_monochrome: bool) -> Option<()> {
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
    if sequence.has_cdef {
        bits.skip(2)?;
        let strengths = 1 << bits.take(2)?;
        bits.skip(strengths * if is_monochrome { 6 } else { 12 })?;
    }
    if sequence.has_restoration {
        none(bits, if is_monochrome { 2 } else { 6 })?;
    }
    // Whether blocks tell the size of their transforms; whether there are fewer kinds of these.
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
