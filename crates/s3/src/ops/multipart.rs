//! Multipart uploads.

use std::collections::BTreeMap;

use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumAlgorithm, ChecksumType,
    CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CreateMultipartUploadInput,
    CreateMultipartUploadOutput, Initiator, ListPartsInput, ListPartsOutput, Part, StorageClass,
    UploadPartInput, UploadPartOutput,
};
use s3s::{S3ErrorCode, S3Request, S3Response, S3Result};
use tintype_model::{ObjectKey, Precondition};
use tintype_store::{Assembled, Attributes, CompletedPart, Completion, Error, SourceMeta, Store};

use super::attributes;
use super::object_checksum::{ObjectChecksum, UploadChecksum};
use super::write::missing_or;
use super::{
    BUCKET, OWNER, Operations, echo, etag, fail, object_key, owner, page_limit, set_checksum, signed,
    timestamp,
};
use crate::bridge::Origin;
use crate::checksum::{self, Algorithm, Kind};
use crate::conditions;
use crate::config::location;
use crate::error::from_store;
use crate::receive::{Received, receive};
use crate::verify::{bad_digest, invalid_claim};

/// A part that is to be stored, whose number is possible and whose upload exists.
pub(super) struct OpenPart<'a> {
    store: &'a Store,
    key: ObjectKey,
    upload_id: &'a str,
    number: u32,
    /// The checksum of its upload.
    pub(super) checksum: UploadChecksum,
}

impl<'a> OpenPart<'a> {
    /// Finds the upload that a request for one of its parts names.
    pub(super) async fn open(
        ops: &'a Operations,
        bucket: &str,
        key: &str,
        upload_id: &'a str,
        number: i32,
    ) -> S3Result<Self> {
        let key = object_key(bucket, key)?;
        let number = part_number(number)?;
        let upload = ops.store.head_multipart(&key, upload_id).await;
        Ok(Self {
            store: &ops.store,
            key,
            upload_id,
            number,
            checksum: UploadChecksum::of(&upload.map_err(from_store)?.attributes),
        })
    }

    /// Stores the bytes of the part.
    pub(super) async fn put(&self, received: Received) -> S3Result<tintype_store::Part> {
        let Received {
            staged, checksums, ..
        } = received;
        let part = self
            .store
            .put_part(&self.key, self.upload_id, self.number, staged, checksums);
        part.await.map_err(from_store)
    }
}

fn part_number(number: i32) -> S3Result<u32> {
    u32::try_from(number)
        .ok()
        .filter(|number| (1..=10_000).contains(number))
        .ok_or_else(|| {
            fail(
                S3ErrorCode::InvalidArgument,
                "Part number must be an integer between 1 and 10000, inclusive.",
            )
        })
}

pub(crate) async fn create_multipart_upload(
    ops: &Operations,
    request: S3Request<CreateMultipartUploadInput>,
) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
    let origin = Origin::of(&request)?;
    let input = request.input;
    let key = object_key(&input.bucket, &input.key)?;
    let mut attributes = attributes::from_headers(&origin.headers, input.metadata)?;
    let chosen = input.checksum_algorithm.as_ref().map(|name| {
        Algorithm::from_name(name.as_str()).ok_or_else(|| {
            fail(
                S3ErrorCode::InvalidRequest,
                "Checksum algorithm provided is unsupported.",
            )
        })
    });
    let chosen = chosen.transpose()?;
    let algorithm = chosen.unwrap_or(Algorithm::DEFAULT);
    let kind = match &input.checksum_type {
        None => algorithm.default_kind(),
        Some(name) => Kind::from_name(name.as_str()).ok_or_else(|| {
            fail(
                S3ErrorCode::InvalidRequest,
                "Value for x-amz-checksum-type header is invalid.",
            )
        })?,
    };
    if !algorithm.supports(kind) {
        let (kind, algorithm) = (kind.name(), algorithm.name());
        let message =
            format!("The {kind} checksum type cannot be used with the {algorithm} checksum algorithm.");
        return Err(fail(S3ErrorCode::InvalidRequest, message));
    }
    UploadChecksum {
        algorithm,
        kind,
        is_chosen: chosen.is_some(),
    }
    .keep_in(&mut attributes);
    let upload_id = ops
        .store
        .create_multipart(&key, attributes)
        .await
        .map_err(from_store)?;
    let output = CreateMultipartUploadOutput {
        bucket: Some(BUCKET.to_owned()),
        checksum_algorithm: chosen.map(|algorithm| ChecksumAlgorithm::from_static(algorithm.name())),
        checksum_type: chosen.map(|_| ChecksumType::from_static(kind.name())),
        key: echo(&key),
        upload_id: Some(upload_id),
        ..Default::default()
    };
    Ok(S3Response::new(output))
}

pub(crate) async fn upload_part(
    ops: &Operations,
    request: S3Request<UploadPartInput>,
) -> S3Result<S3Response<UploadPartOutput>> {
    let origin = Origin::of(&request)?;
    let input = request.input;
    let (upload_id, number) = (&input.upload_id, input.part_number);
    let part = OpenPart::open(ops, &input.bucket, &input.key, upload_id, number).await?;
    let algorithm = part.checksum.algorithm;
    let received = receive(&ops.store, input.body, &origin, Some(algorithm)).await?;
    if part.checksum.is_chosen && received.algorithm != algorithm {
        return Err(fail(
            S3ErrorCode::InvalidRequest,
            format!(
                "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
                algorithm.name().to_ascii_lowercase(),
                received.algorithm.name().to_ascii_lowercase()
            ),
        ));
    }
    let mut headers = http::HeaderMap::new();
    if let Ok(value) = received.checksum().parse() {
        headers.insert(received.algorithm.header(), value);
    }
    let part = part.put(received).await?;
    let output = UploadPartOutput {
        e_tag: Some(etag(&part.etag)),
        ..Default::default()
    };
    Ok(S3Response::with_headers(output, headers))
}

pub(crate) async fn list_parts(
    ops: &Operations,
    request: S3Request<ListPartsInput>,
) -> S3Result<S3Response<ListPartsOutput>> {
    let input = request.input;
    let key = object_key(&input.bucket, &input.key)?;
    let limit = page_limit(input.max_parts, "max-parts")?;
    let marker = input.part_number_marker.unwrap_or(0);
    let after = u32::try_from(marker).map_err(|_| {
        fail(
            S3ErrorCode::InvalidArgument,
            "Argument part-number-marker must be an integer between 0 and 2147483647.",
        )
    })?;
    let page = ops
        .store
        .list_parts(&key, &input.upload_id, after, limit)
        .await
        .map_err(from_store)?;
    let UploadChecksum {
        algorithm,
        kind,
        is_chosen,
    } = UploadChecksum::of(&page.upload.attributes);
    let parts: Vec<Part> = page
        .parts
        .iter()
        .map(|part| {
            let mut listed = Part {
                e_tag: Some(etag(&part.etag)),
                last_modified: Some(timestamp(part.modified_at)),
                part_number: i32::try_from(part.number).ok(),
                size: Some(signed(part.size_bytes)),
                ..Part::default()
            };
            if let Some(value) = part.checksums.get(algorithm.name()).filter(|_| is_chosen) {
                set_checksum!(listed, algorithm, value);
            }
            listed
        })
        .collect();
    let last = page.parts.last().and_then(|part| i32::try_from(part.number).ok());
    let output = ListPartsOutput {
        bucket: Some(BUCKET.to_owned()),
        checksum_algorithm: is_chosen.then(|| ChecksumAlgorithm::from_static(algorithm.name())),
        checksum_type: is_chosen.then(|| ChecksumType::from_static(kind.name())),
        initiator: Some(Initiator {
            display_name: Some(OWNER.to_owned()),
            id: Some(OWNER.to_owned()),
        }),
        is_truncated: Some(page.next.is_some() && limit > 0),
        key: echo(&key),
        max_parts: i32::try_from(limit).ok(),
        next_part_number_marker: Some(last.unwrap_or(0)),
        owner: Some(owner()),
        part_number_marker: Some(marker),
        parts: Some(parts),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        upload_id: Some(input.upload_id),
        ..Default::default()
    };
    Ok(S3Response::new(output))
}

pub(crate) async fn complete_multipart_upload(
    ops: &Operations,
    request: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
    let origin = Origin::of(&request)?;
    let input = request.input;
    let key = object_key(&input.bucket, &input.key)?;
    let precondition = conditions::of_write(&origin.headers)?;
    // On this request the checksum headers are those of the object, not of the document.
    let claim = checksum::claim(&origin.headers).map_err(invalid_claim)?;
    let mut parts = Vec::new();
    for part in input
        .multipart_upload
        .and_then(|upload| upload.parts)
        .unwrap_or_default()
    {
        let number = part_number(part.part_number.unwrap_or(0))?;
        let checksums: BTreeMap<String, String> = [
            (Algorithm::Crc32, part.checksum_crc32),
            (Algorithm::Crc32c, part.checksum_crc32c),
            (Algorithm::Crc64Nvme, part.checksum_crc64nvme),
            (Algorithm::Sha1, part.checksum_sha1),
            (Algorithm::Sha256, part.checksum_sha256),
        ]
        .into_iter()
        .filter_map(|(algorithm, value)| Some((algorithm.name().to_owned(), value?)))
        .collect();
        let etag = part
            .e_tag
            .ok_or_else(|| fail(S3ErrorCode::MalformedXML, format!("Part {number} has no ETag.")))?;
        parts.push(CompletedPart {
            number,
            etag: etag.into_value(),
            checksums,
        });
    }
    let given: Vec<(u32, Vec<String>)> = parts
        .iter()
        .map(|part| (part.number, part.checksums.keys().cloned().collect()))
        .collect();
    let assembled = ops
        .store
        .assemble(&key, &input.upload_id, parts)
        .await
        .map_err(from_store)?;
    if let Some(meta) = assembled.existing() {
        return Ok(S3Response::new(completed(ops, &origin, meta)));
    }
    let upload = UploadChecksum::of(&assembled.upload().attributes);
    let UploadChecksum {
        algorithm,
        kind,
        is_chosen,
    } = upload;
    if is_chosen && kind == Kind::Composite {
        let missing = given
            .iter()
            .find(|(_, names)| !names.iter().any(|name| name == algorithm.name()));
        if let Some((number, _)) = missing {
            let name = algorithm.name().to_ascii_lowercase();
            let message = format!(
                "The upload was created using a {name} checksum. The complete request must include the checksum for \
                 each part. It was missing for part {number} in the request."
            );
            return Err(fail(S3ErrorCode::InvalidRequest, message));
        }
    }
    let claimed_kind = input.checksum_type.as_ref().map(|name| name.as_str());
    if claimed_kind.is_some_and(|name| name != kind.name()) {
        let message = format!(
            "The upload was created with the checksum type {}, which x-amz-checksum-type does not name.",
            kind.name()
        );
        return Err(fail(S3ErrorCode::InvalidRequest, message));
    }
    if input
        .mpu_object_size
        .is_some_and(|size| size != signed(assembled.size_bytes()))
    {
        let message = "The provided 'x-amz-mp-object-size' header does not match the size of the parts.";
        return Err(fail(S3ErrorCode::InvalidRequest, message));
    }
    let value = combined(&assembled, algorithm, kind)?;
    if let Some(claim) = claim {
        if is_chosen && claim.algorithm != algorithm {
            let message = format!("The upload was created using a {} checksum.", algorithm.name());
            return Err(fail(S3ErrorCode::InvalidRequest, message));
        }
        let expected = if claim.algorithm == algorithm {
            Some(value.clone())
        } else {
            checksum::combine(
                claim.algorithm,
                Kind::FullObject,
                values(&assembled, claim.algorithm),
            )
        };
        // Clients send composite values with and without the number of parts.
        let digest = |value: &str| {
            value
                .split_once('-')
                .map_or(value.to_owned(), |(digest, _)| digest.to_owned())
        };
        if expected.as_deref().map(digest) != Some(digest(&claim.value)) {
            return Err(bad_digest(claim.algorithm.name()));
        }
    }
    let parts = values(&assembled, algorithm).map(|(value, _)| value);
    let Attributes { checksums, extra, .. } = upload.completed(&value, parts);
    let completion = Completion {
        precondition,
        checksums,
        extra,
    };
    let expects_object = matches!(completion.precondition, Precondition::Etag(_));
    match ops.store.commit_assembled(assembled, completion).await {
        Ok(meta) => Ok(S3Response::new(completed(ops, &origin, &meta))),
        Err(error @ Error::PreconditionFailed) if expects_object => {
            Err(missing_or(&ops.store, &key, error).await)
        }
        Err(error) => Err(from_store(error)),
    }
}

/// The checksums of the parts and their sizes.
fn values(assembled: &Assembled, algorithm: Algorithm) -> impl Iterator<Item = (&str, u64)> {
    assembled.parts().map(move |part| {
        (
            part.checksums.get(algorithm.name()).map_or("", String::as_str),
            part.size_bytes,
        )
    })
}

fn combined(assembled: &Assembled, algorithm: Algorithm, kind: Kind) -> S3Result<String> {
    checksum::combine(algorithm, kind, values(assembled, algorithm)).ok_or_else(|| {
        let message = "a part has no checksum of its upload's algorithm".to_owned();
        from_store(Error::Corrupt(message))
    })
}

fn completed(ops: &Operations, origin: &Origin, meta: &SourceMeta) -> CompleteMultipartUploadOutput {
    let mut output = CompleteMultipartUploadOutput {
        bucket: Some(BUCKET.to_owned()),
        e_tag: Some(etag(&meta.etag)),
        key: echo(&meta.key),
        location: Some(location(ops.public_url.as_deref(), &origin.headers, &meta.key)),
        ..Default::default()
    };
    if let Some(checksum) = ObjectChecksum::of(&meta.attributes) {
        set_checksum!(output, checksum.algorithm, checksum.value);
        output.checksum_type = Some(ChecksumType::from_static(checksum.kind.name()));
    }
    output
}

pub(crate) async fn abort_multipart_upload(
    ops: &Operations,
    request: S3Request<AbortMultipartUploadInput>,
) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
    let input = request.input;
    let key = object_key(&input.bucket, &input.key)?;
    ops.store
        .abort_multipart(&key, &input.upload_id)
        .await
        .map_err(from_store)?;
    Ok(S3Response::new(AbortMultipartUploadOutput::default()))
}
