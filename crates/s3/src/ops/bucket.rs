//! The bucket itself. Clients ask for the features of a bucket before they use it; this one answers like an unversioned
//! bucket without any configuration.

use s3s::dto::{
    Bucket, BucketLocationConstraint, CreateBucketInput, CreateBucketOutput, DeleteBucketInput,
    DeleteBucketOutput, GetBucketAccelerateConfigurationInput, GetBucketAccelerateConfigurationOutput,
    GetBucketCorsInput, GetBucketCorsOutput, GetBucketEncryptionInput, GetBucketEncryptionOutput,
    GetBucketLifecycleConfigurationInput, GetBucketLifecycleConfigurationOutput, GetBucketLocationInput,
    GetBucketLocationOutput, GetBucketLoggingInput, GetBucketLoggingOutput,
    GetBucketNotificationConfigurationInput, GetBucketNotificationConfigurationOutput,
    GetBucketOwnershipControlsInput, GetBucketOwnershipControlsOutput, GetBucketPolicyInput,
    GetBucketPolicyOutput, GetBucketReplicationInput, GetBucketReplicationOutput,
    GetBucketRequestPaymentInput, GetBucketRequestPaymentOutput, GetBucketTaggingInput,
    GetBucketTaggingOutput, GetBucketVersioningInput, GetBucketVersioningOutput, GetBucketWebsiteInput,
    GetBucketWebsiteOutput, GetObjectLockConfigurationInput, GetObjectLockConfigurationOutput,
    GetPublicAccessBlockInput, GetPublicAccessBlockOutput, HeadBucketInput, HeadBucketOutput,
    ListBucketsInput, ListBucketsOutput, Payer,
};
use s3s::{S3ErrorCode, S3Request, S3Response, S3Result};
use tintype_model::UnixMillis;

use super::{BUCKET, Operations, check_bucket, fail, not_configured, owner, timestamp};

type Answer<T> = S3Result<S3Response<T>>;

fn answer<T>(output: T) -> Answer<T> {
    Ok(S3Response::new(output))
}

pub(crate) async fn list_buckets(
    ops: &Operations,
    request: S3Request<ListBucketsInput>,
) -> Answer<ListBucketsOutput> {
    let input = request.input;
    if input.continuation_token.is_some() {
        // There is only one page.
        let message = "The continuation token provided is incorrect.";
        return Err(fail(S3ErrorCode::InvalidArgument, message));
    }
    let prefix = input.prefix;
    let shown = prefix.as_deref().is_none_or(|prefix| BUCKET.starts_with(prefix))
        && input.bucket_region.is_none_or(|region| region == ops.region);
    let bucket = Bucket {
        // The bucket was never created.
        creation_date: Some(timestamp(UnixMillis(0))),
        name: Some(BUCKET.to_owned()),
        bucket_region: Some(ops.region.clone()),
    };
    let buckets = if shown { vec![bucket] } else { Vec::new() };
    answer(ListBucketsOutput {
        buckets: Some(buckets),
        owner: Some(owner()),
        prefix,
        ..Default::default()
    })
}

pub(crate) async fn head_bucket(
    ops: &Operations,
    request: S3Request<HeadBucketInput>,
) -> Answer<HeadBucketOutput> {
    check_bucket(&request.input.bucket)?;
    answer(HeadBucketOutput {
        bucket_region: Some(ops.region.clone()),
        ..Default::default()
    })
}

pub(crate) async fn create_bucket(
    _: &Operations,
    request: S3Request<CreateBucketInput>,
) -> Answer<CreateBucketOutput> {
    if request.input.bucket == BUCKET {
        let message = "Your previous request to create the named bucket succeeded and you already own it.";
        Err(fail(S3ErrorCode::BucketAlreadyOwnedByYou, message))
    } else {
        Err(fail(
            S3ErrorCode::AccessDenied,
            format!("Access Denied: the only bucket is {BUCKET:?}."),
        ))
    }
}

pub(crate) async fn delete_bucket(
    _: &Operations,
    request: S3Request<DeleteBucketInput>,
) -> Answer<DeleteBucketOutput> {
    check_bucket(&request.input.bucket)?;
    Err(fail(
        S3ErrorCode::AccessDenied,
        "Access Denied: the bucket cannot be deleted.",
    ))
}

pub(crate) async fn get_bucket_location(
    ops: &Operations,
    request: S3Request<GetBucketLocationInput>,
) -> Answer<GetBucketLocationOutput> {
    check_bucket(&request.input.bucket)?;
    // S3 leaves out the name of its first region.
    let region = Some(ops.region.as_str()).filter(|region| *region != "us-east-1");
    let location_constraint = region.map(|region| BucketLocationConstraint::from(region.to_owned()));
    answer(GetBucketLocationOutput { location_constraint })
}

pub(crate) async fn get_bucket_versioning(
    _: &Operations,
    request: S3Request<GetBucketVersioningInput>,
) -> Answer<GetBucketVersioningOutput> {
    check_bucket(&request.input.bucket)?;
    answer(GetBucketVersioningOutput::default())
}

pub(crate) async fn get_bucket_request_payment(
    _: &Operations,
    request: S3Request<GetBucketRequestPaymentInput>,
) -> Answer<GetBucketRequestPaymentOutput> {
    check_bucket(&request.input.bucket)?;
    answer(GetBucketRequestPaymentOutput {
        payer: Some(Payer::from_static(Payer::BUCKET_OWNER)),
    })
}

pub(crate) async fn get_bucket_logging(
    _: &Operations,
    request: S3Request<GetBucketLoggingInput>,
) -> Answer<GetBucketLoggingOutput> {
    check_bucket(&request.input.bucket)?;
    answer(GetBucketLoggingOutput::default())
}

pub(crate) async fn get_bucket_accelerate_configuration(
    _: &Operations,
    request: S3Request<GetBucketAccelerateConfigurationInput>,
) -> Answer<GetBucketAccelerateConfigurationOutput> {
    check_bucket(&request.input.bucket)?;
    answer(GetBucketAccelerateConfigurationOutput::default())
}

pub(crate) async fn get_bucket_notification_configuration(
    _: &Operations,
    request: S3Request<GetBucketNotificationConfigurationInput>,
) -> Answer<GetBucketNotificationConfigurationOutput> {
    check_bucket(&request.input.bucket)?;
    answer(GetBucketNotificationConfigurationOutput::default())
}

/// Operations that read a configuration that does not exist, each with its error.
macro_rules! not_configured {
    ($($name:ident($input:ident) -> $output:ident = $code:literal, $message:literal;)*) => {
        $(
            pub(crate) async fn $name(_: &Operations, request: S3Request<$input>) -> Answer<$output> {
                Err(not_configured(&request.input.bucket, $code, $message))
            }
        )*
    };
}

not_configured! {
    get_bucket_tagging(GetBucketTaggingInput) -> GetBucketTaggingOutput =
        "NoSuchTagSet", "The TagSet does not exist.";
    get_bucket_policy(GetBucketPolicyInput) -> GetBucketPolicyOutput =
        "NoSuchBucketPolicy", "The bucket policy does not exist.";
    get_bucket_cors(GetBucketCorsInput) -> GetBucketCorsOutput =
        "NoSuchCORSConfiguration", "The CORS configuration does not exist.";
    get_bucket_website(GetBucketWebsiteInput) -> GetBucketWebsiteOutput =
        "NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration.";
    get_bucket_encryption(GetBucketEncryptionInput) -> GetBucketEncryptionOutput =
        "ServerSideEncryptionConfigurationNotFoundError", "The server side encryption configuration was not found.";
    get_bucket_replication(GetBucketReplicationInput) -> GetBucketReplicationOutput =
        "ReplicationConfigurationNotFoundError", "The replication configuration was not found.";
    get_bucket_lifecycle_configuration(GetBucketLifecycleConfigurationInput) -> GetBucketLifecycleConfigurationOutput =
        "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist.";
    get_bucket_ownership_controls(GetBucketOwnershipControlsInput) -> GetBucketOwnershipControlsOutput =
        "OwnershipControlsNotFoundError", "The bucket ownership controls were not found.";
    get_object_lock_configuration(GetObjectLockConfigurationInput) -> GetObjectLockConfigurationOutput =
        "ObjectLockConfigurationNotFoundError", "Object Lock configuration does not exist for this bucket.";
    get_public_access_block(GetPublicAccessBlockInput) -> GetPublicAccessBlockOutput =
        "NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found.";
}
