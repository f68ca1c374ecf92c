//! The colours of fully transparent pixels.

use crate::picture::Picture;

/// Gives invisible pixels the colour of the visible pixels around them.
///
/// Chroma is shared by four pixels, and blocks are coded as wholes: the black that invisible pixels hold would
/// darken the edge of what is visible. Each level of a pyramid averages the visible colour of four pixels below;
/// going back down, invisible pixels take their colour from the level above.
pub(super) fn fill_transparent(picture: &Picture) -> Vec<u8> {
    let (pixels, _) = picture.data.as_chunks::<4>();
    let mut filled = picture.data.clone();
    let levels = pyramid(pixels, picture.width(), picture.height());
    let (out, _) = filled.as_chunks_mut::<4>();
    let (mut width, mut colors): (usize, Vec<[u8; 4]>) = match levels.last() {
        Some(top) => (top.width, top.pixels.clone()),
        None => return filled,
    };
    for level in levels.iter().rev().skip(1) {
        let mut below = level.pixels.clone();
        take_from_above(&mut below, level.width, &colors, width);
        (width, colors) = (level.width, below);
    }
    take_from_above(out, picture.width(), &colors, width);
    filled
}

struct Level {
    width: usize,
    pixels: Vec<[u8; 4]>,
}

fn pyramid(pixels: &[[u8; 4]], width: usize, height: usize) -> Vec<Level> {
    let mut levels: Vec<Level> = Vec::new();
    let (mut width, mut height) = (width, height);
    loop {
        let below = levels.last().map_or(pixels, |level| &level.pixels);
        if width == 1 && height == 1 || below.iter().all(|pixel| pixel[3] != 0) {
            return levels;
        }
        let halved = halve(below, width);
        (width, height) = (width.div_ceil(2), height.div_ceil(2));
        levels.push(Level {
            width,
            pixels: halved,
        });
    }
}

fn halve(pixels: &[[u8; 4]], width: usize) -> Vec<[u8; 4]> {
    let mut halved = Vec::with_capacity(pixels.len() / 4 + width);
    for rows in pixels.chunks(2 * width) {
        let (upper, lower) = rows.split_at(width.min(rows.len()));
        for column in (0..width).step_by(2) {
            let mut sum = [0u32; 4];
            for row in [upper, lower] {
                for pixel in row.iter().skip(column).take(2) {
                    let alpha = u32::from(pixel[3]);
                    for channel in 0..3 {
                        sum[channel] += u32::from(pixel[channel]) * alpha;
                    }
                    sum[3] += alpha;
                }
            }
            let weight = sum[3].max(1);
            let color = |sum: u32| u8::try_from((sum + weight / 2) / weight).unwrap_or(255);
            // A pixel of a level is visible if any pixel below it is.
            let alpha = u8::try_from(sum[3].div_ceil(4)).unwrap_or(255);
            halved.push([color(sum[0]), color(sum[1]), color(sum[2]), alpha]);
        }
    }
    halved
}

fn take_from_above(pixels: &mut [[u8; 4]], width: usize, above: &[[u8; 4]], above_width: usize) {
    for (y, row) in pixels.chunks_exact_mut(width).enumerate() {
        for (x, pixel) in row.iter_mut().enumerate() {
            if pixel[3] == 0
                && let Some(color) = above.get(y / 2 * above_width + x / 2)
            {
                pixel[..3].copy_from_slice(&color[..3]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tintype_model::Dimensions;

    use super::*;
    use crate::picture::Space;

    fn picture(width: u32, height: u32, data: Vec<u8>) -> Picture {
        Picture {
            size: Dimensions { width, height },
            has_alpha: true,
            space: Space::Srgb,
            data,
        }
    }

    #[test]
    fn invisible_pixels_take_the_colour_next_to_them_and_visible_ones_keep_theirs() {
        let mut data = vec![0; 7 * 5 * 4];
        data[..4].copy_from_slice(&[200, 100, 50, 255]);
        let filled = fill_transparent(&picture(7, 5, data));
        for pixel in filled.chunks_exact(4) {
            assert_eq!(pixel[..3], [200, 100, 50]);
        }
        assert_eq!(filled[3], 255);
        assert!(filled.chunks_exact(4).skip(1).all(|pixel| pixel[3] == 0));
    }

    #[test]
    fn pictures_without_anything_to_fill_stay_as_they_are() {
        let opaque = picture(2, 1, vec![1, 2, 3, 255, 4, 5, 6, 1]);
        assert_eq!(fill_transparent(&opaque), opaque.data);
        let empty = picture(3, 3, vec![0; 36]);
        assert_eq!(fill_transparent(&empty), empty.data);
        let dot = picture(1, 1, vec![9, 9, 9, 0]);
        assert_eq!(fill_transparent(&dot), dot.data);
    }
}
