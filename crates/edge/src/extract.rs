//! Parameters and bodies of requests, with problem documents for what is wrong with them.

use axum::Form;
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use serde::de::DeserializeOwned;
use tintype_model::{ObjectKey, decode_component};

use crate::body;
use crate::error::{Error, Result};
use crate::route::Needs;

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

    async fn from_request(request: Request, _: &S) -> Result<Self> {
        check_kind(&request, "application/json")?;
        let limit = body_limit(&request);
        let body = body::read(request.into_body(), limit).await?;
        let value = serde_json::from_slice(&body);
        value
            .map(Self)
            .map_err(|error| Error::BadRequest(format!("request body: {error}")))
    }
}

/// The fields of an HTML form: all known, each at most once, and UTF-8.
#[derive(Debug)]
pub(crate) struct FormBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for FormBody<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        check_kind(&request, "application/x-www-form-urlencoded")?;
        let limit = body_limit(&request);
        let (parts, body) = request.into_parts();
        let body = body::read(body, limit).await?;
        let text = std::str::from_utf8(&body).map_err(|_| Error::BadEncoding)?;
        decode_component(text).map_err(|_| Error::BadEncoding)?;
        let form = Form::from_request(Request::from_parts(parts, Body::from(body)), state).await;
        let Form(fields) = form.map_err(|error| Error::BadRequest(error.body_text()))?;
        Ok(Self(fields))
    }
}

/// The largest body that the route reads, in bytes. A route that declares none takes none.
fn body_limit(request: &Request) -> usize {
    let needs = request.extensions().get::<Needs>();
    needs.map_or(0, |needs| needs.body_bytes)
}

/// Refuses a body of another media type; its parameters do not matter.
fn check_kind(request: &Request, wanted: &'static str) -> Result<()> {
    let kind = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(wanted) {
        Ok(())
    } else {
        Err(Error::UnsupportedMediaType(wanted))
    }
}

/// The key that a request names.
pub(crate) fn object_key(key: String) -> Result<ObjectKey> {
    ObjectKey::new(key).map_err(|error| Error::BadRequest(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{Callers, Class};

    #[tokio::test]
    async fn a_body_is_read_up_to_what_the_route_declares_and_not_at_all_without() {
        let needs = Needs::new(Class::Api, Callers::Admins);
        for (needs, taken) in [
            (Some(needs.with_body(4)), true),
            (Some(needs.with_body(3)), false),
            (Some(needs), false),
            (None, false),
        ] {
            let mut request = Request::new(Body::from("1234"));
            let json = http::HeaderValue::from_static("application/json");
            request.headers_mut().insert(CONTENT_TYPE, json);
            if let Some(needs) = needs {
                request.extensions_mut().insert(needs);
            }
            match JsonBody::<u32>::from_request(request, &()).await {
                Ok(JsonBody(number)) => assert!(taken && number == 1234, "{needs:?}"),
                Err(Error::BodyTooLarge(_)) => assert!(!taken, "{needs:?}"),
                Err(error) => panic!("{needs:?}: {error}"),
            }
        }
    }
}
