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

use std::ops::Range;

use super::obu;
use crate::bits::{Bits, Writer};
use crate::obu::{FRAME, SEQUENCE_HEADER, units};

/// Superblocks of 64 × 64 pixels, whatever the size: libaom would take 128 for some.
pub(super) const SUPERBLOCK: u32 = 64;
/// The largest tile: 4096 pixels wide, 4096 × 2304 pixels in all (section 3), in superblocks.
const MAX_TILE_COLUMNS: u32 = 4096 / SUPERBLOCK;
const MAX_TILE_AREA: u32 = 4096 * 2304 / (SUPERBLOCK * SUPERBLOCK);
/// The most tiles in a column or a row (section 3).
const MAX_TILES: u32 = 64;
/// "Maximum parameters" (annex A.3), which is also what the box around it says.
const LEVEL: u32 = 31;
/// Bytes that tell the length of a tile.
const LENGTH_BYTES: u32 = 4;

/// The tiles of a picture: widths of the columns and heights of the rows, in superblocks.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Grid {
    columns: Vec<u32>,
    rows: Vec<u32>,
}

impl Grid {
    /// As many rows as there can be of at least `least` superblocks, where the last may lack one, and as few columns as the
    /// limits allow for the whole and for each strip; `None` where no number of columns is enough.
    fn new(width: u32, height: u32, least: u32) -> Option<Self> {
        let whole = Limits::of(width, height);
        let rows = parts(
            whole.down,
            ((whole.down + 1) / least).clamp(1, whole.down.min(MAX_TILES)),
        );
        let tallest = rows[0];
        // With the extra rows that it may have.
        let strip = Limits::of(width, (1 + tallest.max(least)) * SUPERBLOCK);
        (0..=MAX_TILES.ilog2())
            .map(|log2| parts(whole.across, (1 << log2).min(whole.across)))
            .find(|columns| {
                columns[0] <= MAX_TILE_COLUMNS
                    && whole.tallest_row(columns) >= tallest
                    && strip.tallest_row(columns) >= tallest
            })
            .map(|columns| Self { columns, rows })
    }

    /// `tile_info` (section 5.9.15) of the whole.
    fn write(&self, width: u32, height: u32, bits: &mut Writer) {
        let limits = Limits::of(width, height);
        // Not in equal parts with a rest.
        bits.put(0, 1);
        for (parts, whole, largest) in [
            (&self.columns, limits.across, MAX_TILE_COLUMNS),
            (&self.rows, limits.down, limits.tallest_row(&self.columns)),
        ] {
            let mut rest = whole;
            for &part in parts {
                put_below(part - 1, rest.min(largest), bits);
                rest -= part;
            }
        }
        // `context_update_tile_id`, which nothing follows: a still has no next frame.
        bits.put(0, count_log2(&self.columns) + count_log2(&self.rows));
        bits.put(LENGTH_BYTES - 1, 2);
    }
}

/// So many parts of a whole, of which the first are larger by one where they do not come out even.
fn parts(whole: u32, count: u32) -> Vec<u32> {
    let larger = whole % count;
    (0..count)
        .map(|number| whole / count + u32::from(number < larger))
        .collect()
}

/// The least power of two, as its logarithm, that is not below the number of parts.
fn count_log2(parts: &[u32]) -> u32 {
    (0..31).find(|&log2| 1 << log2 >= parts.len()).unwrap_or(31)
}

/// What the standard says about the tiles of a picture (section 5.9.15).
struct Limits {
    /// Superblocks in a row and in a column.
    across: u32,
    down: u32,
    /// The logarithm of how many tiles there are at least.
    tiles_log2: u32,
}

impl Limits {
    fn of(width: u32, height: u32) -> Self {
        let (across, down) = (width.div_ceil(SUPERBLOCK), height.div_ceil(SUPERBLOCK));
        let columns_log2 = log2_of_parts(across, MAX_TILE_COLUMNS);
        Self {
            across,
            down,
            tiles_log2: log2_of_parts(across * down, MAX_TILE_AREA).max(columns_log2),
        }
    }

    /// How tall a row of tiles may be.
    fn tallest_row(&self, columns: &[u32]) -> u32 {
        let area = self.across * self.down;
        let largest = if self.tiles_log2 > 0 {
            area >> (self.tiles_log2 + 1)
        } else {
            area
        };
        let widest = columns.iter().max().copied().unwrap_or(1);
        (largest / widest).max(1)
    }

    /// `tile_info` of parts that are not equal: columns, rows, and how many bytes tell the length of a tile.
    fn read_parts(&self, bits: &mut Bits<'_>) -> Option<(Vec<u32>, Vec<u32>, usize)> {
        if bits.flag()? {
            return None;
        }
        let parts = |whole: u32, largest: u32, bits: &mut Bits<'_>| {
            let (mut parts, mut rest) = (Vec::new(), whole);
            while rest > 0 {
                let part = take_below(rest.min(largest), bits)? + 1;
                parts.push(part);
                rest = rest.checked_sub(part)?;
            }
            Some(parts)
        };
        let columns = parts(self.across, MAX_TILE_COLUMNS, bits)?;
        let rows = parts(self.down, self.tallest_row(&columns), bits)?;
        let mut length_bytes = 0;
        if columns.len() * rows.len() > 1 {
            bits.skip(count_log2(&columns) + count_log2(&rows))?;
            length_bytes = usize::try_from(bits.take(2)? + 1).ok()?;
        }
        Some((columns, rows, length_bytes))
    }
}

/// A number below `limit` (`ns`, section 4.10.7).
fn put_below(value: u32, limit: u32, bits: &mut Writer) {
    let count = limit.ilog2() + 1;
    let short = (1 << count) - limit;
    if value < short {
        bits.put(value, count - 1);
    } else {
        bits.put(value + short, count);
    }
}

/// The other direction.
fn take_below(limit: u32, bits: &mut Bits<'_>) -> Option<u32> {
    let count = limit.checked_ilog2()? + 1;
    let short = (1 << count) - limit;
    let value = bits.take(count - 1)?;
    if value < short {
        return Some(value);
    }
    Some((value << 1) - short + bits.take(1)?)
}

/// The least power of two, as its logarithm, of parts no larger than `largest` (`tile_log2`, section 5.9.16).
fn log2_of_parts(whole: u32, largest: u32) -> u32 {
    (0..31).find(|log2| largest << log2 >= whole).unwrap_or(31)
}

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

    const fn height(self) -> u32 {
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
    /// Of the sequence header: profile and flags, and behind level and size the tools and colours.
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
    pub(super) fn push(&mut self, strip: Strip, units_of_strip: &[u8]) -> Option<()> {
        let body = |kind| {
            units(units_of_strip)
                .find(|unit| unit.kind == kind)
                .map(|unit| unit.body)
        };
        let height = strip.height();
        let sequence = Sequence::read(body(SEQUENCE_HEADER)?, self.is_monochrome)?;
        if (sequence.width, sequence.height) != (self.width, height) {
            return None;
        }
        let frame = body(FRAME)?;
        let mut bits = Bits::new(frame);
        // Whether probabilities stay as they are.
        bits.skip(1)?;
        // Tools for screen content; another size to show.
        none(&mut bits, 2)?;
        let before = bits.position();
        let (columns, rows, length_bytes) = Limits::of(self.width, height).read_parts(&mut bits)?;
        if columns != self.grid.columns || rows != strip.tile_rows() {
            return None;
        }
        let start = bits.position();
        let blocks_tell_transforms = skip_to_tiles(&mut bits, &sequence, self.is_monochrome)?;
        let end = bits.position();
        let common = Common {
            sequence: [0..5, sequence.rest].map(|range| copied(sequence.body, range)),
            frame: [0..before, start..end].map(|range| copied(frame, range)),
            blocks_tell_transforms,
        };
        match &self.common {
            Some(first) if *first != common => return None,
            Some(_) => {}
            None => self.common = Some(common),
        }
        let mut rest = frame.get(end.div_ceil(8)..)?;
        let count = columns.len() * rows.len();
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
            tiles.push(tile.to_vec());
            rest = behind;
        }
        if matches!(strip.extra, Extra::Above(_)) {
            tiles.drain(..columns.len());
        }
        tiles.truncate(columns.len());
        *self.tiles.get_mut(strip.number)? = tiles;
        Some(())
    }

    /// The whole, as units of a still picture; `None` when strips are missing.
    pub(super) fn finish(self) -> Option<Vec<u8>> {
        let Common {
            sequence: [profile, tools],
            frame: [before, behind],
            ..
        } = self.common?;
        if self.tiles.iter().any(Vec::is_empty) {
            return None;
        }
        let mut sequence = Writer::default();
        sequence.append(&profile).put(LEVEL, 5);
        let sides = [self.width - 1, self.height - 1];
        let counts = sides.map(|side| (32 - side.leading_zeros()).max(1));
        for count in counts {
            sequence.put(count - 1, 4);
        }
        for (side, count) in sides.into_iter().zip(counts) {
            sequence.put(side, count);
        }
        // The trailing bits begin with a one.
        sequence.append(&tools).put(1, 1);

        let mut header = Writer::default();
        header.append(&before);
        self.grid.write(self.width, self.height, &mut header);
        header.append(&behind);
        let mut frame = header.bytes();
        // All tiles are in this group.
        frame.push(0);
        let count = self.grid.columns.len() * self.grid.rows.len();
        for (number, tile) in self.tiles.iter().flatten().enumerate() {
            if number + 1 < count {
                frame.extend(u32::try_from(tile.len() - 1).ok()?.to_le_bytes());
            }
            frame.extend(tile);
        }

        let mut file = obu::unit(SEQUENCE_HEADER, &sequence.bytes());
        file.extend(obu::unit(FRAME, &frame));
        Some(file)
    }
}

/// A reduced still picture's sequence header (section 5.5).
struct Sequence<'a> {
    body: &'a [u8],
    width: u32,
    height: u32,
    has_cdef: bool,
    has_restoration: bool,
    /// What comes after the size: tools and colours, without the trailing bits.
    rest: Range<usize>,
}

impl<'a> Sequence<'a> {
    fn read(body: &'a [u8], is_monochrome: bool) -> Option<Self> {
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
        let has_more = copied(body, end.checked_sub(flags)?..end) != copied(&[0], 0..flags);
        let is_usual = is_reduced_still && !has_large_superblocks && !has_superres && !has_more;
        (is_usual && start < end).then_some(Self {
            body,
            width,
            height,
            has_cdef,
            has_restoration,
            rest: start..end,
        })
    }
}

/// What a frame header has between `tile_info` and the tiles (section 5.9.2), for a key frame without tools for screen
/// content. What it says of `tx_mode_select`.
fn skip_to_tiles(bits: &mut Bits<'_>, sequence: &Sequence<'_>, is_monochrome: bool) -> Option<bool> {
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
    let blocks_tell_transforms = bits.flag()?;
    // Whether there are fewer kinds of transforms.
    bits.skip(1)?;
    Some(blocks_tell_transforms)
}

/// Passes over bits that are all zero.
fn none(bits: &mut Bits<'_>, count: u32) -> Option<()> {
    (bits.take(count)? == 0).then_some(())
}

fn copied(data: &[u8], bits: Range<usize>) -> Writer {
    let mut writer = Writer::default();
    writer.copy(data, bits);
    writer
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: [(u32, u32); 9] = [
        (1, 1),
        (64, 65),
        (4000, 3000),
        (4096, 2304),
        (4097, 2304),
        (8192, 6144),
        (16_384, 300),
        (300, 16_384),
        (12_000, 9_000),
    ];

    #[test]
    fn no_tile_is_larger_than_the_standard_allows_and_strips_cover_the_picture_once() {
        for (width, height) in SIZES {
            for least in [1, 3, 12] {
                let Grid { columns, rows } = Grid::new(width, height, least).unwrap();
                let told = format!("{width}×{height}: {columns:?}, {rows:?}");
                assert!(
                    columns[0] <= MAX_TILE_COLUMNS && columns[0] * rows[0] <= MAX_TILE_AREA,
                    "{told}"
                );
                assert!(rows.len() <= 64 && columns.len() <= 64, "{told}");
                assert_eq!(columns.iter().sum::<u32>(), width.div_ceil(64), "{told}");
                assert_eq!(rows.iter().sum::<u32>(), height.div_ceil(64), "{told}");
                assert!(rows.len() == 1 || *rows.last().unwrap() + 1 >= least, "{told}");
            }
        }
    }

    #[test]
    fn strips_are_hardly_taller_than_they_have_to_be() {
        let rows = |height| Grid::new(4000, height, 12).unwrap().rows;
        assert_eq!(rows(1408), [22]);
        assert_eq!(rows(1409), [12, 11]);
        assert_eq!(rows(2448), [13, 13, 13]);
        assert_eq!(rows(3000), [12, 12, 12, 11]);
        assert_eq!(rows(4000), [13, 13, 13, 12, 12]);
    }

    #[test]
    fn tiles_are_told_as_libaom_tells_them() {
        for (width, height) in SIZES {
            for least in [1, 3, 12] {
                let grid = Grid::new(width, height, least).unwrap();
                if grid.columns.len() * grid.rows.len() == 1 {
                    continue;
                }
                let mut bits = Writer::default();
                grid.write(width, height, &mut bits);
                bits.put(0b101, 3);
                let bytes = bits.bytes();
                let mut bits = Bits::new(&bytes);
                let read = Limits::of(width, height).read_parts(&mut bits);
                assert_eq!(read, Some((grid.columns, grid.rows, LENGTH_BYTES as usize)));
                assert_eq!(bits.take(3), Some(0b101));
            }
        }
    }

    #[test]
    fn what_is_not_a_strip_is_refused() {
        let mut stack = Stack::new(200, 200, false, 1).unwrap();
        let strip = stack.next().unwrap();
        assert!(stack.push(strip, &[]).is_none());
        assert!(stack.push(strip, &[0x0A, 2, 0x18, 0x80, 0x32, 1, 0]).is_none());
        assert!(stack.finish().is_none());
    }
}
