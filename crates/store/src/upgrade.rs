//! Gives facts to the sources of a release whose files had none.

use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom, Write};
use std::sync::Arc;

use rusqlite::{Connection, params};

use super::facts::{Facts, encode};
use super::file::{FileGuard, Files};
use super::garbage::Collector;
use super::name::FileName;
use super::row::{Bucket, Row, find};
use super::schema::key_text;
use super::writer::Effects;
use super::{Error, Result};

/// The progress of adding facts to files of an older release. Each step takes a few of them, so that removals do not
/// wait.
#[derive(Debug, Default)]
pub(crate) struct Upgrade {
    /// The last key that was looked at.
    after: Option<Vec<u8>>,
    upgraded: usize,
    is_done: bool,
}

/// Rows that one step looks at.
const STEP: i64 = 32;

impl Upgrade {
    pub(crate) const fn is_done(&self) -> bool {
        self.is_done
    }

    /// Does the next few. A file that cannot be upgraded stays as it is until the next start; it is still served.
    pub(crate) fn step(&mut self, collector: &Collector) {
        match self.try_step(collector) {
            Ok(true) => {}
            Ok(false) => {
                self.is_done = true;
                if self.upgraded > 0 {
                    tracing::info!(
                        files = self.upgraded,
                        "files of an older release carry their facts now"
                    );
                }
            }
            Err(error) => {
                self.is_done = true;
                tracing::warn!(%error, "files of an older release get their facts after the next start");
            }
        }
    }

    /// Does the next few; `false` when none is left.
    fn try_step(&mut self, collector: &Collector) -> Result<bool> {
        let after = self.after.clone().unwrap_or_default();
        let rows = collector
            .readers
            .submit(move |connection| next(connection, &after));
        let rows = rows.blocking_recv().unwrap_or(Err(Error::Closed))?;
        let Some(last) = rows.last() else {
            return Ok(false);
        };
        self.after = Some(last.key.as_bytes().to_vec());
        for row in rows {
            let (key, old) = (row.key.clone(), row.file.clone());
            let guard = match add_facts(&collector.files, row) {
                Ok(guard) => guard,
                Err(error) => {
                    tracing::warn!(image.key = key, %error, "a file of an older release gets no facts");
                    continue;
                }
            };
            let renamed = collector
                .writer
                .submit(move |connection, effects| rename(connection, effects, &key, old, guard));
            self.upgraded += renamed.blocking_recv().unwrap_or(Err(Error::Closed))?;
        }
        Ok(true)
    }
}

/// Makes a source's row name a new file that holds the same object, and returns the number of rows that changed: none
/// when the source was replaced or deleted meanwhile.
///
/// # Errors
/// Errors of SQLite.
pub(crate) fn rename(
    connection: &Connection,
    effects: &mut Effects,
    key: &str,
    old: FileName,
    guard: FileGuard,
) -> Result<usize> {
    let changed = connection
        .prepare_cached("UPDATE objects SET file = ?1 WHERE bucket = ?2 AND key = ?3 AND file = ?4")?
        .execute(params![
            guard.name()?.as_str(),
            Bucket::Sources.number(),
            key.as_bytes(),
            old.as_str()
        ])?;
    // Otherwise the guard removes the new file.
    if changed == 1 {
        effects.kept.push(guard);
        effects.drop_file(connection, old)?;
    }
    Ok(changed)
}

fn next(connection: &Connection, after: &[u8]) -> Result<Vec<Row>> {
    let mut statement = connection.prepare_cached(
        "SELECT key FROM objects WHERE bucket = ?1 AND key > ?2 AND length(file) = 32 ORDER BY key LIMIT ?3",
    )?;
    let keys = statement
        .query_map(params![Bucket::Sources.number(), after, STEP], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<Vec<u8>>>>()?;
    let mut rows = Vec::with_capacity(keys.len());
    for key in keys {
        rows.extend(find(connection, Bucket::Sources, &key_text(key)?)?);
    }
    Ok(rows)
}

/// Writes the facts behind the bytes of the object, where no reader reads, and gives the file a second name.
fn add_facts(files: &Arc<Files>, row: Row) -> Result<FileGuard> {
    let old = row.file.clone();
    let facts = Facts::of(row)?;
    let mut file = OpenOptions::new()
        .write(true)
        .open(files.path(&old))
        .map_err(Error::io("open a file"))?;
    let length = file.metadata().map_err(Error::io("read a file's size"))?.len();
    if length < facts.size_bytes {
        return Err(Error::Corrupt(format!(
            "file {} has {length} bytes, its row says {}",
            old.as_str(),
            facts.size_bytes
        )));
    }
    // The rest of an attempt that a crash ended is overwritten.
    file.set_len(facts.size_bytes)
        .and_then(|()| file.seek(SeekFrom::End(0)))
        .and_then(|_| file.write_all(&encode(&facts).map_err(std::io::Error::other)?))
        .and_then(|()| file.sync_all())
        .map_err(Error::io("write the facts of a file"))?;
    files.adopt(&old)
}
