//! The step between signature and operation: rewrites the authenticated request for the second `s3s`.
//!
//! Headers are signed, so nothing can be rewritten before the signature is checked; whatever `s3s` would misread
//! or refuse is rewritten here.

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use percent_encoding::percent_decode_str;
use s3s::route::S3Route;
use s3s::service::S3Service;
use s3s::{Body, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, TrailingHeaders};

use super::body::BodyReport;
use super::checksum;
use super::config::{MAX_PUT_BYTES, OWNER};
use super::error::{fail, not_implemented};
use super::offered::{self, Operation};
use super::verify::verified;

/// The facts that an operation needs of the request besides its parameters.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// The operation that the request is for.
    pub(crate) operation: &'static Operation,
    /// All headers, with `x-amz-*` query parameters of presigned URLs among them.
    pub(crate) headers: HeaderMap,
    /// Headers behind an aws-chunked body, which are known once it was read.
    pub(crate) trailers: Option<TrailingHeaders>,
    /// The state of the body: its fault, and whether it was read.
    pub(crate) report: BodyReport,
    /// Length of the decoded body in bytes, when it was announced.
    pub(crate) length: Option<u64>,
}

impl Origin {
    /// The origin of a request that came over the bridge.
    pub(crate) fn of<T>(request: &S3Request<T>) -> S3Result<Self> {
        let found = request.extensions.get::<Self>().cloned();
        found.ok_or_else(|| S3Error::new(S3ErrorCode::InternalError))
    }
}

/// Passes every request with a right signature on to the second `s3s`.
pub(crate) struct Bridge {
    operations: S3Service,
}

impl Bridge {
    pub(crate) fn new(operations: S3Service) -> Self {
        Self { operations }
    }
}

#[async_trait::async_trait]
impl S3Route for Bridge {
    fn is_match(&self, _: &Method, _: &Uri, _: &HeaderMap, _: &mut http::Extensions) -> bool {
        true
    }

    async fn call(&self, request: S3Request<Body>) -> S3Result<S3Response<Body>> {
        let S3Request {
            input: mut body,
            method,
            uri,
            mut headers,
            mut extensions,
            trailing_headers,
            ..
        } = request;
        let report = extensions.remove::<BodyReport>().unwrap_or_default();
        let uri = take_presigned(&uri, &mut headers)?;
        let operation = offered::choose(&method, &uri, &headers)?;
        refuse_unsupported(&headers)?;
        checksum::refuse_unknown(&headers)?;
        let length = announced_length(&headers)?;
        if length.is_some_and(|length| length > MAX_PUT_BYTES) {
            return Err(fail(
                S3ErrorCode::EntityTooLarge,
                format!("Your proposed upload exceeds the maximum allowed size of {MAX_PUT_BYTES} bytes."),
            ));
        }
        strip_aws_chunked(&mut headers)?;
        if operation.takes_document() {
            body = verified(body, operation, &headers, trailing_headers.as_ref(), &report).await?;
        }
        let origin = Origin {
            operation,
            headers: headers.clone(),
            trailers: trailing_headers,
            report,
            length,
        };
        remove_what_operations_read_themselves(&mut headers);

        let mut inner = http::Request::new(body);
        *inner.method_mut() = method;
        *inner.uri_mut() = uri;
        *inner.headers_mut() = headers;
        inner.extensions_mut().insert(origin);
        let response = self
            .operations
            .call(inner)
            .await
            .map_err(|_| S3Error::new(S3ErrorCode::InternalError))?;
        let (mut parts, body) = response.into_parts();
        // s3s answers HEAD with 200 even when the headers are those of a part.
        if parts.status == StatusCode::OK && parts.headers.contains_key(header::CONTENT_RANGE) {
            parts.status = StatusCode::PARTIAL_CONTENT;
        }
        let body = match body.bytes() {
            Some(document) if operation.answers_attributes() => without_quotes(&document).into(),
            Some(_) | None => body,
        };
        let mut answer = S3Response::with_status(body, parts.status);
        answer.headers = parts.headers;
        Ok(answer)
    }
}

/// The attributes of an object with its `ETag` as S3 writes it there, without quotes.
fn without_quotes(document: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(document)
        .replacen("<ETag>\"", "<ETag>", 1)
        .replacen("\"</ETag>", "</ETag>", 1)
        .into_bytes()
}

/// The query parameters that make up a signature.
const SIGNATURE: [&str; 7] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
];

/// Removes the signature from the query, and the headers that SDKs moved into it. The query is signed as a whole; a
/// header of the same name takes precedence.
///
/// Checksums in the query are left out: SDKs sign URLs before there is a body, and some put the checksum of an empty
/// one into the query. A checksum that binds the sender of the body is a signed header.
fn take_presigned(uri: &Uri, headers: &mut HeaderMap) -> S3Result<Uri> {
    headers.remove(header::AUTHORIZATION);
    let Some(query) = uri.query() else {
        return Ok(uri.clone());
    };
    offered::parameters(query)?;
    let mut rest = Vec::new();
    let mut moved = HeaderMap::new();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = percent_decode_str(name).decode_utf8_lossy();
        if SIGNATURE.contains(&&*name) {
            continue;
        }
        let name = name.to_ascii_lowercase();
        if !name.starts_with("x-amz-") {
            rest.push(pair);
            continue;
        }
        if name == "x-amz-content-sha256" || checksum::is_value(&name) {
            continue;
        }
        let value = value.replace('+', " ");
        let bytes: Vec<u8> = percent_decode_str(&value).collect();
        let name = HeaderName::from_bytes(name.as_bytes()).ok();
        let (Some(name), Ok(value)) = (name, HeaderValue::from_bytes(&bytes)) else {
            return Err(fail(
                S3ErrorCode::InvalidArgument,
                "A query parameter is not a valid header.",
            ));
        };
        if moved.insert(&name, value).is_some() {
            let message = format!("The query parameter {name} is there more than once.");
            return Err(fail(S3ErrorCode::InvalidArgument, message));
        }
    }
    for (name, value) in &moved {
        if !headers.contains_key(name) {
            headers.insert(name, value.clone());
        }
    }
    let path = uri.path();
    let target = if rest.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{}", rest.join("&"))
    };
    target.parse().map_err(|_| S3Error::new(S3ErrorCode::InvalidURI))
}

/// Refuses values that ask for features that do not exist here. The usual values, which many scripts send, pass.
pub(crate) fn refuse_unsupported(headers: &HeaderMap) -> S3Result<()> {
    let is_other = |name: &str, usual: &[&str]| {
        headers
            .get_all(name)
            .iter()
            .any(|value| !usual.iter().any(|usual| value == usual))
    };
    // Encryption with the store's own keys is invisible to clients.
    if is_other("x-amz-server-side-encryption", &["AES256"]) {
        return Err(not_implemented(
            "x-amz-server-side-encryption with another value than AES256",
        ));
    }
    if is_other("x-amz-acl", &["private", "bucket-owner-full-control"]) {
        return Err(fail(
            S3ErrorCode::AccessControlListNotSupported,
            "The bucket does not allow ACLs.",
        ));
    }
    if is_other("x-amz-storage-class", &["STANDARD", "REDUCED_REDUNDANCY"]) {
        return Err(fail(
            S3ErrorCode::InvalidStorageClass,
            "The storage class you specified is not valid: there is only STANDARD.",
        ));
    }
    let usual: [(&str, &[&str]); 5] = [
        // The SDK for C++ sends the only version.
        ("x-amz-api-version", &["2006-03-01"]),
        ("x-amz-request-payer", &["requester"]),
        ("x-amz-checksum-type", &["FULL_OBJECT", "COMPOSITE"]),
        // Objects have no tags, so both values mean the same.
        ("x-amz-tagging-directive", &["COPY", "REPLACE"]),
        ("x-amz-object-annotation-directive", &["COPY", "EXCLUDE"]),
    ];
    for (name, values) in usual {
        if is_other(name, values) {
            let message = format!(
                "The value of {name} is not valid: it must be {}.",
                values.join(" or ")
            );
            return Err(fail(S3ErrorCode::InvalidArgument, message));
        }
    }
    for name in [
        "x-amz-expected-bucket-owner",
        "x-amz-source-expected-bucket-owner",
    ] {
        if is_other(name, &[OWNER]) {
            let message =
                format!("Access Denied: the owner of the bucket is {OWNER:?}, and {name} names another.");
            return Err(fail(S3ErrorCode::AccessDenied, message));
        }
    }
    Ok(())
}

/// Length of the decoded body.
fn announced_length(headers: &HeaderMap) -> S3Result<Option<u64>> {
    let value = headers
        .get("x-amz-decoded-content-length")
        .or_else(|| headers.get(header::CONTENT_LENGTH));
    value
        .map(|value| {
            let number = value.to_str().ok().and_then(|value| value.parse().ok());
            number.ok_or_else(|| {
                fail(
                    S3ErrorCode::InvalidArgument,
                    "The length of the body is not a number.",
                )
            })
        })
        .transpose()
}

/// Removes `aws-chunked`, which is about the transfer and not about the object; the rest is stored.
fn strip_aws_chunked(headers: &mut HeaderMap) -> S3Result<()> {
    let mut kept = Vec::new();
    for value in headers.get_all(header::CONTENT_ENCODING) {
        let Ok(text) = value.to_str() else {
            return Err(fail(
                S3ErrorCode::InvalidArgument,
                "The Content-Encoding header is not text.",
            ));
        };
        let codings = text.split(',').map(str::trim);
        kept.extend(codings.filter(|coding| !coding.is_empty() && *coding != "aws-chunked"));
    }
    if kept.is_empty() {
        headers.remove(header::CONTENT_ENCODING);
    } else if let Ok(value) = HeaderValue::from_str(&kept.join(", ")) {
        headers.insert(header::CONTENT_ENCODING, value);
    }
    Ok(())
}

/// Hides conditions, dates and ranges from `s3s`, which refuses several entity tags, several ranges and unusual dates
/// where S3 and RFC 9110 read or ignore them. Operations read them as they were sent.
fn remove_what_operations_read_themselves(headers: &mut HeaderMap) {
    for name in [
        header::IF_MATCH,
        header::IF_NONE_MATCH,
        header::IF_MODIFIED_SINCE,
        header::IF_UNMODIFIED_SINCE,
        header::RANGE,
        header::EXPIRES,
    ] {
        headers.remove(name);
    }
    for name in [
        "if-match",
        "if-none-match",
        "if-modified-since",
        "if-unmodified-since",
    ] {
        headers.remove(format!("x-amz-copy-source-{name}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_leave_the_query_and_moved_headers_become_headers() {
        let uri = "/raw/a%2Fb+c?X-Amz-Signature=1&partNumber=2&x-amz-meta-a=b%20c+d&X-Amz-Expires=9&uploadId=x%2B\
             &X-Amz-Checksum-Crc32=AAAAAA%3D%3D";
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_static("x"));
        let uri = take_presigned(&uri.parse().unwrap(), &mut headers).unwrap();
        assert_eq!(uri, "/raw/a%2Fb+c?partNumber=2&uploadId=x%2B");
        assert_eq!(headers.len(), 1);
        assert_eq!(headers["x-amz-meta-a"], "b c d");
    }

    #[test]
    fn only_the_object_s_own_encodings_are_kept() {
        for (sent, kept) in [
            (&["aws-chunked"][..], None),
            (&["gzip,aws-chunked"], Some("gzip")),
            (&["gzip"], Some("gzip")),
            (&["aws-chunked", "gzip"], Some("gzip")),
            (&["br", "aws-chunked, gzip"], Some("br, gzip")),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for value in sent {
                headers.append(header::CONTENT_ENCODING, HeaderValue::from_static(value));
            }
            strip_aws_chunked(&mut headers).unwrap();
            assert_eq!(
                headers
                    .get(header::CONTENT_ENCODING)
                    .map(|value| value.to_str().unwrap()),
                kept
            );
        }
    }

    /// `"ok"` when a header is taken, otherwise the code that it is refused with.
    fn verdict(name: &'static str, values: &[&'static str]) -> String {
        let name = HeaderName::from_static(name);
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(&name, HeaderValue::from_static(value));
        }
        refuse_unsupported(&headers)
            .map_or_else(|error| error.code().as_str().to_owned(), |()| "ok".to_owned())
    }

    #[test]
    fn features_that_are_missing_are_not_ignored() {
        for name in [
            "x-amz-expected-bucket-owner",
            "x-amz-source-expected-bucket-owner",
        ] {
            assert_eq!(verdict(name, &["123456789012"]), "AccessDenied", "{name}");
        }
        assert_eq!(verdict("x-amz-tagging-directive", &["DROP"]), "InvalidArgument");
        assert_eq!(
            verdict("x-amz-acl", &["public-read"]),
            "AccessControlListNotSupported"
        );
        assert_eq!(
            verdict("x-amz-storage-class", &["DEEP_ARCHIVE"]),
            "InvalidStorageClass"
        );
    }

    #[test]
    fn values_that_say_nothing_pass() {
        let encryption = "x-amz-server-side-encryption";
        for (name, value) in [
            ("x-amz-acl", "private"),
            (encryption, "AES256"),
            ("x-amz-storage-class", "STANDARD"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ("x-amz-api-version", "2006-03-01"),
            ("x-amz-request-payer", "requester"),
            ("x-amz-tagging-directive", "REPLACE"),
            ("x-amz-expected-bucket-owner", OWNER),
        ] {
            assert_eq!(verdict(name, &[value]), "ok", "{name}: {value}");
        }
        for value in ["aws:kms", "aws:kms:dsse", "aes256", ""] {
            assert_eq!(verdict(encryption, &[value]), "NotImplemented", "{value}");
        }
        // Every value counts, not only the first.
        assert_eq!(verdict(encryption, &["AES256", "aws:kms"]), "NotImplemented");
        assert_eq!(
            verdict("x-amz-storage-class", &["STANDARD", "GLACIER"]),
            "InvalidStorageClass"
        );
    }
}
