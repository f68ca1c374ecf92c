use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, params};
use tintype_model::{ObjectKey, Sequencer, UnixMillis};

use super::name::FileName;
use super::row::{Attributes, after_key, after_prefix, listed_key};
use super::schema::{from_json, signed, unsigned};
use super::{Error, Result};

/// Smallest part but the last, in bytes (Amazon S3 user guide, "Multipart upload limits").
pub const MIN_PART_BYTES: u64 = 5 << 20;

/// Highest part number; the lowest is 1.
pub const MAX_PART_NUMBER: u32 = 10_000;

/// A multipart upload in progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Key of the future object.
    pub key: ObjectKey,
    /// Its name.
    pub upload_id: String,
    /// The time at which it was begun.
    pub initiated_at: UnixMillis,
    /// Attributes of the future object.
    pub attributes: Attributes,
}

/// A part that was uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its number, 1 to [`MAX_PART_NUMBER`].
    pub number: u32,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// MD5 of its bytes in hexadecimal.
    pub etag: String,
    /// The time at which it was written.
    pub modified_at: UnixMillis,
    /// Checksums by algorithm, as they were given.
    pub checksums: BTreeMap<String, String>,
}

/// A page of the parts of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartsPage {
    /// The upload.
    pub upload: Upload,
    /// The parts in ascending order of their numbers.
    pub parts: Vec<Part>,
    /// The last number of this page when more follow.
    pub next: Option<u32>,
}

/// The place at which a listing of uploads continues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadMarker {
    /// The last key; uploads of later keys follow.
    pub key: String,
    /// The last name of that key, whose later names follow as well; `None` when the key has no more.
    pub upload_id: Option<String>,
}

/// A page of uploads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadPage {
    /// The uploads in ascending order of their keys, then of their names.
    pub uploads: Vec<Upload>,
    /// The last one of this page when more follow.
    pub next: Option<UploadMarker>,
}

/// A part with the file that holds it.
#[derive(Clone, Debug)]
pub(crate) struct PartRow {
    pub(crate) part: Part,
    pub(crate) file: FileName,
}

/// An upload of that key, with the sequencer of the object that it was completed to.
///
/// # Errors
/// [`Error::NoSuchUpload`], errors of SQLite.
pub(crate) fn find(
    connection: &Connection,
    key: &ObjectKey,
    upload_id: &str,
) -> Result<(Upload, Option<Sequencer>)> {
    let found = connection
        .prepare_cached(
            "SELECT key, id, initiated_at, attributes, completed FROM uploads WHERE id = ?1 AND key = ?2",
        )?
        .query_row(params![upload_id, key.as_str().as_bytes()], |row| {
            Ok((upload(row), row.get::<_, Option<i64>>(4)?))
        })
        .optional()?;
    let (upload, completed) = found.ok_or(Error::NoSuchUpload)?;
    let completed = completed.map(|count| Sequencer::from_counter(unsigned(count)));
    Ok((upload?, completed))
}

/// An upload of that key that is not completed.
///
/// # Errors
/// [`Error::NoSuchUpload`], errors of SQLite.
pub(crate) fn find_open(connection: &Connection, key: &ObjectKey, upload_id: &str) -> Result<Upload> {
    match find(connection, key, upload_id)? {
        (upload, None) => Ok(upload),
        (_, Some(_)) => Err(Error::NoSuchUpload),
    }
}

fn upload(row: &Row<'_>) -> Result<Upload> {
    Ok(Upload {
        key: ObjectKey::new(listed_key(row, 0)?)?,
        upload_id: row.get(1)?,
        initiated_at: UnixMillis(unsigned(row.get(2)?)),
        attributes: from_json(row.get_ref(3)?.as_str().map_err(rusqlite::Error::from)?)?,
    })
}

/// At most `limit` parts with higher numbers than `after`.
///
/// # Errors
/// Errors of SQLite.
pub(crate) fn parts(
    connection: &Connection,
    upload_id: &str,
    after: u32,
    limit: usize,
) -> Result<Vec<PartRow>> {
    let mut statement = connection.prepare_cached(
        "SELECT number, file, size, etag, modified_at, checksums FROM parts
         WHERE upload = ?1 AND number > ?2 ORDER BY number LIMIT ?3",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![upload_id, after, limit])?;
    let mut parts = Vec::new();
    while let Some(row) = rows.next()? {
        parts.push(PartRow {
            part: Part {
                number: row.get(0)?,
                size_bytes: unsigned(row.get(2)?),
                etag: row.get(3)?,
                modified_at: UnixMillis(unsigned(row.get(4)?)),
                checksums: from_json(row.get_ref(5)?.as_str().map_err(rusqlite::Error::from)?)?,
            },
            file: FileName::parse(row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?)?,
        });
    }
    Ok(parts)
}

/// Lists the uploads in progress.
///
/// # Errors
/// Errors of SQLite.
pub(crate) fn list(
    connection: &Connection,
    prefix: &str,
    after: Option<&UploadMarker>,
    limit: usize,
) -> Result<UploadPage> {
    let mut statement = connection.prepare_cached(
        "SELECT key, id, initiated_at, attributes FROM uploads
         WHERE completed IS NULL AND (key, id) > (?1, ?2) AND key >= ?3 AND key < ?4
         ORDER BY key, id LIMIT ?5",
    )?;
    let (key, id) = match after {
        None => (Vec::new(), ""),
        Some(UploadMarker {
            key,
            upload_id: Some(id),
        }) => (key.as_bytes().to_vec(), id.as_str()),
        // No name is empty, so that this stands before the first upload of the next key.
        Some(UploadMarker { key, upload_id: None }) => (after_key(key), ""),
    };
    let rows = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let mut rows = statement.query(params![key, id, prefix.as_bytes(), after_prefix(prefix), rows])?;
    let mut uploads: Vec<Upload> = Vec::new();
    let mut truncated = false;
    while let Some(row) = rows.next()? {
        if uploads.len() == limit {
            truncated = true;
            break;
        }
        uploads.push(upload(row)?);
    }
    Ok(UploadPage {
        next: uploads.last().filter(|_| truncated).map(|last| UploadMarker {
            key: last.key.as_str().to_owned(),
            upload_id: Some(last.upload_id.clone()),
        }),
        uploads,
    })
}

/// Drops the parts of an upload, and returns their files.
///
/// # Errors
/// Errors of SQLite.
pub(crate) fn drop_parts(connection: &Connection, upload_id: &str) -> Result<Vec<FileName>> {
    let mut statement = connection.prepare_cached("DELETE FROM parts WHERE upload = ?1 RETURNING file")?;
    let mut rows = statement.query(params![upload_id])?;
    let mut files = Vec::new();
    while let Some(row) = rows.next()? {
        files.push(FileName::parse(
            row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?,
        )?);
    }
    Ok(files)
}

/// Drops every upload that was begun before `limit`, completed ones too, and returns the files of its parts.
///
/// # Errors
/// Errors of SQLite.
pub(crate) fn drop_older(connection: &Connection, limit: UnixMillis) -> Result<Vec<FileName>> {
    let mut statement = connection.prepare_cached("SELECT id FROM uploads WHERE initiated_at < ?1")?;
    let ids: Vec<String> = statement
        .query_map(params![signed(limit.0)], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut files = Vec::new();
    for id in ids {
        files.extend(drop_parts(connection, &id)?);
        connection
            .prepare_cached("DELETE FROM uploads WHERE id = ?1")?
            .execute(params![id])?;
    }
    Ok(files)
}
