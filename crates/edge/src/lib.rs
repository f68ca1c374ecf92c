#![doc = include_str!("../README.md")]

mod admin;
mod api;
mod auth;
mod cache;
mod conditional;
mod delivery;
mod error;
mod guard;
mod html;
mod markup;
mod metrics;
mod negotiate;
mod port;
mod range;
mod router;
mod state;

pub use guard::{host_allowed, write_allowed};
pub use negotiate::{MAX_ACCEPT_BYTES, negotiate};
pub use port::{Health, HealthReport, PresignedUpload, QueueDepth, UploadSigner};
pub use router::router;
pub use state::Edge;
