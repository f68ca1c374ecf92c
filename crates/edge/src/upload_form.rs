//! The form of an upload: the fields that its terms stand for, bound by a policy. It is the same on AWS and on
//! one machine, except for the signature.

use std::collections::BTreeMap;
use std::time::SystemTime;

use tintype_http::post_policy::{PolicySigner, PostPolicy, SizeRange};
use tintype_model::Focus;

use crate::port::UploadTerms;

impl UploadTerms<'_> {
    /// The form for these terms, which holds from `now` on, without its signature.
    ///
    /// It allows one object of the terms' key, of 1 to `max_bytes` bytes, of their media type and with their focal point.
    #[must_use]
    pub fn form(&self, signer: PolicySigner<'_>, now: SystemTime) -> PostPolicy {
        let mut fields = BTreeMap::from([("key".to_owned(), self.key.as_str().to_owned())]);
        if let Some(content_type) = self.content_type {
            fields.insert("Content-Type".to_owned(), content_type.to_owned());
        }
        if let Some(focus) = self.focus {
            fields.insert(format!("x-amz-meta-{}", Focus::METADATA), focus.to_string());
        }
        let size = SizeRange {
            min: 1,
            max: self.max_bytes,
        };
        PostPolicy::new(fields, size, signer, now, self.expires)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::UploadMethod;
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde_json::{Value, json};
    use std::time::{Duration, UNIX_EPOCH};
    use tintype_model::ObjectKey;

    fn form(key: &str, content_type: Option<&str>, session_token: Option<&str>) -> (Value, PostPolicy) {
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
        let form = terms.form(signer, UNIX_EPOCH + Duration::from_millis(1_700_000_000_999));
        let document = STANDARD.decode(form.string_to_sign()).unwrap();
        (serde_json::from_slice(&document).unwrap(), form)
    }

    #[test]
    fn the_policy_binds_everything_that_the_form_says() {
        let (document, form) = form("a/b.jpg", Some("image/jpeg"), Some("token"));
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
        assert_eq!(form.day(), "20231114");
        let conditions = document["conditions"].as_array().unwrap();
        let fields = form.into_fields("0".repeat(64));
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
        let (document, form) = form("a", None, None);
        let document = document.to_string();
        let fields = form.into_fields(String::new());
        for name in ["Content-Type", "x-amz-security-token", "x-amz-meta-focus"] {
            assert!(!fields.contains_key(name) && !document.contains(name), "{name}");
        }
    }
}
