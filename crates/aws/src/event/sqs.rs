use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The input that Lambda invokes the function with: messages that it received for it (Lambda developer guide, "Using
/// Lambda with Amazon SQS").
#[derive(Clone, Debug, Deserialize)]
pub struct SqsEvent {
    /// The messages: at least one, unless the function is invoked by hand.
    #[serde(rename = "Records")]
    pub records: Vec<SqsMessage>,
}

/// One message.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SqsMessage {
    /// The name of the message in the answer.
    pub message_id: String,
    /// The name of this receive in requests to the queue.
    pub receipt_handle: String,
    /// The text that the sender sent.
    pub body: String,
    /// The attributes that the queue gives to it, by name.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

impl SqsMessage {
    /// The number of times that it was received, this one included.
    ///
    /// A queue always sends it; 1 otherwise, which only makes the next try come soon.
    #[must_use]
    pub fn receives(&self) -> u32 {
        let count = self.attributes.get("ApproximateReceiveCount");
        count.and_then(|count| count.parse().ok()).unwrap_or(1).max(1)
    }
}

/// The answer: the messages that the queue must keep. Lambda deletes all others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchResponse {
    /// The failed messages; empty when all succeeded.
    pub batch_item_failures: Vec<BatchItemFailure>,
}

/// A message that was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchItemFailure {
    /// Its [`SqsMessage::message_id`]. One that Lambda does not know fails the whole batch.
    pub item_identifier: String,
}
