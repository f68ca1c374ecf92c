//! Bad usage of the command line.

/// A command was asked for something that cannot be done as it was asked.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);
