//! The binary `tintype`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tintype_local::main()
}
