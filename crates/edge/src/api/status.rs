//! The states of a source in the API's words, and what it tells of a source that no record tells of.

use serde::{Deserialize, Serialize};
use tintype_model::{ObjectKey, ObjectMeta, StoreError};
use utoipa::ToSchema;

use super::dto::timestamp;
use crate::error::{Error, Result};
use crate::state::State;

pub(crate) const NO_IMAGE: &str = "there is no source and no record with this key";

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
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Deleted => "deleted",
            Self::Skipped => "skipped",
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

impl ListedStatus {
    pub(crate) const ALL: [Self; 5] = [
        Self::Pending,
        Self::Ready,
        Self::Rejected,
        Self::Failed,
        Self::Deleted,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pending => StatusName::Pending.name(),
            Self::Ready => StatusName::Ready.name(),
            Self::Rejected => StatusName::Rejected.name(),
            Self::Failed => StatusName::Failed.name(),
            Self::Deleted => StatusName::Deleted.name(),
        }
    }
}

/// The state of a source that waits without a record: its event is in the queue, or was lost.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Waiting {
    /// When the source was uploaded, RFC 3339 in UTC.
    #[schema(format = DateTime)]
    source_put_at: String,
    /// Whether `POST /api/v1/image/reprocess` queues its work without that event.
    can_reprocess: bool,
    /// For people.
    detail: &'static str,
}

/// Why nothing is made of a source.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Skip {
    /// For programs.
    #[schema(example = "folder_marker")]
    code: &'static str,
    /// For people.
    detail: &'static str,
}

/// A source of which no record tells, or one that says that it was deleted before.
#[derive(Debug)]
pub(crate) enum Unrecorded {
    /// Its event waits in the queue, or was lost.
    Waiting(ObjectMeta),
    /// An empty object that shows a folder.
    FolderMarker(ObjectMeta),
}

impl Unrecorded {
    /// Looks for the source of a key that has no record, or a tombstone.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub(crate) async fn find(state: &State, key: &ObjectKey) -> Result<Self> {
        match state.edge.sources.head(key.as_str()).await {
            Ok(meta) if key.is_folder_marker(meta.size_bytes) => Ok(Self::FolderMarker(meta)),
            Ok(meta) => Ok(Self::Waiting(meta)),
            Err(StoreError::NotFound) => Err(Error::NotFound(NO_IMAGE)),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) const fn meta(&self) -> &ObjectMeta {
        match self {
            Self::Waiting(meta) | Self::FolderMarker(meta) => meta,
        }
    }

    pub(crate) const fn status(&self) -> StatusName {
        match self {
            Self::Waiting(_) => StatusName::Pending,
            Self::FolderMarker(_) => StatusName::Skipped,
        }
    }

    pub(crate) const fn detail(&self) -> &'static str {
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

    pub(crate) fn waiting(&self) -> Option<Waiting> {
        match self {
            Self::Waiting(meta) => Some(Waiting {
                source_put_at: timestamp(meta.modified_at),
                can_reprocess: true,
                detail: self.detail(),
            }),
            Self::FolderMarker(_) => None,
        }
    }

    pub(crate) fn skip(&self) -> Option<Skip> {
        match self {
            Self::Waiting(_) => None,
            Self::FolderMarker(_) => Some(Skip {
                code: "folder_marker",
                detail: self.detail(),
            }),
        }
    }
}
