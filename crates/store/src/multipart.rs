use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rusqlite::{Connection, params};
use tintype_model::{ObjectKey, Precondition};
use tokio::sync::OwnedMutexGuard;

use super::assemble::{CompletedPart, concatenate, etag_of, select};
use super::name::{FileName, Kind};
use super::row::{self, Attributes, Bucket, NewObject, SealedObject};
use super::schema::{signed, to_json};
use super::source::{SourceMeta, describe};
use super::stage::{Staged, blocking};
use super::upload::{self, MAX_PART_NUMBER, Part, PartRow, PartsPage, Upload, UploadMarker, UploadPage};
use super::writer::Effects;
use super::{Error, Result, Store};

/// The precondition for ending a multipart upload, and what is added to the object's attributes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    /// Write only in this state.
    pub precondition: Precondition,
    /// Checksums to add to the object's attributes.
    pub checksums: BTreeMap<String, String>,
    /// Other entries to add to the object's attributes.
    pub extra: BTreeMap<String, String>,
}

/// A multipart upload whose parts were checked and put together in one file. Dropping it leaves the upload as it was.
#[derive(Debug)]
pub struct Assembled {
    upload: Upload,
    parts: Vec<PartRow>,
    etag: String,
    file: Option<Staged>,
    existing: Option<SourceMeta>,
    /// Keeps a repeated completion waiting until this one is through, so that it finds the object and no missing parts.
    turn: OwnedMutexGuard<()>,
}

impl Assembled {
    /// The object that an earlier completion of the same upload made, if the key still holds it.
    #[must_use]
    pub fn existing(&self) -> Option<&SourceMeta> {
        self.existing.as_ref()
    }

    /// Its parts, in order; empty when there is an [existing](Self::existing) object.
    pub fn parts(&self) -> impl ExactSizeIterator<Item = &Part> {
        self.parts.iter().map(|row| &row.part)
    }

    /// The upload.
    #[must_use]
    pub fn upload(&self) -> &Upload {
        &self.upload
    }

    /// Size of the object in bytes.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        match &self.existing {
            Some(existing) => existing.size_bytes,
            None => self.parts().map(|part| part.size_bytes).sum(),
        }
    }

    /// The object's `ETag` without quotes: MD5 of the parts' MD5s, a dash and the number of parts.
    #[must_use]
    pub fn etag(&self) -> &str {
        &self.etag
    }
}

/// Lets the completions of one upload happen one after the other.
#[derive(Debug, Default)]
pub(crate) struct Completions(Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>);

impl Completions {
    async fn turn(&self, upload_id: &str) -> OwnedMutexGuard<()> {
        let turns = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.retain(|_, turns| turns.strong_count() > 0);
            let turns = all.get(upload_id).and_then(Weak::upgrade).unwrap_or_default();
            all.insert(upload_id.to_owned(), Arc::downgrade(&turns));
            turns
        };
        turns.lock_owned().await
    }
}

/// Multipart uploads.
impl Store {
    /// Begins an upload and names it. It is forgotten after [`super::UPLOAD_LIFETIME`].
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Sqlite`], [`Error::NotCommitted`].
    pub async fn create_multipart(&self, key: &ObjectKey, attributes: Attributes) -> Result<String> {
        let id = hex::encode(rand::random::<[u8; 16]>());
        let (key, upload_id, now) = (key.clone(), id.clone(), self.inner.clock.wall());
        self.inner
            .writer
            .run(move |connection, _| {
                connection
                    .prepare_cached(
                        "INSERT INTO uploads (id, key, attributes, initiated_at) VALUES (?1, ?2, ?3, ?4)",
                    )?
                    .execute(params![
                        upload_id,
                        key.as_str().as_bytes(),
                        to_json(&attributes),
                        signed(now.0)
                    ])?;
                Ok(())
            })
            .await?;
        Ok(id)
    }

    /// The upload, while it is in progress.
    ///
    /// # Errors
    /// [`Error::NoSuchUpload`], [`Error::Sqlite`].
    pub async fn head_multipart(&self, key: &ObjectKey, upload_id: &str) -> Result<Upload> {
        let (key, upload_id) = (key.clone(), upload_id.to_owned());
        self.inner
            .readers
            .run(move |connection| upload::find_open(connection, &key, &upload_id))
            .await
    }

    /// Keeps a part; another one of the same number is replaced.
    ///
    /// # Errors
    /// [`Error::InvalidPartNumber`], [`Error::NoSuchUpload`], [`Error::Full`], [`Error::Sqlite`],
    /// [`Error::NotCommitted`].
    pub async fn put_part(
        &self,
        key: &ObjectKey,
        upload_id: &str,
        number: u32,
        staged: Staged,
        checksums: BTreeMap<String, String>,
    ) -> Result<Part> {
        if number == 0 || number > MAX_PART_NUMBER {
            return Err(Error::InvalidPartNumber { number });
        }
        let part = Part {
            number,
            size_bytes: staged.size_bytes,
            etag: staged.etag(),
            modified_at: self.inner.clock.wall(),
            checksums,
        };
        let (key, upload_id) = (key.clone(), upload_id.to_owned());
        let seal = move || {
            let Staged { mut guard, file, .. } = staged;
            guard.seal(file, Kind::Part, &[])?;
            Ok(guard)
        };
        self.inner
            .seal_and_run(seal, move |connection, effects, guard| {
                upload::find_open(connection, &key, &upload_id)?;
                let replaced = upload::parts(connection, &upload_id, number - 1, 1)?;
                connection
                    .prepare_cached(
                        "INSERT OR REPLACE INTO parts (upload, number, file, size, etag, modified_at, checksums)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    )?
                    .execute(params![
                        upload_id,
                        number,
                        guard.name()?.as_str(),
                        signed(part.size_bytes),
                        part.etag,
                        signed(part.modified_at.0),
                        to_json(&part.checksums),
                    ])?;
                effects.kept.push(guard);
                for row in replaced.into_iter().filter(|row| row.part.number == number) {
                    effects.drop_file(connection, row.file)?;
                }
                Ok(part)
            })
            .await
    }

    /// At most `limit` parts with higher numbers than `after`.
    ///
    /// # Errors
    /// [`Error::NoSuchUpload`], [`Error::Sqlite`].
    pub async fn list_parts(
        &self,
        key: &ObjectKey,
        upload_id: &str,
        after: u32,
        limit: usize,
    ) -> Result<PartsPage> {
        let (key, upload_id) = (key.clone(), upload_id.to_owned());
        self.inner
            .readers
            .run(move |connection| {
                let snapshot = connection.transaction()?;
                let upload = upload::find_open(&snapshot, &key, &upload_id)?;
                let mut parts: Vec<Part> =
                    upload::parts(&snapshot, &upload_id, after, limit.saturating_add(1))?
                        .into_iter()
                        .map(|row| row.part)
                        .collect();
                let truncated = parts.len() > limit;
                parts.truncate(limit);
                Ok(PartsPage {
                    upload,
                    next: parts.last().filter(|_| truncated).map(|part| part.number),
                    parts,
                })
            })
            .await
    }

    /// Lists the uploads in progress.
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub async fn list_multipart_uploads(
        &self,
        prefix: &str,
        after: Option<UploadMarker>,
        limit: usize,
    ) -> Result<UploadPage> {
        let prefix = prefix.to_owned();
        self.inner
            .readers
            .run(move |connection| upload::list(connection, &prefix, after.as_ref(), limit))
            .await
    }

    /// Aborts an upload.
    ///
    /// # Errors
    /// [`Error::NoSuchUpload`], [`Error::Full`], [`Error::Sqlite`], [`Error::NotCommitted`].
    pub async fn abort_multipart(&self, key: &ObjectKey, upload_id: &str) -> Result<()> {
        let (key, upload_id) = (key.clone(), upload_id.to_owned());
        self.inner
            .writer
            .run(move |connection, effects| {
                upload::find_open(connection, &key, &upload_id)?;
                for file in upload::drop_parts(connection, &upload_id)? {
                    effects.drop_file(connection, file)?;
                }
                connection
                    .prepare_cached("DELETE FROM uploads WHERE id = ?1")?
                    .execute(params![upload_id])?;
                Ok(())
            })
            .await
    }

    /// Checks the parts and puts them together in one file, for a caller that has checks of its own before
    /// [`Self::commit_assembled`]. Nothing is put together when there is an [existing](Assembled::existing) object,
    /// which is the answer when this is done again after it succeeded, for as long as the key holds that object.
    ///
    /// # Errors
    /// [`Error::NoSuchUpload`], [`Error::InvalidPart`], [`Error::InvalidPartOrder`], [`Error::InvalidPartNumber`],
    /// [`Error::EntityTooSmall`], [`Error::Full`], [`Error::Io`], [`Error::Sqlite`].
    pub async fn assemble(
        &self,
        key: &ObjectKey,
        upload_id: &str,
        parts: Vec<CompletedPart>,
    ) -> Result<Assembled> {
        let turn = self.inner.completions.turn(upload_id).await;
        let (key, upload_id) = (key.clone(), upload_id.to_owned());
        let plan = move |connection: &mut Connection| {
            let snapshot = connection.transaction()?;
            let (upload, completed) = upload::find(&snapshot, &key, &upload_id)?;
            if let Some(sequencer) = completed {
                let row = row::find(&snapshot, Bucket::Sources, key.as_str())?.ok_or(Error::NoSuchUpload)?;
                let existing = describe(row)?;
                if existing.sequencer != sequencer {
                    return Err(Error::NoSuchUpload);
                }
                return Ok((upload, Vec::new(), Some(existing)));
            }
            let stored = upload::parts(&snapshot, &upload_id, 0, usize::MAX)?;
            Ok((upload, select(stored, &parts)?, None))
        };
        let (upload, parts, existing) = self.inner.readers.run(plan).await?;
        if let Some(existing) = existing {
            return Ok(Assembled {
                upload,
                parts,
                etag: existing.etag.clone(),
                file: None,
                existing: Some(existing),
                turn,
            });
        }
        let files = self.inner.files.clone();
        blocking(move || {
            let etag = etag_of(&parts)?;
            let file = concatenate(&files, &parts)?;
            Ok(Assembled {
                upload,
                parts,
                etag,
                file: Some(file),
                existing: None,
                turn,
            })
        })
        .await
    }

    /// Points the key at the assembled file, if the parts of the upload have not changed since.
    ///
    /// # Errors
    /// [`Error::PreconditionFailed`] (the upload stays), [`Error::NoSuchUpload`], [`Error::InvalidPart`] when a part
    /// was replaced meanwhile, [`Error::Full`], [`Error::Sqlite`], [`Error::NotCommitted`].
    pub async fn commit_assembled(&self, assembled: Assembled, completion: Completion) -> Result<SourceMeta> {
        let Assembled {
            upload,
            parts,
            etag,
            file,
            existing,
            turn,
        } = assembled;
        let staged = match (existing, file) {
            (Some(existing), _) => return Ok(existing),
            (None, Some(file)) => file,
            (None, None) => return Err(Error::NoSuchUpload),
        };
        let mut attributes = upload.attributes;
        attributes.part_sizes = parts.iter().map(|row| row.part.size_bytes).collect();
        attributes.checksums.extend(completion.checksums);
        attributes.extra.extend(completion.extra);
        let object = NewObject {
            bucket: Bucket::Sources,
            key: upload.key,
            staged,
            etag,
            modified_at: self.inner.clock.wall(),
            due_at: self.inner.clock.steady(),
            attributes,
            precondition: completion.precondition,
        };
        let upload_id = upload.upload_id;
        let write = move |connection: &Connection, effects: &mut Effects, object: SealedObject| {
            effects.turn = Some(turn);
            upload::find_open(connection, object.key(), &upload_id)?;
            let stored = upload::parts(connection, &upload_id, 0, usize::MAX)?;
            let stored: HashSet<&FileName> = stored.iter().map(|row| &row.file).collect();
            if let Some(replaced) = parts.iter().find(|row| !stored.contains(&row.file)) {
                return Err(Error::InvalidPart {
                    number: replaced.part.number,
                });
            }
            let row = row::write(connection, effects, object)?;
            for file in upload::drop_parts(connection, &upload_id)? {
                effects.drop_file(connection, file)?;
            }
            connection
                .prepare_cached("UPDATE uploads SET completed = ?2 WHERE id = ?1")?
                .execute(params![upload_id, signed(row.sequencer)])?;
            Ok(row)
        };
        describe(self.inner.seal_and_run(|| object.seal(), write).await?)
    }
}
