//! The jobs that were given up, for the API.

use async_trait::async_trait;
use tintype_edge::{DeadLetter, DeadLetters};
use tintype_model::StoreError;
use tintype_store::SqliteQueue;

/// The dead letters of the queue.
#[derive(Debug)]
pub(crate) struct LocalDeadLetters(pub(crate) SqliteQueue);

#[async_trait]
impl DeadLetters for LocalDeadLetters {
    async fn list(&self, limit: usize) -> Result<Vec<DeadLetter>, StoreError> {
        let dead = self.0.dead(limit).await?;
        let letters = dead.into_iter().map(|dead| DeadLetter {
            id: dead.id,
            key: dead.job.map(|job| job.key),
            attempts: dead.attempts,
            error: dead.error,
            died_at: dead.died_at,
        });
        Ok(letters.collect())
    }

    async fn redrive(&self, id: Option<i64>) -> Result<usize, StoreError> {
        Ok(match id {
            Some(id) => usize::from(self.0.redrive(id).await?),
            None => self.0.redrive_all().await?,
        })
    }
}
