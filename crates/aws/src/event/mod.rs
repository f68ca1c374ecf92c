//! The messages of the queue: events of S3, jobs of our own, and any other text that is sent there.

mod s3;
mod sqs;

use serde::Deserialize;
use tintype_model::{Job, KeyError, ObjectKey, Sequencer, SequencerError};

pub use s3::decode_key;
pub use sqs::{BatchItemFailure, BatchResponse, SqsEvent, SqsMessage};

/// The version of our own messages that is read here.
const JOB_VERSION: u32 = 1;

/// The major version of S3's event records that is read here. Minor versions only add fields (S3 user guide, "Event
/// message structure").
const EVENT_MAJOR_VERSION: &str = "2";

/// The body of a message.
#[derive(Debug)]
pub enum Body {
    /// The test of S3 that it may send to the queue, when a notification is set up. It stands for no change.
    Test,
    /// Work without an event of its own, sent by the API (`{"tintype":1,"job":{…}}`).
    Job(Job),
    /// Changes in a bucket: at least one record. One that cannot be understood does not affect the others.
    Records(Vec<Result<Notice, RecordError>>),
}

/// One record of an S3 event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The bucket of the change.
    pub bucket: String,
    /// The key, decoded.
    pub key: ObjectKey,
    /// The change of the source.
    pub change: Change,
    /// Its place among the changes of this key. S3 sends it with every write and delete.
    pub sequencer: Option<Sequencer>,
}

/// A change of a source, by the kind of its event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A version was written: `ObjectCreated:*`.
    Created {
        /// Its `ETag`, without quotes.
        etag: Option<String>,
    },
    /// The key's current version was hidden by a delete marker: `ObjectRemoved:DeleteMarkerCreated` and
    /// `LifecycleExpiration:DeleteMarkerCreated`.
    Hidden,
    /// A client deleted an object, a version that need not be the current one, or a delete marker:
    /// `ObjectRemoved:Delete`.
    Deleted,
    /// A lifecycle rule deleted an object of a bucket without versions, a version that was not the current one, or
    /// the delete marker of a key without versions: `LifecycleExpiration:Delete`.
    Expired,
    /// Any other event: one that changes no picture, or that is not known yet.
    Unknown {
        /// The event's name.
        name: String,
    },
}

impl Change {
    /// The change by the event's name, with or without the `s3:` of notification configurations.
    ///
    /// New kinds of a known family count as that family: the notification asks for `ObjectCreated:*`, and an ignored
    /// event would be lost.
    fn named(name: &str, etag: Option<String>) -> Self {
        let name = name.strip_prefix("s3:").unwrap_or(name);
        match name.split_once(':') {
            Some(("ObjectCreated", _)) => Self::Created { etag },
            Some(("ObjectRemoved" | "LifecycleExpiration", "DeleteMarkerCreated")) => Self::Hidden,
            Some(("ObjectRemoved", _)) => Self::Deleted,
            Some(("LifecycleExpiration", _)) => Self::Expired,
            _ => Self::Unknown {
                name: name.to_owned(),
            },
        }
    }
}

/// The reason why a message cannot be understood. Trying again does not help; it ends in the dead-letter queue, with
/// this reason in the log.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The body is not JSON.
    #[error("the message is not JSON")]
    Json(#[source] serde_json::Error),
    /// JSON, but of no kind that is known here.
    #[error("the message is neither an S3 event nor a Tintype job")]
    Foreign,
    /// The body claims to be a message of ours, and is not.
    #[error("the message is no Tintype job of version {JOB_VERSION}")]
    Job(#[source] serde_json::Error),
    /// A later release sent it.
    #[error("the message is a Tintype job of version {0}; this release reads version {JOB_VERSION}")]
    JobVersion(u32),
    /// The body has `Records` that are not a list.
    #[error("the message's records are no list")]
    Records(#[source] serde_json::Error),
    /// S3 sends at least one.
    #[error("the message has no records")]
    Empty,
}

/// The reason why a record of a message cannot be understood. Trying again does not help: when the others of its
/// message are done, the message ends in the dead-letter queue, with this reason in the log.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The record does not have the form of S3's records.
    #[error("the record is no S3 event record")]
    Malformed(#[source] serde_json::Error),
    /// An incompatible event.
    #[error("the S3 event has version {0:?}; this release reads version {EVENT_MAJOR_VERSION}.x")]
    EventVersion(String),
    /// The key is not form-encoded UTF-8.
    #[error("the S3 event's key {0:?} is not form-encoded UTF-8")]
    Encoding(String),
    /// The key cannot be one of S3.
    #[error("the S3 event's key is not a valid object key")]
    Key(#[source] KeyError),
    /// The order of the event cannot be told.
    #[error("the S3 event cannot be ordered")]
    Sequencer(#[source] SequencerError),
}

/// The fields that distinguish the kinds of body. Other fields are ignored.
#[derive(Deserialize)]
struct Outline {
    tintype: Option<serde_json::Value>,
    #[serde(rename = "Records")]
    records: Option<serde_json::Value>,
    #[serde(rename = "Event")]
    event: Option<String>,
}

/// Our own message.
#[derive(Deserialize)]
struct JobMessage {
    job: Job,
}

impl Body {
    /// Reads the body of a message.
    ///
    /// # Errors
    /// When its kind is not known here, or it is malformed.
    pub fn parse(text: &str) -> Result<Self, BodyError> {
        let value: serde_json::Value = serde_json::from_str(text).map_err(BodyError::Json)?;
        let outline = Outline::deserialize(&value).map_err(|_| BodyError::Foreign)?;
        match outline {
            Outline {
                tintype: Some(version),
                ..
            } => Self::job(&version, value),
            Outline {
                records: Some(records),
                ..
            } => Self::records(records),
            Outline {
                event: Some(event), ..
            } if event == "s3:TestEvent" => Ok(Self::Test),
            Outline { .. } => Err(BodyError::Foreign),
        }
    }

    fn job(version: &serde_json::Value, message: serde_json::Value) -> Result<Self, BodyError> {
        let version = u32::deserialize(version).map_err(BodyError::Job)?;
        if version != JOB_VERSION {
            return Err(BodyError::JobVersion(version));
        }
        let JobMessage { job } = serde_json::from_value(message).map_err(BodyError::Job)?;
        Ok(Self::Job(job))
    }

    /// Reads the list of records. A record that cannot be read does not affect the others.
    fn records(records: serde_json::Value) -> Result<Self, BodyError> {
        let records: Vec<serde_json::Value> = serde_json::from_value(records).map_err(BodyError::Records)?;
        if records.is_empty() {
            return Err(BodyError::Empty);
        }
        Ok(Self::Records(records.into_iter().map(s3::notice).collect()))
    }
}

#[cfg(test)]
mod tests;
