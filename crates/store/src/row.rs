use std::collections::BTreeMap;
use std::fs::File;

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use tintype_model::{
    Job, ObjectKey, ObjectMeta, Order, Precondition, Record, Sequencer, SourceInfo, Status, UnixMillis, Work,
};

use super::digest::Fault;
use super::facts::{FOOTER_BYTES, Facts, encode};
use super::file::{FileGuard, Files};
use super::name::{FileName, Kind};
use super::schema::{from_json, key_text, next_sequencer, signed, to_json, unsigned};
use super::stage::Staged;
use super::writer::Effects;
use super::{Error, Result, queue, record};

/// The two namespaces of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bucket {
    /// Uploaded objects: every write and delete makes a job.
    Sources,
    /// Renditions, which the pipeline made of them.
    Renditions,
}

impl Bucket {
    /// The number that rows have for the bucket.
    pub(crate) const fn number(self) -> i64 {
        match self {
            Self::Sources => 0,
            Self::Renditions => 1,
        }
    }

    /// The bucket with this number in rows.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    pub(crate) fn from_number(number: i64) -> Result<Self> {
        match number {
            0 => Ok(Self::Sources),
            1 => Ok(Self::Renditions),
            _ => Err(Error::Corrupt(format!("{number} is no bucket"))),
        }
    }

    /// The name of its objects, for messages.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sources => "sources",
            Self::Renditions => "renditions",
        }
    }

    /// The kind of its files.
    pub(crate) const fn kind(self) -> Kind {
        match self {
            Self::Sources => Kind::Source,
            Self::Renditions => Kind::Rendition,
        }
    }
}

/// The attributes of an object: all that is kept of it besides its key, size, `ETag` and date. Stored; fields are only
/// ever added.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attributes {
    /// Media type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// `Cache-Control`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<String>,
    /// `Content-Disposition`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_disposition: Option<String>,
    /// `Content-Encoding`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    /// `Content-Language`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_language: Option<String>,
    /// `Expires`, as it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// User metadata (`x-amz-meta-*` without the prefix), names in lower case.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Checksums of the bytes by algorithm, in the spelling of whoever wrote them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub checksums: BTreeMap<String, String>,
    /// Anything else that the writer wants to read back.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, String>,
    /// Sizes in bytes of the parts that it was uploaded in, in order; empty when it was uploaded in one piece.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub part_sizes: Vec<u64>,
}

/// One row of the table of objects.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) key: String,
    pub(crate) file: FileName,
    pub(crate) size_bytes: u64,
    pub(crate) etag: String,
    /// Its number among the writes of sources; 0 for renditions.
    pub(crate) sequencer: u64,
    pub(crate) modified_at: UnixMillis,
    pub(crate) attributes: Attributes,
}

impl Row {
    pub(crate) fn into_meta(self) -> ObjectMeta {
        ObjectMeta {
            key: self.key,
            size_bytes: self.size_bytes,
            etag: self.etag,
            modified_at: self.modified_at,
            content_type: self.attributes.content_type,
            cache_control: self.attributes.cache_control,
            metadata: self.attributes.metadata,
        }
    }
}

/// An object to be written, whose file is not durable yet.
#[derive(Debug)]
pub(crate) struct NewObject {
    pub(crate) bucket: Bucket,
    pub(crate) key: ObjectKey,
    pub(crate) staged: Staged,
    pub(crate) etag: String,
    pub(crate) modified_at: UnixMillis,
    /// The time at which its job is due.
    pub(crate) due_at: UnixMillis,
    pub(crate) attributes: Attributes,
    pub(crate) precondition: Precondition,
}

/// An object whose file is durable, with its facts, and has no row yet.
#[derive(Debug)]
pub(crate) struct SealedObject {
    guard: FileGuard,
    bucket: Bucket,
    facts: Facts,
    due_at: UnixMillis,
    precondition: Precondition,
}

impl NewObject {
    /// Makes the file durable, a source's with its facts.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Io`].
    pub(crate) fn seal(self) -> Result<SealedObject> {
        let Staged {
            mut guard,
            file,
            size_bytes,
            md5,
        } = self.staged;
        let facts = Facts {
            key: self.key,
            order: match self.bucket {
                Bucket::Sources => guard.files().next_order(),
                Bucket::Renditions => 0,
            },
            size_bytes,
            etag: self.etag,
            md5: md5.map(hex::encode),
            modified_at: self.modified_at,
            attributes: self.attributes,
        };
        let trailer = match self.bucket {
            Bucket::Sources => encode(&facts)?,
            Bucket::Renditions => Vec::new(),
        };
        guard.seal(file, self.bucket.kind(), &trailer)?;
        Ok(SealedObject {
            guard,
            bucket: self.bucket,
            facts,
            due_at: self.due_at,
            precondition: self.precondition,
        })
    }
}

impl SealedObject {
    /// Its key.
    pub(crate) fn key(&self) -> &ObjectKey {
        &self.facts.key
    }
}

/// The row of a key.
///
/// # Errors
/// Errors of SQLite, [`Error::Corrupt`].
pub(crate) fn find(connection: &Connection, bucket: Bucket, key: &str) -> Result<Option<Row>> {
    let mut statement = connection.prepare_cached(
        "SELECT file, size, etag, sequencer, modified_at, attributes FROM objects WHERE bucket = ?1 AND key = ?2",
    )?;
    let found = statement
        .query_row(params![bucket.number(), key.as_bytes()], |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
                row.get::<_, String>(5)?,
            ))
        })
        .optional()?;
    let Some((file, size, etag, sequencer, modified_at, attributes)) = found else {
        return Ok(None);
    };
    Ok(Some(Row {
        key: key.to_owned(),
        file: FileName::parse(&file)?,
        size_bytes: unsigned(size),
        etag,
        sequencer: unsigned(sequencer),
        modified_at: UnixMillis(unsigned(modified_at)),
        attributes: from_json(&attributes)?,
    }))
}

/// The row of a key and its file, opened: replacing or deleting the object does not disturb the reader.
///
/// # Errors
/// [`Error::NoSuchKey`]; the error of `accept`, before the file is opened; [`Error::Damaged`], which is reported, when
/// the file is missing, has another size than its row says or is known to be altered. A source's file has its facts
/// behind its bytes.
pub(crate) fn open(
    connection: &Connection,
    files: &Files,
    bucket: Bucket,
    key: &str,
    accept: impl Fn(&Row) -> Result<()>,
) -> Result<(Row, File)> {
    let mut missing: Option<FileName> = None;
    loop {
        let row = find(connection, bucket, key)?.ok_or(Error::NoSuchKey)?;
        accept(&row)?;
        let damaged = |fault| Err(files.damages().report(bucket, &row, fault));
        match files.open_named(&row.file) {
            Ok(file) => {
                let length = file.metadata().map_err(Error::io("read a file's size"))?.len();
                if !fits(&row.file, row.size_bytes, length) {
                    return damaged(Fault::Cut);
                }
                if files.damages().is_altered(&row.file) {
                    return damaged(Fault::Altered);
                }
                return Ok((row, file));
            }
            // Replaced meanwhile when the row names another file now; lost when it still names this one.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                if missing.as_ref() == Some(&row.file) {
                    return damaged(Fault::Missing);
                }
                missing = Some(row.file);
            }
            Err(error) => return Err(Error::io("open a file")(error)),
        }
    }
}

/// Tells whether a file of this length can hold an object of this size.
pub(crate) fn fits(file: &FileName, size_bytes: u64, length: u64) -> bool {
    match file.kind() {
        Kind::Source => length > size_bytes.saturating_add(FOOTER_BYTES),
        Kind::Rendition | Kind::Part => length == size_bytes,
        // Facts may have been added since.
        Kind::Legacy => length >= size_bytes,
    }
}

/// Points a key at a new file, and makes the job if the bucket's writes make jobs.
///
/// # Errors
/// [`Error::PreconditionFailed`], errors of SQLite.
pub(crate) fn write(connection: &Connection, effects: &mut Effects, object: SealedObject) -> Result<Row> {
    let SealedObject {
        guard,
        bucket,
        facts,
        due_at,
        precondition,
    } = object;
    let current = find(connection, bucket, facts.key.as_str())?;
    check(current.as_ref(), &precondition)?;
    let sequencer = match bucket {
        Bucket::Sources => next_sequencer(connection, facts.order)?,
        Bucket::Renditions => 0,
    };
    let file = guard.name()?.clone();
    effects.kept.push(guard);
    if let Some(current) = current {
        effects.drop_file(connection, current.file)?;
    }
    insert(connection, effects, bucket, file, facts, sequencer, due_at)
}

/// Inserts or replaces a row, and makes the job if the bucket's writes make jobs.
///
/// # Errors
/// Errors of SQLite.
pub(crate) fn insert(
    connection: &Connection,
    effects: &mut Effects,
    bucket: Bucket,
    file: FileName,
    facts: Facts,
    sequencer: u64,
    due_at: UnixMillis,
) -> Result<Row> {
    let key = facts.key.as_str();
    let row = Row {
        key: key.to_owned(),
        file,
        size_bytes: facts.size_bytes,
        etag: facts.etag,
        sequencer,
        modified_at: facts.modified_at,
        attributes: facts.attributes,
    };
    let mut statement = connection.prepare_cached(
        "INSERT OR REPLACE INTO objects (bucket, key, file, size, etag, sequencer, modified_at, attributes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    statement.execute(params![
        bucket.number(),
        key.as_bytes(),
        row.file.as_str(),
        signed(row.size_bytes),
        row.etag,
        signed(sequencer),
        signed(row.modified_at.0),
        to_json(&row.attributes),
    ])?;
    if bucket == Bucket::Sources {
        effects.sequencer = sequencer;
        let order = Order::of_event(Sequencer::from_counter(sequencer));
        let pending = Record {
            key: facts.key.clone(),
            order: order.clone(),
            status: Status::Pending,
            updated_at: row.modified_at,
            source: Some(SourceInfo {
                etag: row.etag.clone(),
                size_bytes: row.size_bytes,
                sha256: None,
            }),
            attempt: None,
        };
        effects.records.push(facts.key.as_str().to_owned());
        record::announce(connection, &pending)?;
        let job = Job {
            key: facts.key,
            order,
            work: Work::Render {
                etag: row.etag.clone(),
            },
        };
        queue::insert(connection, effects, &job, due_at)?;
    }
    Ok(row)
}

/// Removes a key's row, and makes the job if the bucket's deletes make jobs. Returns whether there was one, with the
/// sequencer of the delete.
///
/// # Errors
/// [`Error::PreconditionFailed`], errors of SQLite.
pub(crate) fn delete(
    connection: &Connection,
    effects: &mut Effects,
    bucket: Bucket,
    key: &ObjectKey,
    precondition: &Precondition,
    due_at: UnixMillis,
) -> Result<Option<Sequencer>> {
    let current = find(connection, bucket, key.as_str())?;
    check(current.as_ref(), precondition)?;
    let Some(current) = current else {
        return Ok(None);
    };
    connection
        .prepare_cached("DELETE FROM objects WHERE bucket = ?1 AND key = ?2")?
        .execute(params![bucket.number(), key.as_str().as_bytes()])?;
    effects.drop_file(connection, current.file)?;
    match bucket {
        Bucket::Renditions => Ok(Some(Sequencer::from_counter(0))),
        Bucket::Sources => {
            effects.sequencer = next_sequencer(connection, 0)?;
            let sequencer = Sequencer::from_counter(effects.sequencer);
            let job = Job {
                key: key.clone(),
                order: Order::of_event(sequencer.clone()),
                work: Work::Remove,
            };
            queue::insert(connection, effects, &job, due_at)?;
            Ok(Some(sequencer))
        }
    }
}

fn check(current: Option<&Row>, precondition: &Precondition) -> Result<()> {
    let holds = match precondition {
        Precondition::None => true,
        Precondition::Absent => current.is_none(),
        Precondition::Etag(etag) => current.is_some_and(|current| current.etag == *etag),
    };
    if holds {
        Ok(())
    } else {
        Err(Error::PreconditionFailed)
    }
}

/// The first byte string after every one that starts with `prefix`.
///
/// UTF-8 has no byte 0xFF, which therefore comes after all keys.
pub(crate) fn after_prefix(prefix: &str) -> Vec<u8> {
    let mut bytes = prefix.as_bytes().to_vec();
    match bytes.last_mut() {
        Some(last) => *last += 1,
        None => bytes.push(0xFF),
    }
    bytes
}

/// The first byte string after `key`.
pub(crate) fn after_key(key: &str) -> Vec<u8> {
    let mut bytes = key.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

/// A stored key as text, for listings.
///
/// # Errors
/// [`Error::Corrupt`].
pub(crate) fn listed_key(row: &rusqlite::Row<'_>, column: usize) -> Result<String> {
    key_text(row.get(column)?)
}
