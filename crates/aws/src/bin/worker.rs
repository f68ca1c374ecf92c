//! The worker function: `bootstrap` of its package.

use std::process::ExitCode;

fn main() -> ExitCode {
    tintype_aws::worker::main()
}
