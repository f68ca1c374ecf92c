//! A machinery whose health a test sets.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use tintype_edge::{ConnectionCounts, Health, HealthReport, QueueDepth, StoredFiles};
use tintype_model::ObjectKey;

#[derive(Debug)]
pub(crate) struct TestHealth {
    pub ready: AtomicBool,
    pub panics: AtomicBool,
}

#[async_trait]
impl Health for TestHealth {
    async fn source_damage(&self, key: &ObjectKey) -> Option<&'static str> {
        (key.as_str() == "damaged.jpg").then_some("altered")
    }

    async fn report(&self) -> HealthReport {
        assert!(!self.panics.load(Ordering::Relaxed), "secret panic message");
        HealthReport {
            ready: self.ready.load(Ordering::Relaxed),
            problems: Vec::new(),
            jail: Some("full".to_owned()),
            jail_steps: vec!["landlock".to_owned()],
            workers: 2,
            queue: Some(QueueDepth {
                ready: 3,
                leased: 2,
                dead: 1,
            }),
            files: Some(StoredFiles {
                damaged_sources: 1,
                damaged_renditions: 2,
                scrubbed: 30,
                scrubbed_bytes: 4_000,
                scrub_passes: 5,
            }),
            avif_tiles_refused: Some(4),
            connections: Some(ConnectionCounts {
                open: 6,
                accepted: 70,
                refused: 8,
                timed_out: 9,
                malformed: 10,
                closed_for_room: 11,
            }),
        }
    }
}
