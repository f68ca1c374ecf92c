//! The division of a picture into tiles, and its fields in the frame header (AV1 bitstream and decoding process
//! specification, section 5.9.15).

use std::cmp::Reverse;

use crate::syntax::bits::{Bits, Writer};

/// Superblocks of 64 × 64 pixels, whatever the size: libaom would take 128 for some.
pub(super) const SUPERBLOCK: u32 = 64;
/// The largest tile: 4096 pixels wide, 4096 × 2304 pixels in all (section 3), in superblocks.
const MAX_TILE_COLUMNS: u32 = 4096 / SUPERBLOCK;
const MAX_TILE_AREA: u32 = 4096 * 2304 / (SUPERBLOCK * SUPERBLOCK);
/// The most tiles in a column or a row (section 3).
const MAX_TILES: u32 = 64;
/// The number of bytes of a tile's length.
const LENGTH_BYTES: u32 = 4;

/// The tiles of a picture: widths of the columns and heights of the rows, in superblocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    pub(crate) columns: Vec<u32>,
    pub(crate) rows: Vec<u32>,
}

/// The least size of a tile.
#[derive(Clone, Copy)]
pub(crate) struct LeastTile {
    /// Pixels of either side, but where the picture has less.
    pub(crate) side: u32,
    /// Pixels in all. Tiles may have an eighth less, which their padding adds.
    pub(crate) area: u32,
}

impl Grid {
    /// The division into the most tiles, and among several such the one with the squarest tiles; `None` where tiles would
    /// be larger than the standard allows.
    pub(super) fn new(width: u32, height: u32, least: LeastTile) -> Option<Self> {
        let limits = GridLimits::of(width, height);
        let usual = |parts: &[u32], side: u32| (parts[parts.len() - 1] * SUPERBLOCK).min(side);
        let (all_columns, all_rows) = (divisions(width, least.side), divisions(height, least.side));
        let mut best = None;
        for columns in &all_columns {
            for rows in &all_rows {
                let (across, down) = (usual(columns, width), usual(rows, height));
                let lacks = u64::from(across) * u64::from(down) < u64::from(least.area) * 7 / 8;
                let is_whole = columns.len() * rows.len() == 1;
                let is_too_large = columns[0] > MAX_TILE_COLUMNS || rows[0] > limits.tallest_row(columns);
                if lacks && !is_whole || is_too_large {
                    continue;
                }
                let rank = (columns.len() * rows.len(), Reverse(across.abs_diff(down)));
                if best.as_ref().is_none_or(|(highest, _)| rank > *highest) {
                    best = Some((rank, (columns, rows)));
                }
            }
        }
        best.map(|(_, (columns, rows))| Self {
            columns: columns.clone(),
            rows: rows.clone(),
        })
    }

    /// Writes `tile_info` (section 5.9.15) of the whole picture.
    pub(super) fn write(&self, width: u32, height: u32, bits: &mut Writer) {
        let limits = GridLimits::of(width, height);
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

    /// Reads `tile_info` with tiles of explicit sizes, and the number of bytes of a tile's length.
    pub(super) fn read(width: u32, height: u32, bits: &mut Bits<'_>) -> Option<(Self, usize)> {
        let limits = GridLimits::of(width, height);
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

/// The ways to divide a side into parts of at least so many pixels, or not at all, in superblocks; the larger parts of a
/// side come first.
fn divisions(side: u32, least: u32) -> Vec<Vec<u32>> {
    let whole = side.div_ceil(SUPERBLOCK);
    let division = |count: u32| -> Vec<u32> {
        let larger = whole % count;
        (0..count)
            .map(|number| whole / count + u32::from(number < larger))
            .collect()
    };
    // The last superblock may be in the picture in part.
    let last = |count: u32| side - (whole - whole / count) * SUPERBLOCK;
    (1..=whole.min(MAX_TILES))
        .filter(|&count| count == 1 || last(count) >= least)
        .map(division)
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

/// The number of bits of a tile's number.
fn log2_of_count(parts: &[u32]) -> u32 {
    log2_of_parts(u32::try_from(parts.len()).unwrap_or(u32::MAX), 1)
}

/// The limits that the standard sets for the tiles of a picture (section 5.9.15).
struct GridLimits {
    /// Superblocks in a row and in a column.
    across: u32,
    down: u32,
    /// The logarithm of how many tiles there are at least.
    tiles_log2: u32,
}

impl GridLimits {
    fn of(width: u32, height: u32) -> Self {
        let (across, down) = (width.div_ceil(SUPERBLOCK), height.div_ceil(SUPERBLOCK));
        let columns_log2 = log2_of_parts(across, MAX_TILE_COLUMNS);
        Self {
            across,
            down,
            tiles_log2: log2_of_parts(across * down, MAX_TILE_AREA).max(columns_log2),
        }
    }

    /// The greatest height of a row of tiles, in superblocks, beside columns of these widths.
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

/// Writes a number below `limit` (`ns`, section 4.10.7).
fn put_below(value: u32, limit: u32, bits: &mut Writer) {
    let count = limit.ilog2() + 1;
    let short = (1 << count) - limit;
    if value < short {
        bits.put(value, count - 1);
    } else {
        bits.put(value + short, count);
    }
}

/// Reads a number below `limit` (`ns`, section 4.10.7).
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
        (16_384, 900),
        (900, 16_384),
        (12_000, 9_000),
    ];

    const LEAST_TILE: [LeastTile; 3] = [
        LeastTile { side: 1, area: 1 },
        LeastTile {
            side: 180,
            area: 50_000,
        },
        LeastTile {
            side: 720,
            area: 1280 * 720,
        },
    ];

    #[test]
    fn no_tile_is_larger_than_the_standard_allows_and_they_cover_the_picture_once() {
        for (width, height) in SIZES {
            for least in LEAST_TILE {
                let Some(Grid { columns, rows }) = Grid::new(width, height, least) else {
                    panic!("{width}×{height} from {} pixels", least.side);
                };
                let told = format!("{width}×{height}: {columns:?}, {rows:?}");
                assert!(
                    columns[0] <= MAX_TILE_COLUMNS && columns[0] * rows[0] <= MAX_TILE_AREA,
                    "{told}"
                );
                assert!(rows.len() <= 64 && columns.len() <= 64, "{told}");
                assert_eq!(columns.iter().sum::<u32>(), width.div_ceil(64), "{told}");
                assert_eq!(rows.iter().sum::<u32>(), height.div_ceil(64), "{told}");
            }
        }
    }

    #[test]
    fn tiles_are_hardly_larger_than_they_have_to_be() {
        let [.., least] = LEAST_TILE;
        for (size, columns, rows) in [
            ((1439, 1439), vec![23], vec![23]),
            ((1600, 1200), vec![13, 12], vec![19]),
            ((3264, 2448), vec![17, 17, 17], vec![13, 13, 13]),
            // The last of four rows would have 696 pixels.
            ((4000, 3000), vec![16, 16, 16, 15], vec![16, 16, 15]),
            ((700, 4000), vec![11], vec![21, 21, 21]),
        ] {
            let grid = Grid::new(size.0, size.1, least);
            assert_eq!(grid, Some(Grid { columns, rows }), "{size:?}");
        }
    }

    #[test]
    fn tiles_are_told_as_libaom_tells_them() {
        for (width, height) in SIZES {
            for least in LEAST_TILE {
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
