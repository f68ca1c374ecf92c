use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    Entry, GetOptions, MetadataStore, Object, ObjectKey, ObjectMeta, ObjectStore, Order, Page, Precondition,
    PutOptions, PutRecord, Record, RecordFilter, Result, StatusCounts, StoreError,
};

/// A store that counts the calls that it passes on to `inner`, by the names of the ports' methods; and that does not
/// answer those that a test chose.
#[derive(Debug)]
pub struct Counted<T: ?Sized> {
    inner: Arc<T>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    calls: BTreeMap<&'static str, u64>,
    refused: BTreeSet<&'static str>,
}

impl<T: ?Sized> Counted<T> {
    /// Counts the calls to this store.
    #[must_use]
    pub fn new(inner: Arc<T>) -> Self {
        Self {
            inner,
            state: Mutex::default(),
        }
    }

    /// The number of calls since the last time that this was asked, by method. Those that were refused count too.
    #[must_use]
    pub fn take(&self) -> BTreeMap<&'static str, u64> {
        std::mem::take(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner).calls)
    }

    /// Answers `Unavailable` to every call of this method from now on.
    pub fn refuse(&self, method: &'static str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.refused.insert(method);
    }

    fn count(&self, method: &'static str) -> Result<&T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state.calls.entry(method).or_default() += 1;
        if state.refused.contains(method) {
            return Err(StoreError::unavailable("refused by the test"));
        }
        Ok(&self.inner)
    }
}

#[async_trait]
impl<T: ObjectStore + ?Sized> ObjectStore for Counted<T> {
    async fn get(&self, key: &str, options: GetOptions) -> Result<Object> {
        self.count("get")?.get(key, options).await
    }

    async fn head(&self, key: &str) -> Result<ObjectMeta> {
        self.count("head")?.head(key).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page<Entry>> {
        self.count("list")?.list(prefix, after, limit).await
    }

    async fn put(&self, key: &str, body: Bytes, options: PutOptions) -> Result<ObjectMeta> {
        self.count("put")?.put(key, body, options).await
    }

    async fn delete(&self, key: &str, precondition: Precondition) -> Result<()> {
        self.count("delete")?.delete(key, precondition).await
    }
}

#[async_trait]
impl<T: MetadataStore + ?Sized> MetadataStore for Counted<T> {
    async fn get(&self, key: &ObjectKey) -> Result<Option<Record>> {
        self.count("get")?.get(key).await
    }

    async fn put(&self, record: &Record) -> Result<PutRecord> {
        self.count("put")?.put(record).await
    }

    async fn forget(&self, key: &ObjectKey, order: &Order) -> Result<bool> {
        self.count("forget")?.forget(key, order).await
    }

    async fn list(&self, filter: &RecordFilter, after: Option<&str>, limit: usize) -> Result<Page<Record>> {
        self.count("list")?.list(filter, after, limit).await
    }

    async fn counts(&self) -> Result<StatusCounts> {
        self.count("counts")?.counts().await
    }
}
