//! The suite for all servers with conditional answers (RFC 9110 sections 13 and 14).

use http::{HeaderMap, StatusCode, header};
use jiff::{SignedDuration, Timestamp};

/// An answer without its body.
pub type Head = (StatusCode, HeaderMap);

/// The status of an answer, and its `Content-Range` without the size and what follows it: `"0-1"`, `"*"` or nothing.
type Expected = (u16, &'static str);

const WHOLE: Expected = (200, "");
const FIRST_TWO: Expected = (206, "0-1");
const NOT_MODIFIED: Expected = (304, "");
const FAILED: Expected = (412, "");
const UNSATISFIABLE: Expected = (416, "*");

/// Asks for one and the same resource of at least ten bytes with many combinations of headers, and panics at the first
/// answer that is not the one of the RFC.
///
/// `get` sends a GET with the given headers. The resource has a strong `ETag`, and a `Last-Modified` after 1994.
///
/// # Panics
/// When an answer breaks a rule.
pub async fn conditional_requests(get: impl AsyncFn(&[(&str, &str)]) -> Head) {
    let (status, headers) = get(&[]).await;
    assert_eq!(status, StatusCode::OK, "the plain request");
    let text = |name: header::HeaderName| headers[name].to_str().expect("headers are text").to_owned();
    let resource = Resource {
        etag: text(header::ETAG),
        modified: text(header::LAST_MODIFIED),
        size: text(header::CONTENT_LENGTH),
    };
    for (headers, expected) in resource.cases() {
        let borrowed: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, &**value)).collect();
        let (status, answer) = get(&borrowed).await;
        let range = answer.get(header::CONTENT_RANGE);
        let range = range.map_or("", |value| value.to_str().expect("headers are text"));
        let range = match range.strip_prefix("bytes ") {
            Some(range) => range
                .strip_suffix(&format!("/{}", resource.size))
                .expect("Content-Range names the size"),
            None => range,
        };
        assert_eq!((status.as_u16(), range), expected, "{headers:?}");
    }
}

/// The validators and the size in the answer to the plain request.
struct Resource {
    etag: String,
    modified: String,
    size: String,
}

type Case = (Vec<(&'static str, String)>, Expected);

impl Resource {
    fn cases(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        self.entity_tags(&mut cases);
        self.dates(&mut cases);
        self.current_ranges(&mut cases);
        ranges(&mut cases);
        cases
    }

    fn entity_tags(&self, cases: &mut Vec<Case>) {
        let etag = &self.etag;
        let opaque = etag.trim_matches('"');
        let weak = format!("W/{etag}");
        for (value, none_match, if_match) in [
            (etag.clone(), NOT_MODIFIED, WHOLE),
            // `If-None-Match` compares weakly, `If-Match` strongly (section 8.8.3.2).
            (weak.clone(), NOT_MODIFIED, FAILED),
            ("*".to_owned(), NOT_MODIFIED, WHOLE),
            (format!("\"other\", {etag}"), NOT_MODIFIED, WHOLE),
            (format!(",,\"other\" , {weak}"), NOT_MODIFIED, FAILED),
            ("\"other\"".to_owned(), WHOLE, FAILED),
            // One tag that has commas in it.
            (format!("\"other,{opaque},other\""), WHOLE, FAILED),
            (format!("\"other\" {etag}"), WHOLE, FAILED),
            (format!("\"{opaque}"), WHOLE, FAILED),
            ("\"other\", *".to_owned(), WHOLE, FAILED),
        ] {
            cases.push((vec![("if-none-match", value.clone())], none_match));
            cases.push((vec![("if-match", value)], if_match));
        }
        let other = || "\"other\"".to_owned();
        cases.push((
            vec![("if-none-match", other()), ("if-none-match", etag.clone())],
            NOT_MODIFIED,
        ));
        cases.push((
            vec![("if-match", other()), ("if-none-match", etag.clone())],
            FAILED,
        ));
    }

    fn dates(&self, cases: &mut Vec<Case>) {
        let modified = jiff::fmt::rfc2822::parse(&self.modified)
            .expect("Last-Modified is a date")
            .timestamp();
        let earlier = modified - SignedDuration::from_secs(1);
        // The three forms of section 5.6.7.
        for form in [
            "%a, %d %b %Y %H:%M:%S GMT",
            "%A, %d-%b-%y %H:%M:%S GMT",
            "%a %b %e %H:%M:%S %Y",
        ] {
            let [modified, earlier] = [modified, earlier].map(|at: Timestamp| at.strftime(form).to_string());
            cases.push((vec![("if-modified-since", modified.clone())], NOT_MODIFIED));
            cases.push((vec![("if-modified-since", earlier.clone())], WHOLE));
            cases.push((vec![("if-unmodified-since", modified)], WHOLE));
            cases.push((vec![("if-unmodified-since", earlier)], FAILED));
        }
        // Any other form is no date, and is ignored (section 13.1.3): an offset, a zone, a single digit, two dates.
        for form in [
            "%a, %d %b %Y %H:%M:%S +0000",
            "%a, %d %b %Y %H:%M:%S UTC",
            "%d %b %Y %H:%M:%S GMT",
            "%s",
        ] {
            let later = modified + SignedDuration::from_hours(1);
            let [later, earlier] = [later, earlier].map(|at: Timestamp| at.strftime(form).to_string());
            cases.push((vec![("if-modified-since", later)], WHOLE));
            cases.push((vec![("if-unmodified-since", earlier)], WHOLE));
        }
        let date = || self.modified.clone();
        cases.push((
            vec![("if-modified-since", date()), ("if-modified-since", date())],
            WHOLE,
        ));
        // Tags go before dates (section 13.2.2).
        cases.push((
            vec![
                ("if-none-match", "\"other\"".to_owned()),
                ("if-modified-since", date()),
            ],
            WHOLE,
        ));
    }

    /// `If-Range`, which compares strongly (section 13.1.5).
    fn current_ranges(&self, cases: &mut Vec<Case>) {
        let etag = &self.etag;
        for (value, expected) in [
            (etag.clone(), FIRST_TWO),
            (format!("W/{etag}"), WHOLE),
            ("\"other\"".to_owned(), WHOLE),
            (format!("{etag}, {etag}"), WHOLE),
            // A date is a weak validator here: the resource may have changed twice within its second.
            (self.modified.clone(), WHOLE),
        ] {
            let range = ("range", "bytes=0-1".to_owned());
            cases.push((vec![range, ("if-range", value)], expected));
        }
        let conditions = [("if-none-match", etag.clone()), ("range", "bytes=0-1".to_owned())];
        cases.push((conditions.to_vec(), NOT_MODIFIED));
    }
}

fn ranges(cases: &mut Vec<Case>) {
    for (value, expected) in [
        ("bytes=0-1", FIRST_TWO),
        // Units have no case (section 14.1).
        ("Bytes=0-1", FIRST_TWO),
        ("bytes=99999999999999999999999-", UNSATISFIABLE),
        ("bytes=-0", UNSATISFIABLE),
        ("bytes=1-0", WHOLE),
        ("bytes=0-1,3-4", WHOLE),
        ("bytes=+0-1", WHOLE),
        ("bytes=0x0-1", WHOLE),
        ("lines=0-1", WHOLE),
        ("bytes", WHOLE),
    ] {
        cases.push((vec![("range", value.to_owned())], expected));
    }
    let two = ["bytes=0-1", "bytes=3-4"].map(|value| ("range", value.to_owned()));
    cases.push((two.to_vec(), WHOLE));
}
