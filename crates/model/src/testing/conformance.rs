//! What every implementation of a port must do. Each suite wants an empty store and panics on the first breach.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::{
    Dimensions, Failure, Format, GetOptions, ImageInfo, MetadataStore, ObjectKey, ObjectStore, Order,
    Precondition, PutOptions, PutRecord, Record, RecordFilter, Rejection, RejectionCode, Rendition,
    Sequencer, SourceInfo, Status, StatusCounts, StoreError, UnixMillis, Version,
};

/// Legal keys that file systems, URLs or XML would spoil. All are different objects.
#[must_use]
pub fn nasty_keys() -> Vec<String> {
    let mut keys: Vec<String> = [
        "plain.jpg",
        "a",
        "a/",
        "a/b",
        "a//b",
        "a///b",
        "/a",
        "//",
        ".",
        "..",
        "../a",
        "../../etc/passwd",
        "a/../b",
        "a/./b",
        "a/..",
        "..a",
        "a..",
        "a.",
        " ",
        " leading",
        "trailing ",
        "two  spaces",
        "a+b",
        "a b",
        "a%20b",
        "a%2Bb",
        "a%2520b",
        "%",
        "%25",
        "%00",
        "..%2f..%2f",
        "a?b=c",
        "a#b",
        "a&b;c=d",
        "a\\b",
        "C:\\con",
        "quote\"s'",
        "<xml>&amp;",
        "*",
        "~user",
        "-rf",
        "a:b",
        "a|b",
        "new\nline",
        "carriage\rreturn",
        "tab\tkey",
        "\u{1}\u{1f}\u{7f}",
        "caf\u{e9}",
        "cafe\u{301}",
        "Case.JPG",
        "case.jpg",
        "CASE.jpg",
        "Stra\u{df}e",
        "strasse",
        "\u{1F40C}\u{200D}\u{1F308}",
        "\u{5e9}\u{5dc}\u{5d5}\u{5dd}",
        "\u{202e}gpj.exe",
        "\u{feff}bom",
        "\u{10FFFF}",
        "prefix",
        "prefix/medium.avif",
        "prefix/medium.avif/medium.avif",
        "soap",
        "nul",
        "tintype.db",
        "../tintype.db",
    ]
    .map(str::to_owned)
    .to_vec();
    keys.push("k".repeat(1024));
    keys.push("\u{e9}".repeat(512));
    keys.push(format!("{}/x", "d/".repeat(511)));
    keys
}

fn at(precondition: Precondition) -> PutOptions {
    PutOptions {
        precondition,
        ..PutOptions::default()
    }
}

fn is_precondition_failed<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::PreconditionFailed))
}

/// The [`ObjectStore`] suite. Leaves objects behind.
///
/// # Panics
/// On the first thing that the store does otherwise than the port says.
pub async fn object_store(store: &dyn ObjectStore) {
    reads_back_what_was_written(store).await;
    honours_preconditions(store).await;
    keeps_every_key_exactly(store).await;
    lists_in_byte_order(store).await;
    lets_one_of_many_create(store).await;
}

async fn reads_back_what_was_written(store: &dyn ObjectStore) {
    let options = PutOptions {
        content_type: Some("image/avif".to_owned()),
        cache_control: Some("public, max-age=86400".to_owned()),
        metadata: BTreeMap::from([("tintype-order".to_owned(), "00-01".to_owned())]),
        ..PutOptions::default()
    };
    assert!(matches!(store.head("meta").await, Err(StoreError::NotFound)));
    assert!(matches!(
        store.get("meta", GetOptions::default()).await,
        Err(StoreError::NotFound)
    ));
    let written = store
        .put("meta", Bytes::from_static(b"bytes"), options.clone())
        .await
        .expect("put");
    let object = store.get("meta", GetOptions::default()).await.expect("get");
    assert_eq!(object.body, "bytes");
    assert_eq!((object.meta.size_bytes, &object.meta.etag), (5, &written.etag));
    assert_eq!(object.meta.content_type, options.content_type);
    assert_eq!(object.meta.cache_control, options.cache_control);
    assert_eq!(object.meta.metadata, options.metadata);
    assert_eq!(store.head("meta").await.expect("head"), object.meta);

    let of = |etag: &str| GetOptions {
        if_match: Some(etag.to_owned()),
        ..GetOptions::default()
    };
    assert!(store.get("meta", of(&written.etag)).await.is_ok());
    assert!(is_precondition_failed(&store.get("meta", of("another")).await));
    let at_most = |max| GetOptions {
        max_bytes: Some(max),
        ..GetOptions::default()
    };
    assert!(store.get("meta", at_most(5)).await.is_ok());
    assert!(matches!(
        store.get("meta", at_most(4)).await,
        Err(StoreError::TooLarge { size_bytes: 5 })
    ));

    let replaced = store
        .put("meta", Bytes::new(), PutOptions::default())
        .await
        .expect("overwrite");
    assert_ne!(replaced.etag, written.etag);
    let object = store.get("meta", GetOptions::default()).await.expect("get");
    assert!(
        object.body.is_empty() && object.meta.metadata.is_empty(),
        "an overwrite replaces metadata too"
    );
    store.delete("meta", Precondition::None).await.expect("delete");
    store
        .delete("meta", Precondition::None)
        .await
        .expect("deleting what is not there succeeds");
    assert!(matches!(store.head("meta").await, Err(StoreError::NotFound)));
}

async fn honours_preconditions(store: &dyn ObjectStore) {
    let one = Bytes::from_static(b"one");
    let two = Bytes::from_static(b"two");
    let wrong = Precondition::Etag("00000000000000000000000000000000".to_owned());
    assert!(is_precondition_failed(
        &store.put("cond", one.clone(), at(wrong.clone())).await
    ));
    assert!(is_precondition_failed(&store.delete("cond", wrong.clone()).await));
    let first = store
        .put("cond", one.clone(), at(Precondition::Absent))
        .await
        .expect("create");
    assert!(is_precondition_failed(
        &store.put("cond", two.clone(), at(Precondition::Absent)).await
    ));
    assert!(is_precondition_failed(
        &store.put("cond", two.clone(), at(wrong.clone())).await
    ));
    assert!(is_precondition_failed(&store.delete("cond", wrong).await));
    assert_eq!(
        store.get("cond", GetOptions::default()).await.expect("get").body,
        one
    );
    let second = store
        .put("cond", two, at(Precondition::Etag(first.etag.clone())))
        .await
        .expect("swap");
    assert!(is_precondition_failed(
        &store
            .put("cond", one, at(Precondition::Etag(first.etag.clone())))
            .await
    ));
    assert!(is_precondition_failed(
        &store.delete("cond", Precondition::Etag(first.etag)).await
    ));
    store
        .delete("cond", Precondition::Etag(second.etag))
        .await
        .expect("delete");
    assert!(matches!(store.head("cond").await, Err(StoreError::NotFound)));
}

async fn keeps_every_key_exactly(store: &dyn ObjectStore) {
    for key in nasty_keys() {
        store
            .put(&key, Bytes::from(format!("body of {key}")), PutOptions::default())
            .await
            .expect("put");
    }
    for key in nasty_keys() {
        let object = store.get(&key, GetOptions::default()).await.expect("get");
        assert_eq!(object.meta.key, key);
        assert_eq!(object.body, format!("body of {key}").as_bytes(), "{key:?}");
    }
    let listed = list_all(store, "", 7).await;
    for key in nasty_keys() {
        assert!(listed.contains(&key), "{key:?} is not listed");
    }
    store.delete("prefix", Precondition::None).await.expect("delete");
    assert!(
        store.head("prefix/medium.avif").await.is_ok(),
        "deleting a key leaves the keys below it"
    );
    for key in nasty_keys() {
        store.delete(&key, Precondition::None).await.expect("delete");
    }
    assert!(list_all(store, "", 100).await.is_empty());
}

async fn lists_in_byte_order(store: &dyn ObjectStore) {
    let keys = [
        "l/A",
        "l/a",
        "l/a/",
        "l/a/b",
        "l/a0",
        "l/b",
        "l/\u{e9}",
        "l/\u{ffff}",
        "l/\u{10000}",
    ];
    for key in keys {
        store
            .put(key, Bytes::from_static(b"x"), PutOptions::default())
            .await
            .expect("put");
    }
    store
        .put("m", Bytes::from_static(b"x"), PutOptions::default())
        .await
        .expect("put");
    for limit in [1, 2, 9, 100] {
        assert_eq!(list_all(store, "l/", limit).await, keys, "limit {limit}");
    }
    assert_eq!(list_all(store, "l/a", 2).await, ["l/a", "l/a/", "l/a/b", "l/a0"]);
    assert_eq!(list_all(store, "l/a/", 2).await, ["l/a/", "l/a/b"]);
    assert!(
        list_all(store, "l/%", 2).await.is_empty(),
        "a prefix is not a pattern"
    );
    assert!(
        list_all(store, "l/_", 2).await.is_empty(),
        "a prefix is not a pattern"
    );
    let page = store.list("l/", Some("l/a/b"), 1).await.expect("list");
    assert_eq!(
        (page.items[0].key.as_str(), page.next.as_deref()),
        ("l/a0", Some("l/a0"))
    );
    let exact = store.list("l/a", None, 4).await.expect("list");
    assert_eq!(
        (exact.items.len(), exact.next),
        (4, None),
        "a full last page says that nothing follows"
    );
}

async fn list_all(store: &dyn ObjectStore, prefix: &str, limit: usize) -> Vec<String> {
    let mut keys = Vec::new();
    let mut after = None;
    loop {
        let page = store.list(prefix, after.as_deref(), limit).await.expect("list");
        keys.extend(page.items.into_iter().map(|entry| entry.key));
        after = page.next;
        if after.is_none() {
            return keys;
        }
    }
}

async fn lets_one_of_many_create(store: &dyn ObjectStore) {
    let attempt = async |number: u8| {
        store
            .put("race", Bytes::from(vec![number; 1000]), at(Precondition::Absent))
            .await
            .map(|_| number)
    };
    let (a, b, c, d) = tokio::join!(attempt(1), attempt(2), attempt(3), attempt(4));
    let winners: Vec<u8> = [a, b, c, d].into_iter().flatten().collect();
    assert_eq!(winners.len(), 1, "exactly one create wins");
    let object = store.get("race", GetOptions::default()).await.expect("get");
    assert_eq!(object.body, vec![winners[0]; 1000]);
}

/// An order for tests: the `sequencer`-th write and its `revision`.
#[must_use]
pub fn order(sequencer: u64, revision: u32) -> Order {
    Order {
        sequencer: Sequencer::from_counter(sequencer),
        revision,
    }
}

/// A record of that key, order and status.
///
/// # Panics
/// When `key` is not a key.
#[must_use]
pub fn record(key: &str, order: Order, status: Status) -> Record {
    Record {
        key: ObjectKey::new(key).expect("key"),
        order,
        status,
        updated_at: UnixMillis(1_700_000_000_000),
        source: Some(SourceInfo {
            etag: "source".to_owned(),
            size_bytes: 1000,
            sha256: Some("ab".repeat(32)),
        }),
    }
}

/// A published status with one rendition that lies at `object_key`.
#[must_use]
pub fn ready(version: &str, object_key: &str) -> Status {
    Status::Ready {
        version: Version(version.to_owned()),
        recipe: "recipe".to_owned(),
        engine: "engine/1".to_owned(),
        image: ImageInfo {
            format: "jpeg".to_owned(),
            dimensions: Dimensions {
                width: 4000,
                height: 3000,
            },
            orientation: 6,
            has_alpha: false,
            frames: 1,
            bit_depth: 8,
            color_space: "icc".to_owned(),
            icc_description: Some("Display P3".to_owned()),
        },
        renditions: vec![Rendition {
            variant: "medium".to_owned(),
            format: Format::Jpeg,
            dimensions: Dimensions {
                width: 800,
                height: 600,
            },
            size_bytes: 5,
            etag: "0123456789abcdef".to_owned(),
            object_key: object_key.to_owned(),
        }],
    }
}

/// A failed status.
#[must_use]
pub fn failed() -> Status {
    Status::Failed {
        failure: Failure {
            error: "store is unavailable".to_owned(),
            attempts: 5,
        },
    }
}

/// A rejected status.
#[must_use]
pub fn rejected() -> Status {
    Status::Rejected {
        rejection: Rejection::new(RejectionCode::CorruptImage, "no end of image"),
    }
}

/// The [`MetadataStore`] suite. Leaves records behind.
///
/// # Panics
/// On the first thing that the store does otherwise than the port says.
pub async fn metadata_store(store: &dyn MetadataStore) {
    keeps_the_newest_record(store).await;
    lets_results_replace_provisional_records(store).await;
    keeps_records_of_every_key(store).await;
    lists_and_counts_records(store).await;
    lets_one_of_many_publish(store).await;
}

async fn write(store: &dyn MetadataStore, record: &Record) -> Option<Record> {
    match store.put(record).await.expect("put") {
        PutRecord::Written(replaced) => replaced.map(|record| *record),
        PutRecord::Refused(current) => panic!("{record:?} was refused for {current:?}"),
    }
}

async fn refused(store: &dyn MetadataStore, record: &Record) -> Record {
    match store.put(record).await.expect("put") {
        PutRecord::Refused(current) => *current,
        PutRecord::Written(_) => panic!("{record:?} was written"),
    }
}

async fn keeps_the_newest_record(store: &dyn MetadataStore) {
    let key = ObjectKey::new("newest").expect("key");
    let first = record("newest", order(5, 0), ready("v1", "set1/medium.jpg"));
    let redone = record("newest", order(5, 1), ready("v2", "set2/medium.jpg"));
    let removed = Record {
        source: None,
        ..record("newest", order(6, 0), Status::Deleted)
    };
    let late = record("newest", order(5, 2), rejected());
    assert_eq!(store.get(&key).await.expect("get"), None);
    assert_eq!(write(store, &first).await, None);
    assert_eq!(
        store.get(&key).await.expect("get").as_ref(),
        Some(&first),
        "every field is kept"
    );
    assert_eq!(refused(store, &first).await, first, "the same order again");
    assert_eq!(write(store, &redone).await, Some(first.clone()));
    assert_eq!(refused(store, &first).await, redone);
    assert_eq!(write(store, &removed).await, Some(redone));
    assert_eq!(
        refused(store, &late).await,
        removed,
        "a tombstone is not resurrected"
    );
    let again = record("newest", order(0x10, 0), rejected());
    assert_eq!(write(store, &again).await, Some(removed));
    assert_eq!(store.get(&key).await.expect("get"), Some(again));
}

async fn lets_results_replace_provisional_records(store: &dyn MetadataStore) {
    let with = |status| record("provisional", order(1, 0), status);
    write(store, &with(Status::Pending)).await;
    refused(store, &with(Status::Pending)).await;
    refused(store, &with(failed())).await;
    assert_eq!(
        write(store, &with(ready("v", "set/medium.jpg"))).await,
        Some(with(Status::Pending))
    );
    refused(store, &with(Status::Pending)).await;
    refused(store, &with(failed())).await;
    refused(store, &with(rejected())).await;
    let next = record("provisional", order(2, 0), failed());
    write(store, &next).await;
    write(store, &record("provisional", order(2, 0), Status::Deleted)).await;
}

async fn keeps_records_of_every_key(store: &dyn MetadataStore) {
    for key in nasty_keys() {
        write(store, &record(&key, order(1, 0), ready(&key, &key))).await;
    }
    for key in nasty_keys() {
        let found = store
            .get(&ObjectKey::new(key.clone()).expect("key"))
            .await
            .expect("get");
        assert_eq!(found, Some(record(&key, order(1, 0), ready(&key, &key))));
        write(store, &record(&key, order(2, 0), Status::Deleted)).await;
    }
}

async fn lists_and_counts_records(store: &dyn MetadataStore) {
    let before = store.counts().await.expect("counts");
    write(store, &record("list/a", order(1, 0), ready("v", "k"))).await;
    write(store, &record("list/b", order(1, 0), rejected())).await;
    write(store, &record("list/c", order(1, 0), Status::Pending)).await;
    write(store, &record("list/d", order(1, 0), failed())).await;
    write(store, &record("list/e", order(1, 0), Status::Deleted)).await;
    write(store, &record("list/f", order(1, 0), ready("v", "k"))).await;
    write(store, &record("list0", order(1, 0), Status::Deleted)).await;
    let keys = async |status: Option<&str>, limit| {
        let filter = RecordFilter {
            prefix: "list/".to_owned(),
            status: status.map(str::to_owned),
        };
        let mut keys = Vec::new();
        let mut after = None;
        loop {
            let page = store.list(&filter, after.as_deref(), limit).await.expect("list");
            keys.extend(
                page.items
                    .into_iter()
                    .map(|record| record.key.as_str().to_owned()),
            );
            after = page.next;
            if after.is_none() {
                return keys;
            }
        }
    };
    for limit in [1, 2, 100] {
        assert_eq!(
            keys(None, limit).await,
            ["list/a", "list/b", "list/c", "list/d", "list/f"]
        );
        assert_eq!(keys(Some("ready"), limit).await, ["list/a", "list/f"]);
        assert_eq!(keys(Some("deleted"), limit).await, ["list/e"]);
        assert!(keys(Some("nonsense"), limit).await.is_empty());
    }
    let after = store.counts().await.expect("counts");
    let expected = StatusCounts {
        pending: before.pending + 1,
        ready: before.ready + 2,
        rejected: before.rejected + 1,
        failed: before.failed + 1,
    };
    assert_eq!(after, expected);
}

async fn lets_one_of_many_publish(store: &dyn MetadataStore) {
    let publish = async |name: &str| {
        let mine = record("publish-race", order(9, 0), ready(name, name));
        matches!(store.put(&mine).await.expect("put"), PutRecord::Written(_)).then_some(mine)
    };
    let (a, b, c, d) = tokio::join!(publish("a"), publish("b"), publish("c"), publish("d"));
    let winners: Vec<Record> = [a, b, c, d].into_iter().flatten().collect();
    assert_eq!(winners.len(), 1, "exactly one publication of an order wins");
    let key = ObjectKey::new("publish-race").expect("key");
    assert_eq!(store.get(&key).await.expect("get").as_ref(), winners.first());
}
