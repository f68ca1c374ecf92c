use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use crate::{Format, RecipeError};

/// The quality setting of an encoder: its choice between fewer bytes and more fidelity.
///
/// In TOML a number, `"auto"`, `"auto:70"` or `"lossless"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quality {
    /// The encoder's own scale, 1 (worst) to 100 (best). PNG is lossless and ignores it.
    Fixed(u8),
    /// The encoder's quality is chosen for each picture: the lowest that reaches a score. PNG is lossless and ignores
    /// it.
    Auto {
        /// The SSIMULACRA2 score to reach, 30 to 95; 70 is high quality, 90 hard to tell from the original.
        target: u8,
    },
    /// Every pixel as it is, the invisible ones too; for formats that [can be](Format::can_be_lossless). The JPEG XL of a
    /// JPEG source that is neither scaled nor cropped holds the JPEG's own coefficients.
    Lossless,
}

/// The text of [`Quality::Lossless`] in a configuration.
const LOSSLESS: &str = "lossless";

impl Quality {
    /// The target of `"auto"`: the score that the default fixed qualities reach on photographs.
    pub const DEFAULT_TARGET: u8 = 75;
    const TARGETS: std::ops::RangeInclusive<u8> = 30..=95;

    /// The quality of a format for which the recipe names none.
    #[must_use]
    pub const fn default_for(format: Format) -> Self {
        Self::Fixed(Self::default_number(format))
    }

    /// The number; the default's where the quality is chosen by a score.
    #[must_use]
    pub const fn number(self, format: Format) -> u8 {
        match self {
            Self::Fixed(quality) => quality,
            Self::Lossless => 100,
            Self::Auto { .. } => Self::default_number(format),
        }
    }

    const fn default_number(format: Format) -> u8 {
        match format {
            Format::Jxl => 85,
            Format::Avif | Format::Webp | Format::Jpeg => 80,
            Format::Png => 100,
        }
    }

    fn is_in_range(self) -> bool {
        match self {
            Self::Fixed(quality) => (1..=100).contains(&quality),
            Self::Auto { target } => Self::TARGETS.contains(&target),
            Self::Lossless => true,
        }
    }
}

impl fmt::Display for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(quality) => write!(f, "{quality}"),
            Self::Auto { target } => write!(f, "auto:{target}"),
            Self::Lossless => f.write_str(LOSSLESS),
        }
    }
}

impl Serialize for Quality {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Fixed(quality) => serializer.serialize_u8(*quality),
            // The target is spelled out, so that another default makes another recipe.
            Self::Auto { .. } | Self::Lossless => serializer.collect_str(self),
        }
    }
}

/// A quality as it is written, before anybody looked whether it is one.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum WrittenQuality {
    Number(i64),
    Text(String),
    Other(serde::de::IgnoredAny),
}

impl WrittenQuality {
    fn read(&self) -> Option<Quality> {
        let quality = match self {
            Self::Number(number) => Quality::Fixed(u8::try_from(*number).ok()?),
            Self::Text(text) if text == "auto" => Quality::Auto {
                target: Quality::DEFAULT_TARGET,
            },
            Self::Text(text) if text == LOSSLESS => Quality::Lossless,
            Self::Text(text) => Quality::Auto {
                target: text.strip_prefix("auto:")?.parse().ok()?,
            },
            Self::Other(_) => return None,
        };
        quality.is_in_range().then_some(quality)
    }
}

impl fmt::Display for WrittenQuality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Other(_) => f.write_str("neither a number nor a text"),
        }
    }
}

/// The `quality` of a variant as it is written: by format, or one for all.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum WrittenQualities {
    ByFormat(BTreeMap<String, WrittenQuality>),
    ForAll(WrittenQuality),
}

impl Default for WrittenQualities {
    fn default() -> Self {
        Self::ByFormat(BTreeMap::new())
    }
}

impl WrittenQualities {
    /// The quality of each format that is named; one for all is that of each of `formats`.
    pub(crate) fn read(
        &self,
        variant: &str,
        formats: &[Format],
    ) -> Result<BTreeMap<Format, Quality>, RecipeError> {
        let read = |format: Format, written: &WrittenQuality| match written.read() {
            Some(quality) => Ok((format, quality)),
            None => Err(RecipeError::Quality(
                variant.to_owned(),
                format.name(),
                written.to_string(),
            )),
        };
        match self {
            Self::ByFormat(written) => written
                .iter()
                .map(|(name, written)| {
                    let format = formats.iter().find(|format| format.name() == name);
                    let missing = || RecipeError::QualityWithoutFormat(variant.to_owned(), name.clone());
                    read(*format.ok_or_else(missing)?, written)
                })
                .collect(),
            Self::ForAll(written) => formats.iter().map(|&format| read(format, written)).collect(),
        }
    }
}

/// The check of [`crate::Recipe::validate`], for qualities that were not read from text.
pub(crate) fn validate(variant: &str, format: Format, quality: Quality) -> Result<(), RecipeError> {
    if quality == Quality::Lossless && !format.can_be_lossless() {
        Err(RecipeError::NeverLossless(variant.to_owned(), format.name()))
    } else if quality.is_in_range() {
        Ok(())
    } else {
        Err(RecipeError::Quality(
            variant.to_owned(),
            format.name(),
            quality.to_string(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Recipe, Variant};

    /// A variant in JSON, which is read as TOML is.
    fn variant(quality: &str) -> Result<Variant, String> {
        let json = format!(r#"{{"name":"card","formats":["webp","jpeg"],"quality":{quality}}}"#);
        serde_json::from_str(&json).map_err(|error| error.to_string())
    }

    #[test]
    fn a_quality_is_a_number_or_a_target() {
        let auto = |target| Quality::Auto { target };
        for (written, webp, jpeg) in [
            ("{}", Quality::Fixed(80), Quality::Fixed(80)),
            (r#"{"webp":1,"jpeg":100}"#, Quality::Fixed(1), Quality::Fixed(100)),
            (r#"{"webp":"auto:30","jpeg":85}"#, auto(30), Quality::Fixed(85)),
            (
                r#"{"jpeg":"auto"}"#,
                Quality::Fixed(80),
                auto(Quality::DEFAULT_TARGET),
            ),
            (
                r#""auto""#,
                auto(Quality::DEFAULT_TARGET),
                auto(Quality::DEFAULT_TARGET),
            ),
            (r#""auto:95""#, auto(95), auto(95)),
            ("60", Quality::Fixed(60), Quality::Fixed(60)),
        ] {
            let variant = variant(written).unwrap_or_else(|error| panic!("{written}: {error}"));
            assert_eq!(variant.quality(Format::Webp), webp, "{written}");
            assert_eq!(variant.quality(Format::Jpeg), jpeg, "{written}");
            let again: Variant = serde_json::from_str(&serde_json::to_string(&variant).unwrap()).unwrap();
            assert_eq!(again, variant, "{written}");
        }
    }

    #[test]
    fn what_is_no_quality_is_named_with_its_variant_and_format() {
        for (written, value) in [
            ("0", "0"),
            ("101", "101"),
            ("-3", "-3"),
            ("70000", "70000"),
            (r#""best""#, r#""best""#),
            (r#""auto:""#, r#""auto:""#),
            (r#""auto:29""#, r#""auto:29""#),
            (r#""auto:96""#, r#""auto:96""#),
            (r#""auto:70.5""#, r#""auto:70.5""#),
            (r#""auto:300""#, r#""auto:300""#),
            ("true", "neither"),
        ] {
            for written in [written.to_owned(), format!(r#"{{"webp":{written}}}"#)] {
                let error = variant(&written).unwrap_err();
                let expected = format!(r#"variant "card": quality of "webp" is {value}"#);
                assert!(error.contains(&expected), "{written}: {error}");
                assert!(error.contains(r#""auto:30" to "auto:95""#), "{written}: {error}");
            }
        }
        let error = variant(r#"{"gif":80}"#).unwrap_err();
        assert!(
            error.contains(r#"variant "card": quality names format "gif""#),
            "{error}"
        );
        let mut recipe = Recipe::default();
        recipe.variants[2]
            .quality
            .insert(Format::Avif, Quality::Auto { target: 29 });
        assert!(matches!(recipe.validate(), Err(RecipeError::Quality(..))));
    }

    #[test]
    fn lossless_is_for_formats_that_can_be() {
        for format in Format::ALL {
            let json = format!(
                r#"{{"name":"card","formats":["jpeg","{0}"],"quality":{{"{0}":"lossless"}}}}"#,
                format.name()
            );
            let mut recipe = Recipe::default();
            let mut variant: Variant = serde_json::from_str(&json).unwrap();
            variant.formats.dedup();
            assert_eq!(variant.quality(format), Quality::Lossless);
            let again: Variant = serde_json::from_str(&serde_json::to_string(&variant).unwrap()).unwrap();
            assert_eq!(again, variant);
            recipe.variants = vec![variant];
            let never = matches!(format, Format::Avif | Format::Jpeg);
            let result = recipe.validate();
            assert_eq!(
                matches!(result, Err(RecipeError::NeverLossless(..))),
                never,
                "{result:?}"
            );
        }
    }

    #[test]
    fn targets_and_scores_make_another_recipe_and_fixed_qualities_do_not() {
        // Records hold it: another one makes everything stale.
        assert_eq!(Recipe::default().hash(), "8cba23c248e8198cee71a2456cb978b4");
        let with = |quality| {
            let mut recipe = Recipe::default();
            recipe.variants[0].quality.insert(Format::Webp, quality);
            recipe.hash()
        };
        let hashes = [
            with(Quality::Fixed(70)),
            with(Quality::Auto { target: 70 }),
            with(Quality::Auto { target: 71 }),
            Recipe {
                scores: true,
                ..Recipe::default()
            }
            .hash(),
            Recipe::default().hash(),
        ];
        for (at, hash) in hashes.iter().enumerate() {
            assert!(!hashes[..at].contains(hash), "{at}");
        }
    }
}
