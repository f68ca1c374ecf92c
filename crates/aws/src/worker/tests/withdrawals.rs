//! The news for the caches: pictures that are no longer public, and no others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use tintype_model::{
    MetadataStore, ObjectKey, ObjectStore, Order, Page, PutOptions, PutRecord, Record, RecordFilter, Result,
    Sequencer, StatusCounts, StoreError, Work,
};

use super::failed;
use super::world::{World, etag_of, job_body, message, notice};
use crate::event::BatchResponse;
use crate::invalidation::Kind;
use crate::worker::Parts;

const CREATED: &str = "ObjectCreated:Put";
const REMOVED: &str = "ObjectRemoved:DeleteMarkerCreated";

fn told_of(key: &str, kind: Kind) -> Vec<(String, Kind)> {
    vec![(key.to_owned(), kind)]
}

/// Uploads a source and delivers its event, for the `receives`th time.
async fn upload(world: &World, key: &str, content: &str, sequencer: u64, receives: u32) -> BatchResponse {
    world.put(key, content).await;
    let event = notice(CREATED, key, sequencer, Some(&etag_of(content)));
    world.handle(vec![message("m", receives, &event)]).await
}

async fn remove(world: &World, key: &str, sequencer: u64, receives: u32) -> BatchResponse {
    world.delete(key).await;
    let event = notice(REMOVED, key, sequencer, None);
    world.handle(vec![message("m", receives, &event)]).await
}

#[tokio::test]
async fn a_first_upload_costs_no_invalidation_however_often_it_is_delivered() {
    let world = World::new();
    upload(&world, "a.jpg", "one", 1, 1).await;
    upload(&world, "a.jpg", "one", 1, 1).await;
    upload(&world, "bad.jpg", "bad", 2, 1).await;
    // Throttled four times before it was tried at all.
    upload(&world, "b.jpg", "one", 3, 5).await;
    assert_eq!(world.told(), []);
}

#[tokio::test]
async fn a_key_that_showed_nothing_costs_no_invalidation_when_it_is_removed_or_mended() {
    let world = World::new();
    upload(&world, "a.jpg", "bad", 1, 1).await;
    upload(&world, "a.jpg", "one", 2, 1).await;
    assert_eq!(world.shown("a.jpg").await, "one");
    remove(&world, "never.jpg", 3, 1).await;
    assert_eq!(world.shown("never.jpg").await, "deleted");
    assert_eq!(world.told(), []);
}

#[tokio::test]
async fn replaced_rejected_and_removed_pictures_are_told_of_alike() {
    let world = World::new();
    upload(&world, "a.jpg", "one", 1, 1).await;
    upload(&world, "a.jpg", "two", 2, 1).await;
    assert_eq!(world.shown("a.jpg").await, "two");
    assert_eq!(world.told(), told_of("a.jpg", Kind::Replaced));
    upload(&world, "a.jpg", "bad", 3, 1).await;
    assert_eq!(world.shown("a.jpg").await, "rejected");
    assert_eq!(world.told(), told_of("a.jpg", Kind::Removed));
    upload(&world, "a.jpg", "three", 4, 1).await;
    assert_eq!(world.told(), []);
    remove(&world, "a.jpg", 5, 1).await;
    assert_eq!(world.told(), told_of("a.jpg", Kind::Removed));
}

#[tokio::test]
async fn the_same_bytes_again_cost_no_invalidation() {
    let world = World::new();
    upload(&world, "a.jpg", "one", 1, 1).await;
    upload(&world, "a.jpg", "one", 2, 1).await;
    // Reprocessing with the same recipe and engine.
    let order = Order::of_event(Sequencer::from_counter(2)).next_revision();
    let etag = etag_of("one");
    let body = job_body("a.jpg", order.clone(), Work::Render { etag });
    assert_eq!(failed(&world.handle(vec![message("m", 1, &body)]).await), [""; 0]);
    assert_eq!(world.record("a.jpg").await.unwrap().order, order);
    assert_eq!(world.told(), []);
}

#[tokio::test]
async fn a_rendition_that_nobody_published_but_that_was_there_is_told_of() {
    let world = World::new();
    // A worker wrote it for an upload that was replaced before its record was written; somebody may have seen it.
    let options = PutOptions::default();
    world
        .renditions
        .put("a.jpg/medium.avif", "older".into(), options)
        .await
        .unwrap();
    upload(&world, "a.jpg", "two", 2, 1).await;
    assert_eq!(world.shown("a.jpg").await, "two");
    assert_eq!(world.told(), told_of("a.jpg", Kind::Replaced));
}

#[tokio::test]
async fn a_delivery_that_ended_before_the_caches_were_told_is_made_up_for_by_the_next_one() {
    let world = World::new();
    upload(&world, "a.jpg", "one", 1, 1).await;
    world.caches.refuses.store(true, Ordering::Relaxed);
    assert_eq!(failed(&upload(&world, "a.jpg", "two", 2, 1).await), ["m"]);
    assert_eq!(world.shown("a.jpg").await, "two", "it is published all the same");
    world.caches.refuses.store(false, Ordering::Relaxed);
    assert_eq!(failed(&upload(&world, "a.jpg", "two", 2, 2).await), [""; 0]);
    assert_eq!(world.told(), told_of("a.jpg", Kind::Replaced));
    world.caches.refuses.store(true, Ordering::Relaxed);
    assert_eq!(failed(&remove(&world, "a.jpg", 3, 1).await), ["m"]);
    assert_eq!(world.shown("a.jpg").await, "deleted");
    world.caches.refuses.store(false, Ordering::Relaxed);
    assert_eq!(failed(&remove(&world, "a.jpg", 3, 2).await), [""; 0]);
    assert_eq!(world.told(), told_of("a.jpg", Kind::Removed));
}

/// Records that cannot be written while `fails` is set.
#[derive(Debug)]
struct Unwritable {
    inner: Arc<dyn MetadataStore>,
    fails: Arc<AtomicBool>,
}

#[async_trait]
impl MetadataStore for Unwritable {
    async fn get(&self, key: &ObjectKey) -> Result<Option<Record>> {
        self.inner.get(key).await
    }
    async fn put(&self, record: &Record) -> Result<PutRecord> {
        if self.fails.load(Ordering::Relaxed) {
            return Err(StoreError::unavailable("as told"));
        }
        self.inner.put(record).await
    }
    async fn forget(&self, key: &ObjectKey, order: &Order) -> Result<bool> {
        self.inner.forget(key, order).await
    }
    async fn list(&self, filter: &RecordFilter, after: Option<&str>, limit: usize) -> Result<Page<Record>> {
        self.inner.list(filter, after, limit).await
    }
    async fn counts(&self) -> Result<StatusCounts> {
        self.inner.counts().await
    }
}

#[tokio::test]
async fn a_delivery_that_ended_before_its_record_is_made_up_for_by_the_next_one() {
    let fails = Arc::new(AtomicBool::new(false));
    let world = World::with(|parts| Parts {
        metadata: Arc::new(Unwritable {
            inner: parts.metadata,
            fails: fails.clone(),
        }),
        ..parts
    });
    upload(&world, "a.jpg", "one", 1, 1).await;
    // All renditions are overwritten, and then nothing more is done.
    fails.store(true, Ordering::Relaxed);
    assert_eq!(failed(&upload(&world, "a.jpg", "two", 2, 1).await), ["m"]);
    fails.store(false, Ordering::Relaxed);
    assert_eq!(failed(&upload(&world, "a.jpg", "two", 2, 2).await), [""; 0]);
    assert_eq!(world.shown("a.jpg").await, "two");
    assert_eq!(world.told(), told_of("a.jpg", Kind::Replaced));
}

#[tokio::test]
async fn news_that_cannot_be_told_never_make_a_dead_letter() {
    let world = World::new();
    upload(&world, "a.jpg", "one", 1, 1).await;
    world.caches.refuses.store(true, Ordering::Relaxed);
    for receives in 1..5 {
        assert_eq!(failed(&remove(&world, "a.jpg", 2, receives).await), ["m"]);
    }
    assert_eq!(failed(&remove(&world, "a.jpg", 2, 5).await), [""; 0]);
    assert_eq!(world.shown("a.jpg").await, "deleted");
}

#[tokio::test]
async fn replaced_pictures_need_not_be_told_of() {
    let world = World::without_replacements();
    upload(&world, "a.jpg", "one", 1, 1).await;
    upload(&world, "a.jpg", "two", 2, 1).await;
    assert_eq!(world.told(), []);
    upload(&world, "a.jpg", "bad", 3, 1).await;
    assert_eq!(world.told(), told_of("a.jpg", Kind::Removed));
}

#[tokio::test]
async fn caches_are_not_told_what_they_cannot_hold() {
    let world = World::new();
    for key in ["a//b", "../a", "new\nline", &"k".repeat(1024)] {
        for receives in 1..3 {
            assert_eq!(failed(&remove(&world, key, 2, receives).await), [""; 0]);
        }
        assert_eq!(world.shown(key).await, "deleted");
    }
    assert_eq!(world.told(), []);
}
