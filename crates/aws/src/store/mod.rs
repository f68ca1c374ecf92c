//! The ports of [`tintype_model`] on S3, DynamoDB and SQS.

mod count;
mod dead;
mod digest;
mod error;
mod index;
mod intercept;
mod metadata;
mod object;
mod queue;
mod size;
#[cfg(test)]
mod tests;

pub use dead::SqsDeadLetters;
pub use error::{CallError, ItemError};
pub(crate) use intercept::ExactKey;
pub use metadata::DynamoMetadataStore;
pub use object::S3ObjectStore;
pub use queue::SqsQueue;
pub use size::{RecordTooLarge, check_records_fit};

/// The longest prefix of a position in a listing that a service takes: no key is longer, so what a caller made up
/// beyond that does not have to be sent. The caller still has to drop keys up to `after` itself.
fn within_key_limit(after: &str) -> &str {
    let end = after.floor_char_boundary(tintype_model::ObjectKey::MAX_BYTES);
    &after[..end]
}
