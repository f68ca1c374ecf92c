//! The kind of a picture, photograph or drawing: text, line art, diagrams and screenshots are encoded with other settings
//! than photographs.
//!
//! The picture is looked at in blocks of 8 by 8 pixels, evenly spread, at most [`MAX_BLOCKS`] of them. A block is
//!
//! * *flat* when all its pixels are the same;
//! * *edged* when two neighbours in a row differ by [`HARD_STEP`] or more in a channel;
//! * *drawn* when it is edged and at least half of its pairs of neighbours are exactly the same.
//!
//! A picture of at most [`FEW_COLORS`] colours is drawn. Any other is when
//!
//! * at least half of the pairs of neighbours in blocks that are not flat are exactly the same. Cameras, lenses and
//!   lossy coding leave noise everywhere: photographs have 0.2 to 46 %, also cut out and put on white; drawings 55 to
//!   99 %;
//! * at least [`LEAST_FLAT`] of the blocks are flat, which dithered photographs do not reach; and
//! * at least [`LEAST_DRAWN`] of the blocks, and a twentieth of the edged ones, are drawn: smooth gradients have no
//!   edges.

use crate::picture::Picture;

/// The kind of a picture, as far as encoders should treat it differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Photographs, and everything that is not plainly drawn.
    Photo,
    /// Text, line art, diagrams, icons, screenshots.
    Drawn,
}

const SIDE: usize = 8;
/// The most blocks that are counted: those of a megapixel represent the whole picture.
const MAX_BLOCKS: usize = 16_384;
const HARD_STEP: u8 = 40;
/// In thousandths of all blocks.
const LEAST_FLAT: usize = 100;
/// In thousandths of all blocks.
const LEAST_DRAWN: usize = 2;
const FEW_COLORS: usize = 16;
/// Pairs of neighbours in the rows of a block.
const PAIRS: usize = SIDE * (SIDE - 1);

/// Finds the kind of a picture.
pub(crate) fn classify(picture: &Picture) -> Content {
    Features::of(picture).content()
}

/// The counts in a picture from which its [`Content`] follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Features {
    pub(crate) blocks: usize,
    pub(crate) flat: usize,
    pub(crate) edged: usize,
    pub(crate) drawn: usize,
    /// Pairs of neighbours that are the same, in blocks that are not flat.
    pub(crate) same: usize,
    /// Colours, up to one more than [`FEW_COLORS`].
    pub(crate) colors: usize,
}

impl Features {
    pub(crate) fn of(picture: &Picture) -> Self {
        if picture.has_alpha {
            count::<4>(picture)
        } else {
            count::<3>(picture)
        }
    }

    fn content(self) -> Content {
        let is_clean = self.same * 2 >= (self.blocks - self.flat) * PAIRS;
        let is_plain = self.flat * 1000 >= self.blocks * LEAST_FLAT;
        let has_edges = self.drawn * 1000 >= self.blocks * LEAST_DRAWN && self.drawn * 20 >= self.edged;
        let is_drawn = self.colors <= FEW_COLORS || (is_clean && is_plain && has_edges);
        if is_drawn && self.blocks > 0 {
            Content::Drawn
        } else {
            Content::Photo
        }
    }
}

fn count<const N: usize>(picture: &Picture) -> Features {
    let (columns, rows) = (picture.width() / SIDE, picture.height() / SIDE);
    let (pixels, _) = picture.data.as_chunks::<N>();
    // A step that shares no factor with the columns visits all of them in turn.
    let mut step = (columns * rows).div_ceil(MAX_BLOCKS).max(1);
    while step > 1 && gcd(step, columns) > 1 {
        step += 1;
    }
    let mut features = Features::default();
    let mut colors: Vec<[u8; N]> = Vec::with_capacity(FEW_COLORS + 1);
    for block in (0..columns * rows).step_by(step) {
        let corner = block / columns * SIDE * picture.width() + block % columns * SIDE;
        let (mut same, mut hardest) = (0, 0);
        let first = pixels[corner];
        let mut is_flat = true;
        note(&mut colors, first);
        for line in 0..SIDE {
            let line = &pixels[corner + line * picture.width()..][..SIDE];
            if !looks_like(line[0], first) {
                is_flat = false;
                note(&mut colors, line[0]);
            }
            for pair in line.windows(2) {
                if looks_like(pair[0], pair[1]) {
                    same += 1;
                } else {
                    is_flat = false;
                    note(&mut colors, pair[1]);
                    hardest = hardest.max(step_between(pair[0], pair[1]));
                }
            }
        }
        features.blocks += 1;
        if is_flat {
            features.flat += 1;
        } else {
            features.same += same;
        }
        if hardest >= HARD_STEP {
            features.edged += 1;
            features.drawn += usize::from(same * 2 >= PAIRS);
        }
    }
    features.colors = colors.len();
    features
}

/// Adds a colour that was not seen yet, while there are few.
fn note<const N: usize>(colors: &mut Vec<[u8; N]>, color: [u8; N]) {
    if colors.len() <= FEW_COLORS && !colors.contains(&color) {
        colors.push(color);
    }
}

/// Tells whether two pixels look the same: invisible pixels have no colour.
fn looks_like<const N: usize>(one: [u8; N], other: [u8; N]) -> bool {
    one == other || (N == 4 && one[N - 1] == 0 && other[N - 1] == 0)
}

fn step_between<const N: usize>(one: [u8; N], other: [u8; N]) -> u8 {
    (0..N)
        .map(|channel| one[channel].abs_diff(other[channel]))
        .max()
        .unwrap_or(0)
}

const fn gcd(mut a: usize, mut b: usize) -> usize {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use tintype_model::Dimensions;

    use super::*;
    use crate::picture::Space;

    fn picture(width: u32, height: u32, color: impl Fn(u32, u32) -> [u8; 3]) -> Picture {
        let at = |index: u32| color(index % width, index / width);
        Picture {
            size: Dimensions { width, height },
            has_alpha: false,
            space: Space::Srgb,
            data: (0..width * height).flat_map(at).collect(),
        }
    }

    /// Strokes that are two pixels wide, as letters have them, in a third of the rows.
    fn text(x: u32, y: u32) -> [u8; 3] {
        if y % 24 < 8 && (x * 7 + y / 24) % 13 < 2 {
            [20, 20, 60]
        } else {
            [255; 3]
        }
    }

    fn noise(x: u32, y: u32) -> u8 {
        let mixed = (x.wrapping_mul(0x9E37_79B1) ^ y.wrapping_mul(0x85EB_CA77)).wrapping_mul(0xC2B2_AE3D);
        u8::try_from(mixed >> 24).unwrap_or(0)
    }

    #[test]
    fn text_is_drawn_and_stays_so_with_a_photo_beside_it() {
        assert_eq!(classify(&picture(400, 300, text)), Content::Drawn);
        let mixed = picture(600, 300, |x, y| {
            if x < 400 {
                text(x, y)
            } else {
                [noise(x, y), noise(y, x), 90]
            }
        });
        let features = Features::of(&mixed);
        assert!(features.edged > features.drawn, "{features:?}");
    }

    #[test]
    fn noise_gradients_and_blown_out_skies_are_no_drawings() {
        let shot = |sky: u32| {
            picture(400, 300, move |x, y| {
                if y < sky {
                    [255; 3]
                } else {
                    let edge = if x % 40 < 20 { 60 } else { 170 };
                    [edge + noise(x, y) % 9, edge + noise(y, x) % 9, edge]
                }
            })
        };
        for (name, photo) in [
            ("noise", picture(200, 200, |x, y| [noise(x, y), noise(y, x), 0])),
            (
                "gradient",
                picture(200, 200, |x, y| [u8::try_from((x + y) / 2).unwrap(); 3]),
            ),
            ("half a white sky", shot(150)),
            ("nine tenths of a white sky", shot(270)),
            (
                "dithered",
                picture(200, 200, |x, y| {
                    if noise(x, y) > 128 {
                        [noise(x / 8, y / 8); 3]
                    } else {
                        [0; 3]
                    }
                }),
            ),
            ("a dot", picture(1, 1, |_, _| [0; 3])),
        ] {
            assert_eq!(
                classify(&photo),
                Content::Photo,
                "{name}: {:?}",
                Features::of(&photo)
            );
        }
    }

    #[test]
    fn transparent_pixels_have_no_edges() {
        let mut data = Vec::new();
        for at in 0..64u32 * 64 {
            data.extend([noise(at, 1), noise(1, at), noise(at, at), 0]);
        }
        let size = Dimensions {
            width: 64,
            height: 64,
        };
        let invisible = Picture {
            size,
            has_alpha: true,
            space: Space::Srgb,
            data,
        };
        let features = Features::of(&invisible);
        assert_eq!((features.flat, features.edged, features.same), (64, 0, 0));
    }

    #[test]
    fn large_pictures_are_sampled_in_every_column() {
        let large = picture(4096, 2048, |x, _| if x < 64 { [0; 3] } else { [255; 3] });
        let features = Features::of(&large);
        assert!(
            features.blocks <= MAX_BLOCKS && features.blocks > MAX_BLOCKS / 4,
            "{features:?}"
        );
    }
}
