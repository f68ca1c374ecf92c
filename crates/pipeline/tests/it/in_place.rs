//! Tests of the rules that hold only where renditions are kept under names that others serve.

use bytes::Bytes;
use tintype_model::{
    GetOptions, Job, Object, ObjectStore, Outcome, Precondition, PutOptions, Rejection, RejectionCode,
    RenderError, Skip,
};
use tintype_pipeline::Layout;

use crate::world::{World, rendition_text};

fn world() -> World {
    World::smooth(Layout::InPlace)
}

async fn text(world: &World, object_key: &str) -> String {
    let object = world
        .renditions
        .get(object_key, GetOptions::default())
        .await
        .unwrap();
    String::from_utf8(object.body.to_vec()).unwrap()
}

#[tokio::test]
async fn renditions_are_found_without_the_record() {
    let world = world();
    let job = world.upload("some/photo.jpg", "sun").await;
    world.pipeline.process(&job, 1).await.unwrap();
    assert_eq!(
        text(&world, "some/photo.jpg/medium.avif").await,
        rendition_text("medium", "avif", b"sun")
    );
    let meta = world.renditions.head("some/photo.jpg/medium.avif").await.unwrap();
    assert_eq!(meta.metadata["tintype-order"], job.order.to_string());
}

#[tokio::test]
async fn an_older_worker_neither_publishes_nor_replaces_what_a_newer_one_has_written() {
    let world = world();
    let older = world.upload("a", "one").await;
    let newer = world.upload("a", "two").await;
    // The newer worker is between its first write and its record.
    let options = PutOptions {
        metadata: [("tintype-order".to_owned(), newer.order.to_string())].into(),
        ..PutOptions::default()
    };
    let new_bytes = Bytes::from_static(b"medium.jpg of two");
    world
        .renditions
        .put("a/medium.jpg", new_bytes, options)
        .await
        .unwrap();
    // The older one read its source before it was replaced.
    world
        .sources
        .put("a", Bytes::from_static(b"one"), PutOptions::default())
        .await
        .unwrap();

    assert_eq!(
        world.pipeline.process(&older, 1).await.unwrap(),
        Outcome::Skipped(Skip::Superseded)
    );
    assert_eq!(text(&world, "a/medium.jpg").await, "medium.jpg of two");
    assert_eq!(world.published("a").await, "nothing");

    world
        .sources
        .put("a", Bytes::from_static(b"two"), PutOptions::default())
        .await
        .unwrap();
    assert_eq!(
        world.pipeline.process(&newer, 1).await.unwrap(),
        Outcome::Processed
    );
    assert_eq!(world.published("a").await, "two");
}

#[tokio::test]
async fn a_new_recipe_leaves_none_of_the_old_renditions() {
    let world = world();
    let job = world.upload("a", "one").await;
    world.pipeline.process(&job, 1).await.unwrap();
    let redo = Job {
        order: job.order.next_revision(),
        ..job
    };
    world.next_pipeline.process(&redo, 1).await.unwrap();
    let left = world.renditions.keys();
    assert_eq!(
        left,
        ["a/thumbnail.avif", "a/thumbnail.jpg", "a/wide.avif", "a/wide.jpg"]
    );
}

/// Publishes `a` and takes one of its renditions away. Answers the job that published it.
async fn lacking_one(world: &World) -> Job {
    let job = world.upload("a", "one").await;
    world.pipeline.process(&job, 1).await.unwrap();
    world
        .renditions
        .delete("a/medium.webp", Precondition::None)
        .await
        .unwrap();
    job
}

#[tokio::test]
async fn a_repeated_event_repairs_what_is_missing() {
    let world = world();
    let job = lacking_one(&world).await;
    assert_eq!(
        world.pipeline.process(&job, 1).await.unwrap(),
        Outcome::Skipped(Skip::Duplicate)
    );
    assert_eq!(world.published("a").await, "one");
}

/// The text renderer's JPEG is the shortest of its files, which all have the same score.
#[tokio::test]
async fn an_object_tells_which_formats_are_smaller_and_no_worse() {
    let world = world();
    let job = world.upload("a", "one").await;
    world.pipeline.process(&job, 1).await.unwrap();
    let told = async |name: &str| {
        let meta = world.renditions.head(name).await.unwrap();
        meta.metadata.get("tintype-stand-ins").cloned()
    };
    assert_eq!(told("a/medium.avif").await.as_deref(), Some("jpg"));
    assert_eq!(told("a/medium.webp").await.as_deref(), Some("jpg"));
    assert_eq!(told("a/medium.jpg").await, None);
}

#[tokio::test]
async fn an_object_that_tells_other_stand_ins_than_the_record_is_made_again() {
    let world = world();
    let job = world.upload("a", "one").await;
    world.pipeline.process(&job, 1).await.unwrap();
    // An older release wrote the same bytes late.
    let Object { mut meta, body } = world
        .renditions
        .get("a/medium.avif", GetOptions::default())
        .await
        .unwrap();
    meta.metadata.remove("tintype-stand-ins");
    let options = PutOptions {
        metadata: meta.metadata,
        ..PutOptions::default()
    };
    world
        .renditions
        .put("a/medium.avif", body, options)
        .await
        .unwrap();
    world.pipeline.process(&job, 2).await.unwrap();
    let meta = world.renditions.head("a/medium.avif").await.unwrap();
    assert_eq!(meta.metadata["tintype-stand-ins"], "jpg");
    assert_eq!(world.published("a").await, "one");
}

#[tokio::test]
async fn the_longest_keys_are_settled_too() {
    let world = world();
    let key = "k".repeat(1024);
    let job = world.upload(&key, "one").await;
    assert!(matches!(
        world.pipeline.process(&job, 2).await.unwrap(),
        Outcome::Rejected(_)
    ));
}

#[tokio::test]
async fn a_rejected_repair_leaves_what_is_left_of_a_set() {
    let world = world();
    let job = lacking_one(&world).await;
    let left = world.renditions.keys();
    let rejection = Rejection::new(RejectionCode::TooManyPixels, "now");
    let answers = || RenderError::Rejected(rejection.clone());
    world
        .renderer
        .script
        .lock()
        .unwrap()
        .extend([answers(), answers()]);
    let redo = Job {
        order: job.order.next_revision(),
        ..job
    };
    assert!(matches!(
        world.pipeline.process(&redo, 1).await.unwrap(),
        Outcome::Rejected(_)
    ));
    assert_eq!(world.renditions.keys(), left);
    let record = world.record("a").await.unwrap();
    assert_eq!(record.status.name(), "ready");
    assert_eq!(record.attempt.unwrap().result.name(), "rejected");
}
