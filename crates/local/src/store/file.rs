use std::collections::HashSet;
use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use super::{Error, Result};

/// Name of a file that holds bytes: 128 random bits in lower-case hexadecimal.
///
/// Checked when it comes from the database, so that no row can lead out of the folder.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FileName(String);

impl FileName {
    const LENGTH: usize = 32;

    fn random() -> Self {
        Self(hex::encode(rand::random::<[u8; 16]>()))
    }

    /// A name from a row or a folder.
    pub(crate) fn parse(text: String) -> Result<Self> {
        let is_name = text.len() == Self::LENGTH
            && text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if is_name {
            Ok(Self(text))
        } else {
            Err(Error::Corrupt(format!("{text:?} is no file name")))
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Name of the folder of the fan-out that the file lies in.
    fn folder(&self) -> &str {
        &self.0[..2]
    }
}

/// The folder of files, and which of its files are being written right now.
#[derive(Debug)]
pub(crate) struct Files {
    folder: PathBuf,
    in_flight: Mutex<HashSet<FileName>>,
    /// Removing a large file takes long: the maintenance thread does it.
    trash: mpsc::Sender<Trash>,
}

/// What the maintenance thread is sent.
#[derive(Debug)]
pub(crate) enum Trash {
    /// No row names this file any more.
    File(FileName),
    /// The store closes.
    Stop,
}

impl Files {
    /// Creates the folder and its fan-out where they are missing, durably: a file's own folder then never has to be
    /// created, and synced, while somebody waits for an upload.
    ///
    /// # Errors
    /// When the folders cannot be made.
    pub(crate) fn open(folder: PathBuf, trash: mpsc::Sender<Trash>) -> Result<Self> {
        create_folder(&folder)?;
        for number in 0..=u8::MAX {
            create_folder(&folder.join(hex::encode([number])))?;
        }
        sync_folder(&folder)?;
        Ok(Self {
            folder,
            in_flight: Mutex::default(),
            trash,
        })
    }

    /// Where a file is.
    pub(crate) fn path(&self, name: &FileName) -> PathBuf {
        self.folder.join(name.folder()).join(name.as_str())
    }

    /// Where the files are whose names start with this byte.
    pub(crate) fn fan_out(&self, first: u8) -> PathBuf {
        self.folder.join(hex::encode([first]))
    }

    /// Creates an empty file under a new name.
    ///
    /// # Errors
    /// When it cannot be created.
    pub(crate) fn create(self: &Arc<Self>) -> Result<(FileGuard, File)> {
        let guard = FileGuard {
            name: Some(FileName::random()),
            files: self.clone(),
        };
        // Before the file is there, so that the collection never takes it for garbage.
        self.lock().insert(guard.name().clone());
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(self.path(guard.name()))
            .map_err(Error::io("create a file"))?;
        Ok((guard, file))
    }

    /// Makes a file and its entry in its folder durable.
    ///
    /// # Errors
    /// When the system cannot; nothing is known of the file then, so it must not be used.
    pub(crate) fn sync(&self, guard: &FileGuard, file: &File) -> Result<()> {
        file.sync_all().map_err(Error::io("sync a file"))?;
        sync_folder(&self.folder.join(guard.name().folder()))
    }

    /// Whether the file is being written, or may be named by a row that is being committed.
    pub(crate) fn is_in_flight(&self, name: &FileName) -> bool {
        self.lock().contains(name)
    }

    /// Removes a file that no row names. Readers that have opened it keep reading. A failure is only logged: the
    /// collection finds the file again.
    pub(crate) fn remove(&self, name: FileName) {
        // Once the maintenance thread has gone there is nobody to wait for either.
        if let Err(mpsc::SendError(Trash::File(name))) = self.trash.send(Trash::File(name)) {
            self.remove_now(&name);
        }
    }

    /// [`Self::remove`] on this thread.
    pub(crate) fn remove_now(&self, name: &FileName) {
        match std::fs::remove_file(self.path(name)) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(file = name.as_str(), %error, "left an unnamed file behind"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<FileName>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file that no row names yet: dropping this removes it.
#[derive(Debug)]
pub(crate) struct FileGuard {
    /// `None` once it was kept or abandoned.
    name: Option<FileName>,
    files: Arc<Files>,
}

impl FileGuard {
    /// The file's name.
    ///
    /// # Panics
    /// Never: the name is taken only when the guard is consumed.
    pub(crate) fn name(&self) -> &FileName {
        self.name.as_ref().expect("the guard is not consumed")
    }

    /// A row names the file now.
    pub(crate) fn keep(mut self) {
        if let Some(name) = self.name.take() {
            self.files.lock().remove(&name);
        }
    }

    /// Nobody knows whether a row names the file: it stays, and is not collected before the next start.
    pub(crate) fn abandon(mut self) {
        self.name = None;
    }
}

impl Drop for FileGuard {
    fn drop(&mut self) {
        if let Some(name) = self.name.take() {
            self.files.lock().remove(&name);
            self.files.remove(name);
        }
    }
}

/// Creates a folder for the owner only; one that is there stays as it is.
///
/// # Errors
/// When it is not there afterwards.
pub(crate) fn create_folder(path: &Path) -> Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other.map_err(Error::io("create a folder")),
    }
}

/// Makes the entries of a folder durable.
///
/// # Errors
/// When the system cannot.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(Error::io("sync a folder"))
}
