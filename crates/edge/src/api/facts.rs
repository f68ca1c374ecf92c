//! Details of how a picture was taken and placeholders for it, as the API shows them.

use serde::Serialize;
use tintype_model::{Appearance, Rgb};
use utoipa::ToSchema;

/// When and with what a picture was taken, as its EXIF block says.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Capture {
    /// Local time, with the offset from UTC where the source has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2026-11-25T18:27:58+01:00")]
    taken_at: Option<String>,
    /// Maker of the camera.
    #[serde(skip_serializing_if = "Option::is_none")]
    make: Option<String>,
    /// Model of the camera.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    /// Model of the lens.
    #[serde(skip_serializing_if = "Option::is_none")]
    lens: Option<String>,
    /// The place where it was taken; only where the configuration says `gps = true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<Location>,
}

/// A place on Earth (WGS 84).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Location {
    /// Degrees, north positive.
    latitude: f64,
    /// Degrees, east positive.
    longitude: f64,
}

/// Placeholders to show while a picture loads.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Placeholder {
    /// ThumbHash (evanw.github.io/thumbhash) in base64; has the picture's aspect and transparency.
    thumbhash: String,
    /// BlurHash (blurha.sh), 4 by 3 components.
    blurhash: String,
    /// The colour that most of the picture is close to.
    #[schema(example = "#305c7a")]
    dominant_color: String,
}

impl Capture {
    pub(crate) fn new(capture: &tintype_model::Capture) -> Self {
        Self {
            taken_at: capture.taken_at.clone(),
            make: capture.make.clone(),
            model: capture.model.clone(),
            lens: capture.lens.clone(),
            location: capture.location.map(|place| Location {
                latitude: place.latitude,
                longitude: place.longitude,
            }),
        }
    }
}

impl Placeholder {
    pub(crate) fn new(appearance: &Appearance) -> Self {
        Self {
            thumbhash: appearance.thumbhash.clone(),
            blurhash: appearance.blurhash.clone(),
            dominant_color: appearance.dominant_color.into(),
        }
    }
}

/// Colours as `#rrggbb`.
pub(crate) fn colors(palette: &[Rgb]) -> Vec<String> {
    palette.iter().copied().map(String::from).collect()
}
