//! Stored bytes that are missing or damaged.

use bytes::Bytes;
use tintype_model::{Format, ObjectStore, Precondition, PutOptions};

use crate::site::{Site, VERSION, body_of};

fn object_key(format: Format) -> String {
    format!("{VERSION}/ready.jpg/medium.{}", format.extension())
}

#[tokio::test]
async fn head_answers_what_get_would() {
    for replaced in [None, Some(Bytes::new()), Some(Bytes::from_static(b"other bytes"))] {
        let site = Site::with_pictures().await;
        for method in ["HEAD", "GET"] {
            let answer = site.ask(method, "/img/ready.jpg/medium.jpg", &[]).await;
            assert_eq!(answer.status, 200, "{method}");
        }
        // The other format was not read yet.
        let key = object_key(Format::Webp);
        let stored = &site.renditions;
        match &replaced {
            None => stored.delete(&key, Precondition::None).await.unwrap(),
            Some(body) => {
                let put = stored.put(&key, body.clone(), PutOptions::default()).await;
                put.unwrap();
            }
        }
        for method in ["HEAD", "GET", "HEAD"] {
            let answer = site.ask(method, "/img/ready.jpg/medium.webp", &[]).await;
            assert_eq!(answer.status, 500, "{method} {replaced:?}");
            assert_eq!(answer.header("etag"), None);
            assert_eq!(answer.header("cache-control"), Some("no-store"));
        }
        // What is in memory is right, whatever became of the file.
        stored
            .delete(&object_key(Format::Jpeg), Precondition::None)
            .await
            .unwrap();
        for method in ["HEAD", "GET"] {
            let answer = site.ask(method, "/img/ready.jpg/medium.jpg", &[]).await;
            assert_eq!(answer.status, 200, "{method}");
            if method == "GET" {
                assert_eq!(answer.body, body_of("ready.jpg", VERSION, "medium", Format::Jpeg));
            }
        }
    }
}

#[tokio::test]
async fn damage_is_told() {
    let site = Site::new();
    site.publish("damaged.jpg", 1).await;
    site.publish("whole.jpg", 1).await;
    site.upload("new.jpg").await;
    let damage = async |key: &str| {
        let path = format!("/api/v1/image?key={key}");
        site.admin("GET", &path).await.json()["image"]["source"]["damage"].clone()
    };
    assert_eq!(damage("damaged.jpg").await, "altered");
    assert!(damage("whole.jpg").await.is_null());
    assert!(damage("new.jpg").await.is_null());
    let page = site.admin("GET", "/admin/image?key=damaged.jpg").await;
    assert!(
        page.text().contains("damaged: its file is altered"),
        "{}",
        page.text()
    );
    let page = site.admin("GET", "/admin/image?key=whole.jpg").await;
    assert!(!page.text().contains("its file is"), "{}", page.text());
    let metrics = site.admin("GET", "/metrics").await;
    for line in [
        "tintype_damaged_files{bucket=\"sources\"} 1",
        "tintype_damaged_files{bucket=\"renditions\"} 2",
        "tintype_scrubbed_files_total 30",
        "tintype_scrubbed_bytes_total 4000",
        "tintype_scrub_passes_total 5",
        "tintype_connections 6",
        "tintype_connections_accepted_total 70",
        "tintype_connections_refused_total 8",
        r#"tintype_connections_closed_total{reason="timeout"} 9"#,
        r#"tintype_connections_closed_total{reason="malformed"} 10"#,
        r#"tintype_connections_closed_total{reason="room"} 11"#,
    ] {
        assert!(
            metrics.text().lines().any(|told| told == line),
            "{line}:\n{}",
            metrics.text()
        );
    }
    assert_eq!(
        site.get("/readyz", &[]).await.status,
        200,
        "one picture is not the server"
    );
}
