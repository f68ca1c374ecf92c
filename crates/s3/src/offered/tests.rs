use http::HeaderMap;
use http::header::HeaderValue;

use super::super::ops::FUNCTIONS;
use super::choose;
use super::table::OFFERED;

fn verdict(method: &str, uri: &str, headers: &[(&'static str, &'static str)]) -> String {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_static(value));
    }
    match choose(&method.parse().unwrap(), &uri.parse().unwrap(), &map) {
        Ok(operation) => operation.name.to_owned(),
        Err(error) => error.code().as_str().to_owned(),
    }
}

#[test]
fn the_table_has_each_function_once_and_nothing_else() {
    for function in FUNCTIONS {
        let found = OFFERED.iter().filter(|operation| operation.is(function)).count();
        assert_eq!(found, 1, "{function}");
    }
    assert_eq!(OFFERED.len(), FUNCTIONS.len());
}

#[test]
fn requests_are_for_the_operation_that_their_query_names() {
    for (method, uri, name) in [
        ("GET", "/", "ListBuckets"),
        ("GET", "/raw", "ListObjects"),
        ("GET", "/raw/?prefix=a&x-id=ListObjects", "ListObjects"),
        ("GET", "/raw?list-type=2&start-after=%26", "ListObjectsV2"),
        ("GET", "/raw?list-type=1&marker=a", "ListObjects"),
        ("GET", "/raw?location", "GetBucketLocation"),
        ("GET", "/raw/k?versionId=null", "GetObject"),
        ("GET", "/raw/k?uploadId=x&max-parts=3", "ListParts"),
        ("PUT", "/raw/k", "PutObject"),
        ("PUT", "/raw/k?", "PutObject"),
        ("PUT", "/raw%2Fk?x-id=PutObject", "PutObject"),
        ("PUT", "/raw/k?uploadId=x&partNumber=1", "UploadPart"),
        ("POST", "/raw/k?uploads=", "CreateMultipartUpload"),
        ("POST", "/raw/k?upload%49d=x", "CompleteMultipartUpload"),
        ("DELETE", "/raw/k?uploadId=x", "AbortMultipartUpload"),
    ] {
        assert_eq!(verdict(method, uri, &[]), name, "{method} {uri}");
    }
    let source = [("x-amz-copy-source", "/raw/a")];
    assert_eq!(verdict("PUT", "/raw/k", &source), "CopyObject");
    assert_eq!(
        verdict("PUT", "/raw/k?uploadId=x&partNumber=1", &source),
        "UploadPartCopy"
    );
}

#[test]
fn unknown_names_reach_no_operation() {
    for (method, uri) in [
        ("PUT", "/raw/k?annotation&annotationName=a"),
        ("PUT", "/raw/k?renameObject"),
        ("PUT", "/raw/k?encryption"),
        ("PUT", "/raw/k?Uploads"),
        ("PUT", "/raw/k?versionId=null"),
        ("PUT", "/raw/k?x-id=CopyObject"),
        ("PUT", "/raw/k?partNumber=1&uploadId=x&acl"),
        ("PUT", "/raw/k?=x"),
        ("PUT", "/raw/k?list-type=1"),
        ("DELETE", "/raw/k?list-type=1"),
        ("GET", "/raw/k?list-type=2"),
        ("PUT", "/raw?abac"),
        ("DELETE", "/raw/k?retention"),
        ("DELETE", "/raw/k?anything=else"),
        ("DELETE", "/raw?policy"),
        ("GET", "/raw/k?annotation"),
        ("GET", "/raw?marker=a&list-type=2"),
        ("GET", "/?x-id=ListDirectoryBuckets"),
        ("POST", "/raw?delete&x=y"),
        ("POST", "/raw"),
    ] {
        assert_eq!(verdict(method, uri, &[]), "NotImplemented", "{method} {uri}");
    }
    assert_eq!(verdict("PATCH", "/raw/k", &[]), "MethodNotAllowed");
    assert_eq!(verdict("PUT", "/", &[]), "MethodNotAllowed");
}

#[test]
fn halves_of_multipart_requests_are_refused_as_such() {
    for (method, uri) in [
        ("PUT", "/raw/k?partNumber=1"),
        ("PUT", "/raw/k?uploadId=x"),
        ("PUT", "/raw/k?uploads"),
        ("PUT", "/raw/k?partNumber=1&uploadId=x&uploads"),
        ("POST", "/raw/k?partNumber=1"),
        ("POST", "/raw/k?uploads&uploadId=x"),
        ("DELETE", "/raw/k?partNumber=1"),
        ("DELETE", "/raw/k?uploads"),
        ("DELETE", "/raw/k?uploadId=x&versionId=null"),
        ("GET", "/raw/k?uploads"),
        ("GET", "/raw/k?uploadId=x&partNumber=1"),
    ] {
        assert_eq!(verdict(method, uri, &[]), "InvalidRequest", "{method} {uri}");
    }
}

#[test]
fn names_that_are_there_twice_are_refused() {
    for uri in [
        "/raw/k?partNumber=1&partNumber=2&uploadId=x",
        "/raw/k?x-id=PutObject&x%2Did=PutObject",
    ] {
        assert_eq!(verdict("PUT", uri, &[]), "InvalidArgument", "{uri}");
    }
    for value in ["", "0", "3", "two"] {
        let uri = format!("/raw?list-type={value}");
        assert_eq!(verdict("GET", &uri, &[]), "InvalidArgument", "{uri}");
    }
}

#[test]
fn headers_that_an_operation_does_not_know_are_refused() {
    let unknown = "NotImplemented";
    for (method, uri, name, expected) in [
        ("PUT", "/raw/k", "x-amz-meta-a", "PutObject"),
        ("PUT", "/raw/k", "x-amz-meta", unknown),
        ("PUT", "/raw/k", "x-amz-meta-", unknown),
        ("PUT", "/raw/k", "x-amz-checksum-sha512", unknown),
        ("PUT", "/raw/k", "x-amz-tagging", unknown),
        ("PUT", "/raw/k", "x-amz-made-up", unknown),
        ("PUT", "/raw/k", "content-range", unknown),
        ("PUT", "/raw/k", "if-unmodified-since", unknown),
        ("PUT", "/raw/k?partNumber=1&uploadId=x", "if-none-match", unknown),
        ("PUT", "/raw/k?partNumber=1&uploadId=x", "x-amz-meta-a", unknown),
        ("DELETE", "/raw/k", "x-amz-if-match-size", unknown),
        ("DELETE", "/raw/k", "x-amz-if-match-last-modified-time", unknown),
        ("DELETE", "/raw/k", "if-none-match", unknown),
        ("DELETE", "/raw/k", "if-match", "DeleteObject"),
        ("GET", "/raw/k", "if-unmodified-since", "GetObject"),
        (
            "GET",
            "/raw/k",
            "x-amz-server-side-encryption-customer-key",
            unknown,
        ),
    ] {
        assert_eq!(
            verdict(method, uri, &[(name, "x")]),
            expected,
            "{method} {uri} {name}"
        );
    }
    let twice = [("x-amz-acl", "private"), ("x-amz-acl", "private")];
    assert_eq!(verdict("PUT", "/raw/k", &twice), "InvalidArgument");
    let twice = [("x-amz-meta-a", "1"), ("x-amz-meta-a", "2")];
    assert_eq!(verdict("PUT", "/raw/k", &twice), "PutObject");
}
