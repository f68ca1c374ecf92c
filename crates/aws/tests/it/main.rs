//! Tests of what the AWS shape promises, against a server that speaks for AWS.
//!
//! `AWS_ENDPOINT_URL`, region and credentials come from the environment; buckets, tables and queues are made here and
//! removed again. `TINTYPE_EMULATOR` names the server where it is known to be wrong: see [`emulator::Emulator`].

#![expect(
    clippy::unwrap_used,
    reason = "tests fail by panicking, helpers of tests as well"
)]

mod emulator;
mod lambda;
mod metadata;
mod moto;
mod object;
mod queue;
mod worker;
