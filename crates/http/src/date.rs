//! HTTP dates (RFC 9110 section 5.6.7), by `httpdate`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderValue;

/// The `Last-Modified` of a representation that was written at this time: whole seconds, and never later than now
/// (section 8.8.2.1).
#[must_use]
pub fn last_modified(unix_millis: u64) -> SystemTime {
    let written = UNIX_EPOCH + Duration::from_secs(unix_millis / 1000);
    written.min(SystemTime::now())
}

/// A date as the value of a header.
///
/// # Panics
/// When the date is before 1970 or after 9999; [`last_modified`] returns no such date.
#[must_use]
pub fn date_header(at: SystemTime) -> HeaderValue {
    HeaderValue::from_str(&httpdate::fmt_http_date(at)).expect("a date is ASCII")
}

/// Reads a date in any of the three forms; `None` for everything else, which is to be ignored.
#[must_use]
pub fn parse_date(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_and_read_as_http_wants_them() {
        let at = UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(last_modified(784_111_777_500), at);
        assert_eq!(date_header(at), "Sun, 06 Nov 1994 08:49:37 GMT");
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(parse_date(text), Some(at), "{text}");
        }
        assert_eq!(parse_date("Sun, 06 Nov 1994 09:49:37 +0100"), None);
    }

    #[test]
    fn nothing_was_modified_in_the_future() {
        assert!(last_modified(u64::MAX) <= SystemTime::now());
    }
}
