//! Copies within the bucket.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use s3s::dto::{
    ChecksumType, CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopyPartResult, CopySource,
    MetadataDirective, UploadPartCopyInput, UploadPartCopyOutput,
};
use s3s::{S3ErrorCode, S3Request, S3Response, S3Result};
use tintype_http::Verdict;
use tintype_store::{Attributes, SourceMeta, SourceOptions, Store};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, SeekFrom};

use super::attributes;
use super::multipart::OpenPart;
use super::object_checksum::ObjectChecksum;
use super::write::put;
use super::{BUCKET, Operations, check_version, etag, fail, object_key, set_checksum, timestamp};
use crate::bridge::Origin;
use crate::checksum::{Algorithm, Kind};
use crate::conditions;
use crate::config::MAX_PUT_BYTES;
use crate::error::{from_store, not_implemented, precondition_failed};
use crate::receive::{Expected, Received, Receiver};

/// The most bytes of a file that are copied at once.
const COPY_BYTES: usize = 1 << 20;

pub(crate) async fn copy_object(
    ops: &Operations,
    request: S3Request<CopyObjectInput>,
) -> S3Result<S3Response<CopyObjectOutput>> {
    let origin = Origin::of(&request)?;
    let input = request.input;
    let key = object_key(&input.bucket, &input.key)?;
    let precondition = conditions::of_write(&origin.headers)?;
    let replace = match input.metadata_directive.as_ref().map(MetadataDirective::as_str) {
        None | Some(MetadataDirective::COPY) => false,
        Some(MetadataDirective::REPLACE) => true,
        Some(_) => return Err(fail(S3ErrorCode::InvalidArgument, "Unknown metadata directive.")),
    };
    let (source, file) = open(ops, &input.copy_source, &origin).await?;
    if source.key == key && !replace {
        return Err(fail(
            S3ErrorCode::InvalidRequest,
            "This copy request is illegal because it is trying to copy an object to itself without changing the \
             object's metadata, storage class, website redirect location or encryption attributes.",
        ));
    }
    if source.size_bytes > MAX_PUT_BYTES {
        let message =
            "The specified copy source is larger than the maximum allowable size for a copy source.";
        return Err(fail(S3ErrorCode::InvalidRequest, message));
    }
    let named = input
        .checksum_algorithm
        .as_ref()
        .map(|name| Algorithm::from_name(name.as_str()));
    if named == Some(None) {
        return Err(fail(
            S3ErrorCode::InvalidRequest,
            "Checksum algorithm provided is unsupported.",
        ));
    }
    let known = ObjectChecksum::of(&source.attributes).map(|known| known.algorithm);
    let algorithm = named.flatten().or(known).unwrap_or(Algorithm::DEFAULT);
    let mut attributes = if replace {
        attributes::from_headers(&origin.headers, input.metadata)?
    } else {
        let known = source.attributes.clone();
        // The copy has one part, however many the source has.
        Attributes {
            checksums: Default::default(),
            extra: Default::default(),
            part_sizes: Vec::new(),
            ..known
        }
    };
    // Otherwise the copy would give damaged bytes a valid digest.
    let examined = ops.store.examine_source(source.key.as_str()).await;
    examined.map_err(from_store)?;
    let received = copy(&ops.store, file, 0..source.size_bytes, algorithm).await?;
    let value = received.checksum().to_owned();
    ObjectChecksum::of_whole(algorithm, &value).keep_in(&mut attributes);
    let options = SourceOptions {
        precondition,
        attributes,
        etag: None,
    };
    let meta = put(&ops.store, &key, received.staged, options).await?;
    let mut result = CopyObjectResult {
        checksum_type: Some(ChecksumType::from_static(Kind::FullObject.name())),
        e_tag: Some(etag(&meta.etag)),
        last_modified: Some(timestamp(meta.modified_at)),
        ..Default::default()
    };
    set_checksum!(result, algorithm, value);
    Ok(S3Response::new(CopyObjectOutput {
        copy_object_result: Some(result),
        ..Default::default()
    }))
}

pub(crate) async fn upload_part_copy(
    ops: &Operations,
    request: S3Request<UploadPartCopyInput>,
) -> S3Result<S3Response<UploadPartCopyOutput>> {
    let origin = Origin::of(&request)?;
    let input = request.input;
    let (upload_id, number) = (&input.upload_id, input.part_number);
    let part = OpenPart::open(ops, &input.bucket, &input.key, upload_id, number).await?;
    let algorithm = part.checksum.algorithm;
    let (source, file) = open(ops, &input.copy_source, &origin).await?;
    let range = match &input.copy_source_range {
        None => 0..source.size_bytes,
        Some(text) => copy_range(text, source.size_bytes)?,
    };
    if range.end - range.start > MAX_PUT_BYTES {
        return Err(fail(
            S3ErrorCode::EntityTooLarge,
            "The part is larger than the maximum allowed size.",
        ));
    }
    if range == (0..source.size_bytes) {
        let examined = ops.store.examine_source(source.key.as_str()).await;
        examined.map_err(from_store)?;
    }
    let received = copy(&ops.store, file, range, algorithm).await?;
    let value = received.checksum().to_owned();
    let part = part.put(received).await?;
    let mut result = CopyPartResult {
        e_tag: Some(etag(&part.etag)),
        last_modified: Some(timestamp(part.modified_at)),
        ..Default::default()
    };
    set_checksum!(result, algorithm, value);
    Ok(S3Response::new(UploadPartCopyOutput {
        copy_part_result: Some(result),
        ..Default::default()
    }))
}

/// The source of a copy, when its conditions hold.
async fn open(ops: &Operations, source: &CopySource, origin: &Origin) -> S3Result<(SourceMeta, File)> {
    let CopySource::Bucket {
        bucket,
        key,
        version_id,
    } = source
    else {
        return Err(not_implemented("a copy source that is not BUCKET/KEY"));
    };
    check_version(version_id.as_deref().map(str::to_owned).as_ref())?;
    let key = object_key(bucket, key)?;
    let (meta, file) = ops.store.open_source(key.as_str()).await.map_err(from_store)?;
    // A copy has no answer 304.
    match conditions::of_copy_source(&origin.headers, &meta) {
        Verdict::Send { .. } => Ok((meta, file)),
        Verdict::NotModified | Verdict::Failed => Err(precondition_failed()),
    }
}

/// Reads `bytes=FIRST-LAST`, which must lie within the object.
fn copy_range(text: &str, size: u64) -> S3Result<Range<u64>> {
    let bounds = text.strip_prefix("bytes=").and_then(|text| text.split_once('-'));
    let bounds =
        bounds.and_then(|(first, last)| Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()?)));
    match bounds {
        Some((first, last)) if first <= last && last < size => Ok(first..last + 1),
        Some((first, last)) if first <= last => {
            let message = format!("Range specified is not valid for source object of size: {size}");
            Err(fail(S3ErrorCode::InvalidArgument, message))
        }
        Some(_) | None => Err(fail(
            S3ErrorCode::InvalidArgument,
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the \
             zero-based offsets of the first and last bytes to copy.",
        )),
    }
}

async fn copy(store: &Store, mut file: File, range: Range<u64>, algorithm: Algorithm) -> S3Result<Received> {
    let failed = |source| {
        from_store(tintype_store::Error::Io {
            action: "read a file",
            source,
        })
    };
    let mut left = range.end - range.start;
    let expected = Expected {
        length: Some(left),
        ..Expected::default()
    };
    let mut receiver = Receiver::new(store, &[algorithm], expected);
    file.seek(SeekFrom::Start(range.start)).await.map_err(failed)?;
    while left > 0 {
        let mut buffer =
            BytesMut::with_capacity(usize::try_from(left).map_or(COPY_BYTES, |left| left.min(COPY_BYTES)));
        if (&mut file)
            .take(left)
            .read_buf(&mut buffer)
            .await
            .map_err(failed)?
            == 0
        {
            let message = format!("a file of the object {BUCKET} is shorter than its row says");
            return Err(from_store(tintype_store::Error::Corrupt(message)));
        }
        left -= buffer.len() as u64;
        receiver.write(Bytes::from(buffer)).await?;
    }
    receiver.finish(None).await
}
