#![doc = include_str!("../README.md")]

mod clients;
pub mod functions;
pub mod store;

pub use clients::Clients;
