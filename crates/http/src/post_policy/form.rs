use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::json;

use super::{POLICY_FIELD, SIGNATURE_FIELD, SIZE_CONDITION, SizeRange};
use crate::ascii_json::ascii_json;
use crate::credential::{ALGORITHM, Credential, amz_date};

/// The signer of a policy, and its bucket.
#[derive(Clone, Copy)]
pub struct PolicySigner<'a> {
    /// The bucket's name.
    pub bucket: &'a str,
    /// The bucket's region.
    pub region: &'a str,
    /// The access key's id.
    pub access_key: &'a str,
    /// The session token of a temporary access key, which has to be sent besides the signature; `None` for any other
    /// key.
    pub session_token: Option<&'a str>,
}

impl std::fmt::Debug for PolicySigner<'_> {
    /// Leaves out the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PolicySigner")
            .field("bucket", &self.bucket)
            .field("region", &self.region)
            .field("access_key", &self.access_key)
            .finish_non_exhaustive()
    }
}

/// A form that is complete but for its signature.
///
/// Its policy allows a file of the given sizes and exactly the fields of the form: S3 refuses a form with a field that
/// its policy does not name.
#[derive(Clone, PartialEq, Eq)]
pub struct PostPolicy {
    fields: BTreeMap<String, String>,
    /// The document in Base64, which is the text to sign.
    encoded: String,
    /// The day of the signing key, `20261123`.
    day: String,
}

impl std::fmt::Debug for PostPolicy {
    /// Leaves out the fields, the session token among them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostPolicy")
            .field("day", &self.day)
            .finish_non_exhaustive()
    }
}

impl PostPolicy {
    /// The form with these fields, the object's key among them, for a file of a size within `size`, which holds for
    /// `validity` from `now` on.
    #[must_use]
    pub fn new(
        mut fields: BTreeMap<String, String>,
        size: SizeRange,
        signer: PolicySigner<'_>,
        now: SystemTime,
        validity: Duration,
    ) -> Self {
        let now = Timestamp::try_from(now).unwrap_or(Timestamp::MAX);
        let expires = now.saturating_add(validity).unwrap_or(Timestamp::MAX);
        let date = amz_date(now);
        let day = now.strftime("%Y%m%d").to_string();
        let credential = Credential {
            access_key: signer.access_key,
            day: &day,
            region: signer.region,
        };
        fields.insert("x-amz-algorithm".to_owned(), ALGORITHM.to_owned());
        fields.insert("x-amz-credential".to_owned(), credential.to_string());
        fields.insert("x-amz-date".to_owned(), date);
        if let Some(token) = signer.session_token {
            fields.insert("x-amz-security-token".to_owned(), token.to_owned());
        }
        let mut conditions = vec![
            json!({ "bucket": signer.bucket }),
            json!([SIZE_CONDITION, size.min, size.max]),
        ];
        conditions.extend(fields.iter().map(|(name, value)| json!({ name: value })));
        let document = json!({
            "expiration": expires.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string(),
            "conditions": conditions,
        });
        let document = ascii_json(&document).expect("a policy has only strings and numbers");
        // S3 reads a dollar sign as the start of a field's name. In JSON it stands in strings alone.
        let encoded = STANDARD.encode(document.replace('$', r"\u0024"));
        fields.insert(POLICY_FIELD.to_owned(), encoded.clone());
        Self { fields, encoded, day }
    }

    /// The text to sign: the policy in Base64.
    #[must_use]
    pub fn string_to_sign(&self) -> &str {
        &self.encoded
    }

    /// The day that the signing key is made for, in UTC, as in `20261123`.
    #[must_use]
    pub fn day(&self) -> &str {
        &self.day
    }

    /// The fields of the form with the signature, in hexadecimal, of [`Self::string_to_sign`].
    #[must_use]
    pub fn into_fields(mut self, signature: String) -> BTreeMap<String, String> {
        self.fields.insert(SIGNATURE_FIELD.to_owned(), signature);
        self.fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn documents_are_ascii_and_mean_the_key() {
        let key = "é 🐌 $\\\"\u{2028}.jpg";
        let signer = PolicySigner {
            bucket: "raw",
            region: "eu-west-1",
            access_key: "AKID",
            session_token: Some("secret token"),
        };
        let fields = BTreeMap::from([("key".to_owned(), key.to_owned())]);
        let size = SizeRange { min: 1, max: 1000 };
        let policy = PostPolicy::new(fields, size, signer, UNIX_EPOCH, Duration::from_secs(60));
        let document = String::from_utf8(STANDARD.decode(policy.string_to_sign()).unwrap()).unwrap();
        assert!(document.is_ascii() && !document.contains('$'), "{document}");
        let parsed: serde_json::Value = serde_json::from_str(&document).unwrap();
        let conditions = parsed["conditions"].as_array().unwrap();
        assert!(conditions.contains(&json!({ "key": key })));
        assert!(!format!("{policy:?} {signer:?}").contains("secret"));
        assert_eq!(policy.into_fields(String::new())["key"], key);
    }
}
