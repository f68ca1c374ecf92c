//! Tests of what the endpoint promises to clients, over a socket.

#![expect(
    clippy::unwrap_used,
    reason = "tests fail by panicking, helpers of tests as well"
)]

mod auth;
mod body;
mod client;
mod conditions;
mod forms;
mod keys;
mod listings;
mod multipart;
mod objects;
mod offered;
