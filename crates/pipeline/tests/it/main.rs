//! The pipeline over memory stores that reorder, repeat and fail.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod archive;
mod forget;
mod history;
mod in_place;
mod process;
mod removal;
mod world;
