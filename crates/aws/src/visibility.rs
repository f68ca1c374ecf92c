//! The visibility of messages in the queues that functions receive from.

use std::time::Duration;

use async_trait::async_trait;

use crate::RemoteError;
use crate::store::CallError;

/// A queue whose messages can be hidden for a time.
#[async_trait]
pub trait Visibility: Send + Sync + std::fmt::Debug {
    /// Hides the message of that receive for `delay` from now.
    ///
    /// # Errors
    /// When the queue does not answer or no longer knows the receive: the message comes back after the queue's own
    /// time.
    async fn hide(&self, receipt_handle: &str, delay: Duration) -> Result<(), RemoteError>;
}

/// An SQS queue.
#[derive(Clone, Debug)]
pub struct SqsVisibility {
    client: aws_sdk_sqs::Client,
    queue_url: String,
}

impl SqsVisibility {
    /// The queue with this URL.
    #[must_use]
    pub const fn new(client: aws_sdk_sqs::Client, queue_url: String) -> Self {
        Self { client, queue_url }
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
}
