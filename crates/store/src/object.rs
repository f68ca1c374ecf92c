use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tintype_model::{
    Entry, GetOptions, Object, ObjectKey, ObjectMeta, ObjectStore, Page, Precondition, PutOptions, StoreError,
};

use super::digest::{self, Fault};
use super::file::Files;
use super::list::{self, ListFrom, ListSources, Listed};
use super::row::{self, Attributes, Bucket, NewObject};
use super::stage::{StagedFile, blocking};
use super::{Error, Inner, Result, Staged};

/// Files up to this size are read on the thread that looked up the row, in bytes: one change of threads, not two.
const SMALL_BYTES: u64 = 256 << 10;

/// One of the two buckets of a [`super::Store`].
#[derive(Clone, Debug)]
pub struct LocalObjectStore {
    pub(super) inner: Arc<Inner>,
    pub(super) bucket: Bucket,
}

impl LocalObjectStore {
    /// Writes a staged file as an object. It happens even when the caller has stopped waiting.
    ///
    /// # Errors
    /// [`Error::PreconditionFailed`], [`Error::Full`], [`Error::Io`], errors of SQLite.
    pub(crate) async fn commit(
        &self,
        key: ObjectKey,
        staged: Staged,
        etag: Option<String>,
        attributes: Attributes,
        precondition: Precondition,
    ) -> Result<row::Row> {
        let object = NewObject {
            bucket: self.bucket,
            key,
            etag: etag.unwrap_or_else(|| staged.etag()),
            staged,
            modified_at: self.inner.clock.wall(),
            due_at: self.inner.clock.steady(),
            attributes,
            precondition,
        };
        self.inner.seal_and_run(|| object.seal(), row::write).await
    }

    pub(crate) async fn find(&self, key: &str) -> Result<row::Row> {
        let (bucket, key) = (self.bucket, key.to_owned());
        self.inner
            .readers
            .run(move |connection| row::find(connection, bucket, &key)?.ok_or(Error::NoSuchKey))
            .await
    }

    /// The bytes are compared with the digest that they were stored with: damaged bytes are an error.
    async fn read(&self, key: &str, options: GetOptions) -> Result<Object> {
        let (bucket, files, key) = (self.bucket, self.inner.files.clone(), key.to_owned());
        let (row, file, body) = self
            .inner
            .readers
            .run(move |connection| {
                let accept = |row: &row::Row| accept(row, &options);
                let (row, file) = row::open(connection, &files, bucket, &key, accept)?;
                let body = if row.size_bytes <= SMALL_BYTES {
                    Some(read_whole(&files, bucket, &row, &file)?)
                } else {
                    None
                };
                Ok((row, file, body))
            })
            .await?;
        if let Some(body) = body {
            let meta = row.into_meta();
            return Ok(Object { meta, body });
        }
        let files = self.inner.files.clone();
        blocking(move || {
            let body = read_whole(&files, bucket, &row, &file)?;
            let meta = row.into_meta();
            Ok(Object { meta, body })
        })
        .await
    }

    /// The row of an object, and its file, which has its full length and is not known to be altered.
    pub(crate) async fn open(&self, key: &str) -> Result<(row::Row, File)> {
        let (bucket, files, key) = (self.bucket, self.inner.files.clone(), key.to_owned());
        self.inner
            .readers
            .run(move |connection| row::open(connection, &files, bucket, &key, |_| Ok(())))
            .await
    }

    async fn write(&self, key: &str, body: Bytes, options: PutOptions) -> Result<ObjectMeta> {
        let key = ObjectKey::new(key)?;
        let mut file = StagedFile::new(self.inner.files.clone());
        file.write(body).await?;
        let staged = file.finish().await?;
        let attributes = Attributes {
            content_type: options.content_type,
            cache_control: options.cache_control,
            metadata: options.metadata,
            ..Attributes::default()
        };
        let row = self
            .commit(key, staged, None, attributes, options.precondition)
            .await?;
        Ok(row.into_meta())
    }

    pub(crate) async fn remove(
        &self,
        key: ObjectKey,
        precondition: Precondition,
    ) -> Result<Option<tintype_model::Sequencer>> {
        let (bucket, due_at) = (self.bucket, self.inner.clock.steady());
        self.inner
            .run_delete(move |connection, effects| {
                row::delete(connection, effects, bucket, &key, &precondition, due_at)
            })
            .await
    }
}

fn accept(row: &row::Row, options: &GetOptions) -> Result<()> {
    if options.if_match.as_ref().is_some_and(|etag| *etag != row.etag) {
        return Err(Error::PreconditionFailed);
    }
    match options.max_bytes {
        Some(max) if row.size_bytes > max => Err(Error::TooLarge {
            size_bytes: row.size_bytes,
        }),
        _ => Ok(()),
    }
}

fn read_whole(files: &Files, bucket: Bucket, row: &row::Row, file: &File) -> Result<Bytes> {
    let size_bytes = row.size_bytes;
    let length = usize::try_from(size_bytes).map_err(|_| Error::TooLarge { size_bytes })?;
    let mut body = vec![0; length];
    if let Err(error) = file.read_exact_at(&mut body, 0) {
        return Err(match Fault::of_read(&error) {
            Some(fault) => files.damages().report(bucket, row, fault),
            None => Error::io("read a file")(error),
        });
    }
    if !digest::is_sound(row, &body) {
        return Err(files.damages().report(bucket, row, Fault::Altered));
    }
    Ok(body.into())
}

#[async_trait]
impl ObjectStore for LocalObjectStore {
    async fn get(&self, key: &str, options: GetOptions) -> tintype_model::Result<Object> {
        Ok(self.read(key, options).await?)
    }

    async fn head(&self, key: &str) -> tintype_model::Result<ObjectMeta> {
        let row = match self.bucket {
            // The answer is that of a read.
            Bucket::Renditions => self.open(key).await?.0,
            Bucket::Sources => self.find(key).await?,
        };
        Ok(row.into_meta())
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> tintype_model::Result<Page<Entry>> {
        let (bucket, request) = (
            self.bucket,
            ListSources {
                prefix: prefix.to_owned(),
                delimiter: None,
                from: after.map_or(ListFrom::Start, |after| ListFrom::After(after.to_owned())),
                limit,
            },
        );
        let listing = self
            .inner
            .readers
            .run(move |connection| list::objects(connection, bucket, &request))
            .await?;
        let items: Vec<Entry> = listing
            .items
            .into_iter()
            .filter_map(|item| match item {
                Listed::Object(entry) => Some(entry),
                Listed::CommonPrefix(_) => None,
            })
            .collect();
        Ok(Page {
            next: items
                .last()
                .filter(|_| listing.truncated)
                .map(|entry| entry.key.clone()),
            items,
        })
    }

    async fn put(&self, key: &str, body: Bytes, options: PutOptions) -> tintype_model::Result<ObjectMeta> {
        Ok(self.write(key, body, options).await?)
    }

    async fn delete(&self, key: &str, precondition: Precondition) -> tintype_model::Result<()> {
        let key = ObjectKey::new(key).map_err(|error| StoreError::from(Error::from(error)))?;
        self.remove(key, precondition).await?;
        Ok(())
    }
}
