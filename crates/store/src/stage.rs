use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use md5::{Digest, Md5};

use super::file::{FileGuard, Files};
use super::{Error, Result};

/// The size to which chunks are gathered before a thread writes them, in bytes.
const FLUSH_BYTES: usize = 256 << 10;

/// Bytes on their way into a new file. Dropping it removes the file.
///
/// A small body costs one task of the blocking pool: the file is created when the first bytes are written out.
#[derive(Debug)]
pub struct StagedFile {
    files: Arc<Files>,
    state: State,
    /// Bytes to be written, at most about [`FLUSH_BYTES`]. They are copies: a chunk of one byte may keep the whole
    /// buffer that it was read into.
    waiting: Vec<u8>,
    size_bytes: u64,
}

#[derive(Debug)]
enum State {
    New,
    Open(Box<OpenFile>),
    /// Incomplete: a write failed or was cancelled.
    Broken,
}

#[derive(Debug)]
struct OpenFile {
    guard: FileGuard,
    file: File,
    md5: Md5,
}

impl StagedFile {
    pub(crate) fn new(files: Arc<Files>) -> Self {
        Self {
            files,
            state: State::New,
            waiting: Vec::new(),
            size_bytes: 0,
        }
    }

    /// Appends a chunk. When this future is dropped before it is ready, the file can only be dropped.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Io`]; the file can then only be dropped.
    pub async fn write(&mut self, chunk: Bytes) -> Result<()> {
        self.size_bytes += chunk.len() as u64;
        if self.waiting.len() + chunk.len() < FLUSH_BYTES {
            self.waiting.extend_from_slice(&chunk);
        } else {
            let open = self.flush(chunk).await?;
            self.state = State::Open(Box::new(open));
        }
        Ok(())
    }

    /// Bytes written so far.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Writes the rest. The file becomes durable together with the facts of its row, before the row is written.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Io`]; the file is removed.
    pub async fn finish(mut self) -> Result<Staged> {
        let open = self.flush(Bytes::new()).await?;
        Ok(Staged {
            guard: open.guard,
            file: open.file,
            size_bytes: self.size_bytes,
            md5: Some(open.md5.finalize().into()),
        })
    }

    /// Writes the gathered bytes, and `chunk` after them.
    async fn flush(&mut self, chunk: Bytes) -> Result<OpenFile> {
        let waiting = std::mem::take(&mut self.waiting);
        // Until the thread has answered; a dropped future leaves it so.
        let state = std::mem::replace(&mut self.state, State::Broken);
        let files = self.files.clone();
        blocking(move || {
            let mut open = match state {
                State::New => {
                    let (guard, file) = files.create()?;
                    OpenFile {
                        guard,
                        file,
                        md5: Md5::new(),
                    }
                }
                State::Open(open) => *open,
                State::Broken => return Err(Error::Closed),
            };
            for bytes in [&waiting[..], &chunk] {
                open.md5.update(bytes);
                open.file.write_all(bytes).map_err(Error::io("write a file"))?;
            }
            Ok(open)
        })
        .await
    }
}

/// A complete file that no row names yet. Dropping it removes the file.
#[derive(Debug)]
pub struct Staged {
    pub(crate) guard: FileGuard,
    /// Open for writing, at its end.
    pub(crate) file: File,
    pub(crate) size_bytes: u64,
    /// `None` for a file that was put together from parts.
    pub(crate) md5: Option<[u8; 16]>,
}

impl Staged {
    /// Its size in bytes.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// MD5 of its bytes.
    #[must_use]
    pub fn md5(&self) -> [u8; 16] {
        self.md5.unwrap_or_default()
    }

    /// The `ETag` that S3 gives an object of one part: the MD5 in hexadecimal.
    #[must_use]
    pub fn etag(&self) -> String {
        hex::encode(self.md5())
    }
}

/// Runs file operations where they may block.
///
/// # Errors
/// Errors of `work`; [`Error::Closed`] when the runtime is shutting down.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Error::Closed),
        },
    }
}
