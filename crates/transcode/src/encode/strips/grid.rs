//! How a picture is divided into tiles, and how its frame header says so (AV1 bitstream and decoding process
//! specification, section 5.9.15).

use crate::bits::{Bits, Writer};

/// Superblocks of 64 × 64 pixels, whatever the size: libaom would take 128 for some.
pub(in crate::encode) const SUPERBLOCK: u32 = 64;
/// The largest tile: 4096 pixels wide, 4096 × 2304 pixels in all (section 3), in superblocks.
const MAX_TILE_COLUMNS: u32 = 4096 / SUPERBLOCK;
const MAX_TILE_AREA: u32 = 4096 * 2304 / (SUPERBLOCK * SUPERBLOCK);
/// The most tiles in a column or a row (section 3).
const MAX_TILES: u32 = 64;
/// Bytes that tell the length of a tile.
const LENGTH_BYTES: u32 = 4;

/// The tiles of a picture: widths of the columns and heights of the rows, in superblocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    pub(super) columns: Vec<u32>,
    pub(super) rows: Vec<u32>,
}

impl Grid {
    /// As many rows as there can be of at least `least` superblocks, where the last may lack one, and as few columns as the
    /// limits allow for the whole and for each strip; `None` where no number of columns is enough.
    pub(super) fn new(width: u32, height: u32, least: u32) -> Option<Self> {
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
    pub(super) fn write(&self, width: u32, height: u32, bits: &mut Writer) {
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
        bits.put(0, log2_of_count(&self.columns) + log2_of_count(&self.rows));
        bits.put(LENGTH_BYTES - 1, 2);
    }

    /// The other direction, for tiles that are told part by part; and how many bytes tell the length of a tile.
    pub(super) fn read(width: u32, height: u32, bits: &mut Bits<'_>) -> Option<(Self, usize)> {
        let limits = Limits::of(width, height);
        let are_equal = bits.flag()?;
        if are_equal {
            return None;
        }
        let columns = take_parts(limits.across, MAX_TILE_COLUMNS, bits)?;
        let rows = take_parts(limits.down, limits.tallest_row(&columns), bits)?;
        let grid = Self { columns, rows };
        let mut length_bytes = 0;
        if grid.count() > 1 {
            bits.skip(log2_of_count(&grid.columns) + log2_of_count(&grid.rows))?;
            length_bytes = usize::try_from(bits.take(2)? + 1).ok()?;
        }
        Some((grid, length_bytes))
    }

    /// The number of tiles.
    pub(super) const fn count(&self) -> usize {
        self.columns.len() * self.rows.len()
    }
}

/// So many parts of a whole, of which the first are larger by one where they do not come out even.
fn parts(whole: u32, count: u32) -> Vec<u32> {
    let larger = whole % count;
    (0..count)
        .map(|number| whole / count + u32::from(number < larger))
        .collect()
}

/// Widths or heights of no more than `largest` that make up the whole.
fn take_parts(whole: u32, largest: u32, bits: &mut Bits<'_>) -> Option<Vec<u32>> {
    let (mut parts, mut rest) = (Vec::new(), whole);
    while rest > 0 {
        let part = take_below(rest.min(largest), bits)? + 1;
        parts.push(part);
        rest = rest.checked_sub(part)?;
    }
    Some(parts)
}

/// How many bits tell which of the parts is meant.
fn log2_of_count(parts: &[u32]) -> u32 {
    log2_of_parts(u32::try_from(parts.len()).unwrap_or(u32::MAX), 1)
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
                if grid.count() == 1 {
                    continue;
                }
                let mut bits = Writer::default();
                grid.write(width, height, &mut bits);
                bits.put(0b101, 3);
                let bytes = bits.bytes();
                let mut bits = Bits::new(&bytes);
                let read = Grid::read(width, height, &mut bits);
                assert_eq!(read, Some((grid, LENGTH_BYTES as usize)));
                assert_eq!(bits.take(3), Some(0b101));
            }
        }
    }
}
