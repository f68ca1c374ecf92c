//! [`Layout::InPlace`](crate::Layout::InPlace).
//!
//! Several workers can hold one key, and a store compares `ETag`s only, which repeat when content does: a worker that
//! is late can replace or delete what a newer one has just written, when both wrote the same bytes. No condition on one
//! object excludes that, so it is repaired instead. The rule is: *whoever changed an object looks, afterwards and
//! before the job is acknowledged, whether the objects are those that the record names* ([`settle`]). Take the last
//! harmful change and the record that is current in the end. Either that record was there when the one who did the
//! harm looked, and he saw it; or it was written later, and its writer, who looks after writing it, saw it.

use std::collections::BTreeSet;

use futures::future::{join_all, try_join_all};
use tintype_model::{
    ObjectKey, ObjectMeta, ObjectStore, Order, Precondition, Recipe, Record, Rendered, RenderedFile,
    Rendition, Status, StoreError,
};

use crate::rendition::{describe, holds, of, options, order_of};

/// The number of times that a write is tried while others write the same object.
const CONTENDED_WRITES: usize = 10;

/// Entries of a listing that are asked for at once.
const LISTED: usize = 1000;

/// Where a rendition is kept.
fn object_key(key: &ObjectKey, file: &RenderedFile) -> String {
    format!(
        "{key}/{}.{}",
        file.variant,
        file.format.extension(),
        key = key.as_str()
    )
}

/// Writes every rendition, unless newer work has written one of them; then `None`, and some may be written.
///
/// `recipe` is what they were made by. `current` is the key's record as it was lately: it only decides whether it is
/// worth looking before writing.
///
/// # Errors
/// When a read or write fails; some renditions may be written.
pub(crate) async fn write(
    store: &dyn ObjectStore,
    key: &ObjectKey,
    order: &Order,
    rendered: &Rendered,
    recipe: &Recipe,
    current: Option<&Record>,
) -> Result<Option<Vec<Rendition>>, StoreError> {
    let published = current.is_some_and(|record| !of(&record.status).is_empty());
    let renditions = join_all(
        rendered
            .files
            .iter()
            .map(|file| describe(object_key(key, file), file, rendered, recipe)),
    )
    .await;
    let written = rendered
        .files
        .iter()
        .zip(&renditions)
        .map(|(file, rendition)| write_one(store, order, file, rendition, published));
    let all = try_join_all(written).await?.into_iter().all(|written| written);
    Ok(all.then_some(renditions))
}

/// Whether the object has these bytes now, or had them for a moment; `false` when newer work has written it.
async fn write_one(
    store: &dyn ObjectStore,
    order: &Order,
    file: &RenderedFile,
    rendition: &Rendition,
    mut look: bool,
) -> Result<bool, StoreError> {
    let key = rendition.object_key.as_str();
    for _ in 0..CONTENDED_WRITES {
        let mut precondition = Precondition::Absent;
        if look && let Some(meta) = head(store, key).await? {
            match order_of(&meta) {
                Some(theirs) if theirs > *order => return Ok(false),
                Some(theirs) if theirs == *order && holds(&meta, rendition) => return Ok(true),
                _ => precondition = Precondition::Etag(meta.etag),
            }
        }
        let options = options(rendition, order, precondition);
        match store.put(key, file.bytes.clone(), options).await {
            Ok(_) => return Ok(true),
            Err(StoreError::PreconditionFailed | StoreError::NotFound) => look = true,
            Err(error) => return Err(error),
        }
    }
    Err(StoreError::unavailable(format!(
        "{key} is written by others all the time"
    )))
}

async fn head(store: &dyn ObjectStore, key: &str) -> Result<Option<ObjectMeta>, StoreError> {
    match store.head(key).await {
        Ok(meta) => Ok(Some(meta)),
        Err(StoreError::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Which objects may be there besides those that the record names.
#[derive(Clone, Debug)]
pub(crate) enum Others {
    /// These object keys.
    Named(Vec<String>),
    /// Whatever a listing shows. It costs one request for each 1,000 renditions of this key and of the keys below it.
    Listed,
}

/// The state of a key's objects in comparison with its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// They are those that the record names, or newer work is under way, which will look as well.
    Settled,
    /// Objects that the record does not name were deleted: look again.
    Changed,
    /// A rendition of the record is missing, or has other bytes or stand-ins: they have to be made again, in this order.
    Damaged(Order),
}

/// Compares the objects of a key with its record, and deletes those that the record does not name and that no newer
/// work has written.
///
/// # Errors
/// When a read or delete fails.
pub(crate) async fn settle(
    store: &dyn ObjectStore,
    record: &Record,
    others: &Others,
) -> Result<Standing, StoreError> {
    if matches!(record.status, Status::Pending | Status::Failed { .. }) {
        // The work of this order will be delivered again and looks then.
        return Ok(Standing::Settled);
    }
    let named = of(&record.status);
    let mut stray: BTreeSet<String> = match others {
        Others::Named(keys) => keys.iter().cloned().collect(),
        Others::Listed => list(store, &record.key).await?,
    };
    for rendition in named {
        stray.remove(&rendition.object_key);
    }
    let (found, strays) = futures::try_join!(
        try_join_all(named.iter().map(|rendition| head(store, &rendition.object_key))),
        try_join_all(stray.iter().map(|key| head(store, key))),
    )?;

    let mut newer = false;
    let mut damaged = false;
    let mut changed = false;
    // Work on the same source: a repair that was not finished, which nobody else may know of, or a reprocessing,
    // which is only done once more than needed.
    let mut latest = record.newest_order().clone();
    for (rendition, found) in named.iter().zip(found) {
        let Some(meta) = found else {
            damaged = true;
            continue;
        };
        if holds(&meta, rendition) {
            continue;
        }
        match order_of(&meta) {
            Some(order) if order.sequencer > record.order.sequencer => newer = true,
            order => {
                damaged = true;
                latest = latest.max(order.unwrap_or_else(|| record.order.clone()));
            }
        }
    }
    for meta in strays.into_iter().flatten() {
        match order_of(&meta) {
            Some(order) if order.sequencer > record.order.sequencer => newer = true,
            _ => {
                changed = true;
                match store.delete(&meta.key, Precondition::Etag(meta.etag)).await {
                    Ok(()) | Err(StoreError::PreconditionFailed | StoreError::NotFound) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
    Ok(if changed {
        Standing::Changed
    } else if damaged && !newer {
        Standing::Damaged(latest.next_revision())
    } else {
        Standing::Settled
    })
}

/// Every object that can be a rendition of this key: one more segment than the key. Deeper ones belong to keys below.
async fn list(store: &dyn ObjectStore, key: &ObjectKey) -> Result<BTreeSet<String>, StoreError> {
    let prefix = format!("{}/", key.as_str());
    let mut keys = BTreeSet::new();
    if prefix.len() >= ObjectKey::MAX_BYTES {
        return Ok(keys);
    }
    let mut after = None;
    loop {
        let page = store.list(&prefix, after.as_deref(), LISTED).await?;
        let own = |entry: &str| entry.len() > prefix.len() && !entry[prefix.len()..].contains('/');
        keys.extend(
            page.items
                .into_iter()
                .map(|entry| entry.key)
                .filter(|entry| own(entry)),
        );
        match page.next {
            None => return Ok(keys),
            next => after = next,
        }
    }
}
