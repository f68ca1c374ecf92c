use futures::future::join_all;
use tintype_aws::store::DynamoMetadataStore;
use tintype_model::testing::MemoryMetadataStore;
use tintype_model::testing::conformance::{self, failed, order, ready, record, rejected};
use tintype_model::{MetadataStore, ObjectKey, PutRecord, Record, RecordFilter, Status, StatusKind};

use crate::emulator::{clients, clients_that_lose_answers, with_table};

#[tokio::test]
#[ignore = "needs an AWS emulator: make test starts one"]
async fn the_metadata_store_conforms() {
    let clients = clients().await;
    with_table(&clients, async |table| {
        conformance::metadata_store(&DynamoMetadataStore::new(clients.dynamodb.clone(), table)).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an AWS emulator: make test starts one"]
async fn one_of_sixteen_records_of_an_order_is_published_and_the_newest_order_stays() {
    let clients = clients().await;
    with_table(&clients, async |table| {
        let store = DynamoMetadataStore::new(clients.dynamodb.clone(), table);
        let put_all = async |records: Vec<Record>| {
            let puts = records.into_iter().map(|record| {
                let store = store.clone();
                tokio::spawn(async move { (store.put(&record).await.unwrap(), record) })
            });
            let mut written = Vec::new();
            for put in join_all(puts).await {
                if let (PutRecord::Written(_), record) = put.unwrap() {
                    written.push(record);
                }
            }
            written
        };
        let key = ObjectKey::new("race").unwrap();
        let same = (0..16).map(|number| record("race", order(1, 0), ready(&number.to_string(), "k")));
        let winners = put_all(same.collect()).await;
        assert_eq!(winners.len(), 1);
        assert_eq!(store.get(&key).await.unwrap().as_ref(), winners.first());

        let ordered = (2..18).map(|number| record("race", order(number, 0), rejected()));
        put_all(ordered.collect()).await;
        assert_eq!(store.get(&key).await.unwrap().unwrap().order, order(17, 0));
    })
    .await;
}

#[tokio::test]
#[ignore = "needs an AWS emulator: make test starts one"]
async fn listings_are_those_of_the_memory_store() {
    let clients = clients().await;
    with_table(&clients, async |table| {
        let store = DynamoMetadataStore::new(clients.dynamodb.clone(), table);
        let memory = MemoryMetadataStore::new();
        let long = "k".repeat(1024);
        let keys = (0..90)
            .map(|number| format!("{}{}", ["a", "a/", "b", "\u{e9}"][number % 4], number % 30))
            .chain([
                long.clone(),
                "k".repeat(1023),
                format!("{}\u{10FFFF}", "k".repeat(1020)),
            ]);
        for (number, key) in keys.enumerate() {
            let status = match number % 7 {
                0 => Status::Pending,
                1 => rejected(),
                2 => failed(),
                3 => Status::Deleted,
                _ => ready("v", "k"),
            };
            let record = record(&key, order(1, 0), status);
            assert_eq!(
                store.put(&record).await.unwrap(),
                memory.put(&record).await.unwrap()
            );
        }
        let beyond = format!("{long}k");
        for status in [
            None,
            Some(StatusKind::Ready),
            Some(StatusKind::Deleted),
            Some(StatusKind::Pending),
        ] {
            for prefix in ["", "a", "a/", "b", "k", &long, "\u{e9}1", "z", &beyond] {
                let filter = RecordFilter {
                    prefix: prefix.to_owned(),
                    status,
                    sha256: None,
                };
                for after in [
                    None,
                    Some(""),
                    Some("a/2"),
                    Some("b1"),
                    Some(long.as_str()),
                    Some(beyond.as_str()),
                ] {
                    for limit in [0, 1, 7, 1000] {
                        let found = store.list(&filter, after, limit).await.unwrap();
                        let expected = memory.list(&filter, after, limit).await.unwrap();
                        assert_eq!(found, expected, "{filter:?} {after:?} {limit}");
                    }
                }
            }
        }
        assert_eq!(store.counts().await.unwrap(), memory.counts().await.unwrap());
    })
    .await;
}

#[tokio::test]
#[ignore = "needs an AWS emulator: make test starts one"]
async fn a_put_whose_answer_is_lost_is_refused_with_that_very_record() {
    let clients = clients().await;
    with_table(&clients, async |table| {
        let forgetful = clients_that_lose_answers(1).await;
        let store = DynamoMetadataStore::new(forgetful.dynamodb, table);
        // Nothing is written before the record of a source without a digest.
        let mine = Record {
            source: None,
            ..record("lost", order(1, 0), ready("v", "k"))
        };
        assert_eq!(
            store.put(&mine).await.unwrap(),
            PutRecord::Refused(Box::new(mine))
        );
    })
    .await;
}

#[tokio::test]
#[ignore = "needs an AWS emulator: make test starts one"]
async fn the_secret_is_made_once_and_is_no_record() {
    let clients = clients().await;
    with_table(&clients, async |table| {
        let store = DynamoMetadataStore::new(clients.dynamodb.clone(), table.clone());
        let secrets = join_all((0..8).map(|_| store.installation_secret())).await;
        let first = secrets[0].as_ref().unwrap();
        assert_eq!(first.len(), 32);
        for secret in &secrets {
            assert_eq!(secret.as_ref().unwrap(), first);
        }
        let page = store.list(&RecordFilter::default(), None, 10).await.unwrap();
        assert_eq!((page.items, page.next), (Vec::new(), None));
    })
    .await;
    with_table(&clients, async |table| {
        // The first answer is that there is none yet.
        let forgetful = clients_that_lose_answers(2).await;
        let store = DynamoMetadataStore::new(forgetful.dynamodb, table);
        let made = store.installation_secret().await.unwrap();
        assert_eq!(store.installation_secret().await.unwrap(), made);
    })
    .await;
}
