use http::StatusCode;
use serde_json::json;
use tintype_model::testing::conformance;
use tintype_model::{
    Dimensions, Format, Job, ObjectKey, ObjectStore, Order, Precondition, Rendition, Sequencer, StoreError,
    Work,
};

use crate::site::{Site, TOKEN, VERSION, body_of, ready, token_access};

#[tokio::test]
async fn an_upload_is_signed_for_this_server() {
    let site = Site::new();
    let sign = async |body: &str| site.post("/api/v1/uploads", body).await;
    let form = r#"{"key":"a b.jpg","content_type":"image/jpeg","expires_in":60}"#;
    insta::assert_snapshot!(sign(form).await.text(), @r#"
    {"key":"a b.jpg","method":"POST","url":"http://localhost:8080/raw","headers":{},"fields":{"Content-Type":"image/jpeg","key":"a b.jpg","max":"10000"},"expires_in":60,"max_bytes":10000}
    "#);
    let put = r#"{"key":"a b.jpg","method":"PUT","content_type":"image/jpeg","expires_in":60}"#;
    insta::assert_snapshot!(sign(put).await.text(), @r#"
    {"key":"a b.jpg","method":"PUT","url":"http://localhost:8080/raw/a%20b.jpg?signed","headers":{"content-type":"image/jpeg"},"fields":{},"expires_in":60,"max_bytes":10000}
    "#);
    assert_eq!(sign(r#"{"key":"a"}"#).await.json()["expires_in"], 900);
    let focused = sign(r#"{"key":"a","focus":"0.3,0.7"}"#).await.json();
    assert_eq!(focused["fields"]["x-amz-meta-focus"], "0.3000,0.7000");
    let behind_a_proxy = Site::with(|edge| {
        edge.access = token_access(TOKEN, Some("https://img.example/base/"), &[]);
    });
    let answer = behind_a_proxy.post("/api/v1/uploads", put).await;
    assert_eq!(
        answer.json()["url"],
        "https://img.example/base/raw/a%20b.jpg?signed"
    );
}

#[tokio::test]
async fn uploads_that_cannot_work_are_refused() {
    let site = Site::new();
    for (body, status, code) in [
        ("", 400, "bad_request"),
        ("{}", 400, "bad_request"),
        ("[]", 400, "bad_request"),
        (r#"{"key":"a"} x"#, 400, "bad_request"),
        (r#"{"key":""}"#, 400, "bad_request"),
        (r#"{"key":1}"#, 400, "bad_request"),
        (r#"{"key":"a","bucket":"b"}"#, 400, "bad_request"),
        (r#"{"key":"a","expires_in":0}"#, 400, "bad_request"),
        (r#"{"key":"a","expires_in":901}"#, 400, "bad_request"),
        (r#"{"key":"a","expires_in":-1}"#, 400, "bad_request"),
        (r#"{"key":"a","content_type":""}"#, 400, "bad_request"),
        (r#"{"key":"a","content_type":"a\nb"}"#, 400, "bad_request"),
        (r#"{"key":"a","content_type":"é"}"#, 400, "bad_request"),
        (r#"{"key":"a","content_type":" a/b"}"#, 400, "bad_request"),
        (r#"{"key":"a","content_type":"a/b;  c=d"}"#, 400, "bad_request"),
        (r#"{"key":"a","method":"GET"}"#, 400, "bad_request"),
        (r#"{"key":"a","method":"put"}"#, 400, "bad_request"),
        (r#"{"key":"a","focus":"left"}"#, 400, "bad_request"),
        (
            r#"{"key":"a","method":"PUT","focus":"0.3,0.7"}"#,
            400,
            "bad_request",
        ),
        (r#"{"key":"${filename}"}"#, 400, "bad_request"),
        (
            r#"{"key":"a/${filename}.jpg","method":"POST"}"#,
            400,
            "bad_request",
        ),
        (r#"{"key":"a//b"}"#, 422, "unservable_key"),
        (r#"{"key":"../a"}"#, 422, "unservable_key"),
        (r#"{"key":"a\u0000"}"#, 422, "unservable_key"),
    ] {
        site.post("/api/v1/uploads", body).await.problem(status, code);
    }
    let literally = r#"{"key":"${filename}","method":"PUT"}"#;
    assert_eq!(site.post("/api/v1/uploads", literally).await.status, 200);
    let long = format!(r#"{{"key":"{}"}}"#, "k".repeat(1025));
    site.post("/api/v1/uploads", &long)
        .await
        .problem(400, "bad_request");
    let huge = format!(r#"{{"key":"{}"}}"#, "k".repeat(20_000));
    site.post("/api/v1/uploads", &huge)
        .await
        .problem(413, "body_too_large");
    let bearer = format!("Bearer {}", TOKEN);
    for kind in ["text/plain", "application/x-www-form-urlencoded", ""] {
        let headers = [("authorization", &*bearer), ("content-type", kind)];
        site.ask("POST", "/api/v1/uploads", &headers)
            .await
            .problem(415, "unsupported_media_type");
    }
}

fn keys(answer: &crate::site::Answer) -> Vec<String> {
    let page = answer.json();
    page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["key"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let site = Site::with_pictures().await;
    site.publish("more/a+b c.jpg", 1).await;
    let list = |query: &'static str| site.admin("GET", query);
    assert_eq!(
        keys(&list("/api/v1/images").await),
        [
            "failed.jpg",
            "more/a+b c.jpg",
            "pending.jpg",
            "ready.jpg",
            "rejected.jpg"
        ]
    );
    assert_eq!(
        keys(&list("/api/v1/images?prefix=more/a%2Bb+c").await),
        ["more/a+b c.jpg"]
    );
    assert_eq!(
        keys(&list("/api/v1/images?status=rejected&prefix=re").await),
        ["rejected.jpg"]
    );
    assert_eq!(
        keys(&list("/api/v1/images?status=deleted").await),
        ["deleted.jpg"]
    );
    let mut all = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let after = next
            .map(|key| format!("&after={}", tintype_model::encode_path(&key)))
            .unwrap_or_default();
        let page = site.admin("GET", &format!("/api/v1/images?limit=2{after}")).await;
        all.extend(keys(&page));
        next = page.json()["next"].as_str().map(str::to_owned);
        if next.is_none() {
            break;
        }
    }
    assert_eq!(all.len(), 5);
    assert!(all.is_sorted());
    for query in [
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=x",
        "status=gone",
        "status=",
        "unknown=1",
        "prefix=a&prefix=b",
        "sha256=",
        "sha256=ab",
        "sha256=zz3456789012345678901234567890123456789012345678901234567890zz12",
        "Prefix=a",
    ] {
        site.admin("GET", &format!("/api/v1/images?{query}"))
            .await
            .problem(400, "bad_request");
    }
    for query in ["prefix=%ff", "prefix=%", "%zz=1"] {
        site.admin("GET", &format!("/api/v1/images?{query}"))
            .await
            .problem(400, "bad_encoding");
    }
}

#[tokio::test]
async fn pictures_with_the_same_bytes_are_found_by_their_digest() {
    let site = Site::with_pictures().await;
    let digest = "ab".repeat(32);
    let put = async |key: &str, status, digest: &str| {
        site.record_of(key, 1, status, Some(digest.to_owned())).await;
    };
    for number in 10..35 {
        put(&format!("copy/{number}"), ready(VERSION, Vec::new()), &digest).await;
    }
    put("other", ready(VERSION, Vec::new()), &"cd".repeat(32)).await;
    let list = async |query: String| {
        let answer = site.admin("GET", &format!("/api/v1/images?{query}")).await;
        keys(&answer)
    };
    assert_eq!(list(format!("sha256={digest}")).await.len(), 25);
    assert_eq!(list(format!("sha256={}", digest.to_uppercase())).await.len(), 25);
    assert_eq!(
        list(format!("sha256={digest}&after=copy/32")).await,
        ["copy/33", "copy/34"]
    );
    assert_eq!(
        list(format!("sha256={digest}&prefix=copy/2&limit=1")).await,
        ["copy/20"]
    );
    assert!(list(format!("sha256={digest}&status=rejected")).await.is_empty());
    assert!(list(format!("sha256={}", "0".repeat(64))).await.is_empty());

    let duplicates = async |key: &str| {
        let detail = site
            .admin("GET", &format!("/api/v1/image?key={key}"))
            .await
            .json();
        let duplicates = detail["duplicates"].as_array().unwrap().clone();
        duplicates
            .iter()
            .map(|key| key.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let others = duplicates("copy/10").await;
    assert_eq!(others.len(), 20);
    assert_eq!(others[0], "copy/11");
    assert_eq!(duplicates("copy/34").await.len(), 20);
    assert!(duplicates("other").await.is_empty());
    assert!(duplicates("ready.jpg").await.is_empty());
    assert!(duplicates("unseen.jpg").await.is_empty());
}

/// A page that would be too long ends early, and the next one goes on where it ended.
#[tokio::test]
async fn pages_end_before_they_are_too_long() {
    let site = Site::new();
    let rendition = |number: usize| Rendition {
        variant: format!("{number:0>64}"),
        format: Format::Avif,
        dimensions: Dimensions {
            width: 1000,
            height: 1000,
        },
        size_bytes: 100_000,
        etag: "e".repeat(64),
        object_key: "k".repeat(1000),
        encoding: tintype_model::Encoding::default(),
        stand_ins: Vec::new(),
    };
    let renditions: Vec<Rendition> = (0..100).map(rendition).collect();
    // Control characters are the longest in JSON.
    let key = |number: usize| format!("{number:03}{}", "\u{1}".repeat(1000));
    for number in 0..300 {
        site.record(&key(number), 1, ready(VERSION, renditions.clone()))
            .await;
    }
    let (mut seen, mut after, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let path = format!(
            "/api/v1/images?limit=1000&after={}",
            tintype_model::encode_path(&after)
        );
        let page = site.admin("GET", &path).await;
        assert!(page.body.len() <= 4_000_000, "{}", page.body.len());
        seen.extend(keys(&page));
        pages += 1;
        match page.json()["next"].as_str() {
            Some(next) => {
                assert_eq!(seen.last().unwrap(), next);
                assert!(page.body.len() > 3_900_000, "{}", page.body.len());
                after = next.to_owned();
            }
            None => break,
        }
    }
    assert_eq!(seen, (0..300).map(key).collect::<Vec<_>>());
    assert!(pages > 1);
}

#[tokio::test]
async fn a_picture_comes_with_its_urls_and_markup() {
    let site = Site::new();
    site.publish("d/a+b \"c\".jpg", 1).await;
    let answer = site.admin("GET", "/api/v1/image?key=d/a%2Bb%20%22c%22.jpg").await;
    assert_eq!(answer.status, StatusCode::OK);
    let mut detail = answer.json();
    detail["image"]["published"]["recipe"] = "[recipe]".into();
    let pretty = serde_json::to_string_pretty(&detail).unwrap();
    insta::assert_snapshot!("image_detail", pretty);
}

#[tokio::test]
async fn every_url_of_the_api_works() {
    let site = Site::new();
    let key = "d/a+b %41 \"c\" <é>.jpg";
    site.publish(key, 1).await;
    let answer = site
        .admin(
            "GET",
            &format!("/api/v1/image?key={}", tintype_model::encode_path(key)),
        )
        .await;
    let detail = answer.json();
    let mut urls = 0;
    for part in ["current", "versioned"] {
        for (variant, formats) in detail[part]["urls"].as_object().unwrap() {
            for (format, url) in formats.as_object().unwrap() {
                let format = Format::ALL
                    .into_iter()
                    .find(|known| known.name() == format)
                    .unwrap();
                let path = url
                    .as_str()
                    .unwrap()
                    .strip_prefix("http://localhost:8080")
                    .unwrap();
                let picture = site.get(path, &[]).await;
                assert_eq!(picture.body, body_of(key, VERSION, variant, format), "{path}");
                urls += 1;
            }
        }
        for url in detail[part]["negotiated"].as_object().unwrap().values() {
            let path = url
                .as_str()
                .unwrap()
                .strip_prefix("http://localhost:8080")
                .unwrap();
            let picture = site.get(path, &[("accept", "image/avif")]).await;
            assert_eq!(picture.header("content-type"), Some("image/avif"), "{path}");
            urls += 1;
        }
    }
    assert_eq!(urls, 24);
}

#[tokio::test]
async fn renditions_tell_how_they_were_encoded() {
    let site = Site::with_pictures().await;
    let detail = site.admin("GET", "/api/v1/image?key=ready.jpg").await.json();
    let renditions = &detail["image"]["published"]["renditions"];
    let told = |index: usize, name: &str| renditions[index][name].clone();
    for (index, format, quality, score, is_lossless) in [
        (0, "avif", json!(61), json!(70.5), false),
        (1, "webp", json!(null), json!(null), true),
        (2, "jpeg", json!(null), json!(null), false),
    ] {
        assert_eq!(told(index, "format"), format);
        assert_eq!(told(index, "quality"), quality, "{format}");
        assert_eq!(told(index, "score"), score, "{format}");
        assert_eq!(told(index, "is_lossless"), is_lossless, "{format}");
    }
    assert_eq!(told(0, "larger_because"), "it scores 70.5 against 64.0");
    assert_eq!(told(2, "larger_because"), json!(null));
}

#[tokio::test]
async fn motion_gain_maps_and_missing_parts_are_told_where_there_are_any() {
    let site = Site::with_pictures().await;
    site.record("moving.gif", 1, conformance::ready(VERSION, "k"))
        .await;
    let shown = async |key: &str| {
        let answer = site.admin("GET", &format!("/api/v1/image?key={key}")).await;
        answer.text().to_owned()
    };
    let moving = shown("moving.gif").await;
    assert!(
        moving.contains(r#""frames":3,"duration_ms":220,"#),
        "of the picture: {moving}"
    );
    assert!(moving.contains(r#""has_gain_map":true"#), "{moving}");
    assert!(moving.contains(r#""is_truncated":true"#), "{moving}");
    assert!(
        moving.contains(r#""is_lossless":true,"frames":3,"#),
        "of the rendition: {moving}"
    );
    let still = shown("ready.jpg").await;
    assert!(still.contains(r#""has_gain_map":false"#), "{still}");
    assert!(still.contains(r#""is_truncated":false"#), "{still}");
    assert!(!still.contains("duration_ms"), "{still}");
    assert_eq!(
        still.matches("\"frames\"").count(),
        1,
        "renditions that are still tell none: {still}"
    );
}

#[tokio::test]
async fn pictures_that_are_not_published_say_why() {
    let site = Site::with_pictures().await;
    let show = |key: &'static str| site.admin("GET", key);
    let rejected = show("/api/v1/image?key=rejected.jpg").await.json();
    assert_eq!(rejected["image"]["rejection"]["code"], "corrupt_image");
    assert_eq!(rejected["current"], serde_json::Value::Null);
    let failed = show("/api/v1/image?key=failed.jpg").await.json();
    assert_eq!(failed["image"]["failure"]["error"], "disk full");
    assert_eq!(
        show("/api/v1/image?key=pending.jpg").await.json()["image"]["status"],
        "pending"
    );
    show("/api/v1/image?key=deleted.jpg")
        .await
        .problem(404, "not_found");
    show("/api/v1/image?key=never.jpg")
        .await
        .problem(404, "not_found");
    show("/api/v1/image?key=").await.problem(400, "bad_request");
    show("/api/v1/image").await.problem(400, "bad_request");
    show("/api/v1/image?key=a&x=1").await.problem(400, "bad_request");
    show("/api/v1/image?key=%FF").await.problem(400, "bad_encoding");
}

#[tokio::test]
async fn deleting_removes_the_source_and_leaves_the_rest_to_its_event() {
    let site = Site::with_pictures().await;
    let answer = site.admin("DELETE", "/api/v1/image?key=ready.jpg").await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert!(matches!(
        site.sources.head("ready.jpg").await,
        Err(StoreError::NotFound)
    ));
    assert_eq!(site.queue.jobs(), []);
    site.admin("DELETE", "/api/v1/image?key=unseen.jpg").await;
    assert!(matches!(
        site.sources.head("unseen.jpg").await,
        Err(StoreError::NotFound)
    ));
    // The record is still there, so the event is late or lost: the removal is asked for.
    let again = site.admin("DELETE", "/api/v1/image?key=ready.jpg").await;
    assert_eq!(again.status, StatusCode::ACCEPTED);
    let order = Order::of_event(Sequencer::from_counter(1)).next_revision();
    assert_eq!(
        site.queue.jobs(),
        [Job {
            key: ObjectKey::new("ready.jpg").unwrap(),
            order,
            work: Work::Remove
        }]
    );
    site.admin("DELETE", "/api/v1/image?key=deleted.jpg")
        .await
        .problem(404, "not_found");
    site.admin("DELETE", "/api/v1/image?key=never.jpg")
        .await
        .problem(404, "not_found");
    site.admin("DELETE", "/api/v1/image")
        .await
        .problem(400, "bad_request");
}

#[tokio::test]
async fn reprocessing_queues_the_next_revision_of_the_present_source() {
    let site = Site::with_pictures().await;
    let reprocess = |path: &'static str| site.admin("POST", path);
    for path in [
        "/api/v1/image/reprocess?key=ready.jpg",
        "/api/v1/image/reprocess?key=failed.jpg",
        "/api/v1/image/reprocess?key=rejected.jpg",
        "/api/v1/image/reprocess?key=pending.jpg",
    ] {
        let answer = reprocess(path).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED);
        assert_eq!(answer.json()["status"], "reprocessing");
    }
    let jobs = site.queue.take();
    assert_eq!(jobs.len(), 4);
    let etag = site.sources.head("ready.jpg").await.unwrap().etag;
    assert_eq!(jobs[0].work, Work::Render { etag });
    assert_eq!(
        jobs[0].order,
        Order::of_event(Sequencer::from_counter(1)).next_revision()
    );
    reprocess("/api/v1/image/reprocess?key=never.jpg")
        .await
        .problem(404, "not_found");
    reprocess("/api/v1/image/reprocess?key=deleted.jpg")
        .await
        .problem(404, "not_found");
    site.sources
        .delete("ready.jpg", Precondition::None)
        .await
        .unwrap();
    reprocess("/api/v1/image/reprocess?key=ready.jpg")
        .await
        .problem(409, "conflict");
    assert_eq!(site.queue.jobs(), []);
}

#[tokio::test]
async fn stats_count() {
    let site = Site::with_pictures().await;
    site.get("/img/ready.jpg/medium", &[]).await;
    site.get("/img/ready.jpg/medium", &[]).await;
    let mut stats = site.admin("GET", "/api/v1/stats").await.json();
    stats["cache"]["bytes"] = "[bytes]".into();
    insta::assert_snapshot!(stats, @r#"
    {"cache":{"bytes":"[bytes]","capacity_bytes":16777216,"entries":1,"hits":1,"misses":1},"images":{"failed":1,"pending":1,"ready":1,"rejected":1},"queue":{"dead":1,"leased":2,"ready":3},"workers":2}
    "#);
}
