use futures::future::{join_all, try_join_all};
use rand::Rng;
use tintype_model::{
    CachePolicy, ObjectStore, Order, Precondition, PutOptions, Rendered, RenderedFile, Rendition, Status,
    StoreError,
};

use crate::digest::sha256;

/// Name of the metadata that marks an object as a rendition, with the order of the work that made it.
pub(crate) const ORDER_METADATA: &str = "tintype-order";

/// Writes every rendition under a set name of its own and tells where they are.
///
/// # Errors
/// When any write fails; what was written is removed again as far as the store allows.
pub(crate) async fn write(
    store: &dyn ObjectStore,
    order: &Order,
    rendered: &Rendered,
) -> Result<Vec<Rendition>, StoreError> {
    let name = hex::encode(rand::rng().random::<[u8; 16]>());
    let renditions = join_all(rendered.files.iter().map(|file| describe(&name, file))).await;
    let put = |(file, rendition): (&RenderedFile, &Rendition)| {
        let options = PutOptions {
            precondition: Precondition::Absent,
            content_type: Some(file.format.media_type().to_owned()),
            cache_control: Some(CachePolicy::Short.header_value().to_owned()),
            metadata: [(ORDER_METADATA.to_owned(), order.to_string())].into(),
        };
        let (key, bytes) = (rendition.object_key.clone(), file.bytes.clone());
        async move { store.put(&key, bytes, options).await }
    };
    // All at once, so that a store can make them durable together.
    let written = try_join_all(rendered.files.iter().zip(&renditions).map(put)).await;
    match written {
        Ok(_) => Ok(renditions),
        Err(error) => {
            remove(store, &renditions).await;
            Err(error)
        }
    }
}

async fn describe(set: &str, file: &RenderedFile) -> Rendition {
    Rendition {
        variant: file.variant.clone(),
        format: file.format,
        dimensions: file.dimensions,
        size_bytes: file.bytes.len() as u64,
        etag: hex::encode(&sha256(&file.bytes).await[..16]),
        object_key: format!("{set}/{}.{}", file.variant, file.format.extension()),
    }
}

/// The renditions that a record publishes.
pub(crate) fn of(status: &Status) -> &[Rendition] {
    match status {
        Status::Ready { renditions, .. } => renditions,
        Status::Pending | Status::Rejected { .. } | Status::Failed { .. } | Status::Deleted => &[],
    }
}

/// Removes a set that no record names any more.
///
/// A failure is only logged: nobody can reach the set, and the store's own collection finds what no record names.
pub(crate) async fn remove(store: &dyn ObjectStore, renditions: &[Rendition]) {
    let delete = |rendition: &Rendition| {
        let key = rendition.object_key.clone();
        async move {
            if let Err(error) = store.delete(&key, Precondition::None).await {
                tracing::warn!(object_key = key, %error, "left an unnamed rendition behind");
            }
        }
    };
    join_all(renditions.iter().map(delete)).await;
}
