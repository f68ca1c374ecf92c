use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::{
    DeadLetter, DeadLetters, Entry, GetOptions, Job, JobQueue, MetadataStore, Object, ObjectKey, ObjectMeta,
    ObjectStore, Order, Page, Precondition, PutOptions, PutRecord, Record, RecordFilter, Result, Status,
    StatusCounts, StoreError, Succession, UnixMillis,
};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn page<T>(mut items: Vec<T>, limit: usize, key: impl Fn(&T) -> String) -> Page<T> {
    let more = items.len() > limit;
    items.truncate(limit);
    Page {
        next: items.last().filter(|_| more).map(key),
        items,
    }
}

/// Objects in a map; `ETag`s are digests of the content, so that they repeat when content does.
#[derive(Debug, Default)]
pub struct MemoryObjectStore {
    objects: Mutex<BTreeMap<String, Object>>,
    writes: AtomicU64,
}

impl MemoryObjectStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Every key, in order.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        lock(&self.objects).keys().cloned().collect()
    }

    /// The number of puts and deletes that changed something.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }
}

fn check(current: Option<&Object>, precondition: &Precondition) -> Result<()> {
    let holds = match precondition {
        Precondition::None => true,
        Precondition::Absent => current.is_none(),
        Precondition::Etag(etag) => current.is_some_and(|object| object.meta.etag == *etag),
    };
    if holds {
        Ok(())
    } else {
        Err(StoreError::PreconditionFailed)
    }
}

#[async_trait]
impl ObjectStore for MemoryObjectStore {
    async fn get(&self, key: &str, options: GetOptions) -> Result<Object> {
        let objects = lock(&self.objects);
        let object = objects.get(key).ok_or(StoreError::NotFound)?;
        if options.if_match.is_some_and(|etag| etag != object.meta.etag) {
            return Err(StoreError::PreconditionFailed);
        }
        if options.max_bytes.is_some_and(|max| object.meta.size_bytes > max) {
            return Err(StoreError::TooLarge {
                size_bytes: object.meta.size_bytes,
            });
        }
        Ok(object.clone())
    }

    async fn head(&self, key: &str) -> Result<ObjectMeta> {
        lock(&self.objects)
            .get(key)
            .map(|object| object.meta.clone())
            .ok_or(StoreError::NotFound)
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page<Entry>> {
        let objects = lock(&self.objects);
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            Some(_) | None => Bound::Included(prefix),
        };
        let entries = objects
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(limit.saturating_add(1))
            .map(|(key, object)| Entry {
                key: key.clone(),
                size_bytes: object.meta.size_bytes,
                etag: object.meta.etag.clone(),
                modified_at: object.meta.modified_at,
            })
            .collect();
        Ok(page(entries, limit, |entry: &Entry| entry.key.clone()))
    }

    async fn put(&self, key: &str, body: Bytes, options: PutOptions) -> Result<ObjectMeta> {
        let mut objects = lock(&self.objects);
        check(objects.get(key), &options.precondition)?;
        let written = self.writes.fetch_add(1, Ordering::Relaxed) + 1;
        let meta = ObjectMeta {
            key: key.to_owned(),
            size_bytes: body.len() as u64,
            etag: hex::encode(&Sha256::digest(&body)[..16]),
            modified_at: UnixMillis(written),
            content_type: options.content_type,
            cache_control: options.cache_control,
            metadata: options.metadata,
        };
        objects.insert(
            key.to_owned(),
            Object {
                meta: meta.clone(),
                body,
            },
        );
        Ok(meta)
    }

    async fn delete(&self, key: &str, precondition: Precondition) -> Result<()> {
        let mut objects = lock(&self.objects);
        check(objects.get(key), &precondition)?;
        if objects.remove(key).is_some() {
            self.writes.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Records in a map.
#[derive(Debug, Default)]
pub struct MemoryMetadataStore {
    records: Mutex<BTreeMap<String, Record>>,
    writes: AtomicU64,
}

impl MemoryMetadataStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of puts that changed something.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl MetadataStore for MemoryMetadataStore {
    async fn get(&self, key: &ObjectKey) -> Result<Option<Record>> {
        Ok(lock(&self.records).get(key.as_str()).cloned())
    }

    async fn put(&self, record: &Record) -> Result<PutRecord> {
        let mut records = lock(&self.records);
        let key = record.key.as_str().to_owned();
        if let Some(current) = records.get(&key) {
            match record.succeeds(current) {
                Succession::Refused => return Ok(PutRecord::Refused(Box::new(current.clone()))),
                Succession::Noted(noted) => {
                    self.writes.fetch_add(1, Ordering::Relaxed);
                    records.insert(key, Record::clone(&noted));
                    return Ok(PutRecord::Noted(noted));
                }
                Succession::Replaces => {}
            }
        }
        self.writes.fetch_add(1, Ordering::Relaxed);
        let replaced = records.insert(key, record.clone());
        Ok(PutRecord::Written(replaced.map(Box::new)))
    }

    async fn list(&self, filter: &RecordFilter, after: Option<&str>, limit: usize) -> Result<Page<Record>> {
        let records = lock(&self.records);
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let shown = |record: &&Record| match filter.status {
            Some(status) => record.status.kind() == status,
            None => record.status != Status::Deleted,
        };
        let digest = |record: &Record| record.source.as_ref()?.sha256.clone();
        let records = records
            .range::<str, _>((start, Bound::Unbounded))
            .filter(|(key, _)| key.starts_with(&filter.prefix))
            .map(|(_, record)| record)
            .filter(shown)
            .filter(|record| filter.sha256.is_none() || digest(record) == filter.sha256)
            .take(limit.saturating_add(1))
            .cloned()
            .collect();
        Ok(page(records, limit, |record: &Record| {
            record.key.as_str().to_owned()
        }))
    }

    async fn forget(&self, key: &ObjectKey, order: &Order) -> Result<bool> {
        let mut records = lock(&self.records);
        let is_it = |record: &Record| record.status == Status::Deleted && record.newest_order() == order;
        if !records.get(key.as_str()).is_some_and(is_it) {
            return Ok(false);
        }
        records.remove(key.as_str());
        self.writes.fetch_add(1, Ordering::Relaxed);
        Ok(true)
    }

    async fn counts(&self) -> Result<StatusCounts> {
        let mut counts = StatusCounts::default();
        for record in lock(&self.records).values() {
            match record.status {
                Status::Pending => counts.pending += 1,
                Status::Ready { .. } => counts.ready += 1,
                Status::Rejected { .. } => counts.rejected += 1,
                Status::Failed { .. } => counts.failed += 1,
                Status::Deleted => {}
            }
        }
        Ok(counts)
    }
}

/// Jobs in a list, for tests to read. Delays are ignored.
#[derive(Debug, Default)]
pub struct MemoryQueue {
    jobs: Mutex<Vec<Job>>,
}

impl MemoryQueue {
    /// An empty queue.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Every job enqueued so far, oldest first.
    #[must_use]
    pub fn jobs(&self) -> Vec<Job> {
        lock(&self.jobs).clone()
    }

    /// Removes and returns every job.
    #[must_use]
    pub fn take(&self) -> Vec<Job> {
        std::mem::take(&mut *lock(&self.jobs))
    }
}

#[async_trait]
impl JobQueue for MemoryQueue {
    async fn enqueue(&self, job: &Job) -> Result<()> {
        lock(&self.jobs).push(job.clone());
        Ok(())
    }
}

/// Dead letters in a list, which go to a [`MemoryQueue`] when they are redriven.
#[derive(Debug)]
pub struct MemoryDeadLetters {
    queue: Arc<MemoryQueue>,
    buried: Mutex<BTreeMap<i64, (Job, String)>>,
    last: AtomicI64,
}

impl MemoryDeadLetters {
    /// No dead letters yet.
    #[must_use]
    pub fn new(queue: Arc<MemoryQueue>) -> Self {
        Self {
            queue,
            buried: Mutex::default(),
            last: AtomicI64::new(0),
        }
    }

    /// Makes a dead letter of the job.
    pub fn bury(&self, job: Job, error: String) {
        let id = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        lock(&self.buried).insert(id, (job, error));
    }
}

#[async_trait]
impl DeadLetters for MemoryDeadLetters {
    async fn list(&self, limit: usize) -> Result<Vec<DeadLetter>> {
        let buried = lock(&self.buried);
        let letters = buried.iter().take(limit).map(|(id, (job, error))| DeadLetter {
            id: *id,
            key: Some(job.key.clone()),
            attempts: 1,
            error: error.clone(),
            died_at: UnixMillis(1_700_000_000_000),
        });
        Ok(letters.collect())
    }

    async fn redrive(&self, id: Option<i64>) -> Result<usize> {
        let redriven: Vec<Job> = {
            let mut buried = lock(&self.buried);
            match id {
                Some(id) => buried.remove(&id).into_iter().map(|(job, _)| job).collect(),
                None => std::mem::take(&mut *buried)
                    .into_values()
                    .map(|(job, _)| job)
                    .collect(),
            }
        };
        for job in &redriven {
            self.queue.enqueue(job).await?;
        }
        Ok(redriven.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::conformance;

    #[tokio::test]
    async fn memory_object_store_conforms() {
        conformance::object_store(&MemoryObjectStore::new()).await;
    }

    #[tokio::test]
    async fn memory_metadata_store_conforms() {
        conformance::metadata_store(&MemoryMetadataStore::new()).await;
    }

    #[tokio::test]
    async fn memory_queue_conforms() {
        let queue = MemoryQueue::new();
        conformance::job_queue(&queue, async || queue.take()).await;
        assert!(queue.jobs().is_empty());
    }

    #[tokio::test]
    async fn memory_dead_letters_conform() {
        let queue = Arc::new(MemoryQueue::new());
        let dead = MemoryDeadLetters::new(queue.clone());
        let bury = async |job: &Job| dead.bury(job.clone(), "a reason".to_owned());
        conformance::dead_letters(&dead, bury, async || queue.take()).await;
        assert!(queue.jobs().is_empty());
    }
}
