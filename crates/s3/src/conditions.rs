//! Conditional requests, evaluated on the headers as they came: `s3s` reads only one entity tag and refuses dates
//! that RFC 9110 says to ignore.

use http::{HeaderMap, header};
use jiff::Timestamp;
use s3s::{S3Error, S3ErrorCode};
use tintype_model::{Precondition, UnixMillis};

use super::error::{fail, not_implemented};

/// `If-Match`, `If-None-Match`, `If-Modified-Since` and `If-Unmodified-Since` of a read (or of a copy's source).
#[derive(Clone, Debug, Default)]
pub(crate) struct Conditions {
    if_match: Option<String>,
    if_none_match: Option<String>,
    if_modified_since: Option<i64>,
    if_unmodified_since: Option<i64>,
}

/// The result of checking the conditions of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Proceed,
    NotModified,
    PreconditionFailed,
}

impl Conditions {
    /// The conditions on a read.
    pub(crate) fn of_read(headers: &HeaderMap) -> Self {
        Self::from_headers(headers, "")
    }

    /// The conditions on the source of a copy (`x-amz-copy-source-if-*`).
    pub(crate) fn of_copy_source(headers: &HeaderMap) -> Self {
        Self::from_headers(headers, "x-amz-copy-source-")
    }

    fn from_headers(headers: &HeaderMap, prefix: &str) -> Self {
        let text = |name: &str| {
            let values: Vec<&str> = headers
                .get_all(format!("{prefix}{name}"))
                .iter()
                .filter_map(|value| value.to_str().ok())
                .collect();
            (!values.is_empty()).then(|| values.join(","))
        };
        let date = |name: &str| text(name).as_deref().and_then(http_date);
        Self {
            if_match: text("if-match"),
            if_none_match: text("if-none-match"),
            if_modified_since: date("if-modified-since"),
            if_unmodified_since: date("if-unmodified-since"),
        }
    }

    /// In the order of RFC 9110 section 13.2.2.
    pub(crate) fn check(&self, etag: &str, modified_at: UnixMillis) -> Verdict {
        let modified = i64::try_from(modified_at.0 / 1000).unwrap_or(i64::MAX);
        if let Some(tags) = &self.if_match {
            if !matches_any(tags, etag) {
                return Verdict::PreconditionFailed;
            }
        } else if self.if_unmodified_since.is_some_and(|since| modified > since) {
            return Verdict::PreconditionFailed;
        }
        if let Some(tags) = &self.if_none_match {
            if matches_any(tags, etag) {
                return Verdict::NotModified;
            }
        } else if self.if_modified_since.is_some_and(|since| modified <= since) {
            return Verdict::NotModified;
        }
        Verdict::Proceed
    }
}

/// Whether a list of entity tags, or `*`, names this one. S3 takes tags without quotes too; weak ones compare by
/// their value, because a store of bytes has nothing weaker to offer.
fn matches_any(list: &str, etag: &str) -> bool {
    list.split(',')
        .map(str::trim)
        .any(|tag| tag == "*" || unquote(tag) == etag)
}

/// The entity tag without quotes and mark of weakness.
pub(crate) fn unquote(tag: &str) -> &str {
    let tag = tag.trim();
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    tag.strip_prefix('"')
        .and_then(|tag| tag.strip_suffix('"'))
        .unwrap_or(tag)
}

/// A date of RFC 9110 section 5.6.7, in seconds since 1970; other text is `None`, to be ignored.
pub(crate) fn http_date(text: &str) -> Option<i64> {
    jiff::fmt::rfc2822::parse(text)
        .ok()
        .map(|date| date.timestamp().as_second())
}

/// A date in the form of RFC 9110 section 5.6.7.
pub(crate) fn format_http_date(at: UnixMillis) -> String {
    let timestamp = i64::try_from(at.0)
        .ok()
        .and_then(|millis| Timestamp::from_millisecond(millis).ok());
    timestamp
        .unwrap_or_default()
        .strftime("%a, %d %b %Y %H:%M:%S GMT")
        .to_string()
}

/// The condition of a delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DeleteCondition {
    /// None.
    Always,
    /// The object exists.
    Exists,
    /// It has this `ETag`.
    Etag(String),
}

impl DeleteCondition {
    /// The condition in `If-Match`, or in the `ETag` element of a document.
    ///
    /// # Errors
    /// Lists are refused.
    pub(crate) fn parse(tag: &str) -> Result<Self, S3Error> {
        match tag.trim() {
            "*" => Ok(Self::Exists),
            tags if tags.contains(',') => Err(not_implemented("If-Match with several entity tags")),
            tag => Ok(Self::Etag(unquote(tag).to_owned())),
        }
    }

    /// The condition of a delete with these headers.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, S3Error> {
        match one(headers, &header::IF_MATCH)? {
            None => Ok(Self::Always),
            Some(tag) => Self::parse(tag),
        }
    }
}

/// The value of a header that may be there once.
fn one<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Result<Option<&'a str>, S3Error> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    match (first, values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => match value.to_str() {
            Ok(value) => Ok(Some(value.trim())),
            Err(_) => Err(fail(
                S3ErrorCode::InvalidArgument,
                format!("The {name} header is not text."),
            )),
        },
        (Some(_), Some(_)) => Err(fail(
            S3ErrorCode::InvalidArgument,
            format!("There are several {name} headers."),
        )),
    }
}

/// The condition of a write. S3 knows `If-None-Match: *` and `If-Match` with one entity tag.
///
/// # Errors
/// Other conditions are refused, as S3 does: ignoring them would overwrite what was to be kept.
pub(crate) fn of_write(headers: &HeaderMap) -> Result<Precondition, S3Error> {
    match (
        one(headers, &header::IF_MATCH)?,
        one(headers, &header::IF_NONE_MATCH)?,
    ) {
        (None, None) => Ok(Precondition::None),
        (None, Some("*")) => Ok(Precondition::Absent),
        (None, Some(_)) => Err(not_implemented("If-None-Match with an entity tag")),
        (Some("*"), None) => Err(not_implemented("If-Match: *")),
        (Some(tags), None) if tags.contains(',') => Err(not_implemented("If-Match with several entity tags")),
        (Some(tag), None) => Ok(Precondition::Etag(unquote(tag).to_owned())),
        (Some(_), Some(_)) => Err(not_implemented("If-Match together with If-None-Match")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&'static str, &str)]) -> Verdict {
        let headers = headers
            .iter()
            .map(|(name, value)| (header::HeaderName::from_static(name), value.parse().unwrap()));
        // Sun, 06 Nov 1994 08:49:37 GMT and 500 ms.
        Conditions::of_read(&headers.collect()).check("abc", UnixMillis(784_111_777_500))
    }

    #[test]
    fn reads_follow_the_order_of_rfc_9110() {
        assert_eq!(check(&[]), Verdict::Proceed);
        assert_eq!(check(&[("if-match", "\"abc\"")]), Verdict::Proceed);
        assert_eq!(check(&[("if-match", "abc")]), Verdict::Proceed);
        assert_eq!(check(&[("if-match", "\"x\", \"abc\"")]), Verdict::Proceed);
        assert_eq!(check(&[("if-match", "\"x\"")]), Verdict::PreconditionFailed);
        assert_eq!(check(&[("if-none-match", "W/\"abc\"")]), Verdict::NotModified);
        assert_eq!(check(&[("if-none-match", "*")]), Verdict::NotModified);
        assert_eq!(check(&[("if-none-match", "\"x\"")]), Verdict::Proceed);
        let at = "Sun, 06 Nov 1994 08:49:37 GMT";
        let before = "Sun, 06 Nov 1994 08:49:36 GMT";
        assert_eq!(check(&[("if-modified-since", at)]), Verdict::NotModified);
        assert_eq!(check(&[("if-modified-since", before)]), Verdict::Proceed);
        assert_eq!(check(&[("if-modified-since", "yesterday")]), Verdict::Proceed);
        assert_eq!(check(&[("if-unmodified-since", at)]), Verdict::Proceed);
        assert_eq!(
            check(&[("if-unmodified-since", before)]),
            Verdict::PreconditionFailed
        );
        assert_eq!(
            check(&[("if-match", "abc"), ("if-unmodified-since", before)]),
            Verdict::Proceed
        );
        assert_eq!(
            check(&[("if-none-match", "\"x\""), ("if-modified-since", at)]),
            Verdict::Proceed
        );
    }

    #[test]
    fn writes_take_the_conditions_that_s3_knows() {
        let write = |name: &'static str, value: &str| {
            of_write(&HeaderMap::from_iter([(
                header::HeaderName::from_static(name),
                value.parse().unwrap(),
            )]))
        };
        assert_eq!(write("if-none-match", "*").unwrap(), Precondition::Absent);
        assert_eq!(
            write("if-match", "\"abc\"").unwrap(),
            Precondition::Etag("abc".into())
        );
        assert!(write("if-none-match", "\"abc\"").is_err());
        assert!(write("if-match", "*").is_err());
        assert!(write("if-match", "\"a\", \"b\"").is_err());
    }

    #[test]
    fn deletes_take_one_tag_or_any() {
        let parse = |tag| DeleteCondition::parse(tag).ok();
        assert_eq!(parse("*"), Some(DeleteCondition::Exists));
        assert_eq!(parse("\"abc\""), Some(DeleteCondition::Etag("abc".into())));
        assert_eq!(parse("abc"), Some(DeleteCondition::Etag("abc".into())));
        assert_eq!(parse("\"a\", \"b\""), None);
    }

    #[test]
    fn dates_are_written_as_http_wants_them() {
        assert_eq!(
            format_http_date(UnixMillis(784_111_777_500)),
            "Sun, 06 Nov 1994 08:49:37 GMT"
        );
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
    }
}
