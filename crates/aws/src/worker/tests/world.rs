use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use lambda_runtime::{Context, LambdaEvent};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use sha2::{Digest, Sha256};
use tintype_model::testing::{MemoryMetadataStore, MemoryObjectStore};
use tintype_model::{
    Dimensions, GetOptions, ImageInfo, Job, Limits, MetadataStore, ObjectKey, ObjectStore, Order,
    Precondition, PutOptions, Recipe, Record, Rejection, RejectionCode, RenderError, Rendered, RenderedFile,
    Renderer, Sequencer, Status, Work,
};
use tintype_pipeline::{Layout, RetryPolicy, Secret, Settings};
use tokio::sync::Notify;

use crate::RemoteError;
use crate::event::{BatchResponse, SqsEvent, SqsMessage};
use crate::invalidation::{Kind, Withdrawal, Withdrawals};
use crate::visibility::Visibility;
use crate::worker::budget::retries;
use crate::worker::{Parts, Rendering, Worker, WorkerSettings};

/// After this time a test is taken for hung. No busy machine comes near it.
pub(super) const PATIENCE: Duration = Duration::from_secs(600);

/// `ETag` that the memory store gives that content.
pub(super) fn etag_of(content: &str) -> String {
    hex::encode(&Sha256::digest(content)[..16])
}

/// The body of a message about one S3 record.
pub(super) fn notice(name: &str, key: &str, sequencer: u64, etag: Option<&str>) -> String {
    let sequencer = Sequencer::from_counter(sequencer);
    json!({
        "Records": [{
            "eventVersion": "2.1",
            "eventName": name,
            "s3": {
                "bucket": { "name": "raw" },
                "object": {
                    "key": utf8_percent_encode(key, NON_ALPHANUMERIC).to_string(),
                    "eTag": etag,
                    "sequencer": sequencer.as_str(),
                }
            }
        }]
    })
    .to_string()
}

pub(super) fn job_body(key: &str, order: Order, work: Work) -> String {
    let key = ObjectKey::new(key).unwrap();
    json!({ "tintype": 1, "job": Job { key, order, work } }).to_string()
}

pub(super) fn message(id: &str, receives: u32, body: &str) -> SqsMessage {
    SqsMessage {
        message_id: id.to_owned(),
        receipt_handle: format!("receipt of {id}"),
        body: body.to_owned(),
        attributes: [("ApproximateReceiveCount".to_owned(), receives.to_string())].into(),
    }
}

/// Renders text. What the source starts with decides: `bad` is rejected, `broken` fails until it is repaired, `panic`
/// panics, `hang` never ends, `slow` gives others a turn.
#[derive(Debug, Default)]
pub(super) struct TextRenderer {
    renders: AtomicU64,
    pub(super) repaired: AtomicBool,
    /// True where every source is rejected.
    pub(super) strict: AtomicBool,
    started: Notify,
    pub(super) dropped: AtomicBool,
    pub(super) deadlines: Mutex<Vec<Duration>>,
}

struct Dropped<'a>(&'a AtomicBool);

impl Drop for Dropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl Renderer for TextRenderer {
    async fn render(&self, source: Bytes, recipe: &Recipe) -> Result<Rendered, RenderError> {
        self.renders.fetch_add(1, Ordering::Relaxed);
        self.started.notify_one();
        let text = String::from_utf8_lossy(&source);
        match text.split(' ').next().unwrap_or_default() {
            word if word == "bad" || self.strict.load(Ordering::Relaxed) => {
                return Err(RenderError::Rejected(Rejection::new(
                    RejectionCode::CorruptImage,
                    "bad",
                )));
            }
            "broken" if !self.repaired.load(Ordering::Relaxed) => {
                return Err(RenderError::Failed("the machine is broken".into()));
            }
            "panic" => panic!("as told"),
            "hang" => {
                let _dropped = Dropped(&self.dropped);
                std::future::pending::<()>().await;
            }
            "slow" => {
                for _ in 0..50 {
                    tokio::task::yield_now().await;
                }
            }
            _ => {}
        }
        let dimensions = Dimensions { width: 1, height: 1 };
        let file = |variant: &str, format: tintype_model::Format| RenderedFile {
            variant: variant.to_owned(),
            format,
            dimensions,
            bytes: source.clone(),
            cpu: None,
            encoding: tintype_model::Encoding::default(),
        };
        let files = recipe.variants.iter().flat_map(|variant| {
            let formats = variant.formats.iter();
            formats
                .map(|format| file(&variant.name, *format))
                .collect::<Vec<_>>()
        });
        Ok(Rendered {
            image: ImageInfo {
                format: "text".to_owned(),
                dimensions,
                orientation: 1,
                has_alpha: false,
                frames: 1,
                bit_depth: 8,
                color_space: "srgb".to_owned(),
                ..ImageInfo::default()
            },
            engine: "text/1".to_owned(),
            files: files.collect(),
        })
    }
}

#[derive(Debug)]
struct Always(Arc<TextRenderer>);

impl Rendering for Always {
    fn within(&self, deadline: Duration) -> Arc<dyn Renderer> {
        self.0.deadlines.lock().unwrap().push(deadline);
        Arc::clone(&self.0) as Arc<dyn Renderer>
    }
}

/// Writes down what it is asked for, and refuses when a test wants it.
#[derive(Debug, Default)]
pub(super) struct Notebook {
    hidden: Mutex<Vec<(String, u64)>>,
    told: Mutex<Vec<Withdrawal>>,
    pub(super) refuses: AtomicBool,
    pub(super) hangs: AtomicBool,
}

impl Notebook {
    async fn answer(&self) -> Result<(), RemoteError> {
        if self.hangs.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        if self.refuses.load(Ordering::Relaxed) {
            return Err("refused".into());
        }
        Ok(())
    }
}

#[async_trait]
impl Visibility for Notebook {
    async fn hide(&self, receipt_handle: &str, delay: Duration) -> Result<(), RemoteError> {
        self.answer().await?;
        self.hidden
            .lock()
            .unwrap()
            .push((receipt_handle.to_owned(), delay.as_secs()));
        Ok(())
    }
}

#[async_trait]
impl Withdrawals for Notebook {
    async fn tell(&self, withdrawal: &Withdrawal) -> Result<(), RemoteError> {
        self.answer().await?;
        self.told.lock().unwrap().push(withdrawal.clone());
        Ok(())
    }
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) sources: Arc<MemoryObjectStore>,
    pub(super) renditions: Arc<MemoryObjectStore>,
    pub(super) metadata: Arc<MemoryMetadataStore>,
    pub(super) renderer: Arc<TextRenderer>,
    pub(super) queue: Arc<Notebook>,
    pub(super) caches: Arc<Notebook>,
    pub(super) worker: Worker,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(|parts| parts)
    }

    /// A world with parts that stand between the worker and the memory stores.
    pub(super) fn with(change: impl FnOnce(Parts) -> Parts) -> Self {
        Self::configured(change, true)
    }

    /// A world in which caches are told of removed pictures alone.
    pub(super) fn without_replacements() -> Self {
        Self::configured(|parts| parts, false)
    }

    fn configured(change: impl FnOnce(Parts) -> Parts, tells_replaced: bool) -> Self {
        let sources = Arc::new(MemoryObjectStore::new());
        let renditions = Arc::new(MemoryObjectStore::new());
        let metadata = Arc::new(MemoryMetadataStore::new());
        let renderer = Arc::new(TextRenderer::default());
        let (queue, caches) = (Arc::new(Notebook::default()), Arc::new(Notebook::default()));
        let parts = change(Parts {
            sources: sources.clone(),
            renditions: renditions.clone(),
            metadata: metadata.clone(),
            rendering: Arc::new(Always(renderer.clone())),
            queue: queue.clone(),
            withdrawals: Some(caches.clone()),
        });
        let pipeline = Settings {
            recipe: Arc::new(Recipe::default()),
            limits: Limits::default(),
            secret: Secret::new(*b"a secret of sixteen bytes"),
            layout: Layout::InPlace,
        };
        let settings = WorkerSettings {
            pipeline,
            raw_bucket: "raw".to_owned(),
            processed_bucket: "processed".to_owned(),
            // Exact delays, for tests to compare.
            retries: RetryPolicy {
                jitter: 0.0,
                ..retries(5)
            },
            render_deadline: Duration::from_secs(40),
            tells_replaced,
            environment: "test".to_owned(),
        };
        Self {
            sources,
            renditions,
            metadata,
            renderer,
            queue,
            caches,
            worker: Worker::new(parts, settings),
        }
    }

    pub(super) async fn handle(&self, messages: Vec<SqsMessage>) -> BatchResponse {
        self.handle_within(PATIENCE, messages).await
    }

    pub(super) async fn handle_within(&self, time: Duration, messages: Vec<SqsMessage>) -> BatchResponse {
        let mut context = Context::default();
        let deadline = SystemTime::now() + time;
        let deadline = deadline.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        context.deadline = u64::try_from(deadline.as_millis()).unwrap();
        context.request_id = "request".to_owned();
        let event = SqsEvent { records: messages };
        let handled = self.worker.handle(LambdaEvent::new(event, context));
        tokio::time::timeout(PATIENCE, handled)
            .await
            .expect("the invocation ends by itself")
    }

    pub(super) async fn put(&self, key: &str, content: &str) {
        let body = Bytes::from(content.to_owned());
        self.sources.put(key, body, PutOptions::default()).await.unwrap();
    }

    pub(super) async fn delete(&self, key: &str) {
        self.sources.delete(key, Precondition::None).await.unwrap();
    }

    pub(super) async fn record(&self, key: &str) -> Option<Record> {
        self.metadata.get(&ObjectKey::new(key).unwrap()).await.unwrap()
    }

    /// The text that a viewer of the key sees: the source that its renditions were made from, or the record's status.
    pub(super) async fn shown(&self, key: &str) -> String {
        let Some(record) = self.record(key).await else {
            return "nothing".to_owned();
        };
        let Status::Ready { renditions, .. } = &record.status else {
            return record.status.name().to_owned();
        };
        assert_eq!(renditions.len(), 9, "{key}");
        let mut texts = Vec::new();
        for rendition in renditions {
            let object = self
                .renditions
                .get(&rendition.object_key, GetOptions::default())
                .await;
            let body = object.expect("a published rendition is there").body;
            texts.push(String::from_utf8(body.to_vec()).unwrap());
        }
        texts.dedup();
        assert_eq!(texts.len(), 1, "{key}: {texts:?}");
        texts.remove(0)
    }

    pub(super) fn renders(&self) -> u64 {
        self.renderer.renders.load(Ordering::Relaxed)
    }

    /// Waits until a render has started.
    pub(super) async fn rendering(&self) {
        self.renderer.started.notified().await;
    }

    pub(super) fn repair(&self) {
        self.renderer.repaired.store(true, Ordering::Relaxed);
    }

    /// The receives that were hidden, with the seconds for which.
    pub(super) fn hidden(&self) -> Vec<(String, u64)> {
        self.queue.hidden.lock().unwrap().clone()
    }

    /// Takes what the caches were told of since the last call: keys, and whether something is in their place.
    pub(super) fn told(&self) -> Vec<(String, Kind)> {
        let told = std::mem::take(&mut *self.caches.told.lock().unwrap());
        told.into_iter()
            .map(|withdrawal| (withdrawal.key.into(), withdrawal.kind))
            .collect()
    }
}
