use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Dimensions, Encoding, Format, ImageInfo, Recipe, Rejection, Tiles};

/// Limits on the cost of one source. No limit can be switched off.
///
/// In TOML it is the `[limits]` table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Largest source in bytes.
    ///
    /// Default: 64 MiB
    pub max_bytes: u64,
    /// Most pixels of one frame, from the header, before anything is allocated.
    ///
    /// Default: 50,000,000
    pub max_pixels: u64,
    /// Most frames of an animation.
    ///
    /// Default: 1,000
    pub max_frames: u32,
    /// Most pixels of all frames of an animation together, each frame counted as large as the canvas.
    ///
    /// Default: 500,000,000
    pub max_animation_pixels: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 64 << 20,
            max_pixels: 50_000_000,
            max_frames: 1_000,
            max_animation_pixels: 500_000_000,
        }
    }
}

/// The facts about a source that may reach its record, beyond those that always do.
///
/// In TOML it is the `[metadata]` table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetadataPolicy {
    /// True if the record may keep the place where a picture was taken. Renditions never do.
    ///
    /// Default: false
    pub gps: bool,
}

/// The whole set of renditions of one source.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// Format, size and further properties of the picture.
    pub image: ImageInfo,
    /// Name and version of the engine; part of every [`crate::Version`].
    pub engine: String,
    /// Every variant in every format of the recipe, in the recipe's order.
    pub files: Vec<RenderedFile>,
}

impl Rendered {
    /// The number of files whose tiles did not fit together ([`Tiles::Refused`]).
    #[must_use]
    pub fn tiles_refused(&self) -> u64 {
        let refused = |file: &&RenderedFile| file.encoding.tiles == Some(Tiles::Refused);
        self.files.iter().filter(refused).count() as u64
    }
}

/// One encoded rendition.
#[derive(Clone, Debug)]
pub struct RenderedFile {
    /// The variant's name.
    pub variant: String,
    /// The format.
    pub format: Format,
    /// Size in pixels.
    pub dimensions: Dimensions,
    /// The encoded file.
    pub bytes: Bytes,
    /// The details of its encoding, as far as they were chosen for this picture.
    pub encoding: Encoding,
    /// CPU time that encoding it took, where somebody measured it. It is no part of the result: the same source and
    /// recipe take longer on another machine.
    pub cpu: Option<Duration>,
}

/// The reason why there are no renditions.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The source is at fault: the answer is final.
    #[error("{}: {}", .0.code.name(), .0.detail)]
    Rejected(Rejection),
    /// The machine is at fault: the work should be tried again.
    #[error("rendering failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Turns the bytes of a source into all renditions of a recipe.
///
/// Implementations contain hostile input: whatever the bytes are, the caller gets an answer in bounded time.
#[async_trait]
pub trait Renderer: Send + Sync + std::fmt::Debug {
    /// Decodes once and encodes every rendition. The same bytes and recipe give the same files.
    async fn render(&self, source: Bytes, recipe: &Recipe) -> Result<Rendered, RenderError>;
}
