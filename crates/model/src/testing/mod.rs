//! Memory implementations of the ports, and the conformance suites that every implementation runs.

pub mod conformance;
mod counted;
mod memory;

pub use counted::Counted;
pub use memory::{MemoryDeadLetters, MemoryMetadataStore, MemoryObjectStore, MemoryQueue};
