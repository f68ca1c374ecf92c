//! The configuration file that may lie beside the program in its package.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Deserialize;
use tintype_model::{Limits, MetadataPolicy, Recipe, Rgb, Variant};

use crate::store::check_records_fit;

/// Name of the configuration file in the package.
pub const FILE_NAME: &str = "tintype.toml";

/// The parts of the one-machine shape's file that mean something on AWS; the rest is the template's.
const ALLOWED: &str = "on AWS the configuration has [[variant]], background, scores, [limits] (max_bytes, max_pixels, \
                       max_frames, max_animation_pixels), [metadata] (gps) and [render] (deadline_seconds); \
                       everything else is a parameter of the template";

/// Everything that can be configured. Every key has a default.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What transparent pixels are flattened onto in formats without alpha.
    ///
    /// Default: `#ffffff`
    background: Rgb,
    /// Whether the record tells the score of every rendition.
    ///
    /// Default: `false`; those whose quality is chosen by their score always tell it
    scores: bool,
    /// The recipe; naming any variant replaces the default recipe.
    #[serde(rename = "variant")]
    variants: Option<Vec<Variant>>,
    /// What one source may cost.
    limits: Limits,
    /// The choice of what records tell about sources.
    metadata: MetadataPolicy,
    /// The process that renders.
    render: RenderConfig,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RenderConfig {
    /// Seconds after which a rendering process is killed; a source has this time twice.
    ///
    /// Default: 40
    deadline_seconds: u64,
}

impl Default for RenderConfig {
    fn default() -> Self {
        Self { deadline_seconds: 40 }
    }
}

impl Config {
    /// Reads `tintype.toml` in the folder of the package, or takes the defaults when there is none.
    ///
    /// # Errors
    /// When the file cannot be read or says something that cannot be done; the message names the file and the key.
    pub fn load(task_root: Option<&Path>) -> anyhow::Result<Self> {
        let Some(file) = task_root.map(|folder| folder.join(FILE_NAME)) else {
            return Ok(Self::default());
        };
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("cannot read the configuration {}", file.display()));
            }
        };
        Self::parse(&text).with_context(|| format!("in the configuration {}", file.display()))
    }

    /// Reads a file that is on its way into a package.
    ///
    /// # Errors
    /// As [`Self::load`], and when there is no such file.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read the configuration {}", file.display()))?;
        Self::parse(&text).with_context(|| format!("in the configuration {}", file.display()))
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// When it says something that cannot be done; the message names the key.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let config: Self = toml::from_str(text).context(ALLOWED)?;
        let recipe = config.recipe();
        recipe.validate()?;
        check_records_fit(&recipe)?;
        let positive = [
            ("limits.max_bytes", config.limits.max_bytes),
            ("limits.max_pixels", config.limits.max_pixels),
            ("limits.max_frames", config.limits.max_frames.into()),
            ("limits.max_animation_pixels", config.limits.max_animation_pixels),
            ("render.deadline_seconds", config.render.deadline_seconds),
        ];
        for (name, value) in positive {
            if value == 0 {
                bail!("{name} must be at least 1; no limit can be switched off");
            }
        }
        Ok(config)
    }

    /// The variants to make.
    #[must_use]
    pub fn recipe(&self) -> Recipe {
        Recipe {
            variants: self
                .variants
                .clone()
                .unwrap_or_else(|| Recipe::default().variants),
            background: self.background,
            scores: self.scores,
        }
    }

    /// What one source may cost.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// The choice of what records tell about sources.
    #[must_use]
    pub const fn metadata(&self) -> MetadataPolicy {
        self.metadata
    }

    /// The time after which a rendering process is killed.
    #[must_use]
    pub fn render_deadline(&self) -> Duration {
        Duration::from_secs(self.render.deadline_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        format!("{:#}", Config::parse(text).unwrap_err())
    }

    #[test]
    fn everything_has_a_default() {
        let config = Config::load(None).unwrap();
        assert_eq!(config.recipe(), Recipe::default());
        assert_eq!(config.limits(), Limits::default());
        assert_eq!(config.render_deadline(), Duration::from_secs(40));
    }

    #[test]
    fn what_means_something_here_is_read() {
        let config = Config::parse(
            r##"
            background = "#102030"
            [[variant]]
            name = "small"
            width = 100
            formats = ["jpeg"]
            [limits]
            max_pixels = 10_000_000
            [render]
            deadline_seconds = 20
            "##,
        )
        .unwrap();
        assert_eq!(config.recipe().variants[0].name, "small");
        assert_eq!(config.recipe().background, Rgb([0x10, 0x20, 0x30]));
        assert_eq!(config.limits().max_pixels, 10_000_000);
        assert_eq!(config.limits().max_bytes, Limits::default().max_bytes);
        assert_eq!(config.render_deadline(), Duration::from_secs(20));
    }

    #[test]
    fn what_belongs_elsewhere_is_refused_with_what_is_allowed() {
        for (text, named) in [
            ("listen = \"127.0.0.1:1\"", "`listen`"),
            ("[queue]\nmax_receives = 3", "`queue`"),
            ("[render]\nmemory_bytes = 1", "`memory_bytes`"),
            ("[limits]\nmax_byte = 1", "`max_byte`"),
        ] {
            let error = error(text);
            assert!(error.contains(named), "{error}");
            assert!(error.contains("parameter of the template"), "{error}");
        }
    }

    #[test]
    fn mistakes_are_explained() {
        assert!(error("[limits]\nmax_pixels = 0").contains("limits.max_pixels"));
        assert!(error("[render]\ndeadline_seconds = 0").contains("render.deadline_seconds"));
        assert!(error("[[variant]]\nname = \"a/b\"").contains("variant name \"a/b\""));
        let many: String = (0..70)
            .map(|number| {
                format!(
                    "[[variant]]\nname = \"v{number}\"\nformats = [\"jxl\", \"avif\", \"webp\", \"jpeg\"]\n"
                )
            })
            .collect();
        let error = error(&many);
        assert!(
            error.contains("280 renditions") && error.contains("fewer variants"),
            "{error}"
        );
    }

    #[test]
    fn the_file_is_found_in_the_package_and_named_in_errors() {
        let folder = std::env::temp_dir().join(format!("tintype-aws-config-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        assert_eq!(Config::load(Some(&folder)).unwrap().recipe(), Recipe::default());
        let file = folder.join(FILE_NAME);
        std::fs::write(&file, "[render]\ndeadline_seconds = 7").unwrap();
        let config = Config::load(Some(&folder)).unwrap();
        assert_eq!(config.render_deadline(), Duration::from_secs(7));
        std::fs::write(&file, "nonsense").unwrap();
        let error = format!("{:#}", Config::load(Some(&folder)).unwrap_err());
        assert!(error.contains(&file.display().to_string()), "{error}");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
