//! The commands that run the engine alone: files in, renditions or facts out.
//!
//! Hostile files are contained by the jail, as in the server. Data goes to standard output; everything that is said
//! about the work goes to standard error.

mod engine;
mod input;
mod inspect;
mod outcome;
mod plan;
mod progress;
mod report;
mod table;
mod transcode;

pub(crate) use inspect::{InspectArgs, inspect};
pub(crate) use transcode::{TranscodeArgs, transcode};
