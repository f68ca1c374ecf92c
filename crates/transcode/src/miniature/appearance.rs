//! The appearance of a picture in a few bytes: placeholders, colours, and a hash that survives scaling.

use std::f64::consts::PI;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quantette::deps::palette::{FromColor as _, Oklab, Srgb};
use quantette::{PaletteSize, Pipeline};
use tintype_model::{Appearance, Rgb};

use super::Miniature;

/// BlurHash looks at frequencies that a picture of this size holds.
const BLUR_SIDE: usize = 32;
/// Number of colours that are told.
const COLORS: usize = 6;
/// Number of groups that pixels are sorted into; more than colours, as some groups turn out to be alike.
const GROUPS: u8 = 12;
/// Colours nearer than this in Oklab look like one beside others (twice what is just noticeable).
const ALIKE: f32 = 0.04;
/// Side of the luma samples that are hashed, and of the block of low frequencies that is kept.
const HASHED: usize = 32;
const KEPT: usize = 8;

/// Describes the picture that `small` shows, which is seen on `background` where that matters.
pub(crate) fn of(small: &Miniature, background: Rgb) -> Appearance {
    let flat = small.flattened(background);
    let palette = palette(small);
    Appearance {
        thumbhash: STANDARD.encode(thumbhash::rgba_to_thumb_hash(
            small.width,
            small.height,
            small.bytes(),
        )),
        blurhash: blurhash(&flat),
        dominant_color: palette.first().copied().unwrap_or(background),
        palette,
        perceptual_hash: format!("{:016x}", perceptual_hash(&flat)),
    }
}

fn blurhash(flat: &Miniature) -> String {
    let long = flat.width.max(flat.height).max(BLUR_SIDE);
    let shrunk = |side: usize| (side * BLUR_SIDE / long).max(1);
    let tiny = flat.stretched(shrunk(flat.width), shrunk(flat.height));
    let side = |side: usize| u32::try_from(side).unwrap_or(1);
    // Fails only when asked for more than nine components.
    blurhash::encode(4, 3, side(tiny.width), side(tiny.height), tiny.bytes()).unwrap_or_default()
}

/// The most prominent colours, the most prominent first. Pixels that are more transparent than not do not count.
fn palette(small: &Miniature) -> Vec<Rgb> {
    let seen: Vec<Srgb<u8>> = small
        .pixels
        .iter()
        .filter(|pixel| pixel[3] >= 128)
        .map(|&[red, green, blue, _]| Srgb::new(red, green, blue))
        .collect();
    let Ok(input) = Pipeline::new()
        .palette_size(PaletteSize::from_u8_clamped(GROUPS))
        .input_slice(&seen)
    else {
        // No pixel is seen.
        return Vec::new();
    };
    let (colors, counts) = input.output_oklab_palette_and_counts();
    let groups = colors.into_iter().zip(counts).filter(|(_, count)| *count > 0);
    let mut groups = merged(groups.collect());
    groups.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let colors = groups.into_iter().take(COLORS).map(|(color, _)| {
        let color: Srgb<u8> = Srgb::from_color(color).into_format();
        Rgb([color.red, color.green, color.blue])
    });
    colors.collect()
}

/// Joins the two colours that are most alike until none are.
fn merged(mut groups: Vec<(Oklab, u32)>) -> Vec<(Oklab, u32)> {
    loop {
        let pairs = (0..groups.len()).flat_map(|one| (0..one).map(move |other| (other, one)));
        let distances = pairs.map(|(one, other)| (distance(groups[one].0, groups[other].0), one, other));
        let nearest = distances.min_by(|a, b| a.0.total_cmp(&b.0));
        let Some((_, one, other)) = nearest.filter(|(distance, ..)| *distance < ALIKE) else {
            return groups;
        };
        let (color, count) = groups.remove(other);
        let (kept, total) = &mut groups[one];
        *total += count;
        *kept = *kept + (color - *kept) * (count as f32 / *total as f32);
    }
}

fn distance(one: Oklab, other: Oklab) -> f32 {
    let difference = one - other;
    (difference.l.powi(2) + difference.a.powi(2) + difference.b.powi(2)).sqrt()
}

/// One bit for each of the lowest frequencies, the lowest first: whether it is stronger than the median.
fn perceptual_hash(flat: &Miniature) -> u64 {
    let luma: Vec<f64> = flat
        .stretched(HASHED, HASHED)
        .pixels
        .iter()
        .map(|&[red, green, blue, _]| {
            0.299 * f64::from(red) + 0.587 * f64::from(green) + 0.114 * f64::from(blue)
        })
        .collect();
    let cosines: [[f64; HASHED]; KEPT] = std::array::from_fn(|frequency| {
        std::array::from_fn(|at| (PI * frequency as f64 * (2 * at + 1) as f64 / (2 * HASHED) as f64).cos())
    });
    let rows: Vec<[f64; KEPT]> = luma
        .chunks_exact(HASHED)
        .map(|row| cosines.map(|cosine| dot(row.iter().copied(), &cosine)))
        .collect();
    let mut strengths = Vec::with_capacity(KEPT * KEPT);
    for cosine in &cosines {
        for across in 0..KEPT {
            // Whole numbers, so that the last bits of a cosine decide nothing.
            strengths.push(dot(rows.iter().map(|row| row[across]), cosine).round());
        }
    }
    let mut sorted = strengths.clone();
    sorted.sort_by(f64::total_cmp);
    let median = f64::midpoint(sorted[sorted.len() / 2 - 1], sorted[sorted.len() / 2]);
    strengths
        .iter()
        .fold(0, |hash, strength| hash << 1 | u64::from(*strength > median))
}

fn dot(samples: impl Iterator<Item = f64>, cosine: &[f64; HASHED]) -> f64 {
    samples.zip(cosine).map(|(sample, cosine)| sample * cosine).sum()
}
