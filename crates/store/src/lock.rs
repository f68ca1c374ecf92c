use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::{Error, Result};

/// The right to use a data folder, held until it is dropped or the process ends.
#[derive(Debug)]
pub(crate) struct Lock {
    /// The system keeps the lock for as long as this is open.
    _file: File,
}

/// Takes the lock and leaves this process' number in it, for the message that another process will print.
///
/// # Errors
/// [`Error::Locked`] when somebody has it, [`Error::Io`] when the file cannot be opened.
pub(crate) fn acquire(folder: &Path) -> Result<Lock> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(folder.join("lock"))
        .map_err(Error::io("open the lock of the data folder"))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut owner = String::new();
            // The number is only for the message; the lock itself is the system's.
            let pid = file
                .read_to_string(&mut owner)
                .ok()
                .and_then(|_| owner.trim().parse().ok());
            return Err(Error::Locked {
                folder: folder.to_owned(),
                pid,
            });
        }
        Err(errno) => return Err(Error::io("lock the data folder")(errno.into())),
    }
    let written = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    written.map_err(Error::io("write the lock of the data folder"))?;
    Ok(Lock { _file: file })
}
