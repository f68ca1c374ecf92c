use std::path::PathBuf;

use tintype_model::{KeyError, StoreError};

use super::digest::Damage;

/// The result of a call to the local store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the local store, by what a caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no object under this key.
    #[error("object not found")]
    NoSuchKey,
    /// The string is not an object key.
    #[error("the key cannot be stored")]
    InvalidKey(#[from] KeyError),
    /// The object is not in the state that the caller asked for. Final: look again before trying again.
    #[error("precondition failed")]
    PreconditionFailed,
    /// The object is larger than the caller accepts.
    #[error("object is {size_bytes} bytes, more than the caller accepts")]
    TooLarge {
        /// Its size in bytes.
        size_bytes: u64,
    },
    /// There is no such multipart upload of this key: never begun, completed, aborted or expired.
    #[error("multipart upload not found")]
    NoSuchUpload,
    /// A part that has to be in the object was not uploaded, or not with that `ETag` or checksum.
    #[error("part {number} was not uploaded with that ETag and checksum")]
    InvalidPart {
        /// Its number.
        number: u32,
    },
    /// The part numbers of a completion do not ascend.
    #[error("part numbers do not ascend")]
    InvalidPartOrder,
    /// A part number is not within 1 to 10,000, or a completion names no part.
    #[error("part number {number} is not within 1 and {max}", max = super::MAX_PART_NUMBER)]
    InvalidPartNumber {
        /// The number; 0 for a completion without parts.
        number: u32,
    },
    /// A part other than the last is smaller than [`super::MIN_PART_BYTES`].
    #[error("part {number} is {size_bytes} bytes, only the last may be smaller than {min}", min = super::MIN_PART_BYTES)]
    EntityTooSmall {
        /// Its number.
        number: u32,
        /// Its size in bytes.
        size_bytes: u64,
    },
    /// The lease was lost: it ran out and the job was given to somebody else, or was finished.
    #[error("the lease on job {id} is no longer held")]
    StaleLease {
        /// The job.
        id: i64,
    },
    /// Another process serves this folder.
    #[error("{} is in use by another process{}", .folder.display(), .pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    Locked {
        /// The data folder.
        folder: PathBuf,
        /// The process, when it left its number.
        pid: Option<u32>,
    },
    /// There are files that may be uploads and that no row names: the database is new, older than they are, or not
    /// theirs. Nothing was changed.
    #[error(
        "{} has {count} files that may be uploads and that its database does not know ({}): the database is missing, \
         older than the files, or incomplete. Nothing was changed. Put the right tintype.db back, with its -wal file, \
         or make the rows again from the files: tintype verify --rebuild --data {}",
        .folder.display(),
        .example.as_ref().map_or_else(
            || "without a name".to_owned(),
            |key| format!("for example the one of {key:?}")
        ),
        .folder.display()
    )]
    UnknownFiles {
        /// The data folder.
        folder: PathBuf,
        /// The number of such files.
        count: usize,
        /// The key of one of them.
        example: Option<String>,
    },
    /// The database was written by a newer release.
    #[error("the database has version {found}, this release knows up to {known}")]
    TooNew {
        /// Version of the database.
        found: i64,
        /// Newest version that this release can read.
        known: i64,
    },
    /// The disk, or the quota of the user, is full. Nothing was written.
    #[error("no space left to store data")]
    Full(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A contradiction in what is stored.
    #[error("stored data is damaged: {0}")]
    Corrupt(String),
    /// The bytes of an object are not those that were stored.
    #[error("the stored bytes of {:?} are damaged: file {} is {}", .0.key, .0.file.as_str(), .0.fault.name())]
    Damaged(Box<Damage>),
    /// A file could not be read or written.
    #[error("could not {action}")]
    Io {
        /// The action that failed, as an infinitive.
        action: &'static str,
        /// The error that it failed with.
        #[source]
        source: std::io::Error,
    },
    /// The database could not be read or written. A write that answers so may have happened.
    #[error("database error")]
    Sqlite(#[source] rusqlite::Error),
    /// The transaction that this write shared with others was not committed, for this reason.
    #[error("the transaction was not committed: {0}")]
    NotCommitted(String),
    /// The store is closing.
    #[error("the store is closed")]
    Closed,
}

impl Error {
    /// Tells a full disk from other failures of a file operation.
    pub(crate) fn io(action: &'static str) -> impl Fn(std::io::Error) -> Self {
        move |source| match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::Full(source.into()),
            _ => Self::Io { action, source },
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::Full(error.into()),
            Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
                Self::Corrupt(error.to_string())
            }
            _ => Self::Sqlite(error),
        }
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match error {
            Error::NoSuchKey => Self::NotFound,
            Error::PreconditionFailed => Self::PreconditionFailed,
            Error::TooLarge { size_bytes } => Self::TooLarge { size_bytes },
            Error::InvalidKey(_)
            | Error::NoSuchUpload
            | Error::InvalidPart { .. }
            | Error::InvalidPartOrder
            | Error::InvalidPartNumber { .. }
            | Error::EntityTooSmall { .. }
            | Error::StaleLease { .. }
            | Error::Locked { .. }
            | Error::UnknownFiles { .. }
            | Error::TooNew { .. }
            | Error::Full(_)
            | Error::Corrupt(_)
            | Error::Damaged(_)
            | Error::Io { .. }
            | Error::Sqlite(_)
            | Error::NotCommitted(_)
            | Error::Closed => Self::unavailable(error),
        }
    }
}
