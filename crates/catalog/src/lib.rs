#![doc = include_str!("../README.md")]

mod catalog;
mod dead;
mod delete;
mod list;
mod reprocess;
mod show;

pub use catalog::Catalog;
pub use dead::Redrive;
pub use delete::{Delete, Tombstone};
pub use list::MAX_DUPLICATES;
pub use reprocess::Reprocess;
pub use show::{Shown, Unrecorded};
