//! S3's event records (S3 user guide, "Event message structure"), as far as they are needed. Fields that are not named
//! here are ignored: minor versions add some.

use serde::Deserialize;
use tintype_model::{ObjectKey, Sequencer, decode_component};

use super::{Change, EVENT_MAJOR_VERSION, Notice, RecordError};

/// The field that records of every major version have, to distinguish an incompatible record from a malformed one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Versioned {
    event_version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    event_name: String,
    s3: Entity,
}

#[derive(Deserialize)]
struct Entity {
    bucket: Bucket,
    object: Object,
}

#[derive(Deserialize)]
struct Bucket {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    key: String,
    e_tag: Option<String>,
    sequencer: Option<String>,
}

/// Reads one record.
pub(super) fn notice(record: serde_json::Value) -> Result<Notice, RecordError> {
    let Versioned { event_version } = Versioned::deserialize(&record).map_err(RecordError::Malformed)?;
    if event_version.split('.').next() != Some(EVENT_MAJOR_VERSION) {
        return Err(RecordError::EventVersion(event_version));
    }
    let Record { event_name, s3 } = serde_json::from_value(record).map_err(RecordError::Malformed)?;
    let Object {
        key,
        e_tag,
        sequencer,
    } = s3.object;
    let key = decode_key(&key).ok_or_else(|| RecordError::Encoding(key.clone()))?;
    let sequencer = sequencer.filter(|raw| !raw.is_empty());
    Ok(Notice {
        bucket: s3.bucket.name,
        key: ObjectKey::new(key).map_err(RecordError::Key)?,
        change: Change::named(&event_name, e_tag.as_deref().and_then(unquoted)),
        sequencer: sequencer
            .map(|raw| Sequencer::new(&raw))
            .transpose()
            .map_err(RecordError::Sequencer)?,
    })
}

/// Decodes the key of an event, once: it is encoded as HTML forms encode. `+` is a space and `%2B` a plus, then UTF-8.
///
/// `None` when an escape is incomplete or the bytes are not UTF-8; S3 sends neither.
#[must_use]
pub fn decode_key(raw: &str) -> Option<String> {
    decode_component(&raw.replace('+', " ")).ok()
}

/// Removes the quotes around an `ETag`, which S3 leaves out of events and some emulators do not.
fn unquoted(etag: &str) -> Option<String> {
    let etag = etag.trim_matches('"');
    (!etag.is_empty()).then(|| etag.to_owned())
}
