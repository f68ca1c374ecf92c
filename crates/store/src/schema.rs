use std::path::Path;

use rusqlite::{Connection, OpenFlags, params};

use super::{Error, Result};

/// "Tint" in ASCII, by which `file` and other tools recognise the database.
const APPLICATION_ID: i64 = 0x5469_6E74;

/// One script per version of the schema: script `n` makes version `n + 1` out of version `n`.
const MIGRATIONS: &[&str] = &["
-- Numbers that are given out once. `sequencer` orders the writes and deletes of sources, `lease` tells the claims of
-- a job apart.
CREATE TABLE counters (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counters VALUES ('sequencer', 0), ('lease', 0);

-- Objects of both buckets. The row is the truth, the file holds the bytes and is never changed once a row names it.
-- Keys are blobs: they compare as bytes, and may contain any character.
CREATE TABLE objects (
    bucket      INTEGER NOT NULL CHECK (bucket IN (0, 1)),  -- 0 sources, 1 renditions
    key         BLOB    NOT NULL,
    file        TEXT    NOT NULL,
    size        INTEGER NOT NULL,                           -- bytes
    etag        TEXT    NOT NULL,                           -- without quotes
    sequencer   INTEGER NOT NULL,                           -- 0 for renditions
    modified_at INTEGER NOT NULL,                           -- milliseconds since 1970
    attributes  TEXT    NOT NULL,                           -- JSON of store::Attributes
    PRIMARY KEY (bucket, key)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX objects_file ON objects (file);

-- One record per key, tombstones included.
CREATE TABLE records (
    key        BLOB PRIMARY KEY,
    work_order TEXT NOT NULL,                               -- model::Order in the form that sorts
    status     TEXT NOT NULL,                               -- model::Status::name
    record     TEXT NOT NULL                                -- JSON of model::Record
) STRICT;
CREATE INDEX records_status ON records (status, key);

-- Which renditions are published: what no row names here is garbage.
CREATE TABLE published (
    rendition BLOB NOT NULL,                                -- objects.key in bucket 1
    key       BLOB NOT NULL REFERENCES records (key),
    PRIMARY KEY (key, rendition)
) STRICT, WITHOUT ROWID;
CREATE INDEX published_rendition ON published (rendition);

-- Work to do, leased work and dead letters.
CREATE TABLE jobs (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    key         BLOB    NOT NULL,
    job         TEXT    NOT NULL,                           -- JSON of model::Job
    state       TEXT    NOT NULL CHECK (state IN ('ready', 'leased', 'dead')),
    due_at      INTEGER NOT NULL,                           -- ready: not before; leased: until; dead: since
    delay       INTEGER NOT NULL DEFAULT 0,                 -- ready: milliseconds from when it was put back to due_at
    attempts    INTEGER NOT NULL DEFAULT 0,                 -- deliveries so far
    lease       INTEGER NOT NULL DEFAULT 0,                 -- the newest claim, from counters
    error       TEXT,                                       -- of the last attempt
    enqueued_at INTEGER NOT NULL
) STRICT;
CREATE INDEX jobs_due ON jobs (due_at, id) WHERE state <> 'dead';
CREATE INDEX jobs_leased ON jobs (key) WHERE state = 'leased';
CREATE INDEX jobs_dead ON jobs (id) WHERE state = 'dead';

-- Multipart uploads. One that is completed stays for a while, so that a repeated completion can be answered.
CREATE TABLE uploads (
    id           TEXT PRIMARY KEY,
    key          BLOB    NOT NULL,
    attributes   TEXT    NOT NULL,                          -- JSON of store::Attributes
    initiated_at INTEGER NOT NULL,
    completed    INTEGER                                    -- sequencer of the object that was made of it
) STRICT, WITHOUT ROWID;
CREATE INDEX uploads_key ON uploads (key, id) WHERE completed IS NULL;
CREATE TABLE parts (
    upload      TEXT    NOT NULL REFERENCES uploads (id),
    number      INTEGER NOT NULL,
    file        TEXT    NOT NULL,
    size        INTEGER NOT NULL,
    etag        TEXT    NOT NULL,
    modified_at INTEGER NOT NULL,
    checksums   TEXT    NOT NULL,                           -- JSON object
    PRIMARY KEY (upload, number)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX parts_file ON parts (file);
",
"
-- Which keys have the same bytes. An index over an expression needs no column that every writer has to fill, and has
-- the records that are there already.
CREATE INDEX records_sha256 ON records (json_extract(record, '$.source.sha256'), key);
",
"
-- Files that this database named and names no more. Only what is listed here, or is no source by its name, is ever
-- collected; the line goes when the file is gone for good.
CREATE TABLE trash (
    file TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- How often the process ended while it had the job, and since when the job has been failing, on the steady clock.
ALTER TABLE jobs ADD COLUMN crashes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN failing_since INTEGER;
",
"
-- Files whose bytes are not those that were stored. Those that are altered are not given out.
CREATE TABLE damaged (
    file     TEXT PRIMARY KEY,
    fault    TEXT    NOT NULL,                              -- store::Fault::name
    found_at INTEGER NOT NULL                               -- milliseconds since 1970
) STRICT, WITHOUT ROWID;

-- How far the scrub is that reads every file in the order of the names.
CREATE TABLE scrub (
    after    TEXT    NOT NULL,                              -- the last file that was read
    began_at INTEGER NOT NULL,                              -- milliseconds since 1970
    is_done  INTEGER NOT NULL
) STRICT;
INSERT INTO scrub VALUES ('', 0, 0);

-- Work on one key.
CREATE INDEX jobs_key ON jobs (key);
"];

/// The first version whose files carry their facts.
pub(crate) const WITH_FACTS: i64 = 3;

/// Opens the connection that writes, and brings the schema up to date. Returns the version that it had; 0 when there
/// was none.
///
/// # Errors
/// [`Error::TooNew`], or errors of SQLite.
pub(crate) fn open_writer(path: &Path) -> Result<(Connection, i64)> {
    let mut connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    configure(&connection)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // An acknowledged upload survives a power cut: NORMAL may lose committed transactions in WAL mode.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    let found = migrate(&mut connection)?;
    Ok((connection, found))
}

/// A database in memory, without rows.
///
/// # Errors
/// Errors of SQLite.
pub(crate) fn empty() -> Result<Connection> {
    let mut connection = Connection::open_in_memory()?;
    migrate(&mut connection)?;
    Ok(connection)
}

/// Opens a connection that reads.
///
/// # Errors
/// Errors of SQLite.
pub(crate) fn open_reader(path: &Path) -> Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    configure(&connection)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn configure(connection: &Connection) -> Result<()> {
    // Nobody but this process writes, except a person with the `sqlite3` tool.
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// The version of a database; 0 for a new one.
///
/// # Errors
/// [`Error::TooNew`], errors of SQLite.
pub(crate) fn version(connection: &Connection) -> Result<i64> {
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        return Err(Error::TooNew { found, known });
    }
    Ok(found)
}

fn migrate(connection: &mut Connection) -> Result<i64> {
    let found = version(connection)?;
    for (number, script) in (1_i64..).zip(MIGRATIONS).filter(|(number, _)| *number > found) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(script)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(found)
}

/// The next number of a counter.
///
/// # Errors
/// Errors of SQLite.
pub(crate) fn count(connection: &Connection, name: &str) -> Result<i64> {
    let mut statement =
        connection.prepare_cached("UPDATE counters SET value = value + 1 WHERE name = ?1 RETURNING value")?;
    Ok(statement.query_row(params![name], |row| row.get(0))?)
}

/// The next sequencer: higher than all before it and not lower than `order`, which an upload's file carries.
///
/// # Errors
/// Errors of SQLite.
pub(crate) fn next_sequencer(connection: &Connection, order: u64) -> Result<u64> {
    let mut statement = connection.prepare_cached(
        "UPDATE counters SET value = max(value + 1, ?1) WHERE name = 'sequencer' RETURNING value",
    )?;
    Ok(unsigned(
        statement.query_row(params![signed(order)], |row| row.get(0))?,
    ))
}

/// The highest sequencer that was given out.
///
/// # Errors
/// Errors of SQLite.
pub(crate) fn last_sequencer(connection: &Connection) -> Result<u64> {
    let sql = "SELECT value FROM counters WHERE name = 'sequencer'";
    Ok(unsigned(connection.query_row(sql, [], |row| row.get(0))?))
}

/// A number for SQLite, which has signed integers only.
///
/// # Panics
/// Above 2⁶³ − 1: sizes and milliseconds stay below.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).expect("sizes and times stay below 2^63")
}

/// A number from SQLite that was stored by [`signed`].
pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// JSON of a value that is stored.
///
/// # Panics
/// Never for the types of this module: they have string keys and no failing `Serialize`.
pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("stored types serialize")
}

/// A value from its stored JSON.
///
/// # Errors
/// [`Error::Corrupt`].
pub(crate) fn from_json<T: serde::de::DeserializeOwned>(json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|error| Error::Corrupt(format!("stored JSON: {error}")))
}

/// A stored key.
///
/// # Errors
/// [`Error::Corrupt`].
pub(crate) fn key_text(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|error| Error::Corrupt(format!("stored key: {error}")))
}
