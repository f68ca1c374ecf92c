//! Reads the rows of a damaged database that can still be read.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, params};
use tintype_model::{ObjectKey, Record, Status, UnixMillis};

use super::facts::Facts;
use super::name::FileName;
use super::open::{DATABASE, is_missing};
use super::row::Bucket;
use super::schema::{self, from_json, key_text, unsigned};
use super::{Error, Result};

/// The state that a database was found in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseState {
    /// Whole, by SQLite's own check. It may be older than the files.
    Whole,
    /// Absent or empty.
    Missing,
    /// Damaged, with the first finding of SQLite's check.
    Damaged(String),
}

/// Checks every page of the database of a data folder that is not in use.
///
/// # Errors
/// [`Error::TooNew`]; [`Error::Io`] when the system does not let it be read.
pub(crate) fn examine(data: &Path) -> Result<DatabaseState> {
    let path = data.join(DATABASE);
    if is_missing(data)? {
        return Ok(DatabaseState::Missing);
    }
    match check(&path) {
        Ok(state) => Ok(state),
        Err(error @ Error::TooNew { .. }) => Err(error),
        Err(error) => Ok(DatabaseState::Damaged(tintype_model::error_chain(&error))),
    }
}

fn check(path: &Path) -> Result<DatabaseState> {
    let connection = open(path)?;
    let found = schema::version(&connection)?;
    if found == 0 {
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if tables == 0 {
            return Ok(DatabaseState::Missing);
        }
    }
    let verdict: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Ok(DatabaseState::Damaged(verdict.replace('\n', " ")));
    }
    Ok(DatabaseState::Whole)
}

/// A connection that makes no database where there is none.
///
/// # Errors
/// Errors of SQLite.
pub(crate) fn open(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    Ok(connection)
}

/// The content of a damaged database, as far as it could be read. Everything in it may be incomplete.
#[derive(Debug, Default)]
pub(crate) struct Salvaged {
    /// Sources by their keys.
    pub(crate) sources: BTreeMap<Vec<u8>, (FileName, Facts)>,
    /// Records of deleted sources.
    pub(crate) tombstones: Vec<Record>,
    /// Files that the database named and named no more.
    pub(crate) trash: Vec<FileName>,
    /// The highest sequencer that was given out, as far as it could be read.
    pub(crate) sequencer: u64,
}

/// Reads a damaged database from both ends of each table, up to the damage.
pub(crate) fn salvage(data: &Path) -> Salvaged {
    let mut salvaged = Salvaged::default();
    let Ok(connection) = open(&data.join(DATABASE)) else {
        return salvaged;
    };
    for direction in ["ASC", "DESC"] {
        // An error here is the damage itself.
        let _ = sources(&connection, direction, &mut salvaged);
        let _ = tombstones(&connection, direction, &mut salvaged);
    }
    salvaged.sequencer = schema::last_sequencer(&connection).unwrap_or_default();
    salvaged.trash = super::survey::trash(&connection).unwrap_or_default();
    salvaged
}

fn sources(connection: &Connection, direction: &str, salvaged: &mut Salvaged) -> Result<()> {
    let mut statement = connection.prepare(&format!(
        "SELECT key, file, size, etag, sequencer, modified_at, attributes FROM objects
         WHERE bucket = ?1 ORDER BY key {direction}"
    ))?;
    let mut rows = statement.query(params![Bucket::Sources.number()])?;
    while let Some(row) = rows.next()? {
        let read = || -> Result<(Vec<u8>, FileName, Facts)> {
            let key: Vec<u8> = row.get(0)?;
            let facts = Facts {
                key: ObjectKey::new(key_text(key.clone())?)?,
                order: unsigned(row.get(4)?),
                size_bytes: unsigned(row.get(2)?),
                etag: row.get(3)?,
                md5: None,
                modified_at: UnixMillis(unsigned(row.get(5)?)),
                attributes: from_json(row.get_ref(6)?.as_str().map_err(rusqlite::Error::from)?)?,
            };
            let file = FileName::parse(row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?)?;
            Ok((key, file, facts))
        };
        if let Ok((key, file, facts)) = read() {
            salvaged.sources.insert(key, (file, facts));
        }
    }
    Ok(())
}

fn tombstones(connection: &Connection, direction: &str, salvaged: &mut Salvaged) -> Result<()> {
    let mut statement =
        connection.prepare(&format!("SELECT record FROM records ORDER BY rowid {direction}"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let record = row
            .get_ref(0)?
            .as_str()
            .ok()
            .and_then(|json| from_json::<Record>(json).ok());
        salvaged
            .tombstones
            .extend(record.filter(|record| record.status == Status::Deleted));
    }
    Ok(())
}
