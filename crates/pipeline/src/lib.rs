#![doc = include_str!("../README.md")]

mod digest;
mod error;
mod process;
mod set;
mod version;

pub use error::{Error, Result};
pub use process::{Pipeline, Ports, Settings};
pub use version::Secret;
