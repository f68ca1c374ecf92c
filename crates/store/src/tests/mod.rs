mod backup;
mod commit;
mod crash;
mod damage;
mod history;
mod multipart;
mod object;
mod queue;
mod rebuild;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use md5::{Digest, Md5};
use rusqlite::Connection;
use tempfile::TempDir;
use tintype_model::{Job, ObjectKey, Precondition, UnixMillis, Work};

use super::{
    Attributes, Claimed, Clock, CompletedPart, Completion, Error, Result, SourceMeta, SourceOptions, Staged,
    Store,
};

impl Store {
    /// Makes an object of the parts in the two steps of the S3 endpoint.
    async fn complete_multipart(
        &self,
        key: &ObjectKey,
        upload_id: &str,
        parts: Vec<CompletedPart>,
        completion: Completion,
    ) -> Result<SourceMeta> {
        let assembled = self.assemble(key, upload_id, parts).await?;
        self.commit_assembled(assembled, completion).await
    }
}

/// A store in a folder of its own, with a clock that stands still until it is moved.
struct Data {
    folder: TempDir,
    now: Arc<AtomicU64>,
    store: Option<Store>,
}

impl Data {
    fn new() -> Self {
        let mut data = Self {
            folder: tempfile::tempdir().unwrap(),
            now: Arc::new(AtomicU64::new(1_700_000_000_000)),
            store: None,
        };
        data.open();
        data
    }

    fn open(&mut self) -> Store {
        let now = self.now.clone();
        let clock = Clock::manual(move || UnixMillis(now.load(Ordering::SeqCst)));
        let store = loop {
            match Store::open_with_clock(self.path(), clock.clone()) {
                // A write that nobody waits for keeps the folder until it is through.
                Err(Error::Locked { .. }) => std::thread::yield_now(),
                opened => break opened.unwrap(),
            }
        };
        self.store = Some(store.clone());
        store
    }

    /// Closes the store, which finishes what is under way, and lets the caller look at the folder.
    fn close(&mut self, store: Store) {
        drop(store);
        self.store = None;
    }

    fn reopen(&mut self, store: Store) -> Store {
        self.close(store);
        self.open()
    }

    fn store(&self) -> Store {
        self.store.clone().unwrap()
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn advance(&self, duration: Duration) {
        let millis = u64::try_from(duration.as_millis()).unwrap();
        self.now.fetch_add(millis, Ordering::SeqCst);
    }

    /// Somebody else's connection to the database.
    fn connect(&self) -> Connection {
        Connection::open(self.path().join("tintype.db")).unwrap()
    }

    /// Every file below the folder of objects.
    fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for folder in std::fs::read_dir(self.path().join("objects")).unwrap() {
            for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
                files.push(file.unwrap().path());
            }
        }
        files
    }

    /// Every file that was set aside.
    fn lost_and_found(&self) -> Vec<PathBuf> {
        let Ok(listed) = std::fs::read_dir(self.path().join("lost+found")) else {
            return Vec::new();
        };
        listed.map(|file| file.unwrap().path()).collect()
    }

    /// Number of files that rows name.
    fn named_files(&self) -> usize {
        let count = |sql: &str| {
            self.connect()
                .query_row(sql, [], |row| row.get::<_, u32>(0))
                .unwrap()
        };
        let named = count("SELECT (SELECT count(*) FROM objects) + (SELECT count(*) FROM parts)");
        usize::try_from(named).unwrap()
    }
}

fn key(text: &str) -> ObjectKey {
    ObjectKey::new(text).unwrap()
}

async fn stage(store: &Store, body: &[u8]) -> Staged {
    let mut file = store.stage();
    file.write(Bytes::copy_from_slice(body)).await.unwrap();
    file.finish().await.unwrap()
}

async fn put(store: &Store, name: &str, body: &[u8]) -> SourceMeta {
    put_if(store, name, body, Precondition::None).await.unwrap()
}

async fn put_if(store: &Store, name: &str, body: &[u8], precondition: Precondition) -> Result<SourceMeta> {
    let options = SourceOptions {
        precondition,
        ..SourceOptions::default()
    };
    let staged = stage(store, body).await;
    store.put_source(&key(name), staged, options).await
}

async fn read(store: &Store, name: &str) -> Vec<u8> {
    use tokio::io::AsyncReadExt;
    let (meta, file) = store.open_source(name).await.unwrap();
    let mut body = Vec::new();
    file.take(meta.size_bytes).read_to_end(&mut body).await.unwrap();
    assert_eq!(meta.size_bytes, body.len() as u64);
    body
}

/// Begins a multipart upload.
async fn begin(store: &Store, name: &str) -> String {
    store
        .create_multipart(&key(name), Attributes::default())
        .await
        .unwrap()
}

/// Uploads a part.
async fn part(store: &Store, name: &str, upload: &str, number: u32, body: &[u8]) -> CompletedPart {
    let staged = stage(store, body).await;
    let part = store
        .put_part(&key(name), upload, number, staged, BTreeMap::new())
        .await
        .unwrap();
    assert_eq!(part.etag, hex::encode(Md5::digest(body)));
    CompletedPart {
        number,
        etag: part.etag,
        checksums: BTreeMap::new(),
    }
}

/// Claims a job, which must be due.
async fn claim(store: &Store, lease: Duration) -> Claimed {
    store.queue().claim(lease).await.unwrap().unwrap()
}

/// Claims and acknowledges everything that is due.
async fn drain(store: &Store) -> Vec<Job> {
    let mut jobs = Vec::new();
    while let Some(claimed) = store.queue().claim(Duration::from_secs(60)).await.unwrap() {
        store.queue().ack(&claimed).await.unwrap();
        jobs.push(claimed.job);
    }
    jobs
}

fn etag_of(work: &Work) -> Option<&str> {
    match work {
        Work::Render { etag } => Some(etag),
        Work::Remove | Work::Forget => None,
    }
}

fn strings<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
