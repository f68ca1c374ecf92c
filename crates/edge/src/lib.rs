#![doc = include_str!("../README.md")]

mod access;
mod admin;
mod api;
mod auth;
mod body;
mod cache;
mod delivery;
mod error;
mod extract;
mod guard;
mod markup;
mod metrics;
mod negotiate;
mod port;
mod route;
mod router;
mod session;
mod state;
mod upload_form;

pub use access::{Access, Authorized};
pub use body::TooSlow;
pub use cache::Pictures;
pub use guard::{host_allowed, names_its_host, write_allowed};
pub use negotiate::{Accept, MAX_ACCEPT_BYTES, MAX_ACCEPT_LINES};
pub use port::{
    ConnectionCounts, Health, HealthReport, MAX_UPLOAD_EXPIRY, PresignedUpload, QueueDepth, StoredFiles,
    UploadMethod, UploadSigner, UploadTerms,
};
pub use router::router;
pub use state::Edge;
