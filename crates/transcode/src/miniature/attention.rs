//! The place of a crop that keeps the part of the picture that draws the eye.
//!
//! The features are from smartcrop.js by Jonas Wagner (MIT), mostly with its weights: edges, strong colours, and
//! colours of skin, light and dark. The search is simpler than there. The crop is always as large as it can be, so that
//! it only slides along one side of the picture, and its place is found exactly.

use std::borrow::Cow;

use tintype_model::{Dimensions, Fit, Focus, Gravity, Recipe, Variant};

use super::Miniature;
use crate::geometry::Geometry;

/// The direction of skin colours in RGB; shades of skin differ in brightness only.
const SKIN: [f64; 3] = [0.78, 0.57, 0.44];
const SKIN_THRESHOLD: f64 = 0.8;
const SKIN_DARKEST: f64 = 0.1;
const SKIN_WEIGHT: f64 = 1.8;
/// The amount that is added to the detail of skin, so that smooth skin counts too. At this size a face has few edges
/// left, so that it is more than in smartcrop.js.
const SKIN_BIAS: f64 = 0.1;
const DETAIL_WEIGHT: f64 = 0.2;
const SATURATION_THRESHOLD: f64 = 0.4;
const SATURATION_LIGHTNESS: std::ops::RangeInclusive<f64> = 0.05..=0.9;
const SATURATION_WEIGHT: f64 = 0.3;
/// The amount that is added to the detail of a strong colour, so that it counts where it is smooth too.
const SATURATION_BIAS: f64 = 0.2;
/// The share of its score that the place farthest from the middle loses, so that a picture without a subject is
/// cropped in the middle.
const OFF_CENTER: f64 = 0.05;

/// The recipe for one picture: [`Gravity::Attention`] becomes the place that was found.
pub(crate) fn resolve<'a>(size: Dimensions, small: &Miniature, recipe: &'a Recipe) -> Cow<'a, Recipe> {
    let asks = |variant: &Variant| variant.fit == Fit::Cover && variant.gravity == Gravity::Attention;
    if !recipe.variants.iter().any(asks) {
        return Cow::Borrowed(recipe);
    }
    let interest = interest(small);
    let mut recipe = recipe.clone();
    for variant in recipe.variants.iter_mut().filter(|variant| asks(variant)) {
        let crop = Geometry::new(size, variant).crop;
        let columns = || {
            sums(small.width, |x| {
                (0..small.height).map(|y| interest[y * small.width + x]).sum()
            })
        };
        let rows = || {
            sums(small.height, |y| {
                interest[y * small.width..][..small.width].iter().sum()
            })
        };
        variant.gravity = Gravity::Focus(Focus {
            x: middle(crop.width / f64::from(size.width), columns),
            y: middle(crop.height / f64::from(size.height), rows),
        });
    }
    Cow::Owned(recipe)
}

fn sums(count: usize, sum: impl Fn(usize) -> f64) -> Vec<f64> {
    (0..count).map(sum).collect()
}

/// The interest of each pixel, row by row: how much it draws the eye.
fn interest(small: &Miniature) -> Vec<f64> {
    let (width, height) = (small.width, small.height);
    let luma: Vec<f64> = small
        .pixels
        .iter()
        .map(|&[red, green, blue, alpha]| {
            let luma = 0.2126 * unit(red) + 0.7152 * unit(green) + 0.0722 * unit(blue);
            // Invisible pixels have an edge only beside visible ones.
            luma * unit(alpha)
        })
        .collect();
    let mut interest = Vec::with_capacity(luma.len());
    for y in 0..height {
        for x in 0..width {
            let at = |x: usize, y: usize| luma[y.min(height - 1) * width + x.min(width - 1)];
            let around =
                at(x.saturating_sub(1), y) + at(x + 1, y) + at(x, y.saturating_sub(1)) + at(x, y + 1);
            let detail = (4.0 * at(x, y) - around).abs().min(1.0);
            let [red, green, blue, alpha] = small.pixels[y * width + x].map(unit);
            let color = [red, green, blue];
            let skin = skin(color) * (detail + SKIN_BIAS) * SKIN_WEIGHT;
            let saturation = saturation(color) * (detail + SATURATION_BIAS) * SATURATION_WEIGHT;
            interest.push((skin + saturation) * alpha + detail * DETAIL_WEIGHT);
        }
    }
    interest
}

fn unit(sample: u8) -> f64 {
    f64::from(sample) / 255.0
}

/// 0 to 1.
fn skin([red, green, blue]: [f64; 3]) -> f64 {
    let magnitude = (red * red + green * green + blue * blue).sqrt();
    let brightness = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    if brightness < SKIN_DARKEST || magnitude == 0.0 {
        return 0.0;
    }
    let [skin_red, skin_green, skin_blue] = SKIN;
    let (red, green, blue) = (
        red / magnitude - skin_red,
        green / magnitude - skin_green,
        blue / magnitude - skin_blue,
    );
    above(
        1.0 - (red * red + green * green + blue * blue).sqrt(),
        SKIN_THRESHOLD,
    )
}

/// Saturation (HSL), 0 to 1, of what is neither black nor white.
fn saturation([red, green, blue]: [f64; 3]) -> f64 {
    let (most, least) = (red.max(green).max(blue), red.min(green).min(blue));
    let lightness = f64::midpoint(most, least);
    if most <= least || !SATURATION_LIGHTNESS.contains(&lightness) {
        return 0.0;
    }
    let range = if lightness > 0.5 {
        2.0 - most - least
    } else {
        most + least
    };
    above((most - least) / range, SATURATION_THRESHOLD)
}

/// The excess of `value` over `threshold`, as a share of the excess of 1; 0 below the threshold.
fn above(value: f64, threshold: f64) -> f64 {
    ((value - threshold) / (1.0 - threshold)).max(0.0)
}

/// The middle of the best part of a side, when the part is the given `share` of it. `interest` is that of the side's
/// columns or rows.
fn middle(share: f64, interest: impl FnOnce() -> Vec<f64>) -> u16 {
    if share >= 1.0 {
        return Focus::WHOLE / 2;
    }
    let interest = interest();
    let whole = interest.len() as f64;
    let part = whole * share;
    let spare = whole - part;
    // At least so far that no column lies between two places that are tried.
    let reach = (part / 2.0).max(1.0);
    // Interest counts most in the middle of the part and nothing at its edges: a subject that does not fit is cut
    // evenly, and one that fits gets air.
    let score = |start: f64| -> f64 {
        let center = start + part / 2.0;
        let weighed = interest.iter().enumerate().map(|(at, interest)| {
            let distance = (at as f64 + 0.5 - center) / reach;
            interest * (1.0 - distance * distance).max(0.0)
        });
        let aside = (2.0 * start / spare - 1.0).abs();
        weighed.sum::<f64>() * (1.0 - OFF_CENTER * aside * aside)
    };
    // The middle first, then ever farther out on both sides: what is no better than the middle stays there.
    let steps = 2 * interest.len();
    let starts = (0..=steps).flat_map(|step| {
        let off = step as f64 / steps as f64;
        [spare * (1.0 - off) / 2.0, spare * (1.0 + off) / 2.0]
    });
    let best = starts
        .map(|start| (score(start), start))
        .reduce(|best, next| if next.0 > best.0 { next } else { best });
    let start = best.map_or(spare / 2.0, |(_, start)| start);
    fixed((start + part / 2.0) / whole)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value is between 0 and 10,000"
)]
fn fixed(fraction: f64) -> u16 {
    (fraction.clamp(0.0, 1.0) * f64::from(Focus::WHOLE)).round() as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(share: f64, interest: &[f64]) -> u16 {
        middle(share, || interest.to_vec())
    }

    #[test]
    fn a_part_is_where_the_interest_is_and_in_the_middle_where_there_is_none() {
        let near = |place: u16, expected: u16| assert!(place.abs_diff(expected) <= 20, "{place} {expected}");
        let mut interest = vec![0.0; 100];
        assert_eq!(place(0.5, &interest), 5000);
        interest[20] = 1.0;
        near(place(0.2, &interest), 2050);
        assert_eq!(place(0.6, &interest), 3000, "as far as it goes");
        interest[80] = 1.5;
        near(place(0.2, &interest), 8050);
        assert_eq!(place(0.5, &[1.0; 100]), 5000);
        assert_eq!(place(1.0, &interest), 5000);
        near(place(0.001, &[0.0, 0.0, 1.0]), 8333);
    }

    #[test]
    fn light_and_dark_skin_is_told_from_grass_and_sky() {
        for shade in [
            [234, 218, 186],
            [215, 189, 150],
            [160, 126, 86],
            [130, 92, 67],
            [96, 65, 52],
            [58, 49, 42],
        ] {
            assert!(skin(shade.map(unit)) > 0.0, "{shade:?}");
        }
        for other in [[60, 140, 50], [90, 150, 220], [128, 128, 128], [0, 0, 0]] {
            assert!(skin(other.map(unit)) <= 0.0, "{other:?}");
        }
    }
}
