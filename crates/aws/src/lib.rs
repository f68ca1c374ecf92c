#![doc = include_str!("../README.md")]

mod clients;
pub mod config;
pub mod environment;
pub mod event;
pub mod init_error;
pub mod store;
pub mod telemetry;
pub mod worker;

pub use clients::Clients;
