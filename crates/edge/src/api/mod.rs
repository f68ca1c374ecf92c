//! `/api/v1`: what programs ask for. Keys travel as a query parameter, because gateways rewrite paths.

mod dead;
mod delivery;
mod dto;
mod extract;
mod facts;
mod list;
mod outcome;
mod stats;
mod status;
mod upload;

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extract;
use axum::routing::{MethodRouter, get, post};
use http::{HeaderMap, StatusCode, Uri};
use tintype_model::{
    Job, ObjectKey, Order, Precondition, Record, RecordFilter, Sequencer, Status, StoreError, Work,
};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use crate::error::{Error, Problem, Result};
use crate::state::{Shared, State};

pub(crate) use delivery::Delivery;
pub(crate) use dto::timestamp;
use dto::{Accepted, DeleteQuery, Image, ImageDetail, KeyQuery, Source};
pub(crate) use extract::{FormBody, Params, object_key};
use status::NO_IMAGE;
pub(crate) use status::{ListedStatus, Unrecorded};

/// Media type of problem documents (RFC 9457).
const PROBLEM: &str = "application/problem+json";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tintype",
        description = "Uploads, records and URLs of pictures. Errors are problem documents (RFC 9457).",
    ),
    paths(
        upload::create_upload,
        list::list_images,
        get_image,
        delete_image,
        reprocess_image,
        dead::list_dead,
        dead::redrive_dead,
        stats::get_stats,
        get_document,
    ),
    security(("token" = [])),
    modifiers(&Common),
)]
struct Document;

/// A modifier that adds to the document the parts that all operations have in common.
struct Common;

/// Answers that any operation may give, besides its own.
const REFUSALS: [(&str, &str); 4] = [
    ("401", "There is no valid token or session"),
    (
        "403",
        "The write comes from another origin, or the gateway in front did not let the request through",
    ),
    ("421", "The Host is not one that this server answers for"),
    ("503", "A store did not answer; try again"),
];

impl Modify for Common {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(
                "The admin token. Behind API Gateway instead what its authorizer asks for: a JWT, or a signature \
                 (AWS Signature Version 4) for the service execute-api",
            ))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
        for path in document.paths.paths.values_mut() {
            let operations = [&mut path.get, &mut path.post, &mut path.delete];
            for operation in operations.into_iter().flatten() {
                for (status, description) in REFUSALS {
                    let problem = Ref::from_schema_name("Problem");
                    let content = ContentBuilder::new().schema(Some(problem)).build();
                    let response = ResponseBuilder::new()
                        .description(description)
                        .content(PROBLEM, content)
                        .build();
                    operation
                        .responses
                        .responses
                        .insert(status.to_owned(), response.into());
                }
            }
        }
    }
}

/// Every path of the API with its methods. The router is made from this list and nothing else.
pub(crate) fn routes() -> [(&'static str, MethodRouter<Arc<State>>); 8] {
    [
        ("/api/v1/uploads", post(upload::create_upload)),
        ("/api/v1/images", get(list::list_images)),
        ("/api/v1/image", get(get_image).delete(delete_image)),
        ("/api/v1/image/reprocess", post(reprocess_image)),
        ("/api/v1/dead", get(dead::list_dead)),
        ("/api/v1/dead/redrive", post(dead::redrive_dead)),
        ("/api/v1/stats", get(stats::get_stats)),
        ("/api/v1/openapi.json", get(get_document)),
    ]
}

/// Shows one picture, with its URLs and markup.
#[utoipa::path(
    get,
    path = "/api/v1/image",
    params(KeyQuery),
    responses(
        (status = 200, description = "The picture", body = ImageDetail),
        (status = 400, description = "The request is wrong", body = Problem, content_type = PROBLEM),
        (status = 404, description = "There is no such picture", body = Problem, content_type = PROBLEM),
    ),
)]
async fn get_image(
    Extract(state): Shared,
    uri: Uri,
    headers: HeaderMap,
    Params(query): Params<KeyQuery>,
) -> Result<Json<ImageDetail>> {
    let key = object_key(query.key)?;
    let Some(record) = live_record(&state, &key).await? else {
        let found = Unrecorded::find(&state, &key).await?;
        return Ok(Json(ImageDetail {
            image: unrecorded(&state, &key, &found).await,
            current: None,
            versioned: None,
            duplicates: Vec::new(),
        }));
    };
    let mut detail = ImageDetail {
        image: Image::new(&record, &state.recipe_hash),
        current: None,
        versioned: None,
        duplicates: duplicates(&state, &record).await?,
    };
    if let Some(source) = &mut detail.image.source {
        source.damage = state.edge.health.source_damage(&key).await;
    }
    if let Status::Ready {
        version, renditions, ..
    } = &record.status
    {
        let base = state.base_url(&uri, &headers)?;
        let delivery = |version| Delivery::new(&base, &key, version, renditions, &state.edge.recipe);
        detail.current = Some(delivery(None));
        detail.versioned = Some(delivery(Some(version)));
    }
    Ok(Json(detail))
}

/// The record, unless it is a tombstone.
pub(crate) async fn live_record(state: &State, key: &ObjectKey) -> Result<Option<Record>> {
    Ok(state.edge.metadata.get(key).await?.filter(is_live))
}

fn is_live(record: &Record) -> bool {
    record.status != Status::Deleted
}

/// Most keys of duplicates that are told.
const MAX_DUPLICATES: usize = 20;

/// Other keys whose sources have the same bytes.
async fn duplicates(state: &State, record: &Record) -> Result<Vec<String>> {
    let Some(sha256) = record.source.as_ref().and_then(|source| source.sha256.clone()) else {
        return Ok(Vec::new());
    };
    let filter = RecordFilter {
        sha256: Some(sha256),
        ..RecordFilter::default()
    };
    // The picture itself is among them.
    let same = state
        .edge
        .metadata
        .list(&filter, None, MAX_DUPLICATES + 1)
        .await?;
    let keys = same.items.into_iter().map(|same| same.key);
    Ok(keys
        .filter(|key| *key != record.key)
        .take(MAX_DUPLICATES)
        .map(|key| key.as_str().to_owned())
        .collect())
}

async fn unrecorded(state: &State, key: &ObjectKey, found: &Unrecorded) -> Image {
    let meta = found.meta();
    Image {
        key: meta.key.clone(),
        status: found.status(),
        updated_at: timestamp(meta.modified_at),
        source: Some(Source {
            etag: meta.etag.clone(),
            size_bytes: meta.size_bytes,
            sha256: None,
            damage: state.edge.health.source_damage(key).await,
        }),
        published: None,
        waiting: found.waiting(),
        skip: found.skip(),
        rejection: None,
        failure: None,
        last_attempt: None,
    }
}

/// Deletes a source; its renditions and its record follow. With `forget=true` nothing is kept that tells of the key, not
/// even that it was deleted.
#[utoipa::path(
    delete,
    path = "/api/v1/image",
    params(DeleteQuery),
    responses(
        (status = 202, description = "The source is deleted, the rest follows", body = Accepted),
        (status = 400, description = "The request is wrong", body = Problem, content_type = PROBLEM),
        (status = 404, description = "There is no such picture", body = Problem, content_type = PROBLEM),
    ),
)]
async fn delete_image(
    Extract(state): Shared,
    Params(query): Params<DeleteQuery>,
) -> Result<(StatusCode, Json<Accepted>)> {
    let key = object_key(query.key)?;
    let record = state.edge.metadata.get(&key).await?;
    let is_live = |record: &&Record| record.status != Status::Deleted;
    match state.edge.sources.head(key.as_str()).await {
        Ok(_) => {
            state
                .edge
                .sources
                .delete(key.as_str(), Precondition::None)
                .await?
        }
        Err(StoreError::NotFound) => match record.as_ref().filter(is_live) {
            // The source's own event was lost, or is under way: asking twice does no harm.
            Some(record) => {
                let order = record.newest_order().next_revision();
                enqueue(&state, &key, order, Work::Remove).await?;
            }
            None if query.forget && record.is_some() => {}
            None => return Err(Error::NotFound(NO_IMAGE)),
        },
        Err(error) => return Err(error.into()),
    }
    if !query.forget {
        return Ok(accepted(&key, "deleting"));
    }
    let order = record.map_or_else(
        || Order::of_event(Sequencer::from_counter(0)),
        |record| record.newest_order().next_revision(),
    );
    enqueue(&state, &key, order, Work::Forget).await?;
    Ok(accepted(&key, "forgetting"))
}

async fn enqueue(state: &State, key: &ObjectKey, order: Order, work: Work) -> Result<()> {
    let key = key.clone();
    Ok(state.edge.queue.enqueue(&Job { key, order, work }).await?)
}

fn accepted(key: &ObjectKey, status: &'static str) -> (StatusCode, Json<Accepted>) {
    let key = key.as_str().to_owned();
    (StatusCode::ACCEPTED, Json(Accepted { key, status }))
}

/// Makes the renditions of a source again; or at once where it waits to be tried again, or for an event that may be
/// lost. Until that succeeds, what is published stays; what it came to otherwise is told as `last_attempt`.
#[utoipa::path(
    post,
    path = "/api/v1/image/reprocess",
    params(KeyQuery),
    responses(
        (status = 202, description = "The work is queued", body = Accepted),
        (status = 400, description = "The request is wrong", body = Problem, content_type = PROBLEM),
        (status = 404, description = "There is no such picture", body = Problem, content_type = PROBLEM),
        (status = 409, description = "The source is gone, or shows a folder", body = Problem,
            content_type = PROBLEM),
    ),
)]
async fn reprocess_image(
    Extract(state): Shared,
    Params(query): Params<KeyQuery>,
) -> Result<(StatusCode, Json<Accepted>)> {
    let key = object_key(query.key)?;
    // The record first: when the source changes after that, the job's `ETag` tells the worker.
    let record = state.edge.metadata.get(&key).await?;
    let is_shown = record.as_ref().is_some_and(is_live);
    let source = match Unrecorded::find(&state, &key).await {
        Ok(Unrecorded::Waiting(source)) => source,
        Ok(Unrecorded::FolderMarker(_)) => {
            return Err(Error::Conflict(
                "the source shows a folder, there is nothing to render",
            ));
        }
        Err(Error::NotFound(_)) if is_shown => {
            return Err(Error::Conflict("the source is gone, there is nothing to render"));
        }
        Err(error) => return Err(error),
    };
    let job = Job {
        key: key.clone(),
        // After a tombstone too: the source was put again, and its event may be lost.
        order: Order::without_event(record.as_ref()),
        work: Work::Render { etag: source.etag },
    };
    state.edge.queue.enqueue(&job).await?;
    Ok(accepted(&key, "reprocessing"))
}

/// Describes this API (OpenAPI 3.1).
#[utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    responses((status = 200, description = "This document", body = serde_json::Value)),
)]
async fn get_document() -> Json<utoipa::openapi::OpenApi> {
    Json(Document::openapi())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_document_has_the_paths_of_the_router() {
        let routed: BTreeSet<String> = routes().into_iter().map(|(path, _)| path.to_owned()).collect();
        let documented: BTreeSet<String> = Document::openapi().paths.paths.into_keys().collect();
        assert_eq!(routed, documented);
    }
}
