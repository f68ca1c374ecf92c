use bytes::Bytes;
use sha2::{Digest, Sha256};

/// SHA-256, computed on a thread that may be busy: megabytes take milliseconds, which requests served by the same
/// async thread would have to wait.
pub(crate) async fn sha256(bytes: &Bytes) -> [u8; 32] {
    let shared = bytes.clone();
    let digest = tokio::task::spawn_blocking(move || Sha256::digest(&shared).into()).await;
    // A runtime that is shutting down takes no such work any more.
    digest.unwrap_or_else(|_| Sha256::digest(bytes).into())
}
