use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tintype_model::testing::conformance;
use tintype_model::{MetadataStore, ObjectStore, PutOptions, Status};

use super::*;
use crate::{Attributes, Comparing, Completion, DatabaseState, Store, rebuild, verify};

/// Change it for other choices of keys and pages.
const SEED: u64 = 13;

/// Every source as a client sees it: its metadata and its bytes, by key.
async fn everything(store: &Store) -> BTreeMap<String, (SourceMeta, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut after = None;
    loop {
        let page = store.sources().list("", after.as_deref(), 500).await.unwrap();
        for entry in page.items {
            let meta = store.head_source(&entry.key).await.unwrap();
            let body = read(store, &entry.key).await;
            found.insert(entry.key, (meta, body));
        }
        match page.next {
            None => return found,
            next => after = next,
        }
    }
}

/// The same, without the places in the order, of which only the sequence is kept.
fn seen(
    found: &BTreeMap<String, (SourceMeta, Vec<u8>)>,
) -> Vec<(&str, &str, &Attributes, UnixMillis, &[u8])> {
    found
        .iter()
        .map(|(key, (meta, body))| {
            let (etag, attributes) = (meta.etag.as_str(), &meta.attributes);
            (key.as_str(), etag, attributes, meta.modified_at, body.as_slice())
        })
        .collect()
}

fn attributes(number: u32) -> Attributes {
    Attributes {
        content_type: Some("image/png".to_owned()),
        metadata: strings([("number", &number.to_string()), ("name", "ü")]),
        checksums: strings([("crc32", "AAAAAA==")]),
        ..Attributes::default()
    }
}

async fn put_number(store: &Store, name: &str, number: u32) -> SourceMeta {
    let staged = stage(store, format!("picture {number}").as_bytes()).await;
    let options = SourceOptions {
        attributes: attributes(number),
        ..SourceOptions::default()
    };
    store.put_source(&key(name), staged, options).await.unwrap()
}

fn refused(data: &Data) -> (usize, String) {
    let before = data.files().len();
    let error = Store::open(data.path()).unwrap_err();
    let message = error.to_string();
    let Error::UnknownFiles { count, .. } = error else {
        panic!("{message}");
    };
    assert!(message.contains("tintype verify --rebuild --data"), "{message}");
    assert_eq!(data.files().len(), before, "nothing is removed");
    (count, message)
}

fn take_database_away(data: &Data) {
    for ending in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(data.path().join(format!("tintype.db{ending}")));
    }
}

fn copy_database(data: &Data) -> PathBuf {
    let copy = data.path().join("old.db");
    std::fs::copy(data.path().join("tintype.db"), &copy).unwrap();
    copy
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_pictures_survive_the_loss_of_the_database() {
    let mut data = Data::new();
    let store = data.store();
    let mut chance = StdRng::seed_from_u64(SEED);
    let mut names: Vec<String> = (0..1000)
        .map(|number| format!("k {number} \u{1F600}/%.png"))
        .collect();
    let mut tasks = tokio::task::JoinSet::new();
    for (number, name) in (0..).zip(names.clone()) {
        let store = store.clone();
        tasks.spawn(async move { put_number(&store, &name, number).await });
    }
    while let Some(put) = tasks.join_next().await {
        put.unwrap();
    }
    for number in 1000..1100 {
        put_number(&store, names.choose(&mut chance).unwrap(), number).await;
    }
    let deleted: Vec<String> = (0..50)
        .map(|_| names.swap_remove(chance.random_range(0..names.len())))
        .collect();
    for name in &deleted {
        store.delete_source(&key(name), Precondition::None).await.unwrap();
    }
    let last = put_number(&store, &names[0], 1100).await;
    drain(&store).await;
    let before = everything(&store).await;
    assert_eq!(before.len(), 950);
    data.close(store);

    take_database_away(&data);
    assert_eq!(refused(&data).0, 950);
    let told = verify(data.path(), Comparing::Digests).unwrap();
    assert_eq!((&told.database, told.found), (&DatabaseState::Missing, 950));
    assert_eq!(refused(&data).0, 950, "telling changes nothing");
    let verified = rebuild(data.path(), Comparing::Digests).unwrap();
    assert_eq!(verified, told);

    let store = data.open();
    let after = everything(&store).await;
    assert_eq!(seen(&after), seen(&before));
    for name in &deleted {
        assert!(matches!(store.head_source(name).await, Err(Error::NoSuchKey)));
    }
    let record = store.metadata().get(&key(&names[0])).await.unwrap().unwrap();
    assert_eq!(record.status, Status::Pending);
    assert_eq!(drain(&store).await.len(), 950, "every picture is made again");
    let next = put_number(&store, "new", 0).await;
    assert!(next.sequencer > last.sequencer);
    assert!(after.values().all(|(meta, _)| meta.sequencer < next.sequencer));
    data.close(store);
    assert!(verify(data.path(), Comparing::Digests).unwrap().is_consistent());
}

#[tokio::test]
async fn an_older_database_meets_its_files() {
    let mut data = Data::new();
    let store = data.store();
    for name in ["kept", "replaced", "deleted", "replaced twice"] {
        put_number(&store, name, 1).await;
    }
    let body = Bytes::from_static(b"x");
    store
        .renditions()
        .put("set/medium.jpg", body, PutOptions::default())
        .await
        .unwrap();
    let status = conformance::ready("v", "set/medium.jpg");
    let record = conformance::record("kept", conformance::order(900, 0), status);
    store.metadata().put(&record).await.unwrap();
    drain(&store).await;
    data.close(store);
    let older = copy_database(&data);
    let store = data.open();
    put_number(&store, "replaced", 2).await;
    put_number(&store, "replaced twice", 2).await;
    put_number(&store, "replaced twice", 3).await;
    store
        .delete_source(&key("deleted"), Precondition::None)
        .await
        .unwrap();
    put_number(&store, "new", 4).await;
    store
        .renditions()
        .delete("set/medium.jpg", Precondition::None)
        .await
        .unwrap();
    drain(&store).await;
    let before = everything(&store).await;
    data.close(store);
    take_database_away(&data);
    std::fs::rename(older, data.path().join("tintype.db")).unwrap();

    let (count, message) = refused(&data);
    assert_eq!(count, 3, "{message}");
    let verified = rebuild(data.path(), Comparing::Digests).unwrap();
    assert_eq!(verified.database, DatabaseState::Whole);
    assert_eq!((verified.known, verified.found), (1, 3));
    assert_eq!(verified.missing, ["deleted"]);
    assert_eq!((verified.incomplete, verified.unclaimed), (1, 0));
    let store = data.open();
    assert_eq!(seen(&everything(&store).await), seen(&before));
    let mut jobs: Vec<_> = drain(&store)
        .await
        .into_iter()
        .map(|job| (job.key.as_str().to_owned(), job.work == Work::Remove))
        .collect();
    jobs.sort();
    let expected = [
        ("deleted", true),
        ("kept", false),
        ("new", false),
        ("replaced", false),
        ("replaced twice", false),
    ];
    assert_eq!(jobs, expected.map(|(key, removed)| (key.to_owned(), removed)));
}

/// The newest transactions are only in the log.
#[tokio::test]
async fn a_lost_log_is_noticed_and_rebuilt() {
    let mut data = Data::new();
    let store = data.store();
    put_number(&store, "first", 1).await;
    let store = data.reopen(store);
    put_number(&store, "second", 2).await;
    put_number(&store, "first", 3).await;
    let before = everything(&store).await;
    // As after a kill: the log was never brought into the database.
    let database = std::fs::read(data.path().join("tintype.db")).unwrap();
    data.close(store);
    take_database_away(&data);
    std::fs::write(data.path().join("tintype.db"), database).unwrap();
    assert_eq!(refused(&data).0, 2);
    rebuild(data.path(), Comparing::Digests).unwrap();
    let store = data.open();
    assert_eq!(seen(&everything(&store).await), seen(&before));
}

#[tokio::test]
async fn a_database_that_is_cut_or_damaged_anywhere_is_made_again() {
    let mut chance = StdRng::seed_from_u64(SEED);
    let mut data = Data::new();
    let store = data.store();
    for number in 0..100 {
        put_number(&store, &format!("k{number}"), number).await;
    }
    store.delete_source(&key("k7"), Precondition::None).await.unwrap();
    drain(&store).await;
    let before = everything(&store).await;
    data.close(store);
    let whole = std::fs::read(data.path().join("tintype.db")).unwrap();
    let mut broken = vec![
        Vec::new(),
        whole[..50].to_vec(),
        whole[..whole.len() / 2].to_vec(),
        whole[..4096].to_vec(),
        vec![b'x'; whole.len()],
        vec![0; whole.len()],
    ];
    for _ in 0..12 {
        let mut damaged = whole.clone();
        let page = chance.random_range(0..whole.len() / 4096);
        chance.fill(&mut damaged[page * 4096..(page + 1) * 4096]);
        broken.push(damaged);
    }
    for (number, bytes) in broken.into_iter().enumerate() {
        take_database_away(&data);
        std::fs::write(data.path().join("tintype.db"), bytes).unwrap();
        if let Ok(store) = Store::open(data.path()) {
            // Not every damage shows at the start.
            drop(store);
        }
        assert_eq!(
            data.files().len(),
            before.len(),
            "seed {SEED}, {number}: nothing is removed"
        );
        rebuild(data.path(), Comparing::Digests).unwrap();
        let store = data.open();
        assert_eq!(
            seen(&everything(&store).await),
            seen(&before),
            "seed {SEED}, {number}"
        );
        data.close(store);
        assert!(
            verify(data.path(), Comparing::Digests).unwrap().is_consistent(),
            "seed {SEED}, {number}"
        );
    }
}

#[tokio::test]
async fn objects_of_parts_and_odd_keys_come_back_and_parts_alone_do_not() {
    let mut data = Data::new();
    let store = data.store();
    let long = "é".repeat(512);
    for name in ["a", "a/", "a/b", "A", "../x", "\u{1}\n", long.as_str()] {
        put_number(&store, name, 1).await;
    }
    put(&store, "empty", b"").await;
    let begin = async |name: &str| {
        let id = store.create_multipart(&key(name), attributes(2)).await.unwrap();
        let part = part(&store, name, &id, 1, b"a part").await;
        (id, part)
    };
    let (id, part) = begin("of parts").await;
    begin("never completed").await;
    store
        .complete_multipart(&key("of parts"), &id, vec![part], Completion::default())
        .await
        .unwrap();
    let before = everything(&store).await;
    data.close(store);
    take_database_away(&data);
    rebuild(data.path(), Comparing::Digests).unwrap();
    let store = data.open();
    assert_eq!(seen(&everything(&store).await), seen(&before));
    data.close(store);
    assert_eq!(data.files().len(), before.len(), "the part is collected");
}

/// The last bytes of a file are chosen by its uploader.
#[tokio::test]
async fn nobody_can_upload_facts_of_another_key() {
    let mut data = Data::new();
    let store = data.store();
    put(&store, "victim", b"right").await;
    put(&store, "mine", b"x").await;
    data.close(store);
    let forged = data
        .files()
        .into_iter()
        .map(|file| std::fs::read(file).unwrap())
        .find(|bytes| bytes.starts_with(b"right"))
        .unwrap();
    let store = data.open();
    put(&store, "mine", &forged).await;
    // An upload that is cut off in the middle.
    let mut cut = store.stage();
    cut.write(Bytes::from(forged.clone())).await.unwrap();
    cut.write(Bytes::from(vec![0; 2 << 20])).await.unwrap();
    drop(cut);
    data.close(store);
    let legacy = data.path().join("objects/ab/ab000000000000000000000000000000");
    std::fs::write(&legacy, &forged).unwrap();
    let unfinished = data
        .path()
        .join("objects/ab/ab111111111111111111111111111111.new");
    std::fs::write(&unfinished, &forged).unwrap();
    take_database_away(&data);
    let verified = rebuild(data.path(), Comparing::Digests).unwrap();
    assert_eq!((verified.found, verified.unclaimed), (2, 1));
    let store = data.open();
    assert_eq!(read(&store, "victim").await, b"right");
    assert_eq!(read(&store, "mine").await, forged);
    assert!(
        data.path()
            .join("lost+found")
            .join(legacy.file_name().unwrap())
            .exists()
    );
}

/// A folder of a release whose files carry no facts.
fn make_legacy(data: &Data) {
    let connection = data.connect();
    let mut statement = connection.prepare("SELECT file, size FROM objects").unwrap();
    let rows: Vec<(String, u64)> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))
        .unwrap()
        .collect::<rusqlite::Result<_>>()
        .unwrap();
    for (name, size) in rows {
        let folder = data.path().join("objects").join(&name[..2]);
        let file = std::fs::File::options()
            .write(true)
            .open(folder.join(&name))
            .unwrap();
        file.set_len(size).unwrap();
        std::fs::rename(folder.join(&name), folder.join(&name[..32])).unwrap();
    }
    drop(statement);
    connection
        .execute_batch(
            "UPDATE objects SET file = substr(file, 1, 32); DROP TABLE trash; DROP TABLE damaged;
             DROP TABLE scrub; DROP INDEX jobs_key;
             ALTER TABLE jobs DROP COLUMN crashes; ALTER TABLE jobs DROP COLUMN failing_since;
             PRAGMA user_version = 2",
        )
        .unwrap();
}

#[tokio::test]
async fn a_folder_of_an_older_release_is_served_and_gets_its_facts() {
    let mut data = Data::new();
    let store = data.store();
    for number in 0..100 {
        put_number(&store, &format!("k{number}"), number).await;
    }
    put(&store, "empty", b"").await;
    drain(&store).await;
    let before = everything(&store).await;
    data.close(store);
    make_legacy(&data);
    let left_by_a_kill = data.path().join("objects/ab/ab000000000000000000000000000000");
    std::fs::write(&left_by_a_kill, b"half an upl").unwrap();

    let store = data.open();
    assert_eq!(data.lost_and_found().len(), 1, "kept, and no reason to stop");
    assert_eq!(everything(&store).await, before);
    put_number(&store, "k3", 1000).await;
    store.delete_source(&key("k4"), Precondition::None).await.unwrap();
    drain(&store).await;
    let before = everything(&store).await;
    let is_upgraded = || {
        let sql = "SELECT count(*) FROM objects WHERE length(file) = 32";
        data.connect()
            .query_row(sql, [], |row| row.get::<_, u32>(0))
            .unwrap()
            == 0
    };
    while !is_upgraded() {
        tokio::task::yield_now().await;
    }
    assert_eq!(everything(&store).await, before);
    let store = data.reopen(store);
    assert_eq!(data.files().len(), before.len());
    data.close(store);
    take_database_away(&data);
    rebuild(data.path(), Comparing::Digests).unwrap();
    let store = data.open();
    assert_eq!(seen(&everything(&store).await), seen(&before));
}

#[tokio::test]
async fn files_without_facts_and_without_a_row_are_set_aside_by_a_rebuild() {
    let mut data = Data::new();
    let store = data.store();
    for number in 0..10 {
        put_number(&store, &format!("k{number}"), number).await;
    }
    data.close(store);
    make_legacy(&data);
    take_database_away(&data);
    assert_eq!(refused(&data).0, 10);
    let verified = rebuild(data.path(), Comparing::Digests).unwrap();
    assert_eq!((verified.found, verified.unclaimed), (0, 10));
    let store = data.open();
    assert_eq!(everything(&store).await.len(), 0);
    assert_eq!(data.lost_and_found().len(), 10);
}

#[tokio::test]
async fn a_source_that_was_cut_is_told_and_not_served() {
    let mut data = Data::new();
    let store = data.store();
    put_number(&store, "cut", 1).await;
    data.close(store);
    let file = std::fs::File::options()
        .write(true)
        .open(&data.files()[0])
        .unwrap();
    file.set_len(3).unwrap();
    let verified = verify(data.path(), Comparing::Digests).unwrap();
    assert_eq!(verified.cut, ["cut"]);
    let store = data.open();
    assert!(matches!(store.open_source("cut").await, Err(Error::Damaged(_))));
}

#[tokio::test]
async fn nothing_is_verified_while_a_server_runs_or_where_no_store_is() {
    let data = Data::new();
    assert!(matches!(
        verify(data.path(), Comparing::Digests),
        Err(Error::Locked { .. })
    ));
    assert!(matches!(
        rebuild(data.path(), Comparing::Digests),
        Err(Error::Locked { .. })
    ));
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(
        verify(empty.path(), Comparing::Digests),
        Err(Error::Io { .. })
    ));
}
