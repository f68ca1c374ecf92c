use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{FlockOperation, flock};

use super::{Error, Result};

/// Name of the file whose lock keeps a server from removing files while another process takes a backup.
const FILE: &str = "removals.lock";

/// The right to remove files, which a backup takes away for as long as it runs.
#[derive(Debug)]
pub(crate) struct Removals {
    file: Mutex<File>,
}

/// Held while files are removed.
#[derive(Debug)]
pub(crate) struct Permit<'a> {
    file: MutexGuard<'a, File>,
}

/// Keeps the server of a data folder from removing files until it is dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    /// The system keeps the lock for as long as this is open.
    _file: File,
}

fn open(data: &Path) -> Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(data.join(FILE))
        .map_err(Error::io("open the lock of removals"))
}

impl Removals {
    /// The right of the process that uses this data folder.
    ///
    /// # Errors
    /// When the lock's file cannot be opened.
    pub(crate) fn open(data: &Path) -> Result<Self> {
        Ok(Self {
            file: Mutex::new(open(data)?),
        })
    }

    /// A permit to remove files; `None` while a backup is being taken: the files stay, and a later collection finds
    /// them.
    pub(crate) fn permit(&self) -> Option<Permit<'_>> {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        match flock(&*file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Some(Permit { file }),
            Err(rustix::io::Errno::WOULDBLOCK) => None,
            Err(error) => {
                tracing::warn!(%error, "could not lock the removal of files: nothing is removed");
                None
            }
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if let Err(error) = flock(&*self.file, FlockOperation::Unlock) {
            tracing::warn!(%error, "could not unlock the removal of files");
        }
    }
}

/// Waits until no file is being removed, and prevents removals until the guard is dropped.
///
/// # Errors
/// When the lock cannot be taken.
pub(crate) fn hold(data: &Path) -> Result<Hold> {
    let file = open(data)?;
    flock(&file, FlockOperation::LockShared)
        .map_err(|errno| Error::io("lock the removal of files")(errno.into()))?;
    Ok(Hold { _file: file })
}
