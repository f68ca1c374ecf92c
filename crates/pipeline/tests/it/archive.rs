//! Objects in storage classes that nobody can read before somebody has restored them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use tintype_model::testing::MemoryObjectStore;
use tintype_model::{
    Entry, GetOptions, Job, Object, ObjectMeta, ObjectStore, Outcome, Page, Precondition, PutOptions,
    RejectionCode, Result, Skip, StoreError,
};
use tintype_pipeline::Layout;

use crate::world::World;

/// A store like S3 after a lifecycle rule: metadata can be read, bytes cannot.
#[derive(Debug)]
struct Archive {
    inner: Arc<MemoryObjectStore>,
    is_restored: AtomicBool,
}

impl Archive {
    fn new(inner: &Arc<MemoryObjectStore>) -> Arc<Self> {
        Arc::new(Self {
            inner: inner.clone(),
            is_restored: AtomicBool::new(false),
        })
    }
}

#[async_trait]
impl ObjectStore for Archive {
    async fn get(&self, key: &str, options: GetOptions) -> Result<Object> {
        if !self.is_restored.load(Ordering::Relaxed) {
            let storage_class = "DEEP_ARCHIVE".to_owned();
            return Err(StoreError::Archived { storage_class });
        }
        self.inner.get(key, options).await
    }
    async fn head(&self, key: &str) -> Result<ObjectMeta> {
        self.inner.head(key).await
    }
    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page<Entry>> {
        self.inner.list(prefix, after, limit).await
    }
    async fn put(&self, key: &str, body: Bytes, options: PutOptions) -> Result<ObjectMeta> {
        self.inner.put(key, body, options).await
    }
    async fn delete(&self, key: &str, precondition: Precondition) -> Result<()> {
        self.inner.delete(key, precondition).await
    }
}

#[tokio::test]
async fn an_archived_source_is_rejected_with_its_class_until_it_is_restored() {
    let world = World::smooth(Layout::InPlace);
    let archive = Archive::new(&world.sources);
    let pipeline = world.in_place_over(archive.clone(), world.renditions.clone());
    let job = world.upload("a", "one").await;
    let Outcome::Rejected(rejection) = pipeline.process(&job, 1).await.unwrap() else {
        panic!("it cannot be read");
    };
    assert_eq!(rejection.code, RejectionCode::Archived);
    assert!(rejection.detail.contains("DEEP_ARCHIVE"), "{}", rejection.detail);
    let record = world.record("a").await.unwrap();
    assert_eq!(record.status.name(), "rejected");
    assert_eq!(
        record.source.unwrap().size_bytes,
        3,
        "its size is known all the same"
    );

    archive.is_restored.store(true, Ordering::Relaxed);
    let redo = Job {
        order: job.order.next_revision(),
        ..job
    };
    pipeline.process(&redo, 1).await.unwrap();
    assert_eq!(world.published("a").await, "one");
}

#[tokio::test]
async fn an_archived_source_that_is_another_one_meanwhile_is_left_to_its_own_event() {
    let world = World::smooth(Layout::InPlace);
    let pipeline = world.in_place_over(Archive::new(&world.sources), world.renditions.clone());
    let older = world.upload("a", "one").await;
    world.upload("a", "two").await;
    let outcome = pipeline.process(&older, 1).await.unwrap();
    assert_eq!(outcome, Outcome::Skipped(Skip::Superseded));
    assert_eq!(world.record("a").await, None);
}

#[tokio::test]
async fn archived_renditions_are_made_again_and_removed_like_others() {
    let world = World::smooth(Layout::InPlace);
    let job = world.upload("a", "one").await;
    world.pipeline.process(&job, 1).await.unwrap();
    let pipeline = world.in_place_over(world.sources.clone(), Archive::new(&world.renditions));
    let writes = world.renditions.writes();
    let redo = Job {
        order: job.order.next_revision(),
        ..job
    };
    assert_eq!(pipeline.process(&redo, 2).await.unwrap(), Outcome::Processed);
    assert_eq!(world.renditions.writes(), writes + 9);
    let removal = world.delete("a").await;
    pipeline.process(&removal, 2).await.unwrap();
    assert_eq!(world.renditions.keys(), [""; 0]);
}
