use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Fit, Recipe};

/// The part of the upright image that a crop keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Gravity {
    /// The middle.
    #[default]
    Center,
    /// The top.
    North,
    /// The top right corner.
    Northeast,
    /// The right side.
    East,
    /// The bottom right corner.
    Southeast,
    /// The bottom.
    South,
    /// The bottom left corner.
    Southwest,
    /// The left side.
    West,
    /// The top left corner.
    Northwest,
    /// The most conspicuous part of the image, found by edges, strong colours and skin.
    Attention,
    /// One point of one image. A recipe that is configured cannot say this; it is set for an image whose metadata says where
    /// its subject is ([`Recipe::focused`]).
    Focus(Focus),
}

impl Gravity {
    /// True for the default.
    #[must_use]
    pub const fn is_center(&self) -> bool {
        matches!(self, Self::Center)
    }
}

/// A point of the upright image, in ten-thousandths of its width and height from the top left corner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Focus {
    /// Distance from the left, 0 to 10,000.
    pub x: u16,
    /// Distance from the top, 0 to 10,000.
    pub y: u16,
}

impl Focus {
    /// The coordinate that means the full width or height.
    pub const WHOLE: u16 = 10_000;

    /// The user metadata (`x-amz-meta-...` without the prefix) with which a source states its focal point.
    pub const METADATA: &'static str = "focus";
}

impl fmt::Display for Focus {
    /// The form that is read: `0.3000,0.7000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { x, y } = *self;
        let whole = Self::WHOLE;
        write!(f, "{}.{:04},{}.{:04}", x / whole, x % whole, y / whole, y % whole)
    }
}

impl FromStr for Focus {
    type Err = FocusError;

    /// Reads `0.3,0.7`: fractions from the left and from the top, 0 to 1, with at most ten digits each. Digits after
    /// the fourth are dropped.
    fn from_str(text: &str) -> Result<Self, FocusError> {
        let part = |text: &str| {
            let (whole, decimals) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
            let digits = whole.len() + decimals.len();
            let is_number = (1..=10).contains(&digits)
                && whole
                    .bytes()
                    .chain(decimals.bytes())
                    .all(|byte| byte.is_ascii_digit());
            let number: u64 = is_number.then(|| format!("{whole}{decimals:0<10}").parse().ok())??;
            let part = u16::try_from(number / 1_000_000).ok()?;
            (number <= 10_000_000_000).then_some(part)
        };
        let read = || {
            let (x, y) = text.split_once(',')?;
            Some(Self {
                x: part(x)?,
                y: part(y)?,
            })
        };
        read().ok_or(FocusError)
    }
}

/// The error for a text that is not a focal point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a focal point must be written \"0.3,0.7\": fractions from the left and from the top")]
pub struct FocusError;

impl Recipe {
    /// The recipe for an image whose subject is at `focus`: every variant that crops keeps that point.
    #[must_use]
    pub fn focused(&self, focus: Focus) -> Self {
        let mut recipe = self.clone();
        for variant in &mut recipe.variants {
            if variant.fit == Fit::Cover {
                variant.gravity = Gravity::Focus(focus);
            }
        }
        recipe
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RecipeError;
    use crate::recipe::one;

    #[test]
    fn a_focal_point_is_two_fractions() {
        let focus = |text: &str| text.parse::<Focus>().map(|Focus { x, y }| (x, y));
        assert_eq!(focus("0.3,0.7"), Ok((3000, 7000)));
        assert_eq!(focus(" 0 , 1 "), Ok((0, 10_000)));
        assert_eq!(focus("1.0,0.99999"), Ok((10_000, 9999)));
        assert_eq!(focus(".5,.25"), Ok((5000, 2500)));
        for (x, y) in [(0, 10_000), (3000, 7), (9999, 5000)] {
            let text = Focus { x, y }.to_string();
            assert_eq!(focus(&text), Ok((x, y)), "{text}");
        }
        for nonsense in [
            "",
            ",",
            "0.5",
            "0.5,",
            "1.1,0",
            "1.00000001,0",
            "-0.1,0",
            "+0.1,0",
            "nan,0",
            "0.5,0.5,0.5",
            "0.5;0.5",
            "1e-1,0",
            "50%,50%",
            "0.00000000000001,0",
            ".,.",
        ] {
            assert_eq!(focus(nonsense), Err(FocusError), "{nonsense:?}");
        }
    }

    #[test]
    fn gravity_belongs_to_cover_and_a_focal_point_to_an_image() {
        let cropped = |gravity| {
            one(|variant| {
                (variant.width, variant.height) = (Some(10), Some(10));
                (variant.fit, variant.gravity) = (Fit::Cover, gravity);
            })
        };
        assert_eq!(cropped(Gravity::Attention), Ok(()));
        assert_eq!(cropped(Gravity::Northwest), Ok(()));
        let focus = Gravity::Focus(Focus { x: 1, y: 2 });
        assert!(matches!(cropped(focus), Err(RecipeError::FocusInRecipe(_))));
        assert!(matches!(
            one(|variant| variant.gravity = Gravity::North),
            Err(RecipeError::GravityNeedsCover(_))
        ));
    }

    #[test]
    fn the_default_gravity_leaves_hashes_as_they_were() {
        let mut recipe = Recipe::default();
        assert!(!serde_json::to_string(&recipe).unwrap().contains("gravity"));
        recipe.variants[2].fit = Fit::Cover;
        let centred = recipe.hash();
        recipe.variants[2].gravity = Gravity::South;
        assert_ne!(recipe.hash(), centred);
        recipe.variants[2].gravity = Gravity::Center;
        assert_eq!(recipe.hash(), centred);
    }

    #[test]
    fn a_focal_point_changes_only_what_is_cropped() {
        let mut recipe = Recipe::default();
        recipe.variants[1].fit = Fit::Cover;
        let focus = Focus { x: 3000, y: 7000 };
        let focused = recipe.focused(focus);
        assert_eq!(focused.variants[1].gravity, Gravity::Focus(focus));
        recipe.variants[1].gravity = Gravity::Focus(focus);
        assert_eq!(focused, recipe);
    }
}
