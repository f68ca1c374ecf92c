use std::sync::atomic::Ordering;

use bytes::Bytes;
use tintype_model::{
    AttemptResult, Focus, Gravity, Job, MetadataStore, ObjectKey, ObjectStore, Outcome, PutOptions, Record,
    Rejection, RejectionCode, RenderError, Skip, Status, UnixMillis, Work,
};

use tintype_pipeline::Layout;

use crate::world::World;

/// Each of these holds wherever renditions are kept.
macro_rules! in_both_layouts {
    ($($name:ident),* $(,)?) => {
        mod in_random_sets {
            $(#[tokio::test] async fn $name() { super::$name(super::World::smooth(super::Layout::RandomSets)).await; })*
        }
        mod in_place {
            $(#[tokio::test] async fn $name() { super::$name(super::World::smooth(super::Layout::InPlace)).await; })*
        }
    };
}

in_both_layouts!(
    an_upload_becomes_a_complete_set_and_a_record,
    the_same_event_again_changes_nothing,
    an_overwrite_replaces_the_whole_set_and_the_late_event_loses,
    an_event_for_replaced_content_is_left_to_the_newer_event,
    a_delete_leaves_a_tombstone_that_late_events_cannot_pass,
    the_delete_may_arrive_before_the_upload,
    work_without_an_event_publishes_only_the_same_content,
    bad_sources_are_answers,
    a_bad_overwrite_takes_the_old_picture_down,
    folder_markers_are_skipped,
    a_rendition_is_not_rendered_again,
    a_failing_machine_is_an_error_and_the_next_try_publishes,
    given_up_work_is_shown_and_can_still_succeed,
    a_reprocess_takes_no_picture_away,
    every_kind_of_rejection_leaves_what_is_published,
    keys_below_a_key_are_other_images,
    versions_differ_with_content_and_are_the_same_for_the_same_content,
    a_focal_point_moves_crops_and_is_part_of_the_version,
);

fn code(outcome: Outcome) -> RejectionCode {
    match outcome {
        Outcome::Rejected(rejection) => rejection.code,
        other => panic!("not rejected: {other:?}"),
    }
}

async fn an_upload_becomes_a_complete_set_and_a_record(world: World) {
    let job = world.upload("some/photo.jpg", "sun").await;
    assert_eq!(world.pipeline.process(&job, 1).await.unwrap(), Outcome::Processed);
    assert_eq!(world.published("some/photo.jpg").await, "sun");
    let record = world.record("some/photo.jpg").await.unwrap();
    assert_eq!(record.order, job.order);
    assert_eq!(record.source.unwrap().size_bytes, 3);
    assert_eq!(world.renditions.keys().len(), 9);
    let object = world.renditions.head(&world.renditions.keys()[0]).await.unwrap();
    assert_eq!(object.cache_control.as_deref(), Some("public, max-age=86400"));
    assert!(object.content_type.unwrap().starts_with("image/"));
}

async fn the_same_event_again_changes_nothing(world: World) {
    let job = world.upload("a", "one").await;
    world.pipeline.process(&job, 1).await.unwrap();
    let (objects, records) = (world.renditions.writes(), world.metadata.writes());
    for _ in 0..3 {
        assert_eq!(
            world.pipeline.process(&job, 1).await.unwrap(),
            Outcome::Skipped(Skip::Duplicate)
        );
    }
    assert_eq!(
        (world.renditions.writes(), world.metadata.writes()),
        (objects, records)
    );
    assert_eq!(world.renderer.renders.load(Ordering::Relaxed), 1);
}

async fn an_overwrite_replaces_the_whole_set_and_the_late_event_loses(world: World) {
    let first = world.upload("a", "one").await;
    world.pipeline.process(&first, 1).await.unwrap();
    let second = world.upload("a", "two").await;
    let third = world.upload("a", "three").await;
    assert_eq!(
        world.published("a").await,
        "one",
        "the old picture stays until the new one is ready"
    );
    assert_eq!(
        world.pipeline.process(&third, 1).await.unwrap(),
        Outcome::Processed
    );
    assert_eq!(
        world.pipeline.process(&second, 1).await.unwrap(),
        Outcome::Skipped(Skip::Superseded)
    );
    assert_eq!(world.published("a").await, "three");
    assert_eq!(world.renditions.keys().len(), 9, "replaced sets are removed");
}

async fn an_event_for_replaced_content_is_left_to_the_newer_event(world: World) {
    let first = world.upload("a", "one").await;
    world.upload("a", "two").await;
    assert_eq!(
        world.pipeline.process(&first, 1).await.unwrap(),
        Outcome::Skipped(Skip::Superseded)
    );
    assert_eq!(world.published("a").await, "nothing");
}

async fn a_delete_leaves_a_tombstone_that_late_events_cannot_pass(world: World) {
    let upload = world.upload("a", "one").await;
    world.pipeline.process(&upload, 1).await.unwrap();
    let redo = Job {
        order: upload.order.next_revision(),
        ..upload.clone()
    };
    let delete = world.delete("a").await;
    assert_eq!(
        world.pipeline.process(&delete, 1).await.unwrap(),
        Outcome::Processed
    );
    assert_eq!(world.published("a").await, "deleted");
    assert!(world.renditions.keys().is_empty());
    world
        .sources
        .put("a", Bytes::from_static(b"one"), PutOptions::default())
        .await
        .unwrap();
    for late in [&upload, &redo] {
        assert_eq!(
            world.pipeline.process(late, 1).await.unwrap(),
            Outcome::Skipped(Skip::Superseded)
        );
    }
    let again = world.upload("a", "one").await;
    assert_eq!(
        world.pipeline.process(&again, 1).await.unwrap(),
        Outcome::Processed
    );
    assert_eq!(world.published("a").await, "one");
}

async fn the_delete_may_arrive_before_the_upload(world: World) {
    let upload = world.upload("a", "one").await;
    let delete = world.delete("a").await;
    assert_eq!(
        world.pipeline.process(&delete, 1).await.unwrap(),
        Outcome::Processed
    );
    assert_eq!(
        world.pipeline.process(&upload, 1).await.unwrap(),
        Outcome::Skipped(Skip::Superseded)
    );
    assert_eq!(world.published("a").await, "deleted");
}

async fn work_without_an_event_publishes_only_the_same_content(world: World) {
    let upload = world.upload("a", "one").await;
    world.pipeline.process(&upload, 1).await.unwrap();
    let redo = Job {
        order: upload.order.next_revision(),
        ..upload.clone()
    };
    assert_eq!(
        world.pipeline.process(&redo, 1).await.unwrap(),
        Outcome::Processed
    );
    let record = world.record("a").await.unwrap();
    assert_eq!(record.order, redo.order);
    let newer = world.upload("a", "two").await;
    let again = Job {
        order: redo.order.next_revision(),
        ..upload
    };
    assert_eq!(
        world.pipeline.process(&again, 1).await.unwrap(),
        Outcome::Skipped(Skip::Superseded)
    );
    assert_eq!(
        world.pipeline.process(&newer, 1).await.unwrap(),
        Outcome::Processed
    );
    assert_eq!(world.published("a").await, "two");
}

async fn bad_sources_are_answers(world: World) {
    for (key, body, expected) in [
        ("a//b", "x", RejectionCode::UnservableKey),
        ("../a", "x", RejectionCode::UnservableKey),
        ("a/", "not empty", RejectionCode::UnservableKey),
        ("empty.jpg", "", RejectionCode::Empty),
        ("big.jpg", &"x".repeat(1001), RejectionCode::TooManyBytes),
        ("corrupt.jpg", "bad bytes", RejectionCode::CorruptImage),
    ] {
        let job = world.upload(key, body).await;
        assert_eq!(
            code(world.pipeline.process(&job, 1).await.unwrap()),
            expected,
            "{key}"
        );
        assert_eq!(world.published(key).await, "rejected");
        assert_eq!(
            world.pipeline.process(&job, 1).await.unwrap(),
            Outcome::Skipped(Skip::Duplicate)
        );
    }
    assert!(world.renditions.keys().is_empty());
}

async fn a_bad_overwrite_takes_the_old_picture_down(world: World) {
    for body in ["one", "bad"] {
        let job = world.upload("a", body).await;
        world.pipeline.process(&job, 1).await.unwrap();
    }
    assert_eq!(world.published("a").await, "rejected");
    assert!(world.renditions.keys().is_empty());
}

async fn folder_markers_are_skipped(world: World) {
    let job = world.upload("folder/", "").await;
    assert_eq!(
        world.pipeline.process(&job, 1).await.unwrap(),
        Outcome::Skipped(Skip::FolderMarker)
    );
    assert!(world.renditions.keys().is_empty());
}

async fn a_rendition_is_not_rendered_again(world: World) {
    let options = PutOptions {
        metadata: [("tintype-order".to_owned(), "00-00".to_owned())].into(),
        ..PutOptions::default()
    };
    let job = world.upload("copy.avif", "one").await;
    let meta = world
        .sources
        .put("copy.avif", Bytes::from_static(b"one"), options)
        .await
        .unwrap();
    let job = Job {
        work: Work::Render { etag: meta.etag },
        ..job
    };
    assert_eq!(
        code(world.pipeline.process(&job, 1).await.unwrap()),
        RejectionCode::OwnRendition
    );
}

async fn a_failing_machine_is_an_error_and_the_next_try_publishes(world: World) {
    let job = world.upload("a", "one").await;
    world
        .renderer
        .script
        .lock()
        .unwrap()
        .push(RenderError::Failed("no more processes".into()));
    world.pipeline.process(&job, 1).await.unwrap_err();
    assert_eq!(world.published("a").await, "nothing");
    world.renderer.missing.store(1, Ordering::Relaxed);
    world.pipeline.process(&job, 1).await.unwrap_err();
    assert_eq!(
        world.published("a").await,
        "nothing",
        "an incomplete set is not published"
    );
    assert!(world.renditions.keys().is_empty());
    world.renderer.missing.store(0, Ordering::Relaxed);
    assert_eq!(world.pipeline.process(&job, 1).await.unwrap(), Outcome::Processed);
}

async fn given_up_work_is_shown_and_can_still_succeed(world: World) {
    let job = world.upload("a", "one").await;
    // As a store announces an upload that it knows of.
    let pending = Record {
        key: job.key.clone(),
        order: job.order.clone(),
        status: Status::Pending,
        updated_at: UnixMillis(0),
        source: None,
        attempt: None,
    };
    world.metadata.put(&pending).await.unwrap();
    world
        .pipeline
        .give_up(&job, "store is unavailable".to_owned(), 5)
        .await
        .unwrap();
    assert_eq!(world.published("a").await, "failed");
    assert_eq!(world.pipeline.process(&job, 1).await.unwrap(), Outcome::Processed);
    assert_eq!(world.published("a").await, "one");

    let next = world.upload("a", "two").await;
    world
        .pipeline
        .give_up(&next, "store is unavailable".to_owned(), 5)
        .await
        .unwrap();
    assert_eq!(world.published("a").await, "one", "a published picture stays");
    let attempt = world.record("a").await.unwrap().attempt.unwrap();
    assert_eq!(
        (attempt.order, attempt.result.name()),
        (next.order.clone(), "failed")
    );
    assert_eq!(
        world.pipeline.process(&next, 1).await.unwrap(),
        Outcome::Processed
    );
    assert_eq!(world.published("a").await, "two");
    assert_eq!(world.record("a").await.unwrap().attempt, None);
}

/// A renderer whose limit was lowered, or which reads less than the one before.
async fn a_reprocess_takes_no_picture_away(world: World) {
    let job = world.upload("a", "one").await;
    world.pipeline.process(&job, 1).await.unwrap();
    let before = world.record("a").await.unwrap();
    let objects = world.renditions.keys();
    let mut redo = job.clone();
    for detail in ["too many pixels", "no such format"] {
        redo.order = redo.order.next_revision();
        let rejection = Rejection::new(RejectionCode::TooManyPixels, detail);
        let answers = || world.renderer.script.lock().unwrap();
        answers().push(RenderError::Rejected(rejection.clone()));
        assert_eq!(
            world.pipeline.process(&redo, 1).await.unwrap(),
            Outcome::Rejected(rejection.clone())
        );
        let after = world.record("a").await.unwrap();
        assert_eq!(world.published("a").await, "one");
        assert_eq!(world.renditions.keys(), objects);
        assert_eq!(
            (&after.status, &after.order, after.updated_at),
            (&before.status, &before.order, before.updated_at)
        );
        let attempt = after.attempt.clone().unwrap();
        assert_eq!(attempt.order, redo.order);
        assert_eq!(attempt.result, AttemptResult::Rejected { rejection });
        let again = world.pipeline.process(&redo, 2).await.unwrap();
        assert_eq!(again, Outcome::Skipped(Skip::Duplicate));
    }
    redo.order = redo.order.next_revision();
    world
        .pipeline
        .give_up(&redo, "no more processes".to_owned(), 5)
        .await
        .unwrap();
    let attempt = world.record("a").await.unwrap().attempt.unwrap();
    assert_eq!(
        (attempt.order, attempt.result.name()),
        (redo.order.clone(), "failed")
    );
    assert_eq!(world.published("a").await, "one");
    assert_eq!(world.renditions.keys(), objects);

    // The limit is raised, the machine works again.
    assert_eq!(
        world.pipeline.process(&redo, 1).await.unwrap(),
        Outcome::Processed
    );
    let after = world.record("a").await.unwrap();
    assert_eq!((after.order, after.attempt), (redo.order, None));
    assert_eq!(world.published("a").await, "one");
    assert_eq!(world.renditions.keys().len(), 9);
}

/// The limits of bytes, of keys and of what is rendered all count again when a source is reprocessed.
async fn every_kind_of_rejection_leaves_what_is_published(world: World) {
    let job = world.upload("a", "one").await;
    world.pipeline.process(&job, 1).await.unwrap();
    let mut redo = job;
    for code in [
        RejectionCode::Empty,
        RejectionCode::TooManyBytes,
        RejectionCode::TooManyFrames,
        RejectionCode::UnsupportedFormat,
        RejectionCode::CorruptImage,
        RejectionCode::DecoderKilled,
    ] {
        redo.order = redo.order.next_revision();
        let rejection = Rejection::new(code, "now");
        world
            .renderer
            .script
            .lock()
            .unwrap()
            .push(RenderError::Rejected(rejection));
        world.pipeline.process(&redo, 1).await.unwrap();
        assert_eq!(world.published("a").await, "one", "{code:?}");
    }
    // Another upload is another picture, and a removal is a removal.
    let bad = world.upload("a", "bad").await;
    world.pipeline.process(&bad, 1).await.unwrap();
    assert_eq!(world.published("a").await, "rejected");
    assert!(world.renditions.keys().is_empty());
    let good = world.upload("a", "two").await;
    world.pipeline.process(&good, 1).await.unwrap();
    let removal = world.delete("a").await;
    world.pipeline.process(&removal, 1).await.unwrap();
    assert_eq!(world.published("a").await, "deleted");
    assert!(world.renditions.keys().is_empty());
}

async fn keys_below_a_key_are_other_images(world: World) {
    for key in ["a", "a/medium.avif", "a/medium.avif/medium.avif"] {
        let job = world.upload(key, key).await;
        world.pipeline.process(&job, 1).await.unwrap();
    }
    let job = world.delete("a").await;
    world.pipeline.process(&job, 1).await.unwrap();
    assert_eq!(world.published("a").await, "deleted");
    assert_eq!(world.published("a/medium.avif").await, "a/medium.avif");
    assert_eq!(
        world.published("a/medium.avif/medium.avif").await,
        "a/medium.avif/medium.avif"
    );
}

async fn versions_differ_with_content_and_are_the_same_for_the_same_content(world: World) {
    let mut versions = Vec::new();
    for (key, body) in [("a", "one"), ("b", "one"), ("c", "two")] {
        let job = world.upload(key, body).await;
        world.pipeline.process(&job, 1).await.unwrap();
        match world.record(key).await.unwrap().status {
            Status::Ready { version, .. } => versions.push(version),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(versions[0], versions[1]);
    assert_ne!(versions[0], versions[2]);
    assert!(ObjectKey::new(&versions[0].0).is_ok());
}

/// Uploads the same bytes as always, with a focal point.
async fn focus_on(world: &World, key: &str, focus: Option<&str>) -> Job {
    let job = world.upload(key, "sun").await;
    let metadata = focus.map(|focus| ("focus".to_owned(), focus.to_owned()));
    let options = PutOptions {
        metadata: metadata.into_iter().collect(),
        ..PutOptions::default()
    };
    let body = Bytes::from_static(b"sun");
    world.sources.put(key, body, options).await.unwrap();
    job
}

async fn a_focal_point_moves_crops_and_is_part_of_the_version(world: World) {
    let focused = |x, y| Gravity::Focus(Focus { x, y });
    let mut versions = Vec::new();
    let mut recipes = Vec::new();
    for (focus, asked) in [
        (None, Gravity::Center),
        (Some("0.3,0.7"), focused(3000, 7000)),
        (Some("0.3,0.8"), focused(3000, 8000)),
        (Some("somewhere"), Gravity::Center),
    ] {
        let job = focus_on(&world, "a", focus).await;
        world.next_pipeline.process(&job, 1).await.unwrap();
        let rendered = world.renderer.recipes.lock().unwrap().pop().unwrap();
        assert_eq!(rendered.variant("thumbnail").unwrap().gravity, asked);
        assert_eq!(
            rendered.variant("wide").unwrap().gravity,
            Gravity::Center,
            "nothing is cropped"
        );
        match world.record("a").await.unwrap().status {
            Status::Ready { version, recipe, .. } => {
                versions.push(version);
                recipes.push(recipe);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_ne!(versions[0], versions[1]);
    assert_ne!(versions[1], versions[2]);
    assert_eq!(versions[0], versions[3]);
    recipes.dedup();
    assert_eq!(recipes.len(), 1, "the recipe is the configured one");
    // A recipe that crops nothing has nothing to focus.
    let mut plain = Vec::new();
    for focus in [None, Some("0.3,0.7")] {
        let job = focus_on(&world, "b", focus).await;
        world.pipeline.process(&job, 1).await.unwrap();
        match world.record("b").await.unwrap().status {
            Status::Ready { version, .. } => plain.push(version),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(plain[0], plain[1]);
}
