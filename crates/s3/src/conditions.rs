//! Conditional requests, evaluated on the headers as they were sent: `s3s` reads only one entity tag and refuses dates
//! that RFC 9110 says to ignore.

use std::time::SystemTime;

use http::{HeaderMap, HeaderName, header};
use s3s::{S3Error, S3ErrorCode};
use tintype_http::{EntityTag, TagSyntax, Validators, Verdict, evaluate};
use tintype_model::Precondition;
use tintype_store::SourceMeta;

use super::error::{fail, not_implemented, precondition_failed};

/// Clients of S3 send entity tags with and without quotes.
const SYNTAX: TagSyntax = TagSyntax::QuotedOrBare;

/// Evaluates the conditions of a read.
pub(crate) fn of_read(headers: &HeaderMap, meta: &SourceMeta) -> Verdict {
    let validators = Validators {
        etag: &meta.etag,
        modified_at: last_modified(meta),
    };
    evaluate(headers, validators, SYNTAX)
}

/// Evaluates the conditions on the source of a copy (`x-amz-copy-source-if-*`).
pub(crate) fn of_copy_source(headers: &HeaderMap, meta: &SourceMeta) -> Verdict {
    let mut conditions = HeaderMap::new();
    for name in [
        header::IF_MATCH,
        header::IF_NONE_MATCH,
        header::IF_MODIFIED_SINCE,
        header::IF_UNMODIFIED_SINCE,
    ] {
        for value in headers.get_all(format!("x-amz-copy-source-{name}")) {
            conditions.append(&name, value.clone());
        }
    }
    of_read(&conditions, meta)
}

/// The date that answers carry as `Last-Modified`.
pub(crate) fn last_modified(meta: &SourceMeta) -> SystemTime {
    tintype_http::last_modified(meta.modified_at.0)
}

/// The value of a strong entity tag.
///
/// # Errors
/// `PreconditionFailed` for a weak tag and for a text that is no tag: no object matches them in a strong comparison.
fn strong(tag: &str) -> Result<String, S3Error> {
    match EntityTag::parse(tag.as_bytes(), SYNTAX) {
        Some(EntityTag::Strong(opaque)) => Ok(String::from_utf8_lossy(opaque).into_owned()),
        Some(EntityTag::Weak(_)) | None => Err(precondition_failed()),
    }
}

/// The condition of a delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DeleteCondition {
    /// No condition.
    Always,
    /// The object exists.
    Exists,
    /// The object has this `ETag`.
    Etag(String),
}

impl DeleteCondition {
    /// The condition in `If-Match`, or in the `ETag` element of a document.
    ///
    /// # Errors
    /// Lists are refused; anything that is no strong tag fails.
    pub(crate) fn parse(tag: &str) -> Result<Self, S3Error> {
        match tag.trim() {
            "*" => Ok(Self::Exists),
            tags if tags.contains(',') => Err(not_implemented("If-Match with several entity tags")),
            tag => strong(tag).map(Self::Etag),
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
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, S3Error> {
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
/// Other conditions are refused, as S3 does: ignoring them would overwrite an object that was to be kept.
/// Anything that is no strong tag fails.
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
        (Some(tag), None) => strong(tag).map(Precondition::Etag),
        (Some(_), Some(_)) => Err(not_implemented("If-Match together with If-None-Match")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tintype_model::{ObjectKey, Sequencer, UnixMillis};
    use tintype_store::Attributes;

    fn check(headers: &[(&'static str, &str)]) -> Verdict {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        let meta = SourceMeta {
            key: ObjectKey::new("k").unwrap(),
            size_bytes: 1,
            etag: "abc".to_owned(),
            // Sun, 06 Nov 1994 08:49:37 GMT and 500 ms.
            modified_at: UnixMillis(784_111_777_500),
            sequencer: Sequencer::new("01").unwrap(),
            attributes: Attributes::default(),
        };
        of_read(&headers.collect(), &meta)
    }

    const PROCEED: Verdict = Verdict::Send { allow_range: true };

    #[test]
    fn reads_follow_the_order_of_rfc_9110() {
        assert_eq!(check(&[]), PROCEED);
        assert_eq!(check(&[("if-match", "\"abc\"")]), PROCEED);
        assert_eq!(check(&[("if-match", "abc")]), PROCEED);
        assert_eq!(check(&[("if-match", "\"x\", \"abc\"")]), PROCEED);
        assert_eq!(check(&[("if-match", "\"x\"")]), Verdict::Failed);
        assert_eq!(check(&[("if-none-match", "W/\"abc\"")]), Verdict::NotModified);
        assert_eq!(check(&[("if-none-match", "*")]), Verdict::NotModified);
        assert_eq!(check(&[("if-none-match", "\"x\"")]), PROCEED);
        let at = "Sun, 06 Nov 1994 08:49:37 GMT";
        let before = "Sun, 06 Nov 1994 08:49:36 GMT";
        assert_eq!(check(&[("if-modified-since", at)]), Verdict::NotModified);
        assert_eq!(check(&[("if-modified-since", before)]), PROCEED);
        assert_eq!(check(&[("if-modified-since", "yesterday")]), PROCEED);
        assert_eq!(check(&[("if-unmodified-since", at)]), PROCEED);
        assert_eq!(check(&[("if-unmodified-since", before)]), Verdict::Failed);
        assert_eq!(
            check(&[("if-match", "abc"), ("if-unmodified-since", before)]),
            PROCEED
        );
        assert_eq!(
            check(&[("if-none-match", "\"x\""), ("if-modified-since", at)]),
            PROCEED
        );
    }

    #[test]
    fn writes_take_the_conditions_that_s3_knows() {
        let write = |name: &'static str, value: &str| {
            of_write(&HeaderMap::from_iter([(
                HeaderName::from_static(name),
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
        let weak = write("if-match", "W/\"abc\"").unwrap_err();
        assert_eq!(*weak.code(), S3ErrorCode::PreconditionFailed);
    }

    #[test]
    fn deletes_take_one_tag_or_any() {
        let parse = |tag| DeleteCondition::parse(tag).ok();
        assert_eq!(parse("*"), Some(DeleteCondition::Exists));
        assert_eq!(parse("\"abc\""), Some(DeleteCondition::Etag("abc".into())));
        assert_eq!(parse("abc"), Some(DeleteCondition::Etag("abc".into())));
        assert_eq!(parse("\"a\", \"b\""), None);
    }
}
