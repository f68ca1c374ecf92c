use tintype_model::{ObjectKey, Order, Result, Work};

use crate::catalog::Catalog;
use crate::show::{Unrecorded, is_live};

/// The answer of [`Catalog::reprocess`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reprocess {
    /// The renditions will be made from the source that is there now.
    Queued,
    /// The record tells of an image whose source is gone.
    SourceGone,
    /// The source is an empty object that shows a folder.
    FolderMarker,
    /// The key has no source, and no record or a tombstone.
    NoImage,
}

impl Catalog {
    /// Queues the rendering of a source: again, or at once where it waits for its next try or for an event that may be
    /// lost. The published set stays until that succeeds.
    ///
    /// # Errors
    /// `Unavailable`; after it the job may be queued.
    pub async fn reprocess(&self, key: &ObjectKey) -> Result<Reprocess> {
        // The record first: when the source changes after that, the worker sees that the job's `ETag` is another one.
        let record = self.record(key).await?;
        let source = match self.unrecorded(key).await? {
            Some(Unrecorded::Waiting(source)) => source,
            Some(Unrecorded::FolderMarker(_)) => return Ok(Reprocess::FolderMarker),
            None if record.as_ref().is_some_and(is_live) => return Ok(Reprocess::SourceGone),
            None => return Ok(Reprocess::NoImage),
        };
        // After a tombstone too: the source was put again, and its event may be lost.
        let order = Order::without_event(record.as_ref());
        self.enqueue(key, order, Work::Render { etag: source.etag })
            .await?;
        Ok(Reprocess::Queued)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::testing::World;
    use tintype_model::testing::conformance::{order, ready};
    use tintype_model::{Job, Status};

    #[tokio::test]
    async fn the_job_is_for_the_source_that_is_there_and_after_all_work_before() {
        for (before, expected) in [
            (None, order(0, 0)),
            (Some(Status::Pending), order(7, 3)),
            (Some(Status::Deleted), order(7, 3)),
            (Some(ready("v", "set")), order(7, 3)),
        ] {
            let world = World::new();
            let key = world.upload("a").await;
            if let Some(status) = before {
                world.record("a", order(7, 2), status).await;
            }
            assert_eq!(world.catalog.reprocess(&key).await.unwrap(), Reprocess::Queued);
            let job = Job {
                key,
                order: expected,
                work: Work::Render {
                    etag: world.etag("a").await,
                },
            };
            assert_eq!(world.queue.take(), [job]);
        }
    }

    #[tokio::test]
    async fn nothing_is_queued_when_there_is_nothing_to_render() {
        let world = World::new();
        world.put("folder/", b"").await;
        world.record("gone", order(1, 0), ready("v", "set")).await;
        world.record("deleted", order(1, 0), Status::Deleted).await;
        for (key, expected) in [
            ("folder/", Reprocess::FolderMarker),
            ("gone", Reprocess::SourceGone),
            ("deleted", Reprocess::NoImage),
            ("never", Reprocess::NoImage),
        ] {
            let answer = world.catalog.reprocess(&ObjectKey::new(key).unwrap()).await;
            assert_eq!(answer.unwrap(), expected, "{key}");
        }
        assert!(world.queue.take().is_empty());
    }
}
