//! Makes the rows of sources again from the files that carry their facts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use rusqlite::{Connection, params};
use tintype_model::{Job, ObjectKey, Order, Sequencer, Status, UnixMillis, Work};

use super::damage::{self, Damages};
use super::digest::{self, Fault};
use super::facts::{self, Facts};
use super::file::{Files, sync_folder};
use super::hold::Removals;
use super::name::{FileName, Kind};
use super::open::{self, DATABASE, OBJECTS};
use super::row::{self, Bucket, Row};
use super::salvage::{self, DatabaseState};
use super::schema::{self, key_text, next_sequencer, signed};
use super::survey::{self, Found};
use super::writer::Effects;
use super::{Clock, Error, Result, queue, record};

/// The number of sequencers that a rebuilt database leaves out, for deletions and failed uploads that it does not know.
const GAP: u64 = 1 << 20;

/// Name of the database while it is being made.
const WORK: &str = "tintype.db.rebuild";

/// The result of comparing the files of a data folder with its database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The state that the database was found in.
    pub database: DatabaseState,
    /// Sources whose rows and files agree.
    pub known: usize,
    /// Sources that no row named and whose files carry their facts. A rebuild makes their rows and queues them.
    pub found: usize,
    /// Keys whose rows name files that are not there, and for which no other file was found. A rebuild deletes them, as
    /// a client would.
    pub missing: Vec<String>,
    /// Keys whose files are shorter than their rows say. Their rows stay; reading them is an error.
    pub cut: Vec<String>,
    /// Keys whose files have other bytes than were stored, or cannot be read. Their rows stay; reading them is an
    /// error.
    pub altered: Vec<String>,
    /// Sources whose facts are damaged, so that they are lost without the database. A server
    /// writes them again.
    pub without_facts: usize,
    /// Pictures of which renditions are missing. A rebuild queues them.
    pub incomplete: usize,
    /// Files that may be sources and belong to no key: older than the key's present source, or without facts. A
    /// rebuild moves them to `lost+found`.
    pub unclaimed: usize,
    /// Files of sources that the database knows to be deleted. A rebuild removes them.
    pub deleted: usize,
}

impl Verified {
    /// Tells whether a rebuild has nothing to do.
    #[must_use]
    pub fn is_consistent(&self) -> bool {
        self.database == DatabaseState::Whole
            && self.found == 0
            && self.missing.is_empty()
            && self.cut.is_empty()
            && self.altered.is_empty()
            && self.without_facts == 0
            && self.incomplete == 0
            && self.unclaimed == 0
            && self.deleted == 0
    }
}

/// The way in which files are compared with their rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparing {
    /// By their sizes, which reads no file.
    Sizes,
    /// By their sizes and the digests that they were stored with, which reads every file.
    Digests,
}

/// Tells what [`rebuild`] would do, and changes nothing.
///
/// # Errors
/// [`Error::Locked`] while a server runs, [`Error::TooNew`], [`Error::Io`], [`Error::Sqlite`].
pub fn verify(data: &Path, comparing: Comparing) -> Result<Verified> {
    if !data.join(OBJECTS).is_dir() && !data.join(DATABASE).is_file() {
        let nothing = std::io::Error::from(std::io::ErrorKind::NotFound);
        return Err(Error::io("find a store in the data folder")(nothing));
    }
    let _lock = open::enter(data)?;
    let (verified, _, _) = reconcile(data, comparing)?;
    remove_work(data)?;
    Ok(verified)
}

/// Makes a database whose rows agree with the files. The old one is kept in `lost+found`.
///
/// After an interruption it can be run again.
///
/// # Errors
/// As [`verify`].
pub fn rebuild(data: &Path, comparing: Comparing) -> Result<Verified> {
    let _lock = open::enter(data)?;
    let (verified, files, aside) = reconcile(data, comparing)?;
    let stamp = Clock::system().wall().0;
    let old = [
        DATABASE.to_owned(),
        format!("{DATABASE}-wal"),
        format!("{DATABASE}-shm"),
    ];
    let kept = data.join(survey::LOST_AND_FOUND);
    super::file::create_folder(&kept)?;
    for name in old {
        match std::fs::rename(data.join(&name), kept.join(format!("{stamp}-{name}"))) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io("keep the old database")(error)),
        }
    }
    std::fs::rename(data.join(WORK), data.join(DATABASE)).map_err(Error::io("put the database in place"))?;
    sync_folder(&kept)?;
    sync_folder(data)?;
    survey::set_aside(data, aside.into_iter().map(|name| place(&files, &name)))?;
    Ok(verified)
}

fn place(files: &Files, name: &FileName) -> PathBuf {
    let staged = files.staged_path(name);
    if staged.exists() { staged } else { files.path(name) }
}

fn remove_work(data: &Path) -> Result<()> {
    for ending in ["", "-wal", "-shm"] {
        match std::fs::remove_file(data.join(format!("{WORK}{ending}"))) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io("remove an unfinished database")(error)),
        }
    }
    Ok(())
}

/// Makes the new database beside the old one, and returns the files that are to be set aside.
fn reconcile(data: &Path, comparing: Comparing) -> Result<(Verified, Files, Vec<FileName>)> {
    remove_work(data)?;
    let (trash, _nobody) = mpsc::channel();
    let files = Files::open(
        data.join(OBJECTS),
        Removals::open(data)?,
        Damages::unheard(),
        trash,
    )?;
    let database = salvage::examine(data)?;
    let work = data.join(WORK);
    if database == DatabaseState::Whole {
        let old = salvage::open(&data.join(DATABASE))?;
        old.execute("VACUUM INTO ?1", params![work.to_string_lossy()])?;
    }
    let (mut connection, _) = schema::open_writer(&work)?;
    let mut state = Reconciler {
        files: &files,
        comparing,
        now: Clock::system().steady(),
        highest: 0,
        aside: Vec::new(),
        verified: Verified {
            database,
            known: 0,
            found: 0,
            missing: Vec::new(),
            cut: Vec::new(),
            altered: Vec::new(),
            without_facts: 0,
            incomplete: 0,
            unclaimed: 0,
            deleted: 0,
        },
    };
    let transaction = connection.transaction()?;
    if let DatabaseState::Damaged(_) = state.verified.database {
        state.fill(&transaction, data)?;
    }
    state.run(&transaction)?;
    transaction.commit()?;
    // One file without a log, so that it can be put in place at once.
    connection.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
    connection.close().map_err(|(_, error)| error)?;
    std::fs::File::open(&work)
        .and_then(|file| file.sync_all())
        .map_err(Error::io("sync the database"))?;
    let Reconciler { verified, aside, .. } = state;
    Ok((verified, files, aside))
}

struct Reconciler<'a> {
    files: &'a Files,
    comparing: Comparing,
    now: UnixMillis,
    /// The highest order that was seen.
    highest: u64,
    aside: Vec<FileName>,
    verified: Verified,
}

impl Reconciler<'_> {
    /// Takes over the rows that can be read of a damaged database. Sources whose files carry facts are made from those
    /// instead.
    fn fill(&mut self, connection: &Connection, data: &Path) -> Result<()> {
        let salvaged = salvage::salvage(data);
        self.highest = salvaged.sequencer;
        for record in salvaged.tombstones {
            record::put(connection, &record)?;
        }
        let mut effects = Effects::default();
        for name in salvaged.trash {
            effects.drop_file(connection, name)?;
        }
        for (name, facts) in salvaged.sources.into_values() {
            if name.kind() == Kind::Legacy && self.length(&name)?.is_some() {
                self.insert(connection, &mut effects, name, facts)?;
            }
        }
        Ok(())
    }

    /// Makes the row of a source, and its job.
    fn insert(
        &self,
        connection: &Connection,
        effects: &mut Effects,
        name: FileName,
        facts: Facts,
    ) -> Result<()> {
        let order = facts.order;
        row::insert(connection, effects, Bucket::Sources, name, facts, order, self.now)?;
        Ok(())
    }

    fn run(&mut self, connection: &Connection) -> Result<()> {
        let missing = self.check_sources(connection)?;
        let incomplete = self.check_renditions(connection)?;
        self.add_found(connection)?;
        self.highest = self.highest.max(schema::last_sequencer(connection)?);
        let is_changed = self.verified.found > 0 || !missing.is_empty();
        if is_changed || self.verified.database != DatabaseState::Whole {
            connection.execute(
                "UPDATE counters SET value = ?1 WHERE name = 'sequencer'",
                params![signed(self.highest.saturating_add(GAP))],
            )?;
        }
        let mut effects = Effects::default();
        for key in missing {
            if row::find(connection, Bucket::Sources, key.as_str())?.is_none() {
                let order = Order::of_event(Sequencer::from_counter(next_sequencer(connection, 0)?));
                let work = Work::Remove;
                self.verified.missing.push(key.as_str().to_owned());
                queue::insert(connection, &mut effects, &Job { key, order, work }, self.now)?;
            }
        }
        for key in incomplete {
            let Some(row) = row::find(connection, Bucket::Sources, key.as_str())? else {
                continue;
            };
            let Some(record) = record::find(connection, key.as_str())? else {
                continue;
            };
            let order = Order::of_event(Sequencer::from_counter(row.sequencer))
                .max(record.newest_order().next_revision());
            let work = Work::Render { etag: row.etag };
            self.verified.incomplete += 1;
            queue::insert(connection, &mut effects, &Job { key, order, work }, self.now)?;
        }
        Ok(())
    }

    /// Deletes the rows of sources whose files are gone, and returns their keys.
    fn check_sources(&mut self, connection: &Connection) -> Result<Vec<ObjectKey>> {
        connection.execute("DELETE FROM damaged", [])?;
        let mut missing = Vec::new();
        for key in keys(connection, Bucket::Sources)? {
            let Some(row) = row::find(connection, Bucket::Sources, &key)? else {
                continue;
            };
            match self.examine(&row)? {
                None => {
                    self.verified.known += 1;
                    let opened = self.files.open_named(&row.file);
                    self.verified.without_facts += usize::from(digest::lacks_facts(opened, &row)?);
                }
                Some(Fault::Missing) => {
                    connection
                        .prepare_cached("DELETE FROM objects WHERE bucket = ?1 AND key = ?2")?
                        .execute(params![Bucket::Sources.number(), key.as_bytes()])?;
                    missing.push(ObjectKey::new(key)?);
                }
                Some(fault) => self.tell(connection, &row, fault)?,
            }
        }
        Ok(missing)
    }

    /// Notes a source that is damaged, in the result and in the database.
    fn tell(&mut self, connection: &Connection, row: &Row, fault: Fault) -> Result<()> {
        let named = match fault {
            Fault::Missing | Fault::Cut => &mut self.verified.cut,
            Fault::Altered | Fault::Unreadable => &mut self.verified.altered,
        };
        named.push(row.key.clone());
        damage::write_down(connection, &row.file, fault, Clock::system().wall())
    }

    /// Deletes the rows of renditions whose files are gone or damaged, and returns the keys of the pictures.
    fn check_renditions(&self, connection: &Connection) -> Result<BTreeSet<ObjectKey>> {
        let mut pictures = BTreeSet::new();
        for rendition in keys(connection, Bucket::Renditions)? {
            let Some(row) = row::find(connection, Bucket::Renditions, &rendition)? else {
                continue;
            };
            if self.examine(&row)?.is_none() {
                continue;
            }
            connection
                .prepare_cached("DELETE FROM objects WHERE bucket = ?1 AND key = ?2")?
                .execute(params![Bucket::Renditions.number(), rendition.as_bytes()])?;
            let mut published =
                connection.prepare_cached("SELECT key FROM published WHERE rendition = ?1")?;
            let of = published.query_map(params![rendition.as_bytes()], |row| row.get::<_, Vec<u8>>(0))?;
            for key in of {
                pictures.insert(ObjectKey::new(key_text(key?)?)?);
            }
        }
        Ok(pictures)
    }

    /// Compares the file of a row.
    fn examine(&self, row: &Row) -> Result<Option<Fault>> {
        let opened = self.files.open_named(&row.file);
        match self.comparing {
            Comparing::Digests => digest::examine(opened, row, |_| Ok(())),
            Comparing::Sizes => digest::examine_size(opened, row),
        }
    }

    /// Makes rows of the files that no row names.
    fn add_found(&mut self, connection: &Connection) -> Result<()> {
        let Found { staged, unknown, .. } = survey::everything(connection, self.files)?;
        // By a whole database these were never acknowledged, unless it is older than they are.
        let is_whole = self.verified.database == DatabaseState::Whole;
        let mut winners: BTreeMap<ObjectKey, (FileName, Facts)> = BTreeMap::new();
        for name in unknown {
            self.claim(name, &mut winners)?;
        }
        for name in staged {
            if is_whole {
                self.verified.unclaimed += 1;
                self.aside.push(name);
            } else {
                self.claim(name, &mut winners)?;
            }
        }
        for (key, (name, facts)) in winners {
            self.highest = self.highest.max(facts.order);
            if is_deleted(connection, &key, facts.order)? {
                self.verified.deleted += 1;
                Effects::default().drop_file(connection, name)?;
                continue;
            }
            let current = row::find(connection, Bucket::Sources, key.as_str())?;
            if let Some(current) = current {
                self.verified.unclaimed += 1;
                if current.sequencer >= facts.order {
                    self.aside.push(name);
                    continue;
                }
                self.verified.known = self.verified.known.saturating_sub(1);
                self.aside.push(current.file);
            }
            self.insert(connection, &mut Effects::default(), name, facts)?;
            self.verified.found += 1;
            if let Some(row) = row::find(connection, Bucket::Sources, key.as_str())?
                && let Some(fault) = self.examine(&row)?
            {
                self.tell(connection, &row, fault)?;
            }
        }
        Ok(())
    }

    /// Enters a file for its key; the one that was uploaded last wins.
    fn claim(&mut self, name: FileName, winners: &mut BTreeMap<ObjectKey, (FileName, Facts)>) -> Result<()> {
        let facts = match name.kind() {
            Kind::Source => {
                let file = self.files.open_named(&name).map_err(Error::io("open a file"))?;
                facts::read(&file)?
            }
            Kind::Legacy | Kind::Rendition | Kind::Part => None,
        };
        let Some(facts) = facts else {
            self.verified.unclaimed += 1;
            self.aside.push(name);
            return Ok(());
        };
        let key = facts.key.clone();
        let loser = match winners.get(&key) {
            Some((_, winner)) if winner.order >= facts.order => Some(name),
            _ => winners.insert(key, (name, facts)).map(|(name, _)| name),
        };
        self.verified.unclaimed += usize::from(loser.is_some());
        self.aside.extend(loser);
        Ok(())
    }

    /// The length of a file; `None` when it is not there.
    fn length(&self, name: &FileName) -> Result<Option<u64>> {
        match self.files.open_named(name).and_then(|file| file.metadata()) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("look at a file")(error)),
        }
    }
}

/// Tells whether the source was deleted after this upload.
fn is_deleted(connection: &Connection, key: &ObjectKey, order: u64) -> Result<bool> {
    let record = record::find(connection, key.as_str())?;
    // The tombstone of a folder marker stands for a source that exists.
    Ok(record.is_some_and(|record| {
        record.status == Status::Deleted
            && record.source.is_none()
            && record.newest_order().sequencer > Sequencer::from_counter(order)
    }))
}

fn keys(connection: &Connection, bucket: Bucket) -> Result<Vec<String>> {
    let mut statement = connection.prepare("SELECT key FROM objects WHERE bucket = ?1")?;
    let keys = statement.query_map(params![bucket.number()], |row| row.get::<_, Vec<u8>>(0))?;
    keys.map(|key| key_text(key?)).collect()
}
