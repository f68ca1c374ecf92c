//! `DELETE /api/v1/image?forget=true`.

use http::StatusCode;
use tintype_model::{Job, ObjectKey, ObjectStore, Order, Sequencer, StoreError, Work};

use crate::site::Site;

fn job(key: &str, order: Order, work: Work) -> Job {
    Job {
        key: ObjectKey::new(key).unwrap(),
        order,
        work,
    }
}

/// The first order after that of the site's records.
fn next() -> Order {
    Order::of_event(Sequencer::from_counter(1)).next_revision()
}

#[tokio::test]
async fn a_picture_is_deleted_and_then_forgotten() {
    let site = Site::with_pictures().await;
    let answer = site
        .admin("DELETE", "/api/v1/image?key=ready.jpg&forget=true")
        .await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_eq!(answer.json()["status"], "forgetting");
    let head = site.sources.head("ready.jpg").await;
    assert!(matches!(head, Err(StoreError::NotFound)));
    assert_eq!(site.queue.take(), [job("ready.jpg", next(), Work::Forget)]);
    // The source is gone and the record is still there: the removal may have been lost, so both are asked for.
    site.admin("DELETE", "/api/v1/image?key=ready.jpg&forget=true")
        .await;
    assert_eq!(
        site.queue.take(),
        [
            job("ready.jpg", next(), Work::Remove),
            job("ready.jpg", next(), Work::Forget)
        ]
    );
    // Without a record there may be one on its way.
    site.admin("DELETE", "/api/v1/image?key=unseen.jpg&forget=true")
        .await;
    let first = Order::of_event(Sequencer::from_counter(0));
    assert_eq!(site.queue.take(), [job("unseen.jpg", first, Work::Forget)]);
}

#[tokio::test]
async fn the_tombstone_of_a_deleted_picture_is_forgotten_and_what_never_was_is_not_found() {
    let site = Site::with_pictures().await;
    let answer = site
        .admin("DELETE", "/api/v1/image?key=deleted.jpg&forget=true")
        .await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let jobs = site.queue.take();
    assert_eq!(jobs.len(), 1);
    assert_eq!(jobs[0].work, Work::Forget);
    site.admin("DELETE", "/api/v1/image?key=never.jpg&forget=true")
        .await
        .problem(404, "not_found");
    for query in ["key=ready.jpg&forget=yes", "key=ready.jpg&forget", "forget=true"] {
        site.admin("DELETE", &format!("/api/v1/image?{query}"))
            .await
            .problem(400, "bad_request");
    }
    site.admin("DELETE", "/api/v1/image?key=deleted.jpg&forget=false")
        .await
        .problem(404, "not_found");
    assert_eq!(site.queue.take(), []);
}
