//! Tests of what the one-machine shape promises to those outside of it.

#![expect(
    clippy::unwrap_used,
    reason = "tests fail by panicking, helpers of tests as well"
)]

mod cli;
mod cli_inspect;
mod uploads;
