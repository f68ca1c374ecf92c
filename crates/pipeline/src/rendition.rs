use std::collections::BTreeMap;

use tintype_model::{
    CachePolicy, Format, ObjectMeta, Order, Precondition, PutOptions, Recipe, Rendered, RenderedFile,
    Rendition,
};

use crate::digest::sha256;
use crate::stand_in::stand_ins;

/// Name of the metadata that marks an object as a rendition, with the order of the work that made it.
pub(crate) const ORDER: &str = "tintype-order";

/// Name of the metadata with [`Rendition::etag`]. A store's own `ETag` need not be a digest of the bytes.
const DIGEST: &str = "tintype-digest";

/// Name of the metadata with [`Rendition::stand_ins`]: extensions, separated by commas. It is for a CDN, which has
/// no record. Absent where there are none.
const STAND_INS: &str = "tintype-stand-ins";

/// The entry in a record of a file of `rendered` that is kept under this object key. `recipe` is what it was made by.
pub(crate) async fn describe(
    object_key: String,
    file: &RenderedFile,
    rendered: &Rendered,
    recipe: &Recipe,
) -> Rendition {
    Rendition {
        variant: file.variant.clone(),
        format: file.format,
        dimensions: file.dimensions,
        size_bytes: file.bytes.len() as u64,
        etag: hex::encode(&sha256(&file.bytes).await[..16]),
        object_key,
        encoding: file.encoding.clone(),
        stand_ins: stand_ins(file, rendered, recipe),
    }
}

/// The list of stand-ins in the metadata of an object: their file extensions, joined by commas; `None` when there are
/// none.
fn listed(stand_ins: &[Format]) -> Option<String> {
    let extensions: Vec<&str> = stand_ins.iter().map(|format| format.extension()).collect();
    (!extensions.is_empty()).then(|| extensions.join(","))
}

/// The options of writing a rendition: its media type and `Cache-Control`, and order, digest and stand-ins as metadata.
pub(crate) fn options(rendition: &Rendition, order: &Order, precondition: Precondition) -> PutOptions {
    PutOptions {
        precondition,
        content_type: Some(rendition.format.media_type().to_owned()),
        cache_control: Some(CachePolicy::Short.header_value().to_owned()),
        metadata: [
            Some((ORDER.to_owned(), order.to_string())),
            Some((DIGEST.to_owned(), rendition.etag.clone())),
            listed(&rendition.stand_ins).map(|listed| (STAND_INS.to_owned(), listed)),
        ]
        .into_iter()
        .flatten()
        .collect(),
    }
}

/// The order of the work that wrote this object; `None` when we did not write it.
pub(crate) fn order_of(meta: &ObjectMeta) -> Option<Order> {
    meta.metadata.get(ORDER)?.parse().ok()
}

/// True if the object has exactly these bytes, and names the same stand-ins for them.
pub(crate) fn holds(meta: &ObjectMeta, rendition: &Rendition) -> bool {
    meta.metadata.get(DIGEST) == Some(&rendition.etag)
        && meta.metadata.get(STAND_INS) == listed(&rendition.stand_ins).as_ref()
}

/// True if two objects show viewers the same, by their metadata: the same bytes, and the same stand-ins for them. `false`
/// when either was not written by us.
#[must_use]
pub fn is_same_rendition(one: &BTreeMap<String, String>, other: &BTreeMap<String, String>) -> bool {
    one.contains_key(DIGEST)
        && [DIGEST, STAND_INS]
            .iter()
            .all(|name| one.get(*name) == other.get(*name))
}
