//! The credential of a signature by Signature Version 4, as signers write it and as servers read it.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html>

use std::fmt;

use jiff::{Timestamp, civil, tz::TimeZone};

/// The only signature algorithm.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";

const AMZ_DATE: &str = "%Y%m%dT%H%M%SZ";

/// A time as signatures name it, `20261123T052500Z`. It begins with the day of the [`Credential`].
#[must_use]
pub fn amz_date(time: Timestamp) -> String {
    time.strftime(AMZ_DATE).to_string()
}

/// Reads a time of the form of [`amz_date`]; `None` when it has another form.
#[must_use]
pub fn parse_amz_date(text: &str) -> Option<Timestamp> {
    let date = civil::DateTime::strptime(AMZ_DATE, text).ok()?;
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// The credential of a signature for S3: `KEY/DAY/REGION/s3/aws4_request`.
#[derive(Clone, Copy, Debug)]
pub struct Credential<'a> {
    /// The id of the access key.
    pub access_key: &'a str,
    /// The day of the signature, as `20261123`.
    pub day: &'a str,
    /// The region that the signer named. The signing key is derived from it.
    pub region: &'a str,
}

impl<'a> Credential<'a> {
    /// Reads a credential for S3; `None` when it has another form.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let parts: Vec<&str> = text.rsplitn(5, '/').collect();
        let [end, service, region, day, access_key] = parts[..] else {
            return None;
        };
        let is_day = day.len() == 8 && day.bytes().all(|byte| byte.is_ascii_digit());
        let is_valid = end == "aws4_request" && service == "s3" && is_region(region) && is_day;
        is_valid.then_some(Self {
            access_key,
            day,
            region,
        })
    }

    /// The credential without its key: `DAY/REGION/s3/aws4_request`.
    #[must_use]
    pub fn scope(&self) -> String {
        format!("{}/{}/s3/aws4_request", self.day, self.region)
    }
}

impl fmt::Display for Credential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.access_key, self.scope())
    }
}

/// Tells whether a text can name a region: SDKs make a label of a host name of it (RFC 1123 section 2.1).
fn is_region(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_may_name_any_region_that_can_be_one() {
        let long = "a".repeat(63);
        for region in ["us-east-1", "eu-central-1", "local", "auto", "A", &long] {
            let text = format!("K/20261123/{region}/s3/aws4_request");
            let credential = Credential::parse(&text).unwrap();
            assert_eq!(
                (credential.access_key, credential.day, credential.region),
                ("K", "20261123", region)
            );
            assert_eq!(credential.to_string(), text);
        }
        let too_long = "a".repeat(64);
        for region in [
            "", "-", "-a", "a-", "a b", "a.b", "a_b", "\u{e9}", "a\n", &too_long,
        ] {
            let text = format!("K/20261123/{region}/s3/aws4_request");
            assert!(Credential::parse(&text).is_none(), "{region:?}");
        }
        for text in [
            "",
            "K/20261123/local/s3",
            "20261123/local/s3/aws4_request",
            "K/2026112/local/s3/aws4_request",
            "K/2026112x/local/s3/aws4_request",
            "K/20261123/local/sts/aws4_request",
            "K/20261123/local/s3/aws4_request/",
        ] {
            assert!(Credential::parse(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn times_are_read_as_they_are_written() {
        let time = "2026-11-23T05:25:00Z".parse().unwrap();
        assert_eq!(amz_date(time), "20261123T052500Z");
        assert_eq!(parse_amz_date("20261123T052500Z"), Some(time));
        for other in ["", "2026-11-23T05:25:00Z", "20261123T052500", "20261323T052500Z"] {
            assert_eq!(parse_amz_date(other), None, "{other:?}");
        }
    }
}
