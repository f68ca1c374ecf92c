#![doc = include_str!("../README.md")]

mod assemble;
mod backup;
mod cache;
mod clock;
mod damage;
mod dead;
mod digest;
mod error;
mod facts;
mod file;
mod garbage;
mod hold;
mod integrity;
mod list;
mod lock;
mod multipart;
mod name;
mod object;
mod open;
mod progress;
mod queue;
mod reader;
mod rebuild;
mod record;
mod row;
mod salvage;
mod schema;
mod scrub;
mod source;
mod stage;
mod survey;
#[cfg(test)]
mod tests;
mod upgrade;
mod upload;
mod writer;

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::Notify;

pub use assemble::CompletedPart;
pub use backup::{BackedUp, backup};
pub use clock::Clock;
pub use digest::{Damage, Fault};
pub use error::{Error, Result};
pub use garbage::UPLOAD_LIFETIME;
pub use integrity::Integrity;
pub use list::{ListFrom, ListSources, Listed, Listing};
pub use multipart::{Assembled, Completion};
pub use object::LocalObjectStore;
pub use queue::{Claimed, DeadJob, Depth, SqliteQueue};
pub use rebuild::{Comparing, Verified, rebuild, verify};
pub use record::SqliteMetadataStore;
pub use row::Attributes;
pub use salvage::DatabaseState;
pub use scrub::{Pace, Scrubbed};
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
use scrub::{Message, Scrub};
use stage::blocking;
use writer::{Effects, Writer};

/// The content of one data folder. Clones share it; dropping the last one closes it.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

/// Dropped in the order of the fields: a user comes before the thing that it uses.
#[derive(Debug)]
struct Inner {
    _maintenance: Maintenance,
    scrub: Scrub,
    collector: Collector,
    writer: Arc<Writer>,
    readers: Arc<Readers>,
    files: Arc<Files>,
    records: Arc<RecordCache>,
    completions: Completions,
    due: Arc<Notify>,
    clock: Clock,
    make_room: OnceLock<MakeRoom>,
    _lock: Arc<Lock>,
}

/// Makes room on a full disk for deletes, and returns whether there is more than before.
struct MakeRoom(Box<dyn Fn() -> bool + Send + Sync>);

impl std::fmt::Debug for MakeRoom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MakeRoom(..)")
    }
}

impl Inner {
    /// Makes a file durable and then runs `write` in a transaction. Both happen even when the caller has stopped
    /// waiting.
    async fn seal_and_run<S: Send + 'static, T: Send + 'static>(
        self: &Arc<Self>,
        seal: impl FnOnce() -> Result<S> + Send + 'static,
        write: impl FnOnce(&Connection, &mut Effects, S) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        // The whole store is kept: it must stay open, and its folder locked, until this is done.
        let inner = self.clone();
        let answer = blocking(move || {
            let sealed = seal()?;
            Ok(inner
                .writer
                .submit(move |connection, effects| write(connection, effects, sealed)))
        })
        .await?;
        answer.await.unwrap_or(Err(Error::Closed))
    }
}

impl Inner {
    /// Runs a delete in a transaction; on a full disk once more, if room can be made for it.
    async fn run_delete<T: Send + 'static>(
        self: &Arc<Self>,
        delete: impl Fn(&Connection, &mut Effects) -> Result<T> + Clone + Send + 'static,
    ) -> Result<T> {
        match self.writer.run(delete.clone()).await {
            Err(Error::Full(full)) => {
                let inner = self.clone();
                let make_room = move || Ok(inner.make_room.get().is_some_and(|MakeRoom(make)| make()));
                if blocking(make_room).await? {
                    self.writer.run(delete).await
                } else {
                    Err(Error::Full(full))
                }
            }
            other => other,
        }
    }
}

impl Store {
    /// Opens a data folder, and makes it if there is none. Ends the leases of a process that has ended, and removes
    /// its unfinished files.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process uses the folder, [`Error::UnknownFiles`] when there are files that may
    /// be uploads and that the database does not know, [`Error::TooNew`], [`Error::Io`], [`Error::Sqlite`],
    /// [`Error::Corrupt`].
    pub fn open(data: &Path) -> Result<Self> {
        Self::open_with_clock(data, Clock::system())
    }

    /// [`Self::open`] with another clock.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with_clock(data: &Path, clock: Clock) -> Result<Self> {
        open::open(data, clock)
    }

    /// The uploaded objects. Every put and delete makes a job, in the same transaction.
    #[must_use]
    pub fn sources(&self) -> LocalObjectStore {
        LocalObjectStore {
            inner: self.inner.clone(),
            bucket: Bucket::Sources,
        }
    }

    /// The store of the renditions that the pipeline makes of the sources. Nothing here makes a job.
    ///
    /// Renditions that no record names are dropped when the store is opened the next time.
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

    /// Drops expired multipart uploads, and files that are at least `min_age` old and that are no sources or that this
    /// database named before. Returns the number of files that were removed. Runs by itself once an hour.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Sqlite`].
    pub async fn collect_garbage(&self, min_age: Duration) -> Result<usize> {
        let collector = self.inner.collector.clone();
        blocking(move || collector.collect(min_age)).await
    }

    /// Sets the function that is called when the disk is too full for a delete; the delete is tried again when the
    /// function returns `true`. Only the first call of this counts.
    pub fn make_room_with(&self, make_room: impl Fn() -> bool + Send + Sync + 'static) {
        let _ = self.inner.make_room.set(MakeRoom(Box::new(make_room)));
    }

    /// Starts reading every file at this pace, and comparing it with the digest that it was stored with. Damage is
    /// logged once; a rendition is made again from its source, reading a source becomes an error.
    pub fn scrub(&self, pace: Option<Pace>) {
        // The thread ends only after all stores are dropped.
        let _ = self.inner.scrub.messages.send(Message::Pace(pace));
    }

    /// Reads every file once, at once.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Sqlite`].
    pub async fn scrub_now(&self) -> Result<()> {
        let (done, passed) = tokio::sync::oneshot::channel();
        let _ = self.inner.scrub.messages.send(Message::Pass(done));
        passed.await.unwrap_or(Err(Error::Closed))
    }

    /// The work of the scrub since the store was opened, and the number of files that are known to be damaged.
    #[must_use]
    pub fn scrubbed(&self) -> Scrubbed {
        self.inner.scrub.scrubbed(self.inner.files.damages())
    }

    /// The known fault of a source's bytes; `None` when no fault is known.
    #[must_use]
    pub fn source_fault(&self, key: &str) -> Option<Fault> {
        self.inner.files.damages().of_source(key)
    }
}
