#![doc = include_str!("../README.md")]

mod access;
mod admin;
mod api;
mod auth;
mod body;
mod cache;
mod delivery;
mod error;
mod guard;
mod html;
mod markup;
mod metrics;
mod negotiate;
mod port;
mod post_policy;
mod router;
mod session;
mod state;

pub use access::{Access, Authorized};
pub use body::TooSlow;
pub use guard::{host_allowed, names_its_host, write_allowed};
pub use html::Escaped;
pub use negotiate::{Accept, MAX_ACCEPT_BYTES, MAX_ACCEPT_LINES};
pub use port::{
    ConnectionCounts, DeadLetter, DeadLetters, Health, HealthReport, MAX_UPLOAD_EXPIRY, PresignedUpload,
    QueueDepth, StoredFiles, UploadMethod, UploadSigner, UploadTerms,
};
pub use post_policy::{PolicySigner, PostPolicy};
pub use router::router;
pub use state::{Edge, Pictures};
