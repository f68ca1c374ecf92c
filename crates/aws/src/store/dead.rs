use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{ChangeMessageVisibilityBatchRequestEntry, Message, MessageSystemAttributeName};
use sha2::{Digest, Sha256};
use tintype_model::{DeadLetter, DeadLetters, ObjectKey, Result, StoreError, UnixMillis};

use super::CallError;
use crate::event::Body;

/// The most messages of one call: SQS's own limit.
const BATCH: usize = 10;
/// The time for which messages that are looked at are hidden from others. They are shown again before that, unless the
/// process ends.
const LOOK: Duration = Duration::from_secs(60);
/// The time that SQS waits for a message: with any, it asks all of its servers (SQS developer guide, "long polling").
const WAIT: Duration = Duration::from_secs(1);
/// The text in the place of the last error, which SQS does not keep.
const ERROR: &str =
    "the queue does not keep the last error: the record of the key and the worker's log tell it";

/// The dead letters of an SQS queue: messages in another queue, which SQS moves there after their last receive.
///
/// To look at a message is to receive it. So [`DeadLetter::attempts`] counts looks too, a dead-letter queue must have no
/// redrive policy of its own, and of letters that somebody else looks at right now none is found.
/// [`DeadLetter::died_at`] is the time at which the message was sent. The number of a letter is a digest of its
/// message's identifier, below 2⁵³, which JSON keeps.
#[derive(Clone, Debug)]
pub struct SqsDeadLetters {
    client: Client,
    dead_letter_queue_url: String,
    queue_url: String,
}

impl SqsDeadLetters {
    /// The messages of the dead-letter queue, which go to the other queue when they are redriven.
    #[must_use]
    pub const fn new(client: Client, dead_letter_queue_url: String, queue_url: String) -> Self {
        Self {
            client,
            dead_letter_queue_url,
            queue_url,
        }
    }

    /// Some of the messages that nobody looks at; none only when there are none.
    async fn receive(&self) -> Result<Vec<Message>> {
        let answer = self
            .client
            .receive_message()
            .queue_url(&self.dead_letter_queue_url)
            .max_number_of_messages(count(BATCH))
            .visibility_timeout(seconds(LOOK))
            .wait_time_seconds(seconds(WAIT))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .send()
            .await
            .map_err(|error| CallError::new("sqs:ReceiveMessage", error))?;
        Ok(answer.messages.unwrap_or_default())
    }

    /// Shows messages to others again.
    async fn release(&self, messages: &[Message]) -> Result<()> {
        for batch in messages.chunks(BATCH) {
            let mut call = self
                .client
                .change_message_visibility_batch()
                .queue_url(&self.dead_letter_queue_url);
            for (index, message) in batch.iter().enumerate() {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(index.to_string())
                    .set_receipt_handle(message.receipt_handle.clone())
                    .visibility_timeout(0)
                    .build()
                    .map_err(StoreError::unavailable)?;
                call = call.entries(entry);
            }
            // A message that could not be shown again comes back by itself when `LOOK` is over.
            call.send()
                .await
                .map_err(|error| CallError::new("sqs:ChangeMessageVisibility", error))?;
        }
        Ok(())
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

    /// [`DeadLetters::redrive`] but for the release of `others`, which were looked at and are not meant.
    async fn send_back_those(&self, id: Option<i64>, others: &mut Vec<Message>) -> Result<usize> {
        let mut sent = 0;
        loop {
            let messages = self.receive().await?;
            if messages.is_empty() {
                return Ok(sent);
            }
            for message in messages {
                if id.is_some_and(|id| id != number(&message)) || (id.is_some() && sent > 0) {
                    others.push(message);
                    continue;
                }
                self.send_back(&message).await?;
                sent += 1;
            }
            if id.is_some() && sent > 0 {
                return Ok(sent);
            }
        }
    }
}

#[async_trait]
impl DeadLetters for SqsDeadLetters {
    async fn list(&self, limit: usize) -> Result<Vec<DeadLetter>> {
        let mut seen = Vec::new();
        while seen.len() < limit {
            let messages = self.receive().await?;
            if messages.is_empty() {
                break;
            }
            seen.extend(messages);
        }
        self.release(&seen).await?;
        let mut letters: Vec<DeadLetter> = seen.iter().map(letter).collect();
        letters.sort_by_key(|letter| letter.died_at);
        // SQS delivers a message more than once, now and then.
        let mut numbers = HashSet::new();
        letters.retain(|letter| numbers.insert(letter.id));
        letters.truncate(limit);
        Ok(letters)
    }

    async fn redrive(&self, id: Option<i64>) -> Result<usize> {
        let mut others = Vec::new();
        let sent = self.send_back_those(id, &mut others).await;
        self.release(&others).await?;
        sent
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
