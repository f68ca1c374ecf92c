//! Random histories of a bucket with versions, whose events come late, twice, in any order and to several workers at
//! once, while the history goes on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::join_all;
use tintype_model::{
    Entry, GetOptions, MetadataStore, Object, ObjectKey, ObjectMeta, ObjectStore, Order, Page, Precondition,
    PutOptions, PutRecord, Record, RecordFilter, Result, StatusCounts,
};

use super::failed;
use super::world::{World, etag_of, message, notice};

/// A small generator of choices: SplitMix64 (Steele, Lea, Flood 2014). The seed makes a run repeatable.
#[derive(Debug)]
pub(super) struct Dice(AtomicU64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    pub(super) fn below(&self, end: usize) -> usize {
        let state = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % end as u64).unwrap()
    }

    async fn turns(&self) {
        for _ in 0..self.below(5) {
            tokio::task::yield_now().await;
        }
    }
}

/// A store that gives others a turn before and after each call.
#[derive(Debug)]
struct Turns<T: ?Sized> {
    dice: Arc<Dice>,
    inner: Arc<T>,
}

impl<T: ?Sized> Turns<T> {
    async fn call<R>(&self, call: impl Future<Output = R>) -> R {
        self.dice.turns().await;
        let answer = call.await;
        self.dice.turns().await;
        answer
    }
}

#[async_trait]
impl ObjectStore for Turns<dyn ObjectStore> {
    async fn get(&self, key: &str, options: GetOptions) -> Result<Object> {
        self.call(self.inner.get(key, options)).await
    }
    async fn head(&self, key: &str) -> Result<ObjectMeta> {
        self.call(self.inner.head(key)).await
    }
    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page<Entry>> {
        self.call(self.inner.list(prefix, after, limit)).await
    }
    async fn put(&self, key: &str, body: Bytes, options: PutOptions) -> Result<ObjectMeta> {
        self.call(self.inner.put(key, body, options)).await
    }
    async fn delete(&self, key: &str, precondition: Precondition) -> Result<()> {
        self.call(self.inner.delete(key, precondition)).await
    }
}

#[async_trait]
impl MetadataStore for Turns<dyn MetadataStore> {
    async fn get(&self, key: &ObjectKey) -> Result<Option<Record>> {
        self.call(self.inner.get(key)).await
    }
    async fn put(&self, record: &Record) -> Result<PutRecord> {
        self.call(self.inner.put(record)).await
    }
    async fn list(&self, filter: &RecordFilter, after: Option<&str>, limit: usize) -> Result<Page<Record>> {
        self.call(self.inner.list(filter, after, limit)).await
    }
    async fn forget(&self, key: &ObjectKey, order: &Order) -> Result<bool> {
        self.call(self.inner.forget(key, order)).await
    }
    async fn counts(&self) -> Result<StatusCounts> {
        self.call(self.inner.counts()).await
    }
}

/// A bucket with versions: the memory store holds what is current, this what S3 keeps behind it.
#[derive(Debug, Default)]
struct Bucket {
    /// Newest last; `None` is a delete marker.
    versions: BTreeMap<String, Vec<Option<String>>>,
    sequencer: u64,
}

impl Bucket {
    /// Makes one random change, and returns its event.
    async fn change(&mut self, world: &World, dice: &Dice) -> Option<String> {
        let key = format!("{}.jpg", dice.below(2));
        let versions = self.versions.entry(key.clone()).or_default();
        let (name, etag) = match dice.below(6) {
            0 | 1 => {
                // Half of them take long to render, so that what happens meanwhile is part of the history.
                let content = ["a", "slow b", "c", "slow d"][dice.below(4)].to_owned();
                let etag = etag_of(&content);
                versions.push(Some(content));
                ("ObjectCreated:Put", Some(etag))
            }
            2 => {
                versions.push(None);
                ("ObjectRemoved:DeleteMarkerCreated", None)
            }
            3 | 4 if !versions.is_empty() => {
                // Often the current one: that is a roll-back, or the undoing of a removal.
                let at = if dice.below(2) == 0 {
                    versions.len() - 1
                } else {
                    dice.below(versions.len())
                };
                versions.remove(at);
                ("ObjectRemoved:Delete", None)
            }
            _ => {
                // A lifecycle rule takes versions that are not current, and markers that stand alone.
                match &versions[..] {
                    [] | [Some(_)] => return None,
                    [None] => versions.clear(),
                    [_, _, ..] => drop(versions.remove(dice.below(versions.len() - 1))),
                }
                ("LifecycleExpiration:Delete", None)
            }
        };
        match versions.last() {
            Some(Some(content)) => world.put(&key, content).await,
            Some(None) | None => world.delete(&key).await,
        }
        self.sequencer += 1;
        Some(notice(name, &key, self.sequencer, etag.as_deref()))
    }
}

async fn run(seed: u64) {
    let dice = Arc::new(Dice::new(seed));
    let world = World::with(|mut parts| {
        parts.sources = Arc::new(Turns {
            dice: dice.clone(),
            inner: parts.sources,
        });
        parts.renditions = Arc::new(Turns {
            dice: dice.clone(),
            inner: parts.renditions,
        });
        parts.metadata = Arc::new(Turns {
            dice: dice.clone(),
            inner: parts.metadata,
        });
        parts
    });
    let queue: Mutex<Vec<String>> = Mutex::default();
    let going_on = AtomicU64::new(1);
    let bucket = async {
        let mut bucket = Bucket::default();
        for _ in 0..14 {
            if let Some(event) = bucket.change(&world, &dice).await {
                let copies = 1 + dice.below(2);
                queue.lock().unwrap().extend(std::iter::repeat_n(event, copies));
            }
            for _ in 0..dice.below(12) {
                dice.turns().await;
            }
        }
        going_on.store(0, Ordering::Relaxed);
        bucket
    };
    let worker = || async {
        loop {
            let next = {
                let mut queue = queue.lock().unwrap();
                let length = queue.len();
                (length > 0).then(|| queue.swap_remove(dice.below(length)))
            };
            match next {
                Some(event) => {
                    let response = world.handle(vec![message("m", 1, &event)]).await;
                    assert_eq!(failed(&response), [""; 0], "seed {seed}: {event}");
                }
                None if going_on.load(Ordering::Relaxed) == 0 => return,
                None => tokio::task::yield_now().await,
            }
        }
    };
    let (bucket, _) = tokio::join!(bucket, join_all((0..3).map(|_| worker())));
    for (key, versions) in bucket.versions {
        let shown = world.shown(&key).await;
        match versions.last() {
            Some(Some(content)) => assert_eq!(shown, *content, "seed {seed}: {key} of {versions:?}"),
            Some(None) | None => {
                assert!(
                    ["deleted", "nothing"].contains(&&*shown),
                    "seed {seed}: {key} shows {shown}"
                );
                let left = world.renditions.keys();
                let left = left.iter().filter(|object| object.starts_with(&key)).count();
                assert_eq!(left, 0, "seed {seed}: renditions of {key}");
            }
        }
    }
}

#[tokio::test]
async fn whatever_happens_to_versions_the_record_ends_as_the_bucket_does() {
    for seed in 0..1000 {
        run(seed).await;
    }
}
