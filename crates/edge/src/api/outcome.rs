//! The reasons why a picture is not published, or not published anew, in the API's words.

use serde::Serialize;
use tintype_model::{Attempt, AttemptResult};
use utoipa::ToSchema;

use super::time::timestamp;

/// The reason why nothing is published.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Rejection {
    /// The code of the reason, for programs.
    #[schema(example = "corrupt_image")]
    code: &'static str,
    /// An explanation, for people.
    detail: String,
}

/// The reason why processing was given up.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Failure {
    /// The last error.
    error: String,
    /// The number of times that it was tried.
    attempts: u32,
}

/// Work that came to nothing and left a picture as it was.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LastAttempt {
    /// Its place among the work on this key.
    #[schema(example = "00000000000000120000000000000000-00000001")]
    order: String,
    /// When it ended, RFC 3339 in UTC.
    #[schema(format = DateTime)]
    at: String,
    /// `rejected` or `failed`.
    #[schema(example = "rejected")]
    outcome: &'static str,
    /// The reason why the source would be rejected now.
    #[serde(skip_serializing_if = "Option::is_none")]
    rejection: Option<Rejection>,
    /// The reason why the work was given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<Failure>,
}

impl LastAttempt {
    pub(super) fn new(attempt: &Attempt) -> Self {
        let (rejection, failure) = match &attempt.result {
            AttemptResult::Rejected { rejection } => (Some(Rejection::new(rejection)), None),
            AttemptResult::Failed { failure } => (None, Some(Failure::new(failure))),
        };
        Self {
            order: attempt.order.to_string(),
            at: timestamp(attempt.at),
            outcome: attempt.result.name(),
            rejection,
            failure,
        }
    }
}

impl Rejection {
    pub(super) fn new(rejection: &tintype_model::Rejection) -> Self {
        Self {
            code: rejection.code.name(),
            detail: rejection.detail.clone(),
        }
    }
}

impl Failure {
    pub(super) fn new(failure: &tintype_model::Failure) -> Self {
        Self {
            error: failure.error.clone(),
            attempts: failure.attempts,
        }
    }
}
