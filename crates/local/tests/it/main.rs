//! Tests of what the one-machine shape promises to those outside of it.

#![expect(
    clippy::unwrap_used,
    reason = "tests fail by panicking, helpers of tests as well"
)]

mod cli;
mod cli_inspect;
mod s3_auth;
mod s3_body;
mod s3_client;
mod s3_forms;
mod s3_keys;
mod s3_listings;
mod s3_multipart;
mod s3_objects;
mod s3_offered;
mod s3_uploads;
