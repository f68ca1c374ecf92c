use tintype_model::{Order, Sequencer, Work};

use super::failed;
use super::world::{World, etag_of, job_body, message, notice};
use crate::invalidation::Kind;

const REMOVALS: [&str; 4] = [
    "ObjectRemoved:Delete",
    "ObjectRemoved:DeleteMarkerCreated",
    "LifecycleExpiration:Delete",
    "LifecycleExpiration:DeleteMarkerCreated",
];

/// A world that shows `one` by the event 1, and whose source is now `source`.
async fn showing_one(source: Option<&str>) -> World {
    let world = World::new();
    world.put("a.jpg", "one").await;
    let event = notice("ObjectCreated:Put", "a.jpg", 1, Some(&etag_of("one")));
    world.handle(vec![message("m", 1, &event)]).await;
    assert_eq!(world.shown("a.jpg").await, "one");
    assert_eq!(world.told(), [], "nothing was public before");
    // That render has been waited for; the next one to wait for is the next one to start.
    world.rendering().await;
    match source {
        Some(source) => world.put("a.jpg", source).await,
        None => world.delete("a.jpg").await,
    }
    world
}

#[tokio::test]
async fn what_a_removal_comes_to_depends_on_what_is_left() {
    // Event, what is left of the source, what is shown then, by which event.
    for (name, left, shown, order) in [
        ("ObjectRemoved:Delete", None, "deleted", 2),
        ("ObjectRemoved:DeleteMarkerCreated", None, "deleted", 2),
        ("LifecycleExpiration:Delete", None, "deleted", 2),
        ("LifecycleExpiration:DeleteMarkerCreated", None, "deleted", 2),
        // Roll-back to the version before, undelete, or an old version went: what is there is what counts.
        ("ObjectRemoved:Delete", Some("zero"), "zero", 2),
        ("ObjectRemoved:Delete", Some("one"), "one", 2),
        // A newer event brought it back.
        ("ObjectRemoved:DeleteMarkerCreated", Some("one"), "one", 1),
        ("LifecycleExpiration:DeleteMarkerCreated", Some("two"), "one", 1),
        // An old version went.
        ("LifecycleExpiration:Delete", Some("one"), "one", 1),
        ("LifecycleExpiration:Delete", Some("two"), "one", 1),
    ] {
        let world = showing_one(left).await;
        let event = notice(name, "a.jpg", 2, None);
        for _ in 0..2 {
            assert_eq!(
                failed(&world.handle(vec![message("m", 1, &event)]).await),
                [""; 0]
            );
        }
        assert_eq!(world.shown("a.jpg").await, shown, "{name} {left:?}");
        let order = Order::of_event(Sequencer::from_counter(order));
        assert_eq!(
            world.record("a.jpg").await.unwrap().order,
            order,
            "{name} {left:?}"
        );
        let expected = match shown {
            "deleted" => vec![("a.jpg".to_owned(), Kind::Removed)],
            "zero" => vec![("a.jpg".to_owned(), Kind::Replaced)],
            // It was rendered again at the most, and its bytes are what they were.
            _ => Vec::new(),
        };
        assert_eq!(world.told(), expected, "{name} {left:?}");
    }
}

#[tokio::test]
async fn late_events_cannot_bring_a_removed_picture_back() {
    for name in REMOVALS {
        let world = showing_one(None).await;
        world
            .handle(vec![message("m", 1, &notice(name, "a.jpg", 3, None))])
            .await;
        assert_eq!(world.renditions.keys(), [""; 0], "its renditions are gone");
        // The same content came back and went: its event must not count.
        world.put("a.jpg", "one").await;
        let late = notice("ObjectCreated:Put", "a.jpg", 2, Some(&etag_of("one")));
        world.handle(vec![message("m", 1, &late)]).await;
        assert_eq!(world.shown("a.jpg").await, "deleted", "{name}");
        let newer = notice("ObjectCreated:Put", "a.jpg", 4, Some(&etag_of("one")));
        world.handle(vec![message("m", 1, &newer)]).await;
        assert_eq!(world.shown("a.jpg").await, "one", "{name}");
    }
}

#[tokio::test]
async fn old_versions_of_a_removed_key_cost_no_invalidation() {
    let world = showing_one(None).await;
    world
        .handle(vec![message("m", 1, &notice(REMOVALS[1], "a.jpg", 2, None))])
        .await;
    assert_eq!(world.told(), [("a.jpg".to_owned(), Kind::Removed)]);
    for sequencer in 3..6 {
        let expired = notice("LifecycleExpiration:Delete", "a.jpg", sequencer, None);
        assert_eq!(
            failed(&world.handle(vec![message("m", 1, &expired)]).await),
            [""; 0]
        );
    }
    assert_eq!(world.told(), []);
    let order = Order::of_event(Sequencer::from_counter(5));
    assert_eq!(
        world.record("a.jpg").await.unwrap().order,
        order,
        "the tombstone is the newest all the same"
    );
}

#[tokio::test]
async fn a_version_that_went_while_it_was_still_being_rendered_is_not_what_stays() {
    let world = showing_one(Some("slow two")).await;
    let put = notice("ObjectCreated:Put", "a.jpg", 2, Some(&etag_of("slow two")));
    let rolled_back = async {
        world.rendering().await;
        // Version 2 is deleted: version 1, which the record still shows, is the current one again.
        world.put("a.jpg", "one").await;
        let event = notice("ObjectRemoved:Delete", "a.jpg", 3, None);
        world.handle(vec![message("m-2", 1, &event)]).await
    };
    let late = world.handle(vec![message("m-1", 1, &put)]);
    let (late, rolled_back) = tokio::join!(late, rolled_back);
    assert_eq!(failed(&late), [""; 0]);
    assert_eq!(failed(&rolled_back), [""; 0]);
    assert_eq!(world.shown("a.jpg").await, "one");
}

#[tokio::test]
async fn nothing_that_is_late_tells_of_a_forgotten_key_again() {
    let world = showing_one(None).await;
    let removal = notice("ObjectRemoved:DeleteMarkerCreated", "a.jpg", 2, None);
    world.handle(vec![message("m", 1, &removal)]).await;
    let order = Order::of_event(Sequencer::from_counter(1)).next_revision();
    let forget = job_body("a.jpg", order, Work::Forget);
    assert_eq!(
        failed(&world.handle(vec![message("m", 1, &forget)]).await),
        [""; 0]
    );
    assert_eq!(world.record("a.jpg").await, None);
    // The upload's event, and the event that S3 sends when the old version ends, weeks later, and then its marker.
    assert_eq!(world.told().len(), 1, "of the removal");
    for late in [
        notice("ObjectCreated:Put", "a.jpg", 1, Some(&etag_of("one"))),
        notice("LifecycleExpiration:Delete", "a.jpg", 3, None),
        notice("LifecycleExpiration:Delete", "a.jpg", 4, None),
    ] {
        assert_eq!(failed(&world.handle(vec![message("m", 1, &late)]).await), [""; 0]);
        assert_eq!(world.record("a.jpg").await, None, "{late}");
    }
    assert_eq!(world.renditions.keys(), [""; 0]);
    assert_eq!(world.told(), [], "the caches have forgotten it before");
}
