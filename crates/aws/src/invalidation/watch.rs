use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tintype_model::{
    Entry, GetOptions, Job, MetadataStore, Object, ObjectKey, ObjectMeta, ObjectStore, Order, Outcome, Page,
    Precondition, PutOptions, PutRecord, Record, RecordFilter, Rendition, Result, Skip, Status, StatusCounts,
    StoreError,
};
use tintype_pipeline::{Pipeline, Ports, Settings, is_same_rendition};

use super::{Kind, Withdrawal};

/// A pipeline that reports the withdrawal of each job.
///
/// Withdrawals are observed at the pipeline's stores. A rendition that is deleted, or overwritten with other bytes, was
/// public until then, whatever its record said; and replacing a record by one that publishes other renditions shows
/// those that an earlier, interrupted delivery of the same job overwrote. A first upload does neither.
#[derive(Clone, Debug)]
pub struct WatchedPipeline {
    pipeline: Pipeline,
    watch: Watch,
}

impl WatchedPipeline {
    /// A pipeline over these ports, which does one job at a time.
    #[must_use]
    pub fn new(ports: Ports, settings: Settings) -> Self {
        let watch = Watch::default();
        let ports = Ports {
            renditions: Arc::new(Watched {
                store: ports.renditions,
                watch: watch.clone(),
            }),
            metadata: Arc::new(Watched {
                store: ports.metadata,
                watch: watch.clone(),
            }),
            ..ports
        };
        Self {
            pipeline: Pipeline::new(ports, settings),
            watch,
        }
    }

    /// Does one job as [`Pipeline::process`] does, and returns its withdrawal.
    ///
    /// A delivery that finds the job done may follow one that ended before its withdrawal was sent, of which
    /// nothing is left to observe. So it counts as a withdrawal, and in this rare case a first upload does too.
    ///
    /// # Errors
    /// When the job has to be delivered again.
    pub async fn process(
        &self,
        job: &Job,
        attempt: u32,
    ) -> tintype_pipeline::Result<(Outcome, Option<Withdrawal>)> {
        self.watch.with(|notes| *notes = Notes::default());
        let outcome = self.pipeline.process(job, attempt).await?;
        let (seen, publishes) = self.watch.with(|notes| (notes.withdrawn, notes.publishes));
        let done_before = outcome == Outcome::Skipped(Skip::Duplicate) && attempt > 1;
        let repeated = if publishes { Kind::Replaced } else { Kind::Removed };
        let withdrawal = seen
            .or_else(|| done_before.then_some(repeated))
            .map(|kind| Withdrawal {
                key: job.key.clone(),
                kind,
            });
        Ok((outcome, withdrawal))
    }

    /// Gives a job up as [`Pipeline::give_up`] does.
    ///
    /// # Errors
    /// When the record could not be read or written.
    pub async fn give_up(&self, job: &Job, error: String, attempts: u32) -> tintype_pipeline::Result<()> {
        self.pipeline.give_up(job, error, attempts).await
    }
}

/// Notes of one job, shared by the watched stores.
#[derive(Clone, Debug, Default)]
struct Watch(Arc<Mutex<Notes>>);

#[derive(Debug, Default)]
struct Notes {
    withdrawn: Option<Kind>,
    /// `true` when the key's record published something when it was read last.
    publishes: bool,
    /// Metadata of the renditions that were looked at, by object key.
    found: HashMap<String, BTreeMap<String, String>>,
}

impl Watch {
    fn note(&self, kind: Option<Kind>) {
        self.with(|notes| notes.withdrawn = notes.withdrawn.max(kind));
    }

    fn with<T>(&self, change: impl FnOnce(&mut Notes) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A store that is watched.
#[derive(Debug)]
struct Watched<T: ?Sized> {
    store: Arc<T>,
    watch: Watch,
}

#[async_trait]
impl ObjectStore for Watched<dyn ObjectStore> {
    async fn get(&self, key: &str, options: GetOptions) -> Result<Object> {
        self.store.get(key, options).await
    }

    async fn head(&self, key: &str) -> Result<ObjectMeta> {
        let meta = self.store.head(key).await?;
        self.watch
            .with(|notes| notes.found.insert(key.to_owned(), meta.metadata.clone()));
        Ok(meta)
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page<Entry>> {
        self.store.list(prefix, after, limit).await
    }

    async fn put(&self, key: &str, body: Bytes, options: PutOptions) -> Result<ObjectMeta> {
        let is_new = options.precondition == Precondition::Absent;
        let meta = self.store.put(key, body, options).await?;
        let found = self
            .watch
            .with(|notes| notes.found.insert(key.to_owned(), meta.metadata.clone()));
        let is_same = found.is_some_and(|found| is_same_rendition(&found, &meta.metadata));
        if !is_new && !is_same {
            self.watch.note(Some(Kind::Replaced));
        }
        Ok(meta)
    }

    async fn delete(&self, key: &str, precondition: Precondition) -> Result<()> {
        let deleted = self.store.delete(key, precondition).await;
        match &deleted {
            // Without an answer the rendition may be deleted.
            Ok(()) | Err(StoreError::Unavailable(_)) => self.watch.note(Some(Kind::Removed)),
            Err(
                StoreError::NotFound
                | StoreError::PreconditionFailed
                | StoreError::TooLarge { .. }
                | StoreError::Archived { .. },
            ) => {}
        }
        deleted
    }
}

#[async_trait]
impl MetadataStore for Watched<dyn MetadataStore> {
    async fn get(&self, key: &ObjectKey) -> Result<Option<Record>> {
        let record = self.store.get(key).await?;
        let publishes = record
            .as_ref()
            .is_some_and(|record| !record.status.renditions().is_empty());
        self.watch.with(|notes| notes.publishes = publishes);
        Ok(record)
    }

    async fn put(&self, record: &Record) -> Result<PutRecord> {
        let put = self.store.put(record).await?;
        if let PutRecord::Written(Some(replaced)) = &put {
            self.watch.note(withdrawn(&replaced.status, &record.status));
        }
        Ok(put)
    }

    /// Forgets a tombstone, which publishes nothing, so that this withdraws nothing.
    async fn forget(&self, key: &ObjectKey, order: &Order) -> Result<bool> {
        self.store.forget(key, order).await
    }

    async fn list(&self, filter: &RecordFilter, after: Option<&str>, limit: usize) -> Result<Page<Record>> {
        self.store.list(filter, after, limit).await
    }

    async fn counts(&self) -> Result<StatusCounts> {
        self.store.counts().await
    }
}

/// The withdrawal of the renditions that `before` publishes when `after` replaces it; `None` when they stay.
fn withdrawn(before: &Status, after: &Status) -> Option<Kind> {
    let after = after.renditions();
    let fate = |rendition: &Rendition| {
        let successor = after
            .iter()
            .find(|other| other.object_key == rendition.object_key);
        match successor {
            None => Some(Kind::Removed),
            Some(other) if other.etag == rendition.etag && other.stand_ins == rendition.stand_ins => None,
            Some(_) => Some(Kind::Replaced),
        }
    };
    before.renditions().iter().map(fate).max().flatten()
}
