//! The AWS shape.

pub mod api;
pub mod config;
pub mod environment;
pub mod event;
