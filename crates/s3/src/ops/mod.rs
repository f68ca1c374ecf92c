//! The operations, as `s3s` calls them once a request is authenticated and read.

pub(crate) mod attributes;
mod bucket;
mod copy;
mod delete;
mod list;
mod multipart;
pub(crate) mod object_checksum;
mod read;
mod versions;
mod write;

use s3s::dto;
use s3s::{S3, S3ErrorCode, S3Request, S3Response, S3Result};
use tintype_model::{ObjectKey, UnixMillis};
use tintype_store::Store;

use super::bridge::Origin;
use super::config::{BUCKET, OWNER, S3Config};
use super::error::{custom, fail, not_implemented};

/// The operations on a store.
#[derive(Clone, Debug)]
pub(crate) struct Operations {
    store: Store,
    region: String,
    public_url: Option<String>,
}

impl Operations {
    pub(crate) fn new(store: Store, config: &S3Config) -> Self {
        Self {
            store,
            region: config.region.clone(),
            public_url: config.public_url.clone(),
        }
    }
}

/// Refuses any other bucket.
fn check_bucket(bucket: &str) -> S3Result<()> {
    if bucket == BUCKET {
        Ok(())
    } else {
        Err(fail(
            S3ErrorCode::NoSuchBucket,
            "The specified bucket does not exist.",
        ))
    }
}

/// The object that a request names.
fn object_key(bucket: &str, key: &str) -> S3Result<ObjectKey> {
    check_bucket(bucket)?;
    ObjectKey::new(key).map_err(|error| super::error::from_store(error.into()))
}

/// Checks a version: an unversioned bucket has one of each object, `null`.
fn check_version(version_id: Option<&String>) -> S3Result<()> {
    match version_id.map(String::as_str) {
        None | Some("" | "null") => Ok(()),
        Some(_) => Err(fail(
            S3ErrorCode::InvalidArgument,
            "Invalid version id specified.",
        )),
    }
}

/// A key for a document; `None` when XML 1.0 (section 2.2) cannot represent it. S3 writes character references that XML
/// readers refuse together with the whole answer; the client knows the key.
fn echo(key: &ObjectKey) -> Option<String> {
    let is_xml = key.as_str().chars().all(|character| {
        matches!(character, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
    });
    is_xml.then(|| key.as_str().to_owned())
}

fn etag(value: &str) -> dto::ETag {
    dto::ETag::Strong(value.to_owned())
}

fn timestamp(at: UnixMillis) -> dto::Timestamp {
    (std::time::UNIX_EPOCH + std::time::Duration::from_millis(at.0)).into()
}

fn owner() -> dto::Owner {
    dto::Owner {
        display_name: Some(OWNER.to_owned()),
        id: Some(OWNER.to_owned()),
    }
}

/// A size as a number of `s3s`.
fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// The value of `max-keys` or a similar parameter: 1,000 unless less is asked for.
fn page_limit(asked: Option<i32>, name: &str) -> S3Result<usize> {
    let asked = usize::try_from(asked.unwrap_or(1000));
    asked.map(|limit| limit.min(1000)).map_err(|_| {
        fail(
            S3ErrorCode::InvalidArgument,
            format!("Argument {name} must be an integer between 0 and 2147483647."),
        )
    })
}

/// Sets the member of a checksum in any of the documents that have all five.
macro_rules! set_checksum {
    ($target:expr, $algorithm:expr, $value:expr) => {{
        let value = Some($value.to_owned());
        match $algorithm {
            $crate::checksum::Algorithm::Crc32 => $target.checksum_crc32 = value,
            $crate::checksum::Algorithm::Crc32c => $target.checksum_crc32c = value,
            $crate::checksum::Algorithm::Crc64Nvme => $target.checksum_crc64nvme = value,
            $crate::checksum::Algorithm::Sha1 => $target.checksum_sha1 = value,
            $crate::checksum::Algorithm::Sha256 => $target.checksum_sha256 = value,
        }
    }};
}
use set_checksum;

/// Forwards operations to the functions of the same name, if that is the operation that the table of those that are
/// offered has chosen: `s3s` chooses by rules of its own.
macro_rules! operations {
    ($($module:ident::$name:ident($input:ident) -> $output:ident;)*) => {
        /// The names of all functions.
        #[cfg(test)]
        pub(crate) const FUNCTIONS: &[&str] = &[$(stringify!($name)),*];

        #[async_trait::async_trait]
        impl S3 for Operations {
            $(
                async fn $name(&self, request: S3Request<dto::$input>) -> S3Result<S3Response<dto::$output>> {
                    if !Origin::of(&request)?.operation.is(stringify!($name)) {
                        return Err(not_implemented(stringify!($name)));
                    }
                    $module::$name(self, request).await
                }
            )*
        }
    };
}

operations! {
    read::get_object(GetObjectInput) -> GetObjectOutput;
    read::head_object(HeadObjectInput) -> HeadObjectOutput;
    read::get_object_attributes(GetObjectAttributesInput) -> GetObjectAttributesOutput;
    read::get_object_tagging(GetObjectTaggingInput) -> GetObjectTaggingOutput;
    write::put_object(PutObjectInput) -> PutObjectOutput;
    copy::copy_object(CopyObjectInput) -> CopyObjectOutput;
    delete::delete_object(DeleteObjectInput) -> DeleteObjectOutput;
    delete::delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput;
    list::list_objects(ListObjectsInput) -> ListObjectsOutput;
    list::list_objects_v2(ListObjectsV2Input) -> ListObjectsV2Output;
    versions::list_object_versions(ListObjectVersionsInput) -> ListObjectVersionsOutput;
    multipart::create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput;
    multipart::upload_part(UploadPartInput) -> UploadPartOutput;
    copy::upload_part_copy(UploadPartCopyInput) -> UploadPartCopyOutput;
    multipart::list_parts(ListPartsInput) -> ListPartsOutput;
    versions::list_multipart_uploads(ListMultipartUploadsInput) -> ListMultipartUploadsOutput;
    multipart::complete_multipart_upload(CompleteMultipartUploadInput) -> CompleteMultipartUploadOutput;
    multipart::abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput;
    bucket::list_buckets(ListBucketsInput) -> ListBucketsOutput;
    bucket::head_bucket(HeadBucketInput) -> HeadBucketOutput;
    bucket::create_bucket(CreateBucketInput) -> CreateBucketOutput;
    bucket::delete_bucket(DeleteBucketInput) -> DeleteBucketOutput;
    bucket::get_bucket_location(GetBucketLocationInput) -> GetBucketLocationOutput;
    bucket::get_bucket_versioning(GetBucketVersioningInput) -> GetBucketVersioningOutput;
    bucket::get_bucket_request_payment(GetBucketRequestPaymentInput) -> GetBucketRequestPaymentOutput;
    bucket::get_bucket_logging(GetBucketLoggingInput) -> GetBucketLoggingOutput;
    bucket::get_bucket_accelerate_configuration(GetBucketAccelerateConfigurationInput) -> GetBucketAccelerateConfigurationOutput;
    bucket::get_bucket_notification_configuration(GetBucketNotificationConfigurationInput) -> GetBucketNotificationConfigurationOutput;
    bucket::get_bucket_tagging(GetBucketTaggingInput) -> GetBucketTaggingOutput;
    bucket::get_bucket_policy(GetBucketPolicyInput) -> GetBucketPolicyOutput;
    bucket::get_bucket_cors(GetBucketCorsInput) -> GetBucketCorsOutput;
    bucket::get_bucket_website(GetBucketWebsiteInput) -> GetBucketWebsiteOutput;
    bucket::get_bucket_encryption(GetBucketEncryptionInput) -> GetBucketEncryptionOutput;
    bucket::get_bucket_replication(GetBucketReplicationInput) -> GetBucketReplicationOutput;
    bucket::get_bucket_lifecycle_configuration(GetBucketLifecycleConfigurationInput) -> GetBucketLifecycleConfigurationOutput;
    bucket::get_bucket_ownership_controls(GetBucketOwnershipControlsInput) -> GetBucketOwnershipControlsOutput;
    bucket::get_object_lock_configuration(GetObjectLockConfigurationInput) -> GetObjectLockConfigurationOutput;
    bucket::get_public_access_block(GetPublicAccessBlockInput) -> GetPublicAccessBlockOutput;
}

/// The error for a configuration that a bucket can have and this one has not, or for a bucket that does not exist.
fn not_configured(bucket: &str, code: &'static str, message: &'static str) -> s3s::S3Error {
    match check_bucket(bucket) {
        Ok(()) => custom(http::StatusCode::NOT_FOUND, code, message),
        Err(error) => error,
    }
}
