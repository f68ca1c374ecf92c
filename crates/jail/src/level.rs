//! The levels and steps of a worker's confinement.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The confinement of a worker, as told by the worker before it read any untrusted byte.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Level {
    /// The steps that were taken; empty until the first worker has started.
    pub steps: Vec<Step>,
}

/// The confinement that has to be reached before a worker is given a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequiredLevel {
    /// The limits, which every system grants, and whatever else this one grants.
    #[default]
    Available,
    /// Every step of [`Level::FULL`].
    Full,
}

/// One step of a worker's confinement.
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
    /// `RLIMIT_NOFILE` is zero, so no descriptor can be opened, not even in place of one that was closed; `RLIMIT_FSIZE`
    /// is zero.
    FileLimit,
    /// The worker is not root: it was started by another user, or changed to `nobody` (65534).
    UnprivilegedUser,
    /// The worker has no capability and cannot regain one.
    NoCapabilities,
    /// Landlock: no file can be opened, executed, made or removed, no TCP port bound or connected to, no process outside
    /// signalled, as far as the kernel's version knows these.
    Landlock,
    /// A seccomp filter: a system call that decoding does not need ends the worker.
    SystemCallFilter,
    /// Network, IPC, mount and host name are namespaces of the worker's own, with nothing in them. Not part of the full
    /// level.
    Namespaces,
    /// The number of threads is limited (`RLIMIT_NPROC` in a user namespace of its own). Not part of the full level.
    ThreadLimit,
    /// When the machine runs out of memory the kernel kills the worker first. Not part of the full level.
    FirstOutOfMemory,
    /// The worker yields to other processes ([`crate::Priority::Idle`], or the highest niceness where that is refused).
    /// Not part of the full level.
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
            Self::UnprivilegedUser => "unprivileged_user",
            Self::NoCapabilities => "no_capabilities",
            Self::Landlock => "landlock",
            Self::SystemCallFilter => "system_call_filter",
            Self::Namespaces => "namespaces",
            Self::ThreadLimit => "thread_limit",
            Self::FirstOutOfMemory => "first_out_of_memory",
            Self::LowPriority => "low_priority",
        }
    }
}

impl Level {
    /// The steps without which no worker takes a source.
    pub const FLOOR: [Step; 8] = [
        Step::EmptyEnvironment,
        Step::NoInheritedFiles,
        Step::DiesWithParent,
        Step::NoNewPrivileges,
        Step::NotDumpable,
        Step::MemoryLimit,
        Step::CpuLimit,
        Step::FileLimit,
    ];

    /// The steps that, with [`Self::FLOOR`], confine code that an attacker makes a decoder run.
    pub const FULL: [Step; 4] = [
        Step::UnprivilegedUser,
        Step::NoCapabilities,
        Step::Landlock,
        Step::SystemCallFilter,
    ];

    /// The steps of the full level that were not taken.
    #[must_use]
    pub fn missing(&self) -> Vec<Step> {
        let all = Self::FLOOR.into_iter().chain(Self::FULL);
        all.filter(|step| !self.steps.contains(step)).collect()
    }

    /// The names of [`Self::missing`], separated by commas; empty at the full level.
    #[must_use]
    pub fn missing_names(&self) -> String {
        let names: Vec<&str> = self.missing().into_iter().map(Step::name).collect();
        names.join(", ")
    }

    /// `full`; `filtered`, where system calls are filtered and something else of the full level is missing; `limited`,
    /// where they are not; `unknown`, before the first worker has started.
    #[must_use]
    pub fn name(&self) -> &'static str {
        if self.steps.is_empty() {
            "unknown"
        } else if self.missing().is_empty() {
            "full"
        } else if self.steps.contains(&Step::SystemCallFilter) {
            "filtered"
        } else {
            "limited"
        }
    }
}

/// The name of the level and its steps: `full (empty_environment, ...)`.
impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name())?;
        for (index, step) in self.steps.iter().enumerate() {
            let separator = if index == 0 { " (" } else { ", " };
            write!(f, "{separator}{}", step.name())?;
        }
        write!(f, "{}", if self.steps.is_empty() { "" } else { ")" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_named_by_what_is_missing() {
        let mut level = Level::default();
        assert_eq!((level.name(), level.to_string().as_str()), ("unknown", "unknown"));
        level.steps = Level::FLOOR.to_vec();
        assert_eq!(level.name(), "limited");
        level.steps.push(Step::SystemCallFilter);
        assert_eq!(level.name(), "filtered");
        assert_eq!(
            level.missing(),
            [Step::UnprivilegedUser, Step::NoCapabilities, Step::Landlock]
        );
        level.steps = Level::FLOOR.into_iter().chain(Level::FULL).collect();
        assert_eq!(level.name(), "full");
        assert!(level.to_string().starts_with("full (empty_environment, "));
    }
}
