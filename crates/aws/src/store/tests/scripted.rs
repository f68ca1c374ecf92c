//! The real clients over a connection that answers what a test says, for answers that no emulator can be made to give.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::RetryConfig;
use bytes::Bytes;

/// The reaction of a scripted connection to one request: an answer with status, headers and body, or no answer.
pub(super) type Step = Result<(u16, Vec<(String, String)>, SdkBody), ()>;

/// An answer.
pub(super) fn respond(status: u16, headers: &[(&str, &str)], body: &str) -> Step {
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Ok((status, headers, SdkBody::from(body)))
}

/// The request may have had its effect, but its answer is lost.
pub(super) fn lose_the_answer() -> Step {
    Err(())
}

/// A request that a client sent.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) method: String,
    pub(super) uri: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
}

impl Sent {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(header, _)| header == name)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a request in JSON")
    }
}

/// Answers in order, and the requests that they answered.
#[derive(Clone, Debug)]
pub(super) struct Script {
    steps: Arc<Mutex<VecDeque<Step>>>,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl Script {
    pub(super) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self {
            steps: Arc::new(Mutex::new(steps.into_iter().collect())),
            sent: Arc::default(),
        }
    }

    /// Configuration of a client that talks to this script, and that retries without waiting.
    pub(super) fn config(&self) -> SdkConfig {
        let connector = SharedHttpConnector::new(self.clone());
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-north-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                "AKID", "secret", None, None, "test",
            )))
            .retry_config(
                RetryConfig::standard()
                    .with_max_attempts(3)
                    .with_initial_backoff(Duration::from_millis(1)),
            )
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .build()
    }

    /// The requests that were sent. Panics when an answer was not asked for.
    pub(super) fn finish(&self) -> Vec<Sent> {
        assert!(self.steps.lock().unwrap().is_empty(), "not all answers were used");
        self.sent.lock().unwrap().clone()
    }
}

impl HttpConnector for Script {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.sent.lock().unwrap().push(Sent {
            method: request.method().to_owned(),
            uri: request.uri().to_owned(),
            headers: request
                .headers()
                .iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            body: Bytes::copy_from_slice(request.body().bytes().unwrap_or_default()),
        });
        let step = self
            .steps
            .lock()
            .unwrap()
            .pop_front()
            .expect("an answer for every request");
        HttpConnectorFuture::ready(match step {
            Ok((status, headers, body)) => {
                let mut response = HttpResponse::new(status.try_into().unwrap(), body);
                for (name, value) in headers {
                    response.headers_mut().insert(name, value);
                }
                Ok(response)
            }
            Err(()) => Err(ConnectorError::io(
                io::Error::from(io::ErrorKind::ConnectionReset).into(),
            )),
        })
    }
}
