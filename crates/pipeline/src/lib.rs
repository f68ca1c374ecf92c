#![doc = include_str!("../README.md")]

mod digest;
mod error;
mod layout;
mod place;
mod process;
mod rendition;
mod set;
mod settle;
mod stand_in;
mod version;

pub use error::{Error, Result};
pub use layout::Layout;
pub use process::{Pipeline, Ports, Settings};
pub use rendition::is_same_rendition;
pub use settle::{RetryPolicy, Settlement, Tries, log_outcome, settle};
pub use version::Secret;
