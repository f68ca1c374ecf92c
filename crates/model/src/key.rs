use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Recipe;

/// An S3 object key: 1 to 1,024 bytes of UTF-8, otherwise opaque.
///
/// A key is never a file path. Keys that S3 accepts but that cannot travel through a CDN are still keys; whether a
/// key can be served is the answer of [`ObjectKey::check_servable`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectKey(String);

/// The reason why a string is not an object key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The key has no bytes.
    #[error("object key is empty")]
    Empty,
    /// The key is longer than S3 allows.
    #[error("object key is {0} bytes, the limit is {max}", max = ObjectKey::MAX_BYTES)]
    TooLong(usize),
}

/// The reason why a key cannot be delivered over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unservable {
    /// HTTP clients and CDNs collapse empty path segments.
    #[error("the key has an empty path segment")]
    EmptySegment,
    /// HTTP clients and CDNs resolve dot segments (RFC 3986 section 5.2.4).
    #[error("the key has a \".\" or \"..\" path segment")]
    DotSegment,
    /// CDNs refuse control characters.
    #[error("the key has a control character")]
    ControlCharacter,
    /// A rendition's own key would pass 1,024 bytes.
    #[error("the key is {length} bytes, which leaves no room for its renditions' keys (at most {max} bytes)")]
    TooLong {
        /// Length of the key in bytes.
        length: usize,
        /// The longest key that this recipe can serve, in bytes.
        max: usize,
    },
}

impl ObjectKey {
    /// The longest key that S3 stores, in bytes.
    pub const MAX_BYTES: usize = 1024;

    /// Checks the length; every other byte sequence is allowed.
    ///
    /// # Errors
    /// When the key is empty or longer than [`Self::MAX_BYTES`].
    pub fn new(key: impl Into<String>) -> Result<Self, KeyError> {
        let key = key.into();
        match key.len() {
            0 => Err(KeyError::Empty),
            length if length > Self::MAX_BYTES => Err(KeyError::TooLong(length)),
            _ => Ok(Self(key)),
        }
    }

    /// The key as it is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Checks that renditions of this key can be delivered under the recipe's variant names.
    ///
    /// # Errors
    /// The first reason found why they cannot.
    pub fn check_servable(&self, recipe: &Recipe) -> Result<(), Unservable> {
        if self.0.chars().any(char::is_control) {
            return Err(Unservable::ControlCharacter);
        }
        for segment in self.0.split('/') {
            match segment {
                "" => return Err(Unservable::EmptySegment),
                "." | ".." => return Err(Unservable::DotSegment),
                _ => {}
            }
        }
        let max = Self::MAX_BYTES.saturating_sub(recipe.longest_rendition_suffix());
        if self.0.len() > max {
            return Err(Unservable::TooLong {
                length: self.0.len(),
                max,
            });
        }
        Ok(())
    }

    /// True if an object of this key and size is one that consoles create to show an empty folder.
    #[must_use]
    pub fn is_folder_marker(&self, size_bytes: u64) -> bool {
        size_bytes == 0 && self.0.ends_with('/')
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for ObjectKey {
    /// Control, format and other unprintable characters are escaped, so that a key can neither forge nor disguise
    /// a log line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '"' | '\'' | '\\' => write!(f, "{character}")?,
                _ => write!(f, "{}", character.escape_debug())?,
            }
        }
        Ok(())
    }
}

impl TryFrom<String> for ObjectKey {
    type Error = KeyError;
    fn try_from(key: String) -> Result<Self, KeyError> {
        Self::new(key)
    }
}

impl From<ObjectKey> for String {
    fn from(key: ObjectKey) -> Self {
        key.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: &str) -> Result<(), Unservable> {
        ObjectKey::new(key).unwrap().check_servable(&Recipe::default())
    }

    #[test]
    fn keys_that_a_cdn_would_rewrite_are_unservable() {
        assert_eq!(check("a/b.jpg"), Ok(()));
        assert_eq!(check("ordinary + plus %25.jpg"), Ok(()));
        assert_eq!(check("a//b"), Err(Unservable::EmptySegment));
        assert_eq!(check("/a"), Err(Unservable::EmptySegment));
        assert_eq!(check("a/"), Err(Unservable::EmptySegment));
        assert_eq!(check("../a"), Err(Unservable::DotSegment));
        assert_eq!(check("a/./b"), Err(Unservable::DotSegment));
        assert_eq!(check("a/..b"), Ok(()));
        assert_eq!(check("a\nb"), Err(Unservable::ControlCharacter));
        assert_eq!(check("a\u{85}b"), Err(Unservable::ControlCharacter));
    }

    #[test]
    fn room_for_the_longest_rendition_key_is_kept() {
        // "/thumbnail.avif" is the longest suffix of the default recipe.
        let longest = "k".repeat(1024 - "/thumbnail.avif".len());
        assert_eq!(check(&longest), Ok(()));
        assert!(matches!(
            check(&format!("{longest}k")),
            Err(Unservable::TooLong { max: 1009, .. })
        ));
    }

    #[test]
    fn length_is_counted_in_bytes() {
        assert_eq!(ObjectKey::new(""), Err(KeyError::Empty));
        assert_eq!(ObjectKey::new("é".repeat(513)), Err(KeyError::TooLong(1026)));
        assert!(ObjectKey::new("é".repeat(512)).is_ok());
    }

    #[test]
    fn log_form_escapes_what_cannot_be_seen() {
        let shown = |key: &str| ObjectKey::new(key).unwrap().to_string();
        assert_eq!(shown("a\r\nb"), "a\\r\\nb");
        assert_eq!(shown("\u{202e}gpj.exe\u{2028}"), "\\u{202e}gpj.exe\\u{2028}");
        assert_eq!(
            shown("it's \"caf\u{e9}\" \u{1F40C}"),
            "it's \"caf\u{e9}\" \u{1F40C}"
        );
    }
}
