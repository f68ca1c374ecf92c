//! Signatures by Signature Version 4 that this side makes: presigned URLs and POST policies. The signatures of requests
//! are checked by `s3s`.
//!
//! Presigning is written here because no library does it without an SDK: `s3s` only checks, and `aws-sigv4` belongs to
//! the AWS shape and encodes paths by settings that its SDK makes. The tests hold the URLs to those of botocore.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html>

use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use tintype_http::{ALGORITHM, Credential, amz_date};
use tintype_model::{encode_component, encode_path};

use super::config::{BUCKET, S3Config};

/// Longest validity of a presigned URL: 7 days.
pub(crate) const MAX_EXPIRES: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The reason why a URL cannot be presigned.
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
    let credential = Credential {
        access_key: &config.access_key,
        day: date,
        region: &config.region,
    };
    let scope = credential.scope();
    let credential = credential.to_string();
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
    .map(|(name, value)| format!("{name}={}", encode_component(value)))
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
