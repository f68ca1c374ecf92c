use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use tintype_model::testing::{MemoryMetadataStore, MemoryObjectStore};
use tintype_model::{
    Dimensions, Entry, Fit, Format, GetOptions, ImageInfo, Job, Limits, MetadataStore, Object, ObjectKey,
    ObjectMeta, ObjectStore, Order, Page, Precondition, PutOptions, PutRecord, Recipe, Record, RecordFilter,
    Rejection, RejectionCode, RenderError, Rendered, RenderedFile, Renderer, Result, Sequencer, Status,
    StatusCounts, StoreError, Work,
};
use tintype_pipeline::{Layout, Pipeline, Ports, Secret, Settings};

/// A small generator of choices: SplitMix64 (Steele, Lea, Flood 2014). The seed makes a run repeatable.
#[derive(Debug)]
pub(crate) struct Dice(AtomicU64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(seed)))
    }

    pub(crate) fn below(&self, end: u64) -> u64 {
        let state = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// A store between the pipeline and `inner` that gives other tasks a turn before and after every call, and loses
/// some requests and some answers.
#[derive(Debug)]
pub(crate) struct Rough<T> {
    inner: Arc<T>,
    dice: Arc<Dice>,
    fault_percent: u64,
}

impl<T> Rough<T> {
    async fn turns(&self) {
        for _ in 0..self.dice.below(4) {
            tokio::task::yield_now().await;
        }
    }

    fn fault(&self) -> Result<()> {
        if self.dice.below(100) < self.fault_percent {
            return Err(StoreError::unavailable("injected"));
        }
        Ok(())
    }

    async fn call<R>(&self, call: impl Future<Output = Result<R>>) -> Result<R> {
        self.turns().await;
        self.fault()?;
        let answer = call.await;
        self.turns().await;
        self.fault()?;
        answer
    }
}

#[async_trait]
impl ObjectStore for Rough<MemoryObjectStore> {
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
impl MetadataStore for Rough<MemoryMetadataStore> {
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

/// Renders text: each rendition says what it was made from. Sources that start with `bad` are rejected.
#[derive(Debug, Default)]
pub(crate) struct TextRenderer {
    pub(crate) renders: AtomicU64,
    /// The recipes that it was asked to render, the oldest first.
    pub(crate) recipes: Mutex<Vec<Recipe>>,
    /// Answers to give before rendering anything.
    pub(crate) script: Mutex<Vec<RenderError>>,
    /// Renditions to leave out.
    pub(crate) missing: AtomicUsize,
}

pub(crate) fn rendition_text(variant: &str, extension: &str, source: &[u8]) -> String {
    format!("{variant}.{extension} of {}", String::from_utf8_lossy(source))
}

#[async_trait]
impl Renderer for TextRenderer {
    async fn render(&self, source: Bytes, recipe: &Recipe) -> Result<Rendered, RenderError> {
        self.renders.fetch_add(1, Ordering::Relaxed);
        self.recipes.lock().unwrap().push(recipe.clone());
        tokio::task::yield_now().await;
        if let Some(error) = self.script.lock().unwrap().pop() {
            return Err(error);
        }
        if source.starts_with(b"bad") {
            return Err(RenderError::Rejected(Rejection::new(
                RejectionCode::CorruptImage,
                "bad",
            )));
        }
        let dimensions = Dimensions { width: 1, height: 1 };
        let mut files: Vec<RenderedFile> = Vec::new();
        for variant in &recipe.variants {
            for format in &variant.formats {
                files.push(RenderedFile {
                    variant: variant.name.clone(),
                    format: *format,
                    dimensions,
                    bytes: rendition_text(&variant.name, format.extension(), &source).into(),
                    cpu: None,
                    encoding: tintype_model::Encoding {
                        score: Some(80.0),
                        ..tintype_model::Encoding::default()
                    },
                });
            }
        }
        files.truncate(files.len() - self.missing.load(Ordering::Relaxed));
        let image = ImageInfo {
            format: "text".to_owned(),
            dimensions,
            orientation: 1,
            has_alpha: false,
            frames: 1,
            bit_depth: 8,
            color_space: "srgb".to_owned(),
            ..ImageInfo::default()
        };
        Ok(Rendered {
            image,
            engine: "text/1".to_owned(),
            files,
        })
    }
}

/// The default recipe without `medium`, without WebP, with a new variant and a cropped one.
fn next_recipe() -> Recipe {
    let mut recipe = Recipe::default();
    recipe.variants.retain(|variant| variant.name != "medium");
    recipe.variants[0].name = "wide".to_owned();
    recipe.variants[1].fit = Fit::Cover;
    for variant in &mut recipe.variants {
        variant.formats.retain(|format| *format != Format::Webp);
    }
    recipe
}

fn settings(layout: Layout) -> Settings {
    Settings {
        recipe: Arc::new(Recipe::default()),
        limits: Limits {
            max_bytes: 1000,
            ..Limits::default()
        },
        secret: Secret::new(*b"a secret of sixteen bytes"),
        layout,
    }
}

/// Memory stores, a pipeline over them, and a bucket that numbers its writes.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) sources: Arc<MemoryObjectStore>,
    pub(crate) renditions: Arc<MemoryObjectStore>,
    pub(crate) metadata: Arc<MemoryMetadataStore>,
    pub(crate) renderer: Arc<TextRenderer>,
    pub(crate) pipeline: Pipeline,
    /// The same over the same stores, after a change of the recipe.
    pub(crate) next_pipeline: Pipeline,
    sequence: AtomicU64,
}

impl World {
    /// Stores that do what they are asked at once.
    pub(crate) fn smooth(layout: Layout) -> Self {
        Self::rough(layout, Dice::new(0), 0)
    }

    pub(crate) fn rough(layout: Layout, dice: Arc<Dice>, fault_percent: u64) -> Self {
        let sources = Arc::new(MemoryObjectStore::new());
        let renditions = Arc::new(MemoryObjectStore::new());
        let metadata = Arc::new(MemoryMetadataStore::new());
        let renderer = Arc::new(TextRenderer::default());
        let ports = Ports {
            sources: Arc::new(Rough {
                inner: sources.clone(),
                dice: dice.clone(),
                fault_percent,
            }),
            renditions: Arc::new(Rough {
                inner: renditions.clone(),
                dice: dice.clone(),
                fault_percent,
            }),
            metadata: Arc::new(Rough {
                inner: metadata.clone(),
                dice,
                fault_percent,
            }),
            renderer: renderer.clone(),
        };
        let settings = settings(layout);
        let next = Settings {
            recipe: Arc::new(next_recipe()),
            ..settings.clone()
        };
        let next_pipeline = Pipeline::new(ports.clone(), next);
        let pipeline = Pipeline::new(ports, settings);
        Self {
            sources,
            renditions,
            metadata,
            renderer,
            pipeline,
            next_pipeline,
            sequence: AtomicU64::new(0),
        }
    }

    /// A pipeline in place over these stores and the world's records.
    pub(crate) fn in_place_over(
        &self,
        sources: Arc<dyn ObjectStore>,
        renditions: Arc<dyn ObjectStore>,
    ) -> Pipeline {
        let ports = Ports {
            sources,
            renditions,
            metadata: self.metadata.clone(),
            renderer: self.renderer.clone(),
        };
        Pipeline::new(ports, settings(Layout::InPlace))
    }

    fn next_order(&self) -> Order {
        Order::of_event(Sequencer::from_counter(
            self.sequence.fetch_add(1, Ordering::Relaxed) + 1,
        ))
    }

    /// Uploads a source and returns its event.
    pub(crate) async fn upload(&self, key: &str, body: &str) -> Job {
        let body = Bytes::from(body.to_owned());
        let meta = self.sources.put(key, body, PutOptions::default()).await.unwrap();
        let work = Work::Render { etag: meta.etag };
        Job {
            key: ObjectKey::new(key).unwrap(),
            order: self.next_order(),
            work,
        }
    }

    /// Deletes a source and returns its event.
    pub(crate) async fn delete(&self, key: &str) -> Job {
        self.sources.delete(key, Precondition::None).await.unwrap();
        Job {
            key: ObjectKey::new(key).unwrap(),
            order: self.next_order(),
            work: Work::Remove,
        }
    }

    pub(crate) async fn record(&self, key: &str) -> Option<Record> {
        self.metadata.get(&ObjectKey::new(key).unwrap()).await.unwrap()
    }

    /// The state of the key as a reader sees it: the text that its renditions were made from, the name of its status,
    /// or `nothing` when it has no record.
    ///
    /// # Panics
    /// When a published set is not complete and of one source.
    pub(crate) async fn published(&self, key: &str) -> String {
        let Some(record) = self.record(key).await else {
            return "nothing".to_owned();
        };
        let Status::Ready {
            renditions, recipe, ..
        } = &record.status
        else {
            return record.status.name().to_owned();
        };
        let complete = if *recipe == Recipe::default().hash() { 9 } else { 4 };
        assert_eq!(
            renditions.len(),
            complete,
            "{key}: a set has every variant in every format"
        );
        let mut sources = Vec::new();
        for rendition in renditions {
            let object = self
                .renditions
                .get(&rendition.object_key, GetOptions::default())
                .await;
            let text =
                String::from_utf8(object.expect("a published rendition is there").body.to_vec()).unwrap();
            let prefix = rendition_text(&rendition.variant, rendition.format.extension(), b"");
            sources.push(
                text.strip_prefix(&prefix)
                    .expect("the right variant and format")
                    .to_owned(),
            );
        }
        sources.dedup();
        assert_eq!(
            sources.len(),
            1,
            "{key}: a set is made from one source: {sources:?}"
        );
        sources.remove(0)
    }

    /// Objects in the store of renditions that no record names.
    pub(crate) async fn unnamed_renditions(&self) -> Vec<String> {
        let mut keys = self.renditions.keys();
        let all = self
            .metadata
            .list(&RecordFilter::default(), None, usize::MAX - 1)
            .await
            .unwrap();
        for record in all.items {
            if let Status::Ready { renditions, .. } = record.status {
                keys.retain(|key| renditions.iter().all(|rendition| rendition.object_key != *key));
            }
        }
        keys
    }
}
