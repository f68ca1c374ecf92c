//! The check of the POST policy of a form: its signature here, its document by [`tintype_http::post_policy`].

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use s3s::{S3Error, S3ErrorCode, S3Result};
use subtle::ConstantTimeEq as _;
use tintype_http::post_policy::{PolicyDocument, PolicyError, SizeRange};
use tintype_http::{ALGORITHM, Credential, parse_amz_date};

use super::config::{BUCKET, S3Config};
use super::error::fail;
use super::sigv4::{hmac_sha256, signing_key};

/// The most time that a client's clock may be ahead of ours.
const MAX_SKEW: SignedDuration = SignedDuration::from_mins(15);

/// The text fields of a form by their names in lower case.
pub(crate) type Fields = BTreeMap<String, String>;

#[expect(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
fn refused(error: PolicyError) -> S3Error {
    let code = match error {
        PolicyError::Invalid(_) => S3ErrorCode::InvalidPolicyDocument,
        PolicyError::Denied(_) => S3ErrorCode::AccessDenied,
    };
    fail(code, error.to_string())
}

/// Checks signature, validity and conditions of a form, and tells the sizes that its file may have.
///
/// # Errors
/// When the form is not signed, has expired, or is not signed for these fields.
pub(crate) fn check(config: &S3Config, fields: &Fields, now: Timestamp) -> S3Result<SizeRange> {
    let signed_at = check_signature(config, fields)?;
    let document = PolicyDocument::parse(field(fields, "policy")?).map_err(refused)?;
    document.check_time(now).map_err(refused)?;
    if signed_at.duration_since(now) > MAX_SKEW {
        return Err(fail(
            S3ErrorCode::RequestTimeTooSkewed,
            "The difference between the request time and the current time is too large.",
        ));
    }
    document.check(fields, BUCKET).map_err(refused)
}

fn field<'a>(fields: &'a Fields, name: &str) -> S3Result<&'a str> {
    fields.get(name).map(String::as_str).ok_or_else(|| {
        fail(
            S3ErrorCode::AccessDenied,
            format!("Access Denied: the form has no {name} field."),
        )
    })
}

/// Checks the signature, which covers the policy as it was sent, and returns the time at which it was made.
fn check_signature(config: &S3Config, fields: &Fields) -> S3Result<Timestamp> {
    if fields.contains_key("awsaccesskeyid") || fields.contains_key("signature") {
        return Err(fail(
            S3ErrorCode::InvalidRequest,
            "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
        ));
    }
    let policy = field(fields, "policy")?;
    let signature = field(fields, "x-amz-signature")?;
    if field(fields, "x-amz-algorithm")? != ALGORITHM {
        return Err(fail(
            S3ErrorCode::InvalidRequest,
            format!("x-amz-algorithm must be {ALGORITHM}."),
        ));
    }
    let date = field(fields, "x-amz-date")?;
    let signed_at = parse_amz_date(date).ok_or_else(|| {
        fail(
            S3ErrorCode::AccessDenied,
            "Access Denied: x-amz-date is not a date.",
        )
    })?;
    let credential = Credential::parse(field(fields, "x-amz-credential")?)
        .filter(|credential| date.starts_with(credential.day))
        .ok_or_else(|| {
            fail(
                S3ErrorCode::AccessDenied,
                "Access Denied: x-amz-credential is not KEY/DATE/REGION/s3/aws4_request of the day of x-amz-date.",
            )
        })?;
    if credential.access_key.is_empty() || credential.access_key != config.access_key {
        let message = "The AWS Access Key Id you provided does not exist in our records.";
        return Err(fail(S3ErrorCode::InvalidAccessKeyId, message));
    }
    let key = signing_key(&config.secret_key, credential.day, credential.region, "s3");
    let expected = hex::encode(hmac_sha256(&key, policy.as_bytes()));
    if bool::from(expected.as_bytes().ct_eq(signature.as_bytes())) {
        Ok(signed_at)
    } else {
        Err(S3Error::new(S3ErrorCode::SignatureDoesNotMatch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde_json::{Value, json};

    fn config() -> S3Config {
        S3Config {
            access_key: "K".into(),
            secret_key: "secret".into(),
            region: "us-east-1".into(),
            allowed_origins: Vec::new(),
            public_url: None,
        }
    }

    fn now() -> Timestamp {
        "2026-11-23T12:00:00Z".parse().unwrap()
    }

    /// A signed form with the given fields, whose policy has the given conditions.
    fn form(expiration: &str, conditions: &Value, others: &[(&str, &str)]) -> Fields {
        let mut fields = Fields::from([
            ("x-amz-algorithm".into(), ALGORITHM.into()),
            (
                "x-amz-credential".into(),
                "K/20261123/us-east-1/s3/aws4_request".into(),
            ),
            ("x-amz-date".into(), "20261123T115900Z".into()),
        ]);
        let mut all = conditions.as_array().unwrap().clone();
        all.extend(fields.iter().map(|(name, value)| json!({ name.as_str(): value })));
        let policy = json!({ "expiration": expiration, "conditions": all }).to_string();
        let policy = STANDARD.encode(policy);
        let key = signing_key("secret", "20261123", "us-east-1", "s3");
        fields.insert(
            "x-amz-signature".into(),
            hex::encode(hmac_sha256(&key, policy.as_bytes())),
        );
        fields.insert("policy".into(), policy);
        fields.extend(
            others
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        fields
    }

    fn outcome(fields: &Fields) -> String {
        match check(&config(), fields, now()) {
            Ok(size) => format!("{}..={}", size.min, size.max),
            Err(error) => error.code().as_str().to_owned(),
        }
    }

    const SOON: &str = "2026-11-23T12:10:00.000Z";

    #[test]
    fn fields_must_match_their_conditions() {
        let conditions = json!([
            {"bucket": "raw"}, ["starts-with", "$key", "user/"], ["eq", "$Content-Type", "image/png"],
            ["content-length-range", 1, 10]
        ]);
        let check = |key, content_type| {
            outcome(&form(
                SOON,
                &conditions,
                &[("key", key), ("content-type", content_type)],
            ))
        };
        assert_eq!(check("user/a", "image/png"), "1..=10");
        assert_eq!(check("other/a", "image/png"), "AccessDenied");
        assert_eq!(check("user/a", "image/jpeg"), "AccessDenied");
        assert_eq!(
            outcome(&form(SOON, &conditions, &[("key", "user/a")])),
            "AccessDenied"
        );
        let extra = [
            ("key", "user/a"),
            ("content-type", "image/png"),
            ("x-amz-meta-a", "b"),
        ];
        assert_eq!(outcome(&form(SOON, &conditions, &extra)), "AccessDenied");
        let ignored = [
            ("key", "user/a"),
            ("content-type", "image/png"),
            ("x-ignore-a", "b"),
        ];
        assert_eq!(outcome(&form(SOON, &conditions, &ignored)), "1..=10");
    }

    #[test]
    fn other_buckets_are_refused() {
        assert_eq!(
            outcome(&form(SOON, &json!([{"bucket": "other"}]), &[])),
            "AccessDenied"
        );
    }

    #[test]
    fn all_size_ranges_hold() {
        let conditions = json!([
            ["content-length-range", 1, 100],
            ["content-length-range", "5", "1000"]
        ]);
        assert_eq!(outcome(&form(SOON, &conditions, &[])), "5..=100");
        assert_eq!(
            outcome(&form(SOON, &json!([["content-length-range", -1, 100]]), &[])),
            "InvalidPolicyDocument"
        );
    }

    #[test]
    fn forms_must_be_signed_and_in_time() {
        let none = json!([]);
        assert_eq!(outcome(&form(SOON, &none, &[])), format!("0..={}", u64::MAX));
        assert_eq!(outcome(&form("2026-11-23T11:59:59Z", &none, &[])), "AccessDenied");
        // The week of presigned URLs is none of forms.
        for late in ["2026-11-30T11:59:01Z", "2036-11-23T12:00:00Z"] {
            assert_eq!(outcome(&form(late, &none, &[])), format!("0..={}", u64::MAX));
        }
        assert_eq!(outcome(&form("soon", &none, &[])), "InvalidPolicyDocument");
        assert_eq!(outcome(&Fields::new()), "AccessDenied");
        let changed = |name: &str, value: Option<&str>| {
            let mut fields = form(SOON, &none, &[]);
            match value {
                Some(value) => fields.insert(name.to_owned(), value.to_owned()),
                None => fields.remove(name),
            };
            outcome(&fields)
        };
        for name in [
            "policy",
            "x-amz-signature",
            "x-amz-algorithm",
            "x-amz-credential",
            "x-amz-date",
        ] {
            assert_eq!(changed(name, None), "AccessDenied", "{name}");
        }
        assert_eq!(
            changed("x-amz-signature", Some(&"0".repeat(64))),
            "SignatureDoesNotMatch"
        );
        assert_eq!(changed("policy", Some("e30=")), "SignatureDoesNotMatch");
        assert_eq!(changed("x-amz-date", Some("20261123T115901Z")), "AccessDenied");
        assert_eq!(changed("x-amz-date", Some("20261124T115901Z")), "AccessDenied");
        assert_eq!(
            changed("x-amz-credential", Some("X/20261123/us-east-1/s3/aws4_request")),
            "InvalidAccessKeyId"
        );
        assert_eq!(changed("signature", Some("x")), "InvalidRequest");
    }

    #[test]
    fn policies_from_the_future_are_refused() {
        let fields = form(SOON, &json!([]), &[]);
        let early = now() - SignedDuration::from_mins(20);
        assert_eq!(
            *check(&config(), &fields, early).unwrap_err().code(),
            S3ErrorCode::RequestTimeTooSkewed
        );
    }
}
