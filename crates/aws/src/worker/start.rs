//! From the start of the process to its first invocation.

use std::process::ExitCode;

/// Placeholder until the stores are merged.
#[must_use]
pub fn main() -> ExitCode {
    ExitCode::FAILURE
}
