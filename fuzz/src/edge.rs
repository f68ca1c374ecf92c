//! The API, the pages and the deliveries, over stores in memory.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::HeaderValue;
use http_body_util::BodyExt as _;
use tintype_catalog::Catalog;
use tintype_edge::{
    Access, Edge, Health, HealthReport, Pictures, PresignedUpload, UploadSigner, UploadTerms, router,
};
use tintype_model::testing::{MemoryDeadLetters, MemoryMetadataStore, MemoryObjectStore, MemoryQueue};
use tintype_model::{
    MetadataStore as _, ObjectKey, Order, Recipe, Record, Sequencer, Status, StoreError, UnixMillis,
};
use tower::ServiceExt as _;

use crate::request;

const TOKEN: &str = "token";

#[derive(Debug)]
struct Signer;

#[async_trait]
impl UploadSigner for Signer {
    async fn presign(&self, terms: &UploadTerms<'_>) -> Result<PresignedUpload, StoreError> {
        Ok(PresignedUpload {
            url: format!("{}/raw", terms.base_url),
            headers: [].into(),
            fields: [].into(),
            expires_in: terms.expires,
        })
    }
}

#[derive(Debug)]
struct Healthy;

#[async_trait]
impl Health for Healthy {
    async fn source_damage(&self, _: &ObjectKey) -> Option<&'static str> {
        None
    }

    async fn report(&self) -> HealthReport {
        HealthReport {
            ready: true,
            problems: Vec::new(),
            jail: None,
            jail_steps: Vec::new(),
            workers: 1,
            queue: None,
            files: None,
            avif_tiles_refused: None,
            connections: None,
        }
    }
}

/// An edge with three records, of which one says that the picture is gone.
pub(crate) fn edge(access: Access, delivers: bool) -> Edge {
    let metadata = Arc::new(MemoryMetadataStore::new());
    for (key, status) in [
        ("a.jpg", Status::Pending),
        ("b/c d.png", Status::Pending),
        ("gone.jpg", Status::Deleted),
    ] {
        let record = Record {
            key: ObjectKey::new(key).expect("a key"),
            order: Order::of_event(Sequencer::from_counter(1)),
            status,
            updated_at: UnixMillis(1_700_000_000_000),
            source: None,
            attempt: None,
        };
        crate::wait(metadata.put(&record)).expect("memory takes records");
    }
    let pictures = Pictures {
        renditions: Arc::new(MemoryObjectStore::default()),
        cache_bytes: 1 << 20,
    };
    let queue = Arc::new(MemoryQueue::new());
    Edge {
        catalog: Catalog {
            sources: Arc::new(MemoryObjectStore::default()),
            metadata,
            dead: Arc::new(MemoryDeadLetters::new(queue.clone())),
            queue,
        },
        uploads: Arc::new(Signer),
        health: Arc::new(Healthy),
        recipe: Arc::new(Recipe::default()),
        max_upload_bytes: 10_000,
        access,
        pictures: delivers.then_some(pictures),
    }
}

/// A request to the server of the one-machine shape, of somebody who has the token unless it brings another.
pub fn request(data: &[u8]) {
    static ROUTER: OnceLock<Router> = OnceLock::new();
    let Some(mut request) = request::read(data) else {
        return;
    };
    let router = ROUTER.get_or_init(|| {
        router(edge(
            Access::Token {
                admin_token: TOKEN.to_owned(),
                public_url: None,
                allowed_hosts: Vec::new(),
            },
            true,
        ))
    });
    let headers = request.headers_mut();
    headers
        .entry("host")
        .or_insert(HeaderValue::from_static("localhost"));
    headers
        .entry("authorization")
        .or_insert(HeaderValue::from_static("Bearer token"));
    let status = crate::wait(async {
        let Ok(response) = router.clone().oneshot(request.map(Body::from)).await;
        let status = response.status();
        // Streams of events do not end.
        if status != 200
            || response
                .headers()
                .get("content-type")
                .is_none_or(|kind| kind != "text/event-stream")
        {
            let _: Bytes = response
                .into_body()
                .collect()
                .await
                .expect("an answer is whole")
                .to_bytes();
        }
        status
    });
    assert_ne!(status, 500);
}
