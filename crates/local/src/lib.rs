//! The one-machine shape of Tintype: its server, command line and configuration, on stores of SQLite and files.

mod cli;
mod command;
pub mod config;
mod credentials;
mod disk;
mod health;
mod http;
mod serve;
pub mod uploads;
mod usage;
mod version;
mod worker;

pub use command::main;

/// The hidden command that a rendering process is started with.
pub(crate) const RENDER_WORKER: &str = "render-worker";

/// The hidden command of a process that the self-test starts.
pub(crate) const JAIL_ATTEMPT: &str = "jail-attempt";
