//! The AWS shape.

pub mod config;
pub mod environment;
pub mod event;
pub mod telemetry;
pub mod worker;
