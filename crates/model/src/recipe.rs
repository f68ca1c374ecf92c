use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::quality::{self, WrittenQualities};
use crate::{Color, Format, Gravity, Quality};

/// The variants that every image gets, with their sizes, fits, formats and qualities.
///
/// In TOML it is the `[[variant]]` tables; naming any replaces the default recipe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The named sizes, in the order of the configuration.
    #[serde(rename = "variant")]
    pub variants: Vec<Variant>,
    /// The colour that transparent pixels are flattened onto in formats without alpha.
    ///
    /// Default: white
    #[serde(default)]
    pub background: Rgb,
    /// True if the record has the score of every rendition, not only of those whose quality was chosen by it.
    ///
    /// Default: false
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub scores: bool,
}

/// One named size of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenVariant")]
pub struct Variant {
    /// Its name in URLs: no `/`, `.` or control character, at most 64 bytes.
    pub name: String,
    /// Width of the box in pixels; `None` leaves it free.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Height of the box in pixels; `None` leaves it free.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// The way the image is fitted to the box.
    ///
    /// Default: `inside`
    pub fit: Fit,
    /// The part of the image that is kept where [`Fit::Cover`] crops. With another fit it must be left out.
    ///
    /// Default: `center`
    #[serde(skip_serializing_if = "Gravity::is_center")]
    pub gravity: Gravity,
    /// The colours that it may have.
    ///
    /// Default: `srgb`
    #[serde(skip_serializing_if = "Color::is_default")]
    pub color: Color,
    /// The formats, each at most once, JPEG or PNG among them.
    ///
    /// Default: AVIF, WebP, JPEG
    pub formats: Vec<Format>,
    /// Quality by format; formats that are missing take [`Quality::default_for`]. In TOML also one for all formats.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub quality: BTreeMap<Format, Quality>,
    /// True if animated sources stay animated in the formats that can be ([`Format::can_be_animated`]); if not, they
    /// become stills.
    ///
    /// Default: `true`
    #[serde(skip_serializing_if = "is_animated")]
    pub animation: bool,
}

/// [`Variant`] as it is written: what its quality means depends on its formats, and mistakes in it name the variant.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenVariant {
    name: String,
    #[serde(default)]
    width: Option<u32>,
    #[serde(default)]
    height: Option<u32>,
    #[serde(default)]
    fit: Fit,
    #[serde(default)]
    gravity: Gravity,
    #[serde(default)]
    color: Color,
    #[serde(default = "default_formats")]
    formats: Vec<Format>,
    #[serde(default)]
    quality: WrittenQualities,
    #[serde(default = "default_animation")]
    animation: bool,
}

impl TryFrom<WrittenVariant> for Variant {
    type Error = RecipeError;
    fn try_from(written: WrittenVariant) -> Result<Self, RecipeError> {
        let quality = written.quality.read(&written.name, &written.formats)?;
        Ok(Self {
            name: written.name,
            width: written.width,
            height: written.height,
            fit: written.fit,
            gravity: written.gravity,
            color: written.color,
            formats: written.formats,
            quality,
            animation: written.animation,
        })
    }
}

/// A way to fit an image to a variant's box. No fit ever enlarges the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// Aspect kept, as large as fits inside the box.
    #[default]
    Inside,
    /// Aspect kept, the box filled, what sticks out cropped; [`Variant::gravity`] says where.
    Cover,
    /// Aspect kept, inside the box, the rest of the box filled with the background.
    Contain,
    /// Stretched to the box.
    Fill,
}

/// An opaque sRGB colour, written `"#rrggbb"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rgb(pub [u8; 3]);

impl Default for Rgb {
    fn default() -> Self {
        Self([255; 3])
    }
}

impl TryFrom<String> for Rgb {
    type Error = RecipeError;
    fn try_from(text: String) -> Result<Self, RecipeError> {
        let mut colour = [0; 3];
        let digits = text
            .strip_prefix('#')
            .filter(|digits| hex::decode_to_slice(digits, &mut colour).is_ok());
        if digits.is_some() {
            Ok(Self(colour))
        } else {
            Err(RecipeError::Colour(text))
        }
    }
}

impl From<Rgb> for String {
    fn from(Rgb(colour): Rgb) -> Self {
        format!("#{}", hex::encode(colour))
    }
}

/// The reason why a recipe cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// The recipe has no variant, so that nothing would be made.
    #[error("the recipe has no variant")]
    NoVariant,
    /// URLs could not name it.
    #[error("variant name {0:?} must be 1 to 64 bytes without \"/\", \".\" or control characters")]
    Name(String),
    /// Two variants would share their URLs.
    #[error("variant {0:?} is named twice")]
    DuplicateVariant(String),
    /// A variant has neither JPEG nor PNG, so that some browsers could show nothing.
    #[error(
        "variant {0:?} needs \"jpeg\" or \"png\" among its formats, for browsers that know nothing newer"
    )]
    NoUniversalFormat(String),
    /// The list of formats names one twice.
    #[error("variant {0:?} lists format \"{1}\" twice")]
    DuplicateFormat(String, &'static str),
    /// A side is zero or larger than a format can hold.
    #[error("variant {variant:?}: {side} is {value}, it must be 1 to {max} for format \"{format}\"")]
    Side {
        /// The variant.
        variant: String,
        /// `width` or `height`.
        side: &'static str,
        /// The configured size of the side, in pixels.
        value: u32,
        /// The largest that the format can hold, in pixels.
        max: u32,
        /// The format with the tightest limit.
        format: &'static str,
    },
    /// `cover`, `contain` and `fill` mean nothing without a box.
    #[error("variant {0:?}: fit \"{1}\" needs both width and height")]
    FitNeedsBox(String, &'static str),
    /// Only `cover` crops.
    #[error("variant {0:?}: gravity needs fit \"cover\", nothing else crops")]
    GravityNeedsCover(String),
    /// A focal point belongs to one image.
    #[error("variant {0:?}: a focal point is given with an image, not in the recipe")]
    FocusInRecipe(String),
    /// The quality is outside the scale, or says something that is none.
    #[error(
        "variant {0:?}: quality of \"{1}\" is {2}, it must be 1 to 100, \"auto\", \"lossless\", or \"auto:30\" to \"auto:95\""
    )]
    Quality(String, &'static str, String),
    /// The format always loses something.
    #[error(
        "variant {0:?}: quality of \"{1}\" is \"lossless\", which only \"jxl\", \"webp\" and \"png\" can be"
    )]
    NeverLossless(String, &'static str),
    /// A quality is given for a format that the variant does not have.
    #[error("variant {0:?}: quality names format \"{1}\", which is not among its formats")]
    QualityWithoutFormat(String, String),
    /// Not a colour.
    #[error("colour {0:?} must be written \"#rrggbb\"")]
    Colour(String),
}

fn default_formats() -> Vec<Format> {
    vec![Format::Avif, Format::Webp, Format::Jpeg]
}

/// True if `animation` has its default value, which is not written, so that recipes keep their hash.
const fn is_animated(animation: &bool) -> bool {
    *animation
}

const fn default_animation() -> bool {
    true
}

impl Default for Recipe {
    /// The three sizes of the reference handler. At full size AVIF and JPEG need less than their usual quality to look as
    /// good as the WebP beside them.
    fn default() -> Self {
        let variant = |name: &str, side: Option<(u32, u32)>| Variant {
            name: name.to_owned(),
            width: side.map(|(width, _)| width),
            height: side.map(|(_, height)| height),
            fit: Fit::Inside,
            gravity: Gravity::Center,
            color: Color::Srgb,
            formats: default_formats(),
            quality: BTreeMap::new(),
            animation: default_animation(),
        };
        let mut original = variant("original", None);
        original.quality.insert(Format::Avif, Quality::Fixed(73));
        original.quality.insert(Format::Jpeg, Quality::Fixed(68));
        Self {
            variants: vec![
                original,
                variant("medium", Some((800, 600))),
                variant("thumbnail", Some((300, 300))),
            ],
            background: Rgb::default(),
            scores: false,
        }
    }
}

impl Recipe {
    /// Checks everything that the types do not: call it on every recipe that was read from outside.
    ///
    /// # Errors
    /// The first problem found, naming the variant.
    pub fn validate(&self) -> Result<(), RecipeError> {
        if self.variants.is_empty() {
            return Err(RecipeError::NoVariant);
        }
        let mut names = BTreeSet::new();
        for variant in &self.variants {
            variant.validate()?;
            if !names.insert(&variant.name) {
                return Err(RecipeError::DuplicateVariant(variant.name.clone()));
            }
        }
        Ok(())
    }

    /// A digest of everything that decides how renditions look: 32 hexadecimal digits.
    #[must_use]
    pub fn hash(&self) -> String {
        let mut resolved = self.clone();
        for variant in &mut resolved.variants {
            // Defaults are spelled out: a release that changes one changes how renditions look.
            let quality = variant
                .formats
                .iter()
                .map(|&format| (format, variant.quality(format)));
            variant.quality = quality.collect();
        }
        let json = serde_json::to_vec(&resolved).expect("a recipe has no map with keys that are not strings");
        hex::encode(&Sha256::digest(json)[..16])
    }

    /// The variant of that name.
    #[must_use]
    pub fn variant(&self, name: &str) -> Option<&Variant> {
        self.variants.iter().find(|variant| variant.name == name)
    }

    /// Length in bytes of the longest `/{variant}.{ext}`.
    #[must_use]
    pub fn longest_rendition_suffix(&self) -> usize {
        let suffix = |variant: &Variant| {
            let extension = variant
                .formats
                .iter()
                .map(|format| format.extension().len())
                .max();
            "/".len() + variant.name.len() + ".".len() + extension.unwrap_or(0)
        };
        self.variants.iter().map(suffix).max().unwrap_or(0)
    }
}

impl Variant {
    /// The quality that `format` is encoded at.
    #[must_use]
    pub fn quality(&self, format: Format) -> Quality {
        self.quality
            .get(&format)
            .copied()
            .unwrap_or_else(|| Quality::default_for(format))
    }

    /// The longest side in pixels that all of the variant's formats can hold, so that they share one size.
    #[must_use]
    pub fn max_side(&self) -> u32 {
        self.tightest_format().max_side()
    }

    fn tightest_format(&self) -> Format {
        self.formats
            .iter()
            .copied()
            .min_by_key(|format| format.max_side())
            .unwrap_or(Format::Png)
    }

    fn validate(&self) -> Result<(), RecipeError> {
        let name = || self.name.clone();
        let forbidden = |character: char| matches!(character, '/' | '.') || character.is_control();
        if self.name.is_empty() || self.name.len() > 64 || self.name.contains(forbidden) {
            return Err(RecipeError::Name(name()));
        }
        let mut formats = BTreeSet::new();
        for format in &self.formats {
            if !formats.insert(*format) {
                return Err(RecipeError::DuplicateFormat(name(), format.name()));
            }
        }
        if !self.formats.iter().any(|format| format.is_universal()) {
            return Err(RecipeError::NoUniversalFormat(name()));
        }
        let tightest = self.tightest_format();
        for (side, value) in [("width", self.width), ("height", self.height)] {
            if let Some(value) = value
                && (value == 0 || value > tightest.max_side())
            {
                return Err(RecipeError::Side {
                    variant: name(),
                    side,
                    value,
                    max: tightest.max_side(),
                    format: tightest.name(),
                });
            }
        }
        let fit = match self.fit {
            Fit::Inside => None,
            Fit::Cover => Some("cover"),
            Fit::Contain => Some("contain"),
            Fit::Fill => Some("fill"),
        };
        if let Some(fit) = fit
            && (self.width.is_none() || self.height.is_none())
        {
            return Err(RecipeError::FitNeedsBox(name(), fit));
        }
        match self.gravity {
            Gravity::Focus(_) => return Err(RecipeError::FocusInRecipe(name())),
            Gravity::Center => {}
            _ if self.fit == Fit::Cover => {}
            _ => return Err(RecipeError::GravityNeedsCover(name())),
        }
        for (format, quality) in &self.quality {
            quality::validate(&self.name, *format, *quality)?;
            if !formats.contains(format) {
                return Err(RecipeError::QualityWithoutFormat(
                    name(),
                    format.name().to_owned(),
                ));
            }
        }
        Ok(())
    }
}

/// True if the first variant of the default recipe alone, changed, is a valid recipe.
#[cfg(test)]
pub(crate) fn one(change: impl FnOnce(&mut Variant)) -> Result<(), RecipeError> {
    let mut recipe = Recipe::default();
    recipe.variants.truncate(1);
    change(&mut recipe.variants[0]);
    recipe.validate()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_recipe_is_valid_and_has_nine_renditions() {
        let recipe = Recipe::default();
        assert_eq!(recipe.validate(), Ok(()));
        assert_eq!(
            recipe
                .variants
                .iter()
                .map(|variant| variant.formats.len())
                .sum::<usize>(),
            9
        );
        assert_eq!(
            recipe.variant("medium").unwrap().quality(Format::Jpeg),
            Quality::Fixed(80)
        );
    }

    #[test]
    fn mistakes_are_named() {
        assert!(matches!(
            one(|variant| variant.name = "a/b".to_owned()),
            Err(RecipeError::Name(_))
        ));
        assert!(matches!(
            one(|variant| variant.name = "a.b".to_owned()),
            Err(RecipeError::Name(_))
        ));
        assert!(matches!(
            one(|variant| variant.formats = vec![Format::Avif]),
            Err(RecipeError::NoUniversalFormat(_))
        ));
        assert!(matches!(
            one(|variant| variant.width = Some(20_000)),
            Err(RecipeError::Side { max: 16_383, .. })
        ));
        assert!(matches!(
            one(|variant| variant.fit = Fit::Cover),
            Err(RecipeError::FitNeedsBox(..))
        ));
        assert!(matches!(
            one(|variant| {
                variant.quality.insert(Format::Jpeg, Quality::Fixed(0));
            }),
            Err(RecipeError::Quality(..))
        ));
        assert!(matches!(
            one(|variant| {
                variant.quality.insert(Format::Png, Quality::Fixed(9));
            }),
            Err(RecipeError::QualityWithoutFormat(..))
        ));
    }

    #[test]
    fn the_hash_follows_what_changes_renditions() {
        let recipe = Recipe::default();
        let mut other = recipe.clone();
        other.variants[1].width = Some(801);
        assert_ne!(recipe.hash(), other.hash());
        assert_eq!(recipe.hash(), Recipe::default().hash());
        let mut spelled_out = recipe.clone();
        spelled_out.variants[2]
            .quality
            .insert(Format::Avif, Quality::default_for(Format::Avif));
        assert_eq!(recipe.hash(), spelled_out.hash());
        spelled_out.variants[2]
            .quality
            .insert(Format::Avif, Quality::Fixed(1));
        assert_ne!(recipe.hash(), spelled_out.hash());
        let mut stills = recipe.clone();
        stills.variants[0].animation = false;
        assert_ne!(recipe.hash(), stills.hash());
    }

    #[test]
    fn colours_are_written_in_hexadecimal() {
        assert_eq!(Rgb::try_from("#0a0B0c".to_owned()), Ok(Rgb([10, 11, 12])));
        assert_eq!(String::from(Rgb([255, 0, 1])), "#ff0001");
        for text in ["0a0b0c", "#0a0b0", "white", "#0a0b0c0d"] {
            assert!(Rgb::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
