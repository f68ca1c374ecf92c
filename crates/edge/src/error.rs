//! Everything that is answered with an error, and the only place that turns it into a status code and a problem
//! document (RFC 9457).

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CONNECTION, CONTENT_RANGE, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use tintype_model::{Rejection, StoreError, error_chain};
use utoipa::ToSchema;

use crate::auth::Missing;

/// Media type of problem documents (RFC 9457).
pub(crate) const PROBLEM: &str = "application/problem+json";

/// The detail of a 404 for a key that nothing is stored under.
pub(crate) const NO_IMAGE: &str = "there is no source and no record with this key";

/// The detail of a 404 for a path that is nobody's.
pub(crate) const NOTHING_HERE: &str = "there is nothing at this path";

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// An answer that is not what was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the path is not percent-encoded UTF-8")]
    BadEncoding,
    #[error("{0}")]
    BadRequest(String),
    #[error("the request needs exactly one well-formed Host")]
    BadHost,
    #[error("the request body ended before it was complete")]
    BodyCutOff,
    #[error("the request body came too slowly")]
    BodyTooSlow,
    #[error("the request needs the admin token or a session")]
    Unauthorized(Missing),
    #[error("writes from other origins are refused")]
    CrossOrigin,
    /// A request that no gateway vouches for, where one has to.
    #[error("the request did not come through the gateway that authorises requests")]
    Forbidden,
    #[error("{0}")]
    NotFound(&'static str),
    /// The value of `Allow`, where the router does not add that header.
    #[error("the path does not take this method")]
    MethodNotAllowed(Option<&'static str>),
    #[error("{0}")]
    Conflict(&'static str),
    #[error("the picture is not the one that the request names")]
    PreconditionFailed,
    #[error("the request body is larger than {0} bytes")]
    BodyTooLarge(usize),
    #[error("the request body must be {0}")]
    UnsupportedMediaType(&'static str),
    #[error("the picture has {size_bytes} bytes, none of them in the range")]
    RangeNotSatisfiable { size_bytes: u64 },
    #[error("this server does not answer for host {0:?}; allowed_hosts can name it")]
    MisdirectedHost(String),
    #[error("{}", .0.detail)]
    Rejected(Rejection),
    #[error("the method is not known")]
    NotImplemented,
    /// A record that is ready names a rendition that is not there, or not the one it names.
    #[error("rendition {object_key:?} of a ready record is missing")]
    MissingRendition { object_key: String },
    #[error("a request handler panicked: {0}")]
    Panicked(String),
    #[error("a store did not answer")]
    Store(#[source] StoreError),
    #[error("the picture was replaced while it was read, several times")]
    Busy,
    #[error("processing failed and was given up; it will be tried again on request")]
    GivenUp,
    #[error("the server is not ready: {0}")]
    NotReady(String),
}

/// A problem document (RFC 9457), media type `application/problem+json`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// Always `about:blank`: `code` tells problems apart.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    kind: &'static str,
    /// The status code's phrase.
    #[schema(example = "Not Found")]
    title: &'static str,
    /// The status code.
    #[schema(example = 404, minimum = 400, maximum = 599)]
    status: u16,
    /// An explanation of the error in this request, for people.
    detail: String,
    /// The kind of error, for programs; for rejected images the code of the rejection.
    #[schema(example = "not_found")]
    code: &'static str,
}

/// The `detail` of a problem document, among the extensions of its response, for pages that show it in HTML.
#[derive(Clone, Debug)]
pub(crate) struct ProblemDetail(pub(crate) String);

/// The seconds after which a request may be repeated, in answers to those that can be.
const RETRY_SOON: &str = "1";
const RETRY_LATER: &str = "60";

impl Error {
    pub(crate) const fn status(&self) -> StatusCode {
        match self {
            Self::BadEncoding | Self::BadRequest(_) | Self::BadHost | Self::BodyCutOff => {
                StatusCode::BAD_REQUEST
            }
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::CrossOrigin | Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::RangeNotSatisfiable { .. } => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::MisdirectedHost(_) => StatusCode::MISDIRECTED_REQUEST,
            Self::Rejected(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::NotImplemented => StatusCode::NOT_IMPLEMENTED,
            Self::MissingRendition { .. } | Self::Panicked(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Store(_) | Self::Busy | Self::GivenUp | Self::NotReady(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    const fn code(&self) -> &'static str {
        match self {
            Self::BadEncoding => "bad_encoding",
            Self::BadRequest(_) => "bad_request",
            Self::BadHost => "bad_host",
            Self::BodyCutOff => "body_cut_off",
            Self::BodyTooSlow => "body_too_slow",
            Self::Unauthorized(_) => "unauthorized",
            Self::CrossOrigin => "cross_origin",
            Self::Forbidden => "forbidden",
            Self::NotFound(_) => "not_found",
            Self::MethodNotAllowed(_) => "method_not_allowed",
            Self::Conflict(_) => "conflict",
            Self::PreconditionFailed => "precondition_failed",
            Self::BodyTooLarge(_) => "body_too_large",
            Self::UnsupportedMediaType(_) => "unsupported_media_type",
            Self::RangeNotSatisfiable { .. } => "range_not_satisfiable",
            Self::MisdirectedHost(_) => "misdirected_host",
            Self::Rejected(rejection) => rejection.code.name(),
            Self::NotImplemented => "not_implemented",
            Self::MissingRendition { .. } => "missing_rendition",
            Self::Panicked(_) => "internal",
            Self::Store(_) => "unavailable",
            Self::Busy => "busy",
            Self::GivenUp => "processing_failed",
            Self::NotReady(_) => "not_ready",
        }
    }

    /// The message for the client. It says nothing about the inside: neither object keys nor errors of stores.
    fn detail(&self) -> String {
        match self {
            Self::MissingRendition { .. } => "the picture should be here and is not".to_owned(),
            Self::Panicked(_) => "the request could not be answered".to_owned(),
            Self::BadEncoding
            | Self::BadRequest(_)
            | Self::BadHost
            | Self::BodyCutOff
            | Self::BodyTooSlow
            | Self::Unauthorized(_)
            | Self::CrossOrigin
            | Self::Forbidden
            | Self::NotFound(_)
            | Self::MethodNotAllowed(_)
            | Self::Conflict(_)
            | Self::PreconditionFailed
            | Self::BodyTooLarge(_)
            | Self::UnsupportedMediaType(_)
            | Self::RangeNotSatisfiable { .. }
            | Self::MisdirectedHost(_)
            | Self::Rejected(_)
            | Self::NotImplemented
            | Self::Store(_)
            | Self::Busy
            | Self::GivenUp
            | Self::NotReady(_) => self.to_string(),
        }
    }

    /// The header that the status code asks for.
    fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        let fixed = |name, value| Some((name, HeaderValue::from_static(value)));
        match self {
            Self::Unauthorized(_) => fixed(WWW_AUTHENTICATE, "Bearer realm=\"tintype\""),
            Self::MethodNotAllowed(allow) => allow.and_then(|allow| fixed(ALLOW, allow)),
            Self::RangeNotSatisfiable { size_bytes } => {
                HeaderValue::from_str(&tintype_http::unsatisfied_range(*size_bytes))
                    .ok()
                    .map(|value| (CONTENT_RANGE, value))
            }
            // The rest of the body may still be on its way.
            Self::BodyCutOff | Self::BodyTooSlow => fixed(CONNECTION, "close"),
            Self::Store(_) | Self::Busy | Self::NotReady(_) => fixed(RETRY_AFTER, RETRY_SOON),
            Self::GivenUp => fixed(RETRY_AFTER, RETRY_LATER),
            Self::BadEncoding
            | Self::BadRequest(_)
            | Self::BadHost
            | Self::CrossOrigin
            | Self::Forbidden
            | Self::NotFound(_)
            | Self::Conflict(_)
            | Self::PreconditionFailed
            | Self::BodyTooLarge(_)
            | Self::UnsupportedMediaType(_)
            | Self::MisdirectedHost(_)
            | Self::Rejected(_)
            | Self::NotImplemented
            | Self::MissingRendition { .. }
            | Self::Panicked(_) => None,
        }
    }

    /// Writes the error to the log; nothing else does, since errors end here.
    fn log(&self) {
        match self {
            Self::MissingRendition { .. } | Self::Panicked(_) | Self::Store(_) => {
                tracing::error!(error = error_chain(self), "request failed");
            }
            Self::Busy => tracing::warn!(error = error_chain(self), "request failed"),
            Self::BadEncoding
            | Self::BadRequest(_)
            | Self::BadHost
            | Self::BodyCutOff
            | Self::BodyTooSlow
            | Self::Unauthorized(_)
            | Self::CrossOrigin
            | Self::Forbidden
            | Self::NotFound(_)
            | Self::MethodNotAllowed(_)
            | Self::Conflict(_)
            | Self::PreconditionFailed
            | Self::BodyTooLarge(_)
            | Self::UnsupportedMediaType(_)
            | Self::RangeNotSatisfiable { .. }
            | Self::MisdirectedHost(_)
            | Self::Rejected(_)
            | Self::NotImplemented
            | Self::GivenUp
            | Self::NotReady(_) => tracing::debug!(error = %self, "request refused"),
        }
    }
}

impl From<Missing> for Error {
    fn from(missing: Missing) -> Self {
        Self::Unauthorized(missing)
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        self.log();
        let status = self.status();
        let problem = Problem {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: self.detail(),
            code: self.code(),
        };
        let json = serde_json::to_vec(&problem).expect("a problem has only strings and numbers");
        let mut response = Response::new(Body::from(json));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
        if let Some((name, value)) = self.header() {
            headers.insert(name, value);
        }
        response.extensions_mut().insert(ProblemDetail(problem.detail));
        response
    }
}

/// The answer to a panic, for `tower_http`'s catcher.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature is that of `tower_http`'s handlers"
)]
pub(crate) fn panicked(panic: Box<dyn std::any::Any + Send>) -> Response {
    Error::Panicked(tintype_model::panic_message(panic.as_ref()).to_owned()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_errors_say_nothing_internal() {
        let secret = "/var/lib/secret";
        for error in [
            Error::MissingRendition {
                object_key: secret.to_owned(),
            },
            Error::Panicked(secret.to_owned()),
            Error::Store(StoreError::unavailable(secret)),
        ] {
            assert!(error.status().is_server_error());
            assert!(!error.detail().contains(secret), "{error:?}");
            assert!(error_chain(&error).contains(secret), "{error:?}");
        }
    }

    #[test]
    fn panic_messages_are_found() {
        assert!(matches!(
            panicked(Box::new("text")).status(),
            StatusCode::INTERNAL_SERVER_ERROR
        ));
        assert_eq!(
            error_chain(&Error::Panicked("x".to_owned())),
            "a request handler panicked: x"
        );
    }
}
