//! The queue between the worker and the invalidator.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use tintype_model::UnixMillis;

use super::Withdrawal;
use crate::RemoteError;
use crate::store::CallError;
use crate::visibility::{SqsVisibility, Visibility};

/// The most messages that SQS gives in one request.
const BATCH: i32 = 10;

/// The wait for a first message, in seconds. Any wait makes SQS ask all of its servers, so that an empty answer means
/// an empty queue.
const WAIT_SECONDS: i32 = 1;

/// The sending side of the queue, for the worker.
#[async_trait]
pub trait Withdrawals: Send + Sync + std::fmt::Debug {
    /// Sends a withdrawal; it is durable before this returns.
    ///
    /// # Errors
    /// When it is not accepted.
    async fn tell(&self, withdrawal: &Withdrawal) -> Result<(), RemoteError>;
}

/// A message that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The name of this receive.
    pub receipt: String,
    /// The number of times that it was received, this one included.
    pub receives: u32,
    /// The time at which it was sent.
    pub sent_at: UnixMillis,
    /// Its text.
    pub body: String,
}

/// The receiving side of the queue, for the invalidator.
#[async_trait]
pub trait Inbox: Visibility {
    /// Receives some messages, which are hidden from other receivers for a time; none when the queue is empty.
    ///
    /// # Errors
    /// When the queue does not answer.
    async fn take(&self) -> Result<Vec<Waiting>, RemoteError>;

    /// Deletes the message of that receive.
    ///
    /// # Errors
    /// When the message may still be there.
    async fn done(&self, receipt: &str) -> Result<(), RemoteError>;
}

/// Sends withdrawals to an SQS queue.
#[derive(Clone, Debug)]
pub struct SqsWithdrawals {
    client: Client,
    queue_url: String,
}

impl SqsWithdrawals {
    /// The queue with this URL.
    #[must_use]
    pub const fn new(client: Client, queue_url: String) -> Self {
        Self { client, queue_url }
    }
}

#[async_trait]
impl Withdrawals for SqsWithdrawals {
    async fn tell(&self, withdrawal: &Withdrawal) -> Result<(), RemoteError> {
        self.client
            .send_message()
            .queue_url(&self.queue_url)
            .message_body(withdrawal.to_body()?)
            .send()
            .await
            .map_err(|error| CallError::new("sqs:SendMessage", error))?;
        Ok(())
    }
}

/// Receives withdrawals from an SQS queue.
#[derive(Clone, Debug)]
pub struct SqsInbox {
    client: Client,
    queue_url: String,
    visibility: SqsVisibility,
}

impl SqsInbox {
    /// The queue with this URL.
    #[must_use]
    pub fn new(client: Client, queue_url: String) -> Self {
        Self {
            visibility: SqsVisibility::new(client.clone(), queue_url.clone()),
            client,
            queue_url,
        }
    }
}

#[async_trait]
impl Visibility for SqsInbox {
    async fn hide(&self, receipt_handle: &str, delay: Duration) -> Result<(), RemoteError> {
        self.visibility.hide(receipt_handle, delay).await
    }
}

#[async_trait]
impl Inbox for SqsInbox {
    async fn take(&self) -> Result<Vec<Waiting>, RemoteError> {
        let answer = self
            .client
            .receive_message()
            .queue_url(&self.queue_url)
            .max_number_of_messages(BATCH)
            .wait_time_seconds(WAIT_SECONDS)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .send()
            .await
            .map_err(|error| CallError::new("sqs:ReceiveMessage", error))?;
        Ok(answer
            .messages
            .unwrap_or_default()
            .into_iter()
            .map(waiting)
            .collect())
    }

    async fn done(&self, receipt: &str) -> Result<(), RemoteError> {
        self.client
            .delete_message()
            .queue_url(&self.queue_url)
            .receipt_handle(receipt)
            .send()
            .await
            .map_err(|error| CallError::new("sqs:DeleteMessage", error))?;
        Ok(())
    }
}

/// Reads a message. SQS always sends both attributes; a message without them counts as received for the first time, and
/// as old enough to be invalidated.
fn waiting(message: Message) -> Waiting {
    let attributes = message.attributes.unwrap_or_default();
    let number = |name| attributes.get(&name).and_then(|text| text.parse::<u64>().ok());
    let receives = number(MessageSystemAttributeName::ApproximateReceiveCount);
    Waiting {
        receipt: message.receipt_handle.unwrap_or_default(),
        receives: receives
            .and_then(|receives| u32::try_from(receives).ok())
            .unwrap_or(1),
        sent_at: UnixMillis(number(MessageSystemAttributeName::SentTimestamp).unwrap_or_default()),
        body: message.body.unwrap_or_default(),
    }
}
