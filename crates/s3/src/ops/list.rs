//! Listing objects. Keys with characters that XML cannot carry are readable with `encoding-type=url`, which clients
//! send by themselves.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use s3s::dto::{
    CommonPrefix, EncodingType, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output,
    Object, ObjectStorageClass,
};
use s3s::{S3ErrorCode, S3Request, S3Response, S3Result};
use tintype_model::{Entry, encode_path};
use tintype_store::{ListFrom, ListSources, Listed, Listing};

use super::{BUCKET, Operations, check_bucket, etag, fail, owner, page_limit, signed, timestamp};
use crate::error::from_store;

/// The way in which keys and prefixes are written: as they are, or percent-encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Plain,
    Url,
}

impl Encoding {
    pub(crate) fn of(asked: Option<&EncodingType>) -> S3Result<Self> {
        match asked.map(EncodingType::as_str) {
            None | Some("") => Ok(Self::Plain),
            Some("url") => Ok(Self::Url),
            Some(_) => Err(fail(
                S3ErrorCode::InvalidArgument,
                "Invalid Encoding Method specified in Request.",
            )),
        }
    }

    pub(crate) fn name(self) -> Option<EncodingType> {
        match self {
            Self::Plain => None,
            Self::Url => Some(EncodingType::from_static(EncodingType::URL)),
        }
    }

    pub(crate) fn write(self, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Url => encode_path(text),
        }
    }
}

/// One page of a listing, of objects or of their only versions.
pub(crate) async fn page(
    ops: &Operations,
    prefix: Option<&String>,
    delimiter: Option<&String>,
    from: ListFrom,
    limit: usize,
) -> S3Result<Listing> {
    if limit == 0 {
        return Ok(Listing {
            items: Vec::new(),
            truncated: false,
        });
    }
    let request = ListSources {
        prefix: prefix.cloned().unwrap_or_default(),
        delimiter: delimiter.filter(|delimiter| !delimiter.is_empty()).cloned(),
        from,
        limit,
    };
    ops.store.list_sources(request).await.map_err(from_store)
}

/// The place at which a listing continues after a key or a common prefix that ended an earlier page.
pub(crate) fn after(
    marker: Option<&String>,
    prefix: Option<&String>,
    delimiter: Option<&String>,
) -> ListFrom {
    let Some(marker) = marker.filter(|marker| !marker.is_empty()) else {
        return ListFrom::Start;
    };
    let rest = marker.strip_prefix(prefix.map_or("", String::as_str));
    let is_common_prefix = delimiter.is_some_and(|delimiter| {
        !delimiter.is_empty()
            && rest
                .and_then(|rest| rest.split_once(delimiter.as_str()))
                .is_some_and(|(_, end)| end.is_empty())
    });
    if is_common_prefix {
        ListFrom::PastPrefix(marker.clone())
    } else {
        ListFrom::After(marker.clone())
    }
}

/// Splits a page into the two lists that S3 sends, and returns its last line.
pub(crate) fn split(items: Vec<Listed>) -> (Vec<Entry>, Vec<String>, Option<ListFrom>) {
    let mut last = None;
    let (mut entries, mut prefixes) = (Vec::new(), Vec::new());
    for item in items {
        match item {
            Listed::Object(entry) => {
                last = Some(ListFrom::After(entry.key.clone()));
                entries.push(entry);
            }
            Listed::CommonPrefix(prefix) => {
                last = Some(ListFrom::PastPrefix(prefix.clone()));
                prefixes.push(prefix);
            }
        }
    }
    (entries, prefixes, last)
}

pub(crate) fn common_prefixes(prefixes: Vec<String>, encoding: Encoding) -> Vec<CommonPrefix> {
    prefixes
        .into_iter()
        .map(|prefix| CommonPrefix {
            prefix: Some(encoding.write(&prefix)),
        })
        .collect()
}

fn object(entry: &Entry, encoding: Encoding, with_owner: bool) -> Object {
    Object {
        e_tag: Some(etag(&entry.etag)),
        key: Some(encoding.write(&entry.key)),
        last_modified: Some(timestamp(entry.modified_at)),
        owner: with_owner.then(owner),
        size: Some(signed(entry.size_bytes)),
        storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
        ..Object::default()
    }
}

pub(crate) async fn list_objects(
    ops: &Operations,
    request: S3Request<ListObjectsInput>,
) -> S3Result<S3Response<ListObjectsOutput>> {
    let input = request.input;
    check_bucket(&input.bucket)?;
    let encoding = Encoding::of(input.encoding_type.as_ref())?;
    let limit = page_limit(input.max_keys, "max-keys")?;
    let (prefix, delimiter) = (input.prefix.as_ref(), input.delimiter.as_ref());
    let from = after(input.marker.as_ref(), prefix, delimiter);
    let listing = page(ops, prefix, delimiter, from, limit).await?;
    let truncated = listing.truncated;
    let (entries, prefixes, last) = split(listing.items);
    let next = last.filter(|_| truncated).map(|last| match last {
        ListFrom::After(key) | ListFrom::PastPrefix(key) => encoding.write(&key),
        ListFrom::Start => String::new(),
    });
    let output = ListObjectsOutput {
        name: Some(BUCKET.to_owned()),
        prefix: Some(prefix.map_or_else(String::new, |prefix| encoding.write(prefix))),
        marker: Some(
            input
                .marker
                .as_ref()
                .map_or_else(String::new, |marker| encoding.write(marker)),
        ),
        max_keys: i32::try_from(limit).ok(),
        is_truncated: Some(truncated),
        contents: Some(
            entries
                .iter()
                .map(|entry| object(entry, encoding, true))
                .collect(),
        ),
        common_prefixes: Some(common_prefixes(prefixes, encoding)),
        delimiter: delimiter.map(|delimiter| encoding.write(delimiter)),
        next_marker: next,
        encoding_type: encoding.name(),
        ..Default::default()
    };
    Ok(S3Response::new(output))
}

pub(crate) async fn list_objects_v2(
    ops: &Operations,
    request: S3Request<ListObjectsV2Input>,
) -> S3Result<S3Response<ListObjectsV2Output>> {
    let input = request.input;
    check_bucket(&input.bucket)?;
    let encoding = Encoding::of(input.encoding_type.as_ref())?;
    let limit = page_limit(input.max_keys, "max-keys")?;
    let (prefix, delimiter) = (input.prefix.as_ref(), input.delimiter.as_ref());
    let from = match &input.continuation_token {
        Some(token) => read_token(token).ok_or_else(|| {
            fail(
                S3ErrorCode::InvalidArgument,
                "The continuation token provided is incorrect.",
            )
        })?,
        None => after(input.start_after.as_ref(), prefix, delimiter),
    };
    let listing = page(ops, prefix, delimiter, from, limit).await?;
    let truncated = listing.truncated;
    let (entries, prefixes, last) = split(listing.items);
    let with_owner = input.fetch_owner == Some(true);
    let output = ListObjectsV2Output {
        name: Some(BUCKET.to_owned()),
        prefix: Some(prefix.map_or_else(String::new, |prefix| encoding.write(prefix))),
        max_keys: i32::try_from(limit).ok(),
        key_count: i32::try_from(entries.len() + prefixes.len()).ok(),
        continuation_token: input.continuation_token,
        is_truncated: Some(truncated),
        next_continuation_token: last.as_ref().filter(|_| truncated).map(write_token),
        contents: Some(
            entries
                .iter()
                .map(|entry| object(entry, encoding, with_owner))
                .collect(),
        ),
        common_prefixes: Some(common_prefixes(prefixes, encoding)),
        delimiter: delimiter.map(|delimiter| encoding.write(delimiter)),
        encoding_type: encoding.name(),
        start_after: input.start_after.map(|key| encoding.write(&key)),
        ..Default::default()
    };
    Ok(S3Response::new(output))
}

fn write_token(last: &ListFrom) -> String {
    let text = match last {
        ListFrom::Start => "s".to_owned(),
        ListFrom::After(key) => format!("k{key}"),
        ListFrom::PastPrefix(prefix) => format!("p{prefix}"),
    };
    URL_SAFE_NO_PAD.encode(text)
}

fn read_token(token: &str) -> Option<ListFrom> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    match text.split_at_checked(1)? {
        ("s", "") => Some(ListFrom::Start),
        ("k", key) => Some(ListFrom::After(key.to_owned())),
        ("p", prefix) => Some(ListFrom::PastPrefix(prefix.to_owned())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tokens_carry_any_key(key in ".{0,40}", past in any::<bool>()) {
            let from = if past { ListFrom::PastPrefix(key) } else { ListFrom::After(key) };
            let token = write_token(&from);
            prop_assert_eq!(format!("{:?}", read_token(&token)), format!("{:?}", Some(from)));
        }
    }

    #[test]
    fn other_tokens_are_refused() {
        for token in ["", "!", "eA", "c3g"] {
            assert!(read_token(token).is_none(), "{token}");
        }
    }

    #[test]
    fn markers_that_are_common_prefixes_skip_what_they_stand_for() {
        let from = |marker: &str, prefix: &str| {
            let (marker, prefix) = (marker.to_owned(), prefix.to_owned());
            after(Some(&marker), Some(&prefix), Some(&"/".to_owned()))
        };
        assert!(matches!(from("a/", ""), ListFrom::PastPrefix(_)));
        assert!(matches!(from("a/b/", "a/"), ListFrom::PastPrefix(_)));
        assert!(matches!(from("a/b/", ""), ListFrom::After(_)));
        assert!(matches!(from("a", ""), ListFrom::After(_)));
        assert!(matches!(from("b/", "a/"), ListFrom::After(_)));
    }
}
