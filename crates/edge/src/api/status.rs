//! The states of a source in the API's words, with those of a source that has no record.

use serde::{Deserialize, Serialize};
use tintype_catalog::Unrecorded;
use tintype_model::StatusKind;
use utoipa::ToSchema;

use super::time::timestamp;

/// The state of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StatusName {
    /// Uploaded, not processed yet; `waiting` says since when, where there is no record of it.
    Pending,
    /// Published.
    Ready,
    /// Not publishable; `rejection` says why.
    Rejected,
    /// Given up after all retries; `failure` says why.
    Failed,
    /// Deleted.
    Deleted,
    /// There, and no picture: nothing is made of it. `skip` says why. It is in no list.
    Skipped,
}

impl StatusName {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pending => StatusKind::Pending.name(),
            Self::Ready => StatusKind::Ready.name(),
            Self::Rejected => StatusKind::Rejected.name(),
            Self::Failed => StatusKind::Failed.name(),
            Self::Deleted => StatusKind::Deleted.name(),
            Self::Skipped => "skipped",
        }
    }
}

impl From<StatusKind> for StatusName {
    fn from(kind: StatusKind) -> Self {
        match kind {
            StatusKind::Pending => Self::Pending,
            StatusKind::Ready => Self::Ready,
            StatusKind::Rejected => Self::Rejected,
            StatusKind::Failed => Self::Failed,
            StatusKind::Deleted => Self::Deleted,
        }
    }
}

/// The states that pictures can be listed by: those of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ListedStatus {
    /// Uploaded, not processed yet.
    Pending,
    /// Published.
    Ready,
    /// Not publishable.
    Rejected,
    /// Given up after all retries.
    Failed,
    /// Deleted.
    Deleted,
}

impl From<ListedStatus> for StatusKind {
    fn from(status: ListedStatus) -> Self {
        match status {
            ListedStatus::Pending => Self::Pending,
            ListedStatus::Ready => Self::Ready,
            ListedStatus::Rejected => Self::Rejected,
            ListedStatus::Failed => Self::Failed,
            ListedStatus::Deleted => Self::Deleted,
        }
    }
}

/// The state of a source that waits without a record: its event is in the queue, or was lost.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Waiting {
    /// When the source was uploaded, RFC 3339 in UTC.
    #[schema(format = DateTime)]
    source_put_at: String,
    /// True if `POST /api/v1/image/reprocess` queues its work without that event.
    can_reprocess: bool,
    /// An explanation, for people.
    detail: &'static str,
}

/// The reason why nothing is made of a source.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Skip {
    /// The code of the reason, for programs.
    #[schema(example = "folder_marker")]
    code: &'static str,
    /// An explanation, for people.
    detail: &'static str,
}

/// The words of the API for a source without a record.
pub(crate) trait UnrecordedWords {
    /// The state of the source.
    fn status(&self) -> StatusName;
    /// An explanation of that state, for people.
    fn detail(&self) -> &'static str;
    /// The time for which it waits, if it does.
    fn waiting(&self) -> Option<Waiting>;
    /// The reason why nothing is made of it, if so.
    fn skip(&self) -> Option<Skip>;
}

impl UnrecordedWords for Unrecorded {
    fn status(&self) -> StatusName {
        match self {
            Self::Waiting(_) => StatusName::Pending,
            Self::FolderMarker(_) => StatusName::Skipped,
        }
    }

    fn detail(&self) -> &'static str {
        match self {
            Self::Waiting(_) => {
                "no event of this upload has been processed: it waits in the queue, or was lost. Reprocessing queues \
                 the work without it"
            }
            Self::FolderMarker(_) => {
                "an empty object whose key ends in \"/\" shows a folder in consoles: there is nothing to make of it"
            }
        }
    }

    fn waiting(&self) -> Option<Waiting> {
        match self {
            Self::Waiting(meta) => Some(Waiting {
                source_put_at: timestamp(meta.modified_at),
                can_reprocess: true,
                detail: self.detail(),
            }),
            Self::FolderMarker(_) => None,
        }
    }

    fn skip(&self) -> Option<Skip> {
        match self {
            Self::Waiting(_) => None,
            Self::FolderMarker(_) => Some(Skip {
                code: "folder_marker",
                detail: self.detail(),
            }),
        }
    }
}
