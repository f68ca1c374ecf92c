//! The AWS shape.

pub mod config;
pub mod environment;
pub mod event;
