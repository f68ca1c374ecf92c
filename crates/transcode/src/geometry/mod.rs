//! The part of the source that a variant shows, and its size.

pub(crate) mod orient;
pub(crate) mod resize;

use tintype_model::{Dimensions, Fit, Focus, Gravity, Variant};

/// The least ratio, in width and in height, of pixels to a rendition that is made from them instead of the source.
const LEAST_RATIO: u32 = 2;

/// The crop, the scaling and the padding that make a variant of the upright source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Geometry {
    /// The part of the source that is shown, in source pixels.
    pub(crate) crop: Crop,
    /// The size that the part is scaled to.
    pub(crate) scaled: Dimensions,
    /// The size of the rendition: larger than `scaled` only where `contain` pads.
    pub(crate) canvas: Dimensions,
}

/// A rectangle of whole pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Area {
    pub(crate) left: u32,
    pub(crate) top: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// A rectangle in source pixels; its edges may lie between pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Crop {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl Geometry {
    /// The geometry of `variant` for a source of `source` pixels. Nothing is ever enlarged, no side is ever zero, and
    /// no side passes what the tightest of the variant's formats can hold.
    pub(crate) fn new(source: Dimensions, variant: &Variant) -> Self {
        let limit = variant.max_side();
        let asked = Dimensions {
            width: variant.width.unwrap_or(limit).clamp(1, limit),
            height: variant.height.unwrap_or(limit).clamp(1, limit),
        };
        let whole = Crop {
            left: 0.0,
            top: 0.0,
            width: f64::from(source.width),
            height: f64::from(source.height),
        };
        match variant.fit {
            Fit::Inside => {
                let scaled = inside(source, asked);
                Self {
                    crop: whole,
                    scaled,
                    canvas: scaled,
                }
            }
            Fit::Contain => Self {
                crop: whole,
                scaled: inside(source, asked),
                canvas: asked,
            },
            Fit::Fill => {
                let scaled = Dimensions {
                    width: asked.width.min(source.width),
                    height: asked.height.min(source.height),
                };
                Self {
                    crop: whole,
                    scaled,
                    canvas: scaled,
                }
            }
            Fit::Cover => {
                let scaled = inside(asked, source);
                Self {
                    crop: cropped(source, scaled, variant.gravity),
                    scaled,
                    canvas: scaled,
                }
            }
        }
    }

    /// Tells whether the rendition is the source, pixel for pixel.
    pub(crate) fn is_whole_source(&self, source: Dimensions) -> bool {
        self.canvas == source && self.scaled == source
    }

    /// The same rendition made from the pixels of `larger` instead of the source, if that looks the same: they show
    /// the same part without padding, and a ratio is left at which the second filter hides what the first one did.
    pub(crate) fn made_from(&self, larger: &Self) -> Option<Self> {
        let scaled = larger.scaled;
        let leaves_enough = scaled.width >= LEAST_RATIO * self.scaled.width
            && scaled.height >= LEAST_RATIO * self.scaled.height;
        (self.crop == larger.crop && larger.canvas == scaled && leaves_enough).then(|| Self {
            crop: Crop {
                left: 0.0,
                top: 0.0,
                width: f64::from(scaled.width),
                height: f64::from(scaled.height),
            },
            ..*self
        })
    }
}

/// The largest size with the aspect of `size` that fits in `bounds`, not larger than `size`.
fn inside(size: Dimensions, bounds: Dimensions) -> Dimensions {
    if size.width <= bounds.width && size.height <= bounds.height {
        return size;
    }
    // Compared as fractions: the side that has to shrink more decides.
    let by_width = u64::from(bounds.width) * u64::from(size.height);
    let by_height = u64::from(bounds.height) * u64::from(size.width);
    if by_width <= by_height {
        Dimensions {
            width: bounds.width,
            height: scale(size.height, bounds.width, size.width).min(bounds.height),
        }
    } else {
        Dimensions {
            width: scale(size.width, bounds.height, size.height).min(bounds.width),
            height: bounds.height,
        }
    }
}

/// `side * numerator / denominator`, rounded, at least 1.
fn scale(side: u32, numerator: u32, denominator: u32) -> u32 {
    let (side, numerator, denominator) = (u64::from(side), u64::from(numerator), u64::from(denominator));
    let scaled = (2 * side * numerator + denominator) / (2 * denominator);
    u32::try_from(scaled).unwrap_or(u32::MAX).max(1)
}

/// The largest part of `source` with the aspect of `shape`, from where `gravity` says.
///
/// The place that draws the eye is looked for in pixels ([`crate::miniature::attention`]); here it is the centre.
fn cropped(source: Dimensions, shape: Dimensions, gravity: Gravity) -> Crop {
    let (width, height) = (f64::from(source.width), f64::from(source.height));
    let aspect = f64::from(shape.width) / f64::from(shape.height);
    let (crop_width, crop_height) = if width > height * aspect {
        (height * aspect, height)
    } else {
        (width, width / aspect)
    };
    let (spare_width, spare_height) = (width - crop_width, height - crop_height);
    let (left, top) = match gravity {
        Gravity::Center | Gravity::Attention => (spare_width / 2.0, spare_height / 2.0),
        Gravity::North => (spare_width / 2.0, 0.0),
        Gravity::Northeast => (spare_width, 0.0),
        Gravity::East => (spare_width, spare_height / 2.0),
        Gravity::Southeast => (spare_width, spare_height),
        Gravity::South => (spare_width / 2.0, spare_height),
        Gravity::Southwest => (0.0, spare_height),
        Gravity::West => (0.0, spare_height / 2.0),
        Gravity::Northwest => (0.0, 0.0),
        Gravity::Focus(Focus { x, y }) => (
            around(x, width, crop_width, spare_width),
            around(y, height, crop_height, spare_height),
        ),
    };
    Crop {
        left,
        top,
        width: crop_width,
        height: crop_height,
    }
}

/// The begin of a part of `part` pixels that has the point in its middle, as far as the source reaches.
fn around(point: u16, whole: f64, part: f64, spare: f64) -> f64 {
    let point = whole * f64::from(point) / f64::from(Focus::WHOLE);
    (point - part / 2.0).clamp(0.0, spare.max(0.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tintype_model::{Format, Recipe};

    use super::*;

    fn variant(fit: Fit, width: Option<u32>, height: Option<u32>) -> Variant {
        let mut variant = Recipe::default().variants.remove(0);
        variant.width = width;
        variant.height = height;
        variant.fit = fit;
        variant
    }

    fn plan(source: (u32, u32), fit: Fit, bounds: (u32, u32)) -> Geometry {
        let (width, height) = source;
        Geometry::new(
            Dimensions { width, height },
            &variant(fit, Some(bounds.0), Some(bounds.1)),
        )
    }

    fn pair(size: Dimensions) -> (u32, u32) {
        (size.width, size.height)
    }

    #[test]
    fn sizes_are_what_the_fit_says() {
        for (source, fit, bounds, scaled, canvas) in [
            ((4080, 3072), Fit::Inside, (800, 600), (797, 600), (797, 600)),
            ((3072, 4080), Fit::Inside, (800, 600), (452, 600), (452, 600)),
            ((400, 300), Fit::Inside, (800, 600), (400, 300), (400, 300)),
            ((800, 601), Fit::Inside, (800, 600), (799, 600), (799, 600)),
            ((1, 4000), Fit::Inside, (300, 300), (1, 300), (1, 300)),
            ((8000, 3), Fit::Inside, (300, 300), (300, 1), (300, 1)),
            ((1, 1), Fit::Inside, (300, 300), (1, 1), (1, 1)),
            ((4000, 3000), Fit::Cover, (300, 300), (300, 300), (300, 300)),
            ((200, 100), Fit::Cover, (300, 300), (100, 100), (100, 100)),
            ((400, 100), Fit::Cover, (800, 100), (400, 50), (400, 50)),
            ((3, 2), Fit::Cover, (1000, 1), (3, 1), (3, 1)),
            ((4000, 3000), Fit::Contain, (300, 300), (300, 225), (300, 300)),
            ((20, 10), Fit::Contain, (300, 200), (20, 10), (300, 200)),
            ((4000, 3000), Fit::Fill, (300, 400), (300, 400), (300, 400)),
            ((200, 3000), Fit::Fill, (300, 400), (200, 400), (200, 400)),
        ] {
            let plan = plan(source, fit, bounds);
            let message = format!("{source:?} {fit:?} {bounds:?}");
            assert_eq!(
                (pair(plan.scaled), pair(plan.canvas)),
                (scaled, canvas),
                "{message}"
            );
        }
    }

    #[test]
    fn one_free_side_follows_the_other() {
        let source = Dimensions {
            width: 4000,
            height: 1000,
        };
        let by_height = Geometry::new(source, &variant(Fit::Inside, None, Some(100)));
        assert_eq!(pair(by_height.canvas), (400, 100));
        let by_width = Geometry::new(source, &variant(Fit::Inside, Some(100), None));
        assert_eq!(pair(by_width.canvas), (100, 25));
    }

    #[test]
    fn the_tightest_format_caps_all_formats_of_a_variant() {
        let source = Dimensions {
            width: 32_766,
            height: 1000,
        };
        let mut original = variant(Fit::Inside, None, None);
        assert_eq!(pair(Geometry::new(source, &original).canvas), (16_383, 500));
        original.formats = vec![Format::Jpeg];
        assert_eq!(pair(Geometry::new(source, &original).canvas), (32_766, 1000));
    }

    #[test]
    fn cover_crops_from_the_centre() {
        let plan = plan((4000, 3000), Fit::Cover, (300, 300));
        assert_eq!(
            plan.crop,
            Crop {
                left: 500.0,
                top: 0.0,
                width: 3000.0,
                height: 3000.0
            }
        );
    }

    #[test]
    fn gravity_and_a_focal_point_say_where_the_crop_is() {
        let corner = |gravity, (width, height)| {
            let mut variant = variant(Fit::Cover, Some(300), Some(300));
            variant.gravity = gravity;
            let crop = Geometry::new(Dimensions { width, height }, &variant).crop;
            (crop.left, crop.top)
        };
        let focus = |x, y| Gravity::Focus(Focus { x, y });
        for (gravity, wide, tall) in [
            (Gravity::Center, (500.0, 0.0), (0.0, 500.0)),
            (Gravity::North, (500.0, 0.0), (0.0, 0.0)),
            (Gravity::Northeast, (1000.0, 0.0), (0.0, 0.0)),
            (Gravity::East, (1000.0, 0.0), (0.0, 500.0)),
            (Gravity::Southeast, (1000.0, 0.0), (0.0, 1000.0)),
            (Gravity::South, (500.0, 0.0), (0.0, 1000.0)),
            (Gravity::Southwest, (0.0, 0.0), (0.0, 1000.0)),
            (Gravity::West, (0.0, 0.0), (0.0, 500.0)),
            (Gravity::Northwest, (0.0, 0.0), (0.0, 0.0)),
            (focus(5000, 5000), (500.0, 0.0), (0.0, 500.0)),
            (focus(4000, 6000), (100.0, 0.0), (0.0, 900.0)),
            (focus(0, 0), (0.0, 0.0), (0.0, 0.0)),
            (focus(10_000, 10_000), (1000.0, 0.0), (0.0, 1000.0)),
            (focus(u16::MAX, u16::MAX), (1000.0, 0.0), (0.0, 1000.0)),
        ] {
            assert_eq!(corner(gravity, (4000, 3000)), wide, "{gravity:?}");
            assert_eq!(corner(gravity, (3000, 4000)), tall, "{gravity:?}");
        }
    }

    #[test]
    fn a_rendition_is_made_from_a_larger_one_that_shows_the_same_with_enough_to_spare() {
        let source = (4080, 3072);
        let medium = plan(source, Fit::Inside, (800, 600));
        let from = |small: Geometry| small.made_from(&medium).map(|plan| (plan.crop, plan.scaled));
        let thumbnail = plan(source, Fit::Inside, (300, 300));
        let whole = Crop {
            left: 0.0,
            top: 0.0,
            width: 797.0,
            height: 600.0,
        };
        assert_eq!(from(thumbnail), Some((whole, thumbnail.scaled)));
        assert_eq!(from(plan(source, Fit::Inside, (500, 500))), None);
        assert_eq!(from(plan(source, Fit::Cover, (100, 100))), None);
        let padded = plan(source, Fit::Contain, (800, 800));
        assert_eq!(thumbnail.made_from(&padded), None);
    }

    fn side() -> impl Strategy<Value = u32> {
        prop_oneof![1u32..20, 1u32..2000, 1u32..65_536]
    }

    proptest! {
        #[test]
        fn inside_never_enlarges_fits_the_box_and_keeps_the_aspect(
            width in side(), height in side(), box_width in side(), box_height in side()
        ) {
            let size = plan((width, height), Fit::Inside, (box_width, box_height)).canvas;
            let limit = 16_383;
            prop_assert!(size.width >= 1 && size.height >= 1);
            prop_assert!(size.width <= width && size.height <= height);
            prop_assert!(size.width <= box_width.min(limit) && size.height <= box_height.min(limit));
            // One side is exact, the other is off by at most half a pixel (or is the minimum of one pixel).
            let ratio = f64::from(width) / f64::from(height);
            let off_width = (f64::from(size.height) * ratio - f64::from(size.width)).abs();
            let off_height = (f64::from(size.width) / ratio - f64::from(size.height)).abs();
            prop_assert!(
                off_width <= 0.5 + 1e-6 || off_height <= 0.5 + 1e-6 || size.width == 1 || size.height == 1,
                "{size:?}"
            );
            // Not smaller than it has to be.
            let fills = size.width == box_width.min(limit) || size.height == box_height.min(limit);
            prop_assert!(fills || size == (Dimensions { width, height }), "{:?}", size);
        }

        #[test]
        fn every_fit_stays_in_the_source_and_enlarges_nothing(
            width in side(), height in side(), box_width in side(), box_height in side(),
            fit in prop_oneof![Just(Fit::Inside), Just(Fit::Cover), Just(Fit::Contain), Just(Fit::Fill)],
            x in 0..=10_000u16, y in 0..=10_000u16
        ) {
            let mut variant = variant(fit, Some(box_width), Some(box_height));
            variant.gravity = Gravity::Focus(Focus { x, y });
            let plan = Geometry::new(Dimensions { width, height }, &variant);
            let Crop { left, top, width: w, height: h } = plan.crop;
            prop_assert!(left >= 0.0 && top >= 0.0 && w > 0.0 && h > 0.0);
            prop_assert!(left + w <= f64::from(width) + 1e-6 && top + h <= f64::from(height) + 1e-6);
            prop_assert!(plan.scaled.width <= width && plan.scaled.height <= height);
            prop_assert!(plan.scaled.width <= plan.canvas.width && plan.scaled.height <= plan.canvas.height);
            prop_assert!(plan.canvas.width <= box_width.max(1) && plan.canvas.height <= box_height.max(1));
            prop_assert!(plan.scaled.width >= 1 && plan.scaled.height >= 1);
        }

        #[test]
        fn cover_keeps_the_shape_of_the_box(
            width in 50u32..5000, height in 50u32..5000, box_width in 50u32..5000, box_height in 50u32..5000
        ) {
            let size = plan((width, height), Fit::Cover, (box_width, box_height)).canvas;
            let ratio = f64::from(box_width) / f64::from(box_height);
            let off_width = (f64::from(size.height) * ratio - f64::from(size.width)).abs();
            let off_height = (f64::from(size.width) / ratio - f64::from(size.height)).abs();
            prop_assert!(off_width <= 0.5 + 1e-6 || off_height <= 0.5 + 1e-6);
        }
    }
}
