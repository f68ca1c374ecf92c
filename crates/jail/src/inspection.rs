use std::io;

use rustix::process::{self, DumpableBehavior};

/// Keeps other processes of the same user, workers above all, from reading this process's memory and environment, from
/// tracing it, and from finding either in a core dump (`PR_SET_DUMPABLE`). Root still can.
///
/// Call it before secrets are read.
///
/// # Errors
/// The system's, which no Linux gives.
pub fn forbid_inspection() -> io::Result<()> {
    Ok(process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}
