use async_trait::async_trait;
use tintype_model::{DeadLetter, DeadLetters};

use super::SqliteQueue;

#[async_trait]
impl DeadLetters for SqliteQueue {
    async fn list(&self, limit: usize) -> tintype_model::Result<Vec<DeadLetter>> {
        let dead = self.dead(limit).await?;
        let letters = dead.into_iter().map(|dead| DeadLetter {
            id: dead.id,
            key: dead.job.map(|job| job.key),
            attempts: dead.attempts,
            error: dead.error,
            died_at: dead.died_at,
        });
        Ok(letters.collect())
    }

    async fn redrive(&self, id: Option<i64>) -> tintype_model::Result<usize> {
        Ok(match id {
            Some(id) => usize::from(Self::redrive(self, id).await?),
            None => self.redrive_all().await?,
        })
    }
}
