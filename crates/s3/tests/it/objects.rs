//! Objects one by one: attributes, conditions, ranges and copies.

use crate::client::{Call, Server};

#[tokio::test]
async fn attributes_come_back_as_they_were_sent() {
    let server = Server::start().await;
    let sent = [
        ("content-type", "image/x-test"),
        ("cache-control", "max-age=5"),
        ("content-disposition", "attachment; filename=\"x y.jpg\""),
        ("content-encoding", "gzip"),
        ("content-language", "de"),
        ("expires", "Wed, 02 Jan 2030 03:04:05 GMT"),
        ("x-amz-meta-plain", "bar  baz"),
        ("x-amz-meta-mtime", "1700000000.5"),
    ];
    let mut call = server.object("PUT", "k");
    for (name, value) in sent {
        call = call.header(
            name,
            value.split_whitespace().collect::<Vec<_>>().join(" ").as_str(),
        );
    }
    call.send(b"x").await.ok();
    for method in ["GET", "HEAD"] {
        let answer = server.object(method, "k").send(b"").await.ok();
        for (name, value) in sent {
            assert_eq!(
                answer.header(name),
                value.split_whitespace().collect::<Vec<_>>().join(" "),
                "{method} {name}"
            );
        }
        assert_eq!(answer.header("content-length"), "1");
        assert_eq!(answer.header("etag"), "\"9dd4e461268c8034f5c8564e155c67a6\"");
        assert_eq!(answer.header("accept-ranges"), "bytes");
    }
    let overrides = [
        ("response-content-type", "content-type", "text/x"),
        ("response-cache-control", "cache-control", "no-store"),
        ("response-content-disposition", "content-disposition", "inline"),
        ("response-content-encoding", "content-encoding", "br"),
        ("response-content-language", "content-language", "en"),
        ("response-expires", "expires", "Thu, 01 Jan 2032 00:00:00 GMT"),
    ];
    for method in ["GET", "HEAD"] {
        let mut call = server.object(method, "k");
        for (parameter, _, value) in overrides {
            call = call.query(parameter, value);
        }
        let answer = call.send(b"").await.ok();
        for (_, header, value) in overrides {
            assert_eq!(answer.header(header), value, "{method}");
        }
        let other = server.object(method, "k").query("response-server", "x");
        assert_eq!(other.send(b"").await.status, 501);
    }
}

#[tokio::test]
async fn metadata_may_come_in_many_headers() {
    let server = Server::start().await;
    server
        .object("PUT", "twice")
        .header("x-amz-meta-a", "1")
        .header("x-amz-meta-b", "x")
        .header("x-amz-meta-a", "2, 3")
        .send(b"")
        .await
        .ok();
    let answer = server.get("twice").await.ok();
    assert_eq!(
        (answer.header("x-amz-meta-a"), answer.header("x-amz-meta-b")),
        ("1,2, 3", "x")
    );
    let names: Vec<String> = (0..120).map(|number| format!("x-amz-meta-n{number}")).collect();
    let mut call = server.object("PUT", "many");
    for name in &names {
        call = call.header(name, "0123456789");
    }
    call.send(b"").await.ok();
    let answer = server.get("many").await.ok();
    for name in &names {
        assert_eq!(answer.header(name), "0123456789");
    }
}

#[tokio::test]
async fn metadata_beyond_ascii_is_encoded_on_its_way_back() {
    let server = Server::start().await;
    server
        .object("PUT", "raw")
        .header("x-amz-meta-title", "\u{65e5}\u{672c}")
        .send(b"")
        .await
        .ok();
    server
        .object("PUT", "encoded")
        .header("x-amz-meta-title", "=?UTF-8?B?5pel5pys?=")
        .send(b"")
        .await
        .ok();
    for key in ["raw", "encoded"] {
        assert_eq!(
            server.get(key).await.ok().header("x-amz-meta-title"),
            "=?UTF-8?B?5pel5pys?="
        );
    }
    let long = "x".repeat(2048);
    let answer = server
        .object("PUT", "k")
        .header("x-amz-meta-a", &long)
        .send(b"")
        .await;
    assert_eq!(answer.error(), (400, "MetadataTooLarge".into()));
}

#[tokio::test]
async fn downloads_cannot_act_as_pages() {
    let server = Server::start().await;
    server
        .object("PUT", "k")
        .header("content-type", "text/html")
        .send(b"<script>")
        .await
        .ok();
    let answer = server.get("k").await.ok();
    assert_eq!(answer.header("content-security-policy"), "sandbox");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    // The default type is S3's.
    server.put("bare", b"").await.ok();
    assert_eq!(
        server.get("bare").await.ok().header("content-type"),
        "binary/octet-stream"
    );
}

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
    assert_eq!(write("k", "if-match", &etag).await.0, 200);
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
async fn attributes_of_an_object_are_told_as_s3_does() {
    let server = Server::start().await;
    server.put("k", b"x").await.ok();
    let ask = async |names: &str| {
        let call = server.object("GET", "k").query("attributes", "");
        call.header("x-amz-object-attributes", names).send(b"").await
    };
    let answer = ask("ETag,ObjectSize, StorageClass").await.ok();
    assert_eq!(answer.all("ETag"), ["9dd4e461268c8034f5c8564e155c67a6"]);
    assert_eq!(
        (answer.all("ObjectSize"), answer.all("StorageClass")),
        (vec!["1".into()], vec!["STANDARD".into()])
    );
    for names in ["ETag,Owner", "etag", "ETag,", ""] {
        assert_eq!(ask(names).await.status, 400, "{names:?}");
    }
    assert_eq!(ask("ETag,Owner").await.error(), (400, "InvalidArgument".into()));
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

#[tokio::test]
async fn copies_keep_or_replace_attributes() {
    let server = Server::start().await;
    let put = server
        .object("PUT", "from")
        .header("content-type", "image/png")
        .header("x-amz-meta-a", "1");
    let etag = put.send(b"body").await.ok().header("etag").to_owned();
    let copy = |to: &str| server.object("PUT", to).header("x-amz-copy-source", "raw/from");
    let answer = copy("kept").send(b"").await.ok();
    assert_eq!(answer.all("ETag"), [etag.as_str()]);
    let kept = server.get("kept").await.ok();
    assert_eq!(
        (kept.header("content-type"), kept.header("x-amz-meta-a")),
        ("image/png", "1")
    );
    let replace = copy("new")
        .header("x-amz-metadata-directive", "REPLACE")
        .header("x-amz-meta-b", "2");
    replace.send(b"").await.ok();
    let new = server.get("new").await.ok();
    assert_eq!(
        (new.header("content-type"), new.header("x-amz-meta-a")),
        ("binary/octet-stream", "")
    );
    assert_eq!(
        (new.header("x-amz-meta-b"), new.body.as_slice()),
        ("2", &b"body"[..])
    );

    assert_eq!(
        copy("from").send(b"").await.error(),
        (400, "InvalidRequest".into())
    );
    let onto_itself = copy("from")
        .header("x-amz-metadata-directive", "REPLACE")
        .header("content-type", "image/gif");
    onto_itself.send(b"").await.ok();
    assert_eq!(server.get("from").await.ok().header("content-type"), "image/gif");
    for (name, value) in [("if-match", "\"other\""), ("if-none-match", etag.as_str())] {
        let answer = copy("refused")
            .header(&format!("x-amz-copy-source-{name}"), value)
            .send(b"")
            .await;
        assert_eq!(answer.error(), (412, "PreconditionFailed".into()));
    }
    let missing = server
        .object("PUT", "refused")
        .header("x-amz-copy-source", "raw/missing")
        .send(b"")
        .await;
    assert_eq!(missing.error(), (404, "NoSuchKey".into()));
    assert!(!server.has("refused").await);
}

#[tokio::test]
async fn what_is_not_offered_is_refused() {
    let server = Server::start().await;
    for (name, value, status, code) in [
        ("x-amz-acl", "public-read", 400, "AccessControlListNotSupported"),
        ("x-amz-storage-class", "GLACIER", 400, "InvalidStorageClass"),
        ("x-amz-storage-class", "standard", 400, "InvalidStorageClass"),
        ("x-amz-server-side-encryption", "aws:kms", 501, "NotImplemented"),
        ("x-amz-server-side-encryption", "", 501, "NotImplemented"),
        (
            "x-amz-server-side-encryption-aws-kms-key-id",
            "key",
            501,
            "NotImplemented",
        ),
        (
            "x-amz-server-side-encryption-customer-algorithm",
            "AES256",
            501,
            "NotImplemented",
        ),
        (
            "x-amz-copy-source-server-side-encryption-customer-algorithm",
            "AES256",
            501,
            "NotImplemented",
        ),
        ("x-amz-tagging", "a=b", 501, "NotImplemented"),
        ("x-amz-object-lock-mode", "GOVERNANCE", 501, "NotImplemented"),
    ] {
        let answer = server.object("PUT", "k").header(name, value).send(b"").await;
        assert_eq!(answer.error(), (status, code.into()), "{name}");
    }
    let answer = server
        .object("GET", "k")
        .query("versionId", "abc")
        .send(b"")
        .await;
    assert_eq!(answer.error(), (400, "InvalidArgument".into()));
    let answer = server.object("PUT", "k").query("acl", "").send(b"").await;
    assert_eq!(answer.error(), (501, "NotImplemented".into()));
    assert!(!server.has("k").await);
}

#[tokio::test]
async fn encryption_by_the_store_and_usual_storage_classes_say_nothing() {
    let server = Server::start().await;
    for class in ["STANDARD", "REDUCED_REDUNDANCY"] {
        let says_nothing = |call: Call| {
            call.header("x-amz-server-side-encryption", "AES256")
                .header("x-amz-storage-class", class)
        };
        let put = says_nothing(server.object("PUT", "k")).send(b"body").await.ok();
        assert_eq!(put.header("x-amz-server-side-encryption"), "");
        let copy = server.object("PUT", "copy").header("x-amz-copy-source", "raw/k");
        says_nothing(copy).send(b"").await.ok();
        assert_eq!(server.get("copy").await.ok().body, b"body");
        let parts = server.object("POST", "parts").query("uploads", "");
        let upload = says_nothing(parts).send(b"").await.ok();
        assert_eq!(upload.all("UploadId").len(), 1);
    }
    let listing = server.call("GET", "/raw").send(b"").await.ok();
    assert_eq!(listing.all("StorageClass"), ["STANDARD", "STANDARD"]);
}

#[tokio::test]
async fn answers_carry_a_request_id() {
    let server = Server::start().await;
    let answer = server.get("missing").await;
    assert_eq!(answer.all("RequestId"), [answer.header("x-amz-request-id")]);
    assert_eq!(answer.all("Message"), ["The specified key does not exist."]);
    assert_eq!(answer.header("content-type"), "application/xml");
}
