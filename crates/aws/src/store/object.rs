use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::error::InvalidObjectState;
use aws_sdk_s3::types::{ChecksumMode, EncodingType};
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use tintype_model::{
    Entry, GetOptions, Object, ObjectKey, ObjectMeta, ObjectStore, Page, Precondition, PutOptions, Result,
    StoreError, UnixMillis,
};

use super::intercept::{Attempts, ExactKey};
use super::{CallError, within_key_limit};

/// The number of times that a write is tried again while another one of the same key is under way.
const CONFLICT_RETRIES: u32 = 5;
/// The longest wait before a conflicting write is tried again; it doubles every time.
const CONFLICT_DELAY: Duration = Duration::from_millis(25);
/// The most keys in one answer of S3.
const LIST_PAGE: usize = 1000;

/// A general purpose bucket of Amazon S3.
///
/// - Conditions are checked by S3, atomically with the write or the delete. `If-Match` needs `s3:GetObject` besides
///   `s3:PutObject` or `s3:DeleteObject`.
/// - A missing object is `NotFound` only where `s3:ListBucket` is granted; S3 answers 403 otherwise, and that is
///   `Unavailable`, as is a missing bucket (but not for `head`, whose answers do not show the difference).
/// - A conditional write that is refused after a lost answer may have been refused because of itself. After
///   such a refusal the object is read: the write succeeded if its content, type and metadata are those of the write.
/// - `modified_at` in the answer to a put is from this machine's clock, since S3 does not send it.
#[derive(Clone, Debug)]
pub struct S3ObjectStore {
    client: Client,
    /// The client for the key that S3 does not take in virtual-hosted-style requests.
    path_style: Client,
    bucket: String,
    /// The account that the bucket must belong to.
    owner: Option<String>,
}

impl S3ObjectStore {
    /// The bucket of that name.
    #[must_use]
    pub fn new(client: Client, bucket: String) -> Self {
        let path_style = client.config().to_builder().force_path_style(true).build();
        Self {
            client,
            path_style: Client::from_conf(path_style),
            bucket,
            owner: None,
        }
    }

    /// The same, whose every request says that the bucket belongs to this account (12 digits). S3 refuses the request
    /// otherwise, so that nothing is read from or written to a bucket of another account.
    #[must_use]
    pub fn owned_by(self, account: String) -> Self {
        Self {
            owner: Some(account),
            ..self
        }
    }

    fn client(&self, key: &str) -> &Client {
        // "Object key naming guidelines" of the S3 user guide.
        if key == "soap" {
            &self.path_style
        } else {
            &self.client
        }
    }

    async fn try_put(
        &self,
        key: &str,
        body: Bytes,
        options: &PutOptions,
        attempts: &Attempts,
    ) -> Result<String, CallError> {
        let mut call = self
            .client(key)
            .put_object()
            .bucket(&self.bucket)
            .set_expected_bucket_owner(self.owner.clone())
            .key(ExactKey::stand_in(key))
            .set_content_type(options.content_type.clone())
            .set_cache_control(options.cache_control.clone())
            .set_metadata(Some(options.metadata.clone().into_iter().collect()))
            .body(ByteStream::from(body));
        match &options.precondition {
            Precondition::None => {}
            Precondition::Absent => call = call.if_none_match("*"),
            Precondition::Etag(etag) => call = call.if_match(quoted(etag)),
        }
        let output = call
            .customize()
            .interceptor(attempts.clone())
            .interceptor(ExactKey::new(key))
            .send()
            .await
            .map_err(|error| CallError::new("s3:PutObject", error))?;
        Ok(unquoted(output.e_tag.as_deref()))
    }

    /// The stored object, if it is exactly the one that was to be put.
    async fn find_own_write(
        &self,
        key: &str,
        size_bytes: u64,
        options: &PutOptions,
        checksum: Option<&str>,
    ) -> Result<Option<ObjectMeta>> {
        let head = match self.read_head(key, Some(ChecksumMode::Enabled)).await {
            Ok(head) => head,
            Err(StoreError::NotFound) => return Ok(None),
            Err(error) => return Err(error),
        };
        let stored = head.checksum_crc32.clone();
        let meta = head_meta(key, head);
        let same = meta.size_bytes == size_bytes
            && meta.metadata == options.metadata
            && meta.cache_control == options.cache_control
            && (options.content_type.is_none() || meta.content_type == options.content_type);
        if !same {
            return Ok(None);
        }
        match (stored, checksum) {
            (Some(stored), Some(sent)) => Ok((stored == sent).then_some(meta)),
            _ => Err(StoreError::unavailable(
                "s3:PutObject lost an answer, and without checksums nobody can tell what came of it",
            )),
        }
    }

    async fn read_head(&self, key: &str, checksums: Option<ChecksumMode>) -> Result<HeadObjectOutput> {
        self.client(key)
            .head_object()
            .bucket(&self.bucket)
            .set_expected_bucket_owner(self.owner.clone())
            .key(ExactKey::stand_in(key))
            .set_checksum_mode(checksums)
            .customize()
            .interceptor(ExactKey::new(key))
            .send()
            .await
            .map_err(|error| {
                let error = CallError::new("s3:HeadObject", error);
                match Refusal::of(&error) {
                    Refusal::Missing => StoreError::NotFound,
                    Refusal::Precondition | Refusal::Conflict | Refusal::Other => error.into(),
                }
            })
    }
}

#[async_trait]
impl ObjectStore for S3ObjectStore {
    async fn get(&self, key: &str, options: GetOptions) -> Result<Object> {
        let output = self
            .client(key)
            .get_object()
            .bucket(&self.bucket)
            .set_expected_bucket_owner(self.owner.clone())
            .key(ExactKey::stand_in(key))
            .set_if_match(options.if_match.as_deref().map(quoted))
            .customize()
            .interceptor(ExactKey::new(key))
            .send()
            .await
            .map_err(|error| {
                if let Some(GetObjectError::InvalidObjectState(state)) = error.as_service_error() {
                    let storage_class = storage_class(state);
                    return StoreError::Archived { storage_class };
                }
                let error = CallError::new("s3:GetObject", error);
                match Refusal::of(&error) {
                    Refusal::Missing => StoreError::NotFound,
                    Refusal::Precondition => StoreError::PreconditionFailed,
                    Refusal::Conflict | Refusal::Other => error.into(),
                }
            })?;
        let size_bytes = size(output.content_length)
            .ok_or_else(|| StoreError::unavailable("s3:GetObject does not say how long the object is"))?;
        if options.max_bytes.is_some_and(|max| size_bytes > max) {
            // The body is not read; dropping it closes the connection.
            return Err(StoreError::TooLarge { size_bytes });
        }
        let meta = ObjectMeta {
            key: key.to_owned(),
            size_bytes,
            etag: unquoted(output.e_tag.as_deref()),
            modified_at: millis(output.last_modified.as_ref()),
            content_type: output.content_type,
            cache_control: output.cache_control,
            metadata: output.metadata.unwrap_or_default().into_iter().collect(),
        };
        let body = output.body.collect().await.map_err(StoreError::unavailable)?;
        Ok(Object {
            meta,
            body: body.into_bytes(),
        })
    }

    async fn head(&self, key: &str) -> Result<ObjectMeta> {
        Ok(head_meta(key, self.read_head(key, None).await?))
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page<Entry>> {
        let mut items = Vec::new();
        let mut token = None;
        let after = after.filter(|after| !after.is_empty());
        // No key is that long, and S3 would refuse the request.
        let mut more = limit > 0 && prefix.len() <= ObjectKey::MAX_BYTES;
        while more && items.len() < limit {
            let output = self
                .client
                .list_objects_v2()
                .bucket(&self.bucket)
                .set_expected_bucket_owner(self.owner.clone())
                .prefix(prefix)
                .set_start_after(after.map(|after| within_key_limit(after).to_owned()))
                .set_continuation_token(token)
                .max_keys(page_size(limit - items.len()))
                // XML cannot hold every key as it is.
                .encoding_type(EncodingType::Url)
                .send()
                .await
                .map_err(|error| CallError::new("s3:ListObjectsV2", error))?;
            for object in output.contents.unwrap_or_default() {
                let key = decoded(object.key.as_deref().unwrap_or_default())?;
                if after.is_none_or(|after| key.as_str() > after) {
                    items.push(Entry {
                        key,
                        size_bytes: size(object.size).unwrap_or_default(),
                        etag: unquoted(object.e_tag.as_deref()),
                        modified_at: millis(object.last_modified.as_ref()),
                    });
                }
            }
            more = output.is_truncated.unwrap_or_default();
            token = output.next_continuation_token;
            if more && token.is_none() {
                return Err(StoreError::unavailable(
                    "s3:ListObjectsV2 says that more follows, but not where",
                ));
            }
        }
        Ok(Page {
            next: items.last().filter(|_| more).map(|entry| entry.key.clone()),
            items,
        })
    }

    async fn put(&self, key: &str, body: Bytes, options: PutOptions) -> Result<ObjectMeta> {
        let size_bytes = body.len() as u64;
        let attempts = Attempts::default();
        let mut conflicts = Conflicts::default();
        loop {
            let error = match self.try_put(key, body.clone(), &options, &attempts).await {
                Ok(etag) => {
                    return Ok(ObjectMeta {
                        key: key.to_owned(),
                        size_bytes,
                        etag,
                        modified_at: SystemTime::now().into(),
                        content_type: options.content_type,
                        cache_control: options.cache_control,
                        metadata: options.metadata,
                    });
                }
                Err(error) => error,
            };
            match Refusal::of(&error) {
                // S3 answers 404 to `If-Match` where there is no object.
                Refusal::Precondition | Refusal::Missing if options.precondition != Precondition::None => {
                    if !attempts.lost_an_answer() {
                        return Err(StoreError::PreconditionFailed);
                    }
                    let checksum = attempts.checksum();
                    let own = self.find_own_write(key, size_bytes, &options, checksum.as_deref());
                    return own.await?.ok_or(StoreError::PreconditionFailed);
                }
                Refusal::Conflict if conflicts.wait().await => attempts.was_refused(),
                Refusal::Precondition | Refusal::Missing | Refusal::Conflict | Refusal::Other => {
                    return Err(error.into());
                }
            }
        }
    }

    async fn delete(&self, key: &str, precondition: Precondition) -> Result<()> {
        let if_match = match precondition {
            Precondition::None => None,
            Precondition::Etag(etag) => Some(quoted(&etag)),
            // When it holds there is nothing to delete, so the object is only looked up.
            Precondition::Absent => {
                return match self.head(key).await {
                    Ok(_) => Err(StoreError::PreconditionFailed),
                    Err(StoreError::NotFound) => Ok(()),
                    Err(error) => Err(error),
                };
            }
        };
        let attempts = Attempts::default();
        let mut conflicts = Conflicts::default();
        loop {
            let answer = self
                .client(key)
                .delete_object()
                .bucket(&self.bucket)
                .set_expected_bucket_owner(self.owner.clone())
                .key(ExactKey::stand_in(key))
                .set_if_match(if_match.clone())
                .customize()
                .interceptor(attempts.clone())
                .interceptor(ExactKey::new(key))
                .send()
                .await;
            let Err(error) = answer else {
                return Ok(());
            };
            let error = CallError::new("s3:DeleteObject", error);
            match Refusal::of(&error) {
                // It is deleted, perhaps by this call.
                Refusal::Missing if if_match.is_none() || attempts.lost_an_answer() => return Ok(()),
                Refusal::Missing | Refusal::Precondition => return Err(StoreError::PreconditionFailed),
                Refusal::Conflict if conflicts.wait().await => attempts.was_refused(),
                Refusal::Conflict | Refusal::Other => return Err(error.into()),
            }
        }
    }
}

/// The meaning of an error of S3.
enum Refusal {
    /// The object is missing.
    Missing,
    /// The object is in another state.
    Precondition,
    /// Another write of the key is under way.
    Conflict,
    /// Anything else.
    Other,
}

impl Refusal {
    fn of(error: &CallError) -> Self {
        match (error.status(), error.code()) {
            // Not `NoSuchBucket`: a wrong setting must not look like a deleted object.
            (Some(404), None | Some("NoSuchKey" | "NotFound")) => Self::Missing,
            (Some(412), _) => Self::Precondition,
            (Some(409), _) => Self::Conflict,
            _ => Self::Other,
        }
    }
}

/// Waits between tries of a write that conflicts with another one.
#[derive(Default)]
struct Conflicts(u32);

impl Conflicts {
    /// Waits for a random, growing time, and tells whether to try again.
    async fn wait(&mut self) -> bool {
        if self.0 == CONFLICT_RETRIES {
            return false;
        }
        let longest = CONFLICT_DELAY * 2_u32.pow(self.0);
        tokio::time::sleep(longest.mul_f64(rand::random::<f64>())).await;
        self.0 += 1;
        true
    }
}

fn head_meta(key: &str, head: HeadObjectOutput) -> ObjectMeta {
    ObjectMeta {
        key: key.to_owned(),
        size_bytes: size(head.content_length).unwrap_or_default(),
        etag: unquoted(head.e_tag.as_deref()),
        modified_at: millis(head.last_modified.as_ref()),
        content_type: head.content_type,
        cache_control: head.cache_control,
        metadata: head
            .metadata
            .unwrap_or_default()
            .into_iter()
            .collect::<BTreeMap<_, _>>(),
    }
}

/// A key of a listing. There, unlike in a path, `+` is a space.
fn decoded(key: &str) -> Result<String> {
    percent_decode_str(&key.replace('+', " "))
        .decode_utf8()
        .map(Into::into)
        .map_err(StoreError::unavailable)
}

/// The storage class of an archived object. Of the objects of Intelligent-Tiering only those in its archive tiers
/// cannot be read.
fn storage_class(state: &InvalidObjectState) -> String {
    let class = state.storage_class().map(|class| class.as_str());
    let tier = state.access_tier().map(|tier| tier.as_str());
    match (class, tier) {
        (Some(class), Some(tier)) => format!("{class}, {tier}"),
        (Some(told), None) | (None, Some(told)) => told.to_owned(),
        (None, None) => "in a class that S3 does not tell".to_owned(),
    }
}

fn page_size(limit: usize) -> i32 {
    i32::try_from(limit.min(LIST_PAGE)).unwrap_or(i32::MAX)
}

fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

fn unquoted(etag: Option<&str>) -> String {
    etag.unwrap_or_default().trim_matches('"').to_owned()
}

fn size(length: Option<i64>) -> Option<u64> {
    length.and_then(|length| u64::try_from(length).ok())
}

fn millis(time: Option<&DateTime>) -> UnixMillis {
    let millis = time.and_then(|time| time.to_millis().ok());
    UnixMillis(
        millis
            .and_then(|millis| u64::try_from(millis).ok())
            .unwrap_or_default(),
    )
}
