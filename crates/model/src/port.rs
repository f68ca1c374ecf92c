use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Job, ObjectKey, Order, Record, StatusKind, UnixMillis};

/// The result of an operation on a store or a queue.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// A failed operation on a store or a queue, by what the caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such object.
    #[error("object not found")]
    NotFound,
    /// The object is not in the state that the caller asked for. Final: look again before trying again.
    #[error("precondition failed")]
    PreconditionFailed,
    /// The object is larger than the caller accepts.
    #[error("object is {size_bytes} bytes, more than the caller accepts")]
    TooLarge {
        /// Its size in bytes.
        size_bytes: u64,
    },
    /// The object's bytes are in an archive: nobody can read them before somebody has restored it. Its metadata can
    /// be read, and it can be replaced and deleted.
    #[error("object is archived ({storage_class})")]
    Archived {
        /// The archive, in the words of the store.
        storage_class: String,
    },
    /// The store could not answer. Try again later.
    #[error("store is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    /// Wraps an adapter's own error.
    pub fn unavailable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unavailable(source.into())
    }
}

/// State that an object must be in for a write or a delete to happen; checked atomically with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Precondition {
    /// Any state.
    #[default]
    None,
    /// There is no object (`If-None-Match: *`).
    Absent,
    /// The object has this `ETag`, without quotes (`If-Match`).
    Etag(String),
}

/// The metadata of an object: everything that a store knows of it besides its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectMeta {
    /// The key.
    pub key: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// `ETag` without quotes. It repeats when content repeats, and need not be a digest.
    pub etag: String,
    /// When it was written.
    pub modified_at: UnixMillis,
    /// Media type.
    pub content_type: Option<String>,
    /// `Cache-Control` for stores that serve objects themselves.
    pub cache_control: Option<String>,
    /// User metadata (`x-amz-meta-*` without the prefix), names in lower case.
    pub metadata: BTreeMap<String, String>,
}

/// An object with its bytes.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its key, size, entity tag and other metadata.
    pub meta: ObjectMeta,
    /// All of its bytes.
    pub body: Bytes,
}

/// The conditions under which an object is read.
#[derive(Clone, Debug, Default)]
pub struct GetOptions {
    /// Read only if the `ETag` is this one, without quotes.
    pub if_match: Option<String>,
    /// Refuse larger objects before reading them, in bytes.
    pub max_bytes: Option<u64>,
}

/// The precondition of a write, and the headers and user metadata of the object that it writes.
#[derive(Clone, Debug, Default)]
pub struct PutOptions {
    /// Write only in this state.
    pub precondition: Precondition,
    /// Media type.
    pub content_type: Option<String>,
    /// `Cache-Control` for stores that serve objects themselves.
    pub cache_control: Option<String>,
    /// User metadata, names in lower case.
    pub metadata: BTreeMap<String, String>,
}

/// One line of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// `ETag` without quotes.
    pub etag: String,
    /// When it was written.
    pub modified_at: UnixMillis,
}

/// A part of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The items, in ascending order of the UTF-8 bytes of their keys.
    pub items: Vec<T>,
    /// The last key of this page when more follow; pass it as `after`.
    pub next: Option<String>,
}

/// A bucket: bytes under opaque keys of 1 to 1,024 bytes of UTF-8.
///
/// Keys are stored exactly: no rewriting, no folders, letter case kept, and a key may be a prefix of another.
/// Writes of one key are atomic and durable before they are acknowledged: a reader sees the old object or the new
/// one, never a part; there is no atomicity across keys. Reads see every acknowledged write.
#[async_trait]
pub trait ObjectStore: Send + Sync + std::fmt::Debug {
    /// The object and all of its bytes.
    ///
    /// # Errors
    /// `NotFound`, `PreconditionFailed` (another `ETag`), `TooLarge`, `Archived`, `Unavailable`.
    async fn get(&self, key: &str, options: GetOptions) -> Result<Object>;

    /// Reads the metadata of an object, without its bytes.
    ///
    /// # Errors
    /// `NotFound`, `Unavailable`.
    async fn head(&self, key: &str) -> Result<ObjectMeta>;

    /// At most `limit` entries whose keys start with `prefix` and come after `after`, in byte order.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page<Entry>>;

    /// Writes an object if the precondition holds.
    ///
    /// # Errors
    /// `PreconditionFailed`, `Unavailable`; after `Unavailable` the write may have happened.
    async fn put(&self, key: &str, body: Bytes, options: PutOptions) -> Result<ObjectMeta>;

    /// Deletes an object if the precondition holds. Deleting what is not there succeeds, unless an `ETag` was
    /// asked for.
    ///
    /// # Errors
    /// `PreconditionFailed`, `Unavailable`; after `Unavailable` the delete may have happened.
    async fn delete(&self, key: &str, precondition: Precondition) -> Result<()>;
}

/// The result of putting a record.
#[derive(Clone, Debug, PartialEq)]
pub enum PutRecord {
    /// It is stored; the record that it replaced, if there was one.
    Written(Option<Box<Record>>),
    /// The stored record keeps its status and now has this work as an attempt: the record as it is now.
    Noted(Box<Record>),
    /// Nothing changed: this record has the same order or a newer one.
    Refused(Box<Record>),
}

/// The records that a listing shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordFilter {
    /// Only keys that start with this.
    pub prefix: String,
    /// Only records of this status; `None` shows all but tombstones.
    pub status: Option<StatusKind>,
    /// Only records whose source has this [`crate::SourceInfo::sha256`].
    pub sha256: Option<String>,
}

/// Number of records by status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusCounts {
    /// Uploaded, not processed yet.
    pub pending: u64,
    /// Published.
    pub ready: u64,
    /// Not publishable.
    pub rejected: u64,
    /// Given up after all retries.
    pub failed: u64,
    /// True where the store stopped counting because there are too many: each number is the least that there are.
    pub at_least: bool,
    /// The time of the count; `None` for now.
    pub counted_at: Option<UnixMillis>,
}

/// The records, one per key.
#[async_trait]
pub trait MetadataStore: Send + Sync + std::fmt::Debug {
    /// The key's record, tombstones included.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn get(&self, key: &ObjectKey) -> Result<Option<Record>>;

    /// Writes the record if there is none, or an older one, or one of the same order that knows less: a pending one
    /// yields to a failed one, and both yield to all others. A rejection of the source that is published, and work that
    /// was given up, take no picture away: they are noted in the record that is there ([`Record::succeeds`]). Atomic and
    /// durable before it is acknowledged.
    ///
    /// # Errors
    /// `Unavailable`; after it the write may have happened, and putting the same record again is refused with
    /// that very record or with the one that has its result.
    async fn put(&self, record: &Record) -> Result<PutRecord>;

    /// At most `limit` records after the key `after`, in byte order of their keys.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn list(&self, filter: &RecordFilter, after: Option<&str>, limit: usize) -> Result<Page<Record>>;

    /// Removes the key's tombstone, if its [`Record::newest_order`] is this one: no trace of the key is
    /// left. Returns `false` when there is no such tombstone, and nothing changed. The caller rules out that older work comes
    /// back ([`crate::Work::Forget`]).
    ///
    /// # Errors
    /// `Unavailable`; after it the tombstone may be gone.
    async fn forget(&self, key: &ObjectKey, order: &Order) -> Result<bool>;

    /// Counts the records by status, without tombstones.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn counts(&self) -> Result<StatusCounts>;
}

/// The queue that takes jobs without an event of their own.
#[async_trait]
pub trait JobQueue: Send + Sync + std::fmt::Debug {
    /// Adds the job; it is durable before this returns. It will be delivered at least once, and not before its
    /// [`crate::Work::delay`] is over.
    ///
    /// # Errors
    /// `Unavailable`; after it the job may be queued.
    async fn enqueue(&self, job: &Job) -> Result<()>;
}
