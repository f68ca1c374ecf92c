//! Conditional reads and writes, and ranges.

use std::time::SystemTime;

use tintype_model::UnixMillis;
use tintype_store::Clock;

use crate::client::Server;

#[tokio::test]
async fn reads_are_conditional() {
    let server = Server::start().await;
    let etag = server.put("k", b"x").await.ok().header("etag").to_owned();
    let modified = server.get("k").await.ok().header("last-modified").to_owned();
    for method in ["GET", "HEAD"] {
        let status = async |name: &str, value: &str| {
            let answer = server.object(method, "k").header(name, value).send(b"").await;
            if answer.status == 304 {
                assert_eq!((answer.header("etag"), answer.body.len()), (etag.as_str(), 0));
            }
            answer.status
        };
        assert_eq!(status("if-none-match", &etag).await, 304);
        assert_eq!(status("if-none-match", "\"other\"").await, 200);
        assert_eq!(status("if-match", &etag).await, 200);
        assert_eq!(status("if-match", "\"other\"").await, 412);
        assert_eq!(status("if-modified-since", &modified).await, 304);
        assert_eq!(
            status("if-unmodified-since", "Sun, 06 Nov 1994 08:49:37 GMT").await,
            412
        );
        assert_eq!(status("if-modified-since", "not a date").await, 200);
    }
}

#[tokio::test]
async fn reads_conform_to_http() {
    let server = Server::start().await;
    server.put("k", b"0123456789").await.ok();
    tintype_http::testing::conditional_requests(async |headers| {
        let mut call = server.object("GET", "k");
        for (name, value) in headers {
            call = call.unsigned_header(name, value);
        }
        let answer = call.send(b"").await;
        (http::StatusCode::from_u16(answer.status).unwrap(), answer.headers)
    })
    .await;
}

#[tokio::test]
async fn nothing_was_modified_in_the_future() {
    let hour_ahead = || UnixMillis(UnixMillis::from(SystemTime::now()).0 + 3_600_000);
    let server = Server::start_on(Clock::manual(hour_ahead)).await;
    let etag = server.put("k", b"x").await.ok().header("etag").to_owned();
    for method in ["GET", "HEAD"] {
        let whole = server.object(method, "k").send(b"").await.ok();
        let same = server
            .object(method, "k")
            .header("if-none-match", &etag)
            .send(b"")
            .await;
        for answer in [whole, same] {
            let modified = tintype_http::parse_date(answer.header("last-modified")).unwrap();
            assert!(modified <= SystemTime::now(), "{method} {}", answer.status);
        }
    }
}

#[tokio::test]
async fn writes_are_conditional() {
    let server = Server::start().await;
    let write = async |key: &str, name: &str, value: &str| {
        server
            .object("PUT", key)
            .header(name, value)
            .send(b"new")
            .await
            .error()
    };
    let failed = (412, "PreconditionFailed".to_owned());
    assert_eq!(write("k", "if-none-match", "*").await.0, 200);
    assert_eq!(write("k", "if-none-match", "*").await, failed);
    let etag = server.get("k").await.ok().header("etag").to_owned();
    assert_eq!(write("k", "if-match", "\"other\"").await, failed);
    // It compares strongly (RFC 9110 section 13.1.1).
    assert_eq!(write("k", "if-match", &format!("W/{etag}")).await, failed);
    assert_eq!(write("k", "if-match", &etag).await.0, 200);
    assert_eq!(write("k", "if-match", etag.trim_matches('"')).await.0, 200);
    assert_eq!(
        write("missing", "if-match", &etag).await,
        (404, "NoSuchKey".to_owned())
    );
    assert_eq!(
        write("k", "if-none-match", &etag).await,
        (501, "NotImplemented".to_owned())
    );
    let delete = server
        .object("DELETE", "k")
        .header("if-match", "\"other\"")
        .send(b"")
        .await;
    assert_eq!(delete.error(), failed);
    assert!(server.has("k").await);
    server
        .object("DELETE", "k")
        .header("if-match", &etag)
        .send(b"")
        .await
        .ok();
    assert!(!server.has("k").await);
}

#[tokio::test]
async fn deletes_may_ask_that_there_is_something_to_delete() {
    let server = Server::start().await;
    let failed = (412, "PreconditionFailed".to_owned());
    let delete = async |key: &'static str| {
        server
            .object("DELETE", key)
            .header("if-match", "*")
            .send(b"")
            .await
    };
    assert_eq!(delete("k").await.error(), failed);
    server.put("k", b"x").await.ok();
    assert_eq!(delete("k").await.status, 204);
    assert!(!server.has("k").await);
    server.put("k", b"x").await.ok();
    let document =
        b"<Delete><Object><Key>k</Key><ETag>*</ETag></Object><Object><Key>none</Key><ETag>*</ETag></Object>\
        </Delete>";
    let answer = server
        .call("POST", "/raw")
        .query("delete", "")
        .send(document)
        .await
        .ok();
    assert_eq!(answer.all("Key"), ["k", "none"]);
    assert_eq!(answer.all("Code"), ["PreconditionFailed"]);
    assert!(!server.has("k").await);
}

#[tokio::test]
async fn of_many_writers_that_want_to_be_first_one_is() {
    let server = Server::start().await;
    let writes = (0..16).map(|n| {
        let call = server.object("PUT", "k").header("if-none-match", "*");
        async move { call.send(format!("writer {n}").as_bytes()).await.status }
    });
    let mut statuses = futures::future::join_all(writes).await;
    statuses.sort_unstable();
    assert_eq!(statuses[0], 200);
    assert!(statuses[1..].iter().all(|status| *status == 412), "{statuses:?}");
}

#[tokio::test]
async fn ranges_are_served() {
    let server = Server::start().await;
    let data: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    server.put("k", &data).await.ok();
    server.put("empty", b"").await.ok();
    for (range, expected) in [
        ("bytes=0-0", 0..1),
        ("bytes=5-9", 5..10),
        ("bytes=-7", 299_993..300_000),
        ("bytes=299999-", 299_999..300_000),
        ("bytes=299990-999999", 299_990..300_000),
        ("bytes=-999999", 0..300_000),
    ] {
        let answer = server.object("GET", "k").header("range", range).send(b"").await;
        assert_eq!(
            (answer.status, answer.body.as_slice()),
            (206, &data[expected.clone()]),
            "{range}"
        );
        let content_range = format!("bytes {}-{}/300000", expected.start, expected.end - 1);
        assert_eq!(answer.header("content-range"), content_range);
        let head = server.object("HEAD", "k").header("range", range).send(b"").await;
        assert_eq!(
            (head.status, head.header("content-range")),
            (206, content_range.as_str())
        );
        assert_eq!(head.header("content-length"), expected.len().to_string());
    }
    for range in ["bytes=0-1,5-6", "bytes=9-5", "lines=1-2", "bytes=x"] {
        let answer = server.object("GET", "k").header("range", range).send(b"").await;
        assert_eq!(
            (answer.status, answer.body.len()),
            (200, 300_000),
            "{range} is ignored"
        );
    }
    for (key, range) in [
        ("k", "bytes=300000-"),
        ("k", "bytes=-0"),
        ("empty", "bytes=0-"),
        ("empty", "bytes=0-0"),
        ("empty", "bytes=-0"),
    ] {
        let answer = server.object("GET", key).header("range", range).send(b"").await;
        assert_eq!(answer.error(), (416, "InvalidRange".into()), "{key} {range}");
        assert!(answer.header("content-range").starts_with("bytes */"));
    }
    for range in ["bytes=-1", "bytes=-999", "bytes=x", "bytes=0-0,1-2"] {
        for method in ["GET", "HEAD"] {
            let answer = server
                .object(method, "empty")
                .header("range", range)
                .send(b"")
                .await;
            assert_eq!(
                (
                    answer.status,
                    answer.header("content-length"),
                    answer.header("content-range")
                ),
                (200, "0", ""),
                "{method} {range}"
            );
        }
    }
    let stale = server
        .object("GET", "k")
        .header("range", "bytes=0-0")
        .header("if-range", "\"other\"");
    assert_eq!(stale.send(b"").await.status, 200);
}
