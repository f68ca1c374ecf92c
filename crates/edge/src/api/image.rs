//! `/api/v1/image`: one picture.

use axum::extract::State as Extract;
use axum::{Extension, Json};
use http::{HeaderMap, StatusCode, Uri};
use tintype_catalog::{Delete, Reprocess, Shown, Tombstone, Unrecorded};
use tintype_model::{ObjectKey, Status};

use super::delivery::Delivery;
use super::dto::{Accepted, DeleteQuery, Image, ImageDetail, KeyQuery, Source};
use super::status::UnrecordedWords as _;
use super::time::timestamp;
use crate::access::Principal;
use crate::error::{Error, NO_IMAGE, PROBLEM, Problem, Result};
use crate::extract::{Params, object_key};
use crate::state::{Shared, State};

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
pub(super) async fn get_image(
    Extract(state): Shared,
    uri: Uri,
    headers: HeaderMap,
    Params(query): Params<KeyQuery>,
) -> Result<Json<ImageDetail>> {
    let key = object_key(query.key)?;
    let record = match state.edge.catalog.show(&key).await? {
        Shown::Recorded(record) => record,
        Shown::Unrecorded(found) => {
            return Ok(Json(ImageDetail {
                image: unrecorded(&state, &key, &found).await,
                current: None,
                versioned: None,
                duplicates: Vec::new(),
            }));
        }
        Shown::Missing => return Err(Error::NotFound(NO_IMAGE)),
    };
    let duplicates = state.edge.catalog.duplicates(&record).await?;
    let duplicates = duplicates.into_iter().map(|key| key.as_str().to_owned());
    let mut detail = ImageDetail {
        image: Image::new(&record, &state.recipe_hash),
        current: None,
        versioned: None,
        duplicates: duplicates.collect(),
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

/// A source without a record, in the form of an image.
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

/// Deletes a source; its renditions and its record follow. With `forget=true` no trace of the key is kept, not
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
pub(super) async fn delete_image(
    Extract(state): Shared,
    Extension(principal): Extension<Principal>,
    Params(query): Params<DeleteQuery>,
) -> Result<(StatusCode, Json<Accepted>)> {
    let key = object_key(query.key)?;
    let tombstone = if query.forget {
        Tombstone::Forget
    } else {
        Tombstone::Keep
    };
    match state.edge.catalog.delete(&key, tombstone).await? {
        Delete::Deleting => Ok(accepted(principal, &key, "deleting")),
        Delete::Forgetting => Ok(accepted(principal, &key, "forgetting")),
        Delete::NoImage => Err(Error::NotFound(NO_IMAGE)),
    }
}

/// The answer to work that goes on, which is logged together with who asked for it.
fn accepted(principal: Principal, key: &ObjectKey, status: &'static str) -> (StatusCode, Json<Accepted>) {
    tracing::info!(image.key = %key, by = principal.name(), "{status}");
    let key = key.as_str().to_owned();
    (StatusCode::ACCEPTED, Json(Accepted { key, status }))
}

/// Makes the renditions of a source again; or at once where it waits to be tried again, or for an event that may be
/// lost. What is published stays until that succeeds; another result is shown as `last_attempt`.
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
pub(super) async fn reprocess_image(
    Extract(state): Shared,
    Extension(principal): Extension<Principal>,
    Params(query): Params<KeyQuery>,
) -> Result<(StatusCode, Json<Accepted>)> {
    let key = object_key(query.key)?;
    match state.edge.catalog.reprocess(&key).await? {
        Reprocess::Queued => Ok(accepted(principal, &key, "reprocessing")),
        Reprocess::SourceGone => Err(Error::Conflict("the source is gone, there is nothing to render")),
        Reprocess::FolderMarker => Err(Error::Conflict(
            "the source shows a folder, there is nothing to render",
        )),
        Reprocess::NoImage => Err(Error::NotFound(NO_IMAGE)),
    }
}
