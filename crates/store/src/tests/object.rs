use std::os::unix::fs::PermissionsExt;

use tintype_model::testing::conformance;
use tintype_model::{GetOptions, MetadataStore, ObjectStore, Order, PutOptions, Status, StoreError};

use super::*;
use crate::{Attributes, Error, ListFrom, ListSources, Listed};

#[tokio::test(flavor = "multi_thread")]
async fn sources_and_renditions_conform() {
    let data = Data::new();
    conformance::object_store(&data.store().sources()).await;
    conformance::object_store(&data.store().renditions()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_conform() {
    let data = Data::new();
    conformance::metadata_store(&data.store().metadata()).await;
}

#[tokio::test]
async fn writes_and_deletes_of_sources_queue_jobs_in_their_order() {
    let data = Data::new();
    let store = data.store();
    let first = put(&store, "a", b"one").await;
    let second = put(&store, "a", b"two").await;
    let removed = store
        .delete_source(&key("a"), Precondition::None)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        store.delete_source(&key("a"), Precondition::None).await.unwrap(),
        None
    );
    assert!(first.sequencer < second.sequencer && second.sequencer < removed);
    let jobs = drain(&store).await;
    let expected = [
        (first.sequencer, Some(first.etag.as_str())),
        (second.sequencer, Some(second.etag.as_str())),
        (removed, None),
    ];
    assert_eq!(jobs.len(), expected.len());
    for (job, (sequencer, etag)) in jobs.iter().zip(expected) {
        assert_eq!(job.key, key("a"));
        assert_eq!(job.order, Order::of_event(sequencer));
        assert_eq!(etag_of(&job.work), etag);
    }
}

#[tokio::test]
async fn renditions_queue_no_jobs_and_are_another_namespace() {
    let data = Data::new();
    let store = data.store();
    let body = Bytes::from_static(b"x");
    store
        .renditions()
        .put("a", body, PutOptions::default())
        .await
        .unwrap();
    store.renditions().delete("a", Precondition::None).await.unwrap();
    assert!(drain(&store).await.is_empty());
    assert!(matches!(store.head_source("a").await, Err(Error::NoSuchKey)));
}

#[tokio::test]
async fn an_upload_is_announced_unless_a_picture_is_published() {
    let data = Data::new();
    let store = data.store();
    let metadata = store.metadata();
    let status = async || {
        metadata
            .get(&key("a"))
            .await
            .unwrap()
            .map(|record| (record.order, record.status))
    };

    let first = put(&store, "a", b"one").await;
    let order = Order::of_event(first.sequencer.clone());
    assert_eq!(status().await, Some((order.clone(), Status::Pending)));

    metadata
        .put(&conformance::record("a", order, conformance::rejected()))
        .await
        .unwrap();
    let second = put(&store, "a", b"two").await;
    let order = Order::of_event(second.sequencer.clone());
    assert_eq!(
        status().await,
        Some((order.clone(), Status::Pending)),
        "the old answer is out of date"
    );

    let published = conformance::record("a", order.clone(), conformance::ready("v", "set/medium.jpg"));
    metadata.put(&published).await.unwrap();
    put(&store, "a", b"three").await;
    assert_eq!(
        status().await,
        Some((order, published.status)),
        "the old picture stays until the new one is there"
    );
}

#[tokio::test]
async fn everything_said_about_a_source_is_kept() {
    let data = Data::new();
    let store = data.store();
    let attributes = Attributes {
        content_type: Some("image/jpeg".to_owned()),
        cache_control: Some("no-cache".to_owned()),
        content_disposition: Some("attachment; filename=\"ü.jpg\"".to_owned()),
        content_encoding: Some("identity".to_owned()),
        content_language: Some("de".to_owned()),
        expires: Some("Thu, 01 Dec 1994 16:00:00 GMT".to_owned()),
        metadata: strings([("note", "é"), ("empty", "")]),
        checksums: strings([("crc32", "AAAAAA==")]),
        extra: strings([("tagging", "a=b")]),
        part_sizes: Vec::new(),
    };
    let options = SourceOptions {
        attributes: attributes.clone(),
        etag: Some("mine".to_owned()),
        ..SourceOptions::default()
    };
    let staged = stage(&store, b"body").await;
    assert_eq!(staged.etag(), "841a2d689ad86bd1611447453c22c6fc");
    let written = store.put_source(&key("a"), staged, options).await.unwrap();
    assert_eq!((written.etag.as_str(), written.size_bytes), ("mine", 4));
    assert_eq!(written.attributes, attributes);
    assert_eq!(store.head_source("a").await.unwrap(), written);
    let (opened, _) = store.open_source("a").await.unwrap();
    assert_eq!(opened, written);
}

#[tokio::test]
async fn large_bodies_are_written_in_chunks_and_read_back() {
    let data = Data::new();
    let store = data.store();
    let body: Vec<u8> = (0..5_000_000_u32)
        .map(|number| number.to_le_bytes()[0] ^ number.to_le_bytes()[1])
        .collect();
    let mut file = store.stage();
    for chunk in body.chunks(70_001) {
        file.write(Bytes::copy_from_slice(chunk)).await.unwrap();
    }
    assert_eq!(file.size_bytes(), body.len() as u64);
    let staged = file.finish().await.unwrap();
    let digest: [u8; 16] = Md5::digest(&body).into();
    assert_eq!((staged.md5(), staged.size_bytes()), (digest, body.len() as u64));
    store
        .put_source(&key("a"), staged, SourceOptions::default())
        .await
        .unwrap();
    assert_eq!(read(&store, "a").await, body);
    let object = store.sources().get("a", GetOptions::default()).await.unwrap();
    assert_eq!(object.body, body);
}

#[tokio::test]
async fn what_fails_leaves_neither_file_nor_job() {
    let mut data = Data::new();
    let store = data.store();
    put(&store, "a", b"one").await;
    let failed = put_if(&store, "a", b"two", Precondition::Absent).await;
    assert!(matches!(failed, Err(Error::PreconditionFailed)));
    drop(stage(&store, b"staged and dropped").await);
    let mut unfinished = store.stage();
    unfinished.write(Bytes::from(vec![0; 3 << 20])).await.unwrap();
    drop(unfinished);
    assert_eq!(drain(&store).await.len(), 1);
    assert_eq!(read(&store, "a").await, b"one");
    data.close(store);
    assert_eq!(data.files().len(), 1);
}

#[tokio::test]
async fn who_has_opened_a_source_reads_it_to_the_end() {
    use tokio::io::AsyncReadExt;
    let mut data = Data::new();
    let store = data.store();
    put(&store, "a", b"one").await;
    let (meta, file) = store.open_source("a").await.unwrap();
    put(&store, "a", b"two").await;
    store.delete_source(&key("a"), Precondition::None).await.unwrap();
    data.close(store);
    assert_eq!(data.files().len(), 0, "the files are gone");
    let mut body = Vec::new();
    file.take(meta.size_bytes).read_to_end(&mut body).await.unwrap();
    assert_eq!(body, b"one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn racing_writes_and_deletes_of_one_key_leave_rows_files_and_jobs_in_step() {
    let mut data = Data::new();
    let store = data.store();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..48_u8 {
        let store = store.clone();
        tasks.spawn(async move {
            if number % 3 == 2 {
                store.delete_source(&key("a"), Precondition::None).await.unwrap();
            } else {
                put(&store, "a", &[number; 1000]).await;
            }
            // Readers see a whole object or none at any time.
            match store.sources().get("a", GetOptions::default()).await {
                Ok(object) => {
                    assert_eq!(object.body.len(), 1000);
                    assert!(object.body.iter().all(|byte| *byte == object.body[0]));
                }
                Err(StoreError::NotFound) => {}
                Err(error) => panic!("{error:?}"),
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    let jobs = drain(&store).await;
    assert!(
        jobs.windows(2).all(|pair| pair[0].order < pair[1].order),
        "{jobs:?}"
    );
    let last = jobs.last().unwrap();
    match store.head_source("a").await {
        Ok(meta) => {
            assert_eq!(etag_of(&last.work), Some(meta.etag.as_str()));
            assert_eq!(last.order, Order::of_event(meta.sequencer));
        }
        Err(Error::NoSuchKey) => assert_eq!(etag_of(&last.work), None),
        Err(error) => panic!("{error:?}"),
    }
    data.close(store);
    assert_eq!(data.files().len(), data.named_files());
}

#[tokio::test]
async fn lost_and_cut_files_are_damage_and_not_absence() {
    let data = Data::new();
    let store = data.store();
    for damage in [true, false] {
        put(&store, "a", b"one").await;
        let sql = "SELECT file FROM objects WHERE key = CAST('a' AS BLOB)";
        let name: String = data.connect().query_row(sql, [], |row| row.get(0)).unwrap();
        let path = data.path().join("objects").join(&name[..2]).join(&name);
        if damage {
            std::fs::remove_file(path).unwrap();
        } else {
            std::fs::write(path, b"on").unwrap();
        }
        assert!(matches!(store.open_source("a").await, Err(Error::Damaged(_))));
        let read = store.sources().get("a", GetOptions::default()).await;
        assert!(matches!(read, Err(StoreError::Unavailable(_))));
    }
}

#[tokio::test]
async fn many_deletes_in_one_transaction_are_answered_one_by_one() {
    let data = Data::new();
    let store = data.store();
    put(&store, "a", b"one").await;
    put(&store, "b", b"two").await;
    drain(&store).await;
    let answers = store
        .delete_sources(vec![
            (key("a"), Precondition::None),
            (key("b"), Precondition::Etag("another".to_owned())),
            (key("c"), Precondition::None),
        ])
        .await
        .unwrap();
    assert!(matches!(
        answers.as_slice(),
        [Ok(Some(_)), Err(Error::PreconditionFailed), Ok(None)]
    ));
    assert_eq!(drain(&store).await.len(), 1);
    assert!(store.head_source("b").await.is_ok());
}

#[tokio::test]
async fn only_the_owner_can_read_the_folder() {
    let data = Data::new();
    let store = data.store();
    put(&store, "a", b"one").await;
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let own = data.path().join("new/folder");
    let _second = Store::open(&own).unwrap();
    for folder in [&own, &own.join("objects"), &own.join("objects/00")] {
        assert_eq!(mode(folder), 0o700, "{}", folder.display());
    }
    for name in ["tintype.db", "tintype.db-wal", "lock"] {
        assert_eq!(mode(&data.path().join(name)), 0o600, "{name}");
    }
    assert_eq!(mode(&data.files()[0]), 0o600);
}

#[tokio::test]
async fn keys_that_s3_would_refuse_are_refused() {
    let data = Data::new();
    for name in ["", &"k".repeat(1025)] {
        let body = Bytes::from_static(b"x");
        assert!(
            data.store()
                .sources()
                .put(name, body, PutOptions::default())
                .await
                .is_err()
        );
    }
}

#[tokio::test]
async fn common_prefixes_stand_for_their_keys() {
    let data = Data::new();
    let store = data.store();
    for name in ["a", "a/1", "a/2", "a/b/1", "b/1", "b0", "c//d", "é/x", "é/y"] {
        put(&store, name, b"x").await;
    }
    let list = async |prefix: &str, limit: usize| {
        let mut lines = Vec::new();
        let mut request = ListSources {
            prefix: prefix.to_owned(),
            delimiter: Some("/".to_owned()),
            from: ListFrom::Start,
            limit,
        };
        loop {
            let listing = store.list_sources(request.clone()).await.unwrap();
            assert!(listing.items.len() <= limit);
            request.from = match listing.items.last() {
                Some(Listed::Object(entry)) => ListFrom::After(entry.key.clone()),
                Some(Listed::CommonPrefix(common)) => ListFrom::PastPrefix(common.clone()),
                None => ListFrom::Start,
            };
            lines.extend(listing.items.into_iter().map(|item| match item {
                Listed::Object(entry) => entry.key,
                Listed::CommonPrefix(common) => format!("{common}*"),
            }));
            if !listing.truncated {
                return lines;
            }
        }
    };
    for limit in [1, 2, 3, 100] {
        assert_eq!(
            list("", limit).await,
            ["a", "a/*", "b/*", "b0", "c/*", "é/*"],
            "limit {limit}"
        );
        assert_eq!(list("a/", limit).await, ["a/1", "a/2", "a/b/*"]);
        assert_eq!(list("c/", limit).await, ["c//*"]);
        assert!(list("d", limit).await.is_empty());
    }
}
