use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{ObjectKey, Order};

/// Work on a key, and its place in the order of the other work on that key.
///
/// Jobs are delivered at least once and in any order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The key of the source.
    pub key: ObjectKey,
    /// Older work never replaces the result of newer work.
    pub order: Order,
    /// The kind of work.
    pub work: Work,
}

/// The kind of work: rendering a source, removing what was made of it, or forgetting that it was there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// The source was written, or its renditions have to be made again.
    Render {
        /// `ETag` of the source that this work is for, without quotes. Another one means that newer work exists.
        etag: String,
    },
    /// The source was deleted.
    Remove,
    /// The source was deleted and its tombstone must go too: no trace of the key may be left.
    Forget,
}

impl Work {
    /// The delay of [`Self::Forget`]. A tombstone stands against work that read the source before it was deleted and
    /// publishes later; a quarter of an hour after the deletion no such work is going on any more. The longest delay that
    /// SQS has for a message.
    pub const FORGET_AFTER: Duration = Duration::from_mins(15);

    /// The time that a queue keeps a new job of this work back before it delivers it.
    #[must_use]
    pub const fn delay(&self) -> Duration {
        match self {
            Self::Render { .. } | Self::Remove => Duration::ZERO,
            Self::Forget => Self::FORGET_AFTER,
        }
    }
}
