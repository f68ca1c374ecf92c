//! Authentication: every request is signed with Signature Version 4, completely and in time.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tintype_s3::presign_put;

use crate::client::{Answer, ORIGIN, Server, exchange};

async fn fetch(server: &Server, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut all = vec![("host".to_owned(), server.address.to_string())];
    all.extend(
        headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    );
    exchange(server.address, method, target, &all, body).await
}

#[tokio::test]
async fn unsigned_requests_are_denied() {
    let server = Server::start().await;
    server.put("k", b"secret").await.ok();
    for (method, path) in [
        ("GET", "/raw/k"),
        ("PUT", "/raw/k"),
        ("DELETE", "/raw/k"),
        ("GET", "/raw"),
        ("POST", "/raw/k?uploads="),
        ("POST", "/raw?delete="),
    ] {
        let answer = fetch(&server, method, path, &[], b"").await;
        assert_eq!(answer.error(), (403, "AccessDenied".into()), "{method} {path}");
        assert!(!answer.text().contains("secret"));
    }
    assert_eq!(fetch(&server, "HEAD", "/raw/k", &[], b"").await.status, 403);
    assert_eq!(server.get("k").await.ok().body, b"secret");
}

#[tokio::test]
async fn signatures_must_be_right() {
    let server = Server::start().await;
    server.put("k", b"").await.ok();
    let mut call = server.object("GET", "k");
    call.secret_key = "another";
    assert_eq!(
        call.send(b"").await.error(),
        (403, "SignatureDoesNotMatch".into())
    );
    let mut call = server.object("GET", "k");
    call.access_key = "another";
    assert_eq!(call.send(b"").await.error(), (403, "InvalidAccessKeyId".into()));
    let mut call = server.object("GET", "k");
    call.access_key = "";
    assert_eq!(call.send(b"").await.error(), (403, "InvalidAccessKeyId".into()));
}

#[tokio::test]
async fn signatures_for_any_region_are_taken() {
    let server = Server::start().await;
    server.put("k", b"body").await.ok();
    for region in ["us-east-1", "eu-central-1", "auto", "local"] {
        let mut call = server.object("GET", "k");
        call.region = region;
        let target = call.clone().presign(60);
        assert_eq!(call.send(b"").await.ok().body, b"body", "{region}");
        let answer = fetch(&server, "GET", &target, &[], b"").await;
        assert_eq!(answer.ok().body, b"body", "{region}");
        // It is signed like everything else.
        let moved = target.replace(&format!("%2F{region}%2F"), "%2Fus-west-2%2F");
        let answer = fetch(&server, "GET", &moved, &[], b"").await;
        assert_eq!(answer.error(), (403, "SignatureDoesNotMatch".into()), "{region}");
    }
    for region in ["", "-", "us_east_1", "a.b"] {
        let mut call = server.object("GET", "k");
        call.region = region;
        let target = call.clone().presign(60);
        assert_eq!(
            call.send(b"").await.error(),
            (400, "AuthorizationHeaderMalformed".into()),
            "{region:?}"
        );
        assert_eq!(
            fetch(&server, "GET", &target, &[], b"").await.error(),
            (400, "AuthorizationQueryParametersError".into()),
            "{region:?}"
        );
    }
}

#[tokio::test]
async fn clocks_may_differ_by_15_minutes() {
    let server = Server::start().await;
    server.put("k", b"").await.ok();
    for (minutes, expected) in [(14, 200), (-14, 200), (16, 403), (-16, 403)] {
        let mut call = server.object("GET", "k");
        call.at += SignedDuration::from_mins(minutes);
        let answer = call.send(b"").await;
        assert_eq!(answer.status, expected, "{minutes} {}", answer.text());
        assert_eq!(answer.status == 403, answer.error().1 == "RequestTimeTooSkewed");
    }
}

#[tokio::test]
async fn the_time_may_be_told_as_http_does() {
    let server = Server::start().await;
    server.object("PUT", "k").http_date().send(b"body").await.ok();
    assert_eq!(
        server.object("GET", "k").http_date().send(b"").await.ok().body,
        b"body"
    );
    let mut late = server.object("GET", "k").http_date();
    late.at -= SignedDuration::from_mins(16);
    assert_eq!(late.send(b"").await.error(), (403, "RequestTimeTooSkewed".into()));
}

#[tokio::test]
async fn headers_that_matter_must_be_signed() {
    let server = Server::start().await;
    let call = server
        .object("PUT", "k")
        .unsigned_header("x-amz-meta-a", "added on the way");
    assert_eq!(call.send(b"").await.error(), (403, "AccessDenied".into()));
    let call = server
        .object("PUT", "k")
        .unsigned_header("x-amz-copy-source", "/raw/other");
    assert_eq!(call.send(b"").await.error(), (403, "AccessDenied".into()));
    let target = server.object("PUT", "k").presign(60);
    let answer = fetch(&server, "PUT", &target, &[("x-amz-meta-a", "added")], b"").await;
    assert_eq!(answer.error(), (403, "AccessDenied".into()));
    assert!(!server.has("k").await);
}

#[tokio::test]
async fn version_2_is_refused() {
    let server = Server::start().await;
    let header = [
        ("authorization", "AWS TESTKEY:c2lnbmF0dXJl"),
        ("date", "Mon, 23 Nov 2026 12:00:00 GMT"),
    ];
    assert_eq!(
        fetch(&server, "GET", "/raw", &header, b"").await.error(),
        (400, "InvalidRequest".into())
    );
    let query = "/raw/k?AWSAccessKeyId=TESTKEY&Signature=c2lnbmF0dXJl&Expires=4102444800";
    assert_eq!(
        fetch(&server, "GET", query, &[], b"").await.error(),
        (400, "InvalidRequest".into())
    );
}

#[tokio::test]
async fn presigned_urls_end() {
    let server = Server::start().await;
    server.put("k", b"body").await.ok();
    let get = async |seconds, ago: i64| {
        let mut call = server.object("GET", "k");
        call.at = Timestamp::now() - SignedDuration::from_secs(ago);
        fetch(&server, "GET", &call.presign(seconds), &[], b"").await
    };
    assert_eq!(get(60, 30).await.ok().body, b"body");
    assert_eq!(get(604_800, 600_000).await.ok().body, b"body");
    assert_eq!(get(60, 62).await.error(), (403, "AccessDenied".into()));
    assert_eq!(
        get(604_801, 0).await.error(),
        (400, "AuthorizationQueryParametersError".into())
    );
    assert_eq!(
        get(0, 0).await.error(),
        (400, "AuthorizationQueryParametersError".into())
    );
    assert_eq!(
        get(60, -16 * 60).await.error(),
        (403, "RequestTimeTooSkewed".into())
    );
}

#[tokio::test]
async fn presigned_urls_are_for_one_request() {
    let server = Server::start().await;
    server.put("k", b"body").await.ok();
    let target = server.object("GET", "k").presign(60);
    for (method, target) in [
        ("PUT", target.clone()),
        ("DELETE", target.clone()),
        ("GET", target.replace("/raw/k", "/raw/other")),
        ("GET", target.replace("X-Amz-Expires=60", "X-Amz-Expires=61")),
        ("GET", format!("{target}&response-content-type=text/html")),
    ] {
        let answer = fetch(&server, method, &target, &[], b"").await;
        assert_eq!(
            answer.error(),
            (403, "SignatureDoesNotMatch".into()),
            "{method} {target}"
        );
    }
    assert_eq!(server.get("k").await.ok().body, b"body");
}

#[tokio::test]
async fn our_own_presigned_uploads_work() {
    let server = Server::start().await;
    let sign = |key: &str, content_type: Option<&str>| {
        let url = presign_put(
            &server.config,
            &server.url(),
            key,
            content_type,
            Duration::from_secs(900),
        )
        .unwrap();
        url.strip_prefix(&server.url()).unwrap().to_owned()
    };
    for key in ["photo.jpg", "a b+c/../%2F/\u{e9}?&=#", "x//y", "/", "\u{1f600}"] {
        fetch(
            &server,
            "PUT",
            &sign(key, None),
            &[("content-type", "image/x-any")],
            b"picture",
        )
        .await
        .ok();
        let answer = server.get(key).await.ok();
        assert_eq!(
            (answer.body.as_slice(), answer.header("content-type")),
            (&b"picture"[..], "image/x-any")
        );
    }
    let typed = sign("typed.jpg", Some("image/jpeg"));
    let answer = fetch(&server, "PUT", &typed, &[("content-type", "text/html")], b"x").await;
    assert_eq!(answer.error(), (403, "SignatureDoesNotMatch".into()));
    fetch(
        &server,
        "PUT",
        &typed,
        &[("content-type", "image/jpeg")],
        b"picture",
    )
    .await
    .ok();
    assert_eq!(
        server.get("typed.jpg").await.ok().header("content-type"),
        "image/jpeg"
    );
}

#[tokio::test]
async fn checksums_count_only_as_signed_headers() {
    let server = Server::start().await;
    // The SDK for JavaScript presigns without a body, and puts the checksum of none into the query.
    let target = server
        .object("PUT", "k")
        .query("x-amz-checksum-crc32", "AAAAAA==")
        .query("x-amz-sdk-checksum-algorithm", "CRC32")
        .presign(60);
    let answer = fetch(&server, "PUT", &target, &[], b"abc").await.ok();
    assert_eq!(answer.header("x-amz-checksum-crc32"), "NSRBwg==");
    assert_eq!(server.get("k").await.ok().body, b"abc");

    let target = server
        .object("PUT", "signed")
        .header("x-amz-checksum-crc32", "NSRBwg==")
        .presign(60);
    let sum = [("x-amz-checksum-crc32", "NSRBwg==")];
    assert_eq!(
        fetch(&server, "PUT", &target, &sum, b"abd").await.error(),
        (400, "BadDigest".into())
    );
    for headers in [&[][..], &[("x-amz-checksum-crc32", "AAAAAA==")]] {
        let answer = fetch(&server, "PUT", &target, headers, b"").await;
        assert_eq!(answer.error(), (403, "SignatureDoesNotMatch".into()));
    }
    assert!(!server.has("signed").await);
    fetch(&server, "PUT", &target, &sum, b"abc").await.ok();
}

#[tokio::test]
async fn what_a_presigned_url_says_in_its_query_counts_as_headers() {
    let server = Server::start().await;
    let target = server
        .object("PUT", "k")
        .query("x-amz-meta-note", "from the query")
        .presign(60);
    fetch(&server, "PUT", &target, &[], b"abc").await.ok();
    assert_eq!(
        server.get("k").await.ok().header("x-amz-meta-note"),
        "from the query"
    );
    let target = server
        .object("PUT", "refused")
        .query("x-amz-server-side-encryption", "aws:kms")
        .presign(60);
    assert_eq!(
        fetch(&server, "PUT", &target, &[], b"abc").await.error(),
        (501, "NotImplemented".into())
    );
    assert!(!server.has("refused").await);
}

#[tokio::test]
async fn pages_of_allowed_origins_may_upload() {
    let server = Server::start().await;
    let asked = [
        ("origin", ORIGIN),
        ("access-control-request-method", "PUT"),
        ("access-control-request-headers", "content-type, x-amz-meta-a"),
    ];
    let answer = fetch(&server, "OPTIONS", "/raw/k", &asked, b"").await.ok();
    assert_eq!(answer.header("access-control-allow-origin"), ORIGIN);
    assert_eq!(
        answer.header("access-control-allow-headers"),
        "content-type, x-amz-meta-a"
    );
    assert!(answer.header("access-control-allow-methods").contains("PUT"));
    assert!(answer.header("vary").contains("Origin"));

    let target = server.object("PUT", "k").presign(60);
    let answer = fetch(&server, "PUT", &target, &[("origin", ORIGIN)], b"x")
        .await
        .ok();
    assert_eq!(answer.header("access-control-allow-origin"), ORIGIN);
    assert!(answer.header("access-control-expose-headers").contains("ETag"));
    // The page must also be able to read why it was refused.
    let answer = fetch(&server, "PUT", "/raw/k", &[("origin", ORIGIN)], b"x").await;
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (403, ORIGIN)
    );
}

#[tokio::test]
async fn pages_of_other_origins_learn_nothing() {
    let server = Server::start().await;
    for origin in [
        "https://evil.example",
        "null",
        "https://app.example.evil",
        "http://app.example",
    ] {
        let asked = [("origin", origin), ("access-control-request-method", "PUT")];
        let answer = fetch(&server, "OPTIONS", "/raw/k", &asked, b"").await;
        assert_eq!(answer.error(), (403, "AccessForbidden".into()));
        assert_eq!(answer.header("access-control-allow-origin"), "");
        let target = server.object("PUT", "k").presign(60);
        let answer = fetch(&server, "PUT", &target, &[("origin", origin)], b"x").await;
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
}
