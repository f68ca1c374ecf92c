use std::collections::BTreeMap;

use aws_sdk_s3::Client;
use bytes::Bytes;
use tintype_model::{GetOptions, ObjectStore, Precondition, PutOptions, StoreError};

use super::super::S3ObjectStore;
use super::scripted::{Script, Step, lose_the_answer, respond};

const CONFLICT: &str = "<Error><Code>ConditionalRequestConflict</Code><Message>busy</Message></Error>";
const REFUSED: &str = "<Error><Code>PreconditionFailed</Code><Message>no</Message></Error>";
const NO_SUCH_KEY: &str = "<Error><Code>NoSuchKey</Code><Message>no</Message></Error>";
/// CRC-32 of `hello` in Base64.
const CRC_OF_HELLO: &str = "NhCmhg==";

fn store(script: &Script) -> S3ObjectStore {
    S3ObjectStore::new(Client::new(&script.config()), "bucket".to_owned())
}

fn written() -> Step {
    respond(200, &[("etag", "\"new\"")], "")
}

fn create() -> PutOptions {
    PutOptions {
        precondition: Precondition::Absent,
        metadata: BTreeMap::from([("tintype-order".to_owned(), "01".to_owned())]),
        ..PutOptions::default()
    }
}

fn stored(order: &str, checksum: &str) -> Step {
    respond(
        200,
        &[
            ("etag", "\"new\""),
            ("content-length", "5"),
            ("x-amz-meta-tintype-order", order),
            ("x-amz-checksum-crc32", checksum),
        ],
        "",
    )
}

#[tokio::test]
async fn a_conflicting_write_is_tried_again() {
    let script = Script::new([
        respond(409, &[], CONFLICT),
        respond(409, &[], CONFLICT),
        written(),
    ]);
    let meta = store(&script)
        .put("a", Bytes::from("hello"), create())
        .await
        .unwrap();
    assert_eq!(meta.etag, "new");
    for sent in script.finish() {
        assert_eq!(sent.header("if-none-match"), Some("*"));
    }
}

#[tokio::test]
async fn a_write_that_conflicts_for_ever_is_unavailable() {
    let script = Script::new((0..6).map(|_| respond(409, &[], CONFLICT)));
    let result = store(&script).put("a", Bytes::from("hello"), create()).await;
    assert!(matches!(result, Err(StoreError::Unavailable(_))), "{result:?}");
    script.finish();
}

#[tokio::test]
async fn a_refusal_after_conflicts_is_a_refusal() {
    let script = Script::new([respond(409, &[], CONFLICT), respond(412, &[], REFUSED)]);
    let result = store(&script).put("a", Bytes::from("hello"), create()).await;
    assert!(
        matches!(result, Err(StoreError::PreconditionFailed)),
        "{result:?}"
    );
    script.finish();
}

#[tokio::test]
async fn a_write_refused_because_of_itself_succeeds() {
    let script = Script::new([
        lose_the_answer(),
        respond(412, &[], REFUSED),
        stored("01", CRC_OF_HELLO),
    ]);
    let meta = store(&script)
        .put("a", Bytes::from("hello"), create())
        .await
        .unwrap();
    assert_eq!(meta.etag, "new");
    let sent = script.finish();
    assert_eq!(sent[1].header("x-amz-checksum-crc32"), Some(CRC_OF_HELLO));
    assert_eq!(sent[2].method, "HEAD");
}

#[tokio::test]
async fn a_write_refused_because_of_another_one_is_refused_after_a_lost_answer_too() {
    for other in [
        stored("02", CRC_OF_HELLO),
        stored("01", "AAAAAA=="),
        respond(404, &[], ""),
    ] {
        let script = Script::new([lose_the_answer(), respond(412, &[], REFUSED), other]);
        let result = store(&script).put("a", Bytes::from("hello"), create()).await;
        assert!(
            matches!(result, Err(StoreError::PreconditionFailed)),
            "{result:?}"
        );
        script.finish();
    }
}

/// Answers as the API reference of `GetObject` has them. The class is what a person needs to know to restore it.
#[tokio::test]
async fn an_archived_object_is_told_from_one_that_may_not_be_read() {
    let archived = |told: &str| {
        let text = format!(
            "<Error><Code>InvalidObjectState</Code><Message>The operation is not valid for the object's storage \
             class</Message>{told}</Error>"
        );
        respond(403, &[], &text)
    };
    for (told, expected) in [
        ("<StorageClass>GLACIER</StorageClass>", "GLACIER"),
        (
            "<StorageClass>INTELLIGENT_TIERING</StorageClass><AccessTier>ARCHIVE_ACCESS</AccessTier>",
            "INTELLIGENT_TIERING, ARCHIVE_ACCESS",
        ),
        ("", "in a class that S3 does not tell"),
    ] {
        let script = Script::new([archived(told)]);
        match store(&script).get("a", GetOptions::default()).await {
            Err(StoreError::Archived { storage_class }) => assert_eq!(storage_class, expected),
            other => panic!("{other:?}"),
        }
        script.finish();
    }
    let denied = "<Error><Code>AccessDenied</Code><Message>no</Message></Error>";
    let script = Script::new([respond(403, &[], denied)]);
    let result = store(&script).get("a", GetOptions::default()).await;
    assert!(matches!(result, Err(StoreError::Unavailable(_))), "{result:?}");
    script.finish();
}

#[tokio::test]
async fn a_delete_refused_because_of_itself_succeeds() {
    let etag = || Precondition::Etag("old".to_owned());
    let script = Script::new([lose_the_answer(), respond(404, &[], NO_SUCH_KEY)]);
    store(&script).delete("a", etag()).await.unwrap();
    assert_eq!(script.finish()[1].header("if-match"), Some("\"old\""));

    let script = Script::new([respond(404, &[], NO_SUCH_KEY)]);
    let result = store(&script).delete("a", etag()).await;
    assert!(
        matches!(result, Err(StoreError::PreconditionFailed)),
        "{result:?}"
    );
    script.finish();
}

#[tokio::test]
async fn forbidden_and_missing_buckets_are_not_missing_objects() {
    for (status, code) in [(403, "AccessDenied"), (404, "NoSuchBucket")] {
        let body = format!("<Error><Code>{code}</Code><Message>no</Message></Error>");
        let script = Script::new([respond(status, &[("x-amz-request-id", "R1")], &body)]);
        let error = store(&script).get("a", GetOptions::default()).await.unwrap_err();
        let text = tintype_model::error_chain(&error);
        assert!(matches!(error, StoreError::Unavailable(_)), "{text}");
        assert!(text.contains(code) && text.contains("R1"), "{text}");
        script.finish();
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_names_the_cause() {
    let script = Script::new([respond(200, &[], "<ListBucketResult><Contents><Key>\u{1}")]);
    let error = store(&script).list("", None, 1).await.unwrap_err();
    let text = tintype_model::error_chain(&error);
    assert!(text.contains("s3:ListObjectsV2 was answered 200: "), "{text}");
    script.finish();
}

#[tokio::test]
async fn a_large_object_is_refused_by_its_length_alone() {
    let script = Script::new([respond(
        200,
        &[("content-length", "1000000000000"), ("etag", "\"e\"")],
        "the body is not this long, and reading it would fail",
    )]);
    let options = GetOptions {
        max_bytes: Some(1000),
        ..GetOptions::default()
    };
    let result = store(&script).get("a", options).await;
    assert!(
        matches!(
            result,
            Err(StoreError::TooLarge {
                size_bytes: 1_000_000_000_000
            })
        ),
        "{result:?}"
    );
    script.finish();
}

#[tokio::test]
async fn the_key_soap_is_asked_for_in_path_style() {
    let script = Script::new([respond(200, &[], ""), respond(200, &[], "")]);
    let store = store(&script);
    store.head("soap").await.unwrap();
    store.head("soap/a").await.unwrap();
    let sent = script.finish();
    assert_eq!(sent[0].uri, "https://s3.eu-north-1.amazonaws.com/bucket/soap");
    assert_eq!(sent[1].uri, "https://bucket.s3.eu-north-1.amazonaws.com/soap/a");
}

#[tokio::test]
async fn keys_of_white_space_are_keys() {
    let script = Script::new([respond(200, &[], ""), respond(200, &[], "")]);
    let store = store(&script);
    store.head(" \u{2003}").await.unwrap();
    store.delete("\t", Precondition::None).await.unwrap();
    let paths = script.finish().into_iter().map(|sent| sent.uri);
    let expected = ["/%20%E2%80%83", "/%09?x-id=DeleteObject"];
    assert!(paths.eq(expected.map(|path| format!("https://bucket.s3.eu-north-1.amazonaws.com{path}"))));
}

#[tokio::test]
async fn listings_are_read_on_and_decoded() {
    let page = |rest: &str, keys: &[&str]| {
        let contents: String = keys
            .iter()
            .map(|key| format!("<Contents><Key>{key}</Key><Size>1</Size><ETag>\"e\"</ETag></Contents>"))
            .collect();
        respond(
            200,
            &[],
            &format!("<ListBucketResult>{rest}{contents}</ListBucketResult>"),
        )
    };
    // S3 may give fewer keys than it was asked for.
    let script = Script::new([
        page(
            "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>",
            &["a+b", "a%2Bb"],
        ),
        page("<IsTruncated>false</IsTruncated>", &["a/%01%0A", "caf%C3%A9"]),
    ]);
    let found = store(&script).list("a", Some("a"), 5).await.unwrap();
    let keys: Vec<&str> = found.items.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(
        (keys, found.next),
        (vec!["a b", "a+b", "a/\u{1}\n", "caf\u{e9}"], None)
    );
    let sent = script.finish();
    assert!(
        sent[0].uri.contains("encoding-type=url") && sent[0].uri.contains("max-keys=5"),
        "{}",
        sent[0].uri
    );
    assert!(
        sent[1].uri.contains("continuation-token=t") && sent[1].uri.contains("max-keys=3"),
        "{}",
        sent[1].uri
    );
}

#[tokio::test]
async fn every_request_says_whose_the_bucket_must_be() {
    let listing = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
    let script = Script::new([
        written(),
        stored("01", CRC_OF_HELLO),
        respond(200, &[("etag", "\"new\""), ("content-length", "5")], "hello"),
        respond(200, &[], listing),
        respond(204, &[], ""),
        respond(
            403,
            &[],
            "<Error><Code>AccessDenied</Code><Message>not yours</Message></Error>",
        ),
    ]);
    let store = store(&script).owned_by("111122223333".to_owned());
    store
        .put("a", Bytes::from("hello"), PutOptions::default())
        .await
        .unwrap();
    store.head("a").await.unwrap();
    store.get("a", GetOptions::default()).await.unwrap();
    store.list("", None, 10).await.unwrap();
    store.delete("a", Precondition::None).await.unwrap();
    let refused = store.get("a", GetOptions::default()).await;
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_))),
        "a bucket of somebody else: {refused:?}"
    );
    for sent in script.finish() {
        assert_eq!(
            sent.header("x-amz-expected-bucket-owner"),
            Some("111122223333"),
            "{}",
            sent.method
        );
    }
}
