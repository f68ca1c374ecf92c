use std::collections::BTreeMap;

use bytes::Bytes;

use super::nasty_keys;
use crate::{GetOptions, ObjectStore, Precondition, PutOptions, StoreError};

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
