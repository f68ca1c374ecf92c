//! Deleting objects.

use s3s::dto::{
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, Error,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};
use tintype_model::{ObjectKey, Precondition};

use super::{Operations, check_bucket, check_version, echo, fail, object_key};
use crate::s3::bridge::Origin;
use crate::s3::conditions;
use crate::s3::error::from_store;

/// Keys that one request may name.
const MAX_KEYS: usize = 1000;

pub(crate) async fn delete_object(
    ops: &Operations,
    request: S3Request<DeleteObjectInput>,
) -> S3Result<S3Response<DeleteObjectOutput>> {
    let origin = Origin::of(&request)?;
    let input = request.input;
    check_version(input.version_id.as_ref())?;
    let key = object_key(&input.bucket, &input.key)?;
    let precondition = conditions::of_write(&origin.headers)?;
    ops.store
        .delete_source(&key, precondition)
        .await
        .map_err(from_store)?;
    let mut response = S3Response::new(DeleteObjectOutput::default());
    response.status = Some(http::StatusCode::NO_CONTENT);
    Ok(response)
}

pub(crate) async fn delete_objects(
    ops: &Operations,
    request: S3Request<DeleteObjectsInput>,
) -> S3Result<S3Response<DeleteObjectsOutput>> {
    let input = request.input;
    check_bucket(&input.bucket)?;
    let objects = input.delete.objects;
    if objects.is_empty() || objects.len() > MAX_KEYS {
        return Err(fail(
            S3ErrorCode::MalformedXML,
            format!("Name between 1 and {MAX_KEYS} objects to delete."),
        ));
    }
    let mut errors = Vec::new();
    let mut wanted = Vec::with_capacity(objects.len());
    for object in objects {
        let checked = check_version(object.version_id.as_ref())
            .and_then(|()| ObjectKey::new(object.key.clone()).map_err(|error| from_store(error.into())));
        match checked {
            Ok(key) => {
                let precondition = object
                    .e_tag
                    .map_or(Precondition::None, |etag| Precondition::Etag(etag.into_value()));
                wanted.push((key, precondition));
            }
            Err(error) => errors.push(describe(object.key, &error)),
        }
    }
    let keys: Vec<ObjectKey> = wanted.iter().map(|(key, _)| key.clone()).collect();
    let answers = ops.store.delete_sources(wanted).await.map_err(from_store)?;
    let mut deleted = Vec::new();
    for (key, answer) in keys.into_iter().zip(answers) {
        match answer {
            // A key that XML cannot carry would make the whole answer unreadable; what is gone goes without saying.
            Ok(_) if echo(&key).is_none() => {}
            Ok(_) => deleted.push(DeletedObject {
                key: echo(&key),
                ..Default::default()
            }),
            Err(error) => errors.push(describe(key.into(), &from_store(error))),
        }
    }
    if input.delete.quiet == Some(true) {
        deleted.clear();
    }
    let output = DeleteObjectsOutput {
        deleted: Some(deleted),
        errors: Some(errors),
        ..Default::default()
    };
    Ok(S3Response::new(output))
}

fn describe(key: String, error: &S3Error) -> Error {
    Error {
        code: Some(error.code().as_str().to_owned()),
        key: Some(key),
        message: error.message().map(str::to_owned),
        version_id: None,
    }
}
