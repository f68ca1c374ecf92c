//! Removals where renditions are kept under names that others serve: which calls they take, and what becomes of them
//! when some of these calls fail.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tintype_model::testing::Counted;
use tintype_model::{ObjectStore, PutOptions, Status};
use tintype_pipeline::{Layout, Pipeline};

use crate::world::World;

/// A world whose renditions are written through a store that counts.
fn counted() -> (
    World,
    Arc<Counted<tintype_model::testing::MemoryObjectStore>>,
    Pipeline,
) {
    let world = World::smooth(Layout::InPlace);
    let store = Arc::new(Counted::new(world.renditions.clone()));
    let pipeline = world.in_place_over(world.sources.clone(), store.clone());
    (world, store, pipeline)
}

#[tokio::test]
async fn renditions_that_the_record_named_are_removed_while_listings_fail() {
    let (world, store, pipeline) = counted();
    let upload = world.upload("a", "one").await;
    pipeline.process(&upload, 1).await.unwrap();
    assert_eq!(world.renditions.keys().len(), 9);
    let removal = world.delete("a").await;
    store.refuse("list");
    pipeline.process(&removal, 1).await.unwrap_err();
    assert_eq!(world.renditions.keys(), [""; 0]);
    assert_eq!(world.record("a").await.unwrap().status, Status::Deleted);
}

#[tokio::test]
async fn renditions_of_the_recipe_are_removed_while_listings_fail_when_no_record_names_them_any_more() {
    let (world, store, pipeline) = counted();
    let upload = world.upload("a", "one").await;
    pipeline.process(&upload, 1).await.unwrap();
    let removal = world.delete("a").await;
    // It dies between the tombstone and the first look.
    store.refuse("head");
    pipeline.process(&removal, 1).await.unwrap_err();
    assert_eq!(world.renditions.keys().len(), 9);
    assert_eq!(world.record("a").await.unwrap().status, Status::Deleted);

    let store = Arc::new(Counted::new(world.renditions.clone()));
    store.refuse("list");
    let pipeline = world.in_place_over(world.sources.clone(), store);
    pipeline.process(&removal, 2).await.unwrap_err();
    assert_eq!(world.renditions.keys(), [""; 0]);
}

#[tokio::test]
async fn a_rendition_that_cannot_be_removed_keeps_none_of_the_others() {
    let (world, store, pipeline) = counted();
    let upload = world.upload("a", "one").await;
    pipeline.process(&upload, 1).await.unwrap();
    let removal = world.delete("a").await;
    store.refuse("delete");
    let _ = store.take();
    pipeline.process(&removal, 1).await.unwrap_err();
    assert_eq!(store.take()["delete"], 9, "each of them was tried");
}

/// The calls of a removal of `shop`, below which so many other pictures have renditions.
async fn calls_of_a_removal(others: usize) -> BTreeMap<&'static str, u64> {
    let (world, store, pipeline) = counted();
    for number in 0..others {
        // The second ones start like renditions of `shop` itself.
        for key in [
            format!("shop/{number:05}.jpg/medium.avif"),
            format!("shop/medium.old/{number:05}.jpg/medium.avif"),
        ] {
            let body = Bytes::from_static(b"of another picture");
            world
                .renditions
                .put(&key, body, PutOptions::default())
                .await
                .unwrap();
        }
    }
    let upload = world.upload("shop", "one").await;
    pipeline.process(&upload, 1).await.unwrap();
    // A worker that died left it.
    let stray = Bytes::from_static(b"left behind");
    world
        .renditions
        .put("shop/medium.png", stray, PutOptions::default())
        .await
        .unwrap();
    let removal = world.delete("shop").await;
    let _ = store.take();
    pipeline.process(&removal, 1).await.unwrap();
    let left = world.renditions.keys();
    assert_eq!(left.len(), 2 * others, "the others stay");
    assert!(left.iter().all(|key| key.matches('/').count() > 1), "{left:?}");
    store.take()
}

#[tokio::test]
async fn a_removal_takes_as_many_calls_whatever_is_kept_below_its_key() {
    let few = calls_of_a_removal(3).await;
    let many = calls_of_a_removal(5_000).await;
    let put = |calls: &BTreeMap<&str, u64>| calls.get("put").copied();
    assert_eq!(put(&few), None);
    for method in ["head", "delete"] {
        assert_eq!(few[method], many[method], "{method}");
    }
    // One for each of the three variants, one more past the folder that starts like a variant; each of them twice,
    // because whoever removed something looks again.
    assert_eq!((few["list"], many["list"]), (6, 8));
    assert_eq!(calls_of_a_removal(10_000).await["list"], 8);
}
