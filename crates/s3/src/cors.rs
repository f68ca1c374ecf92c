//! Cross-origin requests: pages of configured origins may upload with presigned requests and forms.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/cors.html>

use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header, request};
use s3s::S3ErrorCode;

use super::error::{self, custom, fail};

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, PUT, POST, DELETE");
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "ETag, Content-Length, Content-Range, x-amz-request-id, x-amz-checksum-crc32, x-amz-checksum-crc32c, \
     x-amz-checksum-crc64nvme, x-amz-checksum-sha1, x-amz-checksum-sha256, x-amz-checksum-type",
);
const VARY: HeaderValue =
    HeaderValue::from_static("Origin, Access-Control-Request-Headers, Access-Control-Request-Method");
/// The time that browsers may remember a preflight, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// The origin of this request when it is one of the allowed ones.
pub(crate) fn allowed_origin(headers: &HeaderMap, allowed: &[String]) -> Option<HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    allowed
        .iter()
        .any(|allowed| allowed.as_bytes() == origin.as_bytes())
        .then(|| origin.clone())
}

/// Answers a preflight: `OPTIONS`, which is never signed.
pub(crate) fn preflight(parts: &request::Parts, allowed: &[String]) -> Response<Body> {
    let headers = &parts.headers;
    if !headers.contains_key(header::ORIGIN) {
        let message = "Insufficient information. Origin request header needed.";
        return error::response(custom(StatusCode::BAD_REQUEST, "BadRequest", message));
    }
    let refused = || {
        error::response(custom(
            StatusCode::FORBIDDEN,
            "AccessForbidden",
            "CORSResponse: This CORS request is not allowed.",
        ))
    };
    let Some(origin) = allowed_origin(headers, allowed) else {
        return refused();
    };
    let method = headers
        .get(header::ACCESS_CONTROL_REQUEST_METHOD)
        .and_then(|method| Method::from_bytes(method.as_bytes()).ok());
    match method {
        Some(Method::GET | Method::HEAD | Method::PUT | Method::POST | Method::DELETE) => {}
        Some(_) => return refused(),
        None => {
            let message = "Invalid Access-Control-Request-Method: null";
            return error::response(fail(S3ErrorCode::InvalidRequest, message));
        }
    }
    let mut response = Response::new(Body::empty());
    let answer = response.headers_mut();
    answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    answer.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    answer.insert(header::VARY, VARY);
    // Any header may be sent: those that matter are signed by whoever presigned the request.
    if let Some(requested) = headers
        .get(header::ACCESS_CONTROL_REQUEST_HEADERS)
        .filter(|names| is_name_list(names))
    {
        answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, requested.clone());
    }
    response
}

fn is_name_list(names: &HeaderValue) -> bool {
    names.to_str().is_ok_and(|names| {
        names
            .split(',')
            .all(|name| HeaderName::from_bytes(name.trim().as_bytes()).is_ok())
    })
}

/// Lets the page of an allowed origin read the answer.
pub(crate) fn decorate(response: &mut Response<Body>, origin: HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    headers.append(header::VARY, VARY);
}
