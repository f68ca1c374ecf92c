use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::{Attempt, Format, ObjectKey, Order, Rgb};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(pub u64);

impl From<SystemTime> for UnixMillis {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Dimensions {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Dimensions {
    /// Width times height.
    #[must_use]
    pub const fn pixels(self) -> u64 {
        self.width as u64 * self.height as u64
    }
}

/// An unguessable name for one published set of renditions of a key: 32 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub String);

/// The metadata of one key, as a store keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The source's key.
    pub key: ObjectKey,
    /// The newest work whose result the status is.
    pub order: Order,
    /// The state of the key: the published set, or the reason why nothing is published.
    pub status: Status,
    /// The time at which the status was written.
    pub updated_at: UnixMillis,
    /// The source that the status is about; `None` once it is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceInfo>,
    /// Newer work that left the status as it was; `None` when the status is the result of the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Attempt>,
}

/// The state of a key: the published set, or the reason why nothing is published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "most records are ready ones")]
pub enum Status {
    /// Uploaded, not processed yet. Yields to any other result of the same order.
    Pending,
    /// Every rendition of `recipe` is there.
    Ready {
        /// Names this set in URLs.
        version: Version,
        /// [`crate::Recipe::hash`] of the recipe that the set was made by.
        recipe: String,
        /// Name and version of the engine that made it.
        engine: String,
        /// Format, size and further properties of the picture.
        image: ImageInfo,
        /// Every variant in every format of the recipe.
        renditions: Vec<Rendition>,
    },
    /// The source is not an image that can be published; only a new upload, limit, recipe or engine changes that.
    Rejected {
        /// The reason, for programs and for people.
        rejection: Rejection,
    },
    /// Work failed until it was given up; it lies in the dead-letter state. Takes the place of `Pending` and yields to
    /// any other result of the same order.
    Failed {
        /// The last error, and the number of tries.
        failure: Failure,
    },
    /// The source was deleted: a tombstone that keeps late events from bringing it back.
    Deleted,
}

impl Status {
    /// The renditions that are published: none unless it is [`Self::Ready`].
    #[must_use]
    pub fn renditions(&self) -> &[Rendition] {
        match self {
            Self::Ready { renditions, .. } => renditions,
            Self::Pending | Self::Rejected { .. } | Self::Failed { .. } | Self::Deleted => &[],
        }
    }

    /// The finality of work that was given up.
    pub(crate) const GIVEN_UP: u8 = 1;

    /// The finality of what no other result of the same order replaces.
    pub(crate) const FINAL: u8 = 2;

    /// The finality of the status, 0 to 2: of two results of the same order the one with the higher finality stays.
    pub(crate) const fn finality(&self) -> u8 {
        match self {
            Self::Pending => 0,
            Self::Failed { .. } => Self::GIVEN_UP,
            Self::Ready { .. } | Self::Rejected { .. } | Self::Deleted => Self::FINAL,
        }
    }
}

/// The uploaded object that a record is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceInfo {
    /// Its `ETag`, without quotes.
    pub etag: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Lower-case hexadecimal SHA-256 of its bytes, when they were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// The properties of a picture, as probing and decoding found them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageInfo {
    /// The source's format by content: `jpeg`, `png`, `gif`, `webp`, `jxl`, `tiff`, `svg`, `bmp`, `ico`, ...
    pub format: String,
    /// Size in pixels, after its EXIF orientation was applied; of a drawing, what it was drawn at.
    pub dimensions: Dimensions,
    /// EXIF orientation found in the source, 1 to 8; 1 when there is none. It has been applied.
    pub orientation: u8,
    /// True if any pixel can be transparent.
    pub has_alpha: bool,
    /// Number of frames; 1 for a still picture.
    pub frames: u32,
    /// The duration of one play of an animation, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Bits per channel in the source.
    pub bit_depth: u8,
    /// The colour space of the source's pixels, before conversion to sRGB: `srgb`, `icc` for a profile, `grey`, `cmyk`,
    /// `pq` or `hlg` for a high dynamic range, `display-p3`, `rec2020` or `cicp` for colours that are given by code points, and
    /// `gamma` for primaries and a gamma.
    pub color_space: String,
    /// Description of the embedded ICC profile, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icc_description: Option<String>,
    /// True if the source carries a gain map that brightens it on HDR screens.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_gain_map: bool,
    /// True where a part of the picture was missing in the source. The renditions show the rest.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_truncated: bool,
    /// When and with what it was taken, as its EXIF block says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture: Option<Capture>,
    /// Placeholders, colours and perceptual hash of the picture; `None` when only its header was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appearance: Option<Appearance>,
}

impl ImageInfo {
    /// Motion, a gain map and missing parts, which few pictures have, to go on with behind other facts:
    /// `, 3 frames, 220 ms, gain map, truncated`, or nothing.
    pub fn extras(&self) -> impl fmt::Display {
        fmt::from_fn(|f| {
            if self.frames > 1 {
                write!(f, ", {} frames", self.frames)?;
            }
            if let Some(duration) = self.duration_ms {
                write!(f, ", {duration} ms")?;
            }
            if self.has_gain_map {
                write!(f, ", gain map")?;
            }
            if self.is_truncated {
                write!(f, ", truncated")?;
            }
            Ok(())
        })
    }
}

/// When and with what a picture was taken, as its EXIF block says. Strings are trimmed, without control characters,
/// at most 100 characters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Capture {
    /// Local time, `2026-11-25T18:27:58`, followed by `+01:00` where the source has the offset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_at: Option<String>,
    /// Maker of the camera.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub make: Option<String>,
    /// Model of the camera.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Model of the lens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lens: Option<String>,
    /// The place where it was taken; only when the configuration asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
}

/// A place on Earth (WGS 84).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Location {
    /// Degrees, north positive, -90 to 90.
    pub latitude: f64,
    /// Degrees, east positive, -180 to 180.
    pub longitude: f64,
}

/// Placeholders, colours and perceptual hash of the upright picture: to show while it loads, and to find it again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Appearance {
    /// ThumbHash (evanw.github.io/thumbhash) in base64.
    pub thumbhash: String,
    /// BlurHash (blurha.sh), 4 by 3 components.
    pub blurhash: String,
    /// The colour that most of the picture is close to.
    pub dominant_color: Rgb,
    /// Its most prominent colours, the most prominent first; at most 6.
    pub palette: Vec<Rgb>,
    /// 64-bit perceptual hash (DCT of 32 by 32 luma samples), 16 hexadecimal digits. Pictures that look alike differ
    /// in few bits.
    pub perceptual_hash: String,
}

/// One variant in one format.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rendition {
    /// The variant's name.
    pub variant: String,
    /// The format.
    pub format: Format,
    /// Size in pixels.
    pub dimensions: Dimensions,
    /// Size in bytes.
    pub size_bytes: u64,
    /// A digest of the bytes, without quotes: the strong entity tag where Tintype delivers them itself. CloudFront
    /// delivers S3's own.
    pub etag: String,
    /// The key of its bytes in the store of renditions.
    pub object_key: String,
    /// The details of its encoding, as far as they were chosen for this picture.
    #[serde(default, skip_serializing_if = "Encoding::is_unremarkable")]
    pub encoding: Encoding,
    /// Older formats of the same variant whose files are smaller and no worse, the smallest first: a client that takes one
    /// of them is not sent this file unless it asks for its format by name. The rule is `tintype_pipeline`'s.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stand_ins: Vec<Format>,
}

/// The details of a rendition's encoding, as far as they were chosen for the picture.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Encoding {
    /// The quality on the format's own scale, 1 to 100, when it was chosen for this picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<u8>,
    /// SSIMULACRA2 score against the pixels that were encoded, when it was measured; 100 is identical.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f32>,
    /// True if the pixels are exactly those that were encoded.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_lossless: bool,
    /// Number of frames, when there are more than one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frames: Option<u32>,
    /// The reason why it is larger than the same variant in an older format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub larger_because: Option<String>,
    /// The fate of the tiles of a large AVIF, when they were not put together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tiles: Option<Tiles>,
}

/// The fate of the tiles that a large AVIF is encoded in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tiles {
    /// They did not fit together: the whole was encoded at once, in 17 to 20 bytes of memory for each pixel.
    Refused,
}

impl Tiles {
    /// The word used in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
        }
    }
}

impl Encoding {
    /// Two scores that differ by less are the same.
    pub const SCORE_MARGIN: f32 = 0.5;

    /// True if no detail was chosen for the picture.
    #[must_use]
    pub fn is_unremarkable(&self) -> bool {
        *self == Self::default()
    }
}

/// The reason why a source is not published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// The reason, for programs.
    pub code: RejectionCode,
    /// The reason, for people: a lower-case fragment that names the value and the limit.
    pub detail: String,
}

impl Rejection {
    /// A rejection with its explanation.
    pub fn new(code: RejectionCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
        }
    }
}

/// The closed set of reasons for a rejection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectionCode {
    /// The key cannot travel through a CDN ([`crate::Unservable`]).
    UnservableKey,
    /// The source is a rendition that Tintype made: rendering it could feed the pipeline with its own output.
    OwnRendition,
    /// The source has no bytes.
    Empty,
    /// The source is larger than [`crate::Limits::max_bytes`].
    TooManyBytes,
    /// The source is in an archive of its store (S3's Glacier classes) and cannot be read.
    Archived,
    /// The header announces more than [`crate::Limits::max_pixels`].
    TooManyPixels,
    /// The header announces more than [`crate::Limits::max_frames`].
    TooManyFrames,
    /// The content is no format that is read here.
    UnsupportedFormat,
    /// The content claims a format and breaks its rules.
    CorruptImage,
    /// The process that decoded it, alone on the machine, passed its memory, CPU or time limit, or crashed by itself. A
    /// process that something else ended says nothing of the source.
    DecoderKilled,
}

impl RejectionCode {
    /// The word used in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnservableKey => "unservable_key",
            Self::OwnRendition => "own_rendition",
            Self::Empty => "empty",
            Self::TooManyBytes => "too_many_bytes",
            Self::Archived => "archived",
            Self::TooManyPixels => "too_many_pixels",
            Self::TooManyFrames => "too_many_frames",
            Self::UnsupportedFormat => "unsupported_format",
            Self::CorruptImage => "corrupt_image",
            Self::DecoderKilled => "decoder_killed",
        }
    }
}

/// Work that was given up after all its retries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The last error, with its causes.
    pub error: String,
    /// The number of times that it was tried.
    pub attempts: u32,
}

/// The result of processing one job. Every one of them acknowledges the job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The record shows the work's result: a published set, or a removal.
    Processed,
    /// There was nothing to do.
    Skipped(Skip),
    /// The record says why nothing is published, or that what was published before stays.
    Rejected(Rejection),
}

/// The reason why there was nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// The same work was done before.
    Duplicate,
    /// Newer work on the key is done or queued.
    Superseded,
    /// A zero-byte key that ends in `/`.
    FolderMarker,
}
