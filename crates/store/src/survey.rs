//! Compares the files of a folder with the rows.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, params};

use super::file::{Files, create_folder, sync_folder};
use super::name::{EntryName, FileName, Kind};
use super::{Error, Result};

/// Files that are not being written and whose rows are not being committed.
#[derive(Debug)]
pub(crate) struct Listed {
    entries: Vec<EntryName>,
}

impl Listed {
    pub(crate) const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// The files that do not agree with the rows, by what they can be.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Files in no row that are no sources by their names: unfinished uploads, renditions and parts.
    pub(crate) garbage: Vec<EntryName>,
    /// Files that a row names and that lack only their final name.
    pub(crate) committed: Vec<FileName>,
    /// Whole uploads that no row names: never acknowledged, unless the database was lost since.
    pub(crate) staged: Vec<FileName>,
    /// Files in no row that a committed row of this or another database has named: they may be sources.
    pub(crate) unknown: Vec<FileName>,
}

impl Found {
    /// Adds the files of another part of the folder.
    pub(crate) fn append(&mut self, other: Self) {
        self.garbage.extend(other.garbage);
        self.committed.extend(other.committed);
        self.staged.extend(other.staged);
        self.unknown.extend(other.unknown);
    }

    /// Removes garbage, and returns the number of files. Nothing is removed while a backup is being taken.
    pub(crate) fn remove_garbage(&self, files: &Files) -> usize {
        let Some(permit) = files.removals().permit() else {
            return 0;
        };
        let removed = self
            .garbage
            .iter()
            .filter(|entry| files.remove_path(&path(files, entry)))
            .count();
        drop(permit);
        removed
    }

    /// Gives files their final names that a crash kept from them.
    ///
    /// # Errors
    /// Errors of the file system.
    pub(crate) fn name_committed(&self, files: &Files) -> Result<()> {
        for name in &self.committed {
            std::fs::rename(files.staged_path(name), files.path(name)).map_err(Error::io("name a file"))?;
        }
        Ok(())
    }
}

/// Removes files that this database named and names no more, durably: a power cut does not bring them back. Returns the
/// number that was left to remove; `None`, and nothing is done, while a backup is being taken.
///
/// # Errors
/// Errors of the file system.
pub(crate) fn empty_trash(files: &Files, trash: &[FileName]) -> Result<Option<usize>> {
    let Some(permit) = files.removals().permit() else {
        return Ok(None);
    };
    let mut removed = 0;
    for name in trash {
        let is_source = name.kind() == Kind::Source;
        removed += usize::from(files.remove_path(&files.path(name)));
        removed += usize::from(is_source && files.remove_path(&files.staged_path(name)));
    }
    let folders: BTreeSet<&str> = trash.iter().map(FileName::folder).collect();
    for folder in folders {
        files.sync_fan_out(folder)?;
    }
    drop(permit);
    Ok(Some(removed))
}

/// The files that this database named and names no more.
///
/// # Errors
/// Errors of SQLite.
pub(crate) fn trash(connection: &Connection) -> Result<Vec<FileName>> {
    let mut statement = connection.prepare_cached("SELECT file FROM trash")?;
    let files = statement.query_map([], |row| row.get::<_, String>(0))?;
    files.map(|file| FileName::parse(&file?)).collect()
}

/// Removes the entries of files that were removed durably.
///
/// # Errors
/// Errors of SQLite.
pub(crate) fn forget(connection: &Connection, trash: &[FileName]) -> Result<()> {
    let mut statement = connection.prepare_cached("DELETE FROM trash WHERE file = ?1")?;
    for name in trash {
        statement.execute(params![name.as_str()])?;
    }
    Ok(())
}

/// The path of an entry.
pub(crate) fn path(files: &Files, entry: &EntryName) -> PathBuf {
    match entry {
        EntryName::Unfinished(stem) => files.unfinished_path(stem),
        EntryName::Staged(name) => files.staged_path(name),
        EntryName::Whole(name) => files.path(name),
    }
}

/// The files whose names start with this byte and that are at least `min_age` old.
///
/// # Errors
/// Errors of the file system.
pub(crate) fn list(files: &Files, first: u8, min_age: Duration) -> Result<Listed> {
    let mut entries = Vec::new();
    let folder = match std::fs::read_dir(files.fan_out(first)) {
        Ok(folder) => folder,
        // Removed by an operator; it is made again when a file is written there.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Listed { entries }),
        Err(error) => return Err(Error::io("list a folder")(error)),
    };
    for entry in folder {
        let entry = entry.map_err(Error::io("list a folder"))?;
        // A file with any other name is not a store's.
        let Some(name) = entry.file_name().to_str().and_then(EntryName::read) else {
            continue;
        };
        if !files.is_in_flight(name.stem()) && is_older(&entry.path(), min_age) {
            entries.push(name);
        }
    }
    Ok(Listed { entries })
}

fn is_older(path: &Path, min_age: Duration) -> bool {
    if min_age.is_zero() {
        return true;
    }
    // A file without a date is left for the next start.
    let modified = path.metadata().and_then(|metadata| metadata.modified());
    modified.is_ok_and(|modified| {
        SystemTime::now()
            .duration_since(modified)
            .is_ok_and(|age| age >= min_age)
    })
}

/// Looks files up in the rows.
///
/// # Errors
/// Errors of SQLite.
pub(crate) fn compare(connection: &Connection, listed: Listed) -> Result<Found> {
    let mut named = connection.prepare_cached(
        "SELECT 1 FROM objects WHERE file = ?1 UNION ALL SELECT 1 FROM parts WHERE file = ?1 LIMIT 1",
    )?;
    let mut dropped = connection.prepare_cached("SELECT 1 FROM trash WHERE file = ?1")?;
    let mut found = Found::default();
    for entry in listed.entries {
        let name = match &entry {
            EntryName::Unfinished(_) => {
                found.garbage.push(entry);
                continue;
            }
            EntryName::Staged(name) | EntryName::Whole(name) => name,
        };
        let is_named = named.exists(params![name.as_str()])?;
        let is_dropped = !is_named && dropped.exists(params![name.as_str()])?;
        match (entry, is_named) {
            (EntryName::Staged(name), true) => found.committed.push(name),
            (EntryName::Unfinished(_) | EntryName::Whole(_), true) => {}
            // Emptied by itself.
            (EntryName::Staged(_) | EntryName::Whole(_), false) if is_dropped => {}
            (EntryName::Staged(name), false) => found.staged.push(name),
            (EntryName::Whole(name), false) => match name.kind() {
                Kind::Rendition | Kind::Part => found.garbage.push(EntryName::Whole(name)),
                Kind::Source | Kind::Legacy => found.unknown.push(name),
            },
            (unfinished @ EntryName::Unfinished(_), false) => found.garbage.push(unfinished),
        }
    }
    Ok(found)
}

/// Compares every file with the rows. Only while nothing is written.
///
/// # Errors
/// Errors of SQLite or of the file system.
pub(crate) fn everything(connection: &Connection, files: &Files) -> Result<Found> {
    let mut found = Found::default();
    for first in 0..=u8::MAX {
        let listed = list(files, first, Duration::ZERO)?;
        if !listed.is_empty() {
            found.append(compare(connection, listed)?);
        }
    }
    Ok(found)
}

/// Moves files to `DATA/lost+found`, where nothing is ever collected.
///
/// # Errors
/// Errors of the file system.
pub(crate) fn set_aside(data: &Path, paths: impl IntoIterator<Item = PathBuf>) -> Result<usize> {
    let folder = data.join(LOST_AND_FOUND);
    let mut moved = 0;
    for path in paths {
        let Some(name) = path.file_name() else { continue };
        if moved == 0 {
            create_folder(&folder)?;
        }
        match std::fs::rename(&path, folder.join(name)) {
            Ok(()) => moved += 1,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io("move a file to lost+found")(error)),
        }
    }
    if moved > 0 {
        sync_folder(&folder)?;
        sync_folder(data)?;
    }
    Ok(moved)
}

/// The folder of files that belong to no key.
pub(crate) const LOST_AND_FOUND: &str = "lost+found";
