use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode, utf8_percent_encode};

use crate::{Format, KeyError, ObjectKey};

/// Every byte but the unreserved ones of RFC 3986 section 2.3, `A-Za-z0-9-._~`, is escaped, so that both shapes and every
/// CDN spell a URL the same way. Signature Version 4 encodes the same bytes.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

const PATH: &AsciiSet = &COMPONENT.remove(b'/');

/// Percent-encodes a key for a URL path; `/` stays.
#[must_use]
pub fn encode_path(key: &str) -> String {
    utf8_percent_encode(key, PATH).to_string()
}

/// Percent-encodes a segment of a path, or a name or value of a query, from its bytes; `/` is encoded.
#[must_use]
pub fn encode_component(bytes: impl AsRef<[u8]>) -> String {
    percent_encode(bytes.as_ref(), COMPONENT).to_string()
}

/// Percent-decodes once. `+` is a plus sign: only query strings and S3 events use it for a space.
///
/// # Errors
/// [`PathError::BadEncoding`] when a `%` is not followed by two hexadecimal digits or the bytes are not UTF-8.
pub fn decode_component(raw: &str) -> Result<String, PathError> {
    let mut rest = raw.as_bytes();
    while let Some(at) = rest.iter().position(|&byte| byte == b'%') {
        let (Some(high), Some(low)) = (rest.get(at + 1), rest.get(at + 2)) else {
            return Err(PathError::BadEncoding);
        };
        if !high.is_ascii_hexdigit() || !low.is_ascii_hexdigit() {
            return Err(PathError::BadEncoding);
        }
        rest = &rest[at + 3..];
    }
    percent_decode_str(raw)
        .decode_utf8()
        .map(Into::into)
        .map_err(|_| PathError::BadEncoding)
}

/// A delivery URL's path: `/img/{key}/{variant}[.{ext}]` or `/v/{key}/{version}/{variant}[.{ext}]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryPath {
    /// The source's key, decoded.
    pub key: ObjectKey,
    /// The version named by a `/v/` path, decoded and otherwise unchecked.
    pub version: Option<String>,
    /// The variant's name.
    pub variant: String,
    /// The format that an extension asks for; `None` negotiates.
    pub format: Option<Format>,
}

/// The reason why a path is not a delivery path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Not percent-encoded UTF-8: a 400.
    #[error("the path is not percent-encoded UTF-8")]
    BadEncoding,
    /// No key, no variant, or an unknown extension: a 404.
    #[error("the path names no rendition")]
    NotFound,
}

impl From<KeyError> for PathError {
    fn from(_: KeyError) -> Self {
        Self::NotFound
    }
}

impl DeliveryPath {
    /// Splits the raw path first and decodes each part once.
    ///
    /// # Errors
    /// [`PathError::BadEncoding`] for bad escapes or bad UTF-8, [`PathError::NotFound`] for everything else.
    pub fn parse(raw_path: &str) -> Result<Self, PathError> {
        let (rest, versioned) = match (raw_path.strip_prefix("/img/"), raw_path.strip_prefix("/v/")) {
            (Some(rest), _) => (rest, false),
            (None, Some(rest)) => (rest, true),
            (None, None) => return Err(PathError::NotFound),
        };
        let (rest, last) = rest.rsplit_once('/').ok_or(PathError::NotFound)?;
        let (key, version) = if versioned {
            let (key, version) = rest.rsplit_once('/').ok_or(PathError::NotFound)?;
            (key, Some(decode_component(version)?))
        } else {
            (rest, None)
        };
        let key = ObjectKey::new(decode_component(key)?)?;
        let last = decode_component(last)?;
        let (variant, format) = match last.split_once('.') {
            None => (last, None),
            Some((variant, extension)) => {
                let format = Format::from_extension(extension).ok_or(PathError::NotFound)?;
                (variant.to_owned(), Some(format))
            }
        };
        if variant.is_empty() {
            return Err(PathError::NotFound);
        }
        Ok(Self {
            key,
            version,
            variant,
            format,
        })
    }

    /// The canonical path: what [`Self::parse`] reads back.
    #[must_use]
    pub fn to_path(&self) -> String {
        // A slash in one of these is no border between segments.
        let segment = |text: &str| encode_path(text).replace('/', "%2F");
        let key = encode_path(self.key.as_str());
        let variant = segment(&self.variant);
        let extension = self
            .format
            .map(|format| format!(".{}", format.extension()))
            .unwrap_or_default();
        match &self.version {
            None => format!("/img/{key}/{variant}{extension}"),
            Some(version) => format!("/v/{key}/{}/{variant}{extension}", segment(version)),
        }
    }
}

/// The closed set of `Cache-Control` values that answers may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CachePolicy {
    /// Deliveries whose URL may show another picture later: one day.
    Short,
    /// Deliveries whose URL names the version that is shown: one year.
    Immutable,
    /// Deliveries that are not ready or not there: a few seconds, so that a new upload shows soon.
    Negative,
    /// The API, pages, errors.
    NoStore,
}

impl CachePolicy {
    /// The header's value (RFC 9111 section 5.2, RFC 8246).
    #[must_use]
    pub const fn header_value(self) -> &'static str {
        match self {
            Self::Short => "public, max-age=86400",
            Self::Immutable => "public, max-age=31536000, immutable",
            Self::Negative => "public, max-age=5",
            Self::NoStore => "no-store",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(raw: &str) -> Result<(String, Option<String>, String, Option<Format>), PathError> {
        let path = DeliveryPath::parse(raw)?;
        Ok((
            path.key.as_str().to_owned(),
            path.version,
            path.variant,
            path.format,
        ))
    }

    #[test]
    fn a_slash_in_a_version_or_a_variant_stays_in_its_segment() {
        for raw in ["/v/photo.jpg/a%2Fb/medium", "/img/photo.jpg/a%2Fb.webp"] {
            assert_eq!(DeliveryPath::parse(raw).unwrap().to_path(), raw);
        }
    }

    #[test]
    fn paths_are_split_before_they_are_decoded() {
        let medium = |key: &str| Ok((key.to_owned(), None, "medium".to_owned(), None));
        assert_eq!(parse("/img/some/photo.jpg/medium"), medium("some/photo.jpg"));
        assert_eq!(parse("/img/a%2Fb/medium"), medium("a/b"));
        assert_eq!(parse("/img/a+b/medium"), medium("a+b"));
        assert_eq!(parse("/img/a%2Bb/medium"), medium("a+b"));
        assert_eq!(parse("/img/a%2520b/medium"), medium("a%20b"));
        assert_eq!(parse("/img/%F0%9F%90%8C/medium"), medium("🐌"));
        assert_eq!(
            parse("/v/a/b/0123/medium.avif"),
            Ok((
                "a/b".to_owned(),
                Some("0123".to_owned()),
                "medium".to_owned(),
                Some(Format::Avif)
            ))
        );
    }

    #[test]
    fn what_names_no_rendition_is_not_found_and_bad_escapes_are_told_apart() {
        for raw in [
            "/img/",
            "/img/medium",
            "/img/a/",
            "/img/a/.avif",
            "/img/a/medium.jpeg",
            "/img/a/m.tar.gz",
            "/v/a/medium",
            "/x/a/b",
        ] {
            assert_eq!(parse(raw), Err(PathError::NotFound), "{raw}");
        }
        for raw in [
            "/img/a%/medium",
            "/img/a%2/medium",
            "/img/%ZZ/medium",
            "/img/%FF/medium",
            "/img/a/%C3%28",
        ] {
            assert_eq!(parse(raw), Err(PathError::BadEncoding), "{raw}");
        }
    }

    proptest! {
        #[test]
        fn any_key_survives_the_round_trip(key in "\\PC{1,60}|[ -~]{1,60}", versioned: bool, extension: bool) {
            let path = DeliveryPath {
                key: ObjectKey::new(key).unwrap(),
                version: versioned.then(|| "0123abcd".to_owned()),
                variant: "thumbnail".to_owned(),
                format: extension.then_some(Format::Webp),
            };
            prop_assert_eq!(DeliveryPath::parse(&path.to_path()), Ok(path));
        }
    }
}
