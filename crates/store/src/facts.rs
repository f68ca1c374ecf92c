//! The facts that a source's file carries behind its bytes, so that its row can be made again without the database.
//!
//! ```text
//! bytes of the object | facts, JSON | length of the JSON, u32 | first 8 bytes of its SHA-256 | "TINTYPE1"
//! ```
//!
//! Numbers are little-endian. Readers of the object stop where its row says that it ends, so they read no byte more
//! than before. The name of a file says whether it has facts ([`super::name::Kind`]); its last bytes, which an
//! uploader chooses, do not.

use std::fs::File;
use std::os::unix::fs::FileExt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tintype_model::{ObjectKey, UnixMillis};

use super::row::{Attributes, Row};
use super::schema::{from_json, to_json};
use super::{Error, Result};

const MAGIC: &[u8; 8] = b"TINTYPE1";

/// Length, digest and magic.
pub(crate) const FOOTER_BYTES: u64 = 4 + 8 + 8;

type Footer = [u8; 4 + 8 + 8];

/// The largest JSON, in bytes. Larger ones are damaged: key and headers of an upload have a few kilobytes, the sizes of
/// 10,000 parts 100 more.
const MAX_JSON_BYTES: u64 = 4 << 20;

/// The facts about a source that its file carries. Stored; fields are only ever added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Facts {
    pub(crate) key: ObjectKey,
    /// Its place among the uploads of its store. The sequencer of its row is the same or, where uploads raced, a
    /// little higher.
    pub(crate) order: u64,
    /// Size of the object, without these facts.
    pub(crate) size_bytes: u64,
    pub(crate) etag: String,
    /// MD5 of its bytes; `None` for an object of parts, whose `ETag` and sizes of parts serve instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) md5: Option<String>,
    pub(crate) modified_at: UnixMillis,
    #[serde(default)]
    pub(crate) attributes: Attributes,
}

impl Facts {
    /// The facts in a row.
    ///
    /// # Errors
    /// [`Error::InvalidKey`].
    pub(crate) fn of(row: Row) -> Result<Self> {
        Ok(Self {
            key: ObjectKey::new(row.key)?,
            order: row.sequencer,
            size_bytes: row.size_bytes,
            etag: row.etag,
            md5: None,
            modified_at: row.modified_at,
            attributes: row.attributes,
        })
    }
}

/// The bytes that follow those of the object.
///
/// # Errors
/// [`Error::Corrupt`] when they would be refused by [`read`].
pub(crate) fn encode(facts: &Facts) -> Result<Vec<u8>> {
    let mut bytes = to_json(facts).into_bytes();
    let length = u32::try_from(bytes.len())
        .ok()
        .filter(|length| u64::from(*length) <= MAX_JSON_BYTES)
        .ok_or_else(|| Error::Corrupt(format!("the facts of {:?} are too large", facts.key.as_str())))?;
    let digest = Sha256::digest(&bytes);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&digest[..8]);
    bytes.extend_from_slice(MAGIC);
    Ok(bytes)
}

/// The facts at the end of a file; `None` when they are damaged or do not fit the file's size.
///
/// # Errors
/// [`Error::Io`] when the file cannot be read.
pub(crate) fn read(file: &File) -> Result<Option<Facts>> {
    let size = file.metadata().map_err(Error::io("read a file's size"))?.len();
    let Some(json_end) = size.checked_sub(FOOTER_BYTES) else {
        return Ok(None);
    };
    let mut footer = Footer::default();
    file.read_exact_at(&mut footer, json_end)
        .map_err(Error::io("read the facts of a file"))?;
    let (length, rest) = footer.split_at(4);
    let (digest, magic) = rest.split_at(8);
    let length = length
        .iter()
        .rev()
        .fold(0_u64, |length, byte| length << 8 | u64::from(*byte));
    if magic != MAGIC || length > json_end.min(MAX_JSON_BYTES) {
        return Ok(None);
    }
    let start = json_end - length;
    let mut json = vec![0; usize::try_from(length).unwrap_or_default()];
    file.read_exact_at(&mut json, start)
        .map_err(Error::io("read the facts of a file"))?;
    if Sha256::digest(&json)[..8] != *digest {
        return Ok(None);
    }
    let facts = std::str::from_utf8(&json)
        .ok()
        .and_then(|json| from_json::<Facts>(json).ok());
    Ok(facts.filter(|facts| facts.size_bytes == start))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn facts(size_bytes: u64) -> Facts {
        Facts {
            key: ObjectKey::new("a/b \u{1F600}\n.jpg").unwrap(),
            order: 7,
            size_bytes,
            etag: "e".to_owned(),
            md5: Some("m".to_owned()),
            modified_at: UnixMillis(1),
            attributes: Attributes {
                content_type: Some("image/jpeg".to_owned()),
                metadata: [("focus".to_owned(), "0.3,0.7".to_owned())].into(),
                ..Attributes::default()
            },
        }
    }

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn facts_are_read_as_they_were_written() {
        for body in [&b""[..], b"x", b"TINTYPE1", &[0; 5000]] {
            let facts = facts(body.len() as u64);
            let bytes = [body, &encode(&facts).unwrap()].concat();
            assert_eq!(read(&file(&bytes)).unwrap(), Some(facts));
        }
    }

    #[test]
    fn every_cut_and_every_changed_byte_of_them_is_noticed() {
        let body = b"body";
        let whole = [&body[..], &encode(&facts(4)).unwrap()].concat();
        for length in 0..whole.len() {
            assert_eq!(read(&file(&whole[..length])).unwrap(), None, "cut at {length}");
        }
        for at in body.len()..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert_eq!(read(&file(&changed)).unwrap(), None, "changed at {at}");
        }
        let longer = [&b"more "[..], &whole].concat();
        assert_eq!(read(&file(&longer)).unwrap(), None, "they fit one size only");
    }
}
