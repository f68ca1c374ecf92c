//! Durable storage on one machine: rows in SQLite, bytes in files.
//!
//! A write streams into a new file with a random name, syncs it and its folder, and then names it in one SQLite
//! transaction that also checks the preconditions, counts the sequencer and queues the job. Rows are the truth: what
//! no row names is garbage, and is collected. A key is never a file path, and this module knows neither HTTP nor what
//! the jobs do.
//!
//! ```text
//! DATA/tintype.db       rows (and -wal, -shm)
//! DATA/objects/ab/ab..  bytes, under random names
//! DATA/lock             held by the process that uses the folder
//! ```

mod assemble;
mod cache;
mod clock;
mod error;
mod file;
mod garbage;
mod list;
mod lock;
mod multipart;
mod object;
mod queue;
mod reader;
mod record;
mod row;
mod schema;
mod source;
mod stage;
#[cfg(test)]
mod tests;
mod upload;
mod writer;

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::sync::Notify;

pub use assemble::{CompletedPart, Observer};
pub use clock::Clock;
pub use error::{Error, Result};
pub use garbage::UPLOAD_LIFETIME;
pub use list::{ListFrom, ListSources, Listed, Listing};
pub use multipart::{Assembled, Completion};
pub use object::LocalObjectStore;
pub use queue::{Claimed, DeadJob, Depth, SqliteQueue};
pub use record::SqliteMetadataStore;
pub use row::Attributes;
pub use source::{SourceMeta, SourceOptions};
pub use stage::{Staged, StagedFile};
pub use upload::{MAX_PART_NUMBER, MIN_PART_BYTES, Part, PartsPage, Upload, UploadMarker, UploadPage};

use cache::RecordCache;
use file::Files;
use garbage::{Collector, Maintenance};
use lock::Lock;
use multipart::Completions;
use reader::Readers;
use row::Bucket;
use writer::{After, Writer};

/// Everything that one data folder holds. Clones share it; the last one to go closes it.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

/// Dropped in the order of the fields: who uses something goes before it.
#[derive(Debug)]
struct Inner {
    _maintenance: Maintenance,
    collector: Collector,
    writer: Arc<Writer>,
    readers: Arc<Readers>,
    files: Arc<Files>,
    records: Arc<RecordCache>,
    completions: Completions,
    due: Arc<Notify>,
    clock: Clock,
    _lock: Arc<Lock>,
}

impl Store {
    /// Opens a data folder, and makes it if there is none. Voids the leases of a process that has ended, and removes
    /// what it left half-done.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process uses the folder, [`Error::TooNew`], [`Error::Io`], [`Error::Sqlite`],
    /// [`Error::Corrupt`].
    pub fn open(data: &Path) -> Result<Self> {
        Self::open_with_clock(data, Clock::system())
    }

    /// [`Self::open`] with another clock.
    ///
    /// # Errors
    /// Those of [`Self::open`].
    pub fn open_with_clock(data: &Path, clock: Clock) -> Result<Self> {
        let is_new = !data.exists();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(data)
            .map_err(Error::io("create the data folder"))?;
        if is_new && let Some(parent) = data.canonicalize().ok().as_deref().and_then(Path::parent) {
            file::sync_folder(parent)?;
        }
        let lock = Arc::new(lock::acquire(data)?);
        let database = data.join("tintype.db");
        // SQLite gives its other files the mode of this one.
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&database)
            .map_err(Error::io("create the database"))?;
        let connection = schema::open_writer(&database)?;
        let recovered = queue::recover(&connection, clock.steady())?;
        let unpublished = garbage::drop_unpublished(&connection)?;

        let (trash, arriving) = mpsc::channel();
        let files = Arc::new(Files::open(data.join("objects"), trash.clone())?);
        file::sync_folder(data)?;
        let due = Arc::new(Notify::new());
        let records = Arc::new(RecordCache::default());
        let after = After {
            files: files.clone(),
            records: records.clone(),
            due: due.clone(),
        };
        let writer = Arc::new(Writer::start(connection, after)?);
        let threads = available_parallelism().map_or(4, |cores| (cores.get() * 2).clamp(4, 16));
        let readers = Arc::new(Readers::start(&database, threads)?);
        let collector = Collector {
            files: files.clone(),
            readers: readers.clone(),
            writer: writer.clone(),
            clock: clock.clone(),
            _lock: lock.clone(),
        };
        // On a thread of its own: it waits for the others, which the threads of an async runtime must not.
        let removed = std::thread::scope(|scope| scope.spawn(|| collector.collect(Duration::ZERO)).join())
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        if recovered + unpublished + removed > 0 {
            tracing::info!(
                jobs = recovered,
                renditions = unpublished,
                files = removed,
                "cleaned up after the last run"
            );
        }
        Ok(Self {
            inner: Arc::new(Inner {
                _maintenance: Maintenance::start(collector.clone(), trash, arriving)?,
                collector,
                writer,
                readers,
                files,
                records,
                completions: Completions::default(),
                due,
                clock,
                _lock: lock,
            }),
        })
    }

    /// The uploaded objects. Every put and delete makes a job, in the same transaction.
    #[must_use]
    pub fn sources(&self) -> LocalObjectStore {
        LocalObjectStore {
            inner: self.inner.clone(),
            bucket: Bucket::Sources,
        }
    }

    /// What the pipeline made of them. Nothing here makes a job.
    ///
    /// What no record names is dropped when the store is opened the next time.
    #[must_use]
    pub fn renditions(&self) -> LocalObjectStore {
        LocalObjectStore {
            inner: self.inner.clone(),
            bucket: Bucket::Renditions,
        }
    }

    /// The records.
    #[must_use]
    pub fn metadata(&self) -> SqliteMetadataStore {
        SqliteMetadataStore {
            inner: self.inner.clone(),
        }
    }

    /// The jobs.
    #[must_use]
    pub fn queue(&self) -> SqliteQueue {
        SqliteQueue {
            inner: self.inner.clone(),
        }
    }

    /// Drops expired multipart uploads, and files that no row names and that are at least `min_age` old. Answers how
    /// many files were removed. Runs by itself once an hour.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Sqlite`].
    pub async fn collect_garbage(&self, min_age: Duration) -> Result<usize> {
        let collector = self.inner.collector.clone();
        stage::blocking(move || collector.collect(min_age)).await
    }
}
