use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use futures::future::join_all;
use sha2::{Digest, Sha256};
use tintype_model::{DeadLetter, DeadLetters, ObjectKey, Result, StoreError, UnixMillis, error_chain};
use tokio::time::Instant;

use super::CallError;
use crate::event::Body;
use crate::visibility::{SqsVisibility, Visibility as _};

/// The most messages of one receive: SQS's own limit. As many calls are made at once.
const BATCH: usize = 10;
/// The most messages that a redrive looks at.
const MOST: usize = 1000;
/// The time after which a call receives no more messages, far below the timeout of the API function.
const TIME: Duration = Duration::from_secs(10);
/// The time for which messages that are looked at are hidden from others: longer than any call takes. They are shown
/// again as soon as the call is done with them, unless the process ends before that.
const LOOK: Duration = Duration::from_secs(60);
/// The time that SQS waits for a message: with any, it asks all of its servers (SQS developer guide, "long polling").
const WAIT: Duration = Duration::from_secs(1);
/// The text in the place of the last error, which SQS does not keep.
const ERROR: &str = "the queue does not keep the last error: see the record of the key and the worker's log";

/// The dead letters of an SQS queue: messages in another queue, which SQS moves there after their last receive.
///
/// SQS shows a message only to whom receives it. So [`DeadLetter::attempts`] counts looks too, a dead-letter queue must
/// have no redrive policy of its own, and letters that another call looks at right now are not found.
/// [`DeadLetter::died_at`] is the time at which the message was sent. The number of a letter is a digest of its
/// message's identifier, below 2⁵³, which JSON keeps.
///
/// A call ends in time for the answer to a request, however many messages there are: a list and a redrive of all then
/// leave some for the next call, and a redrive of one that was not seen among the first is `Unavailable`.
///
/// There are no batch calls besides receiving: ten single ones at once are as fast for so few messages, and the IAM of
/// emulators has other actions for batches than AWS.
#[derive(Clone, Debug)]
pub struct SqsDeadLetters {
    client: Client,
    dead_letter_queue: SqsVisibility,
    dead_letter_queue_url: String,
    queue_url: String,
    /// The time after which a call receives no more messages.
    pub(super) time: Duration,
}

/// The reason why one letter was not redriven: there are more than a call looks at.
#[derive(Debug, thiserror::Error)]
#[error(
    "the dead letter is not among the {looked_at} that were looked at, and there are more: redrive all of them"
)]
struct NotAmongTheFirst {
    looked_at: usize,
}

impl SqsDeadLetters {
    /// The messages of the dead-letter queue, which go to the other queue when they are redriven.
    #[must_use]
    pub fn new(client: Client, dead_letter_queue_url: String, queue_url: String) -> Self {
        Self {
            dead_letter_queue: SqsVisibility::new(client.clone(), dead_letter_queue_url.clone()),
            client,
            dead_letter_queue_url,
            queue_url,
            time: TIME,
        }
    }

    /// At most `limit` of the messages that nobody looks at, ten at most; none only when there are none.
    async fn receive(&self, limit: usize) -> Result<Vec<Message>> {
        let answer = self
            .client
            .receive_message()
            .queue_url(&self.dead_letter_queue_url)
            .max_number_of_messages(count(limit.min(BATCH)))
            .visibility_timeout(seconds(LOOK))
            .wait_time_seconds(seconds(WAIT))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .send()
            .await
            .map_err(|error| CallError::new("sqs:ReceiveMessage", error))?;
        Ok(answer.messages.unwrap_or_default())
    }

    /// Receives messages into `seen` until there are `limit`, until no more are to be seen, or until the time is over.
    async fn collect(&self, limit: usize, seen: &mut Vec<Message>) -> Result<()> {
        let end = Instant::now() + self.time;
        while seen.len() < limit {
            let messages = self.receive(limit - seen.len()).await?;
            if messages.is_empty() {
                break;
            }
            seen.extend(messages);
            if Instant::now() >= end {
                break;
            }
        }
        Ok(())
    }

    /// Shows messages to others again. One that could not be shown comes back by itself when [`LOOK`] is over, which
    /// is no reason to fail.
    async fn release(&self, messages: &[Message]) {
        for batch in messages.chunks(BATCH) {
            let calls = batch.iter().map(|message| {
                let receipt_handle = message.receipt_handle.as_deref().unwrap_or_default();
                self.dead_letter_queue.hide(receipt_handle, Duration::ZERO)
            });
            for error in join_all(calls).await.into_iter().filter_map(Result::err) {
                tracing::warn!(
                    error = error_chain(&*error),
                    "a dead letter stays hidden for a minute"
                );
            }
        }
    }

    /// Sends the message to the queue, and then takes it out of the dead letters. In between it is in both: jobs may
    /// be delivered twice, and are never lost.
    async fn send_back(&self, message: &Message) -> Result<()> {
        self.client
            .send_message()
            .queue_url(&self.queue_url)
            .set_message_body(message.body.clone())
            .send()
            .await
            .map_err(|error| CallError::new("sqs:SendMessage", error))?;
        self.client
            .delete_message()
            .queue_url(&self.dead_letter_queue_url)
            .set_receipt_handle(message.receipt_handle.clone())
            .send()
            .await
            .map_err(|error| CallError::new("sqs:DeleteMessage", error))?;
        Ok(())
    }

    /// Sends back the messages of one receive, and shows those again with which it failed.
    async fn send_back_all(&self, messages: Vec<Message>) -> Result<usize> {
        let results = join_all(messages.iter().map(|message| self.send_back(message))).await;
        let (mut sent, mut failed, mut first_error) = (0, Vec::new(), None);
        for (message, result) in messages.into_iter().zip(results) {
            match result {
                Ok(()) => sent += 1,
                Err(error) => {
                    failed.push(message);
                    first_error.get_or_insert(error);
                }
            }
        }
        self.release(&failed).await;
        first_error.map_or(Ok(sent), Err)
    }

    async fn redrive_all(&self) -> Result<usize> {
        let end = Instant::now() + self.time;
        let mut sent = 0;
        while sent < MOST {
            let messages = self.receive(MOST - sent).await?;
            if messages.is_empty() {
                break;
            }
            sent += self.send_back_all(messages).await?;
            if Instant::now() >= end {
                break;
            }
        }
        Ok(sent)
    }

    /// The message with this number; every other that was looked at is put into `others`.
    async fn find(&self, id: i64, others: &mut Vec<Message>) -> Result<Option<Message>> {
        let end = Instant::now() + self.time;
        loop {
            let messages = self.receive(MOST - others.len()).await?;
            if messages.is_empty() {
                return Ok(None);
            }
            let (mut found, rest): (Vec<Message>, Vec<Message>) =
                messages.into_iter().partition(|message| number(message) == id);
            others.extend(rest);
            if let Some(message) = found.pop() {
                return Ok(Some(message));
            }
            if others.len() >= MOST || Instant::now() >= end {
                let looked_at = others.len();
                return Err(StoreError::unavailable(NotAmongTheFirst { looked_at }));
            }
        }
    }

    async fn redrive_one(&self, id: i64) -> Result<usize> {
        let mut others = Vec::new();
        let found = self.find(id, &mut others).await;
        self.release(&others).await;
        match found? {
            Some(message) => self.send_back_all(vec![message]).await,
            None => Ok(0),
        }
    }
}

#[async_trait]
impl DeadLetters for SqsDeadLetters {
    async fn list(&self, limit: usize) -> Result<Vec<DeadLetter>> {
        let mut seen = Vec::new();
        let collected = self.collect(limit, &mut seen).await;
        self.release(&seen).await;
        collected?;
        let mut letters: Vec<DeadLetter> = seen.iter().map(letter).collect();
        letters.sort_by_key(|letter| letter.died_at);
        // SQS delivers a message more than once, now and then.
        let mut numbers = HashSet::new();
        letters.retain(|letter| numbers.insert(letter.id));
        Ok(letters)
    }

    async fn redrive(&self, id: Option<i64>) -> Result<usize> {
        match id {
            Some(id) => self.redrive_one(id).await,
            None => self.redrive_all().await,
        }
    }
}

fn letter(message: &Message) -> DeadLetter {
    let attribute = |name: MessageSystemAttributeName| {
        let attributes = message.attributes.as_ref()?;
        attributes.get(&name)?.parse::<u64>().ok()
    };
    let receives = attribute(MessageSystemAttributeName::ApproximateReceiveCount).unwrap_or(1);
    DeadLetter {
        id: number(message),
        key: key(message.body.as_deref().unwrap_or_default()),
        attempts: u32::try_from(receives).unwrap_or(u32::MAX),
        error: ERROR.to_owned(),
        died_at: UnixMillis(attribute(MessageSystemAttributeName::SentTimestamp).unwrap_or_default()),
    }
}

/// The key that a message is about, when it is about one.
fn key(body: &str) -> Option<ObjectKey> {
    match Body::parse(body).ok()? {
        Body::Job(job) => Some(job.key),
        Body::Records(records) => records
            .into_iter()
            .find_map(|record| record.ok().map(|notice| notice.key)),
        Body::Test => None,
    }
}

/// The number of a letter: 53 bits of a digest of the identifier, which SQS keeps when it moves a message.
fn number(message: &Message) -> i64 {
    let digest = Sha256::digest(message.message_id.as_deref().unwrap_or_default());
    let (first, _) = digest.split_at(8);
    let bits = first.iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte));
    i64::try_from(bits >> 11).expect("53 bits fit")
}

fn count(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}
