use rusqlite::{Connection, params};
use tintype_model::{Entry, UnixMillis};

use super::Result;
use super::row::{Bucket, after_key, after_prefix, listed_key};
use super::schema::unsigned;

/// The choice of objects for a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListSources {
    /// Only keys that start with this.
    pub prefix: String,
    /// Keys that have this after the prefix are rolled up into their part up to and including its first occurrence.
    pub delimiter: Option<String>,
    /// The place where the listing begins.
    pub from: ListFrom,
    /// Most items, objects and common prefixes together.
    pub limit: usize,
}

/// The place where a listing begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ListFrom {
    /// At the first key.
    #[default]
    Start,
    /// After this key, which need not exist.
    After(String),
    /// After every key that starts with this, to continue a listing that ended with a common prefix.
    PastPrefix(String),
}

/// A part of a listing, in ascending order of UTF-8 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Objects and common prefixes.
    pub items: Vec<Listed>,
    /// `true` when more follow.
    pub truncated: bool,
}

/// One line of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    /// An object.
    Object(Entry),
    /// A prefix that stands for all keys that start with it.
    CommonPrefix(String),
}

impl ListFrom {
    /// The first byte string that the listing may show.
    fn lower_bound(&self, prefix: &str) -> Vec<u8> {
        let from = match self {
            Self::Start => Vec::new(),
            Self::After(key) => after_key(key),
            Self::PastPrefix(prefix) => after_prefix(prefix),
        };
        from.max(prefix.as_bytes().to_vec())
    }
}

/// Lists objects. Each common prefix costs one search in the index, however many keys it stands for.
///
/// # Errors
/// Errors of SQLite.
pub(crate) fn objects(connection: &Connection, bucket: Bucket, request: &ListSources) -> Result<Listing> {
    let mut statement = connection.prepare_cached(
        "SELECT key, size, etag, modified_at FROM objects
         WHERE bucket = ?1 AND key >= ?2 AND key < ?3 ORDER BY key",
    )?;
    let end = after_prefix(&request.prefix);
    let mut from = request.from.lower_bound(&request.prefix);
    let mut items = Vec::new();
    'search: loop {
        let mut rows = statement.query(params![bucket.number(), from, end])?;
        while let Some(row) = rows.next()? {
            if items.len() >= request.limit {
                return Ok(Listing {
                    items,
                    truncated: true,
                });
            }
            let key = listed_key(row, 0)?;
            if let Some(common) = common_prefix(&key, request) {
                from = after_prefix(common);
                items.push(Listed::CommonPrefix(common.to_owned()));
                continue 'search;
            }
            items.push(Listed::Object(Entry {
                key,
                size_bytes: unsigned(row.get(1)?),
                etag: row.get(2)?,
                modified_at: UnixMillis(unsigned(row.get(3)?)),
            }));
        }
        return Ok(Listing {
            items,
            truncated: false,
        });
    }
}

fn common_prefix<'key>(key: &'key str, request: &ListSources) -> Option<&'key str> {
    let delimiter = request
        .delimiter
        .as_deref()
        .filter(|delimiter| !delimiter.is_empty())?;
    let rest = key.get(request.prefix.len()..)?;
    let at = rest.find(delimiter)?;
    key.get(..request.prefix.len() + at + delimiter.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_enclose_exactly_the_keys_of_a_prefix() {
        for prefix in ["a", "a/", "é", "\u{10FFFF}", "z\u{7f}"] {
            let end = after_prefix(prefix);
            assert!(prefix.as_bytes() < end.as_slice());
            assert!(format!("{prefix}\u{10FFFF}").as_bytes() < end.as_slice());
        }
        assert!("\u{10FFFF}".as_bytes() < after_prefix("").as_slice());
        assert!(b"a0".as_slice() >= after_prefix("a/").as_slice());
        assert!(b"a\0".as_slice() >= after_key("a").as_slice());
    }

    #[test]
    fn a_start_before_the_prefix_begins_at_the_prefix() {
        let after = |key: &str| ListFrom::After(key.to_owned());
        assert_eq!(after("a").lower_bound("b/"), b"b/");
        assert_eq!(after("b/x").lower_bound("b/"), b"b/x\0");
        assert_eq!(ListFrom::Start.lower_bound("b/"), b"b/");
        assert_eq!(ListFrom::PastPrefix("b/c/".to_owned()).lower_bound("b/"), b"b/c0");
    }

    #[test]
    fn delimiters_count_only_after_the_prefix() {
        let request = |prefix: &str, delimiter: &str| ListSources {
            prefix: prefix.to_owned(),
            delimiter: Some(delimiter.to_owned()),
            ..ListSources::default()
        };
        assert_eq!(common_prefix("a/b/c", &request("", "/")), Some("a/"));
        assert_eq!(common_prefix("a/b/c", &request("a/", "/")), Some("a/b/"));
        assert_eq!(common_prefix("a/b/c", &request("a/b/", "/")), None);
        assert_eq!(common_prefix("a--b--c", &request("a", "--")), Some("a--"));
        assert_eq!(common_prefix("a/b", &request("", "")), None);
    }
}
