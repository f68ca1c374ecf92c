use tintype_model::{ObjectKey, Order, Precondition, Result, StoreError, Work};

use crate::catalog::Catalog;
use crate::show::is_live;

/// The fate of the record of a deleted image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tombstone {
    /// It stays, and says that the key was deleted.
    Keep,
    /// It goes as well, some time after the image ([`Work::FORGET_AFTER`]).
    Forget,
}

/// The answer of [`Catalog::delete`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delete {
    /// The source is deleted; renditions and record follow.
    Deleting,
    /// The source is deleted, and everything that tells of the key will be.
    Forgetting,
    /// The key has no source and no record.
    NoImage,
}

impl Catalog {
    /// Deletes a source; its renditions and its record follow. Deletes what is left of an image whose source is gone.
    ///
    /// # Errors
    /// `Unavailable`; after it the source may be deleted. Deleting again is safe.
    pub async fn delete(&self, key: &ObjectKey, tombstone: Tombstone) -> Result<Delete> {
        let record = self.record(key).await?;
        match self.sources.head(key.as_str()).await {
            Ok(_) => self.sources.delete(key.as_str(), Precondition::None).await?,
            Err(StoreError::NotFound) => match record.as_ref().filter(|record| is_live(record)) {
                // The event of the deletion was lost, or is on its way: a second removal changes nothing.
                Some(_) => {
                    let order = Order::without_event(record.as_ref());
                    self.enqueue(key, order, Work::Remove).await?;
                }
                None if tombstone == Tombstone::Forget && record.is_some() => {}
                None => return Ok(Delete::NoImage),
            },
            Err(error) => return Err(error),
        }
        match tombstone {
            Tombstone::Keep => Ok(Delete::Deleting),
            Tombstone::Forget => {
                let order = Order::without_event(record.as_ref());
                self.enqueue(key, order, Work::Forget).await?;
                Ok(Delete::Forgetting)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::testing::World;
    use tintype_model::Status;
    use tintype_model::testing::conformance::{order, ready};

    #[tokio::test]
    async fn a_source_is_deleted_and_its_event_does_the_rest() {
        let world = World::new();
        let key = world.upload("a").await;
        world.record("a", order(3, 0), ready("v", "set")).await;
        assert_eq!(
            world.catalog.delete(&key, Tombstone::Keep).await.unwrap(),
            Delete::Deleting
        );
        assert!(world.sources.keys().is_empty());
        assert!(world.queue.take().is_empty());
        // The event is lost: a second request removes the rest.
        assert_eq!(
            world.catalog.delete(&key, Tombstone::Keep).await.unwrap(),
            Delete::Deleting
        );
        let jobs = world.queue.take();
        assert_eq!(
            (jobs.len(), &jobs[0].work, &jobs[0].order),
            (1, &Work::Remove, &order(3, 1))
        );
    }

    #[tokio::test]
    async fn a_tombstone_can_be_forgotten_and_is_otherwise_no_image() {
        let world = World::new();
        let key = ObjectKey::new("a").unwrap();
        for tombstone in [Tombstone::Keep, Tombstone::Forget] {
            assert_eq!(
                world.catalog.delete(&key, tombstone).await.unwrap(),
                Delete::NoImage
            );
        }
        world.record("a", order(3, 0), Status::Deleted).await;
        assert_eq!(
            world.catalog.delete(&key, Tombstone::Keep).await.unwrap(),
            Delete::NoImage
        );
        assert_eq!(
            world.catalog.delete(&key, Tombstone::Forget).await.unwrap(),
            Delete::Forgetting
        );
        let jobs = world.queue.take();
        assert_eq!(
            (jobs.len(), &jobs[0].work, &jobs[0].order),
            (1, &Work::Forget, &order(3, 1))
        );
    }
}
