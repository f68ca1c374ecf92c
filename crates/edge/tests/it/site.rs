//! A router over memory ports with a few pictures in it, and ways to ask it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use tintype_catalog::Catalog;
use tintype_edge::{
    Access, Edge, Pictures, PresignedUpload, UploadMethod, UploadSigner, UploadTerms, router,
};
use tintype_model::testing::{MemoryMetadataStore, MemoryObjectStore, MemoryQueue};
use tintype_model::{
    Appearance, Capture, DeadLetter, DeadLetters, Dimensions, Encoding, Failure, Format, ImageInfo, Location,
    MetadataStore, ObjectKey, ObjectStore, Order, PutOptions, PutRecord, Recipe, Record, Rejection,
    RejectionCode, Rendition, Rgb, Sequencer, SourceInfo, Status, StoreError, UnixMillis, Version,
};
use tower::ServiceExt;

use crate::health::TestHealth;

pub(crate) const TOKEN: &str = "correct horse battery staple";
pub(crate) const VERSION: &str = "0123456789abcdef0123456789abcdef";
/// 2023-11-14T22:13:20Z
pub(crate) const UPDATED: UnixMillis = UnixMillis(1_700_000_000_123);

#[derive(Debug)]
struct TestSigner;

#[async_trait]
impl UploadSigner for TestSigner {
    async fn presign(&self, terms: &UploadTerms<'_>) -> Result<PresignedUpload, StoreError> {
        let UploadTerms {
            base_url,
            key,
            method,
            content_type,
            focus,
            max_bytes,
            expires,
        } = *terms;
        let named = |name: &str| content_type.map(|value| (name.to_owned(), value.to_owned()));
        let (url, headers, fields) = match method {
            UploadMethod::Put => {
                let path = tintype_model::encode_path(key.as_str());
                (
                    format!("{base_url}/raw/{path}?signed"),
                    named("content-type"),
                    None,
                )
            }
            UploadMethod::Post => (
                format!("{base_url}/raw"),
                None,
                Some([
                    Some(("key".to_owned(), key.as_str().to_owned())),
                    Some(("max".to_owned(), max_bytes.to_string())),
                    named("Content-Type"),
                    focus.map(|focus| ("x-amz-meta-focus".to_owned(), focus.to_string())),
                ]),
            ),
        };
        Ok(PresignedUpload {
            url,
            headers: headers.into_iter().collect(),
            fields: fields.into_iter().flatten().flatten().collect(),
            expires_in: expires,
        })
    }
}

/// A store that counts reads, and that a test can keep from answering.
#[derive(Debug, Default)]
pub(crate) struct Switchable {
    pub inner: MemoryObjectStore,
    pub down: AtomicBool,
    pub reads: AtomicU64,
}

#[async_trait]
impl ObjectStore for Switchable {
    async fn get(
        &self,
        key: &str,
        options: tintype_model::GetOptions,
    ) -> tintype_model::Result<tintype_model::Object> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        if self.down.load(Ordering::Relaxed) {
            return Err(StoreError::unavailable("secret address"));
        }
        // Lets every concurrent reader start before the first one is done.
        tokio::task::yield_now().await;
        self.inner.get(key, options).await
    }
    async fn head(&self, key: &str) -> tintype_model::Result<tintype_model::ObjectMeta> {
        if self.down.load(Ordering::Relaxed) {
            return Err(StoreError::unavailable("secret address"));
        }
        self.inner.head(key).await
    }
    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> tintype_model::Result<tintype_model::Page<tintype_model::Entry>> {
        self.inner.list(prefix, after, limit).await
    }
    async fn put(
        &self,
        key: &str,
        body: Bytes,
        options: PutOptions,
    ) -> tintype_model::Result<tintype_model::ObjectMeta> {
        self.inner.put(key, body, options).await
    }
    async fn delete(
        &self,
        key: &str,
        precondition: tintype_model::Precondition,
    ) -> tintype_model::Result<()> {
        self.inner.delete(key, precondition).await
    }
}

/// The router and what is behind it.
pub(crate) struct Site {
    pub router: Router,
    pub sources: Arc<Switchable>,
    pub renditions: Arc<Switchable>,
    pub metadata: Arc<MemoryMetadataStore>,
    pub queue: Arc<MemoryQueue>,
    pub health: Arc<TestHealth>,
}

/// A response, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next().map(|value| value.to_str().unwrap());
        assert_eq!(values.next(), None, "{name} comes twice");
        value
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Status and headers, sorted, for snapshots.
    pub(crate) fn head(&self) -> String {
        let mut lines: Vec<String> = self
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        lines.sort();
        lines.insert(0, self.status.to_string());
        lines.join("\n")
    }

    /// Checks that it is a problem document that agrees with its status line.
    pub(crate) fn problem(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert_eq!(problem["code"], code);
        assert_eq!(problem["type"], "about:blank");
        assert_eq!(problem["title"], self.status.canonical_reason().unwrap());
        assert!(!problem["detail"].as_str().unwrap().is_empty());
    }

    /// Checks that it is a page that says what went wrong, with the headers that every page of ours has.
    pub(crate) fn page(&self, status: u16) {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("text/html; charset=utf-8"));
        let title = self.status.canonical_reason().unwrap();
        assert!(
            self.text().contains(&format!("<h1>{title}</h1>")),
            "{}",
            self.text()
        );
        assert!(!self.text().contains("about:blank"), "{}", self.text());
        let policy = self.header("content-security-policy").unwrap();
        assert!(policy.contains("style-src 'sha256-"), "{policy}");
    }
}

/// Access to a server that is asked directly.
pub(crate) fn token_access(token: &str, public_url: Option<&str>, allowed_hosts: &[&str]) -> Access {
    Access::Token {
        admin_token: token.to_owned(),
        public_url: public_url.map(str::to_owned),
        allowed_hosts: allowed_hosts.iter().map(|host| (*host).to_owned()).collect(),
    }
}

/// One dead letter, until it is redriven.
#[derive(Debug, Default)]
struct TestDead {
    is_redriven: AtomicBool,
}

#[async_trait]
impl DeadLetters for TestDead {
    async fn list(&self, limit: usize) -> Result<Vec<DeadLetter>, StoreError> {
        let letter = DeadLetter {
            id: 7,
            key: Some(ObjectKey::new("failed.jpg").unwrap()),
            attempts: 5,
            error: "disk full".to_owned(),
            died_at: UnixMillis(1_700_000_000_000),
        };
        let letters = (!self.is_redriven.load(Ordering::Relaxed)).then_some(letter);
        Ok(letters.into_iter().take(limit).collect())
    }

    async fn redrive(&self, id: Option<i64>) -> Result<usize, StoreError> {
        let is_it = id.is_none_or(|id| id == 7);
        Ok(usize::from(
            is_it && !self.is_redriven.swap(true, Ordering::Relaxed),
        ))
    }
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Edge)) -> Self {
        let sources = Arc::new(Switchable::default());
        let renditions = Arc::new(Switchable::default());
        let metadata = Arc::new(MemoryMetadataStore::new());
        let queue = Arc::new(MemoryQueue::new());
        let health = Arc::new(TestHealth {
            ready: AtomicBool::new(true),
            panics: AtomicBool::new(false),
        });
        let mut edge = Edge {
            catalog: Catalog {
                sources: sources.clone(),
                metadata: metadata.clone(),
                queue: queue.clone(),
                dead: Arc::new(TestDead::default()),
            },
            uploads: Arc::new(TestSigner),
            health: health.clone(),
            recipe: Arc::new(Recipe::default()),
            max_upload_bytes: 10_000,
            access: token_access(TOKEN, None, &[]),
            pictures: Some(Pictures {
                renditions: renditions.clone(),
                cache_bytes: 16 << 20,
            }),
        };
        change(&mut edge);
        Self {
            router: router(edge),
            sources,
            renditions,
            metadata,
            queue,
            health,
        }
    }

    /// A site with one picture of each status: `ready.jpg`, `pending.jpg`, `rejected.jpg`, `failed.jpg`,
    /// `deleted.jpg`, and `unseen.jpg`, a source without a record.
    pub(crate) async fn with_pictures() -> Self {
        let site = Self::new();
        site.publish("ready.jpg", 1).await;
        for key in ["pending.jpg", "rejected.jpg", "failed.jpg", "unseen.jpg"] {
            site.upload(key).await;
        }
        site.record("pending.jpg", 1, Status::Pending).await;
        let rejection = Rejection::new(RejectionCode::CorruptImage, "the scan <ends> early");
        site.record("rejected.jpg", 1, Status::Rejected { rejection })
            .await;
        let failure = Failure {
            error: "disk full".to_owned(),
            attempts: 5,
        };
        site.record("failed.jpg", 1, Status::Failed { failure }).await;
        site.record("deleted.jpg", 1, Status::Deleted).await;
        site
    }

    pub(crate) async fn upload(&self, key: &str) {
        self.sources
            .put(key, Bytes::from_static(b"a source"), PutOptions::default())
            .await
            .unwrap();
    }

    pub(crate) async fn record(&self, key: &str, order: u64, status: Status) {
        self.record_of(key, order, status, None).await;
    }

    pub(crate) async fn record_of(&self, key: &str, order: u64, status: Status, sha256: Option<String>) {
        let deleted = status == Status::Deleted;
        let source = SourceInfo {
            etag: "source".to_owned(),
            size_bytes: 8,
            sha256,
        };
        let record = Record {
            key: ObjectKey::new(key).unwrap(),
            order: Order::of_event(Sequencer::from_counter(order)),
            status,
            updated_at: UPDATED,
            source: (!deleted).then_some(source),
            attempt: None,
        };
        assert!(matches!(
            self.metadata.put(&record).await.unwrap(),
            PutRecord::Written(_)
        ));
    }

    /// Stores a source, nine renditions whose bytes name them, and a ready record.
    pub(crate) async fn publish(&self, key: &str, order: u64) {
        self.upload(key).await;
        self.publish_as(key, order, VERSION).await;
    }

    pub(crate) async fn publish_as(&self, key: &str, order: u64, version: &str) {
        let mut renditions = Vec::new();
        for (variant, width, height) in [
            ("original", 4000, 3000),
            ("medium", 800, 600),
            ("thumbnail", 300, 225),
        ] {
            for format in [Format::Avif, Format::Webp, Format::Jpeg] {
                let body = body_of(key, version, variant, format);
                let object_key = format!("{version}/{key}/{variant}.{}", format.extension());
                let meta = self
                    .renditions
                    .put(&object_key, body, PutOptions::default())
                    .await
                    .unwrap();
                renditions.push(Rendition {
                    variant: variant.to_owned(),
                    format,
                    dimensions: Dimensions { width, height },
                    size_bytes: meta.size_bytes,
                    etag: meta.etag,
                    object_key,
                    encoding: encoding_of(format),
                    stand_ins: Vec::new(),
                });
            }
        }
        let status = ready(version, renditions);
        self.record(key, order, status).await;
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    /// A request of anybody, with a `Host`.
    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(request(method, path, headers, Body::empty())).await
    }

    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask("GET", path, headers).await
    }

    /// A request of somebody who has the token.
    pub(crate) async fn admin(&self, method: &str, path: &str) -> Answer {
        let bearer = format!("Bearer {TOKEN}");
        self.ask(method, path, &[("authorization", &bearer)]).await
    }

    pub(crate) async fn post(&self, path: &str, json: &str) -> Answer {
        let bearer = format!("Bearer {TOKEN}");
        let headers = [("authorization", &*bearer), ("content-type", "application/json")];
        self.send(request("POST", path, &headers, Body::from(json.to_owned())))
            .await
    }
}

/// The status of a picture with these renditions.
pub(crate) fn ready(version: &str, renditions: Vec<Rendition>) -> Status {
    Status::Ready {
        version: Version(version.to_owned()),
        recipe: Recipe::default().hash(),
        engine: "test 1".to_owned(),
        image: ImageInfo {
            format: "jpeg".to_owned(),
            dimensions: Dimensions {
                width: 4000,
                height: 3000,
            },
            orientation: 6,
            has_alpha: false,
            frames: 1,
            bit_depth: 8,
            color_space: "srgb".to_owned(),
            capture: Some(Capture {
                taken_at: Some("2026-11-25T18:27:58+01:00".to_owned()),
                model: Some("Model T".to_owned()),
                location: Some(Location {
                    latitude: 51.5,
                    longitude: -0.25,
                }),
                ..Capture::default()
            }),
            appearance: Some(Appearance {
                thumbhash: "1QcSHQRnh493V4dIh4eXh1h4kJUI".to_owned(),
                blurhash: "LNAdAqj[00aymkj[TKay9}ay-Sj[".to_owned(),
                dominant_color: Rgb([48, 92, 122]),
                palette: vec![Rgb([48, 92, 122]), Rgb([250, 0, 9])],
                perceptual_hash: "c3a51e70f08b2d96".to_owned(),
            }),
            ..ImageInfo::default()
        },
        renditions,
    }
}

/// One encoding of each kind: chosen by its score, lossless, and without either.
fn encoding_of(format: Format) -> Encoding {
    match format {
        Format::Avif => Encoding {
            quality: Some(61),
            score: Some(70.5),
            larger_because: Some("it scores 70.5 against 64.0".to_owned()),
            tiles: Some(tintype_model::Tiles::Refused),
            ..Encoding::default()
        },
        Format::Webp => Encoding {
            is_lossless: true,
            ..Encoding::default()
        },
        _ => Encoding::default(),
    }
}

pub(crate) fn body_of(key: &str, version: &str, variant: &str, format: Format) -> Bytes {
    Bytes::from(format!("{key} {version} {variant} in {}", format.name()))
}

pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: Body) -> Request<Body> {
    let mut request = Request::builder()
        .method(Method::from_bytes(method.as_bytes()).unwrap())
        .uri(path);
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", "localhost:8080");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body).unwrap()
}
