use serde::{Deserialize, Serialize};

/// The colours that a variant may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Color {
    /// Colours are converted to sRGB, which needs no profile; those outside it are clipped.
    #[default]
    Srgb,
    /// Colours are kept as far as today's wide-gamut displays show them: a source whose profile reaches beyond sRGB is
    /// converted to Display P3, and every file says so. Any other source is converted to sRGB.
    Keep,
}

impl Color {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
