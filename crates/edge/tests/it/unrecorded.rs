//! Keys without a record: their event is on its way or lost, their source shows a folder, or there is nothing.

use bytes::Bytes;
use http::StatusCode;
use serde_json::json;
use tintype_model::{
    Job, ObjectKey, ObjectStore, Order, Precondition, PutOptions, Sequencer, Status, UnixMillis, Work,
};

use crate::site::Site;

/// A site with `unseen.jpg`, whose event never came, `again.jpg`, which was deleted before and put again, and a folder
/// marker without a record and one whose event was processed.
async fn site() -> Site {
    let site = Site::new();
    site.record("again.jpg", 7, Status::Deleted).await;
    for key in ["unseen.jpg", "again.jpg"] {
        site.upload(key).await;
    }
    site.record("seen/", 1, Status::Deleted).await;
    for key in ["folder/", "seen/"] {
        let nothing = Bytes::new();
        site.sources
            .put(key, nothing, PutOptions::default())
            .await
            .unwrap();
    }
    site
}

#[tokio::test]
async fn a_source_without_a_record_tells_since_when_it_waits_and_that_it_can_be_reprocessed() {
    let site = site().await;
    for key in ["unseen.jpg", "again.jpg"] {
        let detail = site
            .admin("GET", &format!("/api/v1/image?key={key}"))
            .await
            .json();
        let image = &detail["image"];
        assert_eq!(image["status"], "pending", "{key}");
        assert_eq!(image["source"]["size_bytes"], 8, "{key}");
        let meta = site.sources.head(key).await.unwrap();
        let UnixMillis(put_at) = meta.modified_at;
        let put_at = format!("1970-01-01T00:00:00.{put_at:03}Z");
        assert_eq!(image["waiting"]["source_put_at"], put_at, "{key}");
        assert_eq!(image["waiting"]["can_reprocess"], true, "{key}");
        assert!(image.get("skip").is_none(), "{image}");
    }
    let page = site.admin("GET", "/admin/image?key=unseen.jpg").await;
    assert!(page.text().contains("Reprocessing queues"), "{}", page.text());
}

#[tokio::test]
async fn a_folder_marker_is_skipped_and_says_why() {
    let site = site().await;
    for key in ["folder/", "seen/"] {
        let detail = site.admin("GET", &format!("/api/v1/image?key={key}")).await;
        let image = &detail.json()["image"];
        assert_eq!(image["status"], "skipped", "{key}");
        assert_eq!(image["skip"]["code"], "folder_marker", "{key}");
        assert!(image.get("waiting").is_none(), "{image}");
        site.admin("POST", &format!("/api/v1/image/reprocess?key={key}"))
            .await
            .problem(409, "conflict");
        let page = site.admin("GET", &format!("/admin/image?key={key}")).await;
        assert!(page.text().contains("skipped"), "{}", page.text());
    }
    assert_eq!(site.queue.jobs(), []);
    // A key like that with bytes is a source like any other.
    site.upload("bytes/").await;
    let detail = site.admin("GET", "/api/v1/image?key=bytes/").await.json();
    assert_eq!(detail["image"]["status"], "pending");
    // Nothing that lists shows what has no record, and no list can be asked for it.
    let list = site.admin("GET", "/api/v1/images").await;
    assert_eq!(list.json()["items"], json!([]));
    site.admin("GET", "/api/v1/images?status=skipped")
        .await
        .problem(400, "bad_request");
}

#[tokio::test]
async fn what_never_was_is_not_found() {
    let site = site().await;
    for (method, path) in [
        ("GET", "/api/v1/image?key=never.jpg"),
        ("GET", "/api/v1/image?key=never/"),
        ("POST", "/api/v1/image/reprocess?key=never.jpg"),
        ("DELETE", "/api/v1/image?key=never.jpg"),
    ] {
        site.admin(method, path).await.problem(404, "not_found");
    }
}

/// Whatever event comes late replaces what came of it, and a tombstone does not keep it from being done.
#[tokio::test]
async fn reprocessing_a_source_without_a_record_is_before_every_event_and_after_a_tombstone() {
    let site = site().await;
    let event = |sequencer| Order::of_event(Sequencer::from_counter(sequencer));
    for (key, order) in [("unseen.jpg", event(0)), ("again.jpg", event(7).next_revision())] {
        let answer = site
            .admin("POST", &format!("/api/v1/image/reprocess?key={key}"))
            .await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
        assert_eq!(answer.json(), json!({ "key": key, "status": "reprocessing" }));
        let etag = site.sources.head(key).await.unwrap().etag;
        let job = Job {
            key: ObjectKey::new(key).unwrap(),
            order,
            work: Work::Render { etag },
        };
        assert_eq!(site.queue.take(), [job]);
    }
    site.sources
        .delete("unseen.jpg", Precondition::None)
        .await
        .unwrap();
    site.admin("POST", "/api/v1/image/reprocess?key=unseen.jpg")
        .await
        .problem(404, "not_found");
}
