//! Uploads by HTML form. The file is streamed: nothing of it is read before the policy is checked, and never more
//! than the policy allows (`s3s` would keep it in memory).
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html>

use std::collections::BTreeMap;

use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header, request};
use jiff::Timestamp;
use s3s::{S3Error, S3ErrorCode, S3Result};
use tintype_http::{Peer, Refused};
use tintype_model::{ObjectKey, Precondition, encode_component};
use tintype_store::{SourceOptions, Store};

use super::body::Inbound;
use super::bridge::refuse_unsupported;
use super::checksum::{self, Algorithm};
use super::config::{BUCKET, MAX_PUT_BYTES, S3Config, location};
use super::error::{self, fail, from_store, not_implemented};
use super::form_data::{Form, boundary};
use super::offered;
use super::ops::attributes;
use super::ops::object_checksum::ObjectChecksum;
use super::policy::{self, Fields};
use super::receive::{Expected, Receiver};
use super::verify::{content_md5, invalid_claim};

/// The most fields that a form may have before the file.
const MAX_FIELDS: usize = 100;

/// Answers a form.
pub(crate) async fn upload(
    store: &Store,
    config: &S3Config,
    request: &request::Parts,
    body: Inbound,
) -> S3Result<Response<Body>> {
    let path = request.uri.path().trim_start_matches('/').trim_end_matches('/');
    if path != BUCKET {
        let message = "The specified method is not allowed against this resource: forms go to the bucket.";
        return Err(fail(S3ErrorCode::MethodNotAllowed, message));
    }
    offered::check_form(&request.uri, &request.headers)?;
    let boundary = boundary(&request.headers)?;
    let mut form = Form::new(Body::new(body), &boundary);
    let mut fields = Fields::new();
    let filename = loop {
        let Some(part) = form.next_part().await? else {
            return Err(fail(
                S3ErrorCode::InvalidArgument,
                "POST requires exactly one file upload per request.",
            ));
        };
        if part.name == "file" {
            break part.filename.unwrap_or_default();
        }
        let value = form.text().await?;
        if fields.len() == MAX_FIELDS || fields.insert(part.name, value).is_some() {
            return Err(fail(
                S3ErrorCode::InvalidArgument,
                "The form has too many fields, or one of them twice.",
            ));
        }
    };
    // Conditions are about the resulting key.
    if let Some(key) = fields.get_mut("key") {
        let name = filename.rsplit(['/', '\\']).next().unwrap_or_default();
        *key = key.replace("${filename}", name);
    }
    let size = policy::check(config, &fields, Timestamp::now())
        .inspect_err(|error| log_refusal(error, &fields, request.extensions.get().copied()))?;
    let key = fields.get("key").cloned().unwrap_or_default();
    let key = ObjectKey::new(key).map_err(|error| from_store(error.into()))?;

    let headers = headers_of(&fields)?;
    offered::check_fields(&headers)?;
    refuse_unsupported(&headers)?;
    checksum::refuse_unknown(&headers)?;
    checksum::refuse_composite(&headers)?;
    let metadata: BTreeMap<String, String> = fields
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix("x-amz-meta-")?.to_owned(), value.clone())))
        .collect();
    let mut attributes = attributes::from_headers(&headers, Some(metadata))?;
    let claim = checksum::claim(&headers).map_err(invalid_claim)?;
    let algorithm = claim
        .as_ref()
        .map(|claim| claim.algorithm)
        .or_else(|| checksum::named(&headers))
        .unwrap_or(Algorithm::DEFAULT);
    let expected = Expected {
        length: None,
        md5: content_md5(&headers)?,
        claim,
    };
    let mut receiver = Receiver::new(store, &[algorithm], expected);
    let max = size.max.min(MAX_PUT_BYTES);
    while let Some(bytes) = form.chunk().await? {
        if receiver.size_bytes() + bytes.len() as u64 > max {
            return Err(fail(
                S3ErrorCode::EntityTooLarge,
                format!("Your proposed upload exceeds the maximum allowed size of {max} bytes."),
            ));
        }
        receiver.write(bytes).await?;
    }
    if receiver.size_bytes() < size.min {
        return Err(fail(
            S3ErrorCode::EntityTooSmall,
            format!(
                "Your proposed upload is smaller than the minimum allowed size of {} bytes.",
                size.min
            ),
        ));
    }
    check_rest(&mut form).await?;
    let received = receiver.finish(None).await?;
    let value = received.checksum().to_owned();
    ObjectChecksum::of_whole(algorithm, &value).keep_in(&mut attributes);
    let options = SourceOptions {
        precondition: Precondition::None,
        attributes,
        etag: None,
    };
    let meta = store
        .put_source(&key, received.staged, options)
        .await
        .map_err(from_store)?;
    answer(config, &fields, &request.headers, &key, &meta.etag)
}

/// Logs a form that was refused for what it presented, with the id of its key.
fn log_refusal(error: &S3Error, fields: &Fields, peer: Option<Peer>) {
    let credential = fields.get("x-amz-credential");
    Refused {
        part: "s3",
        reason: error.code().as_str(),
        presented: credential.and_then(|credential| credential.split('/').next()),
        peer: peer.map(|Peer(address)| address),
    }
    .log();
}

/// Fields that are no headers of an upload: its destination, its permission and its answer.
const OWN_FIELDS: [&str; 10] = [
    "bucket",
    "key",
    "policy",
    "redirect",
    "success_action_redirect",
    "success_action_status",
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-signature",
];

/// The header that a field stands for, in lower case.
fn header_of(field: &str) -> Option<&str> {
    match field {
        "acl" => Some("x-amz-acl"),
        "cache-control"
        | "content-type"
        | "content-disposition"
        | "content-encoding"
        | "content-language"
        | "content-md5"
        | "expires" => Some(field),
        _ if OWN_FIELDS.contains(&field) => None,
        _ => field.starts_with("x-amz-").then_some(field),
    }
}

/// Reads the parts behind the file, where pages send their buttons. S3 ignores them.
///
/// # Errors
/// When one is another file, or a field that has a meaning in front of the file.
async fn check_rest(form: &mut Form) -> S3Result<()> {
    while let Some(part) = form.next_part().await? {
        let name = part.name.as_str();
        if name == "file" {
            return Err(fail(
                S3ErrorCode::InvalidArgument,
                "POST requires exactly one file upload per request.",
            ));
        }
        if header_of(name).is_some() || OWN_FIELDS.contains(&name) || name == "tagging" {
            let message =
                format!("The form field {name} stands behind the file. Put it in front of the file.");
            return Err(fail(S3ErrorCode::InvalidArgument, message));
        }
        form.text().await?;
    }
    Ok(())
}

/// The fields that an upload with `PUT` would send as headers.
///
/// # Errors
/// When a field is neither one of those nor one of [`OWN_FIELDS`].
fn headers_of(fields: &Fields) -> S3Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    if fields.get("bucket").is_some_and(|bucket| bucket != BUCKET) {
        let message = format!("The form field bucket names another bucket than {BUCKET:?}.");
        return Err(fail(S3ErrorCode::InvalidArgument, message));
    }
    for (name, value) in fields {
        // Metadata may be any text.
        let is_own = OWN_FIELDS.contains(&name.as_str());
        if is_own || name.starts_with("x-amz-meta-") || name.starts_with("x-ignore-") {
            continue;
        }
        let name = header_of(name).ok_or_else(|| not_implemented(&format!("the form field {name}")))?;
        let value = attributes::checked_header(name, value)?;
        let pair = HeaderName::from_bytes(name.as_bytes())
            .ok()
            .zip(HeaderValue::from_str(&value).ok());
        let (name, value) = pair.ok_or_else(|| {
            fail(
                S3ErrorCode::InvalidArgument,
                format!("The form field {name} cannot be a header."),
            )
        })?;
        headers.insert(name, value);
    }
    Ok(headers)
}

fn answer(
    config: &S3Config,
    fields: &Fields,
    headers: &HeaderMap,
    key: &ObjectKey,
    etag: &str,
) -> S3Result<Response<Body>> {
    let internal = |_| S3Error::new(S3ErrorCode::InternalError);
    let location = location(config.public_url.as_deref(), headers, key);
    let response = Response::builder().header(header::ETAG, format!("\"{etag}\""));
    let redirect = fields
        .get("success_action_redirect")
        .or_else(|| fields.get("redirect"));
    // S3 ignores a value that is not a URL.
    if let Some(url) = redirect.filter(|url| url.parse::<http::Uri>().is_ok_and(|url| url.scheme().is_some()))
    {
        let (base, fragment) = url
            .split_once('#')
            .map_or((url.as_str(), None), |(base, end)| (base, Some(end)));
        let mut target = format!(
            "{base}{}bucket={BUCKET}&key={}&etag=%22{etag}%22",
            if base.contains('?') { '&' } else { '?' },
            encode_component(key.as_str()),
        );
        if let Some(fragment) = fragment {
            target.push('#');
            target.push_str(fragment);
        }
        let response = response
            .status(StatusCode::SEE_OTHER)
            .header(header::LOCATION, target);
        return response.body(Body::empty()).map_err(internal);
    }
    let response = response.header(header::LOCATION, &location);
    let response = match fields.get("success_action_status").map(String::as_str) {
        Some("200") => response.status(StatusCode::OK).body(Body::empty()),
        Some("201") => {
            let text = format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?><PostResponse><Location>{}</Location><Bucket>{BUCKET}\
                 </Bucket><Key>{}</Key><ETag>&quot;{etag}&quot;</ETag></PostResponse>",
                escape(&location),
                escape(key.as_str()),
            );
            let response = response
                .status(StatusCode::CREATED)
                .header(header::CONTENT_TYPE, "application/xml");
            return response
                .body(s3s::Body::from(text))
                .map_err(internal)
                .map(error::finish);
        }
        _ => response.status(StatusCode::NO_CONTENT).body(Body::empty()),
    };
    response.map_err(internal)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
