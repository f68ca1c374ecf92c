//! Work that came to nothing on pictures that are published.

use http::StatusCode;
use tintype_model::{
    Failure, MetadataStore, ObjectKey, PutRecord, Rejection, RejectionCode, Status, UnixMillis,
};

use crate::site::Site;

/// Has work of the next revision end so.
async fn attempt(site: &Site, key: &str, status: Status) {
    let key = ObjectKey::new(key).unwrap();
    let mut record = site.metadata.get(&key).await.unwrap().unwrap();
    record.order = record.newest_order().next_revision();
    record.status = status;
    record.updated_at = UnixMillis(1_800_000_000_000);
    record.attempt = None;
    let put = site.metadata.put(&record).await.unwrap();
    assert!(matches!(put, PutRecord::Noted(_)), "{put:?}");
}

fn too_large() -> Status {
    let rejection = Rejection::new(RejectionCode::TooManyPixels, "12 <megapixels>, the limit is 10");
    Status::Rejected { rejection }
}

fn given_up() -> Status {
    let failure = Failure {
        error: "no more processes".to_owned(),
        attempts: 7,
    };
    Status::Failed { failure }
}

#[tokio::test]
async fn a_picture_stays_up_and_its_record_tells_both() {
    let site = Site::with_pictures().await;
    let before = site.get("/img/ready.jpg/medium.jpg", &[]).await;
    assert_eq!(before.status, StatusCode::OK);
    for (status, outcome) in [(too_large(), "rejected"), (given_up(), "failed")] {
        attempt(&site, "ready.jpg", status).await;
        let after = site.get("/img/ready.jpg/medium.jpg", &[]).await;
        assert_eq!(after.status, StatusCode::OK);
        assert_eq!((&after.headers, &after.body), (&before.headers, &before.body));

        let detail = site.admin("GET", "/api/v1/image?key=ready.jpg").await.json();
        assert_eq!(detail["image"]["status"], "ready");
        assert_eq!(
            detail["image"]["published"]["renditions"]
                .as_array()
                .unwrap()
                .len(),
            9
        );
        assert!(detail["current"].is_object() && detail["versioned"].is_object());
        let told = &detail["image"]["last_attempt"];
        assert_eq!(told["outcome"], outcome);
        assert_eq!(told["at"], "2027-01-15T08:00:00Z");
        let listed = site.admin("GET", "/api/v1/images?status=ready").await.json();
        assert_eq!(listed["items"][0]["last_attempt"], *told);
    }
    let told = &site.admin("GET", "/api/v1/image?key=ready.jpg").await.json()["image"]["last_attempt"];
    assert_eq!(told["failure"]["error"], "no more processes");
    assert_eq!(told["failure"]["attempts"], 7);
    assert!(told["order"].as_str().unwrap().ends_with("-00000002"), "{told}");
    let stats = site.admin("GET", "/api/v1/stats").await.json();
    assert_eq!(stats["images"]["ready"], 1);

    site.admin("POST", "/api/v1/image/reprocess?key=ready.jpg").await;
    assert_eq!(site.queue.take()[0].order.revision, 3, "after the attempts");
}

#[tokio::test]
async fn pages_tell_both() {
    let site = Site::with_pictures().await;
    attempt(&site, "ready.jpg", too_large()).await;
    let wanted =
        "kept; the attempt of 2027-01-15T08:00:00Z was rejected, too_many_pixels: 12 &#60;megapixels&#62;";
    for path in ["/admin", "/admin/image?key=ready.jpg"] {
        let page = site.admin("GET", path).await;
        assert!(page.text().contains(wanted), "{path}:\n{}", page.text());
        assert!(page.text().contains("ready</"), "{path}");
    }
}
