#![doc = include_str!("../README.md")]

mod aws_chunked;
mod body;
mod bridge;
mod checksum;
mod conditions;
mod config;
mod cors;
mod error;
mod form;
mod form_data;
mod gate;
mod offered;
mod ops;
mod policy;
mod receive;
mod sigv4;
mod verify;

use std::fmt;
use std::sync::Arc;

use axum::body::Body;
use http::{HeaderMap, HeaderValue, Method, Request, Response, header, request};
use s3s::auth::{S3Auth, SecretKey};
use s3s::config::{S3Config as Limits, StaticConfigProvider};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3Error, S3ErrorCode};

use tintype_store::Store;

use self::body::{BodyReport, Inbound};
use self::config::MAX_XML_BYTES;

pub use config::{BUCKET, S3Config};
pub use sigv4::{PresignError, presign_put, sign_policy};

/// Tells whether a request is for this endpoint: it is signed, or its path is in the bucket.
#[must_use]
pub fn is_s3_request(request: &request::Parts) -> bool {
    let path = request.uri.path();
    let in_bucket = path
        .strip_prefix('/')
        .and_then(|path| path.strip_prefix(BUCKET))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let signed = request
        .headers
        .get_all(header::AUTHORIZATION)
        .iter()
        .any(|value| value.as_bytes().starts_with(b"AWS4-") || value.as_bytes().starts_with(b"AWS "));
    let presigned = request.uri.query().is_some_and(|query| {
        query.split('&').any(|pair| {
            let name = pair.split_once('=').map_or(pair, |(name, _)| name);
            matches!(name, "X-Amz-Algorithm" | "X-Amz-Signature" | "AWSAccessKeyId")
        })
    });
    in_bucket || signed || presigned
}

/// The endpoint, on top of a store.
#[derive(Clone, Debug)]
pub struct S3Endpoint {
    shared: Arc<Shared>,
}

struct Shared {
    config: S3Config,
    store: Store,
    authenticated: S3Service,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl S3Endpoint {
    /// An endpoint for the objects of this store.
    #[must_use]
    pub fn new(store: Store, config: S3Config) -> Self {
        let mut limits = Limits::default();
        limits.xml_max_body_size = MAX_XML_BYTES;
        // Forms do not reach s3s; this keeps nothing of one that would.
        limits.post_object_max_file_size = 0;
        limits.form_max_fields_size = 0;
        let limits = Arc::new(StaticConfigProvider::new(Arc::new(limits)));

        let mut inner = S3ServiceBuilder::new(ops::Operations::new(store.clone(), &config));
        inner.set_config(limits.clone());
        let mut outer = S3ServiceBuilder::new(NoOperations);
        outer.set_config(limits);
        outer.set_auth(OneKey {
            access_key: config.access_key.clone(),
            secret_key: config.secret_key.as_str().into(),
        });
        outer.set_route(bridge::Bridge::new(inner.build()));
        let authenticated = outer.build();
        Self {
            shared: Arc::new(Shared {
                config,
                store,
                authenticated,
            }),
        }
    }

    /// Answers one request. Bodies are streamed both ways; errors become answers.
    pub async fn handle(&self, request: Request<Body>) -> Response<Body> {
        let Shared {
            config,
            store,
            authenticated,
        } = &*self.shared;
        let (parts, body) = request.into_parts();
        if parts.method == Method::OPTIONS {
            let mut response = cors::preflight(&parts, &config.allowed_origins);
            protect(response.headers_mut());
            return response;
        }
        let origin = cors::allowed_origin(&parts.headers, &config.allowed_origins);
        let waits = parts.headers.contains_key(header::EXPECT);
        let has_body = parts
            .headers
            .get(header::CONTENT_LENGTH)
            .is_none_or(|length| length != "0");
        let report = BodyReport::default();
        let body = Inbound::new(body, &parts.headers, report.clone());
        let answer = if gate::is_form(&parts) {
            form::upload(store, config, &parts, body).await
        } else {
            Self::signed(authenticated, parts, body, &report).await
        };
        let mut response = answer.unwrap_or_else(error::response);
        protect(response.headers_mut());
        if waits && !(has_body && report.was_read()) {
            // A client that waited for `100 Continue` got this answer instead. It does not send the body (RFC 9110
            // section 10.1.1), or has none; and botocore (1.43.11) would repeat this status for the next answer on this
            // connection.
            response
                .headers_mut()
                .insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(origin) = origin {
            cors::decorate(&mut response, origin);
        }
        response
    }

    async fn signed(
        service: &S3Service,
        mut parts: request::Parts,
        body: Inbound,
        report: &BodyReport,
    ) -> Result<Response<Body>, S3Error> {
        gate::check(&parts)?;
        gate::complete(&mut parts.headers);
        let headers = body_headers(&parts.headers);
        let body = body.check_framing(&parts.headers)?;
        let mut request = Request::from_parts(parts, s3s::Body::http_body_unsync(body));
        request.extensions_mut().insert(report.clone());
        let response = service
            .call(request)
            .await
            .map_err(|_| S3Error::new(S3ErrorCode::InternalError))?;
        // s3s reads some bodies itself, and reports a failure without its reason.
        if report.error().is_some() && response.status().is_server_error() {
            return Err(report.failure(&headers));
        }
        Ok(error::finish(response))
    }
}

/// The headers about the framing of a body.
fn body_headers(headers: &HeaderMap) -> HeaderMap {
    let name = header::HeaderName::from_static("x-amz-content-sha256");
    headers
        .get(&name)
        .map(|value| (name, value.clone()))
        .into_iter()
        .collect()
}

/// The pair of keys.
struct OneKey {
    access_key: String,
    secret_key: SecretKey,
}

#[async_trait::async_trait]
impl S3Auth for OneKey {
    async fn get_secret_key(&self, access_key: &str) -> s3s::S3Result<SecretKey> {
        // Access keys are not secret; the comparison of signatures, in s3s, takes constant time.
        if access_key == self.access_key && !access_key.is_empty() {
            Ok(self.secret_key.clone())
        } else {
            let message = "The AWS Access Key Id you provided does not exist in our records.";
            Err(error::fail(S3ErrorCode::InvalidAccessKeyId, message))
        }
    }
}

/// The operations of the first `s3s`, which only checks signatures: none.
struct NoOperations;

impl s3s::S3 for NoOperations {}

/// Keeps a browser from making anything of an answer but what it says it is. Objects are whatever was uploaded, and opened
/// in a browser they must not act as pages of this origin.
fn protect(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // A presigned URL is a secret.
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_s3(method: &str, uri: &str, authorization: Option<&str>) -> bool {
        let mut request = Request::builder().method(method).uri(uri);
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        is_s3_request(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn signed_requests_and_the_bucket_are_for_this_endpoint() {
        assert!(is_s3("GET", "/raw", None));
        assert!(is_s3("PUT", "/raw/some/key", None));
        assert!(is_s3("OPTIONS", "/raw/some/key", None));
        assert!(is_s3("GET", "/", Some("AWS4-HMAC-SHA256 Credential=x")));
        assert!(is_s3("GET", "/other?X-Amz-Algorithm=AWS4-HMAC-SHA256", None));
        assert!(!is_s3("GET", "/", None));
        assert!(!is_s3("GET", "/", Some("Bearer token")));
        assert!(!is_s3("GET", "/rawhide", None));
        assert!(!is_s3("GET", "/img/raw/medium", None));
        assert!(!is_s3("GET", "/img/a?x=X-Amz-Signature", None));
    }
}
