//! The part of a configuration file that both shapes have: the recipe, the limits of a source, and the choice of metadata.

use serde::Deserialize;

use crate::{Limits, MetadataPolicy, Recipe, RecipeError, Rgb, Variant};

/// The recipe, the limits and the choice of metadata in a configuration file. Every key has a default.
///
/// Other keys of the file are passed over here: each shape reads the same text once more for its own keys, and refuses
/// those that neither knows.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PictureConfig {
    /// The colour that transparent pixels are flattened onto in formats without alpha.
    ///
    /// Default: `#ffffff`
    background: Rgb,
    /// True if the record has the score of every rendition.
    ///
    /// Default: `false`; those whose quality is chosen by their score always have it
    scores: bool,
    /// The recipe; naming any variant replaces the default recipe.
    #[serde(rename = "variant")]
    variants: Option<Vec<Variant>>,
    /// The limits of one source.
    limits: Limits,
    /// The choice of facts about sources that records keep.
    metadata: MetadataPolicy,
}

/// The reason why a configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The recipe cannot be made.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// A limit is 0.
    #[error("{0} must be at least 1; no limit can be switched off")]
    NoLimit(&'static str),
}

impl PictureConfig {
    /// Checks that everything can be done.
    ///
    /// # Errors
    /// When the recipe is not valid or a limit is 0.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.recipe().validate()?;
        let Limits {
            max_bytes,
            max_pixels,
            max_frames,
            max_animation_pixels,
        } = self.limits;
        Self::check_limits(&[
            ("limits.max_bytes", max_bytes),
            ("limits.max_pixels", max_pixels),
            ("limits.max_frames", max_frames.into()),
            ("limits.max_animation_pixels", max_animation_pixels),
        ])
    }

    /// Checks that no limit of these names is switched off.
    ///
    /// # Errors
    /// [`ConfigError::NoLimit`] for the first that is 0.
    pub fn check_limits(limits: &[(&'static str, u64)]) -> Result<(), ConfigError> {
        match limits.iter().find(|(_, value)| *value == 0) {
            Some((name, _)) => Err(ConfigError::NoLimit(name)),
            None => Ok(()),
        }
    }

    /// The variants to make.
    #[must_use]
    pub fn recipe(&self) -> Recipe {
        let variants = self.variants.clone();
        Recipe {
            variants: variants.unwrap_or_else(|| Recipe::default().variants),
            background: self.background,
            scores: self.scores,
        }
    }

    /// The limits of one source.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// The choice of facts about sources that records keep.
    #[must_use]
    pub const fn metadata(&self) -> MetadataPolicy {
        self.metadata
    }
}
