use super::{failed, nasty_keys, order, ready, record, rejected};
use crate::{MetadataStore, ObjectKey, PutRecord, Record, RecordFilter, Status, StatusCounts, StatusKind};

/// The [`MetadataStore`] suite. Leaves records behind.
///
/// # Panics
/// On the first thing that the store does otherwise than the port says.
pub async fn metadata_store(store: &dyn MetadataStore) {
    keeps_the_newest_record(store).await;
    lets_results_replace_provisional_records(store).await;
    keeps_pictures_that_work_came_to_nothing_on(store).await;
    keeps_what_was_published_meanwhile(store).await;
    keeps_records_of_every_key(store).await;
    lists_and_counts_records(store).await;
    finds_records_by_the_digest_of_their_source(store).await;
    lets_one_of_many_publish(store).await;
    forgets_tombstones_and_nothing_else(store).await;
}

async fn write(store: &dyn MetadataStore, record: &Record) -> Option<Record> {
    match store.put(record).await.expect("put") {
        PutRecord::Written(replaced) => replaced.map(|record| *record),
        PutRecord::Noted(noted) => panic!("{record:?} was noted in {noted:?}"),
        PutRecord::Refused(current) => panic!("{record:?} was refused for {current:?}"),
    }
}

async fn refused(store: &dyn MetadataStore, record: &Record) -> Record {
    match store.put(record).await.expect("put") {
        PutRecord::Refused(current) => *current,
        PutRecord::Written(_) | PutRecord::Noted(_) => panic!("{record:?} was written"),
    }
}

/// The record after this one was noted in it, which is also what the store gives from then on.
async fn noted(store: &dyn MetadataStore, record: &Record) -> Record {
    let noted = match store.put(record).await.expect("put") {
        PutRecord::Noted(noted) => *noted,
        other => panic!("{record:?} was not noted: {other:?}"),
    };
    assert_eq!(store.get(&record.key).await.expect("get").as_ref(), Some(&noted));
    noted
}

async fn keeps_the_newest_record(store: &dyn MetadataStore) {
    let key = ObjectKey::new("newest").expect("key");
    let first = record("newest", order(5, 0), ready("v1", "set1/medium.jpg"));
    let redone = record("newest", order(5, 1), ready("v2", "set2/medium.jpg"));
    let removed = Record {
        source: None,
        ..record("newest", order(6, 0), Status::Deleted)
    };
    let late = record("newest", order(5, 2), ready("v3", "set3/medium.jpg"));
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
    assert_eq!(write(store, &with(failed())).await, Some(with(Status::Pending)));
    refused(store, &with(Status::Pending)).await;
    refused(store, &with(failed())).await;
    assert_eq!(
        write(store, &with(ready("v", "set/medium.jpg"))).await,
        Some(with(failed()))
    );
    refused(store, &with(Status::Pending)).await;
    refused(store, &with(failed())).await;
    refused(store, &with(rejected())).await;
    noted(store, &record("provisional", order(2, 0), failed())).await;
    write(store, &record("provisional", order(2, 0), Status::Deleted)).await;
}

async fn keeps_pictures_that_work_came_to_nothing_on(store: &dyn MetadataStore) {
    let filter = |status| RecordFilter {
        prefix: "kept".to_owned(),
        status: Some(status),
        sha256: None,
    };
    let with = |revision, status| record("kept", order(3, revision), status);
    let first = with(0, ready("v1", "set1/medium.jpg"));
    write(store, &first).await;
    let result = |record: &Record| record.attempt.as_ref().map(|attempt| attempt.result.name());
    for (revision, status) in [(1, rejected()), (2, failed())] {
        let told = status.kind();
        let kept = noted(store, &with(revision, status.clone())).await;
        assert_eq!((&kept.status, &kept.order), (&first.status, &first.order));
        assert_eq!((&kept.source, kept.updated_at), (&first.source, first.updated_at));
        assert_eq!(result(&kept), Some(told.name()));
        assert_eq!(kept.newest_order(), &order(3, revision));
        assert_eq!(
            refused(store, &with(revision, status)).await,
            kept,
            "the same again"
        );
        assert_eq!(
            refused(store, &with(revision - 1, rejected())).await,
            kept,
            "an older one"
        );
        assert_eq!(listed(store, &filter(StatusKind::Ready), 10).await, ["kept"]);
        assert_eq!(listed(store, &filter(told), 10).await, Vec::<String>::new());
    }
    // The same work, tried again, succeeds.
    let redriven = with(2, ready("v2", "set2/medium.jpg"));
    let before = write(store, &redriven).await.expect("a record");
    assert_eq!(before.status, first.status);
    assert_eq!(result(&before), Some("failed"));
    assert_eq!(refused(store, &with(2, failed())).await, redriven);
    // A newer upload that is given up leaves the picture; one that is rejected does not.
    let given_up = record("kept", order(4, 0), failed());
    assert_eq!(noted(store, &given_up).await.status, redriven.status);
    let bad = record("kept", order(4, 0), rejected());
    let before = write(store, &bad).await.expect("a record");
    assert_eq!(before.status, redriven.status);
    assert_eq!(store.get(&bad.key).await.expect("get"), Some(bad));
    // What is rejected stays so while work on it fails, and is rejected anew for another reason.
    let kept = noted(store, &record("kept", order(4, 1), failed())).await;
    assert_eq!(kept.status, rejected());
    write(store, &record("kept", order(4, 2), rejected())).await;
    let removed = Record {
        source: None,
        ..record("kept", order(5, 0), Status::Deleted)
    };
    write(store, &removed).await;
    assert_eq!(store.get(&removed.key).await.expect("get"), Some(removed));
}

/// A rejection and a new set of the same source at once: the rejection is noted in the set that is published, whichever
/// that is.
async fn keeps_what_was_published_meanwhile(store: &dyn MetadataStore) {
    for (number, (set, refusal)) in [(1, 2), (2, 1)].into_iter().enumerate() {
        let name = format!("meanwhile/{number}");
        let first = record(&name, order(1, 0), ready("v1", &format!("{name}/1")));
        write(store, &first).await;
        let newer = record(&name, order(1, set), ready("v2", &format!("{name}/2")));
        let refusal = record(&name, order(1, refusal), rejected());
        let (published, told) = tokio::join!(store.put(&newer), store.put(&refusal));
        let kept = store.get(&first.key).await.expect("get").expect("a record");
        match published.expect("put") {
            PutRecord::Written(_) => assert_eq!(kept.status, newer.status, "{told:?}"),
            PutRecord::Refused(_) => assert_eq!(kept.status, first.status, "{told:?}"),
            PutRecord::Noted(noted) => panic!("a set is no attempt: {noted:?}"),
        }
        assert_eq!(kept.attempt.is_some(), refusal.order > newer.order, "{told:?}");
    }
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

/// The keys of all pages, which have at most `limit` records each.
async fn listed(store: &dyn MetadataStore, filter: &RecordFilter, limit: usize) -> Vec<String> {
    let mut keys = Vec::new();
    let mut after = None;
    loop {
        let page = store.list(filter, after.as_deref(), limit).await.expect("list");
        assert!(page.items.len() <= limit);
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
    let keys = async |status: Option<StatusKind>, limit| {
        let filter = RecordFilter {
            prefix: "list/".to_owned(),
            status,
            sha256: None,
        };
        listed(store, &filter, limit).await
    };
    for limit in [1, 2, 100] {
        assert_eq!(
            keys(None, limit).await,
            ["list/a", "list/b", "list/c", "list/d", "list/f"]
        );
        assert_eq!(keys(Some(StatusKind::Ready), limit).await, ["list/a", "list/f"]);
        assert_eq!(keys(Some(StatusKind::Deleted), limit).await, ["list/e"]);
    }
    let after = store.counts().await.expect("counts");
    let expected = StatusCounts {
        pending: before.pending + 1,
        ready: before.ready + 2,
        rejected: before.rejected + 1,
        failed: before.failed + 1,
        ..before
    };
    assert_eq!(after, expected);
}

/// Checks that a listing by digest has the keys whose records have that digest now, in order, whatever they had before.
async fn finds_records_by_the_digest_of_their_source(store: &dyn MetadataStore) {
    let digest = |digit: &str| Some(digit.repeat(64));
    let put = async |key: &str, sequencer, status: Status, sha256: Option<String>| {
        let mut record = record(key, order(sequencer, 0), status);
        record.source.as_mut().expect("a source").sha256 = sha256;
        write(store, &record).await;
    };
    let keys = async |digit: &str, status: Option<StatusKind>, limit| {
        let filter = RecordFilter {
            prefix: "digest/".to_owned(),
            status,
            sha256: digest(digit),
        };
        listed(store, &filter, limit).await
    };
    put("digest/b", 1, ready("v", "k"), digest("1")).await;
    put("digest/a", 1, ready("v", "k"), digest("1")).await;
    put("digest/c", 1, rejected(), digest("1")).await;
    put("digest/d", 1, ready("v", "k"), digest("2")).await;
    put("digest/e", 1, Status::Pending, None).await;
    put("elsewhere", 1, ready("v", "k"), digest("1")).await;
    for limit in [1, 2, 100] {
        assert_eq!(keys("1", None, limit).await, ["digest/a", "digest/b", "digest/c"]);
        assert_eq!(
            keys("1", Some(StatusKind::Ready), limit).await,
            ["digest/a", "digest/b"]
        );
        assert_eq!(keys("2", None, limit).await, ["digest/d"]);
        assert!(keys("3", None, limit).await.is_empty());
    }
    // Other bytes under the key, then the first ones again; and a key that is gone.
    put("digest/a", 2, ready("v", "k"), digest("2")).await;
    assert_eq!(keys("1", None, 100).await, ["digest/b", "digest/c"]);
    assert_eq!(keys("2", None, 1).await, ["digest/a", "digest/d"]);
    put("digest/a", 3, ready("v", "k"), digest("1")).await;
    assert_eq!(keys("1", None, 100).await, ["digest/a", "digest/b", "digest/c"]);
    assert_eq!(keys("2", None, 100).await, ["digest/d"]);
    let removed = Record {
        source: None,
        ..record("digest/b", order(2, 0), Status::Deleted)
    };
    write(store, &removed).await;
    assert_eq!(keys("1", None, 100).await, ["digest/a", "digest/c"]);
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

async fn forgets_tombstones_and_nothing_else(store: &dyn MetadataStore) {
    let key = ObjectKey::new("forgotten").expect("key");
    let published = record("forgotten", order(1, 0), ready("v", "k"));
    let removed = Record {
        source: None,
        ..record("forgotten", order(2, 0), Status::Deleted)
    };
    let forget = async |sequencer| store.forget(&key, &order(sequencer, 0)).await.expect("forget");
    assert!(!forget(1).await, "there is no record");
    write(store, &published).await;
    assert!(!forget(1).await, "it is no tombstone");
    write(store, &removed).await;
    assert!(!forget(1).await, "it is a newer tombstone");
    assert_eq!(store.get(&key).await.expect("get").as_ref(), Some(&removed));
    assert!(forget(2).await);
    assert!(!forget(2).await, "it is gone");
    assert_eq!(store.get(&key).await.expect("get"), None);
    let filter = |status: Option<StatusKind>, sha256| RecordFilter {
        prefix: "forgotten".to_owned(),
        status,
        sha256,
    };
    let sha256 = published.source.as_ref().and_then(|source| source.sha256.clone());
    for filter in [
        filter(None, None),
        filter(Some(StatusKind::Deleted), None),
        filter(None, sha256),
    ] {
        assert!(listed(store, &filter, 100).await.is_empty(), "{filter:?}");
    }
    // No record of the key is left, so nothing is newer than what comes next.
    assert_eq!(write(store, &published).await, None);
}
