//! Tests of the status and headers of every kind of answer.

use std::sync::atomic::Ordering;

use crate::site::{Site, VERSION};

#[tokio::test]
async fn a_negotiated_picture() {
    let site = Site::with_pictures().await;
    let answer = site
        .get("/img/ready.jpg/medium", &[("accept", "image/avif")])
        .await;
    insta::assert_snapshot!(answer.head(), @r#"
    200 OK
    accept-ranges: bytes
    access-control-allow-origin: *
    cache-control: public, max-age=86400
    content-length: 57
    content-security-policy: default-src 'none'; sandbox
    content-type: image/avif
    cross-origin-resource-policy: cross-origin
    etag: "78bd8a368fd8f5dff05d002a260f0ead"
    last-modified: Tue, 14 Nov 2023 22:13:20 GMT
    vary: Accept
    x-content-type-options: nosniff
    "#);
}

#[tokio::test]
async fn a_picture_of_a_version() {
    let site = Site::with_pictures().await;
    let answer = site
        .get(&format!("/v/ready.jpg/{VERSION}/medium.webp"), &[])
        .await;
    insta::assert_snapshot!(answer.head(), @r#"
    200 OK
    accept-ranges: bytes
    access-control-allow-origin: *
    cache-control: public, max-age=31536000, immutable
    content-length: 57
    content-security-policy: default-src 'none'; sandbox
    content-type: image/webp
    cross-origin-resource-policy: cross-origin
    etag: "f3170952fa1827665add8b3d65ec24be"
    last-modified: Tue, 14 Nov 2023 22:13:20 GMT
    x-content-type-options: nosniff
    "#);
}

#[tokio::test]
async fn a_part_of_a_picture() {
    let site = Site::with_pictures().await;
    let answer = site.get("/img/ready.jpg/medium", &[("range", "bytes=1-3")]).await;
    insta::assert_snapshot!(answer.head(), @r#"
    206 Partial Content
    accept-ranges: bytes
    access-control-allow-origin: *
    cache-control: public, max-age=86400
    content-length: 3
    content-range: bytes 1-3/57
    content-security-policy: default-src 'none'; sandbox
    content-type: image/jpeg
    cross-origin-resource-policy: cross-origin
    etag: "193a2cbfc5cb8912d5cce60bcc5b8a2d"
    last-modified: Tue, 14 Nov 2023 22:13:20 GMT
    vary: Accept
    x-content-type-options: nosniff
    "#);
}

#[tokio::test]
async fn an_unmodified_picture() {
    let site = Site::with_pictures().await;
    let answer = site.get("/img/ready.jpg/medium", &[("if-none-match", "*")]).await;
    insta::assert_snapshot!(answer.head(), @r#"
    304 Not Modified
    access-control-allow-origin: *
    cache-control: public, max-age=86400
    content-security-policy: default-src 'none'; sandbox
    cross-origin-resource-policy: cross-origin
    etag: "193a2cbfc5cb8912d5cce60bcc5b8a2d"
    last-modified: Tue, 14 Nov 2023 22:13:20 GMT
    vary: Accept
    x-content-type-options: nosniff
    "#);
}

#[tokio::test]
async fn a_picture_that_is_processed() {
    let site = Site::with_pictures().await;
    insta::assert_snapshot!(site.get("/img/pending.jpg/medium", &[]).await.head(), @r#"
    202 Accepted
    access-control-allow-origin: *
    cache-control: no-store
    content-length: 62
    content-security-policy: default-src 'none'; sandbox
    content-type: application/json
    cross-origin-resource-policy: cross-origin
    retry-after: 1
    vary: Accept
    x-content-type-options: nosniff
    "#);
}

#[tokio::test]
async fn a_rejected_picture() {
    let site = Site::with_pictures().await;
    let answer = site.get("/img/rejected.jpg/medium", &[]).await;
    insta::assert_snapshot!(format!("{}\n\n{}", answer.head(), answer.text()), @r#"
    422 Unprocessable Entity
    access-control-allow-origin: *
    cache-control: public, max-age=5
    content-length: 122
    content-security-policy: default-src 'none'; sandbox
    content-type: application/problem+json
    cross-origin-resource-policy: cross-origin
    vary: Accept
    x-content-type-options: nosniff

    {"type":"about:blank","title":"Unprocessable Entity","status":422,"detail":"the scan <ends> early","code":"corrupt_image"}
    "#);
}

#[tokio::test]
async fn a_picture_that_is_not_there() {
    let site = Site::with_pictures().await;
    insta::assert_snapshot!(site.get("/img/never.jpg/medium.avif", &[]).await.head(), @r#"
    404 Not Found
    access-control-allow-origin: *
    cache-control: public, max-age=5
    content-length: 110
    content-security-policy: default-src 'none'; sandbox
    content-type: application/problem+json
    cross-origin-resource-policy: cross-origin
    x-content-type-options: nosniff
    "#);
}

#[tokio::test]
async fn an_unsatisfiable_range() {
    let site = Site::with_pictures().await;
    insta::assert_snapshot!(site.get("/img/ready.jpg/medium", &[("range", "bytes=-0")]).await.head(), @r#"
    416 Range Not Satisfiable
    access-control-allow-origin: *
    cache-control: no-store
    content-length: 161
    content-range: bytes */57
    content-security-policy: default-src 'none'; sandbox
    content-type: application/problem+json
    cross-origin-resource-policy: cross-origin
    vary: Accept
    x-content-type-options: nosniff
    "#);
}

#[tokio::test]
async fn an_answer_of_the_api() {
    let site = Site::with_pictures().await;
    insta::assert_snapshot!(site.admin("GET", "/api/v1/stats").await.head(), @r#"
    200 OK
    cache-control: no-store
    content-length: 188
    content-security-policy: default-src 'none'; frame-ancestors 'none'
    content-type: application/json
    cross-origin-resource-policy: same-origin
    referrer-policy: no-referrer
    x-content-type-options: nosniff
    "#);
}

#[tokio::test]
async fn an_error_of_the_api() {
    let site = Site::with_pictures().await;
    insta::assert_snapshot!(site.get("/api/v1/stats", &[]).await.head(), @r#"
    401 Unauthorized
    cache-control: no-store
    content-length: 138
    content-security-policy: default-src 'none'; frame-ancestors 'none'
    content-type: application/problem+json
    cross-origin-resource-policy: same-origin
    referrer-policy: no-referrer
    www-authenticate: Bearer realm="tintype"
    x-content-type-options: nosniff
    "#);
}

#[tokio::test]
async fn a_page() {
    let site = Site::with_pictures().await;
    let answer = site.admin("GET", "/admin").await;
    let policy = answer.header("content-security-policy").unwrap();
    let style = policy.split('\'').find(|part| part.starts_with("sha256-"));
    let head = answer
        .head()
        .replace(answer.header("content-length").unwrap(), "[length]")
        .replace(style.unwrap(), "[hash]");
    insta::assert_snapshot!(head, @r#"
    200 OK
    cache-control: no-store
    content-length: [length]
    content-security-policy: default-src 'none'; style-src '[hash]'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'
    content-type: text/html; charset=utf-8
    cross-origin-resource-policy: same-origin
    referrer-policy: same-origin
    x-content-type-options: nosniff
    "#);
}

#[tokio::test]
async fn a_health_check() {
    let site = Site::with_pictures().await;
    let answer = site.get("/healthz", &[]).await;
    insta::assert_snapshot!(format!("{}\n\n{}", answer.head(), answer.text()), @r#"
    200 OK
    cache-control: no-store
    content-length: 212
    content-security-policy: default-src 'none'; frame-ancestors 'none'
    content-type: application/json
    cross-origin-resource-policy: same-origin
    referrer-policy: no-referrer
    x-content-type-options: nosniff

    {"ready":true,"jail":"full","jail_steps":["landlock"],"workers":2,"queue":{"ready":3,"leased":2,"dead":1},"files":{"damaged_sources":1,"damaged_renditions":2,"scrubbed":30,"scrubbed_bytes":4000,"scrub_passes":5}}
    "#);
    assert_eq!(site.get("/readyz", &[]).await.status, 200);
    site.health.ready.store(false, Ordering::Relaxed);
    assert_eq!(site.get("/healthz", &[]).await.status, 200);
    site.get("/readyz", &[]).await.problem(503, "not_ready");
}

/// One request per class of route and kind of outcome.
const SWEEP: [(&str, &str); 29] = [
    ("GET", "/img/ready.jpg/medium"),
    ("GET", "/img/ready.jpg/medium.jpg"),
    ("GET", "/v/ready.jpg/0123456789abcdef0123456789abcdef/medium"),
    ("GET", "/v/ready.jpg/old/medium"),
    ("GET", "/img/pending.jpg/medium"),
    ("GET", "/img/unseen.jpg/medium.webp"),
    ("GET", "/img/rejected.jpg/medium"),
    ("GET", "/img/failed.jpg/medium"),
    ("GET", "/img/deleted.jpg/medium"),
    ("GET", "/img/never.jpg/medium"),
    ("GET", "/img/ready.jpg/huge"),
    ("GET", "/img/%/medium"),
    ("GET", "/img/medium"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/admin"),
    ("GET", "/admin/"),
    ("GET", "/admin/image?key=ready.jpg"),
    ("GET", "/admin/image?key=unseen.jpg"),
    ("GET", "/admin/image?key=never.jpg"),
    ("GET", "/admin/login"),
    ("GET", "/admin/nothing"),
    ("GET", "/api/v1/images"),
    ("GET", "/api/v1/images?limit=0"),
    ("GET", "/api/v1/image?key=ready.jpg"),
    ("GET", "/api/v1/openapi.json"),
    ("GET", "/api/v1/nothing"),
    ("GET", "/nothing"),
];

fn without_noise(head: &str) -> String {
    let noisy = |line: &&str| !line.starts_with("set-cookie");
    head.lines().filter(noisy).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn head_says_what_get_says() {
    let site = Site::with_pictures().await;
    for (_, path) in SWEEP {
        // Metrics count the requests in between.
        if path == "/metrics" {
            continue;
        }
        let (get, head) = (site.admin("GET", path).await, site.admin("HEAD", path).await);
        assert_eq!(without_noise(&head.head()), without_noise(&get.head()), "{path}");
        assert!(head.body.is_empty(), "{path}");
        let length = get.header("content-length").map(|length| length.parse().unwrap());
        assert_eq!(length, Some(get.body.len()), "{path}");
    }
}

#[tokio::test]
async fn answers_are_cached_only_as_their_status_and_class_say() {
    let site = Site::with_pictures().await;
    let methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"];
    let conditions: [&[(&str, &str)]; 5] = [
        &[],
        &[("if-none-match", "*")],
        &[("if-match", "\"other\"")],
        &[("range", "bytes=0-0")],
        &[("range", "bytes=99999-")],
    ];
    let bearer = format!("Bearer {}", crate::site::TOKEN);
    let mut seen = std::collections::BTreeSet::new();
    for (_, path) in SWEEP {
        for method in methods {
            for (condition, with_token) in conditions
                .iter()
                .flat_map(|condition| [(condition, true), (condition, false)])
            {
                // It would change what the other requests find.
                if method == "DELETE" && path.starts_with("/api/v1/image?") {
                    continue;
                }
                let mut headers = condition.to_vec();
                if with_token {
                    headers.push(("authorization", &bearer));
                }
                let answer = site.ask(method, path, &headers).await;
                let status = answer.status.as_u16();
                let delivery = path.starts_with("/img/") || path.starts_with("/v/");
                let expected = match (delivery, status) {
                    (true, 200 | 206 | 304) if path.contains(VERSION) => {
                        "public, max-age=31536000, immutable"
                    }
                    (true, 200 | 206 | 304) => "public, max-age=86400",
                    (true, 404 | 422) => "public, max-age=5",
                    _ => "no-store",
                };
                let context = format!("{method} {path} {condition:?} {with_token} {status}");
                assert_eq!(answer.header("cache-control"), Some(expected), "{context}");
                assert_eq!(
                    answer.header("x-content-type-options"),
                    Some("nosniff"),
                    "{context}"
                );
                assert!(
                    answer
                        .header("content-security-policy")
                        .unwrap()
                        .starts_with("default-src 'none'"),
                    "{context}"
                );
                assert_eq!(
                    answer.header("access-control-allow-origin").is_some(),
                    delivery,
                    "{context}"
                );
                if status == 405 || (method == "OPTIONS" && status == 204) {
                    assert!(answer.header("allow").is_some(), "{context}");
                }
                if answer.status.is_client_error() && !path.starts_with("/admin") {
                    assert_eq!(
                        answer.header("content-type"),
                        Some("application/problem+json"),
                        "{context}"
                    );
                }
                seen.insert(status);
            }
        }
    }
    let expected = [
        200, 202, 204, 206, 304, 400, 401, 404, 405, 412, 415, 416, 422, 501, 503,
    ];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn only_negotiated_urls_vary() {
    let site = Site::with_pictures().await;
    let requests: [(&str, &[(&str, &str)]); 11] = [
        ("/img/ready.jpg/medium", &[]),
        ("/img/ready.jpg/medium", &[("if-none-match", "*")]),
        ("/img/ready.jpg/medium", &[("range", "bytes=0-0")]),
        ("/img/ready.jpg/medium", &[("range", "bytes=9999-")]),
        ("/img/ready.jpg/medium", &[("if-match", "\"other\"")]),
        ("/v/ready.jpg/old/medium", &[]),
        ("/img/pending.jpg/medium", &[]),
        ("/img/rejected.jpg/medium", &[]),
        ("/img/failed.jpg/medium", &[]),
        ("/img/never.jpg/medium", &[]),
        ("/img/ready.jpg/huge", &[]),
    ];
    for (path, headers) in requests {
        for method in ["GET", "HEAD"] {
            let negotiated = site.ask(method, path, headers).await;
            assert_eq!(
                negotiated.header("vary"),
                Some("Accept"),
                "{method} {path} {headers:?}"
            );
            let fixed = site.ask(method, &format!("{path}.jpg"), headers).await;
            assert_eq!(fixed.header("vary"), None, "{method} {path}.jpg {headers:?}");
        }
    }
}

#[tokio::test]
async fn a_panic_is_a_problem_without_details() {
    let site = Site::with_pictures().await;
    site.health.panics.store(true, Ordering::Relaxed);
    let answer = site.get("/healthz", &[]).await;
    answer.problem(500, "internal");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(!answer.text().contains("secret"));
    assert_eq!(site.get("/img/ready.jpg/medium", &[]).await.status, 200);
}

#[tokio::test]
async fn metrics_count_what_happened() {
    let site = Site::with_pictures().await;
    let bytes = site.get("/img/ready.jpg/medium.jpg", &[]).await.body.len();
    site.get("/img/ready.jpg/medium.jpg", &[("range", "bytes=0-9")])
        .await;
    site.ask("HEAD", "/img/ready.jpg/medium.jpg", &[]).await;
    site.get("/img/never.jpg/medium", &[]).await;
    let answer = site.admin("GET", "/metrics").await;
    assert_eq!(
        answer.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    let text = answer.text();
    let lines: Vec<&str> = text.lines().collect();
    for line in [
        "tintype_http_requests_total{class=\"delivery\",status=\"200\"} 2",
        "tintype_http_requests_total{class=\"delivery\",status=\"206\"} 1",
        "tintype_http_requests_total{class=\"delivery\",status=\"404\"} 1",
        "tintype_http_request_duration_seconds_count{class=\"delivery\"} 4",
        &format!("tintype_delivered_bytes_total {}", bytes + 10),
        "tintype_cache_hits_total 1",
        "tintype_cache_misses_total 1",
        "tintype_cache_entries 1",
        "tintype_queue_jobs{state=\"ready\"} 3",
        "tintype_queue_jobs{state=\"dead\"} 1",
        "tintype_images{status=\"ready\"} 1",
        "tintype_images{status=\"rejected\"} 1",
        "tintype_workers 2",
        "tintype_avif_tiles_refused_total 4",
        "tintype_ready 1",
        "# TYPE tintype_http_request_duration_seconds histogram",
    ] {
        assert!(lines.contains(&line), "{line} is missing in\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
    assert_eq!(lines.iter().filter(|line| **line == "# EOF").count(), 1);
}
