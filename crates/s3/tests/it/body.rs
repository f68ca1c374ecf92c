//! Tests that nothing is stored unless a body is what its request says of it.

use base64::{Engine, engine::general_purpose::STANDARD};
use crc_fast::CrcAlgorithm;
use md5::Digest;
use tokio::io::AsyncWriteExt;

use crate::client::{Call, SECRET_KEY, Server, amz_date, crc, hmac, sha256, signing_key};

const UNSIGNED: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
const SIGNED: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
const SIGNED_TRAILER: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";

/// Name and value of each checksum of these bytes; those of SHA-1 are known for one text only.
fn checksums(bytes: &[u8]) -> Vec<(&'static str, String)> {
    let mut all = vec![
        ("crc32", crc(CrcAlgorithm::Crc32IsoHdlc, bytes)),
        ("crc32c", crc(CrcAlgorithm::Crc32Iscsi, bytes)),
        ("crc64nvme", crc(CrcAlgorithm::Crc64Nvme, bytes)),
        ("sha256", STANDARD.encode(sha2::Sha256::digest(bytes))),
    ];
    if bytes == b"abc" {
        all.push(("sha1", "qZk+NkcGgWq6PiVxeFDCbJzQ2J0=".to_owned()));
    }
    all
}

/// An unsigned aws-chunked body of these chunks.
fn unsigned_chunks(chunks: &[&[u8]], trailer: &str) -> Vec<u8> {
    let mut body = Vec::new();
    for chunk in chunks {
        body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        body.extend_from_slice(chunk);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("0\r\n{trailer}\r\n").as_bytes());
    body
}

fn chunked(call: Call, kind: &'static str, decoded: usize) -> Call {
    call.payload(kind)
        .header("content-encoding", "aws-chunked")
        .header("x-amz-decoded-content-length", &decoded.to_string())
}

/// A signed aws-chunked body, as the Java SDK sends it.
fn signed_chunks(call: &Call, seed: &str, chunks: &[&[u8]], trailer: Option<(&str, &str)>) -> Vec<u8> {
    let date = amz_date(call.at);
    let key = signing_key(SECRET_KEY, &date[..8], call.region);
    let scope = call.scope();
    let mut previous = seed.to_owned();
    let mut body = Vec::new();
    for chunk in chunks.iter().copied().chain([&b""[..]]) {
        let text = format!(
            "AWS4-HMAC-SHA256-PAYLOAD\n{date}\n{scope}\n{previous}\n{}\n{}",
            sha256(b""),
            sha256(chunk)
        );
        previous = hex::encode(hmac(&key, &text));
        body.extend_from_slice(format!("{:x};chunk-signature={previous}\r\n", chunk.len()).as_bytes());
        body.extend_from_slice(chunk);
        if !chunk.is_empty() || trailer.is_none() {
            body.extend_from_slice(b"\r\n");
        }
    }
    if let Some((name, value)) = trailer {
        let digest = sha256(format!("{name}:{value}\n").as_bytes());
        let text = format!("AWS4-HMAC-SHA256-TRAILER\n{date}\n{scope}\n{previous}\n{digest}");
        let signature = hex::encode(hmac(&key, &text));
        body.extend_from_slice(
            format!("{name}:{value}\r\nx-amz-trailer-signature:{signature}\r\n\r\n").as_bytes(),
        );
    }
    body
}

#[tokio::test]
async fn checksums_in_headers_are_verified_kept_and_told() {
    let server = Server::start().await;
    for (name, value) in checksums(b"abc") {
        let header = format!("x-amz-checksum-{name}");
        let answer = server
            .object("PUT", name)
            .header(&header, &value)
            .send(b"abc")
            .await
            .ok();
        assert_eq!(answer.header(&header), value);
        assert_eq!(answer.header("x-amz-checksum-type"), "FULL_OBJECT");
        assert_eq!(
            server.get(name).await.ok().header(&header),
            "",
            "only when asked for"
        );
        for method in ["GET", "HEAD"] {
            let call = server
                .object(method, name)
                .header("x-amz-checksum-mode", "ENABLED");
            assert_eq!(call.send(b"").await.ok().header(&header), value);
        }
        let answer = server
            .object("PUT", "bad")
            .header(&header, &value)
            .send(b"abd")
            .await;
        assert_eq!(answer.error(), (400, "BadDigest".into()), "{name}");
        let answer = server
            .object("PUT", "bad")
            .header(&header, "AAAA")
            .send(b"abc")
            .await;
        assert_eq!(answer.error(), (400, "InvalidRequest".into()), "{name}");
    }
    assert!(!server.has("bad").await);
}

#[tokio::test]
async fn objects_without_a_checksum_get_the_default_one() {
    let server = Server::start().await;
    let answer = server.put("k", b"abc").await.ok();
    assert_eq!(
        answer.header("x-amz-checksum-crc64nvme"),
        crc(CrcAlgorithm::Crc64Nvme, b"abc")
    );
    assert_eq!(answer.header("etag"), "\"900150983cd24fb0d6963f7d28e17f72\"");
}

#[tokio::test]
async fn two_checksums_are_too_many() {
    let server = Server::start().await;
    let sums = checksums(b"abc");
    let call = server
        .object("PUT", "k")
        .header("x-amz-checksum-crc32", &sums[0].1);
    let answer = call
        .header("x-amz-checksum-crc32c", &sums[1].1)
        .send(b"abc")
        .await;
    assert_eq!(answer.error(), (400, "InvalidRequest".into()));
}

#[tokio::test]
async fn content_md5_is_verified() {
    let server = Server::start().await;
    let md5 = STANDARD.encode(md5::Md5::digest(b"abc"));
    server
        .object("PUT", "k")
        .header("content-md5", &md5)
        .send(b"abc")
        .await
        .ok();
    let answer = server
        .object("PUT", "bad")
        .header("content-md5", &md5)
        .send(b"abd")
        .await;
    assert_eq!(answer.error(), (400, "BadDigest".into()));
    let answer = server
        .object("PUT", "bad")
        .header("content-md5", "not base64")
        .send(b"abc")
        .await;
    assert_eq!(answer.error(), (400, "InvalidDigest".into()));
    assert!(!server.has("bad").await);
}

#[tokio::test]
async fn the_signed_digest_of_the_body_is_verified() {
    let server = Server::start().await;
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    server.object("PUT", "k").payload(digest).send(b"abc").await.ok();
    for body in [&b"abd"[..], b"ab", b"abcd", b""] {
        let answer = server.object("PUT", "bad").payload(digest).send(body).await;
        assert_eq!(answer.error(), (400, "XAmzContentSHA256Mismatch".into()));
    }
    assert!(!server.has("bad").await);
}

#[tokio::test]
async fn checksums_in_trailers_are_verified() {
    let server = Server::start().await;
    for (name, value) in checksums(b"abc") {
        let header = format!("x-amz-checksum-{name}");
        let call = chunked(server.object("PUT", name), UNSIGNED, 3).header("x-amz-trailer", &header);
        let body = unsigned_chunks(&[b"a", b"bc"], &format!("{header}:{value}\r\n"));
        let answer = call.clone().send(&body).await.ok();
        assert_eq!(answer.header(&header), value);
        let answer = server.get(name).await.ok();
        assert_eq!(answer.body, b"abc");
        assert_eq!(
            answer.header("content-encoding"),
            "",
            "aws-chunked is not the object's encoding"
        );

        let bad = chunked(server.object("PUT", "bad"), UNSIGNED, 3).header("x-amz-trailer", &header);
        let body = unsigned_chunks(&[b"a", b"bd"], &format!("{header}:{value}\r\n"));
        assert_eq!(
            bad.clone().send(&body).await.error(),
            (400, "BadDigest".into()),
            "{name}"
        );
        let missing = unsigned_chunks(&[b"a", b"bc"], "");
        assert_eq!(
            bad.send(&missing).await.error(),
            (400, "MalformedTrailerError".into()),
            "{name}"
        );
    }
    // A checksum that no header announced.
    let call =
        chunked(server.object("PUT", "bad"), UNSIGNED, 3).header("x-amz-trailer", "x-amz-checksum-sha1");
    let trailer = format!("x-amz-checksum-crc32:{}\r\n", checksums(b"abc")[0].1);
    let answer = call.send(&unsigned_chunks(&[b"abc"], &trailer)).await;
    assert_eq!(answer.error(), (400, "MalformedTrailerError".into()));
    assert!(!server.has("bad").await);
}

#[tokio::test]
async fn chunked_bodies_of_another_length_are_refused() {
    let server = Server::start().await;
    let send = async |decoded: usize, body: Vec<u8>| {
        let call = chunked(server.object("PUT", "bad"), UNSIGNED, decoded)
            .header("x-amz-trailer", "x-amz-checksum-crc32");
        call.send(&body).await.error()
    };
    let incomplete = (400, "IncompleteBody".to_owned());
    assert_eq!(send(4, unsigned_chunks(&[b"abc"], "")).await, incomplete);
    assert_eq!(send(2, unsigned_chunks(&[b"abc"], "")).await, incomplete);
    assert_eq!(send(0, unsigned_chunks(&[b"abc"], "")).await, incomplete);
    // The last chunk is missing.
    assert_eq!(send(3, b"3\r\nabc\r\n".to_vec()).await, incomplete);
    assert_eq!(send(3, Vec::new()).await, incomplete);
    assert_eq!(
        send(3, b"3\r\nabcd\r\n0\r\n\r\n".to_vec()).await,
        (400, "InvalidRequest".to_owned())
    );
    assert!(!server.has("bad").await);
}

#[tokio::test]
async fn signed_chunks_and_their_trailers_are_verified() {
    let server = Server::start().await;
    let large = vec![7_u8; 70_000];
    let chunks: [&[u8]; 3] = [&large, b"second", b"third"];
    let whole = chunks.concat();
    for region in ["local", "us-east-1", "eu-central-1"] {
        let mut call = chunked(server.object("PUT", region), SIGNED, whole.len());
        call.region = region;
        let signer = call.clone();
        call.send_with(|seed| signed_chunks(&signer, seed, &chunks, None))
            .await
            .ok();
        assert_eq!(server.get(region).await.ok().body, whole);
    }

    let sum = &checksums(&whole)[1].1;
    let call = chunked(server.object("PUT", "trailer"), SIGNED_TRAILER, whole.len())
        .header("x-amz-trailer", "x-amz-checksum-crc32c");
    let signer = call.clone();
    let trailer = Some(("x-amz-checksum-crc32c", sum.as_str()));
    let answer = call
        .send_with(|seed| signed_chunks(&signer, seed, &chunks, trailer))
        .await
        .ok();
    assert_eq!(answer.header("x-amz-checksum-crc32c"), sum);
    assert_eq!(server.get("trailer").await.ok().body, whole);
}

#[tokio::test]
async fn tampered_signed_chunks_store_nothing() {
    let server = Server::start().await;
    let chunks: [&[u8]; 2] = [b"first", b"second"];
    let sum = &checksums(b"firstsecond")[0].1;
    let send = async |change: fn(String) -> String| {
        let call = chunked(server.object("PUT", "bad"), SIGNED_TRAILER, 11)
            .header("x-amz-trailer", "x-amz-checksum-crc32");
        let signer = call.clone();
        let trailer = Some(("x-amz-checksum-crc32", sum.as_str()));
        let answer = call
            .send_with(|seed| {
                let body = String::from_utf8(signed_chunks(&signer, seed, &chunks, trailer)).unwrap();
                change(body).into_bytes()
            })
            .await;
        answer.error()
    };
    let mismatch = (403, "SignatureDoesNotMatch".to_owned());
    assert_eq!(send(|body| body).await, (200, String::new()));
    server.object("DELETE", "bad").send(b"").await.ok();
    assert_eq!(send(|body| body.replace("second", "sECOND")).await, mismatch);
    assert_eq!(
        send(|body| body.replace("x-amz-checksum-crc32:", "x-amz-checksum-crc32: x")).await,
        mismatch
    );
    // A chunk less, and no signature on the trailer.
    let cut = |body: String| {
        let from = body.find("6;chunk").unwrap();
        let to = body.find("0;chunk").unwrap();
        format!("{}{}", &body[..from], &body[to..])
    };
    assert_eq!(send(cut).await.0, 403);
    let unsigned = |body: String| body[..body.find("x-amz-trailer-signature").unwrap()].to_owned() + "\r\n";
    assert_eq!(send(unsigned).await, mismatch);
    assert!(!server.has("bad").await);
}

#[tokio::test]
async fn a_connection_that_ends_early_stores_nothing() {
    let server = Server::start().await;
    server.put("k", b"old").await.ok();
    let target = server.object("PUT", "k").presign(60);
    let mut stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "PUT {target} HTTP/1.1\r\nhost: {}\r\ncontent-length: 1000\r\n\r\nhalf",
        server.address
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answer)
        .await
        .unwrap();
    assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(server.get("k").await.ok().body, b"old");
}

#[tokio::test]
async fn uploads_must_say_how_long_they_are() {
    let server = Server::start().await;
    let target = server.object("PUT", "k").presign(60);
    let headers = [
        ("host", server.address.to_string()),
        ("transfer-encoding", "chunked".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value));
    let answer =
        crate::client::exchange(server.address, "PUT", &target, &headers, b"3\r\nabc\r\n0\r\n\r\n").await;
    assert_eq!(answer.error(), (411, "MissingContentLength".into()));
    let call = server
        .object("PUT", "k")
        .payload("UNSIGNED-PAYLOAD")
        .header("x-amz-decoded-content-length", "x");
    assert_eq!(call.send(b"abc").await.status, 400);
    assert!(!server.has("k").await);
}

#[tokio::test]
async fn documents_are_verified_before_they_are_obeyed() {
    let server = Server::start().await;
    let document = b"<Delete><Object><Key>k</Key></Object></Delete>";
    let call = || server.call("POST", "/raw").query("delete", "");
    for (name, value) in [
        ("content-md5", STANDARD.encode([0_u8; 16])),
        ("x-amz-checksum-crc32", "AAAAAA==".into()),
    ] {
        server.put("k", b"").await.ok();
        assert_eq!(
            call().header(name, &value).send(document).await.error(),
            (400, "BadDigest".into())
        );
        assert!(server.has("k").await);
    }
    let value = &checksums(document)[0].1;
    call()
        .header("x-amz-checksum-crc32", value)
        .send(document)
        .await
        .ok();
    assert!(!server.has("k").await);
    let huge = vec![b' '; (8 << 20) + 1];
    assert_eq!(
        call().send(&huge).await.error(),
        (400, "MaxMessageLengthExceeded".into())
    );
}

/// Sends `text`, and returns everything that the server answers until it closes the connection.
async fn talk(server: &Server, text: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer)
        .await
        .unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn refused_bodies_are_not_asked_for() {
    let server = Server::start().await;
    let head = |target: &str| {
        format!(
            "PUT {target} HTTP/1.1\r\nhost: {}\r\nexpect: 100-continue\r\ncontent-length: 3\r\n",
            server.address
        )
    };
    // The body never comes, so that only a server that closes the connection lets this end.
    let answer = talk(&server, &format!("{}\r\n", head("/raw/k"))).await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    // A body of nothing is not asked for either.
    let empty = head(&server.object("PUT", "empty").presign(60)).replace("length: 3", "length: 0");
    let answer = talk(&server, &format!("{empty}\r\n")).await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"),
        "{answer}"
    );
    let wanted = head(&server.object("PUT", "k").presign(60));
    let answer = talk(&server, &format!("{wanted}connection: close\r\n\r\nabc")).await;
    assert!(answer.contains("HTTP/1.1 200"), "{answer}");
    assert_eq!(server.get("k").await.ok().body, b"abc");
}

#[tokio::test]
async fn the_reason_arrives_although_the_body_was_not_wanted() {
    let server = Server::start().await;
    let body = vec![0; 3 << 20];
    for key in ["one", "two", "three"] {
        let target = server
            .object("PUT", key)
            .presign(60)
            .replace("X-Amz-Expires=60", "X-Amz-Expires=61");
        let headers = vec![("host".to_owned(), server.address.to_string())];
        let answer = crate::client::exchange(server.address, "PUT", &target, &headers, &body).await;
        assert_eq!(answer.error(), (403, "SignatureDoesNotMatch".into()));
        let answer =
            crate::client::exchange(server.address, "PUT", &format!("/raw/{key}"), &headers, &body).await;
        assert_eq!(answer.error(), (403, "AccessDenied".into()));
    }
}
