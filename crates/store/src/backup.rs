//! Copies a store while it is in use.

use std::fs::{DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::mpsc;

use rusqlite::{Connection, params};

use super::damage::Damages;
use super::file::{Files, create_folder, sync_folder};
use super::hold::{Removals, hold};
use super::name::{FileName, Kind};
use super::open::{DATABASE, OBJECTS};
use super::salvage;
use super::{Error, Result};

/// Name of the copy of the database until all files that it names are there.
const PARTIAL: &str = "tintype.db.partial";

/// The contents of a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackedUp {
    /// Files with bytes of objects.
    pub files: usize,
    /// The number of them that are second names of the same bytes on the same disk.
    pub linked: usize,
    /// Files that rows name and that are not there. The store was damaged before.
    pub missing: Vec<String>,
}

/// Makes `target`, which must not be there or be empty, a copy of a data folder that a server may be using meanwhile.
///
/// It holds every write that was acknowledged before the call, and is consistent: the database is copied in one
/// transaction, and while this runs the server removes no file. On the same file system files are linked, since they
/// never change; elsewhere they are copied.
///
/// # Errors
/// [`Error::Io`] when the target is not empty or cannot be written, [`Error::Full`], [`Error::Corrupt`],
/// [`Error::Sqlite`].
pub fn backup(data: &Path, target: &Path) -> Result<BackedUp> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(target)
        .map_err(Error::io("create the folder of the backup"))?;
    let mut entries = std::fs::read_dir(target).map_err(Error::io("list the folder of the backup"))?;
    if entries.next().is_some() {
        let taken = std::io::Error::from(ErrorKind::DirectoryNotEmpty);
        return Err(Error::io("make a backup in a folder that is not empty")(taken));
    }
    let database = salvage::open(&data.join(DATABASE))?;
    let hold = hold(data)?;
    let partial = target.join(PARTIAL);
    database.execute("VACUUM INTO ?1", params![partial.to_string_lossy()])?;
    drop(database);
    let copied = copy_files(data, target, &salvage::open(&partial)?)?;
    drop(hold);
    copy_settings(data, target)?;
    let file = File::open(&partial).map_err(Error::io("open the copy of the database"))?;
    file.sync_all()
        .map_err(Error::io("sync the copy of the database"))?;
    // A backup that was interrupted has no database, so it cannot be taken for a complete one.
    std::fs::rename(&partial, target.join(DATABASE)).map_err(Error::io("name the copy of the database"))?;
    sync_folder(target)?;
    if let Some(parent) = target.canonicalize().ok().as_deref().and_then(Path::parent) {
        sync_folder(parent)?;
    }
    Ok(copied)
}

fn copy_files(data: &Path, target: &Path, snapshot: &Connection) -> Result<BackedUp> {
    let (trash, _nobody) = mpsc::channel();
    let from = Files::open(
        data.join(OBJECTS),
        Removals::open(data)?,
        Damages::unheard(),
        trash.clone(),
    )?;
    let to = Files::open(
        target.join(OBJECTS),
        Removals::open(target)?,
        Damages::unheard(),
        trash,
    )?;
    let mut copied = BackedUp::default();
    let mut statement = snapshot.prepare("SELECT file FROM objects UNION ALL SELECT file FROM parts")?;
    let names = statement.query_map([], |row| row.get::<_, String>(0))?;
    for name in names {
        let name = FileName::parse(&name?)?;
        match copy_file(&from, &to, &name)? {
            Some(is_linked) => {
                copied.files += 1;
                copied.linked += usize::from(is_linked);
            }
            None => copied.missing.push(name.as_str().to_owned()),
        }
    }
    for first in 0..=u8::MAX {
        sync_folder(&to.fan_out(first))?;
    }
    Ok(copied)
}

/// Links a file into the backup, or copies it where it cannot be linked; tells whether it was linked, `None` when it is
/// not there.
fn copy_file(from: &Files, to: &Files, name: &FileName) -> Result<Option<bool>> {
    let target = to.path(name);
    // A file gets its final name a moment after its row.
    let mut sources = vec![from.path(name)];
    if name.kind() == Kind::Source {
        sources.extend([from.staged_path(name), from.path(name)]);
    }
    for source in sources {
        match std::fs::hard_link(&source, &target) {
            Ok(()) => return Ok(Some(true)),
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(_) => {}
        }
        match std::fs::copy(&source, &target) {
            Ok(_) => {
                File::open(&target)
                    .and_then(|file| file.sync_all())
                    .map_err(Error::io("sync a copied file"))?;
                return Ok(Some(false));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io("copy a file")(error)),
        }
    }
    Ok(None)
}

/// Copies the keys, tokens and settings that lie beside the database.
fn copy_settings(data: &Path, target: &Path) -> Result<()> {
    let failed = Error::io("copy the settings");
    for entry in std::fs::read_dir(data).map_err(&failed)? {
        let entry = entry.map_err(&failed)?;
        let name = entry.file_name();
        let text = name.to_string_lossy();
        let is_ours = text.starts_with(DATABASE) || text == "lock" || text == "removals.lock";
        if is_ours || !entry.file_type().map_err(&failed)?.is_file() {
            continue;
        }
        let copy = target.join(&name);
        std::fs::copy(entry.path(), &copy).map_err(&failed)?;
        File::open(&copy)
            .and_then(|file| file.sync_all())
            .map_err(&failed)?;
    }
    create_folder(&target.join(OBJECTS))
}
