use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Arc, OnceLock, mpsc};
use std::thread::available_parallelism;

use rusqlite::{Connection, params};
use tokio::sync::Notify;

use super::cache::RecordCache;
use super::damage::{self, Damages};
use super::file::{Files, sync_folder};
use super::garbage::{self, Collector, Maintenance};
use super::hold::Removals;
use super::lock::{self, Lock};
use super::multipart::Completions;
use super::name::{EntryName, FileName, Kind};
use super::progress::Progress;
use super::reader::Readers;
use super::scrub::{Scrub, Scrubber};
use super::survey::{self, Found};
use super::writer::{After, Writer};
use super::{Clock, Error, Inner, Result, Store, facts, queue, schema};

/// Name of the database in the data folder.
pub(crate) const DATABASE: &str = "tintype.db";

/// Name of the folder of files in the data folder.
pub(crate) const OBJECTS: &str = "objects";

/// Makes the data folder if there is none, and locks it.
///
/// # Errors
/// [`Error::Locked`], [`Error::Io`].
pub(crate) fn enter(data: &Path) -> Result<Arc<Lock>> {
    let is_new = !data.exists();
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data)
        .map_err(Error::io("create the data folder"))?;
    if is_new && let Some(parent) = data.canonicalize().ok().as_deref().and_then(Path::parent) {
        sync_folder(parent)?;
    }
    Ok(Arc::new(lock::acquire(data)?))
}

/// The connection that writes, and the version that the database was of; 0 when there was none.
///
/// # Errors
/// [`Error::TooNew`], [`Error::Io`], errors of SQLite.
pub(crate) fn open_database(data: &Path) -> Result<(Connection, i64)> {
    let database = data.join(DATABASE);
    // SQLite gives its other files the mode of this one.
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&database)
        .map_err(Error::io("create the database"))?;
    schema::open_writer(&database)
}

/// The work of [`Store::open_with_clock`].
pub(crate) fn open(data: &Path, clock: Clock) -> Result<Store> {
    let lock = enter(data)?;
    let (trash, arriving) = mpsc::channel();
    let (messages, reports) = mpsc::channel();
    let files = Arc::new(Files::open(
        data.join(OBJECTS),
        Removals::open(data)?,
        Damages::new(messages.clone()),
        trash.clone(),
    )?);
    // This check comes before any change.
    if is_missing(data)? {
        let found = survey::everything(&schema::empty()?, &files)?;
        // Without a database there is nothing to tell which uploads were acknowledged.
        refuse(data, &files, found.unknown.iter().chain(&found.staged))?;
    }
    let (connection, version) = open_database(data)?;
    sync_folder(data)?;
    let found = survey::everything(&connection, &files)?;
    // A release without facts left unnamed files behind when it was killed.
    let is_older = (1..schema::WITH_FACTS).contains(&version);
    let known_well = found
        .unknown
        .iter()
        .filter(|name| !(is_older && name.kind() == Kind::Legacy));
    refuse(data, &files, known_well)?;
    // Without it the jobs come back when their leases end.
    let jobs = unless_full(
        queue::recover(&connection, clock.steady()),
        "the jobs in hand are taken up later",
    )?;
    let jobs = jobs.unwrap_or(0);
    let removed = tidy(&connection, data, &files, found, &clock)?;
    if jobs + removed > 0 {
        tracing::info!(jobs, files = removed, "cleaned up after the last run");
    }
    files.note_order(schema::last_sequencer(&connection)?);
    let damaged = damage::written_down(&connection)?;
    for damage in &damaged {
        files.damages().remember(damage.clone());
    }
    let progress = Progress::read(&connection)?;

    let due = Arc::new(Notify::new());
    let records = Arc::new(RecordCache::default());
    let after = After {
        files: files.clone(),
        records: records.clone(),
        due: due.clone(),
    };
    let writer = Arc::new(Writer::start(connection, after)?);
    let threads = available_parallelism().map_or(4, |cores| (cores.get() * 2).clamp(4, 16));
    let readers = Arc::new(Readers::start(&data.join(DATABASE), threads)?);
    let collector = Collector {
        files: files.clone(),
        readers: readers.clone(),
        writer: writer.clone(),
        clock: clock.clone(),
        turn: Arc::default(),
        _lock: lock.clone(),
    };
    let scrubber = Scrubber {
        files: files.clone(),
        readers: readers.clone(),
        writer: writer.clone(),
        clock: clock.clone(),
        _lock: lock.clone(),
    };
    Ok(Store {
        inner: Arc::new(Inner {
            scrub: Scrub::start(scrubber, messages, reports, damaged, progress)?,
            _maintenance: Maintenance::start(collector.clone(), trash, arriving)?,
            collector,
            writer,
            readers,
            files,
            records,
            completions: Completions::default(),
            due,
            clock,
            make_room: OnceLock::new(),
            _lock: lock,
        }),
    })
}

/// Tells whether there is no database, or one without a single page.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn is_missing(data: &Path) -> Result<bool> {
    match data.join(DATABASE).metadata() {
        Ok(metadata) => Ok(metadata.len() == 0),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(Error::io("look at the database")(error)),
    }
}

/// Refuses to start when there are such files.
fn refuse<'a>(data: &Path, files: &Files, lost: impl Iterator<Item = &'a FileName>) -> Result<()> {
    let lost: Vec<&FileName> = lost.collect();
    if lost.is_empty() {
        return Ok(());
    }
    let key = |name: &&FileName| {
        let file = files.open_named(name).ok()?;
        Some(facts::read(&file).ok()??.key.as_str().to_owned())
    };
    Err(Error::UnknownFiles {
        folder: data.to_owned(),
        count: lost.len(),
        example: lost.iter().find_map(key),
    })
}

/// Removes the unfinished files of the last run, and sets aside those that may be uploads; returns the number of files
/// that were removed.
fn tidy(connection: &Connection, data: &Path, files: &Files, found: Found, clock: &Clock) -> Result<usize> {
    found.name_committed(files)?;
    let staged = found.staged.iter().map(|name| files.staged_path(name));
    let unknown = found.unknown.iter().map(|name| files.path(name));
    let aside = survey::set_aside(data, staged.chain(unknown))?;
    if aside > 0 {
        tracing::warn!(
            files = aside,
            "moved uploads that were never acknowledged to lost+found, which nothing else looks into"
        );
    }
    let dropped = unless_full(
        drop_unneeded(connection, clock),
        "rows of unfinished work are dropped by the next start",
    )?;
    let Some((dropped, trash)) = dropped else {
        return Ok(found.remove_garbage(files));
    };
    let garbage = dropped.into_iter().filter(|name| name.kind() != Kind::Legacy);
    let found = Found {
        garbage: garbage.map(EntryName::Whole).chain(found.garbage).collect(),
        ..Found::default()
    };
    let removed = found.remove_garbage(files);
    let Some(emptied) = survey::empty_trash(files, &trash)? else {
        return Ok(removed);
    };
    // The rows name files that are gone, and the next collection forgets them.
    unless_full(
        forget(connection, &trash),
        "which files were removed is forgotten later",
    )?;
    Ok(removed + emptied)
}

/// Drops the rows of renditions that were never published and of uploads that expired. Returns the files that they
/// named, and the files in the trash.
fn drop_unneeded(connection: &Connection, clock: &Clock) -> Result<(Vec<FileName>, Vec<FileName>)> {
    let transaction = connection.unchecked_transaction()?;
    let mut dropped = garbage::drop_unpublished(&transaction)?;
    dropped.extend(garbage::drop_expired(&transaction, clock.wall())?);
    for name in dropped.iter().filter(|name| name.kind() == Kind::Legacy) {
        transaction.execute(
            "INSERT OR IGNORE INTO trash (file) VALUES (?1)",
            params![name.as_str()],
        )?;
    }
    let trash = survey::trash(&transaction)?;
    transaction.commit()?;
    Ok((dropped, trash))
}

fn forget(connection: &Connection, trash: &[FileName]) -> Result<()> {
    let transaction = connection.unchecked_transaction()?;
    survey::forget(&transaction, trash)?;
    Ok(transaction.commit()?)
}

/// The result; `None` when the disk is full, which must not stop the start. `later` says in the log when the work is
/// done instead.
fn unless_full<T>(result: Result<T>, later: &str) -> Result<Option<T>> {
    match result {
        Ok(done) => Ok(Some(done)),
        Err(Error::Full(_)) => {
            tracing::warn!("the disk is full: {later}");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
