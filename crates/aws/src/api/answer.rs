//! Answers in the form that API Gateway makes responses of (payload format 2.0).

use std::collections::BTreeMap;

use axum::body::{self, Body};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Response;
use http::header::CONTENT_LENGTH;
use serde::Serialize;

/// A response as the function returns it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The status code.
    pub status_code: u16,
    /// The headers, with one value each: lines of the same name are joined as RFC 9110 section 5.3 allows.
    pub headers: BTreeMap<String, String>,
    /// The body, as text if it is text.
    pub body: String,
    /// True if `body` is Base64 of the body.
    pub is_base64_encoded: bool,
}

impl Answer {
    /// Reads the response to its end.
    ///
    /// # Errors
    /// When its body breaks off.
    pub(super) async fn of(response: Response<Body>) -> Result<Self, axum::Error> {
        let (parts, body) = response.into_parts();
        let body = body::to_bytes(body, usize::MAX).await?;
        let mut headers: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in &parts.headers {
            // The sender of the response counts its bytes.
            if name == CONTENT_LENGTH {
                continue;
            }
            let value = String::from_utf8_lossy(value.as_bytes());
            headers
                .entry(name.as_str().to_owned())
                .and_modify(|line| {
                    line.push_str(", ");
                    line.push_str(&value);
                })
                .or_insert_with(|| value.clone().into_owned());
        }
        let (body, is_base64_encoded) = match String::from_utf8(body.into()) {
            Ok(text) => (text, false),
            Err(bytes) => (STANDARD.encode(bytes.as_bytes()), true),
        };
        Ok(Self {
            status_code: parts.status.as_u16(),
            headers,
            body,
            is_base64_encoded,
        })
    }
}
