use tintype_model::testing::conformance;
use tintype_model::{GetOptions, MetadataStore, ObjectStore, PutOptions, RecordFilter};

use super::*;
use crate::{Error, UPLOAD_LIFETIME};

#[tokio::test]
async fn a_folder_is_used_by_one_at_a_time() {
    let mut data = Data::new();
    let store = data.store();
    let second = Store::open(data.path());
    let Err(error @ Error::Locked { .. }) = second else {
        panic!("{second:?}");
    };
    let message = error.to_string();
    assert!(message.contains(&data.path().display().to_string()), "{message}");
    assert!(
        message.contains(&format!("pid {}", std::process::id())),
        "{message}"
    );
    data.close(store);
    Store::open(data.path()).unwrap();
}

#[tokio::test]
async fn a_database_of_a_newer_release_is_left_alone() {
    let mut data = Data::new();
    let store = data.store();
    data.close(store);
    data.connect().pragma_update(None, "user_version", 1000).unwrap();
    assert!(matches!(
        Store::open(data.path()),
        Err(Error::TooNew { found: 1000, .. })
    ));
}

/// A database of the first schema: records that are there already are found by their digest.
#[tokio::test]
async fn a_database_of_an_older_release_is_brought_up_to_date() {
    let mut data = Data::new();
    let store = data.store();
    let record = conformance::record("a", conformance::order(1, 0), conformance::rejected());
    store.metadata().put(&record).await.unwrap();
    data.close(store);
    let older = data.connect();
    older
        .execute_batch(
            "DROP INDEX records_sha256; DROP TABLE trash; DROP TABLE damaged;
             DROP TABLE scrub; DROP INDEX jobs_key; ALTER TABLE jobs DROP COLUMN crashes;
             ALTER TABLE jobs DROP COLUMN failing_since; PRAGMA user_version = 1",
        )
        .unwrap();
    drop(older);
    let store = data.open();
    let filter = RecordFilter {
        sha256: record.source.as_ref().unwrap().sha256.clone(),
        ..RecordFilter::default()
    };
    let found = store.metadata().list(&filter, None, 10).await.unwrap();
    assert_eq!(found.items, [record]);
    let plan: String = data
        .connect()
        .query_row(
            "EXPLAIN QUERY PLAN SELECT record FROM records
             WHERE json_extract(record, '$.source.sha256') = ?1 AND +status <> 'deleted' AND key >= ?2 AND key < ?3
             ORDER BY key LIMIT 10",
            ["d", "a", "b"],
            |row| row.get("detail"),
        )
        .unwrap();
    assert!(plan.contains("records_sha256"), "{plan}");
}

#[tokio::test]
async fn data_survives_reopening() {
    let mut data = Data::new();
    let store = data.store();
    let meta = put(&store, "a", b"one").await;
    let store = data.reopen(store);
    assert_eq!(store.head_source("a").await.unwrap(), meta);
    assert_eq!(read(&store, "a").await, b"one");
    let next = put(&store, "a", b"two").await;
    assert!(
        next.sequencer > meta.sequencer,
        "sequencers go on where they were"
    );
    assert_eq!(drain(&store).await.len(), 2);
}

#[tokio::test]
async fn files_that_are_no_sources_are_collected_at_the_next_start() {
    let mut data = Data::new();
    let store = data.store();
    put(&store, "a", b"one").await;
    let upload = begin(&store, "b").await;
    part(&store, "b", &upload, 1, b"part").await;
    data.close(store);
    let objects = data.path().join("objects");
    let stem = "ab000000000000000000000000000000";
    let garbage = [".new", "r", "p"].map(|ending| objects.join(format!("ab/{stem}{ending}")));
    for file in &garbage {
        std::fs::write(file, b"half an upl").unwrap();
    }
    let strangers = [
        objects.join("ab/README"),
        objects.join("ab/AB000000000000000000000000000000"),
    ];
    for stranger in &strangers {
        std::fs::write(stranger, b"not ours").unwrap();
    }
    let store = data.open();
    assert!(garbage.iter().all(|file| !file.exists()));
    assert!(strangers.iter().all(|stranger| stranger.exists()));
    assert_eq!(read(&store, "a").await, b"one");
    let parts = store.list_parts(&key("b"), &upload, 0, 10).await.unwrap().parts;
    assert_eq!(parts.len(), 1);
}

#[tokio::test]
async fn collecting_spares_what_is_being_written_what_is_young_and_what_may_be_a_source() {
    let data = Data::new();
    let store = data.store();
    let staged = stage(&store, b"on its way").await;
    let orphan = data
        .path()
        .join("objects/ab/ab000000000000000000000000000000.new");
    let unknown = [
        "ab/ab000000000000000000000000000000",
        "cd/cd000000000000000000000000000000s",
    ]
    .map(|file| data.path().join("objects").join(file));
    std::fs::write(&orphan, b"young").unwrap();
    for file in &unknown {
        std::fs::write(file, b"a picture?").unwrap();
    }
    assert_eq!(store.collect_garbage(Duration::from_secs(3600)).await.unwrap(), 0);
    assert!(orphan.exists());
    assert_eq!(store.collect_garbage(Duration::ZERO).await.unwrap(), 1);
    assert!(!orphan.exists());
    store
        .put_source(&key("a"), staged, SourceOptions::default())
        .await
        .unwrap();
    assert_eq!(store.collect_garbage(Duration::ZERO).await.unwrap(), 0);
    assert_eq!(read(&store, "a").await, b"on its way");
    assert!(unknown.iter().all(|file| file.exists()));
}

/// The database says so before the file is removed, and the file may outlive the process.
#[tokio::test]
async fn what_was_replaced_or_deleted_is_collected_although_its_removal_was_lost() {
    let mut data = Data::new();
    let store = data.store();
    put(&store, "a", b"one").await;
    put(&store, "b", b"two").await;
    let leftovers: Vec<_> = data
        .files()
        .into_iter()
        .map(|file| (std::fs::read(&file).unwrap(), file))
        .collect();
    put(&store, "a", b"three").await;
    store.delete_source(&key("b"), Precondition::None).await.unwrap();
    data.close(store);
    for (bytes, file) in &leftovers {
        std::fs::write(file, bytes).unwrap();
    }
    let store = data.open();
    assert_eq!(read(&store, "a").await, b"three");
    assert_eq!(data.files().len(), 1);
    assert_eq!(data.lost_and_found(), [] as [PathBuf; 0]);
    data.close(store);
    let left: u32 = data
        .connect()
        .query_row("SELECT count(*) FROM trash", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 0, "and forgotten");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn collecting_while_others_write_loses_nothing() {
    let data = Data::new();
    let store = data.store();
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let store = store.clone();
        tasks.spawn(async move {
            for number in 0..10 {
                let name = format!("{writer}/{number}");
                put(&store, &name, name.as_bytes()).await;
                assert_eq!(read(&store, &name).await, name.as_bytes());
            }
        });
    }
    let collected = store.clone();
    let collector = tokio::spawn(async move {
        loop {
            collected.collect_garbage(Duration::ZERO).await.unwrap();
        }
    });
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    collector.abort();
    for writer in 0..8 {
        for number in 0..10 {
            let name = format!("{writer}/{number}");
            assert_eq!(read(&store, &name).await, name.as_bytes());
        }
    }
}

#[tokio::test]
async fn a_set_that_no_record_names_is_dropped_at_the_next_start() {
    let mut data = Data::new();
    let store = data.store();
    for name in ["old/medium.jpg", "new/medium.jpg", "unpublished/medium.jpg"] {
        let body = Bytes::from_static(b"x");
        store
            .renditions()
            .put(name, body, PutOptions::default())
            .await
            .unwrap();
    }
    let publish = async |sequencer, set: &str| {
        let status = conformance::ready(set, &format!("{set}/medium.jpg"));
        let record = conformance::record("a", conformance::order(sequencer, 0), status);
        store.metadata().put(&record).await.unwrap();
    };
    publish(1, "old").await;
    publish(2, "new").await;
    publish(1, "unpublished").await;
    let store = data.reopen(store);
    let left = store.renditions().list("", None, 10).await.unwrap();
    let left: Vec<&str> = left.items.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(left, ["new/medium.jpg"]);
    assert!(
        store
            .renditions()
            .get("new/medium.jpg", GetOptions::default())
            .await
            .is_ok()
    );
    data.close(store);
    assert_eq!(data.files().len(), 1);
}

#[tokio::test]
async fn jobs_of_a_process_that_died_are_ready_again_and_count_that_delivery() {
    let mut data = Data::new();
    let mut store = data.store();
    put(&store, "a", b"one").await;
    for attempt in 1..=5 {
        let claimed = claim(&store, Duration::from_hours(1)).await;
        assert_eq!(claimed.attempt, attempt);
        store = data.reopen(store);
        let late = claim(&store, Duration::from_secs(1)).await;
        let refused = store.queue().ack(&claimed).await;
        assert!(matches!(refused, Err(Error::StaleLease { .. })));
        store.queue().return_now(&late).await.unwrap();
    }
}

#[tokio::test]
async fn expired_uploads_are_dropped_with_their_parts() {
    let mut data = Data::new();
    let store = data.store();
    let old = begin(&store, "old").await;
    part(&store, "old", &old, 1, b"part").await;
    data.advance(UPLOAD_LIFETIME - Duration::from_secs(1));
    let young = begin(&store, "young").await;
    store.collect_garbage(Duration::ZERO).await.unwrap();
    assert!(store.head_multipart(&key("old"), &old).await.is_ok());
    data.advance(Duration::from_secs(2));
    let store = data.reopen(store);
    assert!(matches!(
        store.head_multipart(&key("old"), &old).await,
        Err(Error::NoSuchUpload)
    ));
    assert!(store.head_multipart(&key("young"), &young).await.is_ok());
    data.close(store);
    assert_eq!(data.files().len(), 0);
}

#[tokio::test]
async fn a_clock_set_back_makes_no_delay_longer() {
    let mut data = Data::new();
    let store = data.store();
    put(&store, "a", b"one").await;
    let claimed = claim(&store, Duration::from_secs(60)).await;
    let delay = Duration::from_secs(30);
    store
        .queue()
        .retry_later(&claimed, delay, "try again".to_owned())
        .await
        .unwrap();
    data.now.fetch_sub(365 * 24 * 3600 * 1000, Ordering::SeqCst);
    let store = data.reopen(store);
    assert_eq!(store.queue().next_due().await.unwrap(), Some(delay));
}
