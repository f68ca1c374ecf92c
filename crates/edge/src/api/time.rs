//! Times as the API and the pages write them.

use jiff::Timestamp;
use tintype_model::UnixMillis;

/// RFC 3339 in UTC; the farthest date for times beyond the year 9999.
pub(crate) fn timestamp(time: UnixMillis) -> String {
    let millis = i64::try_from(time.0).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(millis)
        .unwrap_or(Timestamp::MAX)
        .to_string()
}
