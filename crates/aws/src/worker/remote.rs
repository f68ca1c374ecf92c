//! The services that the worker calls besides stores: the queue that its messages come from, and caches.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_cloudfront::operation::create_invalidation::CreateInvalidationError;
use aws_sdk_cloudfront::types::{InvalidationBatch, Paths};
use sha2::{Digest, Sha256};
use tintype_model::{Job, ObjectKey, Order, encode_path};

use crate::store::{CallError, SqsQueue};

/// A service's own error.
pub type RemoteError = Box<dyn std::error::Error + Send + Sync>;

/// The queue, as far as it decides when a message comes back.
#[async_trait]
pub trait Visibility: Send + Sync + std::fmt::Debug {
    /// Hides the message of that receive for `delay` from now.
    ///
    /// # Errors
    /// When the queue does not answer or no longer knows the receive.
    async fn hide(&self, receipt_handle: &str, delay: Duration) -> Result<(), RemoteError>;

    /// Has the job delivered anew after `delay`, with all of its receives before it. `times` is how often that happened,
    /// this time included.
    ///
    /// # Errors
    /// When the queue does not take it.
    async fn put_off(&self, job: &Job, times: u32, delay: Duration) -> Result<(), RemoteError>;
}

/// The answer of the caches to a request to forget paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgotten {
    /// They are at it.
    Accepted,
    /// They have as many such requests in progress as they allow. Nothing is wrong; later they will take it.
    Busy,
}

/// The caches in front of the store of renditions.
#[async_trait]
pub trait Caches: Send + Sync + std::fmt::Debug {
    /// Has them forget everything under these paths. Asking again with the same reference and paths does nothing more.
    ///
    /// # Errors
    /// When the request is not accepted.
    async fn forget(&self, reference: &str, paths: Vec<String>) -> Result<Forgotten, RemoteError>;
}

/// An SQS queue.
#[derive(Clone, Debug)]
pub struct SqsVisibility {
    client: aws_sdk_sqs::Client,
    queue_url: String,
    jobs: SqsQueue,
}

impl SqsVisibility {
    /// The queue with this URL.
    #[must_use]
    pub fn new(client: aws_sdk_sqs::Client, queue_url: String) -> Self {
        Self {
            jobs: SqsQueue::new(client.clone(), queue_url.clone()),
            client,
            queue_url,
        }
    }
}

#[async_trait]
impl Visibility for SqsVisibility {
    async fn hide(&self, receipt_handle: &str, delay: Duration) -> Result<(), RemoteError> {
        let seconds = i32::try_from(delay.as_secs())?;
        self.client
            .change_message_visibility()
            .queue_url(&self.queue_url)
            .receipt_handle(receipt_handle)
            .visibility_timeout(seconds)
            .send()
            .await
            .map_err(|error| CallError::new("sqs:ChangeMessageVisibility", error))?;
        Ok(())
    }

    async fn put_off(&self, job: &Job, times: u32, delay: Duration) -> Result<(), RemoteError> {
        Ok(self.jobs.send_later(job, times, delay).await?)
    }
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
    async fn forget(&self, reference: &str, paths: Vec<String>) -> Result<Forgotten, RemoteError> {
        let paths = Paths::builder()
            .quantity(i32::try_from(paths.len())?)
            .set_items(Some(paths))
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
        match sent {
            Ok(_) => Ok(Forgotten::Accepted),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(CreateInvalidationError::is_too_many_invalidations_in_progress) =>
            {
                Ok(Forgotten::Busy)
            }
            Err(error) => Err(CallError::new("cloudfront:CreateInvalidation", error).into()),
        }
    }
}

/// Every path that renditions of the key may be cached under: as viewers ask for them, and as the distribution's
/// function rewrites them, since it is not documented which of the two an invalidation is compared with (CloudFront
/// developer guide, "Changing the URI": invalidate both).
///
/// Paths of other keys that start with this one and a slash are among them; they are only fetched again.
pub(super) fn cached_paths(key: &ObjectKey) -> Vec<String> {
    let key = encode_path(key.as_str());
    vec![
        format!("/img/{key}/*"),
        format!("/v/{key}/*"),
        format!("/{key}/*"),
    ]
}

/// Names the invalidation for this removal of the key, so that a retry repeats it instead of paying for another one.
pub(super) fn reference(key: &ObjectKey, order: &Order) -> String {
    let digest = Sha256::digest(format!("{order} {}", key.as_str()));
    format!("tintype-{}", hex::encode(&digest[..16]))
}
