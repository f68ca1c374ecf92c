use std::io;

use rustix::process::{self, DumpableBehavior};

/// Forbids other processes of the same user, mainly workers, to read this process's memory and environment and to trace
/// it, and forbids core dumps (`PR_SET_DUMPABLE`). Root still can.
///
/// Call it before secrets are read.
///
/// # Errors
/// The system's, which no Linux gives.
pub fn forbid_inspection() -> io::Result<()> {
    Ok(process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}
