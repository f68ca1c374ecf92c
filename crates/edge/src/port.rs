//! What the edge asks of the shape that it runs in, beyond the ports of `tintype_model`.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use tintype_model::{ObjectKey, StoreError};
use utoipa::ToSchema;

/// Signs uploads, so that clients send bytes to the store of sources without passing through the edge.
#[async_trait]
pub trait UploadSigner: Send + Sync + std::fmt::Debug {
    /// A request that, sent within `expires`, uploads one object to `key` and nothing else.
    ///
    /// `base_url` is this server as the client sees it (`https://host[:port]`, no slash at the end); stores with
    /// an address of their own ignore it. With a `content_type` the upload has to carry exactly that one.
    ///
    /// # Errors
    /// `Unavailable` when there are no credentials to sign with.
    async fn presign_put(
        &self,
        base_url: &str,
        key: &ObjectKey,
        content_type: Option<&str>,
        expires: Duration,
    ) -> Result<PresignedUpload, StoreError>;
}

/// An upload that is signed and ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresignedUpload {
    /// `PUT`, or `POST` for a form.
    pub method: String,
    /// Where to send it, signature included for `PUT`.
    pub url: String,
    /// Headers that have to be sent as they are.
    pub headers: BTreeMap<String, String>,
    /// Form fields to send before the file, for `POST`.
    pub fields: BTreeMap<String, String>,
    /// How long the signature holds from now on.
    pub expires_in: Duration,
}

/// Tells how the machinery behind the edge is doing.
#[async_trait]
pub trait Health: Send + Sync + std::fmt::Debug {
    /// The state right now. Called for `/healthz`, `/readyz`, `/metrics` and the API, so it has to be cheap; it
    /// cannot fail: what could not be found out is `None`.
    async fn report(&self) -> HealthReport;
}

/// How the machinery behind the edge is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct HealthReport {
    /// Whether requests should be sent here.
    pub ready: bool,
    /// Level of isolation of the processes that decode images; `None` where nothing is decoded.
    pub jail: Option<String>,
    /// Number of workers that take jobs.
    pub workers: u32,
    /// Jobs by state.
    pub queue: Option<QueueDepth>,
}

/// Number of jobs by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct QueueDepth {
    /// Waiting for a worker, or for the time of their next try.
    pub ready: u64,
    /// In the hands of a worker.
    pub leased: u64,
    /// Given up after all retries.
    pub dead: u64,
}
