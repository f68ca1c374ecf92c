//! Signature Version 4 as far as this side makes signatures: presigned URLs and POST policies. Checking the
//! signatures of requests is left to `s3s`; here is what their credentials must look like.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html>

use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};
use tintype_model::encode_path;

use super::config::{BUCKET, S3Config};

/// The only algorithm that is accepted.
pub(crate) const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Longest validity of a presigned URL: 7 days.
pub(crate) const MAX_EXPIRES: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Characters that Signature Version 4 encodes: all but the unreserved ones of RFC 3986 section 2.3. In paths slashes stay,
/// which is [`encode_path`].
pub(crate) const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Why a URL cannot be presigned.
#[derive(Debug, thiserror::Error)]
pub enum PresignError {
    /// Object keys have 1 to 1,024 bytes.
    #[error("object key has {0} bytes, it must have 1 to 1024")]
    Key(usize),
    /// S3 accepts 1 second to 7 days.
    #[error("validity of {0:?} is not between 1 second and 7 days")]
    Expires(Duration),
    /// A content type becomes a header.
    #[error("content type {0:?} cannot be a header value")]
    ContentType(String),
    /// The base is not `http://HOST` or `https://HOST`.
    #[error("base URL {0:?} is not an http or https origin")]
    Base(String),
}

/// The credential of a signature: `KEY/DATE/REGION/s3/aws4_request`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Credential<'a> {
    pub(crate) access_key: &'a str,
    /// The day of the signature, as `20261123`.
    pub(crate) day: &'a str,
    /// The region that the client signed for. Any will do: the signing key is derived from it.
    pub(crate) region: &'a str,
}

impl<'a> Credential<'a> {
    /// Reads a credential for S3; `None` when it has another form.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
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
}

/// Whether a text can name a region: SDKs make a label of a host name of it (RFC 1123 section 2.1).
fn is_region(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// A time in the form `20261123T052500Z`.
pub(crate) fn amz_date(time: Timestamp) -> String {
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// HMAC-SHA-256.
pub(crate) fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// The key for one day, region and service.
pub(crate) fn signing_key(secret_key: &str, date: &str, region: &str, service: &str) -> [u8; 32] {
    let key = hmac_sha256(format!("AWS4{secret_key}").as_bytes(), date.as_bytes());
    let key = hmac_sha256(&key, region.as_bytes());
    let key = hmac_sha256(&key, service.as_bytes());
    hmac_sha256(&key, b"aws4_request")
}

/// The signature of a POST policy, which is signed in its Base64 form, in hexadecimal.
#[must_use]
pub fn sign_policy(config: &S3Config, date: &str, policy: &str) -> String {
    let key = signing_key(&config.secret_key, date, &config.region, "s3");
    hex::encode(hmac_sha256(&key, policy.as_bytes()))
}

/// A presigned URL for `PUT` of the object `key`, under `base_url` (such as `http://127.0.0.1:8080`), valid for
/// `expires` from now.
///
/// With a `content_type` the upload must send exactly that `Content-Type` header; without, it may send any. Size and
/// content are not restricted.
///
/// # Errors
/// When the key, the validity, the content type or the base URL cannot be signed.
pub fn presign_put(
    config: &S3Config,
    base_url: &str,
    key: &str,
    content_type: Option<&str>,
    expires: Duration,
) -> Result<String, PresignError> {
    presign(
        config,
        "PUT",
        base_url,
        key,
        content_type,
        expires,
        Timestamp::now(),
    )
}

fn presign(
    config: &S3Config,
    method: &str,
    base_url: &str,
    key: &str,
    content_type: Option<&str>,
    expires: Duration,
    now: Timestamp,
) -> Result<String, PresignError> {
    if key.is_empty() || key.len() > 1024 {
        return Err(PresignError::Key(key.len()));
    }
    if expires < Duration::from_secs(1) || expires > MAX_EXPIRES {
        return Err(PresignError::Expires(expires));
    }
    let base = || PresignError::Base(base_url.to_owned());
    let uri: http::Uri = base_url.parse().map_err(|_| base())?;
    if !matches!(uri.scheme_str(), Some("http" | "https"))
        || !matches!(uri.path(), "" | "/")
        || uri.query().is_some()
    {
        return Err(base());
    }
    let authority = uri.authority().ok_or_else(base)?;
    // Clients leave the default port out of the Host header, so it must not be signed.
    let host = match (uri.scheme_str(), authority.port_u16()) {
        (Some("http"), Some(80)) | (Some("https"), Some(443)) => authority.host(),
        _ => authority.as_str(),
    };
    if let Some(value) = content_type {
        let plain = value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        if !plain || value.is_empty() || value.trim() != value || value.contains("  ") {
            return Err(PresignError::ContentType(value.to_owned()));
        }
    }

    let datetime = amz_date(now);
    let (date, _) = datetime.split_at(8);
    let scope = format!("{date}/{}/s3/aws4_request", config.region);
    let credential = format!("{}/{scope}", config.access_key);
    let mut canonical_headers = String::new();
    if let Some(value) = content_type {
        canonical_headers.push_str(&format!("content-type:{value}\n"));
    }
    canonical_headers.push_str(&format!("host:{host}\n"));
    let signed_headers = if content_type.is_some() {
        "content-type;host"
    } else {
        "host"
    };
    let path = format!("/{BUCKET}/{}", encode_path(key));
    let seconds = expires.as_secs().to_string();
    let query = [
        ("X-Amz-Algorithm", ALGORITHM),
        ("X-Amz-Credential", &credential),
        ("X-Amz-Date", &datetime),
        ("X-Amz-Expires", &seconds),
        ("X-Amz-SignedHeaders", signed_headers),
    ]
    .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, ENCODED)))
    .join("&");
    let request =
        format!("{method}\n{path}\n{query}\n{canonical_headers}\n{signed_headers}\nUNSIGNED-PAYLOAD");
    let digest = hex::encode(Sha256::digest(request.as_bytes()));
    let to_sign = format!("{ALGORITHM}\n{datetime}\n{scope}\n{digest}");
    let key = signing_key(&config.secret_key, date, &config.region, "s3");
    let signature = hex::encode(hmac_sha256(&key, to_sign.as_bytes()));
    let origin = base_url.trim_end_matches('/');
    Ok(format!("{origin}{path}?{query}&X-Amz-Signature={signature}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> S3Config {
        S3Config {
            access_key: "AKIAIOSFODNN7EXAMPLE".into(),
            secret_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            region: "us-east-1".into(),
            allowed_origins: Vec::new(),
            public_url: None,
        }
    }

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
    fn signing_key_is_the_documented_one() {
        // docs.aws.amazon.com/IAM/latest/UserGuide, "Signature Version 4 signing process", derived key example.
        let key = signing_key(
            "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            "20150830",
            "us-east-1",
            "iam",
        );
        assert_eq!(
            hex::encode(key),
            "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"
        );
    }

    #[test]
    fn urls_are_those_of_botocore() {
        // botocore 1.43.11: S3SigV4QueryAuth over AWSRequest("PUT", ..., headers={"content-type": "image/jpeg"}).
        let now = "2026-11-23T05:25:00Z".parse().unwrap();
        let sign = |base: &str, key: &str, content_type| {
            let hour = Duration::from_secs(900);
            presign(&config(), "PUT", base, key, content_type, hour, now).unwrap()
        };
        let plain = sign("http://127.0.0.1:8080", "a b+c/../d%2F é.jpg", None);
        assert_eq!(plain, BOTOCORE_PLAIN);
        let typed = sign("http://127.0.0.1:8080/", "photo.jpg", Some("image/jpeg"));
        assert_eq!(typed, BOTOCORE_TYPED);
    }

    const BOTOCORE_PLAIN: &str = "http://127.0.0.1:8080/raw/a%20b%2Bc/../d%252F%20%C3%A9.jpg?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261123%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261123T052500Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=280cb5c89d208194005fc76f41c2f96e2d11197565f9c642197274962d7729b1";
    const BOTOCORE_TYPED: &str = "http://127.0.0.1:8080/raw/photo.jpg?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261123%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261123T052500Z&X-Amz-Expires=900&X-Amz-SignedHeaders=content-type%3Bhost&X-Amz-Signature=f05f16d861cc91533cb2e2670da98b3e12fba7c2be4a95d3abbec924021d2336";

    #[test]
    fn what_cannot_be_signed_is_refused() {
        let sign = |base: &str, key: &str, content_type, seconds| {
            presign_put(&config(), base, key, content_type, Duration::from_secs(seconds))
        };
        assert!(sign("https://images.example", "key", None, 604_800).is_ok());
        assert!(matches!(
            sign("https://images.example", "key", None, 604_801),
            Err(PresignError::Expires(_))
        ));
        assert!(matches!(
            sign("https://images.example", "key", None, 0),
            Err(PresignError::Expires(_))
        ));
        assert!(matches!(
            sign("https://images.example", "", None, 60),
            Err(PresignError::Key(0))
        ));
        assert!(matches!(
            sign("https://images.example", "k", Some("a\nb"), 60),
            Err(PresignError::ContentType(_))
        ));
        for base in [
            "ftp://images.example",
            "images.example",
            "https://images.example/path",
            "",
        ] {
            assert!(
                matches!(sign(base, "key", None, 60), Err(PresignError::Base(_))),
                "{base}"
            );
        }
    }
}
