use tintype_model::{ObjectKey, ObjectMeta, Record, Result, Status, StoreError};

use crate::catalog::Catalog;

/// The answer of [`Catalog::show`].
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    /// The key has a record, and it is no tombstone.
    Recorded(Box<Record>),
    /// The key has a source, and no record or a tombstone.
    Unrecorded(Unrecorded),
    /// The key has neither.
    Missing,
}

/// A source without a record, or with one that says that an earlier source was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unrecorded {
    /// Its event waits in the queue, or was lost.
    Waiting(ObjectMeta),
    /// An empty object that shows a folder in consoles.
    FolderMarker(ObjectMeta),
}

impl Unrecorded {
    /// The metadata of the source.
    #[must_use]
    pub const fn meta(&self) -> &ObjectMeta {
        match self {
            Self::Waiting(meta) | Self::FolderMarker(meta) => meta,
        }
    }
}

/// True if the record is no tombstone.
pub(crate) fn is_live(record: &Record) -> bool {
    record.status != Status::Deleted
}

impl Catalog {
    /// Looks for the image of a key: its record, or else its source.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn show(&self, key: &ObjectKey) -> Result<Shown> {
        if let Some(record) = self.record(key).await?.filter(is_live) {
            return Ok(Shown::Recorded(Box::new(record)));
        }
        let source = self.unrecorded(key).await?;
        Ok(source.map_or(Shown::Missing, Shown::Unrecorded))
    }

    /// The record of a key, tombstones included.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn record(&self, key: &ObjectKey) -> Result<Option<Record>> {
        self.metadata.get(key).await
    }

    /// The source of a key whose record is missing or publishes nothing; `None` when there is no source.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn unrecorded(&self, key: &ObjectKey) -> Result<Option<Unrecorded>> {
        match self.sources.head(key.as_str()).await {
            Ok(meta) if key.is_folder_marker(meta.size_bytes) => Ok(Some(Unrecorded::FolderMarker(meta))),
            Ok(meta) => Ok(Some(Unrecorded::Waiting(meta))),
            Err(StoreError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::testing::World;
    use tintype_model::testing::conformance::{order, ready};

    #[tokio::test]
    async fn a_record_is_shown_before_a_source_and_a_source_before_a_tombstone() {
        let world = World::new();
        let key = ObjectKey::new("a").unwrap();
        let shown = async || world.catalog.show(&key).await.unwrap();
        assert_eq!(shown().await, Shown::Missing);
        world.record("a", order(1, 0), Status::Deleted).await;
        assert_eq!(shown().await, Shown::Missing);
        world.upload("a").await;
        let Shown::Unrecorded(Unrecorded::Waiting(source)) = shown().await else {
            panic!("{:?}", shown().await);
        };
        assert_eq!(source.etag, world.etag("a").await);
        let record = world.record("a", order(2, 0), ready("v", "set")).await;
        assert_eq!(shown().await, Shown::Recorded(Box::new(record)));
    }

    #[tokio::test]
    async fn an_empty_source_in_the_place_of_a_folder_is_no_image() {
        let world = World::new();
        world.put("folder/", b"").await;
        world.put("full/", b"bytes").await;
        world.put("empty", b"").await;
        for (key, is_folder) in [("folder/", true), ("full/", false), ("empty", false)] {
            let key = ObjectKey::new(key).unwrap();
            let found = world.catalog.unrecorded(&key).await.unwrap().unwrap();
            assert_eq!(matches!(found, Unrecorded::FolderMarker(_)), is_folder, "{key}");
        }
    }
}
