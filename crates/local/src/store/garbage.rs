use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use rusqlite::{Connection, params};
use tintype_model::UnixMillis;

use super::file::{FileName, Files, Trash};
use super::lock::Lock;
use super::reader::Readers;
use super::row::Bucket;
use super::writer::Writer;
use super::{Clock, Error, Result, upload};

/// How long a multipart upload may take.
pub const UPLOAD_LIFETIME: Duration = Duration::from_hours(7 * 24);

/// How often the collection runs by itself.
const PERIOD: Duration = Duration::from_hours(1);

/// The collection that runs by itself leaves younger files alone, whatever the books say of them.
const MIN_AGE: Duration = Duration::from_hours(1);

/// Drops renditions that no record names. Only while nothing is being processed: a set is written before its record.
///
/// Their files are left to [`collect`].
///
/// # Errors
/// What SQLite says.
pub(crate) fn drop_unpublished(connection: &Connection) -> Result<usize> {
    Ok(connection.execute(
        "DELETE FROM objects WHERE bucket = ?1
         AND NOT EXISTS (SELECT 1 FROM published WHERE published.rendition = objects.key)",
        params![Bucket::Renditions.number()],
    )?)
}

/// What the collection works with.
#[derive(Clone, Debug)]
pub(crate) struct Collector {
    pub(crate) files: Arc<Files>,
    pub(crate) readers: Arc<Readers>,
    pub(crate) writer: Arc<Writer>,
    pub(crate) clock: Clock,
    /// Nobody else may use the folder while this runs.
    pub(crate) _lock: Arc<Lock>,
}

impl Collector {
    /// Drops expired uploads, then removes files that are at least `min_age` old and that no row names. Answers how
    /// many files it removed.
    ///
    /// # Errors
    /// What SQLite or the file system says.
    pub(crate) fn collect(&self, min_age: Duration) -> Result<usize> {
        let lifetime = u64::try_from(UPLOAD_LIFETIME.as_millis()).unwrap_or(u64::MAX);
        let limit = UnixMillis(self.clock.wall().0.saturating_sub(lifetime));
        let dropped = self.writer.submit(move |connection, effects| {
            effects.removed.extend(upload::drop_older(connection, limit)?);
            Ok(())
        });
        dropped.blocking_recv().unwrap_or(Err(Error::Closed))?;
        let mut removed = 0;
        for first in 0..=u8::MAX {
            let candidates = candidates(&self.files, first, min_age)?;
            if candidates.is_empty() {
                continue;
            }
            // The books are read after the folder, so that a file whose row was committed meanwhile is found in them.
            let unnamed = self
                .readers
                .submit(move |connection| unnamed(connection, candidates));
            for name in unnamed.blocking_recv().unwrap_or(Err(Error::Closed))? {
                self.files.remove_now(&name);
                removed += 1;
            }
        }
        Ok(removed)
    }
}

/// Files that may be garbage: nobody writes them or waits for the commit of their row.
fn candidates(files: &Files, first: u8, min_age: Duration) -> Result<Vec<FileName>> {
    let listed = std::fs::read_dir(files.fan_out(first)).map_err(Error::io("list a folder"))?;
    let mut candidates = Vec::new();
    for entry in listed {
        let entry = entry.map_err(Error::io("list a folder"))?;
        // What has another name was not put here by a store.
        let Some(name) = entry
            .file_name()
            .into_string()
            .ok()
            .and_then(|name| FileName::parse(name).ok())
        else {
            continue;
        };
        if !files.is_in_flight(&name) && is_older(&entry.path(), min_age) {
            candidates.push(name);
        }
    }
    Ok(candidates)
}

fn is_older(path: &Path, min_age: Duration) -> bool {
    if min_age.is_zero() {
        return true;
    }
    // A file without a date is left for the next start.
    let modified = path.metadata().and_then(|metadata| metadata.modified());
    modified.is_ok_and(|modified| {
        SystemTime::now()
            .duration_since(modified)
            .is_ok_and(|age| age >= min_age)
    })
}

fn unnamed(connection: &Connection, candidates: Vec<FileName>) -> Result<Vec<FileName>> {
    let mut named = connection.prepare_cached(
        "SELECT 1 FROM objects WHERE file = ?1 UNION ALL SELECT 1 FROM parts WHERE file = ?1 LIMIT 1",
    )?;
    let mut unnamed = Vec::new();
    for name in candidates {
        if !named.exists(params![name.as_str()])? {
            unnamed.push(name);
        }
    }
    Ok(unnamed)
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
    loop {
        match arriving.recv_timeout(PERIOD.saturating_sub(collected_at.elapsed())) {
            Ok(Trash::File(name)) => collector.files.remove_now(&name),
            Ok(Trash::Stop) | Err(mpsc::RecvTimeoutError::Disconnected) => return,
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
