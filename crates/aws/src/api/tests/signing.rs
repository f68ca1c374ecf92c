use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tintype_edge::{PresignedUpload, UploadMethod, UploadSigner, UploadTerms};
use tintype_model::{ObjectKey, StoreError};

use super::{BUCKET, credentials, uploads};

const KEY: &str = "some/photo é+1 $.jpg";

async fn sign(
    credentials: Credentials,
    endpoint: Option<&str>,
    method: UploadMethod,
    content_type: Option<&str>,
) -> Result<PresignedUpload, StoreError> {
    let key = ObjectKey::new(KEY).unwrap();
    let terms = UploadTerms {
        base_url: "https://d111111abcdef8.cloudfront.net",
        key: &key,
        method,
        content_type,
        focus: None,
        max_bytes: 1000,
        expires: Duration::from_mins(15),
    };
    uploads(credentials, endpoint).presign(&terms).await
}

#[tokio::test]
async fn forms_go_to_the_regional_address_or_under_the_endpoint() {
    for (endpoint, url) in [
        (None, format!("https://{BUCKET}.s3.eu-west-1.amazonaws.com/")),
        (
            Some("http://127.0.0.1:4566"),
            format!("http://127.0.0.1:4566/{BUCKET}"),
        ),
    ] {
        let form = sign(credentials(None), endpoint, UploadMethod::Post, None)
            .await
            .unwrap();
        assert_eq!(form.url.trim_end_matches('/'), url.trim_end_matches('/'));
        assert!(form.headers.is_empty());
    }
}

#[tokio::test]
async fn the_session_token_is_in_the_form_and_in_its_policy() {
    let form = sign(
        credentials(Some("session+token")),
        None,
        UploadMethod::Post,
        Some("image/jpeg"),
    )
    .await
    .unwrap();
    assert_eq!(form.fields["x-amz-security-token"], "session+token");
    let policy = STANDARD.decode(&form.fields["policy"]).unwrap();
    let policy: Value = serde_json::from_slice(&policy).unwrap();
    let conditions = policy["conditions"].as_array().unwrap();
    for condition in [
        json!({ "x-amz-security-token": "session+token" }),
        json!({ "bucket": BUCKET }),
        json!({ "key": KEY }),
        json!({ "Content-Type": "image/jpeg" }),
        json!(["content-length-range", 1, 1000]),
    ] {
        assert!(conditions.contains(&condition), "{condition} is not in {policy}");
    }
    let plain = sign(credentials(None), None, UploadMethod::Post, None)
        .await
        .unwrap();
    assert!(!plain.fields.contains_key("x-amz-security-token"));
}

#[tokio::test]
async fn puts_sign_the_host_and_the_type_and_promise_nothing_else() {
    let put = sign(
        credentials(Some("session+token")),
        None,
        UploadMethod::Put,
        Some("image/jpeg"),
    )
    .await
    .unwrap();
    let (address, query) = put.url.split_once('?').unwrap();
    assert_eq!(
        address,
        format!("https://{BUCKET}.s3.eu-west-1.amazonaws.com/some/photo%20%C3%A9%2B1%20%24.jpg")
    );
    let parameters: Vec<&str> = query.split('&').collect();
    for parameter in [
        "X-Amz-SignedHeaders=content-type%3Bhost",
        "X-Amz-Expires=900",
        "X-Amz-Security-Token=session%2Btoken",
    ] {
        assert!(parameters.contains(&parameter), "{parameter} is not in {query}");
    }
    // A checksum of the empty body that the SDK signs with would refuse every other.
    assert!(!query.to_ascii_lowercase().contains("checksum"), "{query}");
    assert_eq!(put.headers.len(), 1, "{:?}", put.headers);
    assert_eq!(put.headers["content-type"], "image/jpeg");
    assert!(put.fields.is_empty());

    let untyped = sign(
        credentials(None),
        Some("http://127.0.0.1:4566"),
        UploadMethod::Put,
        None,
    )
    .await
    .unwrap();
    assert!(
        untyped
            .url
            .starts_with(&format!("http://127.0.0.1:4566/{BUCKET}/some/"))
    );
    assert!(
        untyped.url.contains("X-Amz-SignedHeaders=host&"),
        "{}",
        untyped.url
    );
    assert!(untyped.headers.is_empty(), "{:?}", untyped.headers);
}

/// Keys that the SDK or the address would make something else of.
#[tokio::test]
async fn puts_are_signed_for_every_key() {
    for (key, address) in [
        (" ", format!("https://{BUCKET}.s3.eu-west-1.amazonaws.com/%20")),
        (
            "soap",
            format!("https://s3.eu-west-1.amazonaws.com/{BUCKET}/soap"),
        ),
        (
            "a%2Bb",
            format!("https://{BUCKET}.s3.eu-west-1.amazonaws.com/a%252Bb"),
        ),
    ] {
        let key = ObjectKey::new(key).unwrap();
        let terms = UploadTerms {
            base_url: "",
            key: &key,
            method: UploadMethod::Put,
            content_type: None,
            focus: None,
            max_bytes: 1000,
            expires: Duration::from_mins(15),
        };
        let put = uploads(credentials(None), None).presign(&terms).await.unwrap();
        assert_eq!(put.url.split('?').next(), Some(address.as_str()));
    }
}

#[tokio::test]
async fn no_upload_is_said_to_outlive_its_credentials() {
    let ending = |seconds| {
        let end = SystemTime::now() + Duration::from_secs(seconds);
        Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", None, Some(end), "tests")
    };
    for method in [UploadMethod::Put, UploadMethod::Post] {
        // The limit without credentials that end is 900.
        let short = sign(ending(800), None, method, None).await.unwrap();
        let seconds = short.expires_in.as_secs();
        assert!((1..=800).contains(&seconds), "{method:?}: {seconds}");
        let long = sign(ending(10_000), None, method, None).await.unwrap();
        assert_eq!(long.expires_in, Duration::from_mins(15), "{method:?}");
        let over = sign(ending(0), None, method, None).await;
        assert!(matches!(over, Err(StoreError::Unavailable(_))), "{method:?}");
    }
}
