//! Checks of the digests that a client sends with a body, in headers or trailers.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, StatusCode};
use s3s::crypto::{Checksum as _, Md5};
use s3s::{Body, S3Error, S3ErrorCode, S3Result, TrailingHeaders};

use super::body::BodyReport;
use super::checksum::{self, Claim};
use super::config::MAX_XML_BYTES;
use super::error::{custom, fail};
use super::offered::Operation;

/// Reads a document and compares it with its digests, which `s3s` does not. Where it expects no document it does not
/// read the body at all.
pub(crate) async fn verified(
    mut body: Body,
    operation: &Operation,
    headers: &HeaderMap,
    trailers: Option<&TrailingHeaders>,
    report: &BodyReport,
) -> S3Result<Body> {
    let bytes = body.store_all_limited(MAX_XML_BYTES).await.map_err(|error| {
        // Only the limit itself is an error about the size.
        if report.error().is_none() && error.downcast_ref::<http_body_util::LengthLimitError>().is_some() {
            S3Error::new(S3ErrorCode::MaxMessageLengthExceeded)
        } else {
            report.failure(headers)
        }
    })?;
    if let Some(expected) = content_md5(headers)?
        && expected != Md5::checksum(&bytes)
    {
        return Err(bad_digest("Content-MD5"));
    }
    let claim = match checksum::claim(headers).map_err(invalid_claim)? {
        Some(claim) if operation.checksums_document() => Some(claim),
        Some(_) | None => None,
    };
    let trailing = trailing_claim(headers, trailers)?;
    for claim in claim.iter().chain(&trailing) {
        if claim.algorithm.of(&bytes) != claim.value {
            return Err(bad_digest(claim.algorithm.name()));
        }
    }
    Ok(bytes.into())
}

/// The checksum behind a body that was read.
///
/// # Errors
/// When the trailers are not those that `x-amz-trailer` announces: one that was not announced is not signed, and a
/// missing one was cut off.
pub(crate) fn trailing_claim(
    headers: &HeaderMap,
    trailers: Option<&TrailingHeaders>,
) -> S3Result<Option<Claim>> {
    let announced = checksum::announced(headers);
    let read = |trailers: &HeaderMap| {
        let strange = trailers.keys().any(|name| {
            *name != "x-amz-trailer-signature" && announced.iter().all(|known| known.header() != *name)
        });
        (checksum::claim(trailers), strange)
    };
    let (claim, strange) = trailers
        .and_then(|trailers| trailers.read(read))
        .unwrap_or((Ok(None), false));
    let claim = claim.map_err(invalid_claim)?;
    if strange || claim.as_ref().map(|claim| claim.algorithm) != announced.first().copied() {
        return Err(missing_trailer());
    }
    Ok(claim)
}

/// The digest in `Content-MD5`.
pub(crate) fn content_md5(headers: &HeaderMap) -> S3Result<Option<[u8; 16]>> {
    let Some(value) = headers.get("content-md5") else {
        return Ok(None);
    };
    let digest = STANDARD
        .decode(value.as_bytes())
        .ok()
        .and_then(|digest| digest.try_into().ok());
    match digest {
        Some(digest) => Ok(Some(digest)),
        None => Err(fail(
            S3ErrorCode::InvalidDigest,
            "The Content-MD5 you specified was invalid.",
        )),
    }
}

/// The error for a digest that differs.
pub(crate) fn bad_digest(name: &str) -> S3Error {
    fail(
        S3ErrorCode::BadDigest,
        format!("The {name} you specified did not match what we received."),
    )
}

/// The error for unreadable checksums.
pub(crate) fn invalid_claim(error: checksum::ClaimError) -> S3Error {
    let message = match error {
        checksum::ClaimError::Several => {
            "Expecting a single x-amz-checksum- header. Multiple checksum types are not allowed.".to_owned()
        }
        checksum::ClaimError::Invalid(algorithm) => {
            format!("Value for {} header is invalid.", algorithm.header())
        }
    };
    fail(S3ErrorCode::InvalidRequest, message)
}

/// The error for a trailer that was announced and is missing, or was not announced.
fn missing_trailer() -> S3Error {
    custom(
        StatusCode::BAD_REQUEST,
        "MalformedTrailerError",
        "The request contained trailing data that was not well-formed or did not conform to our published schema.",
    )
}
