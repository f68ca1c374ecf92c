//! Requests that ask for what is not offered: they are refused, and the object stays what it was.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::client::{Answer, Call, Server, exchange};

const BODY: &[u8] = b"the picture";

/// An object with metadata, and what clients can see of it.
struct Object {
    server: Server,
    seen: String,
}

impl Object {
    async fn new() -> Self {
        let server = Server::start().await;
        let call = server.object("PUT", "k").header("x-amz-meta-a", "b");
        call.header("content-type", "image/png").send(BODY).await.ok();
        let seen = Self::look(&server).await;
        Self { server, seen }
    }

    async fn look(server: &Server) -> String {
        let call = server.object("GET", "k").header("x-amz-checksum-mode", "ENABLED");
        let got = call.send(b"").await.ok();
        let names = [
            "etag",
            "last-modified",
            "content-type",
            "x-amz-meta-a",
            "x-amz-checksum-crc64nvme",
        ];
        let headers = names.map(|name| got.header(name).to_owned());
        let listed = server.call("GET", "/raw").send(b"").await.ok();
        let uploads = server.uploads().await;
        format!(
            "{} {headers:?} {:?} {:?}",
            got.text(),
            listed.all("Key"),
            uploads.all("UploadId")
        )
    }

    /// A request for the object or, where the key is empty, for the bucket.
    fn call(&self, method: &'static str, query: &[(&str, &str)]) -> Call {
        let mut call = self.server.object(method, "k");
        for (name, value) in query {
            call = call.query(name, value);
        }
        call
    }

    async fn is_refused(&self, call: Call, body: &[u8], expected: (u16, &str)) {
        let shown = format!("{call:?}");
        let answer = call.send(body).await;
        self.stays(&answer, expected, &shown).await;
    }

    async fn stays(&self, answer: &Answer, expected: (u16, &str), shown: &str) {
        assert_eq!(
            answer.error(),
            (expected.0, expected.1.to_owned()),
            "{shown}: {}",
            answer.text()
        );
        assert_eq!(Self::look(&self.server).await, self.seen, "{shown}");
    }
}

const UNKNOWN: (u16, &str) = (501, "NotImplemented");

#[tokio::test]
async fn sub_resources_that_are_not_offered_leave_the_object_alone() {
    let object = Object::new().await;
    for method in ["PUT", "DELETE", "POST", "GET"] {
        for query in [
            &[("annotation", ""), ("annotationName", "a")][..],
            &[("renameObject", "")],
            &[("encryption", "")],
            &[("acl", "")],
            &[("retention", "")],
            &[("legal-hold", "")],
            &[("torrent", "")],
            &[("restore", "")],
            &[("select", ""), ("select-type", "2")],
            &[("made-up", "x")],
            &[("Tagging", "")],
            &[("uploadid", "x")],
            &[("", "x")],
            &[("x-id", "MadeUp")],
            &[("append", ""), ("position", "0")],
            &[("list-type", "1")],
            &[("uploadId", "x"), ("partNumber", "1"), ("acl", "")],
        ] {
            object
                .is_refused(object.call(method, query), b"new", UNKNOWN)
                .await;
        }
    }
    for method in ["PUT", "DELETE", "POST"] {
        object
            .is_refused(object.call(method, &[("tagging", "")]), b"new", UNKNOWN)
            .await;
        for query in [
            "acl",
            "policy",
            "abac",
            "metadataConfiguration",
            "made-up",
            "versioning",
            "cors",
        ] {
            let call = object.server.call(method, "/raw").query(query, "");
            object.is_refused(call, b"<x/>", UNKNOWN).await;
        }
    }
}

#[tokio::test]
async fn halves_of_multipart_requests_are_not_uploads() {
    let object = Object::new().await;
    let half = (400, "InvalidRequest");
    for (method, query) in [
        ("PUT", &[("partNumber", "1")][..]),
        ("PUT", &[("uploadId", "x")]),
        ("PUT", &[("uploads", "")]),
        ("PUT", &[("uploads", ""), ("partNumber", "1"), ("uploadId", "x")]),
        ("POST", &[("partNumber", "1")]),
        ("POST", &[("uploads", ""), ("uploadId", "x")]),
        ("DELETE", &[("partNumber", "1")]),
        ("DELETE", &[("uploads", "")]),
        ("DELETE", &[("uploadId", "x"), ("partNumber", "1")]),
    ] {
        object.is_refused(object.call(method, query), b"new", half).await;
        let copy = object.call(method, query).header("x-amz-copy-source", "/raw/k");
        object.is_refused(copy, b"", half).await;
    }
}

#[tokio::test]
async fn query_names_are_there_once() {
    let object = Object::new().await;
    let twice = (400, "InvalidArgument");
    for (method, query) in [
        ("DELETE", &[("versionId", "null"), ("versionId", "x")][..]),
        ("PUT", &[("x-id", "PutObject"), ("x-id", "PutObject")]),
        (
            "PUT",
            &[("partNumber", "1"), ("partNumber", "2"), ("uploadId", "x")],
        ),
        ("PUT", &[("x-amz-acl", "private"), ("X-Amz-Acl", "private")]),
    ] {
        object.is_refused(object.call(method, query), b"new", twice).await;
    }
}

#[tokio::test]
async fn headers_that_an_operation_does_not_know_are_refused() {
    let object = Object::new().await;
    for (method, name, value, expected) in [
        ("PUT", "x-amz-made-up", "x", UNKNOWN),
        ("PUT", "x-amz-meta", "x", UNKNOWN),
        ("PUT", "x-amz-tagging", "a=b", UNKNOWN),
        ("PUT", "x-amz-tagging-directive", "COPY", UNKNOWN),
        ("PUT", "x-amz-object-lock-mode", "GOVERNANCE", UNKNOWN),
        ("PUT", "x-amz-object-lock-legal-hold", "ON", UNKNOWN),
        ("PUT", "x-amz-object-lock-event-hold", "ON", UNKNOWN),
        ("PUT", "x-amz-grant-read", "id=x", UNKNOWN),
        (
            "PUT",
            "x-amz-acl",
            "public-read",
            (400, "AccessControlListNotSupported"),
        ),
        (
            "PUT",
            "x-amz-storage-class",
            "GLACIER",
            (400, "InvalidStorageClass"),
        ),
        ("PUT", "x-amz-website-redirect-location", "/x", UNKNOWN),
        ("PUT", "x-amz-server-side-encryption", "aws:kms", UNKNOWN),
        (
            "PUT",
            "x-amz-server-side-encryption-customer-algorithm",
            "AES256",
            UNKNOWN,
        ),
        ("PUT", "x-amz-server-side-encryption-context", "e30=", UNKNOWN),
        ("PUT", "x-amz-write-offset-bytes", "3", UNKNOWN),
        ("PUT", "x-amz-rename-source", "/raw/k", UNKNOWN),
        ("PUT", "x-amz-copy-source-range", "bytes=0-1", UNKNOWN),
        ("PUT", "x-amz-mp-object-size", "3", UNKNOWN),
        ("PUT", "content-range", "bytes 0-2/11", UNKNOWN),
        (
            "PUT",
            "if-modified-since",
            "Sun, 06 Nov 1994 08:49:37 GMT",
            UNKNOWN,
        ),
        (
            "PUT",
            "if-unmodified-since",
            "Sun, 06 Nov 1994 08:49:37 GMT",
            UNKNOWN,
        ),
        ("PUT", "x-amz-api-version", "2030-01-01", (400, "InvalidArgument")),
        ("PUT", "x-amz-checksum-type", "COMPOSITE", (400, "InvalidRequest")),
        ("PUT", "x-amz-checksum-type", "HALF", (400, "InvalidArgument")),
        ("PUT", "x-amz-request-payer", "somebody", (400, "InvalidArgument")),
        (
            "PUT",
            "x-amz-expected-bucket-owner",
            "123456789012",
            (403, "AccessDenied"),
        ),
        ("DELETE", "x-amz-if-match-size", "999", UNKNOWN),
        (
            "DELETE",
            "x-amz-if-match-last-modified-time",
            "Sun, 06 Nov 1994 08:49:37 GMT",
            UNKNOWN,
        ),
        ("DELETE", "x-amz-mfa", "1 123456", UNKNOWN),
        ("DELETE", "x-amz-bypass-governance-retention", "true", UNKNOWN),
        (
            "DELETE",
            "if-unmodified-since",
            "Sun, 06 Nov 1994 08:49:37 GMT",
            UNKNOWN,
        ),
        ("DELETE", "if-none-match", "*", UNKNOWN),
        (
            "DELETE",
            "x-amz-expected-bucket-owner",
            "123456789012",
            (403, "AccessDenied"),
        ),
        (
            "GET",
            "x-amz-server-side-encryption-customer-algorithm",
            "AES256",
            UNKNOWN,
        ),
        (
            "GET",
            "x-amz-expected-bucket-owner",
            "123456789012",
            (403, "AccessDenied"),
        ),
    ] {
        let call = object.call(method, &[]).header(name, value);
        object.is_refused(call, b"new", expected).await;
        // SDKs move headers of presigned URLs into the query.
        if name.starts_with("x-amz-") {
            let call = object.call(method, &[(name, value)]);
            object.is_refused(call, b"new", expected).await;
        }
    }
    let call = object.call("PUT", &[]).header("x-amz-acl", "private");
    object
        .is_refused(
            call.header("x-amz-acl", "private"),
            b"new",
            (400, "InvalidArgument"),
        )
        .await;
    for (name, value, expected) in [
        (
            "x-amz-source-expected-bucket-owner",
            "123456789012",
            (403, "AccessDenied"),
        ),
        ("x-amz-tagging", "a=b", UNKNOWN),
        ("x-amz-tagging-directive", "DROP", (400, "InvalidArgument")),
        (
            "x-amz-copy-source-server-side-encryption-customer-key",
            "x",
            UNKNOWN,
        ),
        ("x-amz-checksum-algorithm", "SHA512", UNKNOWN),
        ("x-amz-checksum-crc32", "AAAAAA==", UNKNOWN),
    ] {
        let call = object.call("PUT", &[]).header("x-amz-copy-source", "/raw/k");
        let call = call
            .header("x-amz-metadata-directive", "REPLACE")
            .header(name, value);
        object.is_refused(call, b"", expected).await;
    }
    for (method, query, name, value) in [
        ("POST", &[("uploads", "")][..], "x-amz-tagging", "a=b"),
        ("POST", &[("uploads", "")], "x-amz-checksum-algorithm", "XXHASH3"),
        ("POST", &[("uploads", "")], "if-none-match", "*"),
        (
            "DELETE",
            &[("uploadId", "x")],
            "x-amz-if-match-initiated-time",
            "x",
        ),
    ] {
        object
            .is_refused(object.call(method, query).header(name, value), b"", UNKNOWN)
            .await;
    }
}

#[tokio::test]
async fn headers_that_say_what_is_usual_are_taken() {
    let server = Server::start().await;
    for (name, value) in [
        ("x-amz-acl", "private"),
        ("x-amz-acl", "bucket-owner-full-control"),
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ("x-amz-server-side-encryption", "AES256"),
        ("x-amz-api-version", "2006-03-01"),
        ("x-amz-checksum-type", "FULL_OBJECT"),
        ("x-amz-request-payer", "requester"),
        ("x-amz-expected-bucket-owner", "tintype"),
        ("x-amz-sdk-checksum-algorithm", "sha256"),
        ("x-amz-user-agent", "aws-sdk-js/3"),
    ] {
        server
            .object("PUT", "k")
            .header(name, value)
            .send(b"x")
            .await
            .ok();
        server.object("PUT", "k").query(name, value).send(b"x").await.ok();
    }
    let copy = server.object("PUT", "copy").header("x-amz-copy-source", "/raw/k");
    let copy = copy
        .header("x-amz-tagging-directive", "REPLACE")
        .header("x-amz-metadata-directive", "REPLACE");
    copy.header("x-amz-source-expected-bucket-owner", "tintype")
        .send(b"")
        .await
        .ok();
}

#[tokio::test]
async fn checksums_that_nobody_verifies_are_refused() {
    let object = Object::new().await;
    for (name, size) in [
        ("sha512", 64),
        ("md5", 16),
        ("xxhash64", 8),
        ("xxhash3", 8),
        ("xxhash128", 16),
        ("blake3", 32),
    ] {
        let header = format!("x-amz-checksum-{name}");
        let value = STANDARD.encode(vec![0_u8; size]);
        let call = object.call("PUT", &[]).header(&header, &value);
        object.is_refused(call, b"new", UNKNOWN).await;
        let trailer = format!("3\r\nnew\r\n0\r\n{header}:{value}\r\n\r\n");
        let chunked = || {
            object
                .call("PUT", &[])
                .payload("STREAMING-UNSIGNED-PAYLOAD-TRAILER")
                .header("content-encoding", "aws-chunked")
                .header("x-amz-decoded-content-length", "3")
        };
        let call = chunked().header("x-amz-trailer", &header);
        object.is_refused(call, trailer.as_bytes(), UNKNOWN).await;
        // One that was not announced, beside one that was.
        let both = trailer.replace("0\r\n", "0\r\nx-amz-checksum-crc32:PpGuGQ==\r\n");
        let call = chunked().header("x-amz-trailer", "x-amz-checksum-crc32");
        object
            .is_refused(call, both.as_bytes(), (400, "MalformedTrailerError"))
            .await;
        let document = b"<Delete><Object><Key>k</Key></Object></Delete>";
        let call = object
            .server
            .call("POST", "/raw")
            .query("delete", "")
            .header(&header, &value);
        object.is_refused(call, document, UNKNOWN).await;
    }
    for name in ["x-amz-sdk-checksum-algorithm", "x-amz-checksum-algorithm"] {
        for (value, expected) in [
            ("SHA512", UNKNOWN),
            ("md5", UNKNOWN),
            ("CRC99", (400, "InvalidRequest")),
        ] {
            let call = object.call("PUT", &[]).header(name, value);
            object.is_refused(call, b"new", expected).await;
        }
    }
    let call = object.call("PUT", &[]).header("x-amz-trailer", "x-amz-meta-late");
    object.is_refused(call, b"new", UNKNOWN).await;
}

#[tokio::test]
async fn trailers_of_documents_count() {
    let object = Object::new().await;
    let document = "<Delete><Object><Key>k</Key></Object></Delete>";
    let call = || {
        object
            .server
            .call("POST", "/raw")
            .query("delete", "")
            .payload("STREAMING-UNSIGNED-PAYLOAD-TRAILER")
            .header("content-encoding", "aws-chunked")
            .header("x-amz-trailer", "x-amz-checksum-crc32")
            .header("x-amz-decoded-content-length", &document.len().to_string())
    };
    let body = |trailer: &str| format!("{:x}\r\n{document}\r\n0\r\n{trailer}\r\n", document.len());
    let wrong = body("x-amz-checksum-crc32:AAAAAA==\r\n");
    object
        .is_refused(call(), wrong.as_bytes(), (400, "BadDigest"))
        .await;
    object
        .is_refused(call(), body("").as_bytes(), (400, "MalformedTrailerError"))
        .await;
}

#[tokio::test]
async fn conditions_on_the_size_or_time_of_a_delete_are_refused() {
    let object = Object::new().await;
    for condition in [
        "<Size>999</Size>",
        "<LastModifiedTime>Sun, 06 Nov 1994 08:49:37 GMT</LastModifiedTime>",
    ] {
        let document = format!("<Delete><Object><Key>k</Key>{condition}</Object></Delete>");
        let call = object.server.call("POST", "/raw").query("delete", "");
        let answer = call.send(document.as_bytes()).await;
        object.stays(&answer, (200, "NotImplemented"), condition).await;
    }
    let strange = b"<Delete><Object><Key>k</Key><IfMatch>x</IfMatch></Object></Delete>";
    let call = object.server.call("POST", "/raw").query("delete", "");
    object.is_refused(call, strange, (400, "MalformedXML")).await;
}

#[tokio::test]
async fn the_digest_of_a_body_holds_for_every_request_that_writes() {
    let object = Object::new().await;
    let wrong = "0000000000000000000000000000000000000000000000000000000000000000";
    let document = b"<Delete><Object><Key>k</Key></Object></Delete>";
    for (call, body) in [
        (
            object.server.call("POST", "/raw").query("delete", ""),
            &document[..],
        ),
        (
            object.call("POST", &[("uploadId", "x")]),
            b"<CompleteMultipartUpload/>",
        ),
        (object.call("POST", &[("uploads", "")]), b""),
        (object.call("DELETE", &[]), b""),
        (object.call("PUT", &[]), b"new"),
        (object.server.call("PUT", "/raw"), b"<CreateBucketConfiguration/>"),
    ] {
        object
            .is_refused(call.payload(wrong), body, (400, "XAmzContentSHA256Mismatch"))
            .await;
    }
}

#[tokio::test]
async fn presigned_requests_carry_no_more_than_others() {
    let object = Object::new().await;
    let ask = async |call: Call, method: &str| {
        let headers = vec![("host".to_owned(), object.server.address.to_string())];
        exchange(object.server.address, method, &call.presign(60), &headers, b"new").await
    };
    for (method, query) in [
        ("PUT", &[("annotation", "")][..]),
        ("PUT", &[("x-amz-tagging", "a=b")]),
        ("PUT", &[("x-amz-signature", "x")]),
        ("DELETE", &[("tagging", "")]),
        ("DELETE", &[("x-amz-if-match-size", "3")]),
        ("GET", &[("annotation", "")]),
    ] {
        let answer = ask(object.call(method, query), method).await;
        object
            .stays(&answer, UNKNOWN, &format!("{method} {query:?}"))
            .await;
    }
    // SDKs put the checksum of no body there.
    let unbound = object.call("PUT", &[("x-amz-checksum-sha512", "AAAA"), ("x-id", "PutObject")]);
    ask(unbound, "PUT").await.ok();
    assert_eq!(object.server.get("k").await.ok().body, b"new");
}
