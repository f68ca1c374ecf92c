//! The pages that show pictures.

use axum::extract::State as Extract;
use axum::response::Response;
use http::{HeaderMap, Uri};
use serde::Deserialize;
use tintype_catalog::Shown;
use tintype_model::{RecordFilter, Status, StatusKindError};

use super::page;
use crate::error::{Error, NO_IMAGE, Result};
use crate::extract::{Params, object_key};
use crate::markup::{Urls, markup};
use crate::state::Shared;

const PAGE_LENGTH: usize = 50;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    #[serde(default)]
    prefix: String,
    /// Empty, as forms send it, means all.
    #[serde(default)]
    status: String,
    #[serde(default)]
    after: Option<String>,
}

pub(super) async fn list(Extract(state): Shared, Params(params): Params<ListParams>) -> Result<Response> {
    let status = if params.status.is_empty() {
        None
    } else {
        let kind = params.status.parse();
        Some(kind.map_err(|error: StatusKindError| Error::BadRequest(error.to_string()))?)
    };
    let filter = RecordFilter {
        prefix: params.prefix,
        status,
        sha256: None,
    };
    let catalog = &state.edge.catalog;
    let page = catalog
        .list(&filter, params.after.as_deref(), PAGE_LENGTH)
        .await?;
    let counts = catalog.counts().await?;
    let health = state.edge.health.report().await;
    Ok(page::list(&page, &filter, counts, &health))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShowParams {
    key: String,
}

pub(super) async fn show(
    Extract(state): Shared,
    uri: Uri,
    headers: HeaderMap,
    Params(params): Params<ShowParams>,
) -> Result<Response> {
    let key = object_key(params.key)?;
    let record = match state.edge.catalog.show(&key).await? {
        Shown::Recorded(record) => record,
        Shown::Unrecorded(found) => return Ok(page::unrecorded(&key, &found)),
        Shown::Missing => return Err(Error::NotFound(NO_IMAGE)),
    };
    let picture = match &record.status {
        Status::Ready { renditions, .. } => {
            let base = state.base_url(&uri, &headers)?;
            let urls = Urls {
                base: &base,
                key: &key,
                version: None,
            };
            Some(markup(urls, renditions, &state.edge.recipe).picture)
        }
        Status::Pending | Status::Rejected { .. } | Status::Failed { .. } | Status::Deleted => None,
    };
    let damage = state.edge.health.source_damage(&key).await;
    Ok(page::image(&record, damage, picture.as_deref()))
}
