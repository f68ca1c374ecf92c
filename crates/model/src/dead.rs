use async_trait::async_trait;

use crate::{ObjectKey, Result, UnixMillis};

/// A job that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its number among the dead letters, the same for as long as it is one.
    pub id: i64,
    /// The key that it is for; `None` when the job cannot be read.
    pub key: Option<ObjectKey>,
    /// The number of times that it was tried; on SQS the looks at it are counted too.
    pub attempts: u32,
    /// The error of the last try, or where to look for it when the queue does not keep it.
    pub error: String,
    /// When it was given up; when it was queued, where the queue keeps no other time.
    pub died_at: UnixMillis,
}

/// The jobs that were given up. They stay until they are redriven, or until the queue's time for them is over.
#[async_trait]
pub trait DeadLetters: Send + Sync + std::fmt::Debug {
    /// At most `limit` of them, the oldest first where the queue keeps an order. A queue that can only be sampled returns
    /// as many as it could collect in a moment, and hides these from other calls for that long.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn list(&self, limit: usize) -> Result<Vec<DeadLetter>>;

    /// Has one of them, or all, tried again as if for the first time, and returns their number. A queue that can only be
    /// sampled may leave some for the next call; it returns 0 for all only when no more of them are to be seen.
    ///
    /// # Errors
    /// `Unavailable`; after it some of them may be queued.
    async fn redrive(&self, id: Option<i64>) -> Result<usize>;
}
