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
    /// The kind of work: rendering the source, or removing what was made of it.
    pub work: Work,
}

/// The kind of work that a change of a source asks for: rendering it, or removing what was made of it.
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
}
