//! POST policies: what the signer of a form allows its holder to upload.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html>

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp, civil};
use s3s::{S3Error, S3ErrorCode, S3Result};
use serde_json::Value;
use subtle::ConstantTimeEq as _;

use super::config::{BUCKET, S3Config};
use super::error::fail;
use super::sigv4::{ALGORITHM, Credential, hmac_sha256, signing_key};

/// The most time that a client's clock may be ahead of ours.
const MAX_SKEW: SignedDuration = SignedDuration::from_mins(15);

/// The text fields of a form by their names in lower case.
pub(crate) type Fields = BTreeMap<String, String>;

/// The sizes that the file may have, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SizeRange {
    pub(crate) min: u64,
    pub(crate) max: u64,
}

fn denied(reason: impl Into<String>) -> S3Error {
    fail(
        S3ErrorCode::AccessDenied,
        format!("Invalid according to Policy: {}", reason.into()),
    )
}

fn invalid(reason: &str) -> S3Error {
    fail(
        S3ErrorCode::InvalidPolicyDocument,
        format!("Invalid Policy: {reason}"),
    )
}

/// Checks signature, validity and conditions of a form, and tells the size that its file may have.
///
/// # Errors
/// When the form is not signed, not any more, or not for these fields.
pub(crate) fn check(config: &S3Config, fields: &Fields, now: Timestamp) -> S3Result<SizeRange> {
    let signed_at = check_signature(config, fields)?;
    let policy = field(fields, "policy")?;
    let document = STANDARD
        .decode(policy.trim())
        .map_err(|_| invalid("it is not Base64."))?;
    let document: Value = serde_json::from_slice(&document).map_err(|_| invalid("it is not JSON."))?;
    let expiration = document.get("expiration").and_then(Value::as_str);
    let expiration: Timestamp = expiration
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| invalid("it has no expiration, or one that is not an ISO 8601 date."))?;
    if now >= expiration {
        return Err(denied("Policy expired."));
    }
    if signed_at.duration_since(now) > MAX_SKEW {
        return Err(fail(
            S3ErrorCode::RequestTimeTooSkewed,
            "The difference between the request time and the current time is too large.",
        ));
    }
    let conditions = document.get("conditions").and_then(Value::as_array);
    let conditions = conditions.ok_or_else(|| invalid("it has no conditions."))?;
    check_conditions(conditions, fields)
}

fn field<'a>(fields: &'a Fields, name: &str) -> S3Result<&'a str> {
    fields.get(name).map(String::as_str).ok_or_else(|| {
        fail(
            S3ErrorCode::AccessDenied,
            format!("Access Denied: the form has no {name} field."),
        )
    })
}

/// The signature covers the policy as it was sent. Answers when it was made.
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
    let signed_at = civil::DateTime::strptime("%Y%m%dT%H%M%SZ", date)
        .ok()
        .and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC).ok())
        .ok_or_else(|| {
            fail(
                S3ErrorCode::AccessDenied,
                "Access Denied: x-amz-date is not a date.",
            )
        })?
        .timestamp();
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

/// Every condition must hold, and every field must have one, apart from those that make up the signature and
/// `x-ignore-*`.
fn check_conditions(conditions: &[Value], fields: &Fields) -> S3Result<SizeRange> {
    let mut covered: Vec<String> = vec!["policy".into(), "x-amz-signature".into()];
    let mut size = SizeRange {
        min: 0,
        max: u64::MAX,
    };
    for condition in conditions {
        match condition {
            Value::Object(members) => {
                for (name, value) in members {
                    let value = value
                        .as_str()
                        .ok_or_else(|| invalid("a value is not a string."))?;
                    covered.push(match_field(fields, Match::Exact, name, value)?);
                }
            }
            Value::Array(items) => match &items[..] {
                [Value::String(kind), min, max] if kind.eq_ignore_ascii_case("content-length-range") => {
                    let (Some(min), Some(max)) = (number(min), number(max)) else {
                        return Err(invalid("a content-length-range has no numbers."));
                    };
                    size = SizeRange {
                        min: size.min.max(min),
                        max: size.max.min(max),
                    };
                }
                [Value::String(kind), Value::String(name), Value::String(value)] => {
                    let how = match kind.to_ascii_lowercase().as_str() {
                        "eq" => Match::Exact,
                        "starts-with" => Match::Prefix,
                        _ => {
                            return Err(invalid(
                                "a condition is neither eq, starts-with nor content-length-range.",
                            ));
                        }
                    };
                    let name = name
                        .strip_prefix('$')
                        .ok_or_else(|| invalid("a field name has no dollar sign."))?;
                    covered.push(match_field(fields, how, name, value)?);
                }
                _ => return Err(invalid("a condition has another form than [kind, field, value].")),
            },
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                return Err(invalid("a condition is neither an object nor a list."));
            }
        }
    }
    let extra = fields
        .keys()
        .find(|name| !name.starts_with("x-ignore-") && !covered.contains(name));
    match extra {
        Some(name) => Err(denied(format!("Extra input fields: {name}"))),
        None => Ok(size),
    }
}

/// Signers write numbers as such or as text.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

#[derive(Clone, Copy, Debug)]
enum Match {
    Exact,
    Prefix,
}

/// Checks one field and answers its name in lower case.
fn match_field(fields: &Fields, how: Match, name: &str, wanted: &str) -> S3Result<String> {
    let name = name.to_ascii_lowercase();
    let value = match fields.get(&name) {
        Some(value) => value.as_str(),
        // The bucket is in the path.
        None if name == "bucket" => BUCKET,
        None => "",
    };
    let holds = match how {
        Match::Exact => value == wanted,
        // S3 takes lists of media types here; each must match.
        Match::Prefix if name == "content-type" => {
            value.split(',').all(|value| value.trim().starts_with(wanted))
        }
        Match::Prefix => value.starts_with(wanted),
    };
    if holds {
        Ok(name)
    } else {
        let kind = match how {
            Match::Exact => "eq",
            Match::Prefix => "starts-with",
        };
        Err(denied(format!(
            "Policy Condition failed: [\"{kind}\", \"${name}\", \"{wanted}\"]"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
