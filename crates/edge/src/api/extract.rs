//! Parameters and bodies of requests, with problem documents for what is wrong with them.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use serde::de::DeserializeOwned;
use tintype_model::{ObjectKey, decode_component};

use crate::error::{Error, Result};
use crate::router::MAX_BODY_BYTES;

/// Query parameters: all known, each at most once, and UTF-8.
#[derive(Debug)]
pub(crate) struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        // The decoder of forms replaces what is not UTF-8, which would name another key.
        decode_component(parts.uri.query().unwrap_or_default()).map_err(|_| Error::BadEncoding)?;
        let query = Query::try_from_uri(&parts.uri).map_err(|error| Error::BadRequest(error.body_text()))?;
        Ok(Self(query.0))
    }
}

/// A JSON body of a known form.
#[derive(Debug)]
pub(crate) struct JsonBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let kind = request
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            return Err(Error::UnsupportedMediaType("application/json"));
        }
        let body = Bytes::from_request(request, state).await;
        let body = body.map_err(|_| Error::BodyTooLarge(MAX_BODY_BYTES))?;
        let value = serde_json::from_slice(&body);
        value
            .map(Self)
            .map_err(|error| Error::BadRequest(format!("request body: {error}")))
    }
}

/// The key that a request names.
pub(crate) fn object_key(key: String) -> Result<ObjectKey> {
    ObjectKey::new(key).map_err(|error| Error::BadRequest(error.to_string()))
}
