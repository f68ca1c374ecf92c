//! The confinement of a worker by itself, before it reads the first untrusted byte.
//!
//! Every step of [`Level::FLOOR`](crate::Level::FLOOR) either holds or the worker refuses to work. The others are taken
//! where the system grants them, and reported.

mod calls;
mod identity;
mod landlock;
mod limits;

use std::{env, fs, io};

use rustix::process::{self, DumpableBehavior, Signal};

pub(crate) use self::limits::allow_cpu_for_one_source;
use crate::{Step, wire::Setup};

/// The reasons why a worker cannot be confined.
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

/// Takes every step, in an order in which no step forbids a later one.
pub(crate) fn confine(setup: &Setup) -> Result<Vec<Step>, ConfineError> {
    let mut steps = Vec::new();
    empty_environment()?;
    steps.push(Step::EmptyEnvironment);
    no_inherited_files()?;
    steps.push(Step::NoInheritedFiles);
    // While this process is its user's and dumpable: later its files in /proc belong to root.
    if fs::write("/proc/self/oom_score_adj", "1000").is_ok() {
        steps.push(Step::FirstOutOfMemory);
    }
    if limits::lower_priority(setup.priority) {
        steps.push(Step::LowPriority);
    }
    change_identity(setup, &mut steps);
    // After the change of user, which undoes this step and the one against dumps (prctl(2)).
    dies_with_parent(setup.parent)?;
    steps.push(Step::DiesWithParent);
    rustix::thread::set_no_new_privs(true).map_err(system(Step::NoNewPrivileges))?;
    steps.push(Step::NoNewPrivileges);
    process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(system(Step::NotDumpable))?;
    steps.push(Step::NotDumpable);
    limits::limit_memory(setup).map_err(system(Step::MemoryLimit))?;
    steps.push(Step::MemoryLimit);
    limits::limit_cpu(setup).map_err(system(Step::CpuLimit))?;
    steps.push(Step::CpuLimit);
    // Landlock opens a descriptor for a short time, so it comes before the limit on descriptors.
    if landlock::deny_everything().unwrap_or(false) {
        steps.push(Step::Landlock);
    }
    limits::limit_files().map_err(system(Step::FileLimit))?;
    steps.push(Step::FileLimit);
    // Last: it allows none of the calls above.
    if calls::filter().is_ok() {
        steps.push(Step::SystemCallFilter);
    }
    Ok(steps)
}

/// Takes the steps that depend on what the system lets this user do.
fn change_identity(setup: &Setup, steps: &mut Vec<Step>) {
    let namespaces = identity::leave();
    if namespaces.are_own {
        steps.push(Step::Namespaces);
    }
    if namespaces.is_user_own && limits::limit_threads(setup).is_ok() {
        steps.push(Step::ThreadLimit);
    }
    if identity::is_unprivileged() {
        steps.push(Step::UnprivilegedUser);
    }
    if identity::drop_capabilities().unwrap_or(false) {
        steps.push(Step::NoCapabilities);
    }
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
    // A parent that ended before the call sends no signal: this process then has another parent.
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
