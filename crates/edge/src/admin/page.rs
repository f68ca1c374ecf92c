//! The admin pages: the data that each template of `templates/admin` is filled with.

use std::fmt;
use std::sync::LazyLock;

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::CONTENT_SECURITY_POLICY;
use http::{HeaderValue, StatusCode};
use sha2::{Digest, Sha256};
use tintype_catalog::Unrecorded;
use tintype_model::{
    Attempt, AttemptResult, ImageInfo, ObjectKey, Page, Record, RecordFilter, Rendition, Status,
    StatusCounts, StatusKind, Version, encode_path,
};

use super::challenge;
use crate::api::{UnrecordedWords as _, timestamp};
use crate::markup::Urls;
use crate::port::{HealthReport, QueueDepth};

const STYLE: &str = include_str!("../../templates/admin/style.css");

/// Allows this style sheet, pictures of this server and forms to it, and nothing else.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src 'self'; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).expect("base64 is ASCII")
});

fn answer(status: StatusCode, page: &impl Template) -> Response {
    let html = page.render().expect("writing to a string cannot fail");
    let mut response = (status, Html(html)).into_response();
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, POLICY.clone());
    challenge(&mut response);
    response
}

#[derive(Template)]
#[template(path = "admin/login.html")]
struct Login<'a> {
    complaint: Option<&'a str>,
}

/// Asks for the admin token.
pub(crate) fn login(status: StatusCode, complaint: Option<&str>) -> Response {
    answer(status, &Login { complaint })
}

#[derive(Template)]
#[template(path = "admin/problem.html")]
struct Problem<'a> {
    title: &'a str,
    detail: &'a str,
}

/// The page that says that something went wrong.
pub(super) fn problem(status: StatusCode, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or("Error");
    answer(status, &Problem { title, detail })
}

#[derive(Template)]
#[template(path = "admin/list.html")]
struct List<'a> {
    counts: StatusCounts,
    queue: Option<QueueDepth>,
    prefix: &'a str,
    choices: Vec<Choice>,
    rows: Vec<Row<'a>>,
    next: Option<Next<'a>>,
}

/// A status that the list can be narrowed to.
struct Choice {
    status: &'static str,
    selected: bool,
}

/// The query of the next page; `prefix` and `after` are percent-encoded.
struct Next<'a> {
    prefix: String,
    status: &'a str,
    after: String,
}

/// The table of pictures.
pub(super) fn list(
    page: &Page<Record>,
    filter: &RecordFilter,
    counts: StatusCounts,
    health: &HealthReport,
) -> Response {
    let choice = |status: StatusKind| Choice {
        status: status.name(),
        selected: filter.status == Some(status),
    };
    let next = page.next.as_deref().map(|next| Next {
        prefix: encode_path(&filter.prefix),
        status: filter.status.map_or("", StatusKind::name),
        after: encode_path(next),
    });
    let list = List {
        counts,
        queue: health.queue,
        prefix: &filter.prefix,
        choices: StatusKind::ALL.map(choice).into(),
        rows: page.items.iter().map(Row::new).collect(),
        next,
    };
    answer(StatusCode::OK, &list)
}

/// A picture of the list. Facts that it does not have are empty.
struct Row<'a> {
    key: &'a ObjectKey,
    link: String,
    thumbnail: Option<String>,
    status: &'static str,
    reason: String,
    pixels: String,
    size: String,
    updated: String,
}

impl<'a> Row<'a> {
    fn new(record: &'a Record) -> Self {
        let (thumbnail, pixels) = match &record.status {
            Status::Ready {
                version,
                image,
                renditions,
                ..
            } => (thumbnail(&record.key, version, renditions), pixels(image)),
            Status::Rejected { .. } | Status::Failed { .. } | Status::Pending | Status::Deleted => {
                Default::default()
            }
        };
        let size = record.source.as_ref().map(|source| source.size_bytes.to_string());
        Self {
            key: &record.key,
            link: format!("/admin/image?key={}", encode_path(record.key.as_str())),
            thumbnail,
            status: record.status.name(),
            reason: reason(record),
            pixels,
            size: size.unwrap_or_default(),
            updated: timestamp(record.updated_at),
        }
    }
}

/// The reason why a picture is not shown, or not as it was meant to be; empty for any other.
fn reason(record: &Record) -> String {
    let reason = match &record.status {
        Status::Rejected { rejection } => format!("{}: {}", rejection.code.name(), rejection.detail),
        Status::Failed { failure } => failure.error.clone(),
        Status::Ready { .. } | Status::Pending | Status::Deleted => String::new(),
    };
    match &record.attempt {
        Some(attempt) => format!("{reason} {}", Attempted(attempt)),
        None => reason,
    }
}

/// Work that left a picture as it was, in words.
struct Attempted<'a>(&'a Attempt);

impl fmt::Display for Attempted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = timestamp(self.0.at);
        match &self.0.result {
            AttemptResult::Rejected { rejection } => write!(
                f,
                "kept; the attempt of {at} was rejected, {}: {}",
                rejection.code.name(),
                rejection.detail
            ),
            AttemptResult::Failed { failure } => write!(
                f,
                "kept; the attempt of {at} failed: {} (tried {} times)",
                failure.error, failure.attempts
            ),
        }
    }
}

fn pixels(image: &ImageInfo) -> String {
    format!("{} × {}", image.dimensions.width, image.dimensions.height)
}

/// The URL of the smallest variant, under its version, so that a picture that is replaced shows at once.
fn thumbnail(key: &ObjectKey, version: &Version, renditions: &[Rendition]) -> Option<String> {
    let urls = Urls {
        base: "",
        key,
        version: Some(version),
    };
    let smallest = renditions
        .iter()
        .min_by_key(|rendition| rendition.dimensions.pixels());
    smallest.map(|rendition| urls.of(&rendition.variant, None))
}

#[derive(Template)]
#[template(path = "admin/image.html")]
struct Image<'a> {
    key: &'a ObjectKey,
    status: &'static str,
    facts: Vec<Fact>,
    renditions: Option<Vec<Shown<'a>>>,
    picture: Option<&'a str>,
}

/// A line of the description of a picture.
struct Fact {
    name: &'static str,
    value: String,
}

impl Fact {
    fn new(name: &'static str, value: impl fmt::Display) -> Self {
        Self {
            name,
            value: value.to_string(),
        }
    }
}

/// A source without a record.
pub(super) fn unrecorded(key: &ObjectKey, found: &Unrecorded) -> Response {
    let image = Image {
        key,
        status: found.status().name(),
        facts: vec![
            Fact::new("Uploaded", timestamp(found.meta().modified_at)),
            Fact::new("Why", found.detail()),
        ],
        renditions: None,
        picture: None,
    };
    answer(StatusCode::OK, &image)
}

/// Everything about one picture, with every rendition; `damage` is that of its source.
pub(super) fn image(record: &Record, damage: Option<&str>, picture: Option<&str>) -> Response {
    let image = Image {
        key: &record.key,
        status: record.status.name(),
        facts: facts(record, damage),
        renditions: shown(record),
        picture,
    };
    answer(StatusCode::OK, &image)
}

fn facts(record: &Record, damage: Option<&str>) -> Vec<Fact> {
    let mut facts = vec![Fact::new("Updated", timestamp(record.updated_at))];
    if let Some(source) = &record.source {
        let value = format_args!("{} bytes, ETag {}", source.size_bytes, source.etag);
        facts.push(Fact::new("Source", value));
    }
    if let Some(damage) = damage {
        let value = format_args!("damaged: its file is {damage}");
        facts.push(Fact::new("Stored source", value));
    }
    match &record.status {
        Status::Ready {
            version,
            recipe,
            engine,
            image,
            ..
        } => facts.extend([
            Fact::new("Picture", described(image)),
            Fact::new("Version", &version.0),
            Fact::new("Recipe", recipe),
            Fact::new("Engine", engine),
        ]),
        Status::Rejected { rejection } => {
            let value = format_args!("{}: {}", rejection.code.name(), rejection.detail);
            facts.push(Fact::new("Rejected", value));
        }
        Status::Failed { failure } => {
            let value = format_args!("{} (tried {} times)", failure.error, failure.attempts);
            facts.push(Fact::new("Failed", value));
        }
        Status::Pending | Status::Deleted => {}
    }
    let attempt = record.attempt.as_ref();
    facts.extend(attempt.map(|attempt| Fact::new("Last attempt", Attempted(attempt))));
    facts
}

fn described(image: &ImageInfo) -> String {
    format!(
        "{}, {}, {}-bit {}{}",
        image.format,
        pixels(image),
        image.bit_depth,
        image.color_space,
        image.extras()
    )
}

/// A rendition beside its facts.
struct Shown<'a> {
    url: String,
    variant: &'a str,
    format: &'static str,
    width: u32,
    height: u32,
    size_bytes: u64,
    notes: String,
}

/// The renditions of a picture that is published; `None` for any other.
fn shown(record: &Record) -> Option<Vec<Shown<'_>>> {
    let Status::Ready {
        version, renditions, ..
    } = &record.status
    else {
        return None;
    };
    let source_bytes = record.source.as_ref().map(|source| source.size_bytes);
    let urls = Urls {
        base: "",
        key: &record.key,
        version: Some(version),
    };
    let shown = renditions.iter().map(|rendition| Shown {
        url: urls.of(&rendition.variant, Some(rendition.format)),
        variant: &rendition.variant,
        format: rendition.format.name(),
        width: rendition.dimensions.width,
        height: rendition.dimensions.height,
        size_bytes: rendition.size_bytes,
        notes: notes(rendition, source_bytes),
    });
    Some(shown.collect())
}

/// The facts that not every rendition has, each behind a comma.
fn notes(rendition: &Rendition, source_bytes: Option<u64>) -> String {
    let share = match source_bytes {
        Some(source_bytes) if source_bytes > 0 => {
            let per_mille = u128::from(rendition.size_bytes) * 1000 / u128::from(source_bytes);
            format!(", {}.{} % of the source", per_mille / 10, per_mille % 10)
        }
        Some(_) | None => String::new(),
    };
    let frames = match rendition.encoding.frames {
        Some(frames) => format!(", {frames} frames"),
        None => String::new(),
    };
    let better = match rendition.stand_ins.first() {
        Some(format) => format!(", {} is smaller and no worse", format.name()),
        None => String::new(),
    };
    format!("{share}{frames}{better}")
}
