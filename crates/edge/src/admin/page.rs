use std::fmt::{self, Write as _};
use std::sync::LazyLock;

use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::CONTENT_SECURITY_POLICY;
use http::{HeaderValue, StatusCode};
use sha2::{Digest, Sha256};
use tintype_model::{
    Attempt, AttemptResult, ImageInfo, ObjectKey, Page, Record, RecordFilter, Rendition, Status,
    StatusCounts, StatusKind, Version, encode_path,
};

use super::{LOGIN_PATH, challenge};
use crate::api::{Unrecorded, UnrecordedWords as _, timestamp};
use crate::html::Escaped;
use crate::markup::Urls;
use crate::port::HealthReport;

const STYLE: &str = include_str!("style.css");

/// Allows this style sheet, pictures of this server and forms to it, and nothing else.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src 'self'; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).expect("base64 is ASCII")
});

fn document(status: StatusCode, title: &str, body: impl fmt::Display) -> Response {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{} – Tintype</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n",
        Escaped(title)
    );
    let mut response = (status, Html(html)).into_response();
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, POLICY.clone());
    challenge(&mut response);
    response
}

/// Asks for the admin token.
pub(crate) fn login(status: StatusCode, complaint: Option<&str>) -> Response {
    let complaint = complaint
        .map(|text| format!("<p class=\"rejected\">{}</p>\n", Escaped(text)))
        .unwrap_or_default();
    let body = format!(
        "<h1>Tintype</h1>\n{complaint}<form method=\"post\" action=\"{LOGIN_PATH}\">\n\
         <label>Admin token <input name=\"token\" type=\"password\" autocomplete=\"current-password\" required autofocus></label>\n\
         <button>Log in</button>\n</form>\n"
    );
    document(status, "Log in", body)
}

/// Tells that something went wrong.
pub(super) fn problem(status: StatusCode, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or("Error");
    let body = format!(
        "<h1>{}</h1>\n<p class=\"rejected\">{}</p>\n<nav><a href=\"/admin\">All pictures</a></nav>\n",
        Escaped(title),
        Escaped(detail)
    );
    document(status, title, body)
}

const LOGOUT: &str = "<form method=\"post\" action=\"/admin/logout\"><button>Log out</button></form>";

/// The key as people can read it: control characters escaped, direction changes kept inside.
struct KeyText<'a>(&'a ObjectKey);

impl fmt::Display for KeyText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<bdi>{}</bdi>", Escaped(&self.0.to_string()))
    }
}

struct StatusBadge<'a>(&'a str);

impl fmt::Display for StatusBadge<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Escaped(self.0);
        write!(f, "<span class=\"status {name}\">{name}</span>")
    }
}

fn image_link(key: &ObjectKey) -> String {
    format!("/admin/image?key={}", encode_path(key.as_str()))
}

/// The table of pictures.
pub(super) fn list(
    page: &Page<Record>,
    filter: &RecordFilter,
    counts: StatusCounts,
    health: &HealthReport,
) -> Response {
    let mut html = String::new();
    let written = write_list(&mut html, page, filter, counts, health);
    written.expect("writing to a string cannot fail");
    document(StatusCode::OK, "Pictures", html)
}

fn write_list(
    html: &mut String,
    page: &Page<Record>,
    filter: &RecordFilter,
    counts: StatusCounts,
    health: &HealthReport,
) -> fmt::Result {
    let StatusCounts {
        pending,
        ready,
        rejected,
        failed,
        at_least,
        counted_at: _,
    } = counts;
    let least = if at_least { "at least " } else { "" };
    writeln!(html, "<header><h1>Pictures</h1>")?;
    writeln!(
        html,
        "<span>{least}{ready} ready, {pending} pending, {rejected} rejected, {failed} failed</span>"
    )?;
    if let Some(queue) = health.queue {
        writeln!(
            html,
            "<span>queue: {} ready, {} leased, {} dead</span>",
            queue.ready, queue.leased, queue.dead
        )?;
    }
    writeln!(html, "{LOGOUT}</header>")?;
    write_filter(html, filter)?;
    writeln!(
        html,
        "<table>\n<thead><tr><th></th><th>Key</th><th>Status</th><th>Pixels</th><th>Source bytes</th><th>Updated</th></tr></thead>\n<tbody>"
    )?;
    for record in &page.items {
        write_row(html, record)?;
    }
    writeln!(html, "</tbody>\n</table>")?;
    if page.items.is_empty() {
        writeln!(html, "<p>There is nothing here.</p>")?;
    }
    if let Some(next) = &page.next {
        let status = filter.status.map_or("", StatusKind::name);
        let (prefix, next) = (encode_path(&filter.prefix), encode_path(next));
        writeln!(
            html,
            "<nav><a href=\"/admin?prefix={prefix}&amp;status={status}&amp;after={next}\" rel=\"next\">Next page</a></nav>"
        )?;
    }
    Ok(())
}

fn write_filter(html: &mut String, filter: &RecordFilter) -> fmt::Result {
    let prefix = Escaped(&filter.prefix);
    writeln!(html, "<nav><form action=\"/admin\">")?;
    writeln!(
        html,
        "<label>Keys from <input name=\"prefix\" value=\"{prefix}\"></label>"
    )?;
    writeln!(
        html,
        "<label>Status <select name=\"status\"><option value=\"\">all</option>"
    )?;
    for status in StatusKind::ALL {
        let selected = if filter.status == Some(status) {
            " selected"
        } else {
            ""
        };
        writeln!(html, "<option{selected}>{status}</option>")?;
    }
    writeln!(html, "</select></label>\n<button>Show</button>\n</form></nav>")
}

fn write_row(html: &mut String, record: &Record) -> fmt::Result {
    let link = image_link(&record.key);
    let (thumbnail, pixels, reason) = match &record.status {
        Status::Ready {
            version,
            image,
            renditions,
            ..
        } => (
            thumbnail(&record.key, version, renditions),
            pixels(image),
            String::new(),
        ),
        Status::Rejected { rejection } => (
            String::new(),
            String::new(),
            format!("{}: {}", rejection.code.name(), rejection.detail),
        ),
        Status::Failed { failure } => (String::new(), String::new(), failure.error.clone()),
        Status::Pending | Status::Deleted => Default::default(),
    };
    let reason = match &record.attempt {
        Some(attempt) => format!("{reason} {}", Attempted(attempt)),
        None => reason,
    };
    let size = record
        .source
        .as_ref()
        .map(|source| source.size_bytes.to_string())
        .unwrap_or_default();
    writeln!(
        html,
        "<tr><td class=\"thumbnail\">{thumbnail}</td><td class=\"key\"><a href=\"{link}\">{}</a></td>\
         <td>{} {}</td><td>{pixels}</td><td class=\"number\">{size}</td><td>{}</td></tr>",
        KeyText(&record.key),
        StatusBadge(record.status.name()),
        Escaped(&reason),
        timestamp(record.updated_at),
    )
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

/// The smallest variant, under its version, so that a picture that is replaced shows at once.
fn thumbnail(key: &ObjectKey, version: &Version, renditions: &[Rendition]) -> String {
    let urls = Urls {
        base: "",
        key,
        version: Some(version),
    };
    let smallest = renditions
        .iter()
        .min_by_key(|rendition| rendition.dimensions.pixels());
    let tag = |rendition: &Rendition| {
        let src = urls.of(&rendition.variant, None);
        format!("<img src=\"{}\" alt=\"\" loading=\"lazy\">", Escaped(&src))
    };
    smallest.map(tag).unwrap_or_default()
}

/// A source without a record.
pub(super) fn unrecorded(key: &ObjectKey, found: &Unrecorded) -> Response {
    let body = format!(
        "<header><h1>{}</h1>{}{LOGOUT}</header>\n<nav><a href=\"/admin\">All pictures</a></nav>\n\
         <dl>\n<dt>Uploaded</dt><dd>{}</dd>\n<dt>Why</dt><dd>{}</dd>\n</dl>\n",
        KeyText(key),
        StatusBadge(found.status().name()),
        timestamp(found.meta().modified_at),
        Escaped(found.detail()),
    );
    document(StatusCode::OK, &key.to_string(), body)
}

/// Everything about one picture, with every rendition; `damage` is that of its source.
pub(super) fn image(record: &Record, damage: Option<&str>, picture: Option<&str>) -> Response {
    let mut html = String::new();
    write_image(&mut html, record, damage, picture).expect("writing to a string cannot fail");
    document(StatusCode::OK, &record.key.to_string(), html)
}

fn write_image(
    html: &mut String,
    record: &Record,
    damage: Option<&str>,
    picture: Option<&str>,
) -> fmt::Result {
    writeln!(
        html,
        "<header><h1>{}</h1>{}{LOGOUT}</header>",
        KeyText(&record.key),
        StatusBadge(record.status.name())
    )?;
    writeln!(html, "<nav><a href=\"/admin\">All pictures</a></nav>\n<dl>")?;
    let mut fact = |name: &str, value: &dyn fmt::Display| {
        writeln!(html, "<dt>{name}</dt><dd>{}</dd>", Escaped(&value.to_string()))
    };
    fact("Updated", &timestamp(record.updated_at))?;
    if let Some(source) = &record.source {
        fact(
            "Source",
            &format_args!("{} bytes, ETag {}", source.size_bytes, source.etag),
        )?;
    }
    if let Some(damage) = damage {
        fact("Stored source", &format_args!("damaged: its file is {damage}"))?;
    }
    match &record.status {
        Status::Ready {
            version,
            recipe,
            engine,
            image,
            ..
        } => {
            fact(
                "Picture",
                &format_args!(
                    "{}, {}, {}-bit {}{}",
                    image.format,
                    pixels(image),
                    image.bit_depth,
                    image.color_space,
                    image.extras()
                ),
            )?;
            fact("Version", &version.0)?;
            fact("Recipe", recipe)?;
            fact("Engine", engine)?;
        }
        Status::Rejected { rejection } => fact(
            "Rejected",
            &format_args!("{}: {}", rejection.code.name(), rejection.detail),
        )?,
        Status::Failed { failure } => fact(
            "Failed",
            &format_args!("{} (tried {} times)", failure.error, failure.attempts),
        )?,
        Status::Pending | Status::Deleted => {}
    }
    if let Some(attempt) = &record.attempt {
        fact("Last attempt", &Attempted(attempt))?;
    }
    writeln!(html, "</dl>")?;
    if let Status::Ready {
        version, renditions, ..
    } = &record.status
    {
        let source_bytes = record.source.as_ref().map(|source| source.size_bytes);
        let urls = Urls {
            base: "",
            key: &record.key,
            version: Some(version),
        };
        writeln!(html, "<h2>Renditions</h2>\n<div class=\"renditions\">")?;
        for rendition in renditions {
            write_rendition(html, urls, rendition, source_bytes)?;
        }
        writeln!(html, "</div>")?;
    }
    if let Some(picture) = picture {
        writeln!(html, "<h2>For a page</h2>\n<pre>{}</pre>", Escaped(picture))?;
    }
    Ok(())
}

fn write_rendition(
    html: &mut String,
    urls: Urls<'_>,
    rendition: &Rendition,
    source_bytes: Option<u64>,
) -> fmt::Result {
    let Rendition {
        variant,
        format,
        dimensions,
        size_bytes,
        encoding,
        stand_ins,
        ..
    } = rendition;
    let url = urls.of(variant, Some(*format));
    let url = Escaped(&url);
    let share = match source_bytes {
        Some(source_bytes) if source_bytes > 0 => {
            let per_mille = u128::from(*size_bytes) * 1000 / u128::from(source_bytes);
            format!(", {}.{} % of the source", per_mille / 10, per_mille % 10)
        }
        Some(_) | None => String::new(),
    };
    let frames = match encoding.frames {
        Some(frames) => format!(", {frames} frames"),
        None => String::new(),
    };
    let better = match stand_ins.first() {
        Some(format) => format!(", {} is smaller and no worse", format.name()),
        None => String::new(),
    };
    writeln!(
        html,
        "<figure><a href=\"{url}\"><img src=\"{url}\" width=\"{}\" height=\"{}\" alt=\"\" loading=\"lazy\"></a>\
         <figcaption><a href=\"{url}\">{} {}</a>: {} × {}, {size_bytes} bytes{share}{frames}{better}</figcaption></figure>",
        dimensions.width,
        dimensions.height,
        Escaped(variant),
        format.name(),
        dimensions.width,
        dimensions.height,
    )
}
