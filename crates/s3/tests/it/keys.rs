//! Keys are opaque: whatever S3 takes is stored, listed and read back exactly.

use percent_encoding::percent_decode_str;
use tintype_model::testing::conformance;

use crate::client::Server;

/// The keys of the conformance suites, and more that file systems, HTTP libraries, XML or careless decoding would change.
fn nasty_keys() -> Vec<String> {
    let more = [
        "a b.jpg",
        "double  space",
        "a+b.jpg",
        "a%2Bb.jpg",
        "a%20b.jpg",
        "100%",
        "%zz",
        "..%2f",
        "%2e%2e/x",
        "../../../../etc/passwd",
        "./a",
        "a/.",
        "//a",
        "/",
        "a///",
        "folder/",
        "foo",
        "foo/bar",
        "foo/bar/baz",
        "foo.",
        "foo./bar.",
        "Case.jpg",
        "CASE.JPG",
        ".hidden",
        "SOAP",
        r"back\slash",
        r"a\..\b",
        "quote\"d",
        "it's",
        "<tag>&amp;",
        "a&b=c",
        "a=b",
        "a?b",
        "a;b",
        "a@b",
        "a,b",
        "a$b",
        "a!b",
        "a*b",
        "a(b)",
        "[x]{y}",
        "^`|~",
        "emoji-\u{1f600}.jpg",
        "\u{1f469}\u{200d}\u{1f469}\u{200d}\u{1f467}",
        "\u{e9}.jpg",
        "e\u{301}.jpg",
        "\u{645}\u{631}\u{62d}",
        "\u{65e5}\u{672c}/\u{5199}",
        "\u{202e}gnp.exe",
        "zero\u{200b}width",
        "nbsp\u{a0}x",
        "wide\u{3000}space",
        "\u{10ffff}",
        "\u{fffd}",
        "tab\tx",
        "newline\nx",
        "cr\rx",
        "crlf\r\nx",
        "ctl\u{1}x",
        "del\u{7f}x",
        "esc\u{1b}x",
        "nul\0x",
        "\u{85}nel",
        "\u{2028}ls",
        "?versionId=1",
        "x?versionId=null",
        "key?uploads",
        "raw/raw",
        "img/x/medium",
        "a%00b",
        "%F0%9F",
        "ends.with.dot.",
        "con",
        "aux.txt",
        "\u{fb01}",
        "a'); DROP TABLE objects; --",
    ];
    let long = [
        "k".repeat(1024),
        "\u{e9}".repeat(512),
        format!("{}/{}", "s".repeat(255), "t".repeat(700)),
        format!("{}b", "a/".repeat(511)),
    ];
    let mut keys = conformance::nasty_keys();
    keys.extend(more.map(str::to_owned));
    keys.extend(long);
    keys.sort();
    keys.dedup();
    keys
}

#[tokio::test]
async fn nasty_keys_are_stored_listed_and_read_back_exactly() {
    let server = Server::start().await;
    let mut keys = nasty_keys();
    assert!(keys.len() >= 60);
    for key in &keys {
        server.put(key, key.as_bytes()).await.ok();
    }
    for key in &keys {
        assert_eq!(server.get(key).await.ok().body, key.as_bytes(), "{key:?}");
        // A copy finds its source by the same name, written as a header.
        let source =
            percent_encoding::utf8_percent_encode(key, percent_encoding::NON_ALPHANUMERIC).to_string();
        let copy = server
            .object("PUT", "copy")
            .header("x-amz-copy-source", &format!("/raw/{source}"));
        copy.send(b"").await.ok();
        assert_eq!(
            server.get("copy").await.ok().body,
            key.as_bytes(),
            "copy of {key:?}"
        );
        let presigned = server.object("GET", key).presign(60);
        let host = vec![("host".to_owned(), server.address.to_string())];
        let answer = crate::client::exchange(server.address, "GET", &presigned, &host, b"")
            .await
            .ok();
        assert_eq!(answer.body, key.as_bytes(), "presigned {key:?}");
    }
    server.object("DELETE", "copy").send(b"").await.ok();

    keys.sort();
    for version in ["1", "2"] {
        assert_eq!(list(&server, version).await, keys, "listing {version}");
    }
    for key in &keys {
        server.object("DELETE", key).send(b"").await.ok();
        assert!(!server.has(key).await, "{key:?}");
    }
    assert!(list(&server, "2").await.is_empty());
}

#[tokio::test]
async fn nothing_is_written_outside_the_data_folder() {
    let server = Server::start().await;
    for key in nasty_keys() {
        server.put(&key, b"x").await.ok();
    }
    let names = |folder: &std::path::Path| -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    };
    assert_eq!(names(server.folder()), ["data"]);
    let inside = names(&server.folder().join("data"));
    assert!(
        !nasty_keys()
            .iter()
            .any(|key| key != "tintype.db" && inside.contains(key)),
        "{inside:?}"
    );
}

#[tokio::test]
async fn keys_have_1_to_1024_bytes() {
    let server = Server::start().await;
    server.put(&"k".repeat(1024), b"").await.ok();
    assert_eq!(
        server.put(&"k".repeat(1025), b"").await.error(),
        (400, "KeyTooLongError".into())
    );
    assert_eq!(
        server.put(&"\u{e9}".repeat(513), b"").await.error(),
        (400, "KeyTooLongError".into())
    );
    // Bytes that are not UTF-8 are not a key.
    assert_eq!(
        server.call("PUT", "/raw/%FF").send(b"").await.error(),
        (400, "InvalidURI".into())
    );
}

#[tokio::test]
async fn keys_that_xml_cannot_carry_need_an_encoding() {
    let server = Server::start().await;
    for key in ["a\rb", "c\u{1}d", "e<f"] {
        server.put(key, b"").await.ok();
    }
    let plain = server
        .call("GET", "/raw")
        .query("list-type", "2")
        .send(b"")
        .await
        .ok();
    assert_eq!(plain.all("Key"), ["a&#13;b", "c&#1;d", "e&lt;f"]);
    let encoded = server
        .call("GET", "/raw")
        .query("encoding-type", "url")
        .send(b"")
        .await
        .ok();
    assert_eq!(encoded.all("Key"), ["a%0Db", "c%01d", "e%3Cf"]);
    assert_eq!(encoded.all("EncodingType"), ["url"]);
    let other = server
        .call("GET", "/raw")
        .query("encoding-type", "base64")
        .send(b"")
        .await;
    assert_eq!(other.error(), (400, "InvalidArgument".into()));
}

/// All keys, in pages of seven.
async fn list(server: &Server, version: &str) -> Vec<String> {
    let mut keys = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let mut call = server
            .call("GET", "/raw")
            .query("encoding-type", "url")
            .query("max-keys", "7");
        let (parameter, element) = match version {
            "1" => ("marker", "NextMarker"),
            _ => {
                call = call.query("list-type", "2");
                ("continuation-token", "NextContinuationToken")
            }
        };
        if let Some(next) = &next {
            call = call.query(parameter, next);
        }
        let page = call.send(b"").await.ok();
        let decode = |text: &str| percent_decode_str(text).decode_utf8().unwrap().into_owned();
        keys.extend(page.all("Key").iter().map(|key| decode(key)));
        if page.all("IsTruncated") == ["false"] {
            return keys;
        }
        next = page.all(element).first().map(|text| {
            if version == "1" {
                decode(text)
            } else {
                text.clone()
            }
        });
        assert!(next.is_some());
    }
}
