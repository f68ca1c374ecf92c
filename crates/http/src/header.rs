//! Headers that may be there once.

use http::HeaderMap;
use http::header::HeaderName;

/// A header that may be there once.
pub(crate) enum Single<'a> {
    /// The header is absent.
    Absent,
    /// Its value, without the space around it.
    One(&'a [u8]),
    /// The header is repeated, so that no value counts.
    Several,
}

impl<'a> Single<'a> {
    /// Looks for a header.
    pub(crate) fn of(headers: &'a HeaderMap, name: &HeaderName) -> Self {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (None, _) => Self::Absent,
            (Some(value), None) => Self::One(value.as_bytes().trim_ascii()),
            (Some(_), Some(_)) => Self::Several,
        }
    }

    /// Its value as text.
    pub(crate) fn text(&self) -> Option<&'a str> {
        match self {
            Self::One(value) => std::str::from_utf8(value).ok(),
            Self::Absent | Self::Several => None,
        }
    }
}
