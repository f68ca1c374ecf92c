use std::error::Error as StdError;
use std::fmt;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use tintype_model::StoreError;

/// Tells whether DynamoDB refused a write because its condition did not hold.
pub(super) fn is_refusal<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> bool {
    error.as_service_error().and_then(ProvideErrorMetadata::code) == Some("ConditionalCheckFailedException")
}

/// A failed call to AWS: its name, the answer of the service, and its request id.
///
/// The message has the call and the reason of the service; `source()` has a cause only when there was no answer or when
/// it could not be read.
#[derive(Debug)]
pub struct CallError {
    operation: &'static str,
    answer: Option<Answer>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

#[derive(Debug)]
struct Answer {
    status: u16,
    code: Option<String>,
    message: Option<String>,
    request_id: Option<String>,
}

impl CallError {
    /// The error of the call `operation`, such as `s3:GetObject`.
    pub fn new<E>(operation: &'static str, error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        let metadata = error.as_service_error().map(ProvideErrorMetadata::meta);
        let answer = error.raw_response().map(|response| Answer {
            status: response.status().as_u16(),
            code: metadata.and_then(|meta| meta.code()).map(str::to_owned),
            message: metadata.and_then(|meta| meta.message()).map(str::to_owned),
            request_id: ["x-amzn-requestid", "x-amz-request-id"]
                .iter()
                .find_map(|name| response.headers().get(name))
                .map(str::to_owned),
        });
        // A refusal is complete; the SDK's error types would repeat parts of it.
        let refused = answer.as_ref().is_some_and(|answer| answer.status >= 400);
        let source = if refused { None } else { error.into_source().ok() };
        Self {
            operation,
            answer,
            source,
        }
    }

    /// The HTTP status of the answer, if there was one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.answer.as_ref().map(|answer| answer.status)
    }

    /// The service's error code, if it gave one: answers to `HEAD` have none.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.answer.as_ref()?.code.as_deref()
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(answer) = &self.answer else {
            return write!(f, "{} got no answer", self.operation);
        };
        write!(f, "{} was answered {}", self.operation, answer.status)?;
        if let Some(code) = &answer.code {
            write!(f, " {code}")?;
        }
        if let Some(message) = &answer.message {
            write!(f, " ({message})")?;
        }
        if let Some(id) = &answer.request_id {
            write!(f, ", request {id}")?;
        }
        Ok(())
    }
}

impl StdError for CallError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<CallError> for StoreError {
    fn from(error: CallError) -> Self {
        Self::unavailable(error)
    }
}

/// An item of the table that this version of Tintype would not write.
#[derive(Debug, thiserror::Error)]
pub enum ItemError {
    /// A required item is missing.
    #[error("item {pk:?} is not in the table")]
    Missing {
        /// Its hash key.
        pk: String,
    },
    /// An attribute is missing or of another kind.
    #[error("item has no attribute {name:?} of the right kind")]
    NoAttribute {
        /// Its name.
        name: &'static str,
    },
    /// The record in an item cannot be read.
    #[error("record in an item cannot be read")]
    Json(#[source] serde_json::Error),
}

impl From<ItemError> for StoreError {
    fn from(error: ItemError) -> Self {
        Self::unavailable(error)
    }
}
