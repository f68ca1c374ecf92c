//! `/img/` and `/v/`: pictures for everybody.
//!
//! Reads records and renditions and writes nothing. Bytes go out as they are stored.

use std::time::SystemTime;

use axum::Json;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    LAST_MODIFIED, RETRY_AFTER, VARY,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde::Serialize;
use tintype_catalog::Unrecorded;
use tintype_http::{
    ByteRange, TagSyntax, Validators, Verdict, content_range, date_header, evaluate, last_modified,
    requested_range,
};
use tintype_model::{
    CachePolicy, DeliveryPath, Format, ObjectKey, PathError, Record, Rendition, Status, StoreError,
};

use crate::cache::PictureCache;
use crate::error::{Error, Result};
use crate::negotiate::{Accept, MAX_ACCEPT_LINES};
use crate::route::{Callers, Class, Needs};
use crate::state::State;

/// The needs of deliveries: pictures are for everybody.
pub(crate) const NEEDS: Needs = Needs::new(Class::Delivery, Callers::Everybody);

const METHODS: &str = "GET, HEAD, OPTIONS";
const NO_PICTURE: &str = "there is no such picture";

/// The most times that one request reads a record, when the rendition that it chose was replaced each time.
const ATTEMPTS: usize = 4;

/// Answers any request for a path under `/img/` or `/v/`.
pub(crate) async fn respond(state: &State, pictures: &PictureCache, request: &Parts) -> Response {
    match request.method {
        Method::GET | Method::HEAD => {}
        Method::OPTIONS => return options(),
        Method::POST | Method::PUT | Method::DELETE | Method::PATCH | Method::TRACE | Method::CONNECT => {
            return Error::MethodNotAllowed(Some(METHODS)).into_response();
        }
        _ => return Error::NotImplemented.into_response(),
    }
    let path = match DeliveryPath::parse(request.uri.path()) {
        Ok(path) => path,
        Err(PathError::BadEncoding) => return Error::BadEncoding.into_response(),
        Err(PathError::NotFound) => return failure(Error::NotFound("the path names no picture")),
    };
    let answer = picture(state, pictures, &path, &request.method, &request.headers).await;
    let mut response = answer.unwrap_or_else(failure);
    if path.format.is_none() {
        response
            .headers_mut()
            .insert(VARY, HeaderValue::from_static("Accept"));
    }
    response
}

fn options() -> Response {
    let mut response = empty(StatusCode::NO_CONTENT);
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(METHODS));
    response
}

/// A response whose status allows no body. The body's length must look unknown, or a `Content-Length: 0` would be
/// added, which such responses must not carry (RFC 9110 section 8.6).
pub(crate) fn empty(status: StatusCode) -> Response {
    let nothing = futures::stream::empty::<Result<Bytes, std::convert::Infallible>>();
    let mut response = Response::new(Body::from_stream(nothing));
    *response.status_mut() = status;
    response
}

/// Answers with an error. A picture that is not there may come soon, and one that is rejected may be replaced: both
/// answers are cached for a moment. No other error is.
fn failure(error: Error) -> Response {
    let brief = matches!(error, Error::NotFound(_) | Error::Rejected(_));
    let policy = if brief {
        CachePolicy::Negative
    } else {
        CachePolicy::NoStore
    };
    let mut response = error.into_response();
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static(policy.header_value()));
    response
}

async fn picture(
    state: &State,
    pictures: &PictureCache,
    path: &DeliveryPath,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response> {
    let mut missing: Option<Rendition> = None;
    for _ in 0..ATTEMPTS {
        let record = match state.edge.catalog.record(&path.key).await? {
            Some(record) => record,
            None => return not_processed(state, &path.key).await,
        };
        let (version, renditions) = match &record.status {
            Status::Ready {
                version, renditions, ..
            } => (version, renditions),
            Status::Pending | Status::Deleted => return not_processed(state, &path.key).await,
            Status::Rejected { rejection } => return Err(Error::Rejected(rejection.clone())),
            Status::Failed { .. } => return Err(Error::GivenUp),
        };
        let rendition = choose(renditions, path, headers)?;
        if let Some(missing) = missing.filter(|missing| missing == rendition) {
            let object_key = missing.object_key;
            return Err(Error::MissingRendition { object_key });
        }
        let current = path.version.as_ref() == Some(&version.0);
        let policy = if current {
            CachePolicy::Immutable
        } else {
            CachePolicy::Short
        };
        let found = Found {
            rendition,
            record: &record,
            policy,
        };
        match found.answer(state, pictures, method, headers).await {
            Err(Error::Store(StoreError::NotFound)) => missing = Some(rendition.clone()),
            answer => return answer,
        }
    }
    Err(Error::Busy)
}

/// The rendition of the variant in the format that the path asks for; without one, in the format that the request prefers
/// or in a smaller one that it takes and that is no worse.
fn choose<'a>(
    renditions: &'a [Rendition],
    path: &DeliveryPath,
    headers: &HeaderMap,
) -> Result<&'a Rendition> {
    let of_variant = || {
        renditions
            .iter()
            .filter(|rendition| rendition.variant == path.variant)
    };
    let in_format = |format: Format| of_variant().find(|rendition| rendition.format == format);
    if of_variant().next().is_none() {
        return Err(Error::NotFound("the picture has no such variant"));
    }
    let found = match path.format {
        Some(format) => in_format(format),
        None => {
            let available: Vec<Format> = of_variant().map(|rendition| rendition.format).collect();
            let accept = Accept::parse(accept(headers).as_deref());
            in_format(accept.preferred(&available)).map(|preferred| {
                let mut taken = preferred.stand_ins.iter().filter(|format| accept.takes(**format));
                taken.find_map(|format| in_format(*format)).unwrap_or(preferred)
            })
        }
    };
    found.ok_or(Error::NotFound("the variant has no such format"))
}

/// All `Accept` lines as one list, unless there are too many; bytes that are not UTF-8 spoil only the part that they are
/// in.
fn accept(headers: &HeaderMap) -> Option<std::borrow::Cow<'_, str>> {
    let mut lines = headers
        .get_all(ACCEPT)
        .iter()
        .map(|line| String::from_utf8_lossy(line.as_bytes()));
    let first = lines.next()?;
    if headers.get_all(ACCEPT).iter().nth(MAX_ACCEPT_LINES).is_some() {
        return None;
    }
    Some(lines.fold(first, |all, line| (all + ",") + line))
}

/// 202 while the source waits to be processed, 404 when there is none, or none that is a picture.
async fn not_processed(state: &State, key: &ObjectKey) -> Result<Response> {
    match state.edge.catalog.unrecorded(key).await? {
        Some(Unrecorded::Waiting(_)) => Ok(processing()),
        Some(Unrecorded::FolderMarker(_)) | None => Err(Error::NotFound(NO_PICTURE)),
    }
}

#[derive(Serialize)]
struct Processing {
    status: &'static str,
    detail: &'static str,
}

fn processing() -> Response {
    let body = Processing {
        status: "pending",
        detail: "the picture is being processed",
    };
    let mut response = (StatusCode::ACCEPTED, Json(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static(CachePolicy::NoStore.header_value()),
    );
    response
}

/// A rendition that the request is answered with.
struct Found<'a> {
    rendition: &'a Rendition,
    record: &'a Record,
    policy: CachePolicy,
}

impl Found<'_> {
    /// Only what is sent is read: a failed or unmodified condition needs no bytes. HEAD answers what GET would, so it asks
    /// whether they are there.
    async fn answer(
        &self,
        state: &State,
        pictures: &PictureCache,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Response> {
        let size_bytes = self.rendition.size_bytes;
        let modified_at = last_modified(self.record.updated_at.0);
        let validators = Validators {
            etag: &self.rendition.etag,
            modified_at,
        };
        let allow_range = match evaluate(headers, validators, TagSyntax::Quoted) {
            Verdict::Failed => return Err(Error::PreconditionFailed),
            Verdict::NotModified => {
                let mut response = empty(StatusCode::NOT_MODIFIED);
                self.describe(response.headers_mut(), modified_at);
                return Ok(response);
            }
            Verdict::Send { allow_range } => allow_range && method == Method::GET,
        };
        let range = if allow_range {
            requested_range(headers, size_bytes)
        } else {
            ByteRange::Whole
        };
        let (status, part) = match range {
            ByteRange::Whole => (StatusCode::OK, 0..size_bytes),
            ByteRange::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
            ByteRange::Unsatisfiable => return Err(Error::RangeNotSatisfiable { size_bytes }),
        };
        let mut response = if method == Method::HEAD {
            pictures.check(self.rendition).await?;
            Response::new(Body::empty())
        } else {
            let body = pictures.get(self.rendition).await?;
            let body = slice(&body, &part);
            state.metrics.delivered(body.len() as u64);
            Response::new(Body::from(body))
        };
        *response.status_mut() = status;
        let headers = response.headers_mut();
        self.describe(headers, modified_at);
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static(self.rendition.format.media_type()),
        );
        headers.insert(CONTENT_LENGTH, HeaderValue::from(part.end - part.start));
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        if status == StatusCode::PARTIAL_CONTENT {
            let range = content_range(&part, size_bytes);
            headers.insert(
                CONTENT_RANGE,
                HeaderValue::from_str(&range).expect("a range is digits"),
            );
        }
        Ok(response)
    }

    /// Writes the headers that a 200, a 206 and a 304 have in common (RFC 9110 section 15.4.5).
    fn describe(&self, headers: &mut HeaderMap, modified_at: SystemTime) {
        headers.insert(
            CACHE_CONTROL,
            HeaderValue::from_static(self.policy.header_value()),
        );
        if let Ok(etag) = HeaderValue::from_str(&format!("\"{}\"", self.rendition.etag)) {
            headers.insert(ETAG, etag);
        }
        headers.insert(LAST_MODIFIED, date_header(modified_at));
    }
}

/// The cache only hands out bodies of the rendition's size, so the part is inside.
fn slice(body: &Bytes, part: &std::ops::Range<u64>) -> Bytes {
    let at = |position: u64| usize::try_from(position).unwrap_or(usize::MAX).min(body.len());
    body.slice(at(part.start)..at(part.end))
}
