//! The JSON that the API speaks. Independent of how records are stored, so that either can change alone.

use serde::{Deserialize, Serialize};
use tintype_model::{Encoding, ImageInfo, Record, Rendition, Status, Tiles};
use utoipa::{IntoParams, ToSchema};

use super::delivery::Delivery;
use super::facts::{Capture, Placeholder, colors};
use super::outcome::{Failure, LastAttempt, Rejection};
use super::status::{ListedStatus, Skip, StatusName, Waiting};
use super::time::timestamp;

/// The query that names a picture.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct KeyQuery {
    /// The source's key.
    pub key: String,
}

/// The query that names a picture to delete.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeleteQuery {
    /// The source's key.
    pub key: String,
    /// True to delete the record of the key as well, some 15 minutes after the picture; otherwise the record stays as a
    /// tombstone. When the picture is deleted already, this deletes its tombstone.
    #[serde(default)]
    pub forget: bool,
}

/// The query that chooses pictures for a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Only keys that start with this.
    #[serde(default)]
    pub prefix: String,
    /// Only this status; without it all but deleted ones.
    #[serde(default)]
    pub status: Option<ListedStatus>,
    /// Only pictures whose source has this SHA-256, in hexadecimal: those that are the same, byte for byte.
    #[serde(default)]
    #[param(min_length = 64, max_length = 64)]
    pub sha256: Option<String>,
    /// Only keys after this one in byte order: `next` of the page before.
    #[serde(default)]
    pub after: Option<String>,
    /// At most this many, 1 to 1,000. Pages also end before they pass 4,000,000 bytes.
    #[serde(default = "default_limit")]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub limit: usize,
}

pub(crate) const MAX_LIMIT: usize = 1000;

const fn default_limit() -> usize {
    100
}

/// The record of one picture. The parts that do not belong to its status are absent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Image {
    /// The source's key.
    pub key: String,
    /// The state of the source.
    pub status: StatusName,
    /// When that was written, RFC 3339 in UTC.
    #[schema(format = DateTime)]
    pub updated_at: String,
    /// The uploaded object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// The published set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published: Option<Published>,
    /// The time since which it waits, when it has no record: it is in no list then, and in no count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
    /// The reason why nothing is made of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip: Option<Skip>,
    /// The reason why nothing is published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejection: Option<Rejection>,
    /// The reason why processing was given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The newest work on it, when that came to nothing and left the status above as it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_attempt: Option<LastAttempt>,
}

/// An uploaded object.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Source {
    /// Its `ETag`, without quotes.
    pub etag: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// SHA-256 of its bytes in hexadecimal, once they were read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The kind of damage to its stored bytes: `missing`, `cut`, `altered` or `unreadable`; absent while none is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "altered")]
    pub damage: Option<&'static str>,
}

/// A published set of renditions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Published {
    /// Names this set in URLs under `/v/`.
    version: String,
    /// Hash of the recipe that it was made by.
    recipe: String,
    /// Name and version of the engine that made it.
    engine: String,
    /// True if the recipe in force is another one.
    stale: bool,
    /// Format, size and further properties of the picture.
    picture: Picture,
    /// Every variant in every format.
    renditions: Vec<RenditionInfo>,
}

/// The properties of a picture, as probing and decoding found them.
#[derive(Debug, Serialize, ToSchema)]
struct Picture {
    /// Format of the source by its content.
    #[schema(example = "jpeg")]
    format: String,
    /// Columns, after its orientation was applied.
    width: u32,
    /// Rows, after its orientation was applied.
    height: u32,
    /// EXIF orientation of the source, 1 to 8; it has been applied.
    orientation: u8,
    /// True if any pixel can be transparent.
    has_alpha: bool,
    /// Number of frames; 1 for a still picture.
    frames: u32,
    /// The duration of one play of an animation, in milliseconds; absent for a still picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 1200)]
    duration_ms: Option<u64>,
    /// Bits per channel in the source.
    bit_depth: u8,
    /// The colour space of the source's pixels.
    color_space: String,
    /// Description of the embedded ICC profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    icc_description: Option<String>,
    /// True if the source carries a gain map that brightens it on HDR screens; no rendition has one.
    has_gain_map: bool,
    /// True where a part of the picture was missing in the source. The renditions show the rest.
    is_truncated: bool,
    /// When and with what it was taken; absent when the source does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    capture: Option<Capture>,
    /// Placeholders to show while it loads; absent when an older release made the set, as the rest below.
    #[serde(skip_serializing_if = "Option::is_none")]
    placeholder: Option<Placeholder>,
    /// Its most prominent colours, the most prominent first; at most 6.
    #[serde(skip_serializing_if = "Option::is_none")]
    palette: Option<Vec<String>>,
    /// 64-bit perceptual hash in hexadecimal. Pictures that look alike differ in few bits; there is no search for them
    /// here.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "c3a51e70f08b2d96")]
    perceptual_hash: Option<String>,
}

/// One variant in one format.
#[derive(Debug, Serialize, ToSchema)]
struct RenditionInfo {
    /// Name of the variant.
    #[schema(example = "medium")]
    variant: String,
    /// The format.
    #[schema(example = "avif")]
    format: &'static str,
    /// Its media type.
    content_type: &'static str,
    /// Columns.
    width: u32,
    /// Rows.
    height: u32,
    /// Size in bytes.
    size_bytes: u64,
    /// Strong entity tag, without quotes.
    etag: String,
    /// Quality on the format's own scale, 1 to 100; absent where the recipe's number was taken as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 72, minimum = 1, maximum = 100)]
    quality: Option<u8>,
    /// SSIMULACRA2 score against the pixels that were encoded, 100 for the same pixels; absent where it was not
    /// measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 70.42)]
    score: Option<f32>,
    /// True if the pixels are exactly those that were encoded, by choice.
    is_lossless: bool,
    /// Number of frames; absent where it is a still picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 24, minimum = 2)]
    frames: Option<u32>,
    /// The reason why it is larger than the same variant in an older format; absent where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    larger_because: Option<String>,
    /// `refused` for a large AVIF whose tiles did not fit together, so that it took more memory to encode; absent else.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "refused")]
    tiles: Option<&'static str>,
    /// Older formats that negotiation sends in its place: smaller and no worse, smallest first; absent without any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stand_ins: Vec<&'static str>,
}

impl Image {
    /// `recipe_hash` is that of the recipe in force.
    pub(crate) fn new(record: &Record, recipe_hash: &str) -> Self {
        let mut image = Self {
            key: record.key.as_str().to_owned(),
            status: record.status.kind().into(),
            updated_at: timestamp(record.updated_at),
            source: record.source.as_ref().map(|source| Source {
                etag: source.etag.clone(),
                size_bytes: source.size_bytes,
                sha256: source.sha256.clone(),
                damage: None,
            }),
            published: None,
            waiting: None,
            skip: None,
            rejection: None,
            failure: None,
            last_attempt: record.attempt.as_ref().map(LastAttempt::new),
        };
        match &record.status {
            Status::Pending | Status::Deleted => {}
            Status::Ready {
                version,
                recipe: made_by,
                engine,
                image: picture,
                renditions,
            } => {
                image.published = Some(Published {
                    version: version.0.clone(),
                    recipe: made_by.clone(),
                    engine: engine.clone(),
                    stale: made_by != recipe_hash,
                    picture: Picture::new(picture),
                    renditions: renditions.iter().map(RenditionInfo::new).collect(),
                });
            }
            Status::Rejected { rejection } => {
                image.rejection = Some(Rejection::new(rejection));
            }
            Status::Failed { failure } => {
                image.failure = Some(Failure::new(failure));
            }
        }
        image
    }
}

impl Picture {
    fn new(image: &ImageInfo) -> Self {
        // Without `..`: a fact that is new to records has to be added here too.
        let ImageInfo {
            format,
            dimensions,
            orientation,
            has_alpha,
            frames,
            duration_ms,
            bit_depth,
            color_space,
            icc_description,
            has_gain_map,
            is_truncated,
            capture,
            appearance,
        } = image;
        let seen = appearance.as_ref();
        Self {
            format: format.clone(),
            width: dimensions.width,
            height: dimensions.height,
            orientation: *orientation,
            has_alpha: *has_alpha,
            frames: *frames,
            duration_ms: *duration_ms,
            bit_depth: *bit_depth,
            color_space: color_space.clone(),
            icc_description: icc_description.clone(),
            has_gain_map: *has_gain_map,
            is_truncated: *is_truncated,
            capture: capture.as_ref().map(Capture::new),
            placeholder: seen.map(Placeholder::new),
            palette: seen.map(|seen| colors(&seen.palette)),
            perceptual_hash: seen.map(|seen| seen.perceptual_hash.clone()),
        }
    }
}

impl RenditionInfo {
    fn new(rendition: &Rendition) -> Self {
        let Encoding {
            quality,
            score,
            is_lossless,
            frames,
            larger_because,
            tiles,
        } = &rendition.encoding;
        Self {
            variant: rendition.variant.clone(),
            format: rendition.format.name(),
            content_type: rendition.format.media_type(),
            width: rendition.dimensions.width,
            height: rendition.dimensions.height,
            size_bytes: rendition.size_bytes,
            etag: rendition.etag.clone(),
            quality: *quality,
            score: *score,
            is_lossless: *is_lossless,
            frames: *frames,
            larger_because: larger_because.clone(),
            tiles: tiles.map(Tiles::name),
            stand_ins: rendition.stand_ins.iter().map(|format| format.name()).collect(),
        }
    }
}

/// One picture and how to show it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImageDetail {
    /// The record of the picture.
    pub image: Image,
    /// URLs that show the newest version, cached for a day; absent while nothing is published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<Delivery>,
    /// URLs that name this version, cached for a year; absent while nothing is published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub versioned: Option<Delivery>,
    /// Keys of other pictures that are the same, byte for byte; at most 20.
    pub duplicates: Vec<String>,
}

/// Work that was accepted and goes on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Accepted {
    /// The source's key.
    pub key: String,
    /// `deleting`, `forgetting` or `reprocessing`.
    #[schema(example = "deleting")]
    pub status: &'static str,
}

/// The query that names a dead letter.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RedriveQuery {
    /// Its number; without one, all of them (on AWS at most 1,000).
    #[serde(default)]
    pub id: Option<i64>,
}

/// The jobs that were given up.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Dead {
    /// At most 1,000, the oldest first; on AWS a sample of all.
    pub items: Vec<DeadJob>,
}

/// A job that was given up.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeadJob {
    /// Its number.
    pub id: i64,
    /// The source's key; missing when the job cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The number of times that it was tried; on AWS plus the number of times that it was listed.
    pub attempts: u32,
    /// The last error, with its causes; on AWS a note that the record and the log have it.
    pub error: String,
    /// When it was given up, on AWS when it was queued (RFC 3339).
    pub died_at: String,
}

/// The dead letters that are tried again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Redriven {
    /// Their number.
    pub redriven: usize,
}
