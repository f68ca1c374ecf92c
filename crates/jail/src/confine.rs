//! The confinement of a worker by itself, before it reads the first untrusted byte.
//!
//! Every step of the floor either holds or the worker refuses to work. Further walls (seccomp, landlock) are further
//! steps of [`confine`], after the last file was opened.

use std::{env, fmt, fs, io};

use rustix::process::{self, DumpableBehavior, Resource, Rlimit, Signal};
use serde::{Deserialize, Serialize};
use thread_priority::{NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy};

use crate::{Priority, wire::Setup};

/// The confinement of a worker, as told by the worker before it read any untrusted byte.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Level {
    /// The steps that were taken; empty until the first worker has started.
    pub steps: Vec<Step>,
}

/// One wall around a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The worker has no environment variable, so no credentials.
    EmptyEnvironment,
    /// The worker holds its three pipes and no other open file.
    NoInheritedFiles,
    /// The kernel kills the worker when its parent ends.
    DiesWithParent,
    /// Executing a set-user-ID program gains nothing.
    NoNewPrivileges,
    /// No core dump, and no other process of the user can trace it.
    NotDumpable,
    /// `RLIMIT_DATA` and `RLIMIT_AS`.
    MemoryLimit,
    /// `RLIMIT_CPU`, set anew for each source.
    CpuLimit,
    /// `RLIMIT_NOFILE` leaves no room to open anything, `RLIMIT_FSIZE` is zero.
    FileLimit,
    /// When the machine runs out of memory the kernel kills the worker first. Not part of the floor.
    FirstOutOfMemory,
    /// The worker yields to other processes ([`Priority::Idle`], or the highest niceness where that is refused). Not
    /// part of the floor.
    LowPriority,
}

impl Step {
    /// The word used in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EmptyEnvironment => "empty_environment",
            Self::NoInheritedFiles => "no_inherited_files",
            Self::DiesWithParent => "dies_with_parent",
            Self::NoNewPrivileges => "no_new_privileges",
            Self::NotDumpable => "not_dumpable",
            Self::MemoryLimit => "memory_limit",
            Self::CpuLimit => "cpu_limit",
            Self::FileLimit => "file_limit",
            Self::FirstOutOfMemory => "first_out_of_memory",
            Self::LowPriority => "low_priority",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.steps.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{}", step.name())?;
        }
        Ok(())
    }
}

/// Why a worker cannot be confined.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfineError {
    #[error("the environment is not empty")]
    Environment,
    #[error("file descriptor {0} is open")]
    OpenFile(String),
    #[error("the parent is process {found}, not {expected}")]
    Parent { found: i32, expected: u32 },
    #[error("{step}: {source}")]
    System { step: &'static str, source: io::Error },
}

fn system<E: Into<io::Error>>(step: Step) -> impl FnOnce(E) -> ConfineError {
    move |source| ConfineError::System {
        step: step.name(),
        source: source.into(),
    }
}

/// Takes every step, in an order in which no step takes away what a later one needs.
pub(crate) fn confine(setup: &Setup) -> Result<Vec<Step>, ConfineError> {
    let mut steps = Vec::new();
    empty_environment()?;
    steps.push(Step::EmptyEnvironment);
    no_inherited_files()?;
    steps.push(Step::NoInheritedFiles);
    dies_with_parent(setup.parent)?;
    steps.push(Step::DiesWithParent);
    rustix::thread::set_no_new_privs(true).map_err(system(Step::NoNewPrivileges))?;
    steps.push(Step::NoNewPrivileges);
    // Before the process stops being dumpable: then its files in /proc belong to root.
    if fs::write("/proc/self/oom_score_adj", "1000").is_ok() {
        steps.push(Step::FirstOutOfMemory);
    }
    process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(system(Step::NotDumpable))?;
    steps.push(Step::NotDumpable);
    if lower_priority(setup.priority) {
        steps.push(Step::LowPriority);
    }
    limit_memory(setup).map_err(system(Step::MemoryLimit))?;
    steps.push(Step::MemoryLimit);
    limit_cpu(setup).map_err(system(Step::CpuLimit))?;
    steps.push(Step::CpuLimit);
    limit_files().map_err(system(Step::FileLimit))?;
    steps.push(Step::FileLimit);
    Ok(steps)
}

fn empty_environment() -> Result<(), ConfineError> {
    match env::vars_os().next() {
        None => Ok(()),
        Some(_) => Err(ConfineError::Environment),
    }
}

fn no_inherited_files() -> Result<(), ConfineError> {
    let step = Step::NoInheritedFiles;
    let mut open = Vec::new();
    for entry in fs::read_dir("/proc/self/fd").map_err(system(step))? {
        let entry = entry.map_err(system(step))?;
        // The descriptor that lists the folder is closed by now, and no longer resolves.
        open.push((entry.file_name(), entry.path()));
    }
    for (number, path) in open {
        let standard = ["0", "1", "2"].iter().any(|name| number == *name);
        if !standard && fs::read_link(path).is_ok() {
            return Err(ConfineError::OpenFile(number.to_string_lossy().into_owned()));
        }
    }
    Ok(())
}

/// The signal comes when the *thread* that started this process ends; the jail keeps one thread for that.
fn dies_with_parent(parent: u32) -> Result<(), ConfineError> {
    process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(system(Step::DiesWithParent))?;
    // A parent that ended before the call sends no signal: another process has adopted us by now.
    let found = process::getppid().map_or(0, process::Pid::as_raw_pid);
    if u32::try_from(found) == Ok(parent) {
        Ok(())
    } else {
        Err(ConfineError::Parent {
            found,
            expected: parent,
        })
    }
}

/// Policies belong to threads and are inherited: this runs while there is only one.
fn lower_priority(priority: Priority) -> bool {
    match priority {
        Priority::Normal => false,
        Priority::Idle => {
            let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
            let idle = thread_priority::set_thread_priority_and_policy(
                thread_priority::thread_native_id(),
                ThreadPriority::Min,
                policy,
            );
            // The niceness has no effect under SCHED_IDLE and is what remains where that is refused.
            let nice = process::nice(19);
            idle.is_ok() || nice.is_ok()
        }
    }
}

/// `RLIMIT_DATA` counts private writable memory since Linux 4.7 (getrlimit(2)): heap, anonymous mappings and thread
/// stacks, which is what decoding costs. `RLIMIT_AS` alone would have to be far larger than what is used, because it
/// also counts address space that is only reserved: 64 MiB for each glibc arena, twice that while one is made. But
/// shared mappings escape `RLIMIT_DATA`, so address space is limited too, with room for those reservations.
fn limit_memory(setup: &Setup) -> io::Result<()> {
    const PROGRAM: u64 = 256 << 20;
    const ARENA: u64 = 128 << 20;
    let threads = u64::try_from(setup.threads).unwrap_or(u64::MAX);
    let reserved = threads
        .saturating_add(2)
        .saturating_mul(ARENA)
        .saturating_add(PROGRAM);
    lower(Resource::Data, setup.memory_bytes)?;
    lower(Resource::As, setup.memory_bytes.saturating_add(reserved))
}

/// The hard limit is what a whole life of sources may use; [`allow_cpu_for_one_source`] moves the soft one.
fn limit_cpu(setup: &Setup) -> io::Result<()> {
    let life = setup
        .cpu_seconds
        .saturating_mul(u64::from(setup.jobs).saturating_add(1));
    lower(Resource::Cpu, life)?;
    allow_cpu_for_one_source(setup.cpu_seconds)
}

/// The kernel counts a process's CPU time from its start, so each source gets a limit of its own.
pub(crate) fn allow_cpu_for_one_source(seconds: u64) -> io::Result<()> {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime).tv_sec;
    let wanted = u64::try_from(used).unwrap_or(0).saturating_add(seconds);
    let maximum = process::getrlimit(Resource::Cpu).maximum;
    let current = Some(maximum.map_or(wanted, |maximum| maximum.min(wanted)));
    process::setrlimit(Resource::Cpu, Rlimit { current, maximum })?;
    Ok(())
}

/// No limit on processes: it counts the user's processes everywhere, so its right value cannot be known here.
fn limit_files() -> io::Result<()> {
    lower(Resource::Core, 0)?;
    lower(Resource::Fsize, 0)?;
    lower(Resource::Nofile, 3)
}

/// Lowers soft and hard limit to `value`, or leaves what is lower already.
fn lower(resource: Resource, value: u64) -> io::Result<()> {
    let lowest = |limit: Option<u64>| Some(limit.map_or(value, |limit| limit.min(value)));
    let now = process::getrlimit(resource);
    let wanted = Rlimit {
        current: lowest(now.current),
        maximum: lowest(now.maximum),
    };
    process::setrlimit(resource, wanted)?;
    if process::getrlimit(resource) == wanted {
        Ok(())
    } else {
        Err(io::Error::other("the limit does not hold"))
    }
}
