//! [`Layout::RandomSets`](crate::Layout::RandomSets).

use futures::future::{join_all, try_join_all};
use rand::Rng;
use tintype_model::{
    ObjectStore, Order, Precondition, Recipe, Rendered, RenderedFile, Rendition, StoreError,
};

use crate::rendition::{describe, options};

/// Writes every rendition under a set name of its own and returns where they are.
///
/// # Errors
/// When any write fails; what was written is removed again as far as the store allows.
pub(crate) async fn write(
    store: &dyn ObjectStore,
    order: &Order,
    rendered: &Rendered,
    recipe: &Recipe,
) -> Result<Vec<Rendition>, StoreError> {
    let set = hex::encode(rand::rng().random::<[u8; 16]>());
    let named = |file: &RenderedFile| format!("{set}/{}.{}", file.variant, file.format.extension());
    let renditions = join_all(
        rendered
            .files
            .iter()
            .map(|file| describe(named(file), file, rendered, recipe)),
    )
    .await;
    let put = |(file, rendition): (&RenderedFile, &Rendition)| {
        let options = options(rendition, order, Precondition::Absent);
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
