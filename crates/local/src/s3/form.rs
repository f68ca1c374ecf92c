//! Uploads by HTML form. The file is streamed: nothing of it is read before the policy is checked, and never more
//! than the policy allows (`s3s` would keep it in memory).
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html>

use std::collections::BTreeMap;

use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header, request};
use jiff::Timestamp;
use percent_encoding::utf8_percent_encode;
use s3s::{S3Error, S3ErrorCode, S3Result};
use tintype_model::{ObjectKey, Precondition, encode_path};

use super::body::Inbound;
use super::bridge::{content_md5, invalid_claim, refuse_unsupported};
use super::checksum::{self, Algorithm, Kind};
use super::error::{self, fail, from_store};
use super::form_data::{Form, boundary};
use super::ops::attributes;
use super::policy::{self, Fields};
use super::receive::{Expected, Receiver};
use super::sigv4::ENCODED;
use super::{BUCKET, MAX_PUT_BYTES, S3Config};
use crate::store::{SourceOptions, Store};

/// How many fields there may be.
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
    // Conditions speak of the key that comes out.
    if let Some(key) = fields.get_mut("key") {
        let name = filename.rsplit(['/', '\\']).next().unwrap_or_default();
        *key = key.replace("${filename}", name);
    }
    let size = policy::check(config, &fields, Timestamp::now())?;
    let key = fields.get("key").cloned().unwrap_or_default();
    let key = ObjectKey::new(key).map_err(|error| from_store(error.into()))?;

    let headers = headers_of(&fields)?;
    refuse_unsupported(&headers)?;
    let metadata: BTreeMap<String, String> = fields
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix("x-amz-meta-")?.to_owned(), value.clone())))
        .collect();
    let mut attributes = attributes::from_headers(&headers, Some(metadata))?;
    let claim = checksum::claim(&headers).map_err(invalid_claim)?;
    let algorithm = claim.as_ref().map_or(Algorithm::DEFAULT, |claim| claim.algorithm);
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
    let received = receiver.finish(None).await?;
    let value = received.checksum().to_owned();
    attributes::set_checksum(&mut attributes, algorithm, Kind::FullObject, value);
    let options = SourceOptions {
        precondition: Precondition::None,
        attributes,
        etag: None,
    };
    let meta = store
        .put_source(&key, received.staged, options)
        .await
        .map_err(from_store)?;
    answer(&fields, &request.headers, &key, &meta.etag)
}

/// The fields that an upload with `PUT` would send as headers.
fn headers_of(fields: &Fields) -> S3Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let name = match name.as_str() {
            // The signature's own.
            "x-amz-algorithm" | "x-amz-credential" | "x-amz-date" | "x-amz-signature" => continue,
            "acl" => "x-amz-acl",
            name @ ("cache-control"
            | "content-type"
            | "content-disposition"
            | "content-encoding"
            | "content-language"
            | "content-md5"
            | "expires") => name,
            name if name.starts_with("x-amz-meta-") => continue,
            name if name.starts_with("x-amz-") => name,
            _ => continue,
        };
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

fn answer(fields: &Fields, headers: &HeaderMap, key: &ObjectKey, etag: &str) -> S3Result<Response<Body>> {
    let internal = |_| S3Error::new(S3ErrorCode::InternalError);
    let location = format!("/{BUCKET}/{}", encode_path(key.as_str()));
    let location = match headers.get(header::HOST).and_then(|host| host.to_str().ok()) {
        Some(host) => format!("http://{host}{location}"),
        None => location,
    };
    let response = Response::builder().header(header::ETAG, format!("\"{etag}\""));
    let redirect = fields
        .get("success_action_redirect")
        .or_else(|| fields.get("redirect"));
    // S3 ignores what is not a URL.
    if let Some(url) = redirect.filter(|url| url.parse::<http::Uri>().is_ok_and(|url| url.scheme().is_some()))
    {
        let (base, fragment) = url
            .split_once('#')
            .map_or((url.as_str(), None), |(base, end)| (base, Some(end)));
        let mut target = format!(
            "{base}{}bucket={BUCKET}&key={}&etag=%22{etag}%22",
            if base.contains('?') { '&' } else { '?' },
            utf8_percent_encode(key.as_str(), ENCODED),
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
