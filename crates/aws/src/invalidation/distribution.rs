use async_trait::async_trait;
use aws_sdk_cloudfront::operation::create_invalidation::CreateInvalidationError;
use aws_sdk_cloudfront::types::{InvalidationBatch, Paths};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::RemoteError;
use crate::store::CallError;

/// The answer of the caches to a request to forget paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// They are at it.
    Accepted,
    /// They have as many such requests in progress, or get as many in a moment, as they allow. Nothing is wrong; later
    /// they will take it.
    Busy,
    /// They do not take one of the paths, and never will.
    Invalid,
}

/// The caches in front of the store of renditions.
#[async_trait]
pub trait Caches: Send + Sync + std::fmt::Debug {
    /// Invalidates everything under these paths. Asking again with the same reference and paths does nothing more.
    ///
    /// # Errors
    /// When there is no answer, or one that is not about the paths.
    async fn forget(&self, reference: &str, paths: &[String]) -> Result<Answer, RemoteError>;
}

/// A CloudFront distribution.
#[derive(Clone, Debug)]
pub struct Distribution {
    client: aws_sdk_cloudfront::Client,
    id: String,
}

impl Distribution {
    /// The distribution with this identifier.
    #[must_use]
    pub const fn new(client: aws_sdk_cloudfront::Client, id: String) -> Self {
        Self { client, id }
    }
}

#[async_trait]
impl Caches for Distribution {
    async fn forget(&self, reference: &str, paths: &[String]) -> Result<Answer, RemoteError> {
        let paths = Paths::builder()
            .quantity(i32::try_from(paths.len())?)
            .set_items(Some(paths.to_vec()))
            .build()?;
        let batch = InvalidationBatch::builder()
            .caller_reference(reference)
            .paths(paths)
            .build()?;
        let sent = self
            .client
            .create_invalidation()
            .distribution_id(&self.id)
            .invalidation_batch(batch)
            .send()
            .await;
        let Err(error) = sent else {
            return Ok(Answer::Accepted);
        };
        match error.as_service_error() {
            Some(refusal) if refusal.is_too_many_invalidations_in_progress() || is_throttling(refusal) => {
                Ok(Answer::Busy)
            }
            Some(refusal) if refusal.is_invalid_argument() => Ok(Answer::Invalid),
            _ => Err(CallError::new("cloudfront:CreateInvalidation", error).into()),
        }
    }
}

/// CloudFront has no error type for these codes; people report the first one (aws/aws-sdk-js issue 3983).
fn is_throttling(error: &CreateInvalidationError) -> bool {
    matches!(
        error.code(),
        Some("Throttling" | "ThrottlingException" | "TooManyRequestsException")
    )
}
