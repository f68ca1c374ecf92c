//! The commands that need no server: the engine alone, files in, renditions or facts out; and the data folder itself.
//!
//! Hostile files are contained by the jail, as in the server. Data goes to standard output; messages
//! about the work go to standard error.

mod engine;
mod input;
mod inspect;
mod jail;
mod outcome;
mod output;
mod plan;
mod progress;
mod report;
mod table;
mod transcode;
mod verify;

pub(crate) use inspect::{InspectArgs, inspect};
pub(crate) use jail::{JailArgs, jail};
pub(crate) use transcode::{TranscodeArgs, transcode};
pub(crate) use verify::{BackupArgs, VerifyArgs, backup, verify};
