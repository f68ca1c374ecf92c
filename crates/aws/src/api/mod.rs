//! The API function: the edge's router behind an API Gateway HTTP API.
//!
//! The gateway authorises every route (IAM or JWT) and says whom it let in, in the event that it invokes the function
//! with. A request without that is refused, whatever its headers say. Whoever may invoke the function directly could
//! write such an event, so the function's policy lets nobody but its gateway do that.

mod answer;
mod event;
mod health;
mod start;
mod uploads;

use std::time::Instant;

use axum::Router;
use lambda_runtime::Diagnostic;
use serde_json::Value;
use tintype_edge::Edge;
use tintype_model::error_chain;
use tower::ServiceExt as _;

use self::event::Incoming;
use crate::environment::Authorizer;

pub use self::answer::Answer;
pub use self::event::EventError;
pub use self::health::QueueHealth;
pub use self::start::main;
pub use self::uploads::S3Uploads;

/// The reason why an invocation has no answer. API Gateway makes a 500 of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no request.
    #[error(transparent)]
    Event(#[from] EventError),
    /// The answer broke off.
    #[error("the answer could not be read to its end")]
    Answer(#[source] axum::Error),
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        let error_type = match error {
            Error::Event(_) => "NotAnHttpApiRequest",
            Error::Answer(_) => "BrokenAnswer",
        };
        Self {
            error_type: error_type.to_owned(),
            error_message: error_chain(&error),
        }
    }
}

/// Answers invocations.
#[derive(Clone, Debug)]
pub struct Api {
    router: Router,
    authorizer: Authorizer,
}

impl Api {
    /// The edge with access by a gateway that has this kind of authorizer.
    pub fn new(edge: Edge, authorizer: Authorizer) -> Self {
        Self {
            router: tintype_edge::router(edge),
            authorizer,
        }
    }

    /// Answers one invocation.
    ///
    /// # Errors
    /// When the payload is not a request of an API Gateway HTTP API. What is wrong with a request is an answer.
    pub async fn answer(&self, payload: Value) -> Result<Answer, Error> {
        let started = Instant::now();
        let Incoming { request, principal } = event::read(payload, self.authorizer)?;
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let Ok(response) = self.router.clone().oneshot(request).await;
        let answer = Answer::of(response).await.map_err(Error::Answer)?;
        tracing::info!(
            method = method.as_str(),
            path,
            status = answer.status_code,
            principal,
            bytes = answer.body.len(),
            milliseconds = started.elapsed().as_secs_f64() * 1000.0,
            "answered"
        );
        Ok(answer)
    }
}

#[cfg(test)]
mod tests;
