use axum::extract::State as Extract;
use axum::{Extension, Json};
use http::StatusCode;
use tintype_catalog::Redrive;

use super::dto::{Dead, DeadJob, RedriveQuery, Redriven};
use super::time::timestamp;
use crate::access::Principal;
use crate::error::{Error, PROBLEM, Problem, Result};
use crate::extract::Params;
use crate::state::Shared;

/// Most dead letters that are listed.
const MAX_LISTED: usize = 1000;

/// Lists the jobs that were given up.
///
/// On AWS these are messages in an SQS queue, which can only be sampled, by receiving them. There may be more than the list
/// has (`queue.dead` of `/api/v1/stats` counts them). While a list is made, for some seconds at most, its messages are
/// hidden from other lists and from redrives; for a minute if the function ends before it shows them again. `attempts`
/// counts lists too, `died_at` is the time of sending, and `error` says where to look for the error.
#[utoipa::path(
    get,
    path = "/api/v1/dead",
    responses(
        (status = 200, description = "The jobs that were given up", body = Dead),
    ),
)]
pub(crate) async fn list_dead(Extract(state): Shared) -> Result<Json<Dead>> {
    let listed = state.edge.catalog.dead_letters(MAX_LISTED).await?;
    let items = listed.into_iter().map(|letter| DeadJob {
        id: letter.id,
        key: letter.key.map(|key| key.as_str().to_owned()),
        attempts: letter.attempts,
        error: letter.error,
        died_at: timestamp(letter.died_at),
    });
    Ok(Json(Dead {
        items: items.collect(),
    }))
}

/// Has jobs that were given up tried again, as if for the first time.
///
/// On AWS one request redrives at most 1,000, and stops after ten seconds: repeat it until `redriven` is 0. A job that
/// another list or redrive has in hand at that moment is not found.
#[utoipa::path(
    post,
    path = "/api/v1/dead/redrive",
    params(RedriveQuery),
    responses(
        (status = 202, description = "They are queued", body = Redriven),
        (status = 400, description = "The request is wrong", body = Problem, content_type = PROBLEM),
        (status = 404, description = "There is no such job, or on AWS it is hidden for a moment", body = Problem, content_type = PROBLEM),
    ),
)]
pub(crate) async fn redrive_dead(
    Extract(state): Shared,
    Extension(principal): Extension<Principal>,
    Params(query): Params<RedriveQuery>,
) -> Result<(StatusCode, Json<Redriven>)> {
    match state.edge.catalog.redrive(query.id).await? {
        Redrive::Queued(redriven) => {
            tracing::info!(redriven, by = principal.name(), "dead letters are tried again");
            Ok((StatusCode::ACCEPTED, Json(Redriven { redriven })))
        }
        Redrive::NoLetter => Err(Error::NotFound("there is no such dead letter")),
    }
}
