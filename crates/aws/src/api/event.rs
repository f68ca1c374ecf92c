//! Events of an API Gateway HTTP API (payload format 2.0), as requests for the router.
//!
//! `lambda_http` is not used for this. It reads the path as a part of a URL, but the gateway has decoded it before: an
//! escaped `?` or a `..` would make another path of it than the one whose caller the gateway authorised. It also
//! panics at hosts, schemes and bodies that it cannot read. Here the path stays the one that the gateway saw, byte by
//! byte, and the query the one that the client sent.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>

use std::collections::BTreeMap;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Map, Value};
use tintype_edge::Authorized;
use tintype_model::encode_path;

use crate::environment::Authorizer;

/// The characters that a request target cannot carry as they are; escaping them changes nothing of what the query says.
const QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>');

/// The reason why an invocation is not a request.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// A field is missing, or of another type.
    #[error("the event is not a request of an API Gateway HTTP API")]
    Form(#[source] serde_json::Error),
    /// Another payload format, or none: the event is from another source.
    #[error(
        "the event is not a request of an API Gateway HTTP API in payload format 2.0; its version is {0:?}"
    )]
    Version(Option<String>),
    /// A path that is not absolute.
    #[error("the event's path {0:?} is not one")]
    Path(String),
    /// A body that is said to be Base64 and is not.
    #[error("the event's body is not Base64")]
    Body(#[source] base64::DecodeError),
}

/// The fields of an event that are read. There is more in it, which nothing here needs.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    raw_path: String,
    #[serde(default)]
    raw_query_string: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    request_context: Context,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    http: Http,
    #[serde(default)]
    authorizer: Option<Grant>,
}

#[derive(Debug, Deserialize)]
struct Http {
    #[serde(deserialize_with = "method")]
    method: Method,
}

fn method<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Method, D::Error> {
    let name = String::deserialize(deserializer)?;
    Method::from_bytes(name.as_bytes()).map_err(serde::de::Error::custom)
}

/// The findings of the authorizer, under the name of its kind.
#[derive(Debug, Deserialize)]
struct Grant {
    #[serde(default)]
    iam: Option<Iam>,
    #[serde(default)]
    jwt: Option<Jwt>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Iam {
    #[serde(default)]
    user_arn: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Jwt {
    #[serde(default)]
    claims: Option<Map<String, Value>>,
}

impl Context {
    /// The caller that the authorizer let in. Only the kind that the API is configured with counts.
    fn principal(&self, authorizer: Authorizer) -> Option<String> {
        let grant = self.authorizer.as_ref()?;
        match authorizer {
            Authorizer::Iam => {
                let arn = grant.iam.as_ref()?.user_arn.as_deref()?;
                (!arn.is_empty()).then(|| arn.to_owned())
            }
            Authorizer::Jwt => {
                let claims = grant.jwt.as_ref()?.claims.as_ref()?;
                // RFC 9068 asks for both; client credentials of some issuers have only the second.
                let claim = |name| claims.get(name)?.as_str().filter(|value| !value.is_empty());
                claim("sub").or_else(|| claim("client_id")).map(str::to_owned)
            }
        }
    }
}

/// A request and who sent it.
#[derive(Debug)]
pub(super) struct Incoming {
    /// The request. It has [`Authorized`] among its extensions if, and only if, there is a principal.
    pub(super) request: Request<Body>,
    /// The caller that the gateway's authorizer let in.
    pub(super) principal: Option<String>,
}

/// Reads the payload of an invocation.
pub(super) fn read(payload: Value, authorizer: Authorizer) -> Result<Incoming, EventError> {
    match payload["version"].as_str() {
        Some("2.0") => {}
        other => return Err(EventError::Version(other.map(str::to_owned))),
    }
    let event: Event = serde_json::from_value(payload).map_err(EventError::Form)?;
    let mut request = Request::new(match event.body {
        None => Body::empty(),
        Some(body) if event.is_base64_encoded => Body::from(STANDARD.decode(body).map_err(EventError::Body)?),
        Some(body) => Body::from(body),
    });
    *request.uri_mut() = target(&event.raw_path, &event.raw_query_string)
        .ok_or_else(|| EventError::Path(event.raw_path.clone()))?;
    let principal = event.request_context.principal(authorizer);
    if principal.is_some() {
        request.extensions_mut().insert(Authorized);
    }
    *request.method_mut() = event.request_context.http.method;
    *request.headers_mut() = headers(&event.headers);
    Ok(Incoming { request, principal })
}

/// The path is escaped as a whole, so that nothing in it is taken for anything but a path. Those of the API have
/// nothing to escape.
fn target(raw_path: &str, raw_query: &str) -> Option<Uri> {
    if !raw_path.starts_with('/') {
        return None;
    }
    let path = encode_path(raw_path);
    let target = match raw_query {
        "" => path,
        query => format!("{path}?{}", utf8_percent_encode(query, QUERY)),
    };
    PathAndQuery::try_from(target).ok().map(Uri::from)
}

/// Cookies come apart from the headers and are left out: nothing behind a gateway reads them. What cannot be a header
/// did not come over HTTP.
fn headers(named: &BTreeMap<String, String>) -> HeaderMap {
    let header = |(name, value): (&String, &String)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_bytes(value.as_bytes()).ok()?))
    };
    named.iter().filter_map(header).collect()
}
