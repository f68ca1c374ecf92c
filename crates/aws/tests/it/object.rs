use std::collections::BTreeMap;

use bytes::Bytes;
use futures::future::join_all;
use futures::{StreamExt, stream};
use tintype_aws::store::S3ObjectStore;
use tintype_model::testing::conformance;
use tintype_model::{GetOptions, ObjectStore, Precondition, PutOptions, StoreError};

use crate::emulator::{Emulator, clients, clients_that_lose_answers, with_bucket};
use crate::moto::MotoStore;

fn on(precondition: Precondition) -> PutOptions {
    PutOptions {
        precondition,
        content_type: Some("image/webp".to_owned()),
        metadata: BTreeMap::from([("tintype-order".to_owned(), "01".to_owned())]),
        ..PutOptions::default()
    }
}

#[tokio::test]
#[ignore = "needs an AWS emulator: make test starts one"]
async fn the_object_store_conforms() {
    let clients = clients().await;
    with_bucket(&clients, async |bucket| {
        let store = S3ObjectStore::new(clients.s3.clone(), bucket);
        match Emulator::current() {
            Emulator::None => conformance::object_store(&store).await,
            Emulator::Moto => conformance::object_store(&MotoStore::new(store).await).await,
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an AWS emulator: make test starts one"]
async fn one_of_sixteen_conditional_puts_wins() {
    let clients = clients().await;
    with_bucket(&clients, async |bucket| {
        let store = S3ObjectStore::new(clients.s3.clone(), bucket);
        let race = async |precondition: Precondition| {
            let puts = (0..16_u8).map(|number| {
                let (store, precondition) = (store.clone(), precondition.clone());
                tokio::spawn(async move {
                    let body = Bytes::from(vec![number; 10_000]);
                    (number, store.put("race", body, on(precondition)).await)
                })
            });
            let mut winners = Vec::new();
            for put in join_all(puts).await {
                match put.unwrap() {
                    (number, Ok(meta)) => winners.push((number, meta.etag)),
                    (_, Err(StoreError::PreconditionFailed)) => {}
                    (number, Err(error)) => panic!("{number}: {}", tintype_model::error_chain(&error)),
                }
            }
            let [(number, etag)] = winners.as_slice() else {
                panic!("{} puts won under {precondition:?}", winners.len());
            };
            let object = store.get("race", GetOptions::default()).await.unwrap();
            assert_eq!(
                (&object.meta.etag, object.body),
                (etag, Bytes::from(vec![*number; 10_000]))
            );
            etag.clone()
        };
        let created = race(Precondition::Absent).await;
        // The body of the winner must not be among those that try to replace it: its `ETag` would repeat.
        let first = store
            .put(
                "race",
                Bytes::from_static(b"first"),
                on(Precondition::Etag(created)),
            )
            .await
            .unwrap();
        race(Precondition::Etag(first.etag)).await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs an AWS emulator: make test starts one"]
async fn listings_go_on_after_a_thousand_keys() {
    let clients = clients().await;
    with_bucket(&clients, async |bucket| {
        let store = S3ObjectStore::new(clients.s3.clone(), bucket);
        let keys: Vec<String> = (0..1003)
            .map(|number| format!("many/{number:04} +\u{e9}"))
            .collect();
        stream::iter(&keys)
            .for_each_concurrent(16, async |key| {
                store.put(key, Bytes::new(), PutOptions::default()).await.unwrap();
            })
            .await;
        let whole = store.list("many/", None, 5000).await.unwrap();
        assert!(whole.items.iter().map(|entry| &entry.key).eq(&keys));
        assert_eq!(whole.next, None);
        for limit in [1000, 1002] {
            let page = store.list("many/", None, limit).await.unwrap();
            assert_eq!(
                (page.items.len(), page.next.as_ref()),
                (limit, keys.get(limit - 1))
            );
            let rest = store.list("many/", page.next.as_deref(), 1000).await.unwrap();
            assert!(rest.items.iter().map(|entry| &entry.key).eq(&keys[limit..]));
            assert_eq!(rest.next, None);
        }
        let exact = store.list("many/", None, 1003).await.unwrap();
        assert_eq!((exact.items.len(), exact.next), (1003, None));
    })
    .await;
}

#[tokio::test]
#[ignore = "needs an AWS emulator: make test starts one"]
async fn own_writes_are_recognised_after_lost_answers() {
    let clients = clients().await;
    with_bucket(&clients, async |bucket| {
        let forgetful = clients_that_lose_answers(1).await;
        let store = S3ObjectStore::new(forgetful.s3, bucket.clone());
        let written = store
            .put("lost", Bytes::from_static(b"bytes"), on(Precondition::Absent))
            .await
            .unwrap();
        assert_eq!(store.head("lost").await.unwrap().etag, written.etag);

        let forgetful = clients_that_lose_answers(1).await;
        let store = S3ObjectStore::new(forgetful.s3, bucket.clone());
        let result = store
            .put("lost", Bytes::from_static(b"other"), on(Precondition::Absent))
            .await;
        assert!(
            matches!(result, Err(StoreError::PreconditionFailed)),
            "{result:?}"
        );

        let forgetful = clients_that_lose_answers(1).await;
        let store = S3ObjectStore::new(forgetful.s3, bucket);
        store
            .delete("lost", Precondition::Etag(written.etag))
            .await
            .unwrap();
        assert!(matches!(store.head("lost").await, Err(StoreError::NotFound)));
    })
    .await;
}
