use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::Value;

use super::{POLICY_FIELD, SIGNATURE_FIELD, SIZE_CONDITION, SizeRange};

/// The reason why a policy does not allow a form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The text is no policy.
    #[error("Invalid Policy: {0}")]
    Invalid(&'static str),
    /// The policy forbids the form.
    #[error("Invalid according to Policy: {0}")]
    Denied(String),
}

/// A policy from a form. Its signature must be checked before, by whoever has the secret.
#[derive(Clone, Debug)]
pub struct PolicyDocument {
    document: Value,
    expiration: Timestamp,
}

impl PolicyDocument {
    /// Reads the field `policy`.
    ///
    /// # Errors
    /// [`PolicyError::Invalid`] when it is not a JSON document in Base64 that says when it expires.
    pub fn parse(field: &str) -> Result<Self, PolicyError> {
        let document = STANDARD
            .decode(field.trim())
            .map_err(|_| PolicyError::Invalid("it is not Base64."))?;
        let document: Value =
            serde_json::from_slice(&document).map_err(|_| PolicyError::Invalid("it is not JSON."))?;
        let expiration = document.get("expiration").and_then(Value::as_str);
        let expiration = expiration
            .and_then(|text| text.parse().ok())
            .ok_or(PolicyError::Invalid(
                "it has no expiration, or one that is not an ISO 8601 date.",
            ))?;
        Ok(Self { document, expiration })
    }

    /// Checks that the policy still holds.
    ///
    /// # Errors
    /// [`PolicyError::Denied`] when it does not.
    pub fn check_time(&self, now: Timestamp) -> Result<(), PolicyError> {
        if now < self.expiration {
            Ok(())
        } else {
            Err(PolicyError::Denied("Policy expired.".to_owned()))
        }
    }

    /// Checks the text fields of a form, by their names in lower case, that was sent to `bucket`, and tells the sizes
    /// that its file may have. Every condition must hold, and every field must have one, apart from those that make up
    /// the signature and `x-ignore-*`.
    ///
    /// # Errors
    /// When the form is not allowed, or the policy has no conditions or any that is not one.
    pub fn check(&self, fields: &BTreeMap<String, String>, bucket: &str) -> Result<SizeRange, PolicyError> {
        let conditions = self.document.get("conditions").and_then(Value::as_array);
        let conditions = conditions.ok_or(PolicyError::Invalid("it has no conditions."))?;
        let form = Form { fields, bucket };
        let mut covered: Vec<String> = vec![POLICY_FIELD.into(), SIGNATURE_FIELD.into()];
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
                            .ok_or(PolicyError::Invalid("a value is not a string."))?;
                        covered.push(form.check_field(Match::Exact, name, value)?);
                    }
                }
                Value::Array(items) => form.check_list(items, &mut covered, &mut size)?,
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                    return Err(PolicyError::Invalid(
                        "a condition is neither an object nor a list.",
                    ));
                }
            }
        }
        let extra = fields
            .keys()
            .find(|name| !name.starts_with("x-ignore-") && !covered.contains(name));
        match extra {
            Some(name) => Err(PolicyError::Denied(format!("Extra input fields: {name}"))),
            None => Ok(size),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Match {
    Exact,
    Prefix,
}

/// The form that conditions are checked on.
struct Form<'a> {
    fields: &'a BTreeMap<String, String>,
    bucket: &'a str,
}

impl Form<'_> {
    /// Checks a condition that is a list: `[kind, field, value]`, or the sizes, which are narrowed by it.
    fn check_list(
        &self,
        items: &[Value],
        covered: &mut Vec<String>,
        size: &mut SizeRange,
    ) -> Result<(), PolicyError> {
        match items {
            [Value::String(kind), min, max] if kind.eq_ignore_ascii_case(SIZE_CONDITION) => {
                let (Some(min), Some(max)) = (number(min), number(max)) else {
                    return Err(PolicyError::Invalid("a content-length-range has no numbers."));
                };
                size.min = size.min.max(min);
                size.max = size.max.min(max);
            }
            [Value::String(kind), Value::String(name), Value::String(value)] => {
                let how = match kind.to_ascii_lowercase().as_str() {
                    "eq" => Match::Exact,
                    "starts-with" => Match::Prefix,
                    _ => {
                        return Err(PolicyError::Invalid(
                            "a condition is neither eq, starts-with nor content-length-range.",
                        ));
                    }
                };
                let name = name
                    .strip_prefix('$')
                    .ok_or(PolicyError::Invalid("a field name has no dollar sign."))?;
                covered.push(self.check_field(how, name, value)?);
            }
            _ => {
                return Err(PolicyError::Invalid(
                    "a condition has another form than [kind, field, value].",
                ));
            }
        }
        Ok(())
    }

    /// Checks one field and tells its name in lower case.
    fn check_field(&self, how: Match, name: &str, wanted: &str) -> Result<String, PolicyError> {
        let name = name.to_ascii_lowercase();
        let value = match self.fields.get(&name) {
            Some(value) => value.as_str(),
            // The bucket is in the path.
            None if name == "bucket" => self.bucket,
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
            Err(PolicyError::Denied(format!(
                "Policy Condition failed: [\"{kind}\", \"${name}\", \"{wanted}\"]"
            )))
        }
    }
}

/// Reads a number, which signers write as such or as text.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}
