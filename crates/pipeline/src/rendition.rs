use tintype_model::{
    CachePolicy, ObjectMeta, Order, Precondition, PutOptions, RenderedFile, Rendition, Status,
};

use crate::digest::sha256;

/// Name of the metadata that marks an object as a rendition, with the order of the work that made it.
pub(crate) const ORDER: &str = "tintype-order";

/// Name of the metadata with [`Rendition::etag`]. A store's own `ETag` need not be a digest of the bytes.
const DIGEST: &str = "tintype-digest";

/// The entry in a record of a file that is kept under this object key.
pub(crate) async fn describe(object_key: String, file: &RenderedFile) -> Rendition {
    Rendition {
        variant: file.variant.clone(),
        format: file.format,
        dimensions: file.dimensions,
        size_bytes: file.bytes.len() as u64,
        etag: hex::encode(&sha256(&file.bytes).await[..16]),
        object_key,
        encoding: file.encoding.clone(),
    }
}

/// How a rendition is written.
pub(crate) fn options(rendition: &Rendition, order: &Order, precondition: Precondition) -> PutOptions {
    PutOptions {
        precondition,
        content_type: Some(rendition.format.media_type().to_owned()),
        cache_control: Some(CachePolicy::Short.header_value().to_owned()),
        metadata: [
            (ORDER.to_owned(), order.to_string()),
            (DIGEST.to_owned(), rendition.etag.clone()),
        ]
        .into(),
    }
}

/// The order of the work that wrote this object; `None` when we did not write it.
pub(crate) fn order_of(meta: &ObjectMeta) -> Option<Order> {
    meta.metadata.get(ORDER)?.parse().ok()
}

/// Whether the object has exactly these bytes.
pub(crate) fn holds(meta: &ObjectMeta, rendition: &Rendition) -> bool {
    meta.metadata
        .get(DIGEST)
        .is_some_and(|digest| *digest == rendition.etag)
}

/// The renditions that a record publishes.
pub(crate) fn of(status: &Status) -> &[Rendition] {
    match status {
        Status::Ready { renditions, .. } => renditions,
        Status::Pending | Status::Rejected { .. } | Status::Failed { .. } | Status::Deleted => &[],
    }
}
