//! Errors as S3 clients know them: code, status and message.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use rand::Rng as _;
use s3s::{S3Error, S3ErrorCode};
use tintype_store as store;

/// An error with a message.
pub(crate) fn fail(code: S3ErrorCode, message: impl Into<String>) -> S3Error {
    S3Error::with_message(code, message.into())
}

/// An error whose code `s3s` does not know.
pub(crate) fn custom(status: StatusCode, code: &'static str, message: impl Into<String>) -> S3Error {
    let mut error = fail(S3ErrorCode::Custom(code.into()), message);
    error.set_status_code(status);
    error
}

/// The error for a header or parameter that the endpoint does not offer, in the words of S3.
pub(crate) fn not_implemented(what: &str) -> S3Error {
    let message =
        format!("A header or parameter you provided implies functionality that is not implemented: {what}.");
    fail(S3ErrorCode::NotImplemented, message)
}

/// The error for a condition that does not hold, in the words of S3.
pub(crate) fn precondition_failed() -> S3Error {
    fail(
        S3ErrorCode::PreconditionFailed,
        "At least one of the pre-conditions you specified did not hold.",
    )
}

/// The error for an object that is not there, in the words of S3.
pub(crate) fn no_such_key() -> S3Error {
    fail(S3ErrorCode::NoSuchKey, "The specified key does not exist.")
}

/// The store's errors in S3's words. Errors of the machine are logged here, and the answer says nothing of them.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` calls")]
pub(crate) fn from_store(error: store::Error) -> S3Error {
    let message = error.to_string();
    match error {
        store::Error::NoSuchKey => no_such_key(),
        store::Error::InvalidKey(tintype_model::KeyError::Empty) => {
            fail(S3ErrorCode::InvalidArgument, "The object key must not be empty.")
        }
        store::Error::InvalidKey(tintype_model::KeyError::TooLong(_)) => {
            fail(S3ErrorCode::KeyTooLongError, "Your key is too long.")
        }
        store::Error::PreconditionFailed => precondition_failed(),
        store::Error::TooLarge { .. } => fail(S3ErrorCode::EntityTooLarge, message),
        store::Error::NoSuchUpload => fail(
            S3ErrorCode::NoSuchUpload,
            "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted \
             or completed.",
        ),
        store::Error::InvalidPart { .. } => fail(
            S3ErrorCode::InvalidPart,
            format!("One or more of the specified parts could not be used: {message}."),
        ),
        store::Error::InvalidPartOrder => fail(
            S3ErrorCode::InvalidPartOrder,
            "The list of parts was not in ascending order. Parts must be ordered by part number.",
        ),
        store::Error::InvalidPartNumber { number: 0 } => {
            fail(S3ErrorCode::MalformedXML, "You must specify at least one part.")
        }
        store::Error::InvalidPartNumber { .. } => fail(
            S3ErrorCode::InvalidArgument,
            "Part number must be an integer between 1 and 10000, inclusive.",
        ),
        store::Error::EntityTooSmall { .. } => fail(
            S3ErrorCode::EntityTooSmall,
            format!("Your proposed upload is smaller than the minimum allowed size: {message}."),
        ),
        store::Error::Full(_) => {
            tracing::error!(error = &error as &dyn std::error::Error, "the disk is full");
            custom(
                StatusCode::INSUFFICIENT_STORAGE,
                "InsufficientStorage",
                "There is no space left to store data.",
            )
        }
        store::Error::NotCommitted(_) | store::Error::Closed => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the store did not answer"
            );
            fail(S3ErrorCode::ServiceUnavailable, "Please try again.")
        }
        // It was logged when it was found.
        store::Error::Damaged(ref damage) => fail(
            S3ErrorCode::InternalError,
            format!(
                "The stored bytes of this object are damaged (its file is {}), so they are not given out. Upload the \
                 object again.",
                damage.fault.name()
            ),
        ),
        store::Error::StaleLease { .. }
        | store::Error::Locked { .. }
        | store::Error::UnknownFiles { .. }
        | store::Error::TooNew { .. }
        | store::Error::Corrupt(_)
        | store::Error::Io { .. }
        | store::Error::Sqlite(_) => {
            tracing::error!(error = &error as &dyn std::error::Error, "the store failed");
            fail(
                S3ErrorCode::InternalError,
                "We encountered an internal error. Please try again.",
            )
        }
    }
}

/// The answer that carries an error.
pub(crate) fn response(error: S3Error) -> Response<Body> {
    match error.to_http_response() {
        Ok(response) => finish(response),
        Err(_) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        }
    }
}

/// Completes an answer of `s3s`: request id, messages that it leaves out of errors, and characters that XML readers
/// would otherwise change or that `s3s` leaves raw.
pub(crate) fn finish(response: Response<s3s::Body>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    let request_id = format!("{:016X}", rand::rng().random::<u64>());
    parts.headers.insert(
        "x-amz-request-id",
        HeaderValue::from_str(&request_id).expect("hexadecimal digits make a header value"),
    );
    let is_xml = parts
        .headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value == "application/xml");
    let body = match body.bytes() {
        Some(bytes) if is_xml && !bytes.is_empty() => {
            let bytes = if parts.status.is_client_error() || parts.status.is_server_error() {
                complete_error(&bytes, &request_id)
            } else {
                bytes
            };
            let bytes = escape_controls(bytes);
            parts.headers.insert(header::CONTENT_LENGTH, bytes.len().into());
            Body::from(bytes)
        }
        Some(bytes) => Body::from(bytes),
        None => Body::new(body),
    };
    Response::from_parts(parts, body)
}

/// Adds what S3 puts into every error and `s3s` does not. The document is `s3s`'s own and starts with the code.
fn complete_error(xml: &Bytes, request_id: &str) -> Bytes {
    let Ok(text) = std::str::from_utf8(xml) else {
        return xml.clone();
    };
    let (Some(start), Some(end)) = (text.find("<Code>"), text.find("</Code>")) else {
        return xml.clone();
    };
    let Some(tail) = text.rfind("</Error>") else {
        return xml.clone();
    };
    let code = &text[start + "<Code>".len()..end];
    let after_code = end + "</Code>".len();
    let message = if text.contains("<Message>") {
        String::new()
    } else {
        format!("<Message>{}</Message>", default_message(code))
    };
    let head = &text[..after_code];
    let rest = &text[after_code..tail];
    format!("{head}{message}{rest}<RequestId>{request_id}</RequestId></Error>").into()
}

fn default_message(code: &str) -> &'static str {
    match code {
        "SignatureDoesNotMatch" => {
            "The request signature we calculated does not match the signature you provided. Check your key and \
             signing method."
        }
        "InvalidBucketName" => "The specified bucket is not valid.",
        "InvalidURI" => "Couldn't parse the specified URI.",
        "KeyTooLongError" => "Your key is too long.",
        "IncompleteBody" => {
            "You did not provide the number of bytes specified by the Content-Length HTTP header."
        }
        "MalformedXML" => {
            "The XML you provided was not well-formed or did not validate against our published schema."
        }
        "MissingRequestBodyError" => "Request body is empty.",
        "MissingContentLength" => "You must provide the Content-Length HTTP header.",
        "MaxMessageLengthExceeded" => "Your request was too big.",
        "MethodNotAllowed" => "The specified method is not allowed against this resource.",
        "NotImplemented" => "This operation is not implemented.",
        "InvalidRange" => "The requested range is not satisfiable.",
        "InternalError" => "We encountered an internal error. Please try again.",
        _ => "The request was refused.",
    }
}

/// Writes carriage returns and control characters as references, like S3: XML readers turn a raw carriage return into a
/// line feed, and raw control characters are not XML. Only keys, and elements that repeat them, contain such
/// characters.
fn escape_controls(xml: Bytes) -> Bytes {
    let raw = |byte: &u8| *byte < 0x20 && !matches!(byte, b'\n' | b'\t');
    if !xml.iter().any(raw) {
        return xml;
    }
    let mut out = Vec::with_capacity(xml.len() + 64);
    for byte in &xml {
        if raw(byte) {
            out.extend_from_slice(format!("&#{byte};").as_bytes());
        } else {
            out.push(*byte);
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    async fn text(response: Response<Body>) -> String {
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn every_error_has_code_message_and_request_id() {
        let response = response(S3Error::new(S3ErrorCode::SignatureDoesNotMatch));
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        let id = response.headers()["x-amz-request-id"]
            .to_str()
            .unwrap()
            .to_owned();
        let text = text(response).await;
        assert!(
            text.contains("<Code>SignatureDoesNotMatch</Code><Message>The request signature"),
            "{text}"
        );
        assert!(
            text.ends_with(&format!("<RequestId>{id}</RequestId></Error>")),
            "{text}"
        );
    }

    #[tokio::test]
    async fn messages_are_kept_and_escaped() {
        let text = text(response(fail(S3ErrorCode::InvalidArgument, "a < b\rc"))).await;
        assert!(text.contains("<Message>a &lt; b&#13;c</Message>"), "{text}");
    }

    #[tokio::test]
    async fn failures_of_the_machine_stay_inside() {
        let error = store::Error::Corrupt("row 7 of /secret/path".into());
        let response = response(from_store(error));
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!text(response).await.contains("secret"));
    }
}
