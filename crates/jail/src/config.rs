use std::{ffi::OsString, num::NonZero, path::PathBuf, thread, time::Duration};

use serde::{Deserialize, Serialize};
use tintype_model::{Limits, MetadataPolicy};

use crate::RequiredLevel;

/// Settings of the workers: the program to start, and the limits on what they may use.
#[derive(Clone, Debug)]
pub struct Config {
    /// The program that is run as a worker. `/proc/self/exe` is the running program itself, also after its file was
    /// replaced by an upgrade.
    pub program: PathBuf,
    /// Its arguments, which must lead to [`crate::worker_main`] before any thread is started or file opened.
    pub args: Vec<OsString>,
    /// Most workers alive at once, which is also the number of pictures rendered at once.
    ///
    /// Default: 1
    pub workers: usize,
    /// Threads that one worker renders with.
    ///
    /// Default: the number of CPUs that this process may use
    pub threads: usize,
    /// Private writable memory of one worker in bytes (`RLIMIT_DATA`). The worker's source counts too.
    ///
    /// Default: 2 GiB
    pub memory_bytes: u64,
    /// Most bytes that all renditions of one source may have together.
    ///
    /// Default: 256 MiB
    pub max_output_bytes: u64,
    /// The longest time that one source may take before its worker is killed.
    ///
    /// Default: 60 s
    pub deadline: Duration,
    /// Limits on the cost of a source, by its header.
    pub limits: Limits,
    /// The facts about a source that answers may contain beside those that they always contain.
    pub metadata: MetadataPolicy,
    /// After this many sources a worker is replaced.
    ///
    /// Default: 200
    pub jobs_per_worker: u32,
    /// A worker whose resident memory stays above this many bytes after a source is replaced.
    ///
    /// Default: 256 MiB
    pub idle_memory_bytes: u64,
    /// The confinement without which no worker is given a source.
    ///
    /// Default: [`RequiredLevel::Available`]
    pub level: RequiredLevel,
    /// The priority of workers when the CPUs are busy.
    ///
    /// Default: [`Priority::Idle`]
    pub priority: Priority,
}

/// The priority of a worker in the competition for CPU time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// The same as any other process, for machines on which nothing else answers requests.
    Normal,
    /// `SCHED_IDLE`: every other process that can run preempts the worker at once, so that requests to the parent are
    /// answered as quickly as without it. A niceness only makes the worker's share small: a waking server thread can
    /// still wait for the worker's time slice to end.
    #[default]
    Idle,
}

impl Config {
    /// The defaults for a worker that is started as `program` with `args`.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>, args: Vec<OsString>) -> Self {
        Self {
            program: program.into(),
            args,
            workers: 1,
            threads: thread::available_parallelism().map_or(1, NonZero::get),
            memory_bytes: 2 << 30,
            max_output_bytes: 256 << 20,
            deadline: Duration::from_secs(60),
            limits: Limits::default(),
            metadata: MetadataPolicy::default(),
            jobs_per_worker: 200,
            idle_memory_bytes: 256 << 20,
            level: RequiredLevel::default(),
            priority: Priority::default(),
        }
    }

    /// The CPU time, in seconds, that one source may use: as much as all threads can use up to the deadline, so that a
    /// worker that the parent no longer watches ends all the same.
    pub(crate) fn cpu_seconds(&self) -> u64 {
        let threads = u32::try_from(self.threads).unwrap_or(u32::MAX);
        self.deadline.saturating_mul(threads).as_secs().saturating_add(1)
    }
}
