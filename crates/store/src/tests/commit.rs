use futures::FutureExt;
use tintype_model::testing::conformance;
use tintype_model::{JobQueue, MetadataStore, StoreError};

use super::*;
use crate::row::{self, Bucket, NewObject};
use crate::{Attributes, Error, Store};

/// Number of transactions in the write-ahead log: frames that carry the size of the database end one
/// (SQLite file format, section 4.1).
fn transactions(data: &Data) -> usize {
    let log = std::fs::read(data.path().join("tintype.db-wal")).unwrap();
    let number = |at: usize| u32::from_be_bytes(log[at..at + 4].try_into().unwrap());
    let page_bytes = usize::try_from(number(8)).unwrap();
    let salts = (number(16), number(20));
    (32..log.len())
        .step_by(24 + page_bytes)
        .filter(|&frame| (number(frame + 8), number(frame + 12)) == salts && number(frame + 4) > 0)
        .count()
}

async fn enqueue(store: &Store, sequencer: u64) -> tintype_model::Result<()> {
    let job = Job {
        key: key(&format!("k{sequencer}")),
        order: conformance::order(sequencer, 0),
        work: Work::Remove,
    };
    store.queue().enqueue(&job).await
}

#[tokio::test]
async fn waiting_writes_share_a_transaction_and_are_answered_after_it() {
    let data = Data::new();
    let store = data.store();
    enqueue(&store, 0).await.unwrap();
    let before = transactions(&data);
    let other = data.connect();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut writes: Vec<_> = (1..=50).map(|number| Box::pin(enqueue(&store, number))).collect();
    for write in &mut writes {
        assert!(
            write.as_mut().now_or_never().is_none(),
            "answered before the commit"
        );
    }
    assert_eq!(store.queue().depth().await.unwrap().ready, 1);
    other.execute_batch("ROLLBACK").unwrap();
    for write in writes {
        write.await.unwrap();
    }
    assert_eq!(store.queue().depth().await.unwrap().ready, 51);
    let shared = transactions(&data) - before;
    assert!((1..=2).contains(&shared), "{shared} transactions for 50 writes");
}

#[tokio::test]
async fn a_write_that_fails_takes_no_other_with_it() {
    let data = Data::new();
    let store = data.store();
    let mut staged = Vec::new();
    for number in 0..10_u8 {
        staged.push((key("a"), stage(&store, &[number]).await, Precondition::Absent));
        staged.push((
            key(&format!("b{number}")),
            stage(&store, &[number]).await,
            Precondition::None,
        ));
    }
    let other = data.connect();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut writes = Vec::new();
    for (key, staged, precondition) in &mut staged.into_iter() {
        let store = store.clone();
        let options = SourceOptions {
            precondition,
            ..SourceOptions::default()
        };
        let mut write = Box::pin(async move { store.put_source(&key, staged, options).await });
        assert!(write.as_mut().now_or_never().is_none());
        writes.push(write);
    }
    other.execute_batch("ROLLBACK").unwrap();
    let answers = futures::future::join_all(writes).await;
    let written = answers.iter().filter(|answer| answer.is_ok()).count();
    let refused = answers
        .iter()
        .filter(|answer| matches!(answer, Err(Error::PreconditionFailed)))
        .count();
    assert_eq!((written, refused), (11, 9));
    assert_eq!(drain(&store).await.len(), 11);
}

#[tokio::test]
async fn what_a_failed_write_did_before_it_failed_is_undone() {
    let data = Data::new();
    let store = data.store();
    let first = put(&store, "a", b"one").await;
    let failed = store
        .inner
        .writer
        .run(|connection, _| -> Result<()> {
            connection.execute("DELETE FROM objects", [])?;
            Err(Error::PreconditionFailed)
        })
        .await;
    assert!(matches!(failed, Err(Error::PreconditionFailed)));
    assert_eq!(store.head_source("a").await.unwrap(), first);
}

#[tokio::test]
async fn what_sqlite_rolls_back_is_not_acknowledged() {
    let mut data = Data::new();
    let store = data.store();
    let lost = stage(&store, b"lost").await;
    let other = data.connect();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    // Occupies the writer until all the others wait behind it, so that these share a transaction.
    let mut first = Box::pin(enqueue(&store, 1));
    assert!(first.as_mut().now_or_never().is_none());
    let mut writes = Vec::new();
    let before = store.inner.writer.submit(|connection, _| {
        connection.execute_batch("SELECT 1")?;
        Ok(())
    });
    let object = NewObject {
        bucket: Bucket::Sources,
        key: key("a"),
        etag: lost.etag(),
        staged: lost,
        modified_at: UnixMillis(0),
        due_at: UnixMillis(0),
        attributes: Attributes::default(),
        precondition: Precondition::None,
    };
    let sealed = object.seal().unwrap();
    let put = store
        .inner
        .writer
        .submit(move |connection, effects| row::write(connection, effects, sealed));
    // As SQLite does by itself when a disk fails.
    let broken = store.inner.writer.submit(|connection, _| -> Result<()> {
        connection.execute_batch("ROLLBACK")?;
        Err(Error::Corrupt("the disk failed".to_owned()))
    });
    let mut late = Box::pin(enqueue(&store, 2));
    assert!(late.as_mut().now_or_never().is_none());
    writes.push(late);
    other.execute_batch("ROLLBACK").unwrap();

    assert!(matches!(put.await.unwrap(), Err(Error::NotCommitted(_))));
    assert!(matches!(broken.await.unwrap(), Err(Error::Corrupt(_))));
    for write in writes {
        write.await.unwrap();
    }
    let _ = (first.await, before.await);
    assert!(matches!(store.head_source("a").await, Err(Error::NoSuchKey)));
    assert_eq!(
        store.collect_garbage(Duration::ZERO).await.unwrap(),
        0,
        "its fate is not certain"
    );
    data.close(store);
    assert_eq!(data.files().len(), 1, "so the file stays");
    let store = data.open();
    assert!(matches!(store.head_source("a").await, Err(Error::NoSuchKey)));
    data.close(store);
    assert_eq!(data.files().len(), 0, "the next start knows");
    assert_eq!(data.lost_and_found().len(), 1, "and keeps what may be somebody's");
}

#[tokio::test]
async fn a_full_disk_is_told_apart_and_heals() {
    let data = Data::new();
    let store = data.store();
    let limit = async |pages: i64| {
        store
            .inner
            .writer
            .run(move |connection, _| {
                connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
                Ok(())
            })
            .await
            .unwrap();
    };
    let record = |number: u64| {
        let status = conformance::ready("v", &"x".repeat(100_000));
        conformance::record(&format!("k{number}"), conformance::order(number, 0), status)
    };
    // SQLite sets the limit to the present size at least.
    limit(1).await;
    let refused = store.metadata().put(&record(1)).await;
    let Err(StoreError::Unavailable(source)) = refused else {
        panic!("{refused:?}");
    };
    assert!(
        matches!(source.downcast_ref(), Some(Error::Full(_))),
        "{source:?}"
    );
    limit(1_000_000).await;
    store.metadata().put(&record(1)).await.unwrap();
    let full = std::io::Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error());
    assert!(matches!(Error::io("write a file")(full), Error::Full(_)));
}

#[tokio::test]
async fn writes_happen_although_nobody_waits_for_them() {
    let mut data = Data::new();
    let store = data.store();
    let staged = stage(&store, b"one").await;
    {
        let name = key("a");
        let mut put = Box::pin(store.put_source(&name, staged, SourceOptions::default()));
        assert!(put.as_mut().now_or_never().is_none());
    }
    let store = data.reopen(store);
    assert_eq!(read(&store, "a").await, b"one");
}
