//! Renditions in memory, weighed by their bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use tintype_model::{GetOptions, ObjectStore, Rendition, Result, StoreError};

/// The number of shards: few, so that a large rendition finds room in one.
const SHARDS: usize = 4;
/// A rendition above this part of the capacity is read anew each time: it would push out too many others.
const LARGEST_SHARE: u64 = 8;
const TYPICAL_RENDITION_BYTES: u64 = 64 << 10;
/// The memory that is counted for an entry besides its key and the rendition's bytes, in bytes.
const OVERHEAD_BYTES: u64 = 256;

/// The renditions to deliver.
#[derive(Clone, Debug)]
pub struct Pictures {
    /// The rendered files, read by the object keys that records name.
    pub renditions: Arc<dyn ObjectStore>,
    /// Memory for cached renditions, in bytes.
    pub cache_bytes: u64,
}

#[derive(Clone, Debug)]
struct ByBytes;

impl Weighter<String, Bytes> for ByBytes {
    fn weight(&self, key: &String, body: &Bytes) -> u64 {
        weight(key.len() as u64, body.len() as u64)
    }
}

const fn weight(key_bytes: u64, body_bytes: u64) -> u64 {
    OVERHEAD_BYTES + key_bytes + body_bytes
}

/// The store of renditions with a cache in front.
///
/// Entries never go stale: they are named by object key and entity tag, and what has both is the same bytes.
#[derive(Debug)]
pub(crate) struct PictureCache {
    renditions: Arc<dyn ObjectStore>,
    cache: Cache<String, Bytes, ByBytes>,
    capacity_bytes: u64,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// The size of the cache, and the counts of its hits and misses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CacheStats {
    pub bytes: u64,
    pub capacity_bytes: u64,
    pub entries: u64,
    pub hits: u64,
    pub misses: u64,
}

impl PictureCache {
    pub(crate) fn new(pictures: Pictures) -> Self {
        let Pictures {
            renditions,
            cache_bytes: capacity_bytes,
        } = pictures;
        let items = (capacity_bytes / TYPICAL_RENDITION_BYTES).clamp(SHARDS as u64 * 32, 1 << 20);
        let options = OptionsBuilder::new()
            .shards(SHARDS)
            .estimated_items_capacity(usize::try_from(items).unwrap_or(usize::MAX))
            .weight_capacity(capacity_bytes)
            .build()
            .expect("the number of items and the weight are set");
        Self {
            renditions,
            cache: Cache::with_options(
                options,
                ByBytes,
                DefaultHashBuilder::default(),
                DefaultLifecycle::default(),
            ),
            capacity_bytes,
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// The rendition's bytes. Concurrent requests for one that is not cached read it once.
    ///
    /// # Errors
    /// The errors of [`ObjectStore::get`]; `NotFound` also when the object has another size than the rendition, which
    /// means that it was replaced.
    pub(crate) async fn get(&self, rendition: &Rendition) -> Result<Bytes> {
        let store = &*self.renditions;
        let name = name(rendition);
        if weight(name.len() as u64, rendition.size_bytes) > self.capacity_bytes / LARGEST_SHARE {
            self.misses.fetch_add(1, Ordering::Relaxed);
            return load(store, rendition).await;
        }
        let mut loaded = false;
        let body = self.cache.get_or_insert_async(&name, async {
            loaded = true;
            load(store, rendition).await
        });
        let body = body.await;
        let counter = if loaded { &self.misses } else { &self.hits };
        counter.fetch_add(1, Ordering::Relaxed);
        body
    }

    /// Checks that [`Self::get`] would give the rendition's bytes, without reading them where the store knows it.
    ///
    /// # Errors
    /// The errors of [`Self::get`].
    pub(crate) async fn check(&self, rendition: &Rendition) -> Result<()> {
        if self.cache.get(&name(rendition)).is_some() {
            return Ok(());
        }
        let meta = self.renditions.head(&rendition.object_key).await?;
        if meta.size_bytes == rendition.size_bytes {
            Ok(())
        } else {
            Err(StoreError::NotFound)
        }
    }

    pub(crate) fn stats(&self) -> CacheStats {
        CacheStats {
            bytes: self.cache.weight(),
            capacity_bytes: self.capacity_bytes,
            entries: self.cache.len() as u64,
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
        }
    }
}

/// The name of a rendition's entry.
fn name(rendition: &Rendition) -> String {
    format!("{} {}", rendition.etag, rendition.object_key)
}

async fn load(store: &dyn ObjectStore, rendition: &Rendition) -> Result<Bytes> {
    let object = store.get(&rendition.object_key, GetOptions::default()).await?;
    if object.body.len() as u64 == rendition.size_bytes {
        Ok(object.body)
    } else {
        Err(StoreError::NotFound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tintype_model::testing::MemoryObjectStore;
    use tintype_model::{Dimensions, Format, PutOptions};

    fn cache(capacity_bytes: u64) -> (Arc<MemoryObjectStore>, PictureCache) {
        let store = Arc::new(MemoryObjectStore::new());
        let pictures = Pictures {
            renditions: store.clone(),
            cache_bytes: capacity_bytes,
        };
        (store, PictureCache::new(pictures))
    }

    async fn stored(store: &MemoryObjectStore, name: &str, size_bytes: usize) -> Rendition {
        let body = Bytes::from(vec![7; size_bytes]);
        let meta = store.put(name, body, PutOptions::default()).await.unwrap();
        Rendition {
            variant: "medium".to_owned(),
            format: Format::Jpeg,
            dimensions: Dimensions { width: 1, height: 1 },
            size_bytes: meta.size_bytes,
            etag: meta.etag,
            object_key: name.to_owned(),
            encoding: tintype_model::Encoding::default(),
            stand_ins: Vec::new(),
        }
    }

    #[tokio::test]
    async fn the_second_read_is_a_hit() {
        let (store, cache) = cache(1 << 20);
        let rendition = stored(&store, "a", 1000).await;
        for _ in 0..3 {
            assert_eq!(cache.get(&rendition).await.unwrap().len(), 1000);
        }
        let stats = cache.stats();
        assert_eq!((stats.misses, stats.hits, stats.entries), (1, 2, 1));
    }

    #[tokio::test]
    async fn large_renditions_are_not_kept_and_the_capacity_holds() {
        let (store, cache) = cache(1 << 20);
        let large = stored(&store, "large", 200_000).await;
        cache.get(&large).await.unwrap();
        assert_eq!(cache.stats().entries, 0);
        for number in 0..100 {
            let rendition = stored(&store, &format!("small {number}"), 50_000).await;
            cache.get(&rendition).await.unwrap();
        }
        let stats = cache.stats();
        assert!(
            stats.bytes <= stats.capacity_bytes && stats.entries > 10,
            "{stats:?}"
        );
    }

    #[tokio::test]
    async fn an_object_of_another_size_is_not_the_rendition() {
        let (store, cache) = cache(1 << 20);
        let rendition = stored(&store, "a", 10).await;
        stored(&store, "a", 11).await;
        assert!(matches!(cache.get(&rendition).await, Err(StoreError::NotFound)));
        assert_eq!(cache.stats().entries, 0);
    }

    #[tokio::test]
    async fn a_cache_without_room_still_serves() {
        let (store, cache) = cache(0);
        let rendition = stored(&store, "a", 10).await;
        assert_eq!(cache.get(&rendition).await.unwrap().len(), 10);
    }
}
