use tintype_model::{DeadLetter, Result};

use crate::catalog::Catalog;

/// The answer of [`Catalog::redrive`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redrive {
    /// So many jobs are tried again, as if for the first time.
    Queued(usize),
    /// No dead letter that can be seen now has this number.
    NoLetter,
}

impl Catalog {
    /// At most `limit` jobs that were given up, the oldest first. A queue that can only be sampled may have more of them
    /// than it returns ([`tintype_model::DeadLetters::list`]).
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>> {
        self.dead.list(limit).await
    }

    /// Has the job with this number tried again, or all that were given up: as many of them as the queue can redrive
    /// while a request waits ([`tintype_model::DeadLetters::redrive`]).
    ///
    /// # Errors
    /// `Unavailable`; after it some of them may be queued.
    pub async fn redrive(&self, id: Option<i64>) -> Result<Redrive> {
        Ok(match self.dead.redrive(id).await? {
            0 if id.is_some() => Redrive::NoLetter,
            redriven => Redrive::Queued(redriven),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::testing::World;
    use tintype_model::{Job, ObjectKey, Work, testing::conformance::order};

    #[tokio::test]
    async fn a_letter_is_redriven_once_and_all_of_none_are_none() {
        let world = World::new();
        assert_eq!(world.catalog.dead_letters(10).await.unwrap(), []);
        let job = Job {
            key: ObjectKey::new("a").unwrap(),
            order: order(1, 0),
            work: Work::Remove,
        };
        world.dead.bury(job.clone(), "no room".to_owned());
        let letters = world.catalog.dead_letters(10).await.unwrap();
        assert_eq!((letters.len(), letters[0].error.as_str()), (1, "no room"));
        let id = Some(letters[0].id);
        assert_eq!(world.catalog.redrive(id).await.unwrap(), Redrive::Queued(1));
        assert_eq!(world.queue.take(), [job]);
        assert_eq!(world.catalog.redrive(id).await.unwrap(), Redrive::NoLetter);
        assert_eq!(world.catalog.redrive(None).await.unwrap(), Redrive::Queued(0));
    }
}
