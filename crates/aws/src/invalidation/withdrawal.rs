use serde::{Deserialize, Serialize};
use tintype_http::ascii_json;
use tintype_model::ObjectKey;

/// The version of the messages that are written and read here.
const VERSION: u32 = 1;

/// The way in which something stopped being public.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// URLs show another picture now.
    Replaced,
    /// URLs show nothing any more: the picture was deleted, or replaced by one that cannot be published.
    Removed,
}

/// A message that renditions of a key, which were public, are not public any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawal {
    /// The source's key.
    pub key: ObjectKey,
    /// The way in which they stopped being public.
    pub kind: Kind,
}

/// The reason why a message is not a withdrawal.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The body is not JSON, or not of this form.
    #[error("the message is no withdrawal")]
    Json(#[source] serde_json::Error),
    /// A later release sent it.
    #[error("the message is of version {0}; this release reads version {VERSION}")]
    Version(u32),
}

/// The form of a message. Fields are only ever added.
#[derive(Serialize, Deserialize)]
struct Message<T> {
    tintype: u32,
    withdrawal: T,
}

impl Withdrawal {
    /// The body of its message: JSON in printable ASCII, since SQS refuses some characters that keys may have.
    ///
    /// # Errors
    /// Never; the form has no value that JSON cannot hold.
    pub fn to_body(&self) -> serde_json::Result<String> {
        ascii_json(&Message {
            tintype: VERSION,
            withdrawal: self,
        })
    }

    /// Reads the body of a message.
    ///
    /// # Errors
    /// When it is no message of this version.
    pub fn parse(body: &str) -> Result<Self, BodyError> {
        let message: Message<serde_json::Value> = serde_json::from_str(body).map_err(BodyError::Json)?;
        if message.tintype != VERSION {
            return Err(BodyError::Version(message.tintype));
        }
        serde_json::from_value(message.withdrawal).map_err(BodyError::Json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tintype_model::testing::conformance::nasty_keys;

    #[test]
    fn any_key_comes_back_out_of_characters_that_sqs_takes() {
        for key in nasty_keys() {
            let withdrawal = Withdrawal {
                key: ObjectKey::new(key).unwrap(),
                kind: Kind::Replaced,
            };
            let body = withdrawal.to_body().unwrap();
            assert!(body.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{body:?}");
            assert_eq!(Withdrawal::parse(&body).unwrap(), withdrawal);
        }
    }

    #[test]
    fn what_is_no_withdrawal_of_this_version_is_told_apart() {
        let error = |body: &str| Withdrawal::parse(body).unwrap_err().to_string();
        assert_eq!(error("x"), "the message is no withdrawal");
        assert_eq!(error(r#"{"tintype":1,"job":{}}"#), "the message is no withdrawal");
        let later = error(r#"{"tintype":2,"withdrawal":{"form":"unknown"}}"#);
        assert_eq!(later, "the message is of version 2; this release reads version 1");
    }
}
