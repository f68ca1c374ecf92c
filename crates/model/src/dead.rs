use async_trait::async_trait;

use crate::{ObjectKey, Result, UnixMillis};

/// A job that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its number among the dead letters, the same for as long as it is one.
    pub id: i64,
    /// The key that it is for; `None` when the job cannot be read.
    pub key: Option<ObjectKey>,
    /// The number of times that it was tried.
    pub attempts: u32,
    /// The error of the last try, or where to look for it when the queue does not keep it.
    pub error: String,
    /// When it was given up; when it was queued, where the queue tells no more than that.
    pub died_at: UnixMillis,
}

/// The jobs that were given up. They stay until they are redriven, or until the queue's time for them is over.
#[async_trait]
pub trait DeadLetters: Send + Sync + std::fmt::Debug {
    /// At most `limit` of them, the oldest first where the queue keeps an order.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn list(&self, limit: usize) -> Result<Vec<DeadLetter>>;

    /// Has one of them, or all, tried again as if for the first time, and answers how many these are.
    ///
    /// # Errors
    /// `Unavailable`; after it some of them may be queued.
    async fn redrive(&self, id: Option<i64>) -> Result<usize>;
}
