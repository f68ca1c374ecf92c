//! The state of the database, the queue, the disk, the jail and the stored files, for `/healthz`, `/readyz` and
//! `/metrics`.

use std::sync::Arc;

use async_trait::async_trait;
use tintype_edge::{Health, HealthReport, QueueDepth, StoredFiles};
use tintype_jail::Jail;
use tintype_model::ObjectKey;
use tintype_store::{Fault, Integrity, Store};

use crate::disk::Disk;
use crate::http::Connections;

/// The jail's level, the queue's depth, the number of workers, the disk, the database, the stored files and the connections.
#[derive(Debug)]
pub(crate) struct LocalHealth {
    pub(crate) jail: Arc<Jail>,
    pub(crate) store: Store,
    pub(crate) workers: usize,
    pub(crate) disk: Disk,
    pub(crate) integrity: Integrity,
    pub(crate) connections: Arc<Connections>,
}

impl LocalHealth {
    fn files(&self) -> StoredFiles {
        let scrubbed = self.store.scrubbed();
        StoredFiles {
            damaged_sources: scrubbed.damaged_sources,
            damaged_renditions: scrubbed.damaged_renditions,
            scrubbed: scrubbed.files,
            scrubbed_bytes: scrubbed.bytes,
            scrub_passes: scrubbed.passes,
        }
    }
}

#[async_trait]
impl Health for LocalHealth {
    async fn report(&self) -> HealthReport {
        let depth = self.store.queue().depth().await.ok();
        let mut problems = Vec::new();
        if depth.is_none() {
            // A server cannot serve without its database.
            problems.push("the database does not answer".to_owned());
        }
        // The details are in the log: this answer is public.
        if self.integrity.damage().await.is_some() {
            problems.push("the database is damaged".to_owned());
        }
        problems.extend(self.disk.check().await.problem());
        let level = self.jail.level();
        HealthReport {
            ready: problems.is_empty(),
            problems,
            jail: Some(level.name().to_owned()),
            jail_steps: level.steps.iter().map(|step| step.name().to_owned()).collect(),
            workers: u32::try_from(self.workers).unwrap_or(u32::MAX),
            queue: depth.map(|depth| QueueDepth {
                ready: depth.ready + depth.delayed,
                leased: depth.leased,
                dead: depth.dead,
            }),
            files: Some(self.files()),
            avif_tiles_refused: Some(self.jail.avif_tiles_refused()),
            connections: Some(self.connections.counts()),
        }
    }

    async fn source_damage(&self, key: &ObjectKey) -> Option<&'static str> {
        self.store.source_fault(key.as_str()).map(Fault::name)
    }
}
