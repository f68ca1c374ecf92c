//! The files that are known to be damaged, and the jobs that make damaged renditions again.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};

use rusqlite::{Connection, OptionalExtension, params};
use tintype_model::{Job, ObjectKey, Status, UnixMillis, Work};

use super::digest::{Damage, Fault};
use super::name::FileName;
use super::row::{self, Bucket, Row};
use super::schema::{key_text, signed};
use super::scrub::Message;
use super::writer::Effects;
use super::{Error, Result, queue, record};

/// Files that are known to be damaged.
#[derive(Debug)]
pub(crate) struct Damages {
    known: Mutex<HashMap<FileName, Damage>>,
    reports: mpsc::Sender<Message>,
}

impl Damages {
    /// No known damage yet; new damage is sent to `reports`.
    pub(crate) fn new(reports: mpsc::Sender<Message>) -> Self {
        Self {
            known: Mutex::default(),
            reports,
        }
    }

    /// The same without a receiver: damage is not repaired.
    pub(crate) fn unheard() -> Self {
        Self::new(mpsc::channel().0)
    }

    /// The error of a read of the object's bytes. Damage that was not known is logged, and reported for repair.
    pub(crate) fn report(&self, bucket: Bucket, row: &Row, fault: Fault) -> Error {
        let damage = Damage {
            bucket,
            key: row.key.clone(),
            file: row.file.clone(),
            fault,
        };
        let before = self.lock().insert(row.file.clone(), damage.clone());
        if before.is_none_or(|before| before.fault != fault) {
            tracing::error!(
                bucket = bucket.name(),
                key = row.key,
                file = row.file.as_str(),
                fault = fault.name(),
                "a stored file is damaged"
            );
            // Without the thread the store is closing; the damage is found again.
            let _ = self.reports.send(Message::Damage(damage.clone()));
        }
        Error::Damaged(Box::new(damage))
    }

    /// Adds damage that an earlier run found.
    pub(crate) fn remember(&self, damage: Damage) {
        self.lock().insert(damage.file.clone(), damage);
    }

    /// The damage of a file, as far as it is known.
    pub(crate) fn find(&self, file: &FileName) -> Option<Damage> {
        self.lock().get(file).cloned()
    }

    /// Tells whether the file's bytes, at their full length, are known to be wrong.
    pub(crate) fn is_altered(&self, file: &FileName) -> bool {
        let fault = self.lock().get(file).map(|damage| damage.fault);
        fault == Some(Fault::Altered)
    }

    /// Removes a file that is sound, or that no row names any more; tells whether it was known to be damaged.
    pub(crate) fn forget(&self, file: &FileName) -> bool {
        self.lock().remove(file).is_some()
    }

    /// The fault of the source of this key, if it is known to be damaged.
    pub(crate) fn of_source(&self, key: &str) -> Option<Fault> {
        let known = self.lock();
        let mut damages = known.values();
        let found = damages.find(|damage| damage.bucket == Bucket::Sources && damage.key == key);
        found.map(|damage| damage.fault)
    }

    /// The number of damaged sources and of damaged renditions.
    pub(crate) fn count(&self) -> (u64, u64) {
        let known = self.lock();
        let sources = known.values().filter(|damage| damage.bucket == Bucket::Sources);
        let sources = sources.count();
        (sources as u64, (known.len() - sources) as u64)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<FileName, Damage>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The recorded damage of files that rows still name.
///
/// # Errors
/// Errors of SQLite, [`Error::Corrupt`].
pub(crate) fn written_down(connection: &Connection) -> Result<Vec<Damage>> {
    let mut statement = connection.prepare(
        "SELECT bucket, key, damaged.file, fault FROM damaged JOIN objects USING (file) ORDER BY 3",
    )?;
    let rows = statement.query_map([], |row| {
        Ok((
            row.get::<_, i64>(0)?,
            row.get::<_, Vec<u8>>(1)?,
            row.get::<_, String>(2)?,
            row.get::<_, String>(3)?,
        ))
    })?;
    rows.map(|row| {
        let (bucket, key, file, fault) = row?;
        Ok(Damage {
            bucket: Bucket::from_number(bucket)?,
            key: key_text(key)?,
            file: FileName::parse(&file)?,
            fault: Fault::parse(&fault)
                .ok_or_else(|| Error::Corrupt(format!("{fault:?} is no fault of a file")))?,
        })
    })
    .collect()
}

/// Records damage, and queues the work that makes a rendition again; `false` when no row names the file any more.
///
/// # Errors
/// Errors of SQLite, [`Error::Corrupt`].
pub(crate) fn note(
    connection: &Connection,
    effects: &mut Effects,
    damage: &Damage,
    found_at: UnixMillis,
    due_at: UnixMillis,
) -> Result<bool> {
    let row = row::find(connection, damage.bucket, &damage.key)?;
    if row.is_none_or(|row| row.file != damage.file) {
        return Ok(false);
    }
    write_down(connection, &damage.file, damage.fault, found_at)?;
    match damage.bucket {
        // Nothing can be made of it; its renditions may be whole, and stay.
        Bucket::Sources => {}
        Bucket::Renditions => mend(connection, effects, &damage.key, due_at)?,
    }
    Ok(true)
}

/// # Errors
/// Errors of SQLite.
pub(crate) fn write_down(
    connection: &Connection,
    file: &FileName,
    fault: Fault,
    found_at: UnixMillis,
) -> Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO damaged (file, fault, found_at) VALUES (?1, ?2, ?3)")?
        .execute(params![file.as_str(), fault.name(), signed(found_at.0)])?;
    Ok(())
}

/// Forgets damage.
///
/// # Errors
/// Errors of SQLite.
pub(crate) fn clear(connection: &Connection, file: &FileName) -> Result<()> {
    connection
        .prepare_cached("DELETE FROM damaged WHERE file = ?1")?
        .execute(params![file.as_str()])?;
    Ok(())
}

/// Queues the work that makes the set of a rendition again from its source, once: not while there is other work on the
/// key, which makes a set as well, nor while a person has to look at work that was given up.
fn mend(connection: &Connection, effects: &mut Effects, rendition: &str, due_at: UnixMillis) -> Result<()> {
    let key: Option<Vec<u8>> = connection
        .prepare_cached("SELECT key FROM published WHERE rendition = ?1")?
        .query_row(params![rendition.as_bytes()], |row| row.get(0))
        .optional()?;
    let Some(key) = key else { return Ok(()) };
    let is_busy = connection
        .prepare_cached("SELECT 1 FROM jobs WHERE key = ?1")?
        .exists(params![key])?;
    let key = ObjectKey::new(key_text(key)?)?;
    let record = record::find(connection, key.as_str())?;
    if let Some(record) = record
        && let (Status::Ready { .. }, Some(source)) = (&record.status, &record.source)
        && !is_busy
    {
        tracing::warn!(image.key = %key, rendition, "a rendition is damaged: the set is made again");
        let job = Job {
            key,
            order: record.newest_order().next_revision(),
            work: Work::Render {
                etag: source.etag.clone(),
            },
        };
        queue::insert(connection, effects, &job, due_at)?;
    }
    Ok(())
}
