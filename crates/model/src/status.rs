use std::fmt;
use std::str::FromStr;

use crate::Status;

/// The kind of a [`Status`], without its details: in filters, lists and counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StatusKind {
    /// [`Status::Pending`].
    Pending,
    /// [`Status::Ready`].
    Ready,
    /// [`Status::Rejected`].
    Rejected,
    /// [`Status::Failed`].
    Failed,
    /// [`Status::Deleted`]: a tombstone.
    Deleted,
}

/// The error for a word that is not the name of a status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no status {0:?}")]
pub struct StatusKindError(String);

impl StatusKind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Pending,
        Self::Ready,
        Self::Rejected,
        Self::Failed,
        Self::Deleted,
    ];

    /// The word used in JSON, queries and stores.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Deleted => "deleted",
        }
    }
}

impl fmt::Display for StatusKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for StatusKind {
    type Err = StatusKindError;

    fn from_str(name: &str) -> Result<Self, StatusKindError> {
        let mut kinds = Self::ALL.into_iter();
        kinds
            .find(|kind| kind.name() == name)
            .ok_or_else(|| StatusKindError(name.to_owned()))
    }
}

impl Status {
    /// The kind of the status.
    #[must_use]
    pub const fn kind(&self) -> StatusKind {
        match self {
            Self::Pending => StatusKind::Pending,
            Self::Ready { .. } => StatusKind::Ready,
            Self::Rejected { .. } => StatusKind::Rejected,
            Self::Failed { .. } => StatusKind::Failed,
            Self::Deleted => StatusKind::Deleted,
        }
    }

    /// The word used in JSON, queries and stores: the name of its kind.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.kind().name()
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::testing::conformance::{failed, ready, rejected};

    #[test]
    fn names_are_those_of_the_json_and_are_read_again() {
        let statuses = [
            Status::Pending,
            ready("v", "k"),
            rejected(),
            failed(),
            Status::Deleted,
        ];
        assert_eq!(statuses.each_ref().map(Status::kind), StatusKind::ALL);
        for status in statuses {
            let json = serde_json::to_value(&status).unwrap();
            assert_eq!(json["status"], status.name());
            assert_eq!(status.name().parse(), Ok(status.kind()));
        }
        for name in ["", "READY", "skipped", "ready "] {
            assert!(name.parse::<StatusKind>().is_err(), "{name:?}");
        }
    }
}
