//! Memory implementations of the ports, and the conformance suites that every implementation runs.

pub mod conformance;
mod memory;

pub use memory::{MemoryMetadataStore, MemoryObjectStore, MemoryQueue};
