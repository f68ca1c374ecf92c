use tintype_model::ObjectStore;

use super::*;
use crate::{Comparing, Store, backup, verify};

/// Backups are taken while others write, overwrite and delete; each is whole and has all that was acknowledged before.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backup_taken_under_load_is_consistent() {
    let data = Data::new();
    let store = data.store();
    for number in 0..20 {
        put(&store, &format!("still/{number}"), format!("{number}").as_bytes()).await;
    }
    std::fs::write(data.path().join("admin-token"), "secret").unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..4 {
        let (store, stop) = (store.clone(), stop.clone());
        writers.spawn(async move {
            let mut round: u64 = 0;
            while !stop.is_cancelled() {
                let name = format!("busy/{writer}/{}", round % 5);
                put(&store, &name, format!("{name} {round}").as_bytes()).await;
                if round % 7 == 3 {
                    store
                        .delete_source(&key(&name), Precondition::None)
                        .await
                        .unwrap();
                }
                round += 1;
            }
            round
        });
    }
    let folder = tempfile::tempdir().unwrap();
    for number in 0..5 {
        let mark = format!("mark/{number}");
        put(&store, &mark, mark.as_bytes()).await;
        let (from, target) = (data.path().to_owned(), folder.path().join(number.to_string()));
        let taken = target.clone();
        let copied = tokio::task::spawn_blocking(move || backup(&from, &taken).unwrap())
            .await
            .unwrap();
        assert_eq!(copied.missing, [] as [String; 0]);
        assert!(copied.files >= 20);
        assert_eq!(std::fs::read(target.join("admin-token")).unwrap(), b"secret");
        let verified = verify(&target, Comparing::Digests).unwrap();
        assert!(verified.is_consistent(), "{verified:?}");
        let restored = Store::open(&target).unwrap();
        assert_eq!(read(&restored, &mark).await, mark.as_bytes());
        let page = restored.sources().list("", None, 1000).await.unwrap();
        for entry in page.items {
            let body = read(&restored, &entry.key).await;
            let text = String::from_utf8(body).unwrap();
            assert!(
                text.starts_with(&entry.key) || entry.key.starts_with("still/"),
                "{text}"
            );
        }
        put(&restored, "after", b"it goes on").await;
    }
    stop.cancel();
    while let Some(rounds) = writers.join_next().await {
        assert!(rounds.unwrap() > 0);
    }
    store.collect_garbage(Duration::ZERO).await.unwrap();
    assert_eq!(
        data.files().len(),
        data.named_files(),
        "what was put off is made up for"
    );
}

#[tokio::test]
async fn removals_that_a_backup_put_off_are_made_up_for() {
    let data = Data::new();
    let store = data.store();
    put(&store, "a", b"one").await;
    let hold = crate::hold::hold(data.path()).unwrap();
    put(&store, "a", b"two").await;
    store.delete_source(&key("a"), Precondition::None).await.unwrap();
    store.collect_garbage(Duration::ZERO).await.unwrap();
    assert_eq!(data.files().len(), 2, "nothing is removed meanwhile");
    drop(hold);
    store.collect_garbage(Duration::ZERO).await.unwrap();
    assert_eq!(data.files().len(), 0);
}

#[tokio::test]
async fn a_backup_goes_into_a_new_folder_only() {
    let data = Data::new();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("other"), "mine").unwrap();
    assert!(matches!(
        backup(data.path(), folder.path()),
        Err(Error::Io { .. })
    ));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let nothing = tempfile::tempdir().unwrap();
    assert!(backup(nothing.path(), &folder.path().join("new")).is_err());
}

/// Files that cannot be linked are copied.
#[tokio::test]
async fn a_backup_on_another_file_system_holds_copies() {
    // Elsewhere it is one more backup on the same file system.
    let other = tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap();
    let data = Data::new();
    let store = data.store();
    put(&store, "a", b"one").await;
    let target = other.path().join("backup");
    let copied = backup(data.path(), &target).unwrap();
    assert_eq!(copied.files, 1);
    let restored = Store::open(&target).unwrap();
    assert_eq!(read(&restored, "a").await, b"one");
}
