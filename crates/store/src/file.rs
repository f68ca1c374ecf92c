use std::collections::HashSet;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use super::damage::Damages;
use super::hold::Removals;
use super::name::{FileName, Kind, STAGED, Stem};
use super::{Error, Result};

/// The folder of files, and a list of those that are being written.
///
/// A file is written as `{stem}.new`. Once it is whole and synced its name says its [`Kind`]; a source's is
/// `{name}.new` until the row that names it is committed. So a file with a source's final name was named by a committed
/// row, and only such a file can be unknown to a lost or older database.
#[derive(Debug)]
pub(crate) struct Files {
    folder: PathBuf,
    in_flight: Mutex<HashSet<Stem>>,
    /// The highest number that was given to an upload or a deletion.
    orders: AtomicU64,
    removals: Removals,
    damages: Damages,
    /// The maintenance thread, which removes files: a large one takes long.
    trash: mpsc::Sender<Trash>,
}

/// A message to the maintenance thread.
#[derive(Debug)]
pub(crate) enum Trash {
    /// Remove this file, which no row names any more.
    File(FileName),
    /// Remove this file, which no row ever named.
    Staged(PathBuf),
    /// The store closes.
    Stop,
}

impl Files {
    /// Creates the folder and its fan-out where they are missing, durably: a file's own folder then never has to be
    /// created, and synced, while somebody waits for an upload.
    ///
    /// # Errors
    /// When the folders cannot be made.
    pub(crate) fn open(
        folder: PathBuf,
        removals: Removals,
        damages: Damages,
        trash: mpsc::Sender<Trash>,
    ) -> Result<Self> {
        create_folder(&folder)?;
        for number in 0..=u8::MAX {
            create_folder(&folder.join(hex::encode([number])))?;
        }
        sync_folder(&folder)?;
        Ok(Self {
            folder,
            in_flight: Mutex::default(),
            orders: AtomicU64::new(0),
            removals,
            damages,
            trash,
        })
    }

    /// The path of a file that a committed row names.
    pub(crate) fn path(&self, name: &FileName) -> PathBuf {
        self.folder.join(name.folder()).join(name.as_str())
    }

    /// The path of a source that is whole and that no committed row names.
    pub(crate) fn staged_path(&self, name: &FileName) -> PathBuf {
        let mut file = name.as_str().to_owned();
        file.push_str(STAGED);
        self.folder.join(name.folder()).join(file)
    }

    /// The path of a file while it is being written.
    pub(crate) fn unfinished_path(&self, stem: &Stem) -> PathBuf {
        self.folder
            .join(stem.folder())
            .join(format!("{}{STAGED}", stem.as_str()))
    }

    /// The folder of the files whose names start with this byte.
    pub(crate) fn fan_out(&self, first: u8) -> PathBuf {
        self.folder.join(hex::encode([first]))
    }

    /// Opens a file that a row names.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when it is not there, and any other error of the system.
    pub(crate) fn open_named(&self, name: &FileName) -> std::io::Result<File> {
        let open = || File::open(self.path(name));
        match open() {
            // A row can be read a moment before its file gets its final name.
            Err(error) if error.kind() == ErrorKind::NotFound && name.kind() == Kind::Source => {
                match File::open(self.staged_path(name)) {
                    Err(error) if error.kind() == ErrorKind::NotFound => open(),
                    other => other,
                }
            }
            other => other,
        }
    }

    /// Creates an empty file under a new name.
    ///
    /// # Errors
    /// When it cannot be created.
    pub(crate) fn create(self: &Arc<Self>) -> Result<(FileGuard, File)> {
        let stem = Stem::random();
        // Noted before the file exists, so that the collection never removes it.
        self.lock().insert(stem.clone());
        let guard = FileGuard {
            path: self.unfinished_path(&stem),
            stem: Some(stem),
            name: None,
            files: self.clone(),
        };
        let create = || {
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&guard.path)
        };
        let file = match create() {
            // Somebody has removed a folder of the fan-out.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if let Some(folder) = guard.path.parent() {
                    create_folder(folder)?;
                    sync_folder(&self.folder)?;
                }
                create()
            }
            created => created,
        };
        Ok((guard, file.map_err(Error::io("create a file"))?))
    }

    /// A second name for a file that a row names, for a row that is to name it as a source with facts.
    ///
    /// # Errors
    /// When the system cannot; the guard of a name that was made removes it.
    pub(crate) fn adopt(self: &Arc<Self>, old: &FileName) -> Result<FileGuard> {
        let stem = Stem::random();
        let name = stem.of_kind(Kind::Source);
        self.lock().insert(stem.clone());
        let guard = FileGuard {
            path: self.staged_path(&name),
            stem: Some(stem),
            name: Some(name),
            files: self.clone(),
        };
        std::fs::hard_link(self.path(old), &guard.path).map_err(Error::io("link a file"))?;
        sync_folder(&self.folder.join(guard.name()?.folder()))?;
        Ok(guard)
    }

    /// The next number for an upload or a deletion: higher than all before it.
    pub(crate) fn next_order(&self) -> u64 {
        self.orders.fetch_add(1, Ordering::SeqCst).saturating_add(1)
    }

    /// Makes all later orders higher than this one.
    pub(crate) fn note_order(&self, order: u64) {
        self.orders.fetch_max(order, Ordering::SeqCst);
    }

    /// Tells whether the file is being written, or may be named by a row that is being committed.
    pub(crate) fn is_in_flight(&self, stem: &Stem) -> bool {
        self.lock().contains(stem)
    }

    /// Removes a file that no row names any more. Readers that have opened it keep reading. A failure is only logged:
    /// the collection finds the file again.
    pub(crate) fn remove(&self, name: FileName) {
        self.damages.forget(&name);
        self.discard(Trash::File(name));
    }

    fn discard(&self, trash: Trash) {
        // Without the maintenance thread the store is closing, and nothing waits for this thread.
        if let Err(mpsc::SendError(trash)) = self.trash.send(trash) {
            match trash {
                Trash::File(name) => self.remove_now(&name),
                Trash::Staged(path) => {
                    self.remove_path(&path);
                }
                Trash::Stop => {}
            }
        }
    }

    /// Removes it on this thread. While a backup is being taken the file stays, for the collection.
    pub(crate) fn remove_now(&self, name: &FileName) {
        let Some(_permit) = self.removals.permit() else {
            return;
        };
        self.remove_path(&self.path(name));
        if name.kind() == Kind::Source {
            self.remove_path(&self.staged_path(name));
        }
    }

    /// Removes a file that no row names, and tells whether it was there and is gone.
    pub(crate) fn remove_path(&self, path: &Path) -> bool {
        match std::fs::remove_file(path) {
            Ok(()) => true,
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "left an unnamed file behind");
                false
            }
        }
    }

    /// Makes the entries of a folder of the fan-out durable.
    ///
    /// # Errors
    /// When the system cannot.
    pub(crate) fn sync_fan_out(&self, folder: &str) -> Result<()> {
        sync_folder(&self.folder.join(folder))
    }

    /// Files that are known to be damaged.
    pub(crate) fn damages(&self) -> &Damages {
        &self.damages
    }

    /// The right to remove files; `None` while a backup is being taken.
    pub(crate) fn removals(&self) -> &Removals {
        &self.removals
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Stem>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file that no row names yet: dropping this removes it.
#[derive(Debug)]
pub(crate) struct FileGuard {
    /// `None` once it was kept or abandoned.
    stem: Option<Stem>,
    /// Given when the file is whole and synced.
    name: Option<FileName>,
    /// The present path of the file.
    path: PathBuf,
    files: Arc<Files>,
}

impl FileGuard {
    /// The name for a row.
    ///
    /// # Errors
    /// [`Error::Closed`] before the file is [sealed](Self::seal), which would be a mistake of the caller.
    pub(crate) fn name(&self) -> Result<&FileName> {
        self.name.as_ref().ok_or(Error::Closed)
    }

    /// The folder of files that it is in.
    pub(crate) fn files(&self) -> &Arc<Files> {
        &self.files
    }

    /// Ends the file with `trailer`, gives it a name that says its kind, and makes both durable.
    ///
    /// # Errors
    /// When the system cannot; nothing is known of the file then, so it must not be used.
    pub(crate) fn seal(&mut self, mut file: File, kind: Kind, trailer: &[u8]) -> Result<()> {
        let Some(stem) = &self.stem else {
            return Err(Error::Closed);
        };
        let name = stem.of_kind(kind);
        let sealed = match kind {
            Kind::Source => self.files.staged_path(&name),
            Kind::Rendition | Kind::Part | Kind::Legacy => self.files.path(&name),
        };
        file.write_all(trailer).map_err(Error::io("write a file"))?;
        file.sync_all().map_err(Error::io("sync a file"))?;
        std::fs::rename(&self.path, &sealed).map_err(Error::io("name a file"))?;
        self.path = sealed;
        sync_folder(&self.files.folder.join(name.folder()))?;
        self.name = Some(name);
        Ok(())
    }

    /// Gives the file its final name: a committed row names it now.
    pub(crate) fn keep(mut self) {
        if let Some(name) = &self.name
            && name.kind() == Kind::Source
            && let Err(error) = std::fs::rename(&self.path, self.files.path(name))
        {
            // It is found under this name too, and the next start tries again.
            tracing::warn!(file = name.as_str(), %error, "could not give a file its final name");
        }
        if let Some(stem) = self.stem.take() {
            self.files.lock().remove(&stem);
        }
    }

    /// Keeps the file until the next start, which collects it unless a row names it: the result of the commit is not known.
    pub(crate) fn abandon(mut self) {
        self.stem = None;
    }
}

impl Drop for FileGuard {
    fn drop(&mut self) {
        if let Some(stem) = self.stem.take() {
            self.files.lock().remove(&stem);
            self.files.discard(Trash::Staged(std::mem::take(&mut self.path)));
        }
    }
}

/// Creates a folder for the owner only; one that is there stays as it is.
///
/// # Errors
/// When it is not there afterwards.
pub(crate) fn create_folder(path: &Path) -> Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
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
