use axum::Json;
use axum::extract::State as Extract;
use http::StatusCode;

use super::PROBLEM;
use super::dto::{Dead, DeadJob, RedriveQuery, Redriven, timestamp};
use super::extract::Params;
use crate::error::{Error, Problem, Result};
use crate::port::DeadLetters;
use crate::state::{Shared, State};

/// Most dead letters that are listed.
const MAX_LISTED: usize = 1000;

fn letters(state: &State) -> Result<&dyn DeadLetters> {
    state.edge.dead.as_deref().ok_or(Error::NotFound(
        "dead letters are in the queue's own dead-letter queue, which has its own tools",
    ))
}

/// Lists the jobs that were given up.
#[utoipa::path(
    get,
    path = "/api/v1/dead",
    responses(
        (status = 200, description = "The jobs that were given up", body = Dead),
        (status = 404, description = "They are kept elsewhere", body = Problem, content_type = PROBLEM),
    ),
)]
pub(crate) async fn list_dead(Extract(state): Shared) -> Result<Json<Dead>> {
    let listed = letters(&state)?.list(MAX_LISTED).await?;
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
#[utoipa::path(
    post,
    path = "/api/v1/dead/redrive",
    params(RedriveQuery),
    responses(
        (status = 202, description = "They are queued", body = Redriven),
        (status = 400, description = "The request is wrong", body = Problem, content_type = PROBLEM),
        (status = 404, description = "There is no such job", body = Problem, content_type = PROBLEM),
    ),
)]
pub(crate) async fn redrive_dead(
    Extract(state): Shared,
    Params(query): Params<RedriveQuery>,
) -> Result<(StatusCode, Json<Redriven>)> {
    let redriven = letters(&state)?.redrive(query.id).await?;
    if redriven == 0 && query.id.is_some() {
        return Err(Error::NotFound("there is no such dead letter"));
    }
    Ok((StatusCode::ACCEPTED, Json(Redriven { redriven })))
}
