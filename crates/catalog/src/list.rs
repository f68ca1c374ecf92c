use tintype_model::{ObjectKey, Page, Record, RecordFilter, Result, StatusCounts};

use crate::catalog::Catalog;

/// The most keys that [`Catalog::duplicates`] answers.
pub const MAX_DUPLICATES: usize = 20;

impl Catalog {
    /// At most `limit` records after the key `after`, in byte order of their keys.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn list(
        &self,
        filter: &RecordFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Record>> {
        self.metadata.list(filter, after, limit).await
    }

    /// The number of records by status, without tombstones.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn counts(&self) -> Result<StatusCounts> {
        self.metadata.counts().await
    }

    /// Keys of other records whose sources have the same bytes, at most [`MAX_DUPLICATES`].
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn duplicates(&self, record: &Record) -> Result<Vec<ObjectKey>> {
        let Some(sha256) = record.source.as_ref().and_then(|source| source.sha256.clone()) else {
            return Ok(Vec::new());
        };
        let filter = RecordFilter {
            sha256: Some(sha256),
            ..RecordFilter::default()
        };
        // The image itself is among them.
        let same = self.list(&filter, None, MAX_DUPLICATES + 1).await?;
        let keys = same.items.into_iter().map(|same| same.key);
        Ok(keys
            .filter(|key| *key != record.key)
            .take(MAX_DUPLICATES)
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::testing::World;
    use tintype_model::testing::conformance::{order, ready};

    #[tokio::test]
    async fn duplicates_are_others_and_not_more_than_the_limit() {
        let world = World::new();
        let first = world.record("00", order(1, 0), ready("v", "set")).await;
        assert!(world.catalog.duplicates(&first).await.unwrap().is_empty());
        for number in 1..=MAX_DUPLICATES + 5 {
            let key = format!("{number:02}");
            world.record(&key, order(1, 0), ready("v", "set")).await;
        }
        let duplicates = world.catalog.duplicates(&first).await.unwrap();
        assert_eq!(duplicates.len(), MAX_DUPLICATES);
        assert!(!duplicates.contains(&first.key));
    }
}
