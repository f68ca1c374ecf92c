use std::fs;

use tintype_model::testing::conformance::{ready, record};
use tintype_model::{GetOptions, MetadataStore, ObjectStore, Order, PutOptions, Record, Status, StoreError};

use super::*;
use crate::{Comparing, Completion, Fault, Pace, rebuild, verify};

/// A kind of damage to a file on a disk.
#[derive(Clone, Copy, Debug)]
enum Accident {
    Removed,
    Cut,
    Emptied,
    Longer,
    Flipped,
}

impl Accident {
    const ALL: [Self; 5] = [
        Self::Removed,
        Self::Cut,
        Self::Emptied,
        Self::Longer,
        Self::Flipped,
    ];

    fn happen(self, path: &Path, size_bytes: usize) {
        let mut bytes = fs::read(path).unwrap();
        match self {
            Self::Removed => return fs::remove_file(path).unwrap(),
            Self::Cut => bytes.truncate(size_bytes - 1),
            Self::Emptied => bytes.clear(),
            Self::Longer => bytes.push(0),
            Self::Flipped => bytes[size_bytes / 2] ^= 1,
        }
        fs::write(path, bytes).unwrap();
    }
}

/// The file of an object.
fn file_of(data: &Data, key: &str) -> PathBuf {
    let sql = "SELECT file FROM objects WHERE key = CAST(?1 AS BLOB)";
    let name: String = data.connect().query_row(sql, [key], |row| row.get(0)).unwrap();
    data.path().join("objects").join(&name[..2]).join(name)
}

/// Publishes a set of one rendition that lies at `{key}/r`.
async fn publish(store: &Store, name: &str) -> Record {
    let source = put(store, name, b"the source").await;
    let object_key = format!("{name}/r");
    let body = Bytes::from_static(b"the rendition");
    store
        .renditions()
        .put(&object_key, body, PutOptions::default())
        .await
        .unwrap();
    let mut published = record(name, Order::of_event(source.sequencer), ready("v", &object_key));
    published.source.as_mut().unwrap().etag = source.etag;
    store.metadata().put(&published).await.unwrap();
    drain(store).await;
    published
}

async fn body_of(store: &Store, object_key: &str) -> Result<Bytes, StoreError> {
    let read = store.renditions().get(object_key, GetOptions::default()).await;
    read.map(|object| object.body)
}

/// The jobs that are due once what was reported is written down.
async fn jobs(store: &Store) -> Vec<Job> {
    store.scrub_now().await.unwrap();
    drain(store).await
}

#[tokio::test]
async fn damaged_renditions_are_never_given_out_and_are_queued_once() {
    for accident in Accident::ALL {
        let data = Data::new();
        let store = data.store();
        let published = publish(&store, "a").await;
        accident.happen(&file_of(&data, "a/r"), b"the rendition".len());
        for _ in 0..3 {
            let read = body_of(&store, "a/r").await;
            assert!(
                matches!(read, Err(StoreError::Unavailable(_))),
                "{accident:?}: {read:?}"
            );
            let told = store.renditions().head("a/r").await;
            assert!(
                matches!(told, Err(StoreError::Unavailable(_))),
                "{accident:?}: {told:?}"
            );
        }
        assert_eq!(store.scrubbed().damaged_renditions, 1, "{accident:?}");
        let queued = jobs(&store).await;
        let wanted = Job {
            key: key("a"),
            order: published.order.next_revision(),
            work: Work::Render {
                etag: published.source.unwrap().etag,
            },
        };
        assert_eq!(queued, [wanted], "{accident:?}");
        // Made again: the file that is damaged goes, and with it what is known of it.
        store
            .renditions()
            .delete("a/r", Precondition::None)
            .await
            .unwrap();
        assert_eq!(store.scrubbed().damaged_renditions, 0);
        assert_eq!(jobs(&store).await, []);
    }
}

#[tokio::test]
async fn files_that_nobody_reads_are_found_to_be_damaged() {
    for accident in Accident::ALL {
        let mut data = Data::new();
        let store = data.store();
        publish(&store, "a").await;
        publish(&store, "b").await;
        accident.happen(&file_of(&data, "a/r"), b"the rendition".len());
        assert_eq!(store.scrubbed().damaged_renditions, 0);
        let queued = jobs(&store).await;
        assert_eq!(queued.len(), 1, "{accident:?}: {queued:?}");
        assert_eq!(queued[0].key.as_str(), "a");
        let scrubbed = store.scrubbed();
        assert_eq!((scrubbed.passes, scrubbed.damaged_renditions), (1, 1));
        assert_eq!(scrubbed.files, 4);
        assert!(body_of(&store, "a/r").await.is_err() && body_of(&store, "b/r").await.is_ok());
        // Nobody has mended it before the next start, so it is queued then.
        let store = data.reopen(store);
        assert_eq!(jobs(&store).await.len(), 1, "{accident:?}");
        assert_eq!(store.scrubbed().damaged_renditions, 1);
    }
}

#[tokio::test]
async fn folders_that_were_removed_are_made_again() {
    let data = Data::new();
    let store = data.store();
    publish(&store, "a").await;
    fs::remove_dir_all(data.path().join("objects")).unwrap();
    fs::create_dir(data.path().join("objects")).unwrap();
    assert!(body_of(&store, "a/r").await.is_err());
    for number in 0..20 {
        let name = format!("{number}");
        put(&store, &name, name.as_bytes()).await;
        assert_eq!(read(&store, &name).await, name.as_bytes());
    }
    assert_eq!(
        jobs(&store).await.len(),
        21,
        "the uploads, and the set that is lost"
    );
    assert_eq!(store.source_fault("a"), Some(Fault::Missing));
}

#[tokio::test]
async fn there_is_no_second_job_beside_another_one_of_the_key() {
    let data = Data::new();
    let store = data.store();
    let published = publish(&store, "a").await;
    Accident::Removed.happen(&file_of(&data, "a/r"), 0);
    put(&store, "a", b"another source").await;
    assert!(body_of(&store, "a/r").await.is_err());
    let queued = jobs(&store).await;
    assert_eq!(queued.len(), 1, "the upload makes a set as well: {queued:?}");
    assert!(queued[0].order.sequencer > published.order.sequencer);
}

#[tokio::test]
async fn a_damaged_source_is_told_and_not_given_out() {
    for accident in Accident::ALL {
        let mut data = Data::new();
        let store = data.store();
        publish(&store, "a").await;
        put(&store, "b", b"whole").await;
        let path = file_of(&data, "a");
        let before = fs::read(&path).unwrap();
        accident.happen(&path, b"the source".len());
        let is_longer = matches!(accident, Accident::Longer);
        store.scrub_now().await.unwrap();
        if is_longer {
            // Behind the bytes of the object are its facts, which are another matter.
            assert_eq!(read(&store, "a").await, b"the source");
            continue;
        }
        for _ in 0..2 {
            let opened = store.open_source("a").await;
            assert!(
                matches!(opened, Err(Error::Damaged(_))),
                "{accident:?}: {opened:?}"
            );
            assert!(matches!(store.check_source("a").await, Err(Error::Damaged(_))));
            let whole = store.sources().get("a", GetOptions::default()).await;
            assert!(matches!(whole, Err(StoreError::Unavailable(_))), "{whole:?}");
        }
        assert!(
            store.head_source("a").await.is_ok(),
            "it can be listed and deleted"
        );
        let fault = match accident {
            Accident::Removed => Fault::Missing,
            Accident::Flipped => Fault::Altered,
            _ => Fault::Cut,
        };
        assert_eq!(store.source_fault("a"), Some(fault));
        assert_eq!(store.source_fault("b"), None);
        assert_eq!(read(&store, "b").await, b"whole");
        assert_eq!(
            body_of(&store, "a/r").await.unwrap(),
            "the rendition",
            "it stays up"
        );
        drain(&store).await;

        // What is known survives a restart; a file that was put back is used again.
        let store = data.reopen(store);
        assert_eq!(store.source_fault("a"), Some(fault));
        assert!(matches!(store.open_source("a").await, Err(Error::Damaged(_))));
        fs::write(&path, before).unwrap();
        let store = data.reopen(store);
        store.scrub_now().await.unwrap();
        assert_eq!(read(&store, "a").await, b"the source", "{accident:?}");
        assert_eq!(
            (store.source_fault("a"), store.scrubbed().damaged_sources),
            (None, 0)
        );

        // So does another upload of the key, whatever was known of the file before.
        accident.happen(&path, b"the source".len());
        store.scrub_now().await.unwrap();
        put(&store, "a", b"uploaded again").await;
        assert_eq!(read(&store, "a").await, b"uploaded again");
        assert_eq!(
            (store.source_fault("a"), store.scrubbed().damaged_sources),
            (None, 0)
        );
    }
}

#[tokio::test]
async fn facts_that_are_damaged_are_written_again() {
    let mut data = Data::new();
    let mut store = data.store();
    let before = put(&store, "a", b"the source").await;
    let whole = fs::read(file_of(&data, "a")).unwrap();
    let lengths = b"the source".len()..whole.len();
    let cuts = lengths
        .clone()
        .skip(25)
        .step_by(40)
        .map(|length| whole[..length].to_vec());
    let flips = lengths.step_by(40).map(|at| {
        let mut flipped = whole.clone();
        flipped[at] ^= 4;
        flipped
    });
    let longer = [&whole[..], b"more"].concat();
    let damaged: Vec<Vec<u8>> = cuts.chain(flips).chain([longer]).collect();
    assert!(damaged.len() > 6, "{}", whole.len());
    for bytes in damaged {
        let path = file_of(&data, "a");
        fs::write(&path, bytes).unwrap();
        data.close(store);
        assert_eq!(verify(data.path(), Comparing::Sizes).unwrap().without_facts, 1);
        store = data.open();
        assert_eq!(read(&store, "a").await, b"the source");
        store.scrub_now().await.unwrap();
        assert_ne!(file_of(&data, "a"), path);
        assert_eq!(store.head_source("a").await.unwrap(), before);
        assert_eq!(read(&store, "a").await, b"the source");
        assert_eq!(store.scrubbed().damaged_sources, 0);
        data.close(store);
        assert!(!path.exists(), "the old file is gone");
        assert!(verify(data.path(), Comparing::Digests).unwrap().is_consistent());
        store = data.open();
    }
    // The database may be lost now.
    data.close(store);
    for name in ["tintype.db", "tintype.db-wal", "tintype.db-shm"] {
        let _ = fs::remove_file(data.path().join(name));
    }
    assert_eq!(rebuild(data.path(), Comparing::Digests).unwrap().found, 1);
    let store = data.open();
    assert_eq!(read(&store, "a").await, b"the source");
    assert_eq!(store.head_source("a").await.unwrap().etag, before.etag);
}

#[tokio::test]
async fn a_copy_is_made_of_sound_bytes_only() {
    let data = Data::new();
    let store = data.store();
    put(&store, "a", b"the source").await;
    store.examine_source("a").await.unwrap();
    Accident::Flipped.happen(&file_of(&data, "a"), b"the source".len());
    for _ in 0..2 {
        let examined = store.examine_source("a").await;
        assert!(matches!(examined, Err(Error::Damaged(_))), "{examined:?}");
    }
    assert_eq!(store.source_fault("a"), Some(Fault::Altered));
    assert!(matches!(store.examine_source("b").await, Err(Error::NoSuchKey)));
}

#[tokio::test]
async fn a_source_of_parts_is_compared_too() {
    let data = Data::new();
    let store = data.store();
    let upload = begin(&store, "a").await;
    let mut parts = Vec::new();
    for (number, body) in (1..).zip([vec![1; 5 << 20], b"the end".to_vec()]) {
        parts.push(part(&store, "a", &upload, number, &body).await);
    }
    store
        .complete_multipart(&key("a"), &upload, parts, Completion::default())
        .await
        .unwrap();
    store.scrub_now().await.unwrap();
    assert_eq!(store.source_fault("a"), None);
    Accident::Flipped.happen(&file_of(&data, "a"), 5 << 20);
    store.scrub_now().await.unwrap();
    assert_eq!(store.source_fault("a"), Some(Fault::Altered));
}

#[tokio::test]
async fn a_pass_goes_on_after_a_restart_and_the_next_one_waits_for_its_day() {
    let mut data = Data::new();
    let mut store = data.store();
    for number in 0..5 {
        put(&store, &format!("{number}"), b"bytes").await;
    }
    let pace = Pace {
        bytes_per_second: 1 << 40,
        days: 30,
    };
    let passed = async |store: &Store, passes| {
        while store.scrubbed().passes < passes {
            tokio::task::yield_now().await;
        }
        store.scrubbed().files
    };
    store.scrub(Some(pace));
    assert_eq!(passed(&store, 1).await, 5);
    store = data.reopen(store);
    store.scrub(Some(pace));
    store.scrub_now().await.unwrap();
    assert_eq!(store.scrubbed().files, 5, "only the one that was asked for");
    data.close(store);
    data.advance(Duration::from_hours(30 * 24));
    // As a restart in the middle of a pass leaves it.
    let third: String = data
        .connect()
        .query_row(
            "SELECT file FROM objects ORDER BY file LIMIT 1 OFFSET 2",
            [],
            |row| row.get(0),
        )
        .unwrap();
    let change = "UPDATE scrub SET after = ?1, is_done = 0";
    data.connect().execute(change, [third]).unwrap();
    store = data.open();
    store.scrub(Some(pace));
    // The two that were left, and all again, 30 days after the first pass began.
    assert_eq!(passed(&store, 2).await, 7);
}

#[tokio::test]
async fn verify_reads_every_byte_and_a_rebuild_tells_the_server() {
    let mut data = Data::new();
    let store = data.store();
    for name in ["whole", "flipped", "made again"] {
        publish(&store, name).await;
    }
    Accident::Flipped.happen(&file_of(&data, "flipped"), b"the source".len());
    Accident::Flipped.happen(&file_of(&data, "made again/r"), b"the rendition".len());
    data.close(store);
    let quick = verify(data.path(), Comparing::Sizes).unwrap();
    assert!(quick.is_consistent(), "{quick:?}");
    let told = verify(data.path(), Comparing::Digests).unwrap();
    assert_eq!(
        (&told.altered[..], told.incomplete),
        (&["flipped".to_owned()][..], 1)
    );
    assert!(!told.is_consistent());
    assert_eq!(rebuild(data.path(), Comparing::Digests).unwrap(), told);
    let store = data.open();
    assert_eq!(store.source_fault("flipped"), Some(Fault::Altered));
    assert!(matches!(
        store.open_source("flipped").await,
        Err(Error::Damaged(_))
    ));
    let queued = drain(&store).await;
    assert_eq!(queued.len(), 1);
    assert_eq!(queued[0].key.as_str(), "made again");

    // Without a database the file tells the digest.
    data.close(store);
    for name in ["tintype.db", "tintype.db-wal", "tintype.db-shm"] {
        let _ = fs::remove_file(data.path().join(name));
    }
    let told = rebuild(data.path(), Comparing::Digests).unwrap();
    assert_eq!((&told.altered[..], told.found), (&["flipped".to_owned()][..], 3));
    let store = data.open();
    assert!(matches!(
        store.open_source("flipped").await,
        Err(Error::Damaged(_))
    ));
    assert_eq!(read(&store, "whole").await, b"the source");
}

#[tokio::test]
async fn a_record_that_is_ahead_of_a_dead_letter_removes_it() {
    let data = Data::new();
    let store = data.store();
    let die = async |name: &str| {
        put(&store, name, b"a source").await;
        let claimed = claim(&store, Duration::from_secs(60)).await;
        store.queue().bury(&claimed, "given up".to_owned()).await.unwrap();
        claimed.job
    };
    let dead = async || store.queue().depth().await.unwrap().dead;
    let result = |job: &Job, status: Status| record(job.key.as_str(), job.order.clone(), status);
    let failed = tintype_model::testing::conformance::failed;
    let rejected = tintype_model::testing::conformance::rejected;

    let job = die("a").await;
    store.metadata().put(&result(&job, failed())).await.unwrap();
    assert_eq!(dead().await, 1, "it is what the record tells");
    let mut newer = job.clone();
    newer.order = job.order.next_revision();
    store
        .metadata()
        .put(&result(&newer, ready("v", "a/r")))
        .await
        .unwrap();
    assert_eq!(dead().await, 0, "a reprocess has succeeded");

    for status in [ready("v", "b/r"), rejected(), Status::Deleted] {
        let job = die("b").await;
        store.metadata().put(&result(&job, status)).await.unwrap();
        assert_eq!(dead().await, 0, "its own result");
    }
    let job = die("c").await;
    let other = die("other").await;
    let mut newer = result(&job, failed());
    newer.order = job.order.next_revision();
    store.metadata().put(&newer).await.unwrap();
    let left = store.queue().dead(10).await.unwrap();
    assert_eq!(
        left.len(),
        1,
        "older work, although the newer one has failed as well"
    );
    assert_eq!(left[0].job.as_ref(), Some(&other));
}
