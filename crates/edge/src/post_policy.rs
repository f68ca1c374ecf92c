//! POST policies: what both shapes let the holder of a form upload. Only the signature is the shape's own.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html>

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::SystemTime;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::{Value, json};
use tintype_model::Focus;

use crate::port::UploadTerms;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Who signs a policy, and for which bucket.
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
/// Its policy allows one object of the terms' key, of 1 to `max_bytes` bytes, of the terms' media type and with their
/// focal point, and no field that is not in the form: S3 refuses a form with a field that its policy does not name.
#[derive(Clone, PartialEq, Eq)]
pub struct PostPolicy {
    fields: BTreeMap<String, String>,
    /// Base64 of the document; what is signed.
    encoded: String,
    /// Day of the signing key, `20261123`.
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
    /// The form for these terms, which holds from `now` on.
    #[must_use]
    pub fn new(terms: &UploadTerms<'_>, signer: PolicySigner<'_>, now: SystemTime) -> Self {
        let now = Timestamp::try_from(now).unwrap_or(Timestamp::MAX);
        let expires = now.saturating_add(terms.expires).unwrap_or(Timestamp::MAX);
        let day = now.strftime("%Y%m%d").to_string();
        let scope = format!("{day}/{}/s3/aws4_request", signer.region);
        let mut fields = BTreeMap::from([
            ("key".to_owned(), terms.key.as_str().to_owned()),
            ("x-amz-algorithm".to_owned(), ALGORITHM.to_owned()),
            (
                "x-amz-credential".to_owned(),
                format!("{}/{scope}", signer.access_key),
            ),
            (
                "x-amz-date".to_owned(),
                now.strftime("%Y%m%dT%H%M%SZ").to_string(),
            ),
        ]);
        if let Some(content_type) = terms.content_type {
            fields.insert("Content-Type".to_owned(), content_type.to_owned());
        }
        if let Some(focus) = terms.focus {
            fields.insert(format!("x-amz-meta-{}", Focus::METADATA), focus.to_string());
        }
        if let Some(token) = signer.session_token {
            fields.insert("x-amz-security-token".to_owned(), token.to_owned());
        }
        let mut conditions = vec![
            json!({ "bucket": signer.bucket }),
            json!(["content-length-range", 1, terms.max_bytes]),
        ];
        conditions.extend(fields.iter().map(|(name, value)| json!({ name: value })));
        let document = json!({
            "expiration": expires.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string(),
            "conditions": conditions,
        });
        let encoded = STANDARD.encode(escaped(&document));
        fields.insert("policy".to_owned(), encoded.clone());
        Self { fields, encoded, day }
    }

    /// The text to sign: the policy in base64.
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
        self.fields.insert("x-amz-signature".to_owned(), signature);
        self.fields
    }
}

/// JSON in ASCII and without dollar signs, as S3 asks for: it reads a dollar sign as the start of a field's name.
fn escaped(document: &Value) -> String {
    let mut text = String::new();
    for character in document.to_string().chars() {
        if character.is_ascii() && character != '$' {
            text.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(text, "\\u{unit:04x}").expect("writing to a string cannot fail");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::UploadMethod;
    use std::time::{Duration, UNIX_EPOCH};
    use tintype_model::{Focus, ObjectKey};

    fn policy(
        key: &str,
        content_type: Option<&str>,
        session_token: Option<&str>,
    ) -> (String, Value, PostPolicy) {
        let key = ObjectKey::new(key).unwrap();
        let terms = UploadTerms {
            base_url: "https://img.example",
            key: &key,
            method: UploadMethod::Post,
            content_type,
            focus: session_token.map(|_| Focus { x: 3000, y: 7000 }),
            max_bytes: 1000,
            expires: Duration::from_secs(60),
        };
        let signer = PolicySigner {
            bucket: "raw",
            region: "eu-west-1",
            access_key: "AKID",
            session_token,
        };
        let policy = PostPolicy::new(
            &terms,
            signer,
            UNIX_EPOCH + Duration::from_millis(1_700_000_000_999),
        );
        let document = STANDARD.decode(policy.string_to_sign()).unwrap();
        let document = String::from_utf8(document).unwrap();
        let parsed = serde_json::from_str(&document).unwrap();
        (document, parsed, policy)
    }

    #[test]
    fn the_policy_binds_everything_that_the_form_says() {
        let (_, document, policy) = policy("a/b.jpg", Some("image/jpeg"), Some("token"));
        assert_eq!(
            document,
            json!({
                "expiration": "2023-11-14T22:14:20.000Z",
                "conditions": [
                    { "bucket": "raw" },
                    ["content-length-range", 1, 1000],
                    { "Content-Type": "image/jpeg" },
                    { "key": "a/b.jpg" },
                    { "x-amz-algorithm": "AWS4-HMAC-SHA256" },
                    { "x-amz-credential": "AKID/20231114/eu-west-1/s3/aws4_request" },
                    { "x-amz-date": "20231114T221320Z" },
                    { "x-amz-meta-focus": "0.3000,0.7000" },
                    { "x-amz-security-token": "token" },
                ],
            })
        );
        assert_eq!(policy.day(), "20231114");
        let conditions = document["conditions"].as_array().unwrap();
        let fields = policy.into_fields("0".repeat(64));
        for (name, value) in &fields {
            let bound = conditions.contains(&json!({ name: value }));
            assert_ne!(
                bound,
                ["policy", "x-amz-signature"].contains(&name.as_str()),
                "{name}"
            );
        }
    }

    #[test]
    fn without_a_type_or_a_token_there_is_no_field_for_it() {
        let (document, _, policy) = policy("a", None, None);
        let fields = policy.into_fields(String::new());
        for name in ["Content-Type", "x-amz-security-token", "x-amz-meta-focus"] {
            assert!(!fields.contains_key(name) && !document.contains(name), "{name}");
        }
    }

    #[test]
    fn documents_are_ascii_and_mean_the_key() {
        let key = "é 🐌 $\\\"\u{2028}.jpg";
        let (document, parsed, policy) = policy(key, None, None);
        assert!(document.is_ascii() && !document.contains('$'), "{document}");
        let conditions = parsed["conditions"].as_array().unwrap();
        assert!(conditions.contains(&json!({ "key": key })));
        assert_eq!(policy.into_fields(String::new())["key"], key);
    }

    #[test]
    fn tokens_are_not_shown() {
        let (_, _, policy) = policy("a", None, Some("secret token"));
        assert!(!format!("{policy:?}").contains("secret"));
    }
}
