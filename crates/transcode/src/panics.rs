//! Caught panics: decoders are safe Rust, and a hostile file can still make them panic.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::Error;

/// The rejection of a source at which a decoder panicked.
pub(crate) fn panicked() -> Error {
    Error::corrupt("the decoder panicked")
}

/// Runs code that reads untrusted bytes; a panic rejects the source.
pub(crate) fn contain<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(panicked()))
}

/// Runs code whose result is optional; `None` when it panics.
pub(crate) fn quietly<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}
