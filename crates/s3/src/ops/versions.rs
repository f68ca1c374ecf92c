//! Listings that teardown scripts and consoles ask for: versions, of which an unversioned bucket has one of each
//! object, and multipart uploads in progress.

use s3s::dto::{
    ChecksumAlgorithm, ChecksumType, Initiator, ListMultipartUploadsInput, ListMultipartUploadsOutput,
    ListObjectVersionsInput, ListObjectVersionsOutput, MultipartUpload, ObjectVersion,
    ObjectVersionStorageClass, StorageClass,
};
use s3s::{S3Request, S3Response, S3Result};
use tintype_store::{ListFrom, Upload, UploadMarker};

use super::list::{Encoding, after, common_prefixes, page, split};
use super::object_checksum::UploadChecksum;
use super::{BUCKET, OWNER, Operations, check_bucket, etag, owner, page_limit, signed, timestamp};
use crate::error::from_store;

pub(crate) async fn list_object_versions(
    ops: &Operations,
    request: S3Request<ListObjectVersionsInput>,
) -> S3Result<S3Response<ListObjectVersionsOutput>> {
    let input = request.input;
    check_bucket(&input.bucket)?;
    let encoding = Encoding::of(input.encoding_type.as_ref())?;
    let limit = page_limit(input.max_keys, "max-keys")?;
    let (prefix, delimiter) = (input.prefix.as_ref(), input.delimiter.as_ref());
    let from = after(input.key_marker.as_ref(), prefix, delimiter);
    let listing = page(ops, prefix, delimiter, from, limit).await?;
    let truncated = listing.truncated;
    let (entries, prefixes, last) = split(listing.items);
    let versions = entries
        .iter()
        .map(|entry| ObjectVersion {
            e_tag: Some(etag(&entry.etag)),
            is_latest: Some(true),
            key: Some(encoding.write(&entry.key)),
            last_modified: Some(timestamp(entry.modified_at)),
            owner: Some(owner()),
            size: Some(signed(entry.size_bytes)),
            storage_class: Some(ObjectVersionStorageClass::from_static(
                ObjectVersionStorageClass::STANDARD,
            )),
            version_id: Some("null".to_owned()),
            ..Default::default()
        })
        .collect();
    let (mut next_key_marker, mut next_version_id_marker) = (None, None);
    match last.filter(|_| truncated) {
        Some(ListFrom::After(key)) => {
            next_key_marker = Some(encoding.write(&key));
            next_version_id_marker = Some("null".to_owned());
        }
        Some(ListFrom::PastPrefix(prefix)) => next_key_marker = Some(encoding.write(&prefix)),
        Some(ListFrom::Start) | None => {}
    }
    let output = ListObjectVersionsOutput {
        common_prefixes: Some(common_prefixes(prefixes, encoding)),
        delimiter: delimiter.map(|delimiter| encoding.write(delimiter)),
        encoding_type: encoding.name(),
        is_truncated: Some(truncated),
        key_marker: Some(
            input
                .key_marker
                .as_ref()
                .map_or_else(String::new, |key| encoding.write(key)),
        ),
        max_keys: i32::try_from(limit).ok(),
        name: Some(BUCKET.to_owned()),
        next_key_marker,
        next_version_id_marker,
        prefix: Some(prefix.map_or_else(String::new, |prefix| encoding.write(prefix))),
        version_id_marker: input.version_id_marker,
        versions: Some(versions),
        ..Default::default()
    };
    Ok(S3Response::new(output))
}

pub(crate) async fn list_multipart_uploads(
    ops: &Operations,
    request: S3Request<ListMultipartUploadsInput>,
) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
    let input = request.input;
    check_bucket(&input.bucket)?;
    let encoding = Encoding::of(input.encoding_type.as_ref())?;
    let limit = page_limit(input.max_uploads, "max-uploads")?;
    let prefix = input.prefix.clone().unwrap_or_default();
    let delimiter = input.delimiter.as_ref().filter(|delimiter| !delimiter.is_empty());
    let marker = input
        .key_marker
        .clone()
        .filter(|key| !key.is_empty())
        .map(|key| UploadMarker {
            key,
            upload_id: input.upload_id_marker.clone().filter(|id| !id.is_empty()),
        });
    let UploadsPage {
        uploads,
        prefixes,
        next,
    } = uploads_page(ops, &prefix, delimiter, marker, limit).await?;
    let output = ListMultipartUploadsOutput {
        bucket: Some(BUCKET.to_owned()),
        common_prefixes: Some(common_prefixes(prefixes, encoding)),
        delimiter: delimiter.map(|delimiter| encoding.write(delimiter)),
        encoding_type: encoding.name(),
        is_truncated: Some(next.is_some()),
        key_marker: Some(
            input
                .key_marker
                .as_ref()
                .map_or_else(String::new, |key| encoding.write(key)),
        ),
        max_uploads: i32::try_from(limit).ok(),
        next_key_marker: next.as_ref().map(|next| encoding.write(&next.key)),
        next_upload_id_marker: next.and_then(|next| next.upload_id),
        prefix: Some(encoding.write(&prefix)),
        upload_id_marker: input.upload_id_marker,
        uploads: Some(uploads.iter().map(|upload| describe(upload, encoding)).collect()),
        ..Default::default()
    };
    Ok(S3Response::new(output))
}

/// A page of uploads in progress; `next` is the place at which the next one begins.
#[derive(Debug, Default)]
struct UploadsPage {
    uploads: Vec<Upload>,
    prefixes: Vec<String>,
    next: Option<UploadMarker>,
}

/// Lists uploads, and rolls them up at the delimiter, which the store does not do.
async fn uploads_page(
    ops: &Operations,
    prefix: &str,
    delimiter: Option<&String>,
    mut marker: Option<UploadMarker>,
    limit: usize,
) -> S3Result<UploadsPage> {
    let mut page = UploadsPage::default();
    if limit == 0 {
        return Ok(page);
    }
    let common_prefix = |key: &str| {
        let delimiter = delimiter?;
        let at = key.strip_prefix(prefix)?.find(delimiter.as_str())?;
        Some(key[..prefix.len() + at + delimiter.len()].to_owned())
    };
    // A common prefix at the end of the previous page was listed there.
    let listed = marker.as_ref().and_then(|marker| common_prefix(&marker.key));
    loop {
        let found = ops
            .store
            .list_multipart_uploads(prefix, marker, 1000)
            .await
            .map_err(from_store)?;
        for upload in found.uploads {
            let group = common_prefix(upload.key.as_str());
            let is_listed = group.is_some() && (group.as_ref() == page.prefixes.last() || group == listed);
            if !is_listed && page.uploads.len() + page.prefixes.len() == limit {
                return Ok(page);
            }
            page.next = Some(mark(&upload));
            match group {
                _ if is_listed => {}
                Some(group) => page.prefixes.push(group),
                None => page.uploads.push(upload),
            }
        }
        marker = found.next;
        if marker.is_none() {
            page.next = None;
            return Ok(page);
        }
    }
}

fn mark(upload: &Upload) -> UploadMarker {
    UploadMarker {
        key: upload.key.as_str().to_owned(),
        upload_id: Some(upload.upload_id.clone()),
    }
}

fn describe(upload: &Upload, encoding: Encoding) -> MultipartUpload {
    let UploadChecksum { algorithm, kind, .. } = UploadChecksum::of(&upload.attributes);
    MultipartUpload {
        checksum_algorithm: Some(ChecksumAlgorithm::from_static(algorithm.name())),
        checksum_type: Some(ChecksumType::from_static(kind.name())),
        initiated: Some(timestamp(upload.initiated_at)),
        initiator: Some(Initiator {
            display_name: Some(OWNER.to_owned()),
            id: Some(OWNER.to_owned()),
        }),
        key: Some(encoding.write(upload.key.as_str())),
        owner: Some(owner()),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        upload_id: Some(upload.upload_id.clone()),
    }
}
