//! Reading objects and their attributes.

use std::ops::Range;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use s3s::dto::{
    Checksum, ChecksumType, GetObjectAttributesInput, GetObjectAttributesOutput, GetObjectAttributesParts,
    GetObjectInput, GetObjectOutput, GetObjectTaggingInput, GetObjectTaggingOutput, HeadObjectInput,
    HeadObjectOutput, ObjectAttributes, ObjectPart, StorageClass, StreamingBlob,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};
use tintype_http::{ByteRange, Verdict, content_range, requested_range, unsatisfied_range};
use tintype_store::SourceMeta;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, SeekFrom};
use tokio_util::io::ReaderStream;

use super::attributes::validators;
use super::object_checksum::ObjectChecksum;
use super::{
    Operations, check_version, custom, etag, fail, object_key, page_limit, set_checksum, signed, timestamp,
};
use crate::bridge::Origin;
use crate::conditions::{self, last_modified};
use crate::error::{from_store, precondition_failed};
use crate::offered;

/// The attributes that can be asked for.
const ATTRIBUTES: [&str; 5] = [
    ObjectAttributes::CHECKSUM,
    ObjectAttributes::ETAG,
    ObjectAttributes::OBJECT_PARTS,
    ObjectAttributes::OBJECT_SIZE,
    ObjectAttributes::STORAGE_CLASS,
];

/// The most bytes of a file that are read at once.
const READ_BYTES: usize = 256 << 10;

pub(crate) async fn get_object(
    ops: &Operations,
    request: S3Request<GetObjectInput>,
) -> S3Result<S3Response<GetObjectOutput>> {
    let origin = Origin::of(&request)?;
    let input = request.input;
    check_version(input.version_id.as_ref())?;
    let key = object_key(&input.bucket, &input.key)?;
    let (meta, mut file) = ops.store.open_source(key.as_str()).await.map_err(from_store)?;
    let range = asked_range(&origin.headers, &meta)?;
    let slice = select(&meta, range, input.part_number)?;
    let mut headers = common_headers(&meta, &slice, input.checksum_mode.is_some());
    if input.response_expires.is_some() {
        headers.remove(header::EXPIRES);
    }
    let length = slice.range.end - slice.range.start;
    if slice.range.start > 0 {
        let seek = file.seek(SeekFrom::Start(slice.range.start)).await;
        seek.map_err(|error| {
            from_store(tintype_store::Error::Io {
                action: "seek in a file",
                source: error,
            })
        })?;
    }
    let body = StreamingBlob::wrap(ReaderStream::with_capacity(file.take(length), READ_BYTES));
    let modified_at = last_modified(&meta);
    let attributes = meta.attributes;
    let output = GetObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        body: Some(body),
        cache_control: attributes.cache_control,
        content_disposition: Some(as_download(attributes.content_disposition)),
        content_encoding: attributes.content_encoding,
        content_language: attributes.content_language,
        content_length: Some(signed(length)),
        content_range: slice.content_range,
        content_type: attributes.content_type,
        e_tag: Some(etag(&meta.etag)),
        last_modified: Some(modified_at.into()),
        metadata: Some(attributes.metadata.into_iter().collect()),
        parts_count: slice.parts_count,
        ..Default::default()
    };
    Ok(S3Response::with_headers(output, headers))
}

/// The disposition that makes a browser save the object instead of showing it. Objects are whatever was uploaded, and are
/// read from the origin of the admin pages. Only who signs a request can ask for another (`response-content-disposition`,
/// which `s3s` puts in this one's place).
fn as_download(stored: Option<String>) -> String {
    const INLINE: &str = "inline";
    const ATTACHMENT: &str = "attachment";
    match stored {
        None => ATTACHMENT.to_owned(),
        Some(stored) => match stored.trim_start().split_at_checked(INLINE.len()) {
            Some((kind, parameters)) if kind.eq_ignore_ascii_case(INLINE) => {
                format!("{ATTACHMENT}{parameters}")
            }
            _ => stored,
        },
    }
}

pub(crate) async fn head_object(
    ops: &Operations,
    request: S3Request<HeadObjectInput>,
) -> S3Result<S3Response<HeadObjectOutput>> {
    let origin = Origin::of(&request)?;
    let input = request.input;
    check_version(input.version_id.as_ref())?;
    let key = object_key(&input.bucket, &input.key)?;
    let meta = ops.store.check_source(key.as_str()).await.map_err(from_store)?;
    let range = asked_range(&origin.headers, &meta)?;
    let slice = select(&meta, range, input.part_number)?;
    let mut headers = common_headers(&meta, &slice, input.checksum_mode.is_some());
    // s3s sets them for GET only.
    headers.extend(response_headers(&request.uri)?);
    let modified_at = last_modified(&meta);
    let attributes = meta.attributes;
    let output = HeadObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        cache_control: attributes.cache_control,
        content_disposition: attributes.content_disposition,
        content_encoding: attributes.content_encoding,
        content_language: attributes.content_language,
        content_length: Some(signed(slice.range.end - slice.range.start)),
        content_range: slice.content_range,
        content_type: attributes.content_type,
        e_tag: Some(etag(&meta.etag)),
        last_modified: Some(modified_at.into()),
        metadata: Some(attributes.metadata.into_iter().collect()),
        parts_count: slice.parts_count,
        ..Default::default()
    };
    Ok(S3Response::with_headers(output, headers))
}

/// The headers that `response-*` parameters ask for in the answer.
fn response_headers(uri: &Uri) -> S3Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in offered::parameters(uri.query().unwrap_or_default())? {
        let Some(header) = name.strip_prefix("response-") else {
            continue;
        };
        let header = HeaderName::from_bytes(header.as_bytes()).ok();
        let (Some(header), Ok(value)) = (header, HeaderValue::from_str(&value)) else {
            let message = format!("The value of {name} cannot be a header.");
            return Err(fail(S3ErrorCode::InvalidArgument, message));
        };
        headers.insert(header, value);
    }
    Ok(headers)
}

/// Checks the conditions of a read, and reads the range that it asks for. A 304 still carries
/// the validators.
fn asked_range(headers: &HeaderMap, meta: &SourceMeta) -> S3Result<ByteRange> {
    match conditions::of_read(headers, meta) {
        Verdict::Send { allow_range: true } => Ok(requested_range(headers, meta.size_bytes)),
        Verdict::Send { allow_range: false } => Ok(ByteRange::Whole),
        Verdict::Failed => Err(precondition_failed()),
        Verdict::NotModified => {
            let mut error = S3Error::new(S3ErrorCode::NotModified);
            error.set_headers(validators(meta));
            Err(error)
        }
    }
}

/// The bytes that an answer carries.
#[derive(Debug)]
struct Slice {
    range: Range<u64>,
    /// The place of the part, counted from 0; `None` when no part was asked for.
    part: Option<usize>,
    content_range: Option<String>,
    parts_count: Option<i32>,
}

fn select(meta: &SourceMeta, range: ByteRange, part_number: Option<i32>) -> S3Result<Slice> {
    let size = meta.size_bytes;
    if let Some(number) = part_number {
        if range != ByteRange::Whole {
            let message = "Cannot specify both Range header and partNumber query parameter.";
            return Err(fail(S3ErrorCode::InvalidRequest, message));
        }
        return part(meta, number);
    }
    let (range, content_range) = match range {
        ByteRange::Whole => (0..size, None),
        ByteRange::Part(range) => {
            let content_range = content_range(&range, size);
            (range, Some(content_range))
        }
        ByteRange::Unsatisfiable => return Err(unsatisfiable(size)),
    };
    Ok(Slice {
        range,
        part: None,
        content_range,
        parts_count: None,
    })
}

fn unsatisfiable(size: u64) -> S3Error {
    let mut error = fail(
        S3ErrorCode::InvalidRange,
        "The requested range is not satisfiable.",
    );
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    if let Ok(value) = HeaderValue::from_str(&unsatisfied_range(size)) {
        headers.insert(header::CONTENT_RANGE, value);
    }
    error.set_headers(headers);
    error
}

/// The bytes of one part of a multipart object; any other object has one part.
fn part(meta: &SourceMeta, number: i32) -> S3Result<Slice> {
    let sizes = &meta.attributes.part_sizes;
    let whole = [meta.size_bytes];
    let sizes = if sizes.is_empty() { &whole[..] } else { &sizes[..] };
    let index = usize::try_from(number)
        .ok()
        .and_then(|number| number.checked_sub(1));
    let found = index.and_then(|index| Some((index, *sizes.get(index)?)));
    let Some((index, length)) = found else {
        let message = "The requested partnumber is not satisfiable.";
        return Err(custom(
            StatusCode::RANGE_NOT_SATISFIABLE,
            "InvalidPartNumber",
            message,
        ));
    };
    let start: u64 = sizes[..index].iter().sum();
    let range = start..start + length;
    let content_range = (length > 0).then(|| content_range(&range, meta.size_bytes));
    let parts_count =
        (!meta.attributes.part_sizes.is_empty()).then(|| i32::try_from(sizes.len()).unwrap_or(i32::MAX));
    Ok(Slice {
        range,
        part: Some(index),
        content_range,
        parts_count,
    })
}

/// The headers that the documents of `s3s` cannot carry: the checksum of the whole object or of the part that is read,
/// and `Expires`, which is kept as it was sent.
fn common_headers(meta: &SourceMeta, slice: &Slice, with_checksum: bool) -> HeaderMap {
    let known = ObjectChecksum::of(&meta.attributes).filter(|_| with_checksum);
    let told = known.and_then(|checksum| {
        let value = match slice.part {
            Some(index) if !meta.attributes.part_sizes.is_empty() => checksum.part(index)?,
            Some(_) => checksum.value,
            None if slice.content_range.is_none() => checksum.value,
            None => return None,
        };
        Some(checksum.headers(value))
    });
    let mut headers = told.unwrap_or_default();
    if let Some(Ok(value)) = meta.attributes.expires.as_deref().map(HeaderValue::from_str) {
        headers.insert(header::EXPIRES, value);
    }
    headers
}

pub(crate) async fn get_object_attributes(
    ops: &Operations,
    request: S3Request<GetObjectAttributesInput>,
) -> S3Result<S3Response<GetObjectAttributesOutput>> {
    let input = request.input;
    check_version(input.version_id.as_ref())?;
    let key = object_key(&input.bucket, &input.key)?;
    let meta = ops.store.head_source(key.as_str()).await.map_err(from_store)?;
    // s3s takes a header for one attribute; SDKs send several in one.
    let names = input
        .object_attributes
        .iter()
        .flat_map(|names| names.as_str().split(','));
    let names: Vec<&str> = names.map(str::trim).collect();
    if let Some(unknown) = names.iter().find(|name| !ATTRIBUTES.contains(name)) {
        let message = format!(
            "Invalid attribute name specified: {unknown:?}. There are {}.",
            ATTRIBUTES.join(", ")
        );
        return Err(fail(S3ErrorCode::InvalidArgument, message));
    }
    let wanted = |name: &str| names.contains(&name);
    let known = ObjectChecksum::of(&meta.attributes);
    let told = known.filter(|_| wanted(ObjectAttributes::CHECKSUM)).map(|known| {
        let mut checksum = Checksum {
            checksum_type: Some(ChecksumType::from_static(known.kind.name())),
            ..Checksum::default()
        };
        set_checksum!(checksum, known.algorithm, known.value);
        checksum
    });
    let sizes = &meta.attributes.part_sizes;
    let object_parts = if wanted(ObjectAttributes::OBJECT_PARTS) && !sizes.is_empty() {
        let limit = page_limit(input.max_parts, "max-parts")?;
        let after = usize::try_from(input.part_number_marker.unwrap_or(0)).unwrap_or(0);
        let page: Vec<ObjectPart> = (1..)
            .zip(sizes)
            .skip(after)
            .take(limit)
            .map(|(number, size)| object_part(known, number, *size))
            .collect();
        let last = page.last().and_then(|part| part.part_number);
        Some(GetObjectAttributesParts {
            is_truncated: Some(after.saturating_add(page.len()) < sizes.len()),
            max_parts: i32::try_from(limit).ok(),
            next_part_number_marker: last,
            part_number_marker: i32::try_from(after).ok(),
            total_parts_count: i32::try_from(sizes.len()).ok(),
            parts: Some(page),
        })
    } else {
        None
    };
    let output = GetObjectAttributesOutput {
        checksum: told,
        e_tag: wanted(ObjectAttributes::ETAG).then(|| etag(&meta.etag)),
        last_modified: Some(timestamp(meta.modified_at)),
        object_parts,
        object_size: wanted(ObjectAttributes::OBJECT_SIZE).then(|| signed(meta.size_bytes)),
        storage_class: wanted(ObjectAttributes::STORAGE_CLASS)
            .then(|| StorageClass::from_static(StorageClass::STANDARD)),
        ..Default::default()
    };
    Ok(S3Response::new(output))
}

fn object_part(checksum: Option<ObjectChecksum<'_>>, number: i32, size: u64) -> ObjectPart {
    let mut part = ObjectPart {
        part_number: Some(number),
        size: Some(signed(size)),
        ..ObjectPart::default()
    };
    let index = usize::try_from(number - 1).unwrap_or_default();
    if let Some((algorithm, value)) = checksum.and_then(|known| Some((known.algorithm, known.part(index)?))) {
        set_checksum!(part, algorithm, value);
    }
    part
}

pub(crate) async fn get_object_tagging(
    ops: &Operations,
    request: S3Request<GetObjectTaggingInput>,
) -> S3Result<S3Response<GetObjectTaggingOutput>> {
    let input = request.input;
    check_version(input.version_id.as_ref())?;
    let key = object_key(&input.bucket, &input.key)?;
    ops.store.head_source(key.as_str()).await.map_err(from_store)?;
    Ok(S3Response::new(GetObjectTaggingOutput::default()))
}
