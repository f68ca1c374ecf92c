//! Objects in parts.

use base64::{Engine, engine::general_purpose::STANDARD};
use crc_fast::CrcAlgorithm;
use md5::Digest;

use crate::client::{Answer, Server, crc};

const MIN_PART: usize = 5 << 20;

fn crc32(bytes: &[u8]) -> String {
    crc(CrcAlgorithm::Crc32IsoHdlc, bytes)
}

fn parts() -> [Vec<u8>; 3] {
    [
        vec![1; MIN_PART],
        (0..=255).cycle().take(MIN_PART + 17).collect(),
        b"the end".to_vec(),
    ]
}

async fn create(server: &Server, key: &str, headers: &[(&str, &str)]) -> String {
    let mut call = server.object("POST", key).query("uploads", "");
    for (name, value) in headers {
        call = call.header(name, value);
    }
    call.send(b"").await.ok().all("UploadId").pop().unwrap()
}

async fn upload(server: &Server, key: &str, id: &str, number: usize, body: &[u8]) -> Answer {
    let call = server
        .object("PUT", key)
        .query("uploadId", id)
        .query("partNumber", &number.to_string());
    call.header("x-amz-checksum-crc32", &crc32(body)).send(body).await
}

fn document(parts: &[(usize, &str, Option<&str>)]) -> String {
    let parts: String = parts
        .iter()
        .map(|(number, etag, sum)| {
            let sum = sum
                .map(|sum| format!("<ChecksumCRC32>{sum}</ChecksumCRC32>"))
                .unwrap_or_default();
            format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag>{sum}</Part>")
        })
        .collect();
    format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>")
}

async fn complete(server: &Server, key: &str, id: &str, parts: &[(usize, &str, Option<&str>)]) -> Answer {
    server
        .object("POST", key)
        .query("uploadId", id)
        .send(document(parts).as_bytes())
        .await
}

#[tokio::test]
async fn parts_become_one_object() {
    let server = Server::start().await;
    let parts = parts();
    let whole = parts.concat();
    let digests: Vec<u8> = parts
        .iter()
        .flat_map(|part| md5::Md5::digest(part).to_vec())
        .collect();
    let etag = format!("\"{}-3\"", hex::encode(md5::Md5::digest(&digests)));
    let sums: Vec<u8> = parts
        .iter()
        .flat_map(|part| STANDARD.decode(crc32(part)).unwrap())
        .collect();
    let composite = format!("{}-3", crc32(&sums));
    let crc64 = crc(CrcAlgorithm::Crc64Nvme, &whole);

    for (key, headers, name, value, kind) in [
        (
            "composite",
            &[("x-amz-checksum-algorithm", "CRC32")][..],
            "CRC32",
            composite,
            "COMPOSITE",
        ),
        (
            "full",
            &[
                ("x-amz-checksum-algorithm", "CRC32"),
                ("x-amz-checksum-type", "FULL_OBJECT"),
            ],
            "CRC32",
            crc32(&whole),
            "FULL_OBJECT",
        ),
        (
            "default",
            &[("content-type", "image/png"), ("x-amz-meta-a", "b")],
            "CRC64NVME",
            crc64,
            "FULL_OBJECT",
        ),
    ] {
        let id = create(&server, key, headers).await;
        let mut listed = Vec::new();
        // Parts may come in any order, and again.
        for number in [2, 3, 1, 2] {
            let answer = upload(&server, key, &id, number, &parts[number - 1]).await.ok();
            assert_eq!(answer.header("x-amz-checksum-crc32"), crc32(&parts[number - 1]));
            listed.push((
                number,
                answer.header("etag").to_owned(),
                crc32(&parts[number - 1]),
            ));
        }
        listed.sort();
        listed.dedup();
        let listed: Vec<_> = listed
            .iter()
            .map(|(number, etag, sum)| (*number, etag.as_str(), Some(sum.as_str())))
            .collect();
        assert!(!server.has(key).await, "nothing is there before it is complete");
        let answer = complete(&server, key, &id, &listed).await.ok();
        assert_eq!(answer.all("ETag"), [etag.as_str()], "{key}");
        assert_eq!(answer.all("Location"), [format!("{}/raw/{key}", server.url())]);
        assert_eq!(answer.all(&format!("Checksum{name}")), [value.as_str()], "{key}");
        assert_eq!(answer.all("ChecksumType"), [kind], "{key}");
        // The answer may have been lost.
        assert_eq!(
            complete(&server, key, &id, &listed).await.ok().all("ETag"),
            answer.all("ETag")
        );

        let answer = server
            .object("GET", key)
            .header("x-amz-checksum-mode", "ENABLED")
            .send(b"")
            .await
            .ok();
        assert!(answer.body == whole, "{key}");
        assert_eq!(answer.header("etag"), etag);
        assert_eq!(
            answer.header(&format!("x-amz-checksum-{}", name.to_lowercase())),
            value
        );
        assert_eq!(answer.header("x-amz-checksum-type"), kind);
        let header = format!("x-amz-checksum-{}", name.to_lowercase());
        let part_sum = if name == "CRC32" {
            crc32(&parts[1])
        } else {
            crc(CrcAlgorithm::Crc64Nvme, &parts[1])
        };
        for mode in ["", "ENABLED"] {
            let call = server.object("GET", key).query("partNumber", "2");
            let answer = call.header("x-amz-checksum-mode", mode).send(b"").await;
            assert_eq!((answer.status, answer.header("x-amz-mp-parts-count")), (206, "3"));
            assert!(answer.body == parts[1]);
            let told = if mode.is_empty() { "" } else { part_sum.as_str() };
            assert_eq!(answer.header(&header), told, "{key}");
        }
        let attributes = server
            .object("GET", key)
            .query("attributes", "")
            .header("x-amz-object-attributes", "Checksum,ObjectParts")
            .send(b"")
            .await
            .ok();
        let told = attributes.all(&format!("Checksum{name}"));
        assert_eq!((told.len(), told.contains(&value)), (4, true), "{key}");
        assert!(told.contains(&part_sum), "{key}");
        let beyond = server.object("GET", key).query("partNumber", "4").send(b"").await;
        assert_eq!(beyond.error(), (416, "InvalidPartNumber".into()));
    }
    let answer = server.get("default").await.ok();
    assert_eq!(
        (answer.header("content-type"), answer.header("x-amz-meta-a")),
        ("image/png", "b")
    );
}

#[tokio::test]
async fn completions_that_do_not_fit_change_nothing() {
    let server = Server::start().await;
    let [first, second, third] = parts();
    let id = create(&server, "k", &[]).await;
    let one = upload(&server, "k", &id, 1, &first)
        .await
        .ok()
        .header("etag")
        .to_owned();
    let two = upload(&server, "k", &id, 2, &third)
        .await
        .ok()
        .header("etag")
        .to_owned();
    let three = upload(&server, "k", &id, 3, &second)
        .await
        .ok()
        .header("etag")
        .to_owned();
    let (one, two, three) = (one.as_str(), two.as_str(), three.as_str());
    let code = async |parts: &[(usize, &str, Option<&str>)]| complete(&server, "k", &id, parts).await.error();
    assert_eq!(
        code(&[(2, two, None), (1, one, None)]).await,
        (400, "InvalidPartOrder".into())
    );
    assert_eq!(code(&[(1, two, None)]).await, (400, "InvalidPart".into()));
    assert_eq!(
        code(&[(1, one, None), (4, two, None)]).await,
        (400, "InvalidPart".into())
    );
    assert_eq!(
        code(&[(1, one, Some("AAAAAA=="))]).await,
        (400, "InvalidPart".into())
    );
    assert_eq!(
        code(&[(1, one, None), (2, two, None), (3, three, None)]).await,
        (400, "EntityTooSmall".into())
    );
    assert_eq!(code(&[]).await, (400, "MalformedXML".into()));
    let call = || server.object("POST", "k").query("uploadId", &id);
    let body = document(&[(1, one, None), (2, two, None)]);
    let answer = call()
        .header("x-amz-mp-object-size", "1")
        .send(body.as_bytes())
        .await;
    assert_eq!(answer.error(), (400, "InvalidRequest".into()));
    let answer = call()
        .header("x-amz-checksum-type", "COMPOSITE")
        .send(body.as_bytes())
        .await;
    assert_eq!(answer.error(), (400, "InvalidRequest".into()));
    let answer = call()
        .payload("0000000000000000000000000000000000000000000000000000000000000000")
        .send(body.as_bytes())
        .await;
    assert_eq!(answer.error(), (400, "XAmzContentSHA256Mismatch".into()));
    let answer = call()
        .header("x-amz-checksum-crc64nvme", "AAAAAAAAAAA=")
        .send(body.as_bytes())
        .await;
    assert_eq!(answer.error(), (400, "BadDigest".into()));
    assert!(!server.has("k").await);
    server.put("k", b"somebody was faster").await.ok();
    let answer = call().header("if-none-match", "*").send(body.as_bytes()).await;
    assert_eq!(answer.error(), (412, "PreconditionFailed".into()));
    assert_eq!(server.get("k").await.ok().body, b"somebody was faster");
    call().send(body.as_bytes()).await.ok();
    assert_eq!(server.get("k").await.ok().body.len(), first.len() + third.len());
}

#[tokio::test]
async fn composite_completions_name_every_checksum() {
    let server = Server::start().await;
    let id = create(&server, "k", &[("x-amz-checksum-algorithm", "CRC32")]).await;
    let etag = upload(&server, "k", &id, 1, b"part")
        .await
        .ok()
        .header("etag")
        .to_owned();
    assert_eq!(
        complete(&server, "k", &id, &[(1, &etag, None)]).await.error(),
        (400, "InvalidRequest".into())
    );
    complete(&server, "k", &id, &[(1, &etag, Some(&crc32(b"part")))])
        .await
        .ok();
    let unknown = [
        ("x-amz-checksum-algorithm", "SHA256"),
        ("x-amz-checksum-type", "FULL_OBJECT"),
    ];
    let mut call = server.object("POST", "k").query("uploads", "");
    for (name, value) in unknown {
        call = call.header(name, value);
    }
    assert_eq!(call.send(b"").await.error(), (400, "InvalidRequest".into()));
}

#[tokio::test]
async fn damaged_parts_are_not_kept() {
    let server = Server::start().await;
    let id = create(&server, "k", &[]).await;
    let call = server
        .object("PUT", "k")
        .query("uploadId", &id)
        .query("partNumber", "1");
    let answer = call
        .header("x-amz-checksum-crc32", &crc32(b"part"))
        .send(b"paRt")
        .await;
    assert_eq!(answer.error(), (400, "BadDigest".into()));
    let parts = server
        .object("GET", "k")
        .query("uploadId", &id)
        .send(b"")
        .await
        .ok();
    assert!(parts.all("PartNumber").is_empty());
    for (id, number) in [(id.as_str(), "0"), (id.as_str(), "10001")] {
        let answer = server
            .object("PUT", "k")
            .query("uploadId", id)
            .query("partNumber", number)
            .send(b"x")
            .await;
        assert_eq!(answer.error(), (400, "InvalidArgument".into()));
    }
    for (key, id) in [("k", "unknown"), ("other", id.as_str())] {
        assert_eq!(
            upload(&server, key, id, 1, b"x").await.error(),
            (404, "NoSuchUpload".into())
        );
    }
}

#[tokio::test]
async fn parts_and_uploads_are_listed_and_aborted() {
    let server = Server::start().await;
    let id = create(&server, "a/1", &[]).await;
    for number in [3, 1, 2] {
        upload(&server, "a/1", &id, number, b"x").await.ok();
    }
    let page = server
        .object("GET", "a/1")
        .query("uploadId", &id)
        .query("max-parts", "2")
        .send(b"")
        .await
        .ok();
    assert_eq!(page.all("PartNumber"), ["1", "2"]);
    assert_eq!(
        (page.all("IsTruncated"), page.all("NextPartNumberMarker")),
        (vec!["true".into()], vec!["2".into()])
    );
    let page = server
        .object("GET", "a/1")
        .query("uploadId", &id)
        .query("part-number-marker", "2")
        .send(b"")
        .await
        .ok();
    assert_eq!(
        (page.all("PartNumber"), page.all("IsTruncated")),
        (vec!["3".into()], vec!["false".into()])
    );

    let other = create(&server, "a/2", &[]).await;
    let last = create(&server, "b", &[]).await;
    let (mut found, mut marker) = (Vec::new(), None::<(String, String)>);
    loop {
        let mut call = server
            .call("GET", "/raw")
            .query("uploads", "")
            .query("max-uploads", "1");
        if let Some((key, id)) = &marker {
            call = call.query("key-marker", key).query("upload-id-marker", id);
        }
        let page = call.send(b"").await.ok();
        found.extend(page.all("Key").into_iter().zip(page.all("UploadId")));
        if page.all("IsTruncated") == ["false"] {
            break;
        }
        marker = Some((
            page.all("NextKeyMarker").remove(0),
            page.all("NextUploadIdMarker").remove(0),
        ));
    }
    assert_eq!(
        found,
        [
            ("a/1".into(), id.clone()),
            ("a/2".into(), other.clone()),
            ("b".into(), last)
        ]
    );
    let rolled = server
        .call("GET", "/raw")
        .query("uploads", "")
        .query("delimiter", "/")
        .send(b"")
        .await
        .ok();
    assert_eq!(rolled.all("Key"), ["b"]);
    assert!(
        rolled
            .text()
            .contains("<CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes>")
    );

    for (key, id) in [("a/1", &id), ("a/2", &other)] {
        let abort = || server.object("DELETE", key).query("uploadId", id);
        assert_eq!(abort().send(b"").await.status, 204);
        assert_eq!(abort().send(b"").await.error(), (404, "NoSuchUpload".into()));
    }
    assert_eq!(server.uploads().await.all("Key"), ["b"]);
}

#[tokio::test]
async fn parts_are_copied_from_objects() {
    let server = Server::start().await;
    let [_, source, _] = parts();
    server.put("from", &source).await.ok();
    let id = create(&server, "to", &[]).await;
    let copy = async |number: &str, range: &str| {
        let call = server
            .object("PUT", "to")
            .query("uploadId", &id)
            .query("partNumber", number);
        let call = call
            .header("x-amz-copy-source", "/raw/from")
            .header("x-amz-copy-source-range", range);
        call.send(b"").await
    };
    let first = copy("1", &format!("bytes=0-{}", MIN_PART - 1))
        .await
        .ok()
        .all("ETag")
        .remove(0);
    let second = copy("2", "bytes=3-5").await.ok().all("ETag").remove(0);
    for range in ["bytes=0-99999999", "bytes=5-3", "bytes=5-", "0-5"] {
        assert_eq!(
            copy("3", range).await.error(),
            (400, "InvalidArgument".into()),
            "{range}"
        );
    }
    complete(&server, "to", &id, &[(1, &first, None), (2, &second, None)])
        .await
        .ok();
    let body = server.get("to").await.ok().body;
    assert!(body[..MIN_PART] == source[..MIN_PART]);
    assert_eq!(body[MIN_PART..], source[3..6]);
}
