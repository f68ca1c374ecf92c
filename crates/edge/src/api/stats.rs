//! `GET /api/v1/stats`.

use axum::Json;
use axum::extract::State as Extract;
use serde::Serialize;
use tintype_model::StatusCounts;
use utoipa::ToSchema;

use super::time::timestamp;
use crate::cache::CacheStats;
use crate::error::Result;
use crate::port::QueueDepth;
use crate::state::Shared;

/// The state of the service as a whole: pictures, jobs, workers and cache.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Stats {
    /// Pictures by status.
    images: Counts,
    /// Jobs by state; absent when the queue did not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<QueueDepth>,
    /// Number of workers that take jobs.
    workers: u32,
    /// The cache of this process; absent where it delivers no pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    cache: Option<CacheInfo>,
}

/// Pictures by status.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Counts {
    /// Uploaded, not processed yet.
    pending: u64,
    /// Published.
    ready: u64,
    /// Not publishable.
    rejected: u64,
    /// Given up after all retries.
    failed: u64,
    /// True where there are too many to count within one request: each number is the least that there are. Absent
    /// where the numbers are exact.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    at_least: bool,
    /// When they were counted, RFC 3339 in UTC; absent where that was for this request.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    counted_at: Option<String>,
}

impl From<StatusCounts> for Counts {
    fn from(counts: StatusCounts) -> Self {
        let StatusCounts {
            pending,
            ready,
            rejected,
            failed,
            at_least,
            counted_at,
        } = counts;
        Self {
            pending,
            ready,
            rejected,
            failed,
            at_least,
            counted_at: counted_at.map(timestamp),
        }
    }
}

/// A cache of renditions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CacheInfo {
    /// Memory taken.
    bytes: u64,
    /// Memory that may be taken.
    capacity_bytes: u64,
    /// Number of renditions.
    entries: u64,
    /// Renditions read from it.
    hits: u64,
    /// Renditions read from the store.
    misses: u64,
}

impl From<CacheStats> for CacheInfo {
    fn from(stats: CacheStats) -> Self {
        let CacheStats {
            bytes,
            capacity_bytes,
            entries,
            hits,
            misses,
        } = stats;
        Self {
            bytes,
            capacity_bytes,
            entries,
            hits,
            misses,
        }
    }
}

/// Counts pictures and jobs.
#[utoipa::path(
    get,
    path = "/api/v1/stats",
    responses((status = 200, description = "Counts, as `counted_at` and `at_least` say", body = Stats)),
)]
pub(crate) async fn get_stats(Extract(state): Shared) -> Result<Json<Stats>> {
    let counts = state.edge.catalog.counts().await?;
    let health = state.edge.health.report().await;
    Ok(Json(Stats {
        images: counts.into(),
        queue: health.queue,
        workers: health.workers,
        cache: state.pictures.as_ref().map(|pictures| pictures.stats().into()),
    }))
}
