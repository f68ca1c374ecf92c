use tintype_model::{ObjectKey, Precondition, Sequencer, UnixMillis};

use super::digest;
use super::list::{self, ListSources, Listing};
use super::row::{self, Attributes, Bucket, Row};
use super::stage::{Staged, StagedFile, blocking};
use super::{Error, Result, Store};

/// A source without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceMeta {
    /// Its key.
    pub key: ObjectKey,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Its `ETag` without quotes.
    pub etag: String,
    /// The time at which it was written.
    pub modified_at: UnixMillis,
    /// Its place among the writes and deletes of sources.
    pub sequencer: Sequencer,
    /// The attributes that the uploader gave it.
    pub attributes: Attributes,
}

/// The precondition of a write of a source, and what is stored beside its bytes.
#[derive(Clone, Debug, Default)]
pub struct SourceOptions {
    /// Write only in this state.
    pub precondition: Precondition,
    /// The attributes that the uploader gave it.
    pub attributes: Attributes,
    /// `ETag` to give it, without quotes.
    ///
    /// Default: the MD5 of its bytes in hexadecimal
    pub etag: Option<String>,
}

/// The operations of the S3 endpoint on single objects. Those of multipart uploads are in another file.
impl Store {
    /// A new file for bytes that arrive in pieces. It is created with the first of them.
    #[must_use]
    pub fn stage(&self) -> StagedFile {
        StagedFile::new(self.inner.files.clone())
    }

    /// Points the key at the staged file, in one transaction with the job that processes it.
    ///
    /// # Errors
    /// [`Error::PreconditionFailed`], [`Error::Full`], [`Error::Sqlite`], [`Error::NotCommitted`].
    pub async fn put_source(
        &self,
        key: &ObjectKey,
        staged: Staged,
        options: SourceOptions,
    ) -> Result<SourceMeta> {
        let row = self
            .sources()
            .commit(
                key.clone(),
                staged,
                options.etag,
                options.attributes,
                options.precondition,
            )
            .await?;
        describe(row)
    }

    /// Reads the row of a source.
    ///
    /// # Errors
    /// [`Error::NoSuchKey`], [`Error::Sqlite`].
    pub async fn head_source(&self, key: &str) -> Result<SourceMeta> {
        describe(self.sources().find(key).await?)
    }

    /// Reads the row of a source, with the errors of a read of its bytes.
    ///
    /// # Errors
    /// As [`Self::open_source`].
    pub async fn check_source(&self, key: &str) -> Result<SourceMeta> {
        describe(self.sources().open(key).await?.0)
    }

    /// Reads a source whole and compares it with the digest that it was stored with.
    ///
    /// # Errors
    /// As [`Self::open_source`], [`Error::Damaged`] also when a byte is altered.
    pub async fn examine_source(&self, key: &str) -> Result<()> {
        let (row, file) = self.sources().open(key).await?;
        let files = self.inner.files.clone();
        blocking(move || match digest::examine(Ok(file), &row, |_| Ok(()))? {
            None => Ok(()),
            Some(fault) => Err(files.damages().report(Bucket::Sources, &row, fault)),
        })
        .await
    }

    /// Opens a source: its row, and its file, whose first [`SourceMeta::size_bytes`] bytes are those of the object;
    /// the store's own data follows. The file stays readable when the object is replaced or deleted.
    ///
    /// # Errors
    /// [`Error::NoSuchKey`]; [`Error::Damaged`] when the bytes are lost, cut or known to be altered; [`Error::Io`],
    /// [`Error::Sqlite`].
    pub async fn open_source(&self, key: &str) -> Result<(SourceMeta, tokio::fs::File)> {
        let (row, file) = self.sources().open(key).await?;
        Ok((describe(row)?, tokio::fs::File::from_std(file)))
    }

    /// Deletes a source, in one transaction with the job that removes its renditions; `None` when it was not there.
    ///
    /// # Errors
    /// [`Error::PreconditionFailed`], [`Error::Full`], [`Error::Sqlite`], [`Error::NotCommitted`].
    pub async fn delete_source(
        &self,
        key: &ObjectKey,
        precondition: Precondition,
    ) -> Result<Option<Sequencer>> {
        self.sources().remove(key.clone(), precondition).await
    }

    /// Deletes many sources in one transaction, with a result for each.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Sqlite`], [`Error::NotCommitted`]: then nothing is deleted.
    pub async fn delete_sources(
        &self,
        keys: Vec<(ObjectKey, Precondition)>,
    ) -> Result<Vec<Result<Option<Sequencer>>>> {
        let due_at = self.inner.clock.steady();
        self.inner
            .run_delete(move |connection, effects| {
                let mut answers = Vec::with_capacity(keys.len());
                for (key, precondition) in &keys {
                    let bucket = Bucket::Sources;
                    answers.push(
                        match row::delete(connection, effects, bucket, key, precondition, due_at) {
                            // Checked before anything is written, so that it concerns this key only.
                            Err(Error::PreconditionFailed) => Err(Error::PreconditionFailed),
                            other => Ok(other?),
                        },
                    );
                }
                Ok(answers)
            })
            .await
    }

    /// Lists sources in ascending order of the UTF-8 bytes of their keys.
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub async fn list_sources(&self, request: ListSources) -> Result<Listing> {
        self.inner
            .readers
            .run(move |connection| list::objects(connection, Bucket::Sources, &request))
            .await
    }
}

pub(crate) fn describe(row: Row) -> Result<SourceMeta> {
    Ok(SourceMeta {
        key: ObjectKey::new(row.key)?,
        size_bytes: row.size_bytes,
        etag: row.etag,
        modified_at: row.modified_at,
        sequencer: Sequencer::from_counter(row.sequencer),
        attributes: row.attributes,
    })
}
