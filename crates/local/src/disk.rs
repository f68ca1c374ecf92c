//! The disk of the data folder: its free room, and a file that reserves some of it for deletes.
//!
//! Deleting writes to the database before it frees anything, so on a full disk nothing could be deleted. The reserve
//! is given up when a delete, or the start, fails for want of room, and made again when there is enough.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::{FallocateFlags, StatVfsMountFlags, fallocate, statvfs};
use rustix::process::geteuid;
use tokio_util::sync::CancellationToken;

/// Name of the reserve in the data folder.
const RESERVE: &str = "reserve";

/// Size of the reserve in bytes: a delete needs a few pages of the database and of its log.
const RESERVE_BYTES: u64 = 8 << 20;

/// A disk with less room than this, in bytes, counts as full.
const LEAST_BYTES: u64 = 1 << 20;

/// Name of the file that shows whether files can be written.
const PROBE: &str = "probe";

const PROBE_BYTES: usize = 4 << 10;

/// The time between two checks of the disk that run by themselves.
const INTERVAL: Duration = Duration::from_secs(10);

/// The state of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// Files can be written.
    Enough,
    /// The disk is full.
    Full,
    /// The file system is read-only.
    ReadOnly,
    /// Writing fails for another reason.
    Unwritable(io::ErrorKind),
}

impl Room {
    /// The problem, for people; `None` when there is none.
    pub(crate) fn problem(self) -> Option<String> {
        match self {
            Self::Enough => None,
            Self::Full => Some("the disk is full".to_owned()),
            Self::ReadOnly => Some("the disk is read-only".to_owned()),
            Self::Unwritable(kind) => Some(format!("the data folder cannot be written to: {kind}")),
        }
    }
}

/// The disk of a data folder. Clones share its state.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    data: PathBuf,
    /// The state that was logged last.
    known: Mutex<Room>,
}

impl Disk {
    /// The disk that this folder is on.
    pub(crate) fn new(data: &Path) -> Self {
        Self {
            inner: Arc::new(Inner {
                data: data.to_owned(),
                known: Mutex::new(Room::Enough),
            }),
        }
    }

    /// Makes room for the start, if there is a folder and its disk is full. May block.
    pub(crate) fn make_room_for_start(&self) {
        if self.inner.data.is_dir() {
            self.inner.release();
        }
    }

    /// Checks the disk, logs changes of its state, and makes the reserve again when there is room for it.
    pub(crate) async fn check(&self) -> Room {
        let inner = self.inner.clone();
        let checked = tokio::task::spawn_blocking(move || inner.check()).await;
        checked.unwrap_or(Room::Enough)
    }

    /// Removes the reserve, if the disk is full. Returns whether there is more room now. Blocks the thread for as long
    /// as the file system takes.
    pub(crate) fn make_room(&self) -> bool {
        self.inner.release()
    }

    /// Checks the disk every few seconds until `stop`.
    pub(crate) async fn watch(self, stop: CancellationToken) {
        loop {
            self.check().await;
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}

impl Inner {
    fn check(&self) -> Room {
        // One at a time: they write to the same file.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let room = self.look();
        if room != *known {
            let folder = self.data.display();
            match room.problem() {
                Some(problem) => {
                    tracing::error!(folder = %folder, "{problem}: uploads fail until that changes")
                }
                None => tracing::info!(folder = %folder, "there is room on the disk again"),
            }
            *known = room;
        }
        if room == Room::Enough
            && self
                .free()
                .is_ok_and(|free| free > RESERVE_BYTES + 2 * LEAST_BYTES)
            && let Err(error) = self.reserve()
        {
            tracing::warn!(%error, "could not reserve room for deletes");
        }
        room
    }

    /// The state right now.
    fn look(&self) -> Room {
        match (self.mount_flags(), self.free()) {
            (Ok(flags), _) if flags.contains(StatVfsMountFlags::RDONLY) => return Room::ReadOnly,
            (_, Ok(free)) if free < LEAST_BYTES => return Room::Full,
            (_, Ok(_) | Err(_)) => {}
        }
        // Only a write shows a quota.
        match self.probe() {
            Ok(()) => Room::Enough,
            Err(error) => match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Room::Full,
                io::ErrorKind::ReadOnlyFilesystem => Room::ReadOnly,
                kind => Room::Unwritable(kind),
            },
        }
    }

    fn mount_flags(&self) -> io::Result<StatVfsMountFlags> {
        Ok(statvfs(&self.data)?.f_flag)
    }

    /// Bytes that this process may still write.
    fn free(&self) -> io::Result<u64> {
        let disk = statvfs(&self.data)?;
        let blocks = if geteuid().is_root() {
            disk.f_bfree
        } else {
            disk.f_bavail
        };
        Ok(blocks.saturating_mul(disk.f_frsize))
    }

    fn probe(&self) -> io::Result<()> {
        let path = self.data.join(PROBE);
        let written = create(&path).and_then(|mut file| file.write_all(&[0; PROBE_BYTES]));
        let removed = match std::fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        };
        written.and(removed)
    }

    /// Makes the reserve, if it is not there.
    fn reserve(&self) -> io::Result<()> {
        let path = self.data.join(RESERVE);
        if std::fs::metadata(&path).is_ok_and(|file| file.len() == RESERVE_BYTES) {
            return Ok(());
        }
        let made = create(&path).and_then(|file| allocate(file, RESERVE_BYTES));
        if made.is_err() {
            let _ = std::fs::remove_file(&path);
        }
        made
    }

    /// Removes the reserve of a full disk; returns whether it could.
    fn release(&self) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if self.look() != Room::Full {
            return false;
        }
        let released = std::fs::remove_file(self.data.join(RESERVE)).is_ok();
        if released {
            tracing::warn!("gave up the reserve, so that something can be deleted from the full disk");
        }
        drop(known);
        released
    }
}

/// A new, empty file that only its owner reads.
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
}

/// Takes room for so many bytes, with zeros where the file system cannot do it by itself.
fn allocate(mut file: File, bytes: u64) -> io::Result<()> {
    match fallocate(&file, FallocateFlags::empty(), 0, bytes) {
        Err(rustix::io::Errno::OPNOTSUPP) => {
            io::copy(&mut io::Read::take(io::repeat(0), bytes), &mut file).map(drop)
        }
        other => Ok(other?),
    }?;
    file.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_with_room_has_a_reserve_and_keeps_it() {
        let data = tempfile::tempdir().unwrap();
        let disk = Disk::new(data.path());
        assert_eq!(disk.inner.check(), Room::Enough);
        assert_eq!(Room::Enough.problem(), None);
        let reserve = std::fs::metadata(data.path().join(RESERVE)).unwrap();
        assert_eq!(reserve.len(), RESERVE_BYTES);
        let blocks = std::os::unix::fs::MetadataExt::blocks(&reserve);
        assert!(
            blocks * 512 >= RESERVE_BYTES,
            "the reserve takes no room: {blocks} blocks"
        );
        assert!(!disk.inner.release(), "there is room");
        disk.make_room_for_start();
        assert_eq!(disk.inner.check(), Room::Enough);
        let names: Vec<_> = std::fs::read_dir(data.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, [RESERVE]);
    }

    #[test]
    fn a_folder_that_is_gone_is_a_problem() {
        let disk = Disk::new(Path::new("/proc/no/such/folder"));
        let room = disk.inner.check();
        assert!(room.problem().is_some(), "{room:?}");
        disk.make_room_for_start();
    }
}
