use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use tempfile::TempDir;
use tintype_model::{
    Dimensions, Encoding, ImageInfo, Job, JobQueue, Limits, MetadataStore, ObjectKey, ObjectStore,
    PutOptions, Recipe, Record, RenderError, Rendered, RenderedFile, Renderer, Status, UnixMillis, Work,
};
use tintype_pipeline::{Layout, Ports, Secret, Settings};
use tintype_store::{Clock, DeadJob, Depth, Store};

use super::*;

#[test]
fn retries_wait_twice_as_long_each_time_up_to_a_limit() {
    let config = QueueConfig {
        max_receives: 5,
        retry_hours: 24,
        retry_base_seconds: 2,
    };
    for (attempt, seconds) in [(1, 2), (2, 4), (3, 8), (4, 16)] {
        let delay = policy(config).delay(attempt);
        let least = Duration::from_secs(seconds);
        assert!(
            delay >= least && delay <= least.mul_f64(1.25),
            "{attempt}: {delay:?}"
        );
    }
    assert_eq!(policy(config).delay(40), MAX_DELAY);
}

/// Renders nothing but a word, and not even that during an outage.
#[derive(Debug, Default)]
struct Machine {
    is_broken: AtomicBool,
}

#[async_trait]
impl Renderer for Machine {
    async fn render(&self, source: Bytes, recipe: &Recipe) -> Result<Rendered, RenderError> {
        if self.is_broken.load(Ordering::SeqCst) {
            return Err(RenderError::Failed("no space left on device".into()));
        }
        let variants = recipe.variants.iter();
        let files = variants.flat_map(|variant| variant.formats.iter().map(move |format| (variant, *format)));
        Ok(Rendered {
            image: ImageInfo::default(),
            engine: "test 1".to_owned(),
            files: files
                .map(|(variant, format)| RenderedFile {
                    variant: variant.name.clone(),
                    format,
                    dimensions: Dimensions::default(),
                    bytes: source.clone(),
                    encoding: Encoding::default(),
                    cpu: None,
                })
                .collect(),
        })
    }
}

/// A store and a pipeline whose clock moves when a test moves it.
struct World {
    folder: TempDir,
    now: Arc<AtomicU64>,
    machine: Arc<Machine>,
    store: Store,
    pipeline: Pipeline,
}

const CONFIG: QueueConfig = QueueConfig {
    max_receives: 5,
    retry_hours: 24,
    retry_base_seconds: 2,
};

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let now = Arc::new(AtomicU64::new(1_700_000_000_000));
        let shown = now.clone();
        let clock = Clock::manual(move || UnixMillis(shown.load(Ordering::SeqCst)));
        let store = Store::open_with_clock(folder.path(), clock).unwrap();
        let machine = Arc::new(Machine::default());
        let ports = Ports {
            sources: Arc::new(store.sources()),
            renditions: Arc::new(store.renditions()),
            metadata: Arc::new(store.metadata()),
            renderer: machine.clone(),
        };
        let settings = Settings {
            recipe: Arc::new(Recipe::default()),
            limits: Limits::default(),
            secret: Secret::new(*b"0123456789abcdef"),
            layout: Layout::RandomSets,
        };
        Self {
            folder,
            now,
            machine,
            pipeline: Pipeline::new(ports, settings),
            store,
        }
    }

    fn worker(&self) -> Worker {
        Worker::new(self.store.queue(), self.pipeline.clone(), CONFIG)
    }

    async fn upload(&self, key: &str) {
        let body = Bytes::from_static(b"a picture");
        self.store
            .sources()
            .put(key, body, PutOptions::default())
            .await
            .unwrap();
    }

    async fn record(&self, key: &str) -> Record {
        let key = ObjectKey::new(key).unwrap();
        self.store.metadata().get(&key).await.unwrap().unwrap()
    }

    async fn status(&self, key: &str) -> &'static str {
        self.record(key).await.status.name()
    }

    /// Does what is due, moving the clock to when the next is due, until `hours` from now. Tells how many tries that
    /// were.
    async fn work_for(&self, hours: u64) -> u32 {
        let (queue, stop) = (self.store.queue(), CancellationToken::new());
        let end = self.now.load(Ordering::SeqCst) + hours * 3_600_000;
        let mut tries = 0;
        loop {
            if let Some(claimed) = queue.claim(LEASE).await.unwrap() {
                self.worker().handle(claimed, &stop).await.unwrap();
                tries += 1;
                continue;
            }
            let wait = queue.next_due().await.unwrap().map_or(u64::MAX, |wait| {
                u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
            });
            let now = self.now.load(Ordering::SeqCst);
            if now.saturating_add(wait) >= end {
                self.now.store(end, Ordering::SeqCst);
                return tries;
            }
            self.now.fetch_add(wait, Ordering::SeqCst);
        }
    }
}

#[tokio::test]
async fn an_outage_of_almost_a_day_strands_nothing() {
    let world = World::new();
    world.machine.is_broken.store(true, Ordering::SeqCst);
    for key in ["a", "b", "c"] {
        world.upload(key).await;
    }
    let tries = world.work_for(23).await;
    assert!(
        (3 * 90..3 * 120).contains(&tries),
        "{tries}: neither in vain nor idle"
    );
    for key in ["a", "b", "c"] {
        assert_eq!(world.status(key).await, "pending", "still being tried");
    }
    world.machine.is_broken.store(false, Ordering::SeqCst);
    assert_eq!(world.work_for(1).await, 3);
    for key in ["a", "b", "c"] {
        assert_eq!(world.status(key).await, "ready");
    }
    assert_eq!(world.store.queue().depth().await.unwrap(), Depth::default());
}

#[tokio::test]
async fn after_a_longer_outage_the_record_tells_and_a_redrive_or_a_reprocess_mends_it() {
    let world = World::new();
    let queue = world.store.queue();
    world.machine.is_broken.store(true, Ordering::SeqCst);
    for key in ["redriven", "reprocessed", "untouched"] {
        world.upload(key).await;
    }
    world.work_for(30).await;
    for key in ["redriven", "reprocessed", "untouched"] {
        match world.record(key).await.status {
            Status::Failed { failure } => {
                assert!(failure.error.contains("no space left on device"), "{failure:?}");
                assert!(failure.attempts > 90, "{failure:?}");
            }
            other => panic!("{other:?}"),
        }
    }
    let dead = queue.dead(10).await.unwrap();
    assert_eq!(dead.len(), 3);
    assert_eq!(world.work_for(100).await, 0, "given up is given up");

    world.machine.is_broken.store(false, Ordering::SeqCst);
    let id_of = |key: &str| {
        let is_it = |dead: &&DeadJob| dead.job.as_ref().is_some_and(|job| job.key.as_str() == key);
        dead.iter().find(is_it).unwrap().id
    };
    assert!(queue.redrive(id_of("redriven")).await.unwrap());
    let failed = world.record("reprocessed").await;
    let job = Job {
        key: failed.key.clone(),
        order: failed.order.next_revision(),
        work: Work::Render {
            etag: failed.source.unwrap().etag,
        },
    };
    queue.enqueue(&job).await.unwrap();
    assert_eq!(world.work_for(1).await, 2);
    assert_eq!(world.status("redriven").await, "ready");
    assert_eq!(world.status("reprocessed").await, "ready");
    let left = queue.dead(10).await.unwrap();
    assert_eq!(left.len(), 1, "what is done is no dead letter any more: {left:?}");
    assert_eq!(world.status("untouched").await, "failed");
    queue.redrive_all().await.unwrap();
    world.work_for(1).await;
    assert_eq!(world.status("untouched").await, "ready");
    assert_eq!(queue.depth().await.unwrap().dead, 0);
}

/// As the API does when it is asked for it.
#[tokio::test]
async fn a_pending_picture_can_be_reprocessed_at_once() {
    let world = World::new();
    world.machine.is_broken.store(true, Ordering::SeqCst);
    world.upload("a").await;
    world.work_for(2).await;
    world.machine.is_broken.store(false, Ordering::SeqCst);
    let pending = world.record("a").await;
    assert_eq!(pending.status, Status::Pending);
    let job = Job {
        key: pending.key.clone(),
        order: pending.order.next_revision(),
        work: Work::Render {
            etag: pending.source.unwrap().etag,
        },
    };
    world.store.queue().enqueue(&job).await.unwrap();
    world.work_for(0).await;
    assert_eq!(world.status("a").await, "ready");
    world.work_for(1).await;
    assert_eq!(world.status("a").await, "ready", "the late try changes nothing");
}

#[tokio::test]
async fn a_server_that_was_off_for_days_does_not_give_up_at_once() {
    let world = World::new();
    world.machine.is_broken.store(true, Ordering::SeqCst);
    world.upload("a").await;
    let claimed = world.store.queue().claim(LEASE).await.unwrap().unwrap();
    let stop = CancellationToken::new();
    world.worker().handle(claimed, &stop).await.unwrap();
    world.now.fetch_add(100 * 3_600_000, Ordering::SeqCst);
    let claimed = world.store.queue().claim(LEASE).await.unwrap().unwrap();
    assert_eq!(claimed.failing_for, Duration::from_secs(100 * 3600));
    world.worker().handle(claimed, &stop).await.unwrap();
    assert_eq!(world.status("a").await, "pending");
}

/// The files of the renditions that are published.
fn rendition_files(world: &World) -> Vec<std::path::PathBuf> {
    let database = rusqlite::Connection::open(world.folder.path().join("tintype.db")).unwrap();
    let mut statement = database
        .prepare("SELECT file FROM objects WHERE bucket = 1 ORDER BY key")
        .unwrap();
    let names = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let objects = world.folder.path().join("objects");
    names
        .map(|name| name.unwrap())
        .map(|name| objects.join(&name[..2]).join(name))
        .collect()
}

#[tokio::test]
async fn damaged_renditions_are_made_again_from_the_source_once() {
    let world = World::new();
    world.upload("a").await;
    world.work_for(0).await;
    let before = world.record("a").await;
    let files = rendition_files(&world);
    assert_eq!(files.len(), 9);
    for (number, file) in files.iter().enumerate() {
        match number % 3 {
            0 => std::fs::remove_file(file).unwrap(),
            1 => std::fs::write(file, b"a pict").unwrap(),
            _ => std::fs::write(file, b"a picturf").unwrap(),
        }
    }
    world.store.scrub_now().await.unwrap();
    assert_eq!(world.store.scrubbed().damaged_renditions, 9);
    assert_eq!(world.work_for(1).await, 1, "one job for the whole set");
    let after = world.record("a").await;
    assert_eq!(after.order, before.order.next_revision());
    let (
        Status::Ready {
            version, renditions, ..
        },
        Status::Ready {
            version: same,
            renditions: old,
            ..
        },
    ) = (&after.status, &before.status)
    else {
        panic!("{after:?}")
    };
    assert_eq!(version, same);
    for (new, old) in renditions.iter().zip(old) {
        assert_eq!((&new.etag, new.size_bytes), (&old.etag, old.size_bytes));
        let object = world
            .store
            .renditions()
            .get(&new.object_key, Default::default())
            .await;
        assert_eq!(object.unwrap().body, "a picture");
    }
    assert_eq!(world.store.scrubbed().damaged_renditions, 0);
}

#[tokio::test]
async fn a_set_that_cannot_be_made_again_keeps_what_is_left_of_it() {
    let world = World::new();
    world.upload("a").await;
    world.work_for(0).await;
    let before = world.record("a").await;
    std::fs::remove_file(&rendition_files(&world)[0]).unwrap();
    world.machine.is_broken.store(true, Ordering::SeqCst);
    world.store.scrub_now().await.unwrap();
    assert!(world.work_for(30).await > 90);
    let after = world.record("a").await;
    assert_eq!((&after.status, &after.order), (&before.status, &before.order));
    let attempt = after.attempt.unwrap();
    assert_eq!(attempt.result.name(), "failed");
    assert_eq!(
        rendition_files(&world).len(),
        9,
        "its rows are there, eight of them with files"
    );
    // Nobody asks for it again and again.
    world.store.scrub_now().await.unwrap();
    assert_eq!(world.work_for(1).await, 0);
    world.machine.is_broken.store(false, Ordering::SeqCst);
    world.store.queue().redrive_all().await.unwrap();
    world.work_for(1).await;
    assert_eq!(world.record("a").await.attempt, None);
    assert_eq!(world.store.scrubbed().damaged_renditions, 0);
}

#[tokio::test]
async fn a_picture_is_never_made_of_a_damaged_source() {
    let world = World::new();
    world.upload("a").await;
    let database = rusqlite::Connection::open(world.folder.path().join("tintype.db")).unwrap();
    let name: String = database
        .query_row("SELECT file FROM objects", [], |row| row.get(0))
        .unwrap();
    let path = world.folder.path().join("objects").join(&name[..2]).join(&name);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[0] ^= 0x20;
    std::fs::write(&path, &bytes).unwrap();
    world.work_for(30).await;
    match world.record("a").await.status {
        Status::Failed { failure } => {
            assert!(
                failure.error.contains("the stored bytes of \"a\" are damaged"),
                "{failure:?}"
            );
        }
        other => panic!("{other:?}"),
    }
    assert!(world.store.source_fault("a").is_some());
}

#[test]
fn want_of_room_is_told_from_other_errors() {
    let full = || tintype_store::Error::Full("no space".into());
    let of = |error| tintype_pipeline::Error::Renditions(tintype_model::StoreError::unavailable(error));
    assert!(is_full(&of(full())));
    assert!(is_full(&full()));
    assert!(!is_full(&of(tintype_store::Error::Closed)));
    let trouble = Trouble::default();
    assert_eq!([trouble.begins(), trouble.begins()], [true, false]);
    assert_eq!([trouble.is_over(), trouble.is_over()], [true, false]);
}
