//! The attributes that clients give an object, from headers to the store and back.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use s3s::{S3ErrorCode, S3Result};
use tintype_http::date_header;
use tintype_store::{Attributes, SourceMeta};

use super::fail;
use crate::conditions::last_modified;

/// The media type that S3 gives objects that were uploaded without one.
pub(crate) const DEFAULT_CONTENT_TYPE: &str = "binary/octet-stream";
/// Names and values of user metadata together, in bytes.
const MAX_METADATA_BYTES: usize = 2048;

/// The attributes in the headers of an upload. `metadata` has the `x-amz-meta-*` ones as `s3s` decoded them.
pub(crate) fn from_headers(
    headers: &HeaderMap,
    metadata: Option<impl IntoIterator<Item = (String, String)>>,
) -> S3Result<Attributes> {
    let text = |name: HeaderName| match headers.get(&name) {
        None => Ok(None),
        Some(value) if value.is_empty() => Ok(None),
        Some(value) => checked_header(name.as_str(), value.to_str().unwrap_or("\u{fffd}")).map(Some),
    };
    let metadata = metadata
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .collect();
    check_metadata(&metadata)?;
    Ok(Attributes {
        content_type: Some(text(header::CONTENT_TYPE)?.unwrap_or_else(|| DEFAULT_CONTENT_TYPE.to_owned())),
        cache_control: text(header::CACHE_CONTROL)?,
        content_disposition: text(header::CONTENT_DISPOSITION)?,
        content_encoding: text(header::CONTENT_ENCODING)?,
        content_language: text(header::CONTENT_LANGUAGE)?,
        expires: text(header::EXPIRES)?,
        metadata,
        ..Attributes::default()
    })
}

/// Returns `value` when it can be a header of answers: printable ASCII and tabs only. Otherwise the error is
/// `InvalidArgument`.
pub(crate) fn checked_header(name: &str, value: &str) -> S3Result<String> {
    if value
        .bytes()
        .all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte))
    {
        Ok(value.to_owned())
    } else {
        let message = format!("The value of {name} has characters other than printable ASCII.");
        Err(fail(S3ErrorCode::InvalidArgument, message))
    }
}

/// Checks that names can be headers again. Values may be any text; those that are not ASCII are encoded (RFC 2047), as
/// S3 does.
pub(crate) fn check_metadata(metadata: &BTreeMap<String, String>) -> S3Result<()> {
    let total: usize = metadata
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if total > MAX_METADATA_BYTES {
        return Err(fail(
            S3ErrorCode::MetadataTooLarge,
            format!(
                "Your metadata headers exceed the maximum allowed metadata size of {MAX_METADATA_BYTES} bytes."
            ),
        ));
    }
    let bad = metadata
        .keys()
        .find(|name| HeaderName::from_bytes(format!("x-amz-meta-{name}").as_bytes()).is_err());
    match bad {
        Some(name) => Err(fail(
            S3ErrorCode::InvalidArgument,
            format!("{name:?} is not a name for metadata."),
        )),
        None => Ok(()),
    }
}

/// The headers `ETag`, `Last-Modified` and `Cache-Control`, which answers without a body have as well.
pub(crate) fn validators(meta: &SourceMeta) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(&format!("\"{}\"", meta.etag)) {
        headers.insert(header::ETAG, value);
    }
    headers.insert(header::LAST_MODIFIED, date_header(last_modified(meta)));
    if let Some(Ok(value)) = meta
        .attributes
        .cache_control
        .as_deref()
        .map(HeaderValue::from_str)
    {
        headers.insert(header::CACHE_CONTROL, value);
    }
    headers
}
