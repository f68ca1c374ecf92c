//! Conditional requests (RFC 9110 section 13), evaluated in the order of section 13.2.2.

use std::time::SystemTime;

use http::HeaderMap;
use http::header::{HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE};

use crate::date::parse_date;
use crate::entity_tag::{EntityTag, TagSyntax, line_matches};
use crate::header::Single;

/// The entity tag and the date of the representation that would be sent (RFC 9110 section 8.8).
#[derive(Clone, Copy, Debug)]
pub struct Validators<'a> {
    /// Its strong entity tag, without quotes.
    pub etag: &'a str,
    /// The time of its publication, in whole seconds: [`last_modified`](crate::last_modified).
    pub modified_at: SystemTime,
}

/// The result of the preconditions: the kind of response to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send the representation, whole or in part.
    Send {
        /// `false` when `If-Range` names another representation, so that `Range` is ignored.
        allow_range: bool,
    },
    /// 304: the client has it.
    NotModified,
    /// 412: the client asked for another one.
    Failed,
}

/// Evaluates the preconditions of a GET or HEAD.
#[must_use]
pub fn evaluate(headers: &HeaderMap, validators: Validators<'_>, syntax: TagSyntax) -> Verdict {
    let etag = validators.etag.as_bytes();
    if headers.contains_key(IF_MATCH) {
        if !list_names(headers, &IF_MATCH, syntax, |tag| tag == EntityTag::Strong(etag)) {
            return Verdict::Failed;
        }
    } else if date(headers, &IF_UNMODIFIED_SINCE).is_some_and(|date| validators.modified_at > date) {
        return Verdict::Failed;
    }
    if headers.contains_key(IF_NONE_MATCH) {
        if list_names(headers, &IF_NONE_MATCH, syntax, |tag| tag.opaque() == etag) {
            return Verdict::NotModified;
        }
    } else if date(headers, &IF_MODIFIED_SINCE).is_some_and(|date| validators.modified_at <= date) {
        return Verdict::NotModified;
    }
    Verdict::Send {
        allow_range: range_is_current(headers, etag, syntax),
    }
}

/// Tells whether a range is one of the present representation. A date never makes it so: two versions may be published
/// within its one second, so it is a weak validator (RFC 9110 section 8.8.2.2), and `If-Range` needs a strong one. No
/// client needs a date, because every answer has a strong entity tag.
fn range_is_current(headers: &HeaderMap, etag: &[u8], syntax: TagSyntax) -> bool {
    match Single::of(headers, &IF_RANGE) {
        Single::Absent => true,
        Single::One(value) => EntityTag::parse(value, syntax) == Some(EntityTag::Strong(etag)),
        Single::Several => false,
    }
}

/// The date in a header; `None` when it is not one valid date, and is ignored (RFC 9110 sections 13.1.3 and 13.1.4).
fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    Single::of(headers, name).text().and_then(parse_date)
}

/// Tells whether the header is `*`, or a list with a tag that matches.
fn list_names(
    headers: &HeaderMap,
    name: &HeaderName,
    syntax: TagSyntax,
    matches: impl Fn(EntityTag<'_>) -> bool,
) -> bool {
    let mut lines = headers.get_all(name).iter();
    lines.any(|line| line_matches(line.as_bytes(), syntax, &matches))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;
    use std::time::{Duration, UNIX_EPOCH};

    const ETAG: &str = "abc";
    const MODIFIED: u64 = 1_700_000_000;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn verdict(pairs: &[(HeaderName, &str)]) -> Verdict {
        verdict_in(TagSyntax::Quoted, pairs)
    }

    fn verdict_in(syntax: TagSyntax, pairs: &[(HeaderName, &str)]) -> Verdict {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name.clone(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        evaluate(
            &headers,
            Validators {
                etag: ETAG,
                modified_at: at(MODIFIED),
            },
            syntax,
        )
    }

    const SEND: Verdict = Verdict::Send { allow_range: true };

    #[test]
    fn if_none_match_compares_weakly_and_reads_lists() {
        for value in [
            "\"abc\"",
            "W/\"abc\"",
            "*",
            "\"x\", \"abc\"",
            "\"a,b\" , W/\"abc\"",
            ",,\"abc\"",
            "\"é\", \"abc\"",
            "\"\",\"abc\"",
        ] {
            assert_eq!(
                verdict(&[(IF_NONE_MATCH, value)]),
                Verdict::NotModified,
                "{value}"
            );
        }
        for value in [
            "\"abcd\"",
            "abc",
            "\"abc",
            "\"x\" \"abc\"",
            "",
            "w/\"abc\"",
            "\"*\"",
            "*, \"x\"",
        ] {
            assert_eq!(verdict(&[(IF_NONE_MATCH, value)]), SEND, "{value}");
        }
        assert_eq!(
            verdict(&[(IF_NONE_MATCH, "\"x\""), (IF_NONE_MATCH, "\"abc\"")]),
            Verdict::NotModified
        );
    }

    #[test]
    fn if_match_and_if_range_compare_strongly() {
        for value in ["\"abc\"", "*", "\"x\", \"abc\""] {
            assert_eq!(verdict(&[(IF_MATCH, value)]), SEND, "{value}");
        }
        for value in ["W/\"abc\"", "\"x\"", "abc"] {
            assert_eq!(verdict(&[(IF_MATCH, value)]), Verdict::Failed, "{value}");
        }
        let whole = Verdict::Send { allow_range: false };
        assert_eq!(verdict(&[(IF_RANGE, "\"abc\"")]), SEND);
        for value in [
            "W/\"abc\"",
            "\"x\"",
            "\"abc\", \"abc\"",
            "abc",
            &httpdate::fmt_http_date(at(MODIFIED)),
        ] {
            assert_eq!(verdict(&[(IF_RANGE, value)]), whole, "{value}");
        }
    }

    #[test]
    fn bare_tags_count_where_they_are_taken() {
        let bare = |pair| verdict_in(TagSyntax::QuotedOrBare, &[pair]);
        for value in ["abc", "x, abc", "\"x\",abc", "\"abc\""] {
            assert_eq!(bare((IF_NONE_MATCH, value)), Verdict::NotModified, "{value}");
            assert_eq!(bare((IF_MATCH, value)), SEND, "{value}");
        }
        for value in ["abcd", "\"x,abc,x\"", "abc\"", "x abc", "x, *"] {
            assert_eq!(bare((IF_NONE_MATCH, value)), SEND, "{value}");
            assert_eq!(bare((IF_MATCH, value)), Verdict::Failed, "{value}");
        }
        assert_eq!(bare((IF_RANGE, "abc")), SEND);
        assert_eq!(bare((IF_RANGE, "abc, abc")), Verdict::Send { allow_range: false });
    }

    #[test]
    fn dates_in_all_three_forms_count_and_others_are_ignored() {
        for value in [
            "Tue, 14 Nov 2023 22:13:20 GMT",
            "Tuesday, 14-Nov-23 22:13:20 GMT",
            "Tue Nov 14 22:13:20 2023",
        ] {
            assert_eq!(
                verdict(&[(IF_MODIFIED_SINCE, value)]),
                Verdict::NotModified,
                "{value}"
            );
        }
        for value in [
            "Tue, 14 Nov 2023 22:13:19 GMT",
            "yesterday",
            "1700000000",
            "Tue, 14 Nov 2023 22:13:20 +0000",
        ] {
            assert_eq!(verdict(&[(IF_MODIFIED_SINCE, value)]), SEND, "{value}");
        }
    }

    /// The five steps of RFC 9110 section 13.2.2 as they are written there.
    fn model(
        if_match: Option<bool>,
        unmodified: Option<bool>,
        none_match: Option<bool>,
        modified: Option<bool>,
    ) -> Verdict {
        let step_3 = match (none_match, modified) {
            (Some(no_tag_matches), _) => no_tag_matches,
            (None, Some(modified)) => modified,
            (None, None) => true,
        };
        match (if_match, unmodified) {
            (Some(false), _) | (None, Some(false)) => Verdict::Failed,
            (Some(true), _) | (None, _) if step_3 => SEND,
            (Some(true), _) | (None, _) => Verdict::NotModified,
        }
    }

    proptest! {
        #[test]
        fn precedence_is_that_of_the_model(
            if_match: Option<bool>, unmodified: Option<bool>, none_match: Option<bool>, modified: Option<bool>,
        ) {
            let mut pairs = Vec::new();
            let older = httpdate::fmt_http_date(at(MODIFIED - 1));
            let same = httpdate::fmt_http_date(at(MODIFIED));
            let tag = |matches: bool| if matches { "\"abc\"" } else { "\"other\"" };
            if let Some(holds) = if_match {
                pairs.push((IF_MATCH, tag(holds)));
            }
            if let Some(holds) = unmodified {
                pairs.push((IF_UNMODIFIED_SINCE, if holds { &same } else { &older }));
            }
            if let Some(holds) = none_match {
                pairs.push((IF_NONE_MATCH, tag(!holds)));
            }
            if let Some(holds) = modified {
                pairs.push((IF_MODIFIED_SINCE, if holds { &older } else { &same }));
            }
            prop_assert_eq!(verdict(&pairs), model(if_match, unmodified, none_match, modified));
        }
    }
}
