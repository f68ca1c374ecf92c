use std::sync::Arc;

use tintype_model::{DeadLetters, Job, JobQueue, MetadataStore, ObjectKey, ObjectStore, Order, Result, Work};

/// The ports that the operations on images work with.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// The uploaded objects. Their metadata is read and they are deleted; their bytes are never read.
    pub sources: Arc<dyn ObjectStore>,
    /// The records.
    pub metadata: Arc<dyn MetadataStore>,
    /// The queue that takes jobs without an event.
    pub queue: Arc<dyn JobQueue>,
    /// The jobs that were given up.
    pub dead: Arc<dyn DeadLetters>,
}

impl Catalog {
    /// Queues a job for the key.
    pub(crate) async fn enqueue(&self, key: &ObjectKey, order: Order, work: Work) -> Result<()> {
        let key = key.clone();
        self.queue.enqueue(&Job { key, order, work }).await
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use bytes::Bytes;
    use tintype_model::testing::conformance::record;
    use tintype_model::testing::{MemoryDeadLetters, MemoryMetadataStore, MemoryObjectStore, MemoryQueue};
    use tintype_model::{PutOptions, Record, Status};

    use super::*;

    /// A catalog over memory ports.
    pub(crate) struct World {
        pub(crate) sources: Arc<MemoryObjectStore>,
        pub(crate) queue: Arc<MemoryQueue>,
        pub(crate) dead: Arc<MemoryDeadLetters>,
        pub(crate) catalog: Catalog,
    }

    impl World {
        pub(crate) fn new() -> Self {
            let sources = Arc::new(MemoryObjectStore::new());
            let queue = Arc::new(MemoryQueue::new());
            let dead = Arc::new(MemoryDeadLetters::new(queue.clone()));
            let catalog = Catalog {
                sources: sources.clone(),
                metadata: Arc::new(MemoryMetadataStore::new()),
                queue: queue.clone(),
                dead: dead.clone(),
            };
            Self {
                sources,
                queue,
                dead,
                catalog,
            }
        }

        pub(crate) async fn put(&self, key: &str, body: &'static [u8]) {
            let body = Bytes::from_static(body);
            self.sources.put(key, body, PutOptions::default()).await.unwrap();
        }

        pub(crate) async fn upload(&self, key: &str) -> ObjectKey {
            self.put(key, b"a picture").await;
            ObjectKey::new(key).unwrap()
        }

        pub(crate) async fn etag(&self, key: &str) -> String {
            self.sources.head(key).await.unwrap().etag
        }

        pub(crate) async fn record(&self, key: &str, order: Order, status: Status) -> Record {
            let record = record(key, order, status);
            self.catalog.metadata.put(&record).await.unwrap();
            record
        }
    }
}
