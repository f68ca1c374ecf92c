use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};
use tintype_model::UnixMillis;

use super::file::{Files, Trash};
use super::lock::Lock;
use super::name::FileName;
use super::reader::Readers;
use super::row::Bucket;
use super::survey;
use super::writer::Writer;
use super::{Clock, Error, Result, damage, upgrade, upload};

/// The time from the beginning of a multipart upload until it is forgotten.
pub const UPLOAD_LIFETIME: Duration = Duration::from_hours(7 * 24);

/// The time between two collections that run by themselves.
const PERIOD: Duration = Duration::from_hours(1);

/// The collection that runs by itself leaves younger files alone, whatever the rows say of them.
const MIN_AGE: Duration = Duration::from_hours(1);

/// Drops renditions that no record names, and returns their files. Only while nothing is being processed: a set is
/// written before its record.
///
/// # Errors
/// Errors of SQLite.
pub(crate) fn drop_unpublished(connection: &Connection) -> Result<Vec<FileName>> {
    let mut statement = connection.prepare(
        "DELETE FROM objects WHERE bucket = ?1
         AND NOT EXISTS (SELECT 1 FROM published WHERE published.rendition = objects.key) RETURNING file",
    )?;
    let files = statement.query_map(params![Bucket::Renditions.number()], |row| {
        row.get::<_, String>(0)
    })?;
    let files = files
        .map(|file| FileName::parse(&file?))
        .collect::<Result<Vec<_>>>()?;
    for file in &files {
        damage::clear(connection, file)?;
    }
    Ok(files)
}

/// Drops expired uploads, and returns the files of their parts.
///
/// # Errors
/// Errors of SQLite.
pub(crate) fn drop_expired(connection: &Connection, now: UnixMillis) -> Result<Vec<FileName>> {
    let lifetime = u64::try_from(UPLOAD_LIFETIME.as_millis()).unwrap_or(u64::MAX);
    upload::drop_older(connection, UnixMillis(now.0.saturating_sub(lifetime)))
}

/// The parts of a store that the collection works with.
#[derive(Clone, Debug)]
pub(crate) struct Collector {
    pub(crate) files: Arc<Files>,
    pub(crate) readers: Arc<Readers>,
    pub(crate) writer: Arc<Writer>,
    pub(crate) clock: Clock,
    /// One collection at a time: the rows that one has read would be out of date for the other.
    pub(crate) turn: Arc<Mutex<()>>,
    /// The lock of the folder, which is kept while this runs.
    pub(crate) _lock: Arc<Lock>,
}

impl Collector {
    /// Drops expired uploads, then removes files that are at least `min_age` old and that cannot be sources, or that
    /// this database named and names no more. Returns the number of files that it removed.
    ///
    /// # Errors
    /// Errors of SQLite or of the file system.
    pub(crate) fn collect(&self, min_age: Duration) -> Result<usize> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.wall();
        let dropped = self.writer.submit(move |connection, effects| {
            for file in drop_expired(connection, now)? {
                effects.drop_file(connection, file)?;
            }
            Ok(())
        });
        dropped.blocking_recv().unwrap_or(Err(Error::Closed))?;
        let mut removed = self.empty_trash()?;
        for first in 0..=u8::MAX {
            let listed = survey::list(&self.files, first, min_age)?;
            if listed.is_empty() {
                continue;
            }
            // The rows are read after the folder, so that a row that was committed meanwhile is among them.
            let found = self
                .readers
                .submit(move |connection| survey::compare(connection, listed));
            let found = found.blocking_recv().unwrap_or(Err(Error::Closed))?;
            for name in &found.unknown {
                tracing::error!(
                    file = name.as_str(),
                    "a file may be an upload and is in no row: it stays; `tintype verify` tells more"
                );
            }
            removed += found.remove_garbage(&self.files);
        }
        Ok(removed)
    }

    fn empty_trash(&self) -> Result<usize> {
        let trash = self.readers.submit(|connection| survey::trash(connection));
        let trash = trash.blocking_recv().unwrap_or(Err(Error::Closed))?;
        let Some(removed) = survey::empty_trash(&self.files, &trash)? else {
            return Ok(0);
        };
        if !trash.is_empty() {
            let forgotten = self
                .writer
                .submit(move |connection, _| survey::forget(connection, &trash));
            forgotten.blocking_recv().unwrap_or(Err(Error::Closed))?;
        }
        Ok(removed)
    }
}

/// The thread that removes files, and collects now and then.
#[derive(Debug)]
pub(crate) struct Maintenance {
    trash: mpsc::Sender<Trash>,
    thread: Option<JoinHandle<()>>,
}

impl Maintenance {
    /// Starts the thread.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(
        collector: Collector,
        trash: mpsc::Sender<Trash>,
        arriving: mpsc::Receiver<Trash>,
    ) -> Result<Self> {
        let thread = std::thread::Builder::new()
            .name("store-maintenance".to_owned())
            .spawn(move || maintain(&collector, &arriving))
            .map_err(Error::io("start a thread"))?;
        Ok(Self {
            trash,
            thread: Some(thread),
        })
    }
}

fn maintain(collector: &Collector, arriving: &mpsc::Receiver<Trash>) {
    let mut collected_at = Instant::now();
    let mut upgrade = upgrade::Upgrade::default();
    loop {
        // Old files get their facts while there is nothing else to do.
        let wait = if upgrade.is_done() {
            PERIOD.saturating_sub(collected_at.elapsed())
        } else {
            Duration::ZERO
        };
        match arriving.recv_timeout(wait) {
            Ok(Trash::File(name)) => collector.files.remove_now(&name),
            Ok(Trash::Staged(path)) => {
                collector.files.remove_path(&path);
            }
            Ok(Trash::Stop) | Err(mpsc::RecvTimeoutError::Disconnected) => return,
            Err(mpsc::RecvTimeoutError::Timeout) if !upgrade.is_done() => upgrade.step(collector),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                match collector.collect(MIN_AGE) {
                    Ok(0) => {}
                    Ok(removed) => tracing::info!(removed, "collected files that no row names"),
                    Err(error) => tracing::warn!(%error, "could not collect files that no row names"),
                }
                collected_at = Instant::now();
            }
        }
    }
}

impl Drop for Maintenance {
    /// Waits until the files that were given to it are removed.
    fn drop(&mut self) {
        let _ = self.trash.send(Trash::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
