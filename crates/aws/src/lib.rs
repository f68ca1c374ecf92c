#![doc = include_str!("../README.md")]

pub mod api;
mod clients;
pub mod config;
pub mod environment;
pub mod event;
pub mod functions;
pub mod init_error;
pub mod invalidation;
pub mod store;
pub mod telemetry;
pub mod visibility;
pub mod worker;

pub use clients::Clients;

/// A service's own error.
pub type RemoteError = Box<dyn std::error::Error + Send + Sync>;
