//! Renders in killable child processes with memory, CPU and file limits.
//!
//! The program that uses a [`Jail`] executes itself again as a worker, whose `main` is [`worker_main`]: source bytes
//! go in and compressed bytes come out over pipes. A worker limits itself before it reads the first untrusted byte
//! and refuses to work when a limit cannot be set. The parent trusts no answer of a worker: it limits the bytes
//! that it reads, checks that the answer is the whole recipe and nothing else, and kills a worker that is late.
//!
//! This crate must not know where sources come from or where renditions go.

mod check;
mod config;
mod confine;
mod error;
mod facts;
#[doc(hidden)]
pub mod fuzzing;
mod inspection;
mod jail;
mod level;
mod process;
mod procfs;
mod self_test;
mod spawner;
mod wire;
mod worker;

pub use config::{Config, Priority};
pub use error::Error;
pub use inspection::forbid_inspection;
pub use jail::{Jail, WorkerStatus};
pub use level::{Level, RequiredLevel, Step};
pub use self_test::{EscapeAttempt, attempt_main, self_test};
pub use tintype_transcode::codecs;
pub use worker::{worker_main, worker_main_with};
