use std::sync::atomic::Ordering;

use axum::body::Body;
use http::StatusCode;
use proptest::prelude::*;
use tintype_model::{Format, MetadataStore, ObjectKey, ObjectStore, Precondition, Status};

use crate::site::{Site, VERSION, body_of, request};

const CHROME: &str = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8";
const SAFARI_15: &str = "image/webp,image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5";

fn etag(answer: &crate::site::Answer) -> String {
    answer.header("etag").unwrap().to_owned()
}

#[tokio::test]
async fn each_browser_gets_its_format() {
    let site = Site::with_pictures().await;
    for (accept, format) in [
        (CHROME, Format::Avif),
        (SAFARI_15, Format::Webp),
        ("*/*", Format::Jpeg),
    ] {
        let answer = site.get("/img/ready.jpg/medium", &[("accept", accept)]).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header("content-type"), Some(format.media_type()));
        assert_eq!(answer.body, body_of("ready.jpg", VERSION, "medium", format));
    }
    let answer = site.get("/img/ready.jpg/medium", &[]).await;
    assert_eq!(answer.header("content-type"), Some("image/jpeg"));
}

#[tokio::test]
async fn several_accept_lines_are_one_list() {
    let site = Site::with_pictures().await;
    let answer = site
        .get(
            "/img/ready.jpg/medium",
            &[("accept", "text/html"), ("accept", "image/webp")],
        )
        .await;
    assert_eq!(answer.header("content-type"), Some("image/webp"));
    let mut broken = request(
        "GET",
        "/img/ready.jpg/medium",
        &[("accept", "image/webp")],
        Body::empty(),
    );
    let latin = http::HeaderValue::from_bytes(b"image/\xE9, image/avif").unwrap();
    broken.headers_mut().append("accept", latin);
    assert_eq!(site.send(broken).await.header("content-type"), Some("image/avif"));
}

#[tokio::test]
async fn an_extension_is_that_format_and_nothing_else() {
    let site = Site::with_pictures().await;
    for format in [Format::Avif, Format::Webp, Format::Jpeg] {
        let path = format!("/img/ready.jpg/thumbnail.{}", format.extension());
        let answer = site.get(&path, &[("accept", "image/*;q=0")]).await;
        assert_eq!(answer.body, body_of("ready.jpg", VERSION, "thumbnail", format));
        assert_eq!(answer.header("vary"), None);
    }
    site.get("/img/ready.jpg/thumbnail.png", &[])
        .await
        .problem(404, "not_found");
    site.get("/img/ready.jpg/huge", &[])
        .await
        .problem(404, "not_found");
    site.get("/img/ready.jpg/huge.avif", &[])
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn every_kind_of_key_is_delivered_and_told_apart() {
    let site = Site::new();
    let keys = [
        ("a b.jpg", "a%20b.jpg"),
        ("a+b.jpg", "a+b.jpg"),
        ("a+b.jpg", "a%2Bb.jpg"),
        ("a%20b.jpg", "a%2520b.jpg"),
        ("100%", "100%25"),
        ("d/e/f.jpg", "d/e/f.jpg"),
        ("d/e", "d%2Fe"),
        ("été/🐌.png", "%C3%A9t%C3%A9/%F0%9F%90%8C.png"),
        ("e\u{301}", "e%CC%81"),
        ("é", "%c3%a9"),
        ("..hidden", "..hidden"),
        ("q?x=1&y#z", "q%3Fx=1&y%23z"),
        ("img", "img"),
        ("medium", "medium"),
        ("A", "A"),
        ("a", "a"),
        ("back\\slash", "back%5Cslash"),
        ("\"quoted\"'<>", "%22quoted%22'%3C%3E"),
    ];
    for (key, _) in keys.iter().filter(|(_, raw)| *raw != "a%2Bb.jpg") {
        site.publish(key, 1).await;
    }
    for (key, raw) in keys {
        let answer = site.get(&format!("/img/{raw}/medium.jpg"), &[]).await;
        assert_eq!(
            answer.body,
            body_of(key, VERSION, "medium", Format::Jpeg),
            "{raw}"
        );
        let answer = site.get(&format!("/v/{raw}/{VERSION}/medium.jpg?a=b"), &[]).await;
        assert_eq!(
            answer.body,
            body_of(key, VERSION, "medium", Format::Jpeg),
            "{raw}"
        );
    }
    site.get("/img/B/medium", &[]).await.problem(404, "not_found");
    for raw in ["%", "%2", "%zz", "%ff", "a%00%"] {
        site.get(&format!("/img/{raw}/medium"), &[])
            .await
            .problem(400, "bad_encoding");
    }
    for path in [
        "/img/",
        "/img/medium",
        "/img//medium",
        "/v/a/medium",
        "/img/A/",
        "/img/A/medium.jpeg",
        "/img/A/medium.tar.gz",
    ] {
        site.get(path, &[]).await.problem(404, "not_found");
    }
}

#[tokio::test]
async fn only_the_current_version_is_cached_for_a_year() {
    let site = Site::with_pictures().await;
    let current = site.get(&format!("/v/ready.jpg/{VERSION}/medium"), &[]).await;
    assert_eq!(
        current.header("cache-control"),
        Some("public, max-age=31536000, immutable")
    );
    for path in [
        "/v/ready.jpg/old/medium",
        "/v/ready.jpg/%F0%9F%90%8C/medium",
        "/img/ready.jpg/medium",
    ] {
        let answer = site.get(path, &[]).await;
        assert_eq!(
            answer.header("cache-control"),
            Some("public, max-age=86400"),
            "{path}"
        );
        assert_eq!(answer.body, current.body);
        assert_eq!(answer.header("etag"), current.header("etag"));
    }
}

#[tokio::test]
async fn what_is_not_ready_says_so() {
    let site = Site::with_pictures().await;
    for key in ["pending.jpg", "unseen.jpg"] {
        let answer = site.get(&format!("/img/{key}/medium"), &[]).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED);
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert_eq!(answer.json()["status"], "pending");
    }
    let rejected = site.get("/img/rejected.jpg/medium", &[]).await;
    rejected.problem(422, "corrupt_image");
    assert_eq!(rejected.json()["detail"], "the scan <ends> early");
    let failed = site.get("/img/failed.jpg/medium", &[]).await;
    failed.problem(503, "processing_failed");
    assert_eq!(failed.header("retry-after"), Some("60"));
    assert!(!failed.text().contains("disk full"));
    site.get("/img/deleted.jpg/medium", &[])
        .await
        .problem(404, "not_found");
    site.get("/img/never.jpg/medium", &[])
        .await
        .problem(404, "not_found");
    // Deleted and uploaded again: the next event is on its way.
    site.upload("deleted.jpg").await;
    assert_eq!(
        site.get("/img/deleted.jpg/medium", &[]).await.status,
        StatusCode::ACCEPTED
    );
    // Uploaded and deleted before it was processed.
    site.sources
        .delete("pending.jpg", Precondition::None)
        .await
        .unwrap();
    site.get("/img/pending.jpg/medium", &[])
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn a_missing_rendition_is_an_error_that_says_nothing_internal() {
    let site = Site::with_pictures().await;
    let object_key = format!("{VERSION}/ready.jpg/medium.jpg");
    site.renditions
        .delete(&object_key, Precondition::None)
        .await
        .unwrap();
    let answer = site.get("/img/ready.jpg/medium.jpg", &[]).await;
    answer.problem(500, "missing_rendition");
    assert!(!answer.text().contains(VERSION));
    assert_eq!(
        site.get("/img/ready.jpg/medium.webp", &[]).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn stores_that_do_not_answer_are_a_503() {
    let site = Site::with_pictures().await;
    site.renditions.down.store(true, Ordering::Relaxed);
    let answer = site.get("/img/ready.jpg/medium", &[]).await;
    answer.problem(503, "unavailable");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(!answer.text().contains("secret"));
    site.renditions.down.store(false, Ordering::Relaxed);
    assert_eq!(
        site.get("/img/ready.jpg/medium", &[]).await.status,
        StatusCode::OK
    );
    site.sources.down.store(true, Ordering::Relaxed);
    site.get("/img/never.jpg/medium", &[])
        .await
        .problem(503, "unavailable");
}

/// Records that are replaced between two reads, a given number of times, together with the renditions they name.
#[derive(Debug)]
struct Replacing {
    records: std::sync::Mutex<Vec<tintype_model::Record>>,
}

#[async_trait::async_trait]
impl MetadataStore for Replacing {
    async fn get(&self, _: &ObjectKey) -> tintype_model::Result<Option<tintype_model::Record>> {
        let mut records = self.records.lock().unwrap();
        let next = if records.len() > 1 {
            records.remove(0)
        } else {
            records[0].clone()
        };
        Ok(Some(next))
    }
    async fn put(&self, record: &tintype_model::Record) -> tintype_model::Result<tintype_model::PutRecord> {
        self.records.lock().unwrap().push(record.clone());
        Ok(tintype_model::PutRecord::Written(None))
    }
    async fn list(
        &self,
        _: &tintype_model::RecordFilter,
        _: Option<&str>,
        _: usize,
    ) -> tintype_model::Result<tintype_model::Page<tintype_model::Record>> {
        Ok(tintype_model::Page {
            items: self.records.lock().unwrap().clone(),
            next: None,
        })
    }
    async fn forget(&self, _: &ObjectKey, _: &tintype_model::Order) -> tintype_model::Result<bool> {
        Ok(false)
    }
    async fn counts(&self) -> tintype_model::Result<tintype_model::StatusCounts> {
        Ok(tintype_model::StatusCounts::default())
    }
}

/// The records of `versions` in turn, where only the last one's renditions are still there.
async fn replaced(versions: &[&str]) -> Site {
    let scratch = Site::new();
    let mut records = Vec::new();
    for (order, version) in versions.iter().enumerate() {
        scratch.publish_as("a.jpg", order as u64 + 1, version).await;
        records.push(
            scratch
                .metadata
                .get(&ObjectKey::new("a.jpg").unwrap())
                .await
                .unwrap()
                .unwrap(),
        );
    }
    let metadata = std::sync::Arc::new(Replacing {
        records: std::sync::Mutex::new(records),
    });
    let site = Site::with(|edge| edge.catalog.metadata = metadata);
    let last = versions[versions.len() - 1];
    site.publish_as("a.jpg", 1, last).await;
    site
}

#[tokio::test]
async fn a_picture_that_is_replaced_while_it_is_read_is_looked_up_again() {
    let site = replaced(&["one", "two", "three"]).await;
    let answer = site.get("/img/a.jpg/medium.jpg", &[]).await;
    assert_eq!(answer.body, body_of("a.jpg", "three", "medium", Format::Jpeg));
    let site = replaced(&["1", "2", "3", "4", "5", "6"]).await;
    site.get("/img/a.jpg/medium.jpg", &[]).await.problem(503, "busy");
}

#[tokio::test]
async fn concurrent_misses_read_the_store_once() {
    let site = Site::with_pictures().await;
    let asks = (0..1000).map(|_| site.get("/img/ready.jpg/medium.avif", &[]));
    let answers = futures::future::join_all(asks).await;
    assert!(answers.iter().all(|answer| answer.status == StatusCode::OK));
    assert_eq!(site.renditions.reads.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_replaced_picture_is_served_at_once_despite_the_cache() {
    let site = Site::with_pictures().await;
    let before = site.get("/img/ready.jpg/medium.jpg", &[]).await;
    site.publish_as("ready.jpg", 2, "fedc").await;
    let after = site.get("/img/ready.jpg/medium.jpg", &[]).await;
    assert_eq!(after.body, body_of("ready.jpg", "fedc", "medium", Format::Jpeg));
    assert_ne!(etag(&before), etag(&after));
    site.record("ready.jpg", 3, Status::Deleted).await;
    site.sources
        .delete("ready.jpg", Precondition::None)
        .await
        .unwrap();
    site.get("/img/ready.jpg/medium.jpg", &[])
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn formats_have_entity_tags_of_their_own() {
    let site = Site::with_pictures().await;
    let avif = site.get("/img/ready.jpg/medium", &[("accept", CHROME)]).await;
    let jpeg = site.get("/img/ready.jpg/medium", &[]).await;
    assert_ne!(etag(&avif), etag(&jpeg));
    let tag = etag(&avif);
    let again = site
        .get(
            "/img/ready.jpg/medium",
            &[("accept", CHROME), ("if-none-match", &tag)],
        )
        .await;
    assert_eq!(again.status, StatusCode::NOT_MODIFIED);
    let other = site
        .get("/img/ready.jpg/medium", &[("if-none-match", &tag)])
        .await;
    assert_eq!(other.status, StatusCode::OK);
}

#[tokio::test]
async fn conditions_are_kept() {
    let site = Site::with_pictures().await;
    let path = "/img/ready.jpg/medium.jpg";
    let tag = etag(&site.get(path, &[]).await);
    let modified = "Tue, 14 Nov 2023 22:13:20 GMT";
    let weak = format!("W/{tag}");
    let cases: [(&[(&str, &str)], u16); 9] = [
        (&[("if-none-match", &weak)], 304),
        (
            &[("if-none-match", "\"other\""), ("if-modified-since", modified)],
            200,
        ),
        (&[("if-modified-since", modified)], 304),
        (&[("if-match", "\"other\"")], 412),
        (&[("if-match", &weak)], 412),
        (&[("if-match", &tag), ("if-none-match", "*")], 304),
        (&[("if-unmodified-since", "Tue, 14 Nov 2023 22:13:19 GMT")], 412),
        (&[("if-none-match", &tag), ("range", "bytes=0-1")], 304),
        (&[("if-match", "\"other\""), ("if-none-match", &tag)], 412),
    ];
    for (headers, status) in cases {
        for method in ["GET", "HEAD"] {
            let answer = site.ask(method, path, headers).await;
            assert_eq!(answer.status, status, "{method} {headers:?}");
            if status == 304 {
                assert_eq!(answer.header("etag"), Some(&*tag));
                assert_eq!(answer.header("last-modified"), Some(modified));
                assert_eq!(answer.header("content-length"), None);
                assert_eq!(answer.header("content-type"), None);
                assert!(answer.body.is_empty());
            }
        }
    }
    // Neither 304 nor HEAD needs the bytes.
    assert_eq!(site.renditions.reads.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn deliveries_conform_to_http() {
    let site = Site::with_pictures().await;
    tintype_http::testing::conditional_requests(async |headers| {
        let answer = site.get("/img/ready.jpg/medium.jpg", headers).await;
        (answer.status, answer.headers)
    })
    .await;
}

#[tokio::test]
async fn ranges_are_parts_of_the_whole() {
    let site = Site::with_pictures().await;
    let path = "/img/ready.jpg/medium.jpg";
    let whole = site.get(path, &[]).await;
    let (tag, size) = (etag(&whole), whole.body.len());
    let part = site.get(path, &[("range", "bytes=2-5")]).await;
    assert_eq!(part.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.body, whole.body.slice(2..6));
    assert_eq!(part.header("content-range"), Some(&*format!("bytes 2-5/{size}")));
    assert_eq!(part.header("content-length"), Some("4"));
    assert_eq!(
        site.get(path, &[("range", "bytes=-3")]).await.body,
        whole.body.slice(size - 3..)
    );
    assert_eq!(
        site.get(path, &[("range", "bytes=3-")]).await.body,
        whole.body.slice(3..)
    );
    let beyond = site.get(path, &[("range", "bytes=9999-")]).await;
    beyond.problem(416, "range_not_satisfiable");
    assert_eq!(beyond.header("content-range"), Some(&*format!("bytes */{size}")));
    let weak = format!("W/{tag}");
    let wholes: [&[(&str, &str)]; 6] = [
        &[("range", "bytes=0-1,3-4")],
        &[("range", "lines=0-1")],
        &[("range", "bytes=0-1"), ("range", "bytes=3-4")],
        &[("range", "bytes=0-1"), ("if-range", "\"other\"")],
        &[("range", "bytes=0-1"), ("if-range", &weak)],
        &[
            ("range", "bytes=0-1"),
            ("if-range", "Tue, 14 Nov 2023 22:13:20 GMT"),
        ],
    ];
    for headers in wholes {
        let answer = site.get(path, headers).await;
        assert_eq!(
            (answer.status, answer.body.len()),
            (StatusCode::OK, size),
            "{headers:?}"
        );
    }
    let same = site
        .get(path, &[("range", "bytes=0-1"), ("if-range", &tag)])
        .await;
    assert_eq!(same.status, StatusCode::PARTIAL_CONTENT);
    let head = site.ask("HEAD", path, &[("range", "bytes=0-1")]).await;
    assert_eq!(head.status, StatusCode::OK);
}

#[tokio::test]
async fn other_methods_are_told_which_ones_work() {
    let site = Site::with_pictures().await;
    for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE"] {
        let answer = site.ask(method, "/img/ready.jpg/medium", &[]).await;
        answer.problem(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), Some("GET, HEAD, OPTIONS"));
    }
    let options = site.ask("OPTIONS", "/img/ready.jpg/medium", &[]).await;
    assert_eq!(options.status, StatusCode::NO_CONTENT);
    assert_eq!(options.header("allow"), Some("GET, HEAD, OPTIONS"));
    assert_eq!(options.header("content-length"), None);
    site.ask("BREW", "/img/ready.jpg/medium", &[])
        .await
        .problem(501, "not_implemented");
}

#[tokio::test]
async fn headers_that_are_not_part_of_a_cache_key_change_nothing() {
    let site = Site::with_pictures().await;
    let plain = site.get("/img/ready.jpg/medium", &[]).await;
    let spoofed = [
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("x-original-url", "/img/rejected.jpg/medium"),
        ("x-http-method-override", "DELETE"),
        ("origin", "https://evil.example"),
        ("cookie", "tintype_session=x"),
    ];
    let other = site.get("/img/ready.jpg/medium", &spoofed).await;
    assert_eq!((other.head(), other.body), (plain.head(), plain.body));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_raw_path_gets_an_answer(path in "/(img|v)/[!-~]{0,40}") {
        prop_assume!(path.parse::<http::Uri>().is_ok());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let answer = runtime.block_on(async { Site::new().get(&path, &[]).await });
        prop_assert!(matches!(answer.status.as_u16(), 400 | 404), "{} {}", path, answer.status);
    }
}
