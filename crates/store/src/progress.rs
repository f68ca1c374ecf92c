//! The order in which the scrub reads files, and its place in it.

use rusqlite::{Connection, params};

use super::Result;
use super::row::{self, Bucket, Row};
use super::schema::{key_text, signed, unsigned};

/// The number of rows that are read at once.
const BATCH: i64 = 64;

/// The position of a pass over every file. Files are read in the order of their random names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    /// The last file that was read; empty before the first one.
    pub(crate) after: String,
    /// The time at which the pass began, by the time of day; 0 for never.
    pub(crate) began_at: u64,
    /// `true` when every file was read.
    pub(crate) is_done: bool,
}

impl Progress {
    /// # Errors
    /// Errors of SQLite.
    pub(crate) fn read(connection: &Connection) -> Result<Self> {
        let sql = "SELECT after, began_at, is_done FROM scrub";
        Ok(connection.query_row(sql, [], |row| {
            Ok(Self {
                after: row.get(0)?,
                began_at: unsigned(row.get(1)?),
                is_done: row.get(2)?,
            })
        })?)
    }

    /// # Errors
    /// Errors of SQLite.
    pub(crate) fn write(&self, connection: &Connection) -> Result<()> {
        connection
            .prepare_cached("UPDATE scrub SET after = ?1, began_at = ?2, is_done = ?3")?
            .execute(params![self.after, signed(self.began_at), self.is_done])?;
        Ok(())
    }
}

/// A file that a row names.
pub(crate) struct Next {
    pub(crate) file: String,
    /// The row; `None` when it names another file by now.
    pub(crate) found: Option<(Bucket, Row)>,
}

/// The files after this one, in the order of their names; a few at a time.
///
/// # Errors
/// Errors of SQLite, [`Error::Corrupt`](super::Error::Corrupt).
pub(crate) fn next(connection: &Connection, after: &str) -> Result<Vec<Next>> {
    let mut statement = connection
        .prepare_cached("SELECT file, bucket, key FROM objects WHERE file > ?1 ORDER BY file LIMIT ?2")?;
    let named = statement
        .query_map(params![after, BATCH], |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, i64>(1)?,
                row.get::<_, Vec<u8>>(2)?,
            ))
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let mut files = Vec::with_capacity(named.len());
    for (file, bucket, key) in named {
        let bucket = Bucket::from_number(bucket)?;
        let found = row::find(connection, bucket, &key_text(key)?)?;
        let found = found
            .filter(|row| row.file.as_str() == file)
            .map(|row| (bucket, row));
        files.push(Next { file, found });
    }
    Ok(files)
}
