use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};
use tintype_model::{
    MetadataStore, ObjectKey, Order, Page, PutRecord, Record, RecordFilter, StatusCounts, StatusKind,
    Succession,
};

use super::row::{after_key, after_prefix};
use super::schema::{from_json, to_json, unsigned};
use super::{Inner, Result, queue};

/// The records of a [`super::Store`].
#[derive(Clone, Debug)]
pub struct SqliteMetadataStore {
    pub(super) inner: Arc<Inner>,
}

/// Shows an upload that is not processed yet, unless something is published under the key: that stays until the
/// new set replaces it. A newer record stays too.
///
/// # Errors
/// Errors of SQLite.
pub(crate) fn announce(connection: &Connection, pending: &Record) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO records (key, work_order, status, record) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (key) DO UPDATE
             SET work_order = excluded.work_order, status = excluded.status, record = excluded.record
             WHERE records.status <> 'ready' AND records.work_order < excluded.work_order",
        )?
        .execute(params![
            pending.key.as_str().as_bytes(),
            pending.order.to_string(),
            pending.status.name(),
            to_json(pending)
        ])?;
    Ok(())
}

/// The record of a key.
///
/// # Errors
/// Errors of SQLite.
pub(crate) fn find(connection: &Connection, key: &str) -> Result<Option<Record>> {
    let json: Option<String> = connection
        .prepare_cached("SELECT record FROM records WHERE key = ?1")?
        .query_row(params![key.as_bytes()], |row| row.get(0))
        .optional()?;
    json.as_deref().map(from_json).transpose()
}

/// Writes a record, or notes it in the one that is there. Removes the dead letters that it overtakes.
///
/// # Errors
/// Errors of SQLite.
pub(crate) fn put(connection: &Connection, record: &Record) -> Result<PutRecord> {
    let key = record.key.as_str();
    let current = find(connection, key)?;
    if let Some(current) = &current {
        match record.succeeds(current) {
            Succession::Refused => return Ok(PutRecord::Refused(Box::new(current.clone()))),
            Succession::Noted(noted) => {
                insert(connection, &noted)?;
                queue::forget_dead(connection, &noted)?;
                return Ok(PutRecord::Noted(noted));
            }
            Succession::Replaces => {}
        }
    }
    insert(connection, record)?;
    queue::forget_dead(connection, record)?;
    if current
        .as_ref()
        .is_some_and(|current| !current.status.renditions().is_empty())
    {
        connection
            .prepare_cached("DELETE FROM published WHERE key = ?1")?
            .execute(params![key.as_bytes()])?;
    }
    let mut publish =
        connection.prepare_cached("INSERT OR IGNORE INTO published (rendition, key) VALUES (?1, ?2)")?;
    for rendition in record.status.renditions() {
        publish.execute(params![rendition.object_key.as_bytes(), key.as_bytes()])?;
    }
    Ok(PutRecord::Written(current.map(Box::new)))
}

fn insert(connection: &Connection, record: &Record) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO records (key, work_order, status, record) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (key) DO UPDATE
             SET work_order = excluded.work_order, status = excluded.status, record = excluded.record",
        )?
        .execute(params![
            record.key.as_str().as_bytes(),
            record.newest_order().to_string(),
            record.status.name(),
            to_json(record)
        ])?;
    Ok(())
}

/// Removes a tombstone, and the dead letters of its key, which name it too.
fn forget(connection: &Connection, key: &ObjectKey, order: &Order) -> Result<bool> {
    let bytes = key.as_str().as_bytes();
    let is_gone = connection
        .prepare_cached("DELETE FROM records WHERE key = ?1 AND work_order = ?2 AND status = ?3")?
        .execute(params![bytes, order.to_string(), StatusKind::Deleted.name()])?
        == 1;
    if is_gone {
        connection
            .prepare_cached("DELETE FROM jobs WHERE key = ?1 AND state = 'dead'")?
            .execute(params![bytes])?;
    }
    Ok(is_gone)
}

fn list(
    connection: &Connection,
    filter: &RecordFilter,
    after: Option<&str>,
    limit: usize,
) -> Result<Page<Record>> {
    let from = after
        .map(after_key)
        .unwrap_or_default()
        .max(filter.prefix.as_bytes().to_vec());
    let end = after_prefix(&filter.prefix);
    let mut statement = connection.prepare_cached(match (&filter.status, &filter.sha256) {
        (Some(_), None) => {
            "SELECT record FROM records
             WHERE status = ?3 AND key >= ?1 AND key < ?2 AND ?5 IS NULL ORDER BY key LIMIT ?4"
        }
        (None, None) => {
            "SELECT record FROM records
             WHERE status <> ?3 AND key >= ?1 AND key < ?2 AND ?5 IS NULL ORDER BY key LIMIT ?4"
        }
        // `+` keeps a term from choosing the index: few records share a digest.
        (Some(_), Some(_)) => {
            "SELECT record FROM records
             WHERE json_extract(record, '$.source.sha256') = ?5 AND +status = ?3 AND key >= ?1 AND key < ?2
             ORDER BY key LIMIT ?4"
        }
        (None, Some(_)) => {
            "SELECT record FROM records
             WHERE json_extract(record, '$.source.sha256') = ?5 AND +status <> ?3 AND key >= ?1 AND key < ?2
             ORDER BY key LIMIT ?4"
        }
    })?;
    let status = filter.status.unwrap_or(StatusKind::Deleted).name();
    // One more than asked for shows whether more follow.
    let rows = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let mut rows = statement.query(params![from, end, status, rows, filter.sha256])?;
    let mut items: Vec<Record> = Vec::new();
    let mut truncated = false;
    while let Some(row) = rows.next()? {
        if items.len() == limit {
            truncated = true;
            break;
        }
        items.push(from_json(
            row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?,
        )?);
    }
    Ok(Page {
        next: items
            .last()
            .filter(|_| truncated)
            .map(|record| record.key.as_str().to_owned()),
        items,
    })
}

fn counts(connection: &Connection) -> Result<StatusCounts> {
    let mut statement = connection.prepare_cached("SELECT status, count(*) FROM records GROUP BY status")?;
    let mut rows = statement.query([])?;
    let mut counts = StatusCounts::default();
    while let Some(row) = rows.next()? {
        let (status, number): (String, i64) = (row.get(0)?, row.get(1)?);
        let number = unsigned(number);
        match status.parse() {
            Ok(StatusKind::Pending) => counts.pending = number,
            Ok(StatusKind::Ready) => counts.ready = number,
            Ok(StatusKind::Rejected) => counts.rejected = number,
            Ok(StatusKind::Failed) => counts.failed = number,
            Ok(StatusKind::Deleted) | Err(_) => {}
        }
    }
    Ok(counts)
}

#[async_trait]
impl MetadataStore for SqliteMetadataStore {
    async fn get(&self, key: &ObjectKey) -> tintype_model::Result<Option<Record>> {
        let generation = match self.inner.records.find(key.as_str()) {
            Ok(record) => return Ok(Some(Record::clone(&record))),
            Err(generation) => generation,
        };
        let key = key.clone();
        let found = self
            .inner
            .readers
            .run(move |connection| find(connection, key.as_str()))
            .await?;
        if let Some(record) = &found {
            self.inner.records.remember(record.clone(), generation);
        }
        Ok(found)
    }

    async fn put(&self, record: &Record) -> tintype_model::Result<PutRecord> {
        let record = record.clone();
        Ok(self
            .inner
            .writer
            .run(move |connection, effects| {
                effects.records.push(record.key.as_str().to_owned());
                put(connection, &record)
            })
            .await?)
    }

    async fn list(
        &self,
        filter: &RecordFilter,
        after: Option<&str>,
        limit: usize,
    ) -> tintype_model::Result<Page<Record>> {
        let (filter, after) = (filter.clone(), after.map(str::to_owned));
        Ok(self
            .inner
            .readers
            .run(move |connection| list(connection, &filter, after.as_deref(), limit))
            .await?)
    }

    async fn forget(&self, key: &ObjectKey, order: &Order) -> tintype_model::Result<bool> {
        let (key, order) = (key.clone(), order.clone());
        Ok(self
            .inner
            .writer
            .run(move |connection, effects| {
                effects.records.push(key.as_str().to_owned());
                forget(connection, &key, &order)
            })
            .await?)
    }

    async fn counts(&self) -> tintype_model::Result<StatusCounts> {
        Ok(self.inner.readers.run(|connection| counts(connection)).await?)
    }
}
