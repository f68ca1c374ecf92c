use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quick_cache::unsync::Cache;
use tintype_model::Record;

/// Records kept in memory, so that a delivery need not wait for a reader thread to be scheduled.
const CAPACITY: usize = 4096;

/// Records as the database has them. Only this process writes the database, and [`RecordCache::forget`] is called for
/// every write that may have changed a record before the write is answered.
#[derive(Debug)]
pub(crate) struct RecordCache {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    records: Cache<String, Arc<Record>>,
    /// The number of calls of `forget`. A record that was read before a call may be outdated after it.
    generation: u64,
}

impl Default for RecordCache {
    fn default() -> Self {
        let state = State {
            records: Cache::new(CAPACITY),
            generation: 0,
        };
        Self {
            state: Mutex::new(state),
        }
    }
}

impl RecordCache {
    /// The record; when it is not known, the generation to pass to [`Self::remember`] with the record from the
    /// database.
    pub(crate) fn find(&self, key: &str) -> Result<Arc<Record>, u64> {
        let state = self.lock();
        state.records.get(key).cloned().ok_or(state.generation)
    }

    /// Keeps a record that was read, unless any record was written since.
    pub(crate) fn remember(&self, record: Record, generation: u64) {
        let mut state = self.lock();
        if state.generation == generation {
            let key = record.key.as_str().to_owned();
            state.records.insert(key, Arc::new(record));
        }
    }

    /// Removes records that may have changed.
    pub(crate) fn forget(&self, keys: &[String]) {
        if keys.is_empty() {
            return;
        }
        let mut state = self.lock();
        state.generation += 1;
        for key in keys {
            state.records.remove(key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tintype_model::Status;
    use tintype_model::testing::conformance::{order, record};

    #[test]
    fn what_was_read_before_a_write_is_not_kept_after_it() {
        let cache = RecordCache::default();
        let old = record("a", order(1, 0), Status::Pending);
        let before = cache.find("a").unwrap_err();
        cache.forget(&["b".to_owned()]);
        cache.remember(old.clone(), before);
        let now = cache.find("a").expect_err("the read may be older than the write");
        cache.remember(old.clone(), now);
        assert_eq!(*cache.find("a").unwrap(), old);
        cache.forget(&["a".to_owned()]);
        assert!(cache.find("a").is_err());
    }
}
