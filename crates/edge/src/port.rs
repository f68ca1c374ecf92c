//! The ports that the edge needs of the shape that it runs in, beyond those of `tintype_model`.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tintype_model::{Focus, ObjectKey, StoreError};
use utoipa::ToSchema;

/// Longest life of a presigned upload: what a function signs with on AWS ends as well.
pub const MAX_UPLOAD_EXPIRY: Duration = Duration::from_mins(15);

/// Signs uploads, so that clients send bytes to the store of sources without passing through the edge.
#[async_trait]
pub trait UploadSigner: Send + Sync + std::fmt::Debug {
    /// A request that uploads one object on these terms and can do nothing else. It may hold for less than they
    /// allow, never for more.
    ///
    /// # Errors
    /// `Unavailable` when there are no credentials to sign with.
    async fn presign(&self, terms: &UploadTerms<'_>) -> Result<PresignedUpload, StoreError>;
}

/// The method of an upload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum UploadMethod {
    /// One request whose body is the object. Its key is bound, its size cannot be.
    Put,
    /// A form (`multipart/form-data`) under a policy that binds key and size.
    #[default]
    Post,
}

/// The terms that an upload is signed for.
#[derive(Clone, Copy, Debug)]
pub struct UploadTerms<'a> {
    /// This server as the client sees it (`https://host[:port]`, no slash at the end); stores with an address of
    /// their own ignore it.
    pub base_url: &'a str,
    /// The only key that it can be sent to. A form's has no `${filename}` in it, which stores would replace.
    pub key: &'a ObjectKey,
    /// The method by which it is sent.
    pub method: UploadMethod,
    /// The only media type that it can be sent with, in printable ASCII; none leaves a `PUT` any and a form none.
    pub content_type: Option<&'a str>,
    /// The place of the subject of the picture; for a form only.
    pub focus: Option<Focus>,
    /// The largest size of a form's file, in bytes; the smallest is 1.
    pub max_bytes: u64,
    /// The time for which it can be sent, from now on: 1 second to [`MAX_UPLOAD_EXPIRY`].
    pub expires: Duration,
}

/// An upload that is signed and ready to be sent by the method that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresignedUpload {
    /// The URL to send it to, signature included for `PUT`.
    pub url: String,
    /// Headers that have to be sent as they are.
    pub headers: BTreeMap<String, String>,
    /// Form fields to send before the file, for `POST`.
    pub fields: BTreeMap<String, String>,
    /// The time for which the signature holds, from now on.
    pub expires_in: Duration,
}

/// Reports the health of the machinery behind the edge.
#[async_trait]
pub trait Health: Send + Sync + std::fmt::Debug {
    /// The state right now. Called for `/healthz`, `/readyz`, `/metrics` and the API, so it has to be cheap; it
    /// cannot fail: what could not be found out is `None`.
    async fn report(&self) -> HealthReport;

    /// The kind of damage to the stored bytes of a source, in one word (`missing`, `cut`, `altered`, `unreadable`);
    /// `None` when none is known, and where the search for damage is left to the store.
    async fn source_damage(&self, _key: &ObjectKey) -> Option<&'static str> {
        None
    }
}

/// The health of the stores, the queue and the processes behind the edge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct HealthReport {
    /// True if requests should be sent here.
    pub ready: bool,
    /// The reasons why they should not, for people, without paths of files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// Level of confinement of the processes that decode images: `full`, `filtered` or `limited`; `None` where nothing is
    /// decoded.
    pub jail: Option<String>,
    /// The steps of that confinement, in one word each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub jail_steps: Vec<String>,
    /// Number of workers that take jobs.
    pub workers: u32,
    /// Jobs by state.
    pub queue: Option<QueueDepth>,
    /// The search for damage in stored files; `None` where the store itself sees to that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<StoredFiles>,
    /// Number of AVIF renditions since the server was started whose tiles did not fit together, for `/metrics` alone; `None`
    /// where nothing is rendered.
    #[serde(skip)]
    pub avif_tiles_refused: Option<u64>,
    /// The connections of clients, which only `/metrics` shows; `None` where somebody else accepts them.
    #[serde(skip)]
    pub connections: Option<ConnectionCounts>,
}

/// The connections of clients. All but `open` are counts since the server was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// Open now.
    pub open: u64,
    /// Accepted.
    pub accepted: u64,
    /// Refused, because their address had its share and all of it was being answered.
    pub refused: u64,
    /// Closed because the server had waited for the client for too long.
    pub timed_out: u64,
    /// Closed because the client sent bytes that are no HTTP/1.1.
    pub malformed: u64,
    /// Closed to make room for another one.
    pub closed_for_room: u64,
}

/// The search for damage in stored files. Counts are since the server was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct StoredFiles {
    /// Number of sources that are known to be damaged.
    pub damaged_sources: u64,
    /// Renditions that are known to be damaged, and are made again.
    pub damaged_renditions: u64,
    /// Files that were read.
    pub scrubbed: u64,
    /// Bytes that were read.
    pub scrubbed_bytes: u64,
    /// Searches through all files that were finished.
    pub scrub_passes: u64,
}

/// Number of jobs by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct QueueDepth {
    /// Waiting for a worker, or for the time of their next try.
    pub ready: u64,
    /// Jobs that a worker has taken and not finished.
    pub leased: u64,
    /// Given up after all retries.
    pub dead: u64,
}
