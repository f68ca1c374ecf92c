//! Objects one by one: attributes and copies.

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
    assert_eq!(answer.header("content-disposition"), "attachment");
    let head = server.object("HEAD", "k").send(b"").await.ok();
    let refused = server.get("nothing").await;
    assert_eq!(refused.status, 404);
    for answer in [answer, head, refused] {
        let policy = answer.header("content-security-policy");
        assert_eq!(policy, "default-src 'none'; sandbox");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
    }
    // Whoever uploads does not decide that it is shown; whoever signs the request does.
    for (stored, sent) in [
        ("inline", "attachment"),
        ("Inline; filename=\"a.html\"", "attachment; filename=\"a.html\""),
        (
            "attachment; filename=\"a.html\"",
            "attachment; filename=\"a.html\"",
        ),
        ("x", "x"),
    ] {
        let upload = server.object("PUT", "k").header("content-disposition", stored);
        upload.send(b"<script>").await.ok();
        let answer = server.get("k").await.ok();
        assert_eq!(answer.header("content-disposition"), sent);
        let head = server.object("HEAD", "k").send(b"").await.ok();
        assert_eq!(head.header("content-disposition"), stored);
    }
    // The default type is S3's.
    server.put("bare", b"").await.ok();
    assert_eq!(
        server.get("bare").await.ok().header("content-type"),
        "binary/octet-stream"
    );
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
    let weak = format!("W/{etag}");
    for (name, value) in [
        ("if-match", "\"other\""),
        ("if-match", &weak),
        ("if-none-match", &etag),
        ("if-none-match", &weak),
        ("if-unmodified-since", "Sunday, 06-Nov-94 08:49:37 GMT"),
    ] {
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
