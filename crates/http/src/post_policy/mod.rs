//! POST policies: the uploads that the signer of a form allows its holder. [`PostPolicy`] is the signer's side and
//! [`PolicyDocument`] the server's; the signature itself is made and checked by whoever has the secret.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html>

mod document;
mod form;

pub use document::{PolicyDocument, PolicyError};
pub use form::{PolicySigner, PostPolicy};

/// The sizes that the file of a form may have, in bytes; the condition `content-length-range`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeRange {
    /// The smallest size.
    pub min: u64,
    /// The largest size.
    pub max: u64,
}

const SIZE_CONDITION: &str = "content-length-range";

/// The field with the policy, in Base64.
const POLICY_FIELD: &str = "policy";

/// The field with the signature of the policy, in hexadecimal.
const SIGNATURE_FIELD: &str = "x-amz-signature";

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_form_keeps_to_its_own_policy(key in any::<String>(), region in "[a-z0-9]{1,9}", max in any::<u64>()) {
            let signer = PolicySigner { bucket: "raw", region: &region, access_key: "K", session_token: None };
            let size = SizeRange { min: 1, max };
            let fields = BTreeMap::from([("key".to_owned(), key), ("Content-Type".to_owned(), "image/png".to_owned())]);
            let validity = Duration::from_secs(60);
            let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
            let policy = PostPolicy::new(fields, size, signer, now, validity);
            let document = PolicyDocument::parse(policy.string_to_sign()).unwrap();
            let fields = policy.into_fields("signature".to_owned());
            let fields: BTreeMap<String, String> = fields
                .into_iter()
                .map(|(name, value)| (name.to_ascii_lowercase(), value))
                .collect();
            prop_assert_eq!(document.check(&fields, "raw"), Ok(size));
            prop_assert!(document.check(&fields, "other").is_err());
            let mut changed = fields.clone();
            changed.insert("content-type".to_owned(), "text/html".to_owned());
            prop_assert!(document.check(&changed, "raw").is_err());
        }
    }
}
