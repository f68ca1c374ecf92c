//! What `/healthz`, `/readyz` and `/metrics` tell about the machinery behind the edge.

use std::sync::Arc;

use async_trait::async_trait;
use tintype_edge::{Health, HealthReport, QueueDepth};
use tintype_jail::Jail;

use crate::store::SqliteQueue;

/// The jail's level, the queue's depth and the number of workers.
#[derive(Debug)]
pub(crate) struct LocalHealth {
    jail: Arc<Jail>,
    queue: SqliteQueue,
    workers: usize,
}

impl LocalHealth {
    pub(crate) fn new(jail: Arc<Jail>, queue: SqliteQueue, workers: usize) -> Self {
        Self { jail, queue, workers }
    }
}

#[async_trait]
impl Health for LocalHealth {
    async fn report(&self) -> HealthReport {
        let depth = self.queue.depth().await.ok();
        HealthReport {
            // A server that cannot ask its own database cannot serve.
            ready: depth.is_some(),
            problems: match depth {
                Some(_) => Vec::new(),
                None => vec!["the database does not answer".to_owned()],
            },
            jail: Some(self.jail.level().to_string()),
            workers: u32::try_from(self.workers).unwrap_or(u32::MAX),
            queue: depth.map(|depth| QueueDepth {
                ready: depth.ready + depth.delayed,
                leased: depth.leased,
                dead: depth.dead,
            }),
        }
    }
}
