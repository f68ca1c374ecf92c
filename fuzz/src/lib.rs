//! What each target does with its bytes. `targets/` holds one file for each; README.md tells how to run them.
//!
//! A target ends by returning. It panics when an answer is one that users must never get: a status of 500, a picture
//! beyond its limits, a text that does not survive being written and read again.

#[cfg(feature = "aws")]
pub mod aws;
pub mod edge;
pub mod panics;
pub mod picture;
mod request;
pub mod s3;
pub mod text;
pub mod wire;

use std::future::Future;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};

/// Runs a future to its end on this thread.
fn wait<T>(work: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME
        .get_or_init(|| {
            Builder::new_current_thread()
                .build()
                .expect("a runtime can be built")
        })
        .block_on(work)
}
