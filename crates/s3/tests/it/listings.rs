//! Listings, deletion, and the bucket.

use crate::client::Server;

#[tokio::test]
async fn listings_roll_up_at_the_delimiter() {
    let server = Server::start().await;
    for key in ["l/a", "l/b/1", "l/b/2", "l/c", "l/d/x/y", "l/e", "other"] {
        server.put(key, b"").await.ok();
    }
    for version in ["1", "2"] {
        for size in ["1", "2", "3", "1000"] {
            let (mut keys, mut prefixes, mut next) = (Vec::new(), Vec::new(), None::<String>);
            loop {
                let call = server
                    .call("GET", "/raw")
                    .query("list-type", version)
                    .query("prefix", "l/");
                let mut call = call.query("delimiter", "/").query("max-keys", size);
                let (parameter, element) = if version == "1" {
                    ("marker", "NextMarker")
                } else {
                    ("continuation-token", "NextContinuationToken")
                };
                if let Some(next) = &next {
                    call = call.query(parameter, next);
                }
                let page = call.send(b"").await.ok();
                let inside = page
                    .text()
                    .split("<CommonPrefixes>")
                    .skip(1)
                    .map(|rest| {
                        rest.split_once("<Prefix>")
                            .unwrap()
                            .1
                            .split_once("</Prefix>")
                            .unwrap()
                            .0
                            .to_owned()
                    })
                    .collect::<Vec<_>>();
                prefixes.extend(inside);
                keys.extend(page.all("Key"));
                next = page.all(element).pop();
                if page.all("IsTruncated") == ["false"] {
                    break;
                }
            }
            assert_eq!(
                (keys, prefixes),
                (
                    vec!["l/a".into(), "l/c".into(), "l/e".into()],
                    vec!["l/b/".into(), "l/d/".into()]
                ),
                "{version} {size}"
            );
        }
    }
    let after = server
        .call("GET", "/raw")
        .query("list-type", "2")
        .query("start-after", "l/c")
        .send(b"")
        .await
        .ok();
    assert_eq!(after.all("Key"), ["l/d/x/y", "l/e", "other"]);
    // A client that goes on behind the last line it was given comes to an end.
    let (mut last, mut seen) = (String::new(), Vec::new());
    while seen.len() < 10 {
        let page = server
            .call("GET", "/raw")
            .query("list-type", "2")
            .query("prefix", "l/")
            .query("delimiter", "/")
            .query("max-keys", "1")
            .query("start-after", &last)
            .send(b"")
            .await
            .ok();
        let mut lines = page.all("Key");
        lines.extend(page.all("Prefix").into_iter().filter(|prefix| prefix != "l/"));
        let Some(line) = lines.pop() else { break };
        last.clone_from(&line);
        seen.push(line);
    }
    assert_eq!(seen, ["l/a", "l/b/", "l/c", "l/d/", "l/e"]);
    let none = server
        .call("GET", "/raw")
        .query("list-type", "2")
        .query("max-keys", "0")
        .send(b"")
        .await
        .ok();
    assert_eq!(
        (none.all("KeyCount"), none.all("IsTruncated")),
        (vec!["0".into()], vec!["false".into()])
    );
    for (name, value) in [("max-keys", "-1"), ("continuation-token", "!")] {
        let answer = server
            .call("GET", "/raw")
            .query("list-type", "2")
            .query(name, value)
            .send(b"")
            .await;
        assert_eq!(answer.error(), (400, "InvalidArgument".into()), "{name}");
    }
}

#[tokio::test]
async fn many_objects_are_deleted_at_once() {
    let server = Server::start().await;
    for key in ["a&b", "c<d", "e\rf", "kept"] {
        server.put(key, b"").await.ok();
    }
    let delete = async |document: &str| {
        server
            .call("POST", "/raw")
            .query("delete", "")
            .send(document.as_bytes())
            .await
    };
    let object = |key: &str| format!("<Object><Key>{key}</Key></Object>");
    let answer = delete(&format!(
        "<Delete>{}{}</Delete>",
        object("a&amp;b"),
        object("missing")
    ))
    .await
    .ok();
    assert_eq!(answer.all("Key"), ["a&amp;b", "missing"]);
    let quiet = format!(
        "<Delete>{}{}<Quiet>true</Quiet></Delete>",
        object("c&lt;d"),
        object("e&#13;f")
    );
    assert!(delete(&quiet).await.ok().all("Key").is_empty());
    let conditional = "<Delete><Object><Key>kept</Key><ETag>\"other\"</ETag></Object></Delete>";
    assert_eq!(delete(conditional).await.ok().all("Code"), ["PreconditionFailed"]);
    let listing = server.call("GET", "/raw").send(b"").await.ok();
    assert_eq!(listing.all("Key"), ["kept"]);
    assert_eq!(
        delete("<Delete></Delete>").await.error(),
        (400, "MalformedXML".into())
    );
    let many: String = (0..1001).map(|n| object(&n.to_string())).collect();
    assert_eq!(
        delete(&format!("<Delete>{many}</Delete>")).await.error(),
        (400, "MalformedXML".into())
    );
}

#[tokio::test]
async fn deleting_what_is_not_there_succeeds() {
    let server = Server::start().await;
    assert_eq!(server.object("DELETE", "missing").send(b"").await.status, 204);
    assert_eq!(server.get("missing").await.error(), (404, "NoSuchKey".into()));
}

#[tokio::test]
async fn there_is_one_bucket() {
    let server = Server::start().await;
    let answer = server.call("GET", "/").send(b"").await.ok();
    assert_eq!(answer.all("Name"), ["raw"]);
    assert_eq!(server.call("HEAD", "/raw").send(b"").await.status, 200);
    assert_eq!(server.call("HEAD", "/other").send(b"").await.status, 404);
    assert_eq!(
        server.call("GET", "/other/k").send(b"").await.error(),
        (404, "NoSuchBucket".into())
    );
    assert_eq!(
        server.call("PUT", "/raw").send(b"").await.error(),
        (409, "BucketAlreadyOwnedByYou".into())
    );
    assert_eq!(
        server.call("PUT", "/other").send(b"").await.error(),
        (403, "AccessDenied".into())
    );
    assert_eq!(
        server.call("PUT", "/Other_").send(b"").await.error(),
        (400, "InvalidBucketName".into())
    );
    assert_eq!(
        server.call("DELETE", "/raw").send(b"").await.error(),
        (403, "AccessDenied".into())
    );
    let location = server
        .call("GET", "/raw")
        .query("location", "")
        .send(b"")
        .await
        .ok();
    assert!(
        location.text().contains("<LocationConstraint") && location.text().contains(">local<"),
        "{}",
        location.text()
    );
    let head = server.call("HEAD", "/raw").send(b"").await.ok();
    assert_eq!(head.header("x-amz-bucket-region"), "local");
    let versioning = server
        .call("GET", "/raw")
        .query("versioning", "")
        .send(b"")
        .await
        .ok();
    assert!(!versioning.text().contains("Status"));
    for (probe, code) in [
        ("policy", "NoSuchBucketPolicy"),
        ("lifecycle", "NoSuchLifecycleConfiguration"),
        ("cors", "NoSuchCORSConfiguration"),
        ("tagging", "NoSuchTagSet"),
        ("object-lock", "ObjectLockConfigurationNotFoundError"),
    ] {
        assert_eq!(
            server
                .call("GET", "/raw")
                .query(probe, "")
                .send(b"")
                .await
                .error(),
            (404, code.into())
        );
    }
}
