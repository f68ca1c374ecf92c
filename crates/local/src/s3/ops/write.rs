//! Writing objects in one request.

use s3s::dto::{PutObjectInput, PutObjectOutput};
use s3s::{S3Request, S3Response, S3Result};

use super::attributes::{self, checksum_headers};
use super::{Operations, etag, object_key};
use crate::s3::bridge::Origin;
use crate::s3::checksum::Kind;
use crate::s3::conditions;
use crate::s3::error::from_store;
use crate::s3::receive::receive;
use crate::store::SourceOptions;

pub(crate) async fn put_object(
    ops: &Operations,
    request: S3Request<PutObjectInput>,
) -> S3Result<S3Response<PutObjectOutput>> {
    let origin = Origin::of(&request)?;
    let input = request.input;
    let key = object_key(&input.bucket, &input.key)?;
    let precondition = conditions::of_write(&origin.headers)?;
    let mut attributes = attributes::from_headers(&origin.headers, input.metadata)?;
    let received = receive(&ops.store, input.body, &origin, None).await?;
    let (algorithm, value) = (received.algorithm, received.checksum().to_owned());
    let headers = checksum_headers(algorithm, Kind::FullObject, &value);
    attributes::set_checksum(&mut attributes, algorithm, Kind::FullObject, value);
    let options = SourceOptions {
        precondition,
        attributes,
        etag: None,
    };
    let meta = ops
        .store
        .put_source(&key, received.staged, options)
        .await
        .map_err(from_store)?;
    let output = PutObjectOutput {
        e_tag: Some(etag(&meta.etag)),
        ..Default::default()
    };
    Ok(S3Response::with_headers(output, headers))
}
