use std::sync::atomic::Ordering;
use std::time::Duration;

use tintype_model::{Order, Status, Work};

use super::failed;
use super::world::{World, etag_of, job_body, message, notice};
use crate::event::BatchResponse;

fn event(key: &str, content: &str) -> String {
    notice("ObjectCreated:Put", key, 1, Some(&etag_of(content)))
}

#[tokio::test]
async fn a_failure_is_hidden_longer_each_time_and_the_last_one_leaves_word() {
    let world = World::new();
    world.put("a.jpg", "broken").await;
    let mut hidden = Vec::new();
    for receives in 1..=5 {
        assert_eq!(world.record("a.jpg").await, None, "receive {receives}");
        let body = event("a.jpg", "broken");
        assert_eq!(
            failed(&world.handle(vec![message("m", receives, &body)]).await),
            ["m"]
        );
        hidden = world.hidden();
    }
    let seconds: Vec<_> = hidden.iter().map(|(_, seconds)| *seconds).collect();
    assert_eq!(seconds, [15, 30, 60, 120, 0]);
    assert!(hidden.iter().all(|(receipt, _)| receipt == "receipt of m"));
    match world.record("a.jpg").await.unwrap().status {
        Status::Failed { failure } => {
            assert_eq!(failure.attempts, 5);
            assert!(
                failure.error.contains("the machine is broken"),
                "{}",
                failure.error
            );
        }
        other => panic!("{other:?}"),
    }
    world.repair();
    let redriven = world
        .handle(vec![message("m", 1, &event("a.jpg", "broken"))])
        .await;
    assert_eq!(failed(&redriven), [""; 0]);
    assert_eq!(
        world.shown("a.jpg").await,
        "broken",
        "redriven after the repair it is published"
    );
}

#[tokio::test]
async fn a_queue_that_does_not_answer_spoils_nothing() {
    let world = World::new();
    world.put("a.jpg", "broken").await;
    world.queue.refuses.store(true, Ordering::Relaxed);
    let response = world
        .handle(vec![message("m", 5, &event("a.jpg", "broken"))])
        .await;
    assert_eq!(failed(&response), ["m"]);
    assert_eq!(world.shown("a.jpg").await, "failed");
}

#[tokio::test]
async fn garbage_is_kept_for_the_dead_letter_queue_and_takes_nothing_with_it() {
    let world = World::new();
    world.put("a.jpg", "picture").await;
    let messages = vec![
        message("m-1", 1, "garbage"),
        message("m-2", 1, &event("a.jpg", "picture")),
        message(
            "m-3",
            5,
            &notice("ObjectCreated:Put", "b.jpg", 1, None).replace("2.1", "3.0"),
        ),
    ];
    assert_eq!(failed(&world.handle(messages).await), ["m-1", "m-3"]);
    assert_eq!(world.shown("a.jpg").await, "picture");
    let hidden = world.hidden();
    assert!(hidden.contains(&("receipt of m-1".to_owned(), 15)), "{hidden:?}");
    assert!(hidden.contains(&("receipt of m-3".to_owned(), 0)), "{hidden:?}");
}

#[tokio::test]
async fn a_panic_takes_its_own_message_with_it_and_no_other() {
    let world = World::new();
    let mut messages = Vec::new();
    for (id, content) in [("m-1", "one"), ("m-2", "panic"), ("m-3", "three")] {
        world.put(id, content).await;
        messages.push(message(id, 5, &event(id, content)));
    }
    assert_eq!(failed(&world.handle(messages).await), ["m-2"]);
    assert_eq!(world.shown("m-1").await, "one");
    assert_eq!(world.shown("m-3").await, "three");
    match world.record("m-2").await.unwrap().status {
        Status::Failed { failure } => assert_eq!(failure.error, "the worker panicked: as told"),
        other => panic!("{other:?}"),
    }
}

/// An invocation that has a render without end in hand when its time is over. When the machine is too busy to begin it
/// within the second that three leave for work, there is another invocation with more time.
async fn interrupted() -> (World, BatchResponse) {
    for seconds in [3, 12, 48, 192] {
        let world = World::new();
        world.put("slow.jpg", "hang").await;
        world.put("next.jpg", "picture").await;
        let messages = vec![
            message("m-1", 5, &event("slow.jpg", "hang")),
            message("m-2", 1, &event("next.jpg", "picture")),
        ];
        let response = world.handle_within(Duration::from_secs(seconds), messages).await;
        if world.renders() > 0 {
            return (world, response);
        }
    }
    panic!("no render was begun");
}

/// The render has no end of its own, so the answer alone shows that the invocation was cut short.
#[tokio::test]
async fn work_that_takes_too_long_is_dropped_in_time_and_reported() {
    let (world, response) = interrupted().await;
    assert_eq!(failed(&response), ["m-1", "m-2"]);
    assert!(
        world.renderer.dropped.load(Ordering::Relaxed),
        "the render is dropped, which kills its process"
    );
    assert_eq!(world.renders(), 1, "the next one was not started");
    let mut hidden = world.hidden();
    hidden.sort();
    assert_eq!(
        hidden,
        [
            ("receipt of m-1".to_owned(), 0),
            ("receipt of m-2".to_owned(), 15)
        ]
    );
    match world.record("slow.jpg").await.unwrap().status {
        Status::Failed { failure } => assert_eq!(failure.error, "the invocation's time was over"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_invocation_without_time_starts_nothing_and_still_answers() {
    let world = World::new();
    world.put("a.jpg", "picture").await;
    let messages = vec![message("m", 2, &event("a.jpg", "picture"))];
    let response = world.handle_within(Duration::from_millis(1900), messages).await;
    assert_eq!(failed(&response), ["m"]);
    assert_eq!(world.renders(), 0);
    assert_eq!(world.hidden(), [("receipt of m".to_owned(), 30)]);
}

#[tokio::test]
async fn settling_a_failure_never_outlasts_the_invocation() {
    let world = World::new();
    world.put("a.jpg", "broken").await;
    world.queue.hangs.store(true, Ordering::Relaxed);
    let messages = vec![message("m", 1, &event("a.jpg", "broken"))];
    let response = world.handle_within(Duration::from_millis(2500), messages).await;
    // The queue never answers, so that there is an answer because it was not waited for.
    assert_eq!(failed(&response), ["m"]);
    assert_eq!(world.hidden(), []);
}

#[tokio::test]
async fn the_time_of_the_invocation_bounds_each_render() {
    let world = World::new();
    // Exact figures are in the tests of `Budget`: here some of the time has passed when the worker looks at its clock.
    for (seconds, least, most) in [(900, 40.0, 40.0), (90, 10.0, 36.45), (10, 10.0, 10.0)] {
        world
            .handle_within(Duration::from_secs(seconds), Vec::new())
            .await;
        let deadline = world.renderer.deadlines.lock().unwrap().pop().unwrap();
        assert!(
            (least..=most).contains(&deadline.as_secs_f64()),
            "{seconds}: {deadline:?}"
        );
    }
}

#[tokio::test]
async fn a_reprocess_that_comes_to_nothing_leaves_the_bucket_as_it_was() {
    let world = World::new();
    world.repair();
    world.put("a.jpg", "broken").await;
    world
        .handle(vec![message("m", 1, &event("a.jpg", "broken"))])
        .await;
    let before = world.record("a.jpg").await.unwrap();
    assert_eq!(world.shown("a.jpg").await, "broken");
    let redo = |revision| {
        let order = Order {
            revision,
            ..before.order.clone()
        };
        let etag = etag_of("broken");
        job_body("a.jpg", order, Work::Render { etag })
    };
    let told = async || {
        let record = world.record("a.jpg").await.unwrap();
        assert_eq!((&record.status, &record.order), (&before.status, &before.order));
        assert_eq!(world.shown("a.jpg").await, "broken");
        record.attempt.map(|attempt| attempt.result.name())
    };

    world.renderer.strict.store(true, Ordering::Relaxed);
    let rejected = world.handle(vec![message("m-1", 1, &redo(1))]).await;
    assert_eq!(failed(&rejected), [""; 0]);
    assert_eq!(told().await, Some("rejected"));

    world.renderer.strict.store(false, Ordering::Relaxed);
    world.renderer.repaired.store(false, Ordering::Relaxed);
    let given_up = world.handle(vec![message("m-2", 5, &redo(2))]).await;
    assert_eq!(failed(&given_up), ["m-2"]);
    assert_eq!(told().await, Some("failed"));

    world.repair();
    let redriven = world.handle(vec![message("m-2", 1, &redo(2))]).await;
    assert_eq!(failed(&redriven), [""; 0]);
    let after = world.record("a.jpg").await.unwrap();
    assert_eq!((after.order.revision, after.attempt), (2, None));
    assert_eq!(world.shown("a.jpg").await, "broken");
}
