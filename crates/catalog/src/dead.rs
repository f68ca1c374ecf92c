use tintype_model::{DeadLetter, Result};

use crate::catalog::Catalog;

/// The answer of [`Catalog::redrive`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redrive {
    /// So many jobs are tried again, as if for the first time.
    Queued(usize),
    /// No dead letter has this number.
    NoLetter,
    /// The queue's own tools are for its dead letters.
    Elsewhere,
}

impl Catalog {
    /// At most `limit` jobs that were given up, the oldest first; `None` where the queue's own tools are for them.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn dead_letters(&self, limit: usize) -> Result<Option<Vec<DeadLetter>>> {
        match &self.dead {
            Some(dead) => Ok(Some(dead.list(limit).await?)),
            None => Ok(None),
        }
    }

    /// Has the job with this number tried again, or all that were given up.
    ///
    /// # Errors
    /// `Unavailable`; after it some of them may be queued.
    pub async fn redrive(&self, id: Option<i64>) -> Result<Redrive> {
        let Some(dead) = &self.dead else {
            return Ok(Redrive::Elsewhere);
        };
        Ok(match dead.redrive(id).await? {
            0 if id.is_some() => Redrive::NoLetter,
            redriven => Redrive::Queued(redriven),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::testing::World;
    use tintype_model::testing::MemoryDeadLetters;
    use tintype_model::{Job, ObjectKey, Work, testing::conformance::order};

    #[tokio::test]
    async fn a_letter_is_redriven_once_and_all_of_none_are_none() {
        let mut world = World::new();
        assert_eq!(world.catalog.redrive(None).await.unwrap(), Redrive::Elsewhere);
        assert_eq!(world.catalog.dead_letters(10).await.unwrap(), None);

        let dead = std::sync::Arc::new(MemoryDeadLetters::new(world.queue.clone()));
        world.catalog.dead = Some(dead.clone());
        let job = Job {
            key: ObjectKey::new("a").unwrap(),
            order: order(1, 0),
            work: Work::Remove,
        };
        dead.bury(job.clone(), "no room".to_owned());
        let letters = world.catalog.dead_letters(10).await.unwrap().unwrap();
        assert_eq!((letters.len(), letters[0].error.as_str()), (1, "no room"));
        let id = Some(letters[0].id);
        assert_eq!(world.catalog.redrive(id).await.unwrap(), Redrive::Queued(1));
        assert_eq!(world.queue.take(), [job]);
        assert_eq!(world.catalog.redrive(id).await.unwrap(), Redrive::NoLetter);
        assert_eq!(world.catalog.redrive(None).await.unwrap(), Redrive::Queued(0));
    }
}
