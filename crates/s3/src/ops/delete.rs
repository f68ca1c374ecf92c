//! Deleting objects.

use s3s::dto::{
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, Error,
    ObjectIdentifier,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};
use tintype_model::{ObjectKey, Precondition};
use tintype_store::Store;

use super::{Operations, check_bucket, check_version, echo, fail, object_key};
use crate::bridge::Origin;
use crate::conditions::DeleteCondition;
use crate::error::{from_store, not_implemented};

/// The most keys that one request may name.
const MAX_KEYS: usize = 1000;

pub(crate) async fn delete_object(
    ops: &Operations,
    request: S3Request<DeleteObjectInput>,
) -> S3Result<S3Response<DeleteObjectOutput>> {
    let origin = Origin::of(&request)?;
    let input = request.input;
    check_version(input.version_id.as_ref())?;
    let key = object_key(&input.bucket, &input.key)?;
    let condition = DeleteCondition::of(&origin.headers)?;
    match condition {
        DeleteCondition::Exists => delete_existing(&ops.store, &key).await,
        DeleteCondition::Always => delete(&ops.store, &key, Precondition::None).await,
        DeleteCondition::Etag(etag) => delete(&ops.store, &key, Precondition::Etag(etag)).await,
    }
    .map_err(from_store)?;
    let mut response = S3Response::new(DeleteObjectOutput::default());
    response.status = Some(http::StatusCode::NO_CONTENT);
    Ok(response)
}

async fn delete(
    store: &Store,
    key: &ObjectKey,
    precondition: Precondition,
) -> Result<(), tintype_store::Error> {
    store.delete_source(key, precondition).await.map(drop)
}

/// Deletes an object that must exist, with any `ETag`. One that is replaced meanwhile still exists.
async fn delete_existing(store: &Store, key: &ObjectKey) -> Result<(), tintype_store::Error> {
    loop {
        let meta = match store.head_source(key.as_str()).await {
            Err(tintype_store::Error::NoSuchKey) => return Err(tintype_store::Error::PreconditionFailed),
            found => found?,
        };
        match delete(store, key, Precondition::Etag(meta.etag)).await {
            Err(tintype_store::Error::PreconditionFailed) => {}
            answer => return answer,
        }
    }
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
    let mut existing = Vec::new();
    for object in objects {
        match check(&object) {
            Ok((key, DeleteCondition::Always)) => wanted.push((key, Precondition::None)),
            Ok((key, DeleteCondition::Etag(etag))) => wanted.push((key, Precondition::Etag(etag))),
            Ok((key, DeleteCondition::Exists)) => existing.push(key),
            Err(error) => errors.push(describe(object.key, &error)),
        }
    }
    let keys: Vec<ObjectKey> = wanted.iter().map(|(key, _)| key.clone()).collect();
    let answers = ops.store.delete_sources(wanted).await.map_err(from_store)?;
    let mut answers: Vec<_> = keys
        .into_iter()
        .zip(answers.into_iter().map(|answer| answer.map(drop)))
        .collect();
    for key in existing {
        let answer = delete_existing(&ops.store, &key).await;
        answers.push((key, answer));
    }
    let mut deleted = Vec::new();
    for (key, answer) in answers {
        match answer {
            // A key that XML cannot carry would make the whole answer unreadable, so a success is left out.
            Ok(()) if echo(&key).is_none() => {}
            Ok(()) => deleted.push(DeletedObject {
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

/// The key of an object that a document names, and the condition of its deletion.
fn check(object: &ObjectIdentifier) -> S3Result<(ObjectKey, DeleteCondition)> {
    check_version(object.version_id.as_ref())?;
    if object.size.is_some() || object.last_modified_time.is_some() {
        return Err(not_implemented("a size or a time as the condition of a delete"));
    }
    let key = ObjectKey::new(object.key.clone()).map_err(|error| from_store(error.into()))?;
    let condition = match &object.e_tag {
        None => DeleteCondition::Always,
        Some(etag) => DeleteCondition::parse(etag.value())?,
    };
    Ok((key, condition))
}

fn describe(key: String, error: &S3Error) -> Error {
    Error {
        code: Some(error.code().as_str().to_owned()),
        key: Some(key),
        message: error.message().map(str::to_owned),
        version_id: None,
    }
}
