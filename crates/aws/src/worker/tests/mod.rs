//! The worker over memory stores, invoked with the events and contexts that Lambda would pass.

mod failures;
mod history;
mod removals;
mod scale;
mod withdrawals;
mod world;

use serde_json::json;
use tintype_model::{ObjectStore, Order, PutOptions, Sequencer, Status, Work};

use self::world::{World, etag_of, job_body, message, notice};
use crate::event::BatchResponse;
use crate::invalidation::Kind;

fn failed(response: &BatchResponse) -> Vec<&str> {
    response
        .batch_item_failures
        .iter()
        .map(|failure| failure.item_identifier.as_str())
        .collect()
}

/// The record of an upload, alone.
fn record_of(key: &str, content: &str) -> serde_json::Value {
    let event = notice("ObjectCreated:Put", key, 1, Some(&etag_of(content)));
    serde_json::from_str::<serde_json::Value>(&event).unwrap()["Records"][0].clone()
}

#[tokio::test]
async fn an_upload_is_published_and_its_duplicate_changes_nothing() {
    let world = World::new();
    world.put("a b+c.jpg", "picture").await;
    let event = notice("ObjectCreated:Put", "a b+c.jpg", 1, Some(&etag_of("picture")));
    for _ in 0..3 {
        let response = world.handle(vec![message("m-1", 1, &event)]).await;
        assert_eq!(
            serde_json::to_value(&response).unwrap(),
            json!({ "batchItemFailures": [] })
        );
    }
    assert_eq!(world.shown("a b+c.jpg").await, "picture");
    assert_eq!(world.renders(), 1, "duplicates are not rendered");
    assert_eq!(world.hidden(), [], "what is done is not hidden");
}

#[tokio::test]
async fn a_bad_picture_is_an_answer() {
    let world = World::new();
    world.put("a.jpg", "bad").await;
    let event = notice("ObjectCreated:Post", "a.jpg", 1, Some(&etag_of("bad")));
    assert_eq!(
        failed(&world.handle(vec![message("m", 1, &event)]).await),
        [""; 0]
    );
    assert_eq!(world.shown("a.jpg").await, "rejected");
}

#[tokio::test]
async fn jobs_of_our_own_are_done() {
    let world = World::new();
    world.put("a.jpg", "picture").await;
    let order = Order::of_event(Sequencer::from_counter(7)).next_revision();
    let body = job_body(
        "a.jpg",
        order.clone(),
        Work::Render {
            etag: etag_of("picture"),
        },
    );
    assert_eq!(failed(&world.handle(vec![message("m", 1, &body)]).await), [""; 0]);
    let record = world.record("a.jpg").await.unwrap();
    assert_eq!(record.order, order);
    assert_eq!(world.shown("a.jpg").await, "picture");
}

#[tokio::test]
async fn test_events_and_unknown_events_are_acknowledged() {
    let world = World::new();
    world.put("a.jpg", "picture").await;
    let test = include_str!("../../event/fixtures/test-event.json");
    let tagging = notice("ObjectTagging:Put", "a.jpg", 1, None);
    let response = world
        .handle(vec![message("m-1", 1, test), message("m-2", 1, &tagging)])
        .await;
    assert_eq!(failed(&response), [""; 0]);
    assert_eq!(world.record("a.jpg").await, None, "nothing is done");
}

/// The last receive is when a failure would leave word in the record.
#[tokio::test]
async fn events_of_other_buckets_are_acknowledged_and_leave_nothing_behind() {
    let world = World::new();
    world.put("a.jpg", "picture").await;
    for bucket in ["processed", "somebody-elses"] {
        for name in ["ObjectCreated:Put", "ObjectRemoved:Delete"] {
            // After every sequencer that S3 sends.
            let event = notice(name, "a.jpg", u64::MAX, Some(&etag_of("picture")));
            assert!(event.contains("FFFFFFFFFFFFFFFF"), "{event}");
            let event = event.replace("\"raw\"", &format!("{bucket:?}"));
            let response = world.handle(vec![message("m", 5, &event)]).await;
            assert_eq!(failed(&response), [""; 0]);
        }
    }
    assert_eq!(world.record("a.jpg").await, None);
    assert_eq!(world.hidden(), [], "nothing is tried again");
    let event = notice("ObjectCreated:Put", "a.jpg", 1, Some(&etag_of("picture")));
    world.handle(vec![message("m", 1, &event)]).await;
    assert_eq!(world.shown("a.jpg").await, "picture");
}

#[tokio::test]
async fn a_record_that_cannot_be_understood_fails_its_message_and_none_of_its_neighbours() {
    let world = World::new();
    let mut records = vec![json!({ "eventVersion": "2.1", "eventName": "ObjectCreated:Put" })];
    for key in ["a.jpg", "b.jpg"] {
        world.put(key, "picture").await;
        records.push(record_of(key, "picture"));
    }
    records.insert(2, json!(7));
    let body = json!({ "Records": records }).to_string();
    for receives in 1..=5 {
        let response = world.handle(vec![message("m", receives, &body)]).await;
        assert_eq!(failed(&response), ["m"], "it ends in the dead-letter queue");
        assert_eq!(world.shown("a.jpg").await, "picture");
        assert_eq!(world.shown("b.jpg").await, "picture");
    }
    assert_eq!(world.renders(), 2, "the neighbours are not rendered again");
    let hidden: Vec<_> = world.hidden().into_iter().map(|(_, seconds)| seconds).collect();
    assert_eq!(hidden, [15, 30, 60, 120, 0]);
}

#[tokio::test]
async fn every_subset_of_a_batch_can_fail() {
    const SIZE: u32 = 6;
    for subset in 0_u32..1 << SIZE {
        let world = World::new();
        let mut messages = Vec::new();
        let mut expected = Vec::new();
        for index in 0..SIZE {
            let (key, id) = (format!("{index}.jpg"), format!("m-{index}"));
            let fails = subset & (1 << index) != 0;
            let content = if fails { "broken" } else { "picture" };
            world.put(&key, content).await;
            let event = notice("ObjectCreated:Put", &key, 1, Some(&etag_of(content)));
            messages.push(message(&id, 1, &event));
            if fails {
                expected.push(id);
            }
        }
        assert_eq!(failed(&world.handle(messages).await), expected, "{subset:b}");
        for index in 0..SIZE {
            let shown = world.shown(&format!("{index}.jpg")).await;
            let fails = subset & (1 << index) != 0;
            assert_eq!(shown, if fails { "nothing" } else { "picture" }, "{subset:b}");
        }
    }
}

#[tokio::test]
async fn a_message_with_several_records_fails_as_a_whole_and_repeats_only_what_was_not_done() {
    let world = World::new();
    world.put("a.jpg", "picture").await;
    world.put("b.jpg", "broken").await;
    let records = [record_of("b.jpg", "broken"), record_of("a.jpg", "picture")];
    let body = json!({ "Records": records }).to_string();
    assert_eq!(failed(&world.handle(vec![message("m", 1, &body)]).await), ["m"]);
    assert_eq!(
        world.shown("a.jpg").await,
        "picture",
        "the failure before it does not hold it up"
    );
    world.repair();
    assert_eq!(failed(&world.handle(vec![message("m", 2, &body)]).await), [""; 0]);
    assert_eq!(world.shown("b.jpg").await, "broken");
    assert_eq!(world.renders(), 3, "two tries of b.jpg, one of a.jpg");
}

#[tokio::test]
async fn a_missing_sequencer_is_made_up_from_the_record() {
    let world = World::new();
    let unordered =
        |name: &str, key: &str| notice(name, key, 1, Some("wrong")).replace("\"sequencer\"", "\"was\"");
    let put = unordered("ObjectCreated:Put", "a.jpg");
    let gone = unordered("ObjectRemoved:Delete", "a.jpg");

    assert_eq!(failed(&world.handle(vec![message("m", 1, &gone)]).await), [""; 0]);
    assert_eq!(world.record("a.jpg").await, None, "there was nothing to remove");

    world.put("a.jpg", "one").await;
    for _ in 0..2 {
        world.handle(vec![message("m", 1, &put)]).await;
    }
    let first = world.record("a.jpg").await.unwrap();
    assert_eq!(world.shown("a.jpg").await, "one");
    assert_eq!(world.renders(), 1, "the duplicate is seen by the record");
    let real = Order::of_event(Sequencer::new("0055AED6DCD90281E5").unwrap());
    assert!(first.order < real, "older than every event that S3 orders");

    world.put("a.jpg", "two").await;
    // The late event of the first upload does it, the second one finds it done.
    world
        .handle(vec![message("m", 1, &put), message("m", 1, &put)])
        .await;
    assert_eq!(world.shown("a.jpg").await, "two");
    assert_eq!(world.renders(), 2);
    assert_eq!(
        world.record("a.jpg").await.unwrap().order,
        first.order.next_revision()
    );

    world.delete("a.jpg").await;
    for _ in 0..2 {
        assert_eq!(failed(&world.handle(vec![message("m", 1, &gone)]).await), [""; 0]);
    }
    assert_eq!(world.record("a.jpg").await.unwrap().status, Status::Deleted);
    let told = [Kind::Replaced, Kind::Removed].map(|kind| ("a.jpg".to_owned(), kind));
    assert_eq!(world.told(), told, "of each once");
}

#[tokio::test]
async fn a_made_up_order_that_loses_is_tried_again() {
    let world = World::new();
    world.put("a.jpg", "slow one").await;
    let unordered = notice("ObjectCreated:Put", "a.jpg", 1, None).replace("\"sequencer\"", "\"was\"");
    let first = world.handle(vec![message("m-1", 1, &unordered)]);
    let second = async {
        world.rendering().await;
        world.put("a.jpg", "two").await;
        world.handle(vec![message("m-2", 1, &unordered)]).await
    };
    // The slow one holds the order that the second one takes too: no record was there for either.
    let (first, second) = tokio::join!(first, second);
    let failures = failed(&first).len() + failed(&second).len();
    assert_eq!(failures, 1, "one of them lost");
    world.handle(vec![message("m-3", 2, &unordered)]).await;
    assert_eq!(world.shown("a.jpg").await, "two");
}

#[tokio::test]
async fn a_source_that_is_no_picture_keeps_its_key() {
    let world = World::new();
    world
        .sources
        .put("folder/", bytes::Bytes::new(), PutOptions::default())
        .await
        .unwrap();
    let event = notice("ObjectCreated:Put", "folder/", 1, Some(&etag_of("")));
    assert_eq!(
        failed(&world.handle(vec![message("m", 1, &event)]).await),
        [""; 0]
    );
    assert_eq!(world.renders(), 0);
}
