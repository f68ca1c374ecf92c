//! The S3 endpoint over an empty store.

use std::sync::OnceLock;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderValue, Request};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tintype_s3::{S3Config, S3Endpoint, sign_policy};
use tintype_store::Store;

use crate::request;

const ACCESS_KEY: &str = "TESTKEY";
const SECRET_KEY: &str = "secret";
const REGION: &str = "local";

fn config() -> S3Config {
    S3Config {
        access_key: ACCESS_KEY.to_owned(),
        secret_key: SECRET_KEY.to_owned(),
        region: REGION.to_owned(),
        allowed_origins: vec!["https://app.example".to_owned()],
        public_url: None,
    }
}

fn endpoint() -> &'static S3Endpoint {
    static ENDPOINT: OnceLock<(TempDir, S3Endpoint)> = OnceLock::new();
    let (_, endpoint) = ENDPOINT.get_or_init(|| {
        // In memory where the system has a place for that: every upload is synced.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let folder = folder.expect("a folder can be made");
        let store = Store::open(&folder.path().join("data")).expect("a store can be made");
        (folder, S3Endpoint::new(store, config()))
    });
    endpoint
}

fn answer(request: Request<Bytes>) {
    let status = crate::wait(async {
        let response = endpoint().handle(request.map(Body::from)).await;
        let (head, body) = response.into_parts();
        body.collect().await.expect("an answer is whole");
        head.status
    });
    assert_ne!(status, 500);
}

/// A request as it comes: nobody has signed it, or not with the right key.
pub fn request(data: &[u8]) {
    if let Some(request) = request::read(data) {
        answer(request);
    }
}

/// A request of somebody who has the key: it is signed here, so that what lies behind the signature is reached.
pub fn signed(data: &[u8]) {
    let Some(mut request) = request::read(data) else {
        return;
    };
    let date = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let headers = request.headers_mut();
    for (name, value) in [
        ("host", "localhost"),
        ("x-amz-date", &date),
        ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
    ] {
        if name != "x-amz-content-sha256" || !headers.contains_key(name) {
            headers.insert(name, HeaderValue::from_str(value).expect("a plain text"));
        }
    }
    if let Some(value) = authorization(&request, &date) {
        request.headers_mut().insert("authorization", value);
    }
    answer(request);
}

/// A form under a policy, both of them the input's: the document of the policy, an empty line, the fields and the file.
pub fn form(data: &[u8]) {
    let at = data
        .windows(2)
        .position(|pair| pair == b"\n\n")
        .unwrap_or(data.len());
    let policy = STANDARD.encode(&data[..at]);
    let rest = data.get(at + 2..).unwrap_or_default();
    let date = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let day = &date[..8];
    let mut body = Vec::new();
    for (name, value) in [
        ("policy", policy.as_str()),
        ("x-amz-algorithm", "AWS4-HMAC-SHA256"),
        (
            "x-amz-credential",
            &format!("{ACCESS_KEY}/{day}/{REGION}/s3/aws4_request"),
        ),
        ("x-amz-date", &date),
        ("x-amz-signature", &sign_policy(&config(), day, &policy)),
    ] {
        body.extend(
            format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").bytes(),
        );
    }
    body.extend(rest);
    let request = Request::post("/raw")
        .header("host", "localhost")
        .header("content-type", "multipart/form-data; boundary=x")
        .header("content-length", body.len())
        .body(body.into());
    answer(request.expect("a request"));
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// Signature Version 4 over all headers; `None` where a header is no text.
fn authorization(request: &Request<Bytes>, date: &str) -> Option<HeaderValue> {
    let mut names: Vec<&str> = request.headers().keys().map(|name| name.as_str()).collect();
    names.retain(|name| !matches!(*name, "authorization" | "content-length" | "transfer-encoding"));
    names.sort_unstable();
    let mut lines = String::new();
    for name in &names {
        let values = request.headers().get_all(*name).iter();
        let values: Result<Vec<&str>, _> = values.map(HeaderValue::to_str).collect();
        lines.push_str(&format!("{name}:{}\n", values.ok()?.join(",")));
    }
    let names = names.join(";");
    let mut pairs: Vec<(String, String)> = request
        .uri()
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (encoded(name), encoded(value)))
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let digest = request.headers().get("x-amz-content-sha256")?.to_str().ok()?;
    let canonical = format!(
        "{}\n{}\n{}\n{lines}\n{names}\n{digest}",
        request.method(),
        request.uri().path(),
        pairs.join("&")
    );
    let scope = format!("{}/{REGION}/s3/aws4_request", &date[..8]);
    let hash = hex::encode(Sha256::digest(canonical.as_bytes()));
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hash}");
    let mut key = hmac(format!("AWS4{SECRET_KEY}").as_bytes(), &date[..8]);
    for part in [REGION, "s3", "aws4_request"] {
        key = hmac(&key, part);
    }
    let signature = hex::encode(hmac(&key, &text));
    let value = format!(
        "AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope}, SignedHeaders={names}, Signature={signature}"
    );
    HeaderValue::from_str(&value).ok()
}

/// A part of a query in the one spelling that is signed.
fn encoded(text: &str) -> String {
    let bytes: Vec<u8> = percent_decode_str(text).collect();
    bytes
        .iter()
        .map(|&byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}
