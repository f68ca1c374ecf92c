//! Writing objects in one request.

use s3s::dto::{PutObjectInput, PutObjectOutput};
use s3s::{S3Error, S3Request, S3Response, S3Result};
use tintype_model::{ObjectKey, Precondition};
use tintype_store::{SourceMeta, SourceOptions, Staged, Store};

use super::object_checksum::ObjectChecksum;
use super::{Operations, attributes, etag, object_key};
use crate::bridge::Origin;
use crate::checksum;
use crate::conditions;
use crate::error::{from_store, no_such_key};
use crate::receive::receive;

pub(crate) async fn put_object(
    ops: &Operations,
    request: S3Request<PutObjectInput>,
) -> S3Result<S3Response<PutObjectOutput>> {
    let origin = Origin::of(&request)?;
    let input = request.input;
    let key = object_key(&input.bucket, &input.key)?;
    let precondition = conditions::of_write(&origin.headers)?;
    checksum::refuse_composite(&origin.headers)?;
    let mut attributes = attributes::from_headers(&origin.headers, input.metadata)?;
    let received = receive(&ops.store, input.body, &origin, None).await?;
    let (algorithm, value) = (received.algorithm, received.checksum().to_owned());
    let checksum = ObjectChecksum::of_whole(algorithm, &value);
    checksum.keep_in(&mut attributes);
    let headers = checksum.headers(&value);
    let options = SourceOptions {
        precondition,
        attributes,
        etag: None,
    };
    let meta = put(&ops.store, &key, received.staged, options).await?;
    let output = PutObjectOutput {
        e_tag: Some(etag(&meta.etag)),
        ..Default::default()
    };
    Ok(S3Response::with_headers(output, headers))
}

/// Points the key at the file. Like S3, `If-Match` on an object that is not there is a 404.
pub(crate) async fn put(
    store: &Store,
    key: &ObjectKey,
    staged: Staged,
    options: SourceOptions,
) -> S3Result<SourceMeta> {
    let expects_object = matches!(options.precondition, Precondition::Etag(_));
    match store.put_source(key, staged, options).await {
        Err(error @ tintype_store::Error::PreconditionFailed) if expects_object => {
            Err(missing_or(store, key, error).await)
        }
        other => other.map_err(from_store),
    }
}

/// The error of a failed precondition: that of a missing object, if it is missing.
pub(crate) async fn missing_or(store: &Store, key: &ObjectKey, error: tintype_store::Error) -> S3Error {
    match store.head_source(key.as_str()).await {
        Err(tintype_store::Error::NoSuchKey) => no_such_key(),
        Ok(_) | Err(_) => from_store(error),
    }
}
