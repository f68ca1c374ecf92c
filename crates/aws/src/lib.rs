#![doc = include_str!("../README.md")]

mod clients;
pub mod config;
pub mod environment;
pub mod event;
pub mod functions;
pub mod store;

pub use clients::Clients;
