//! [`Layout::InPlace`](crate::Layout::InPlace).
//!
//! Several workers can hold one key, and a store compares `ETag`s only, which repeat when content does: a worker that
//! is late can replace or delete what a newer one has just written, when both wrote the same bytes. No condition on one
//! object excludes that, so it is repaired instead. The rule is: *whoever changed an object looks, afterwards and
//! before the job is acknowledged, whether the objects are those that the record names* ([`reconcile`]). Take the last
//! change that left a wrong object and the record that is current in the end. Either that record was there when the worker
//! that made the change looked, and it saw the record; or the record was written later, and its writer, which looks
//! after writing it, saw the object.

use std::collections::BTreeSet;

use futures::future::{join_all, try_join_all};
use tintype_model::{
    Format, ObjectKey, ObjectMeta, ObjectStore, Order, Precondition, Recipe, Record, Rendered, RenderedFile,
    Rendition, Status, StoreError, Variant,
};

use crate::rendition::{describe, holds, options, order_of};

/// The number of times that a write is tried while others write the same object.
const CONTENDED_WRITES: usize = 10;

/// The number of entries of a listing that are asked for at once.
const LISTED: usize = 1000;

/// The key that a rendition is kept under.
fn object_key(key: &ObjectKey, variant: &str, format: Format) -> String {
    format!("{key}/{variant}.{}", format.extension(), key = key.as_str())
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
    let published = current.is_some_and(|record| !record.status.renditions().is_empty());
    let renditions = join_all(rendered.files.iter().map(|file| {
        describe(
            object_key(key, &file.variant, file.format),
            file,
            rendered,
            recipe,
        )
    }))
    .await;
    let written = rendered
        .files
        .iter()
        .zip(&renditions)
        .map(|(file, rendition)| write_one(store, order, file, rendition, published));
    let all = try_join_all(written).await?.into_iter().all(|written| written);
    Ok(all.then_some(renditions))
}

/// True if the object has these bytes now, or had them for a moment; `false` when newer work has written it.
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

/// The objects that may be there besides those that the record names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Others {
    /// These objects: renditions of a record that was replaced, or of one that was refused.
    pub(crate) known: Vec<Rendition>,
    /// True if there may be more, so that listings have to be asked: one for each variant.
    pub(crate) unknown: bool,
}

impl Others {
    /// Any object: what is there is not known.
    pub(crate) fn unknown() -> Self {
        Self {
            known: Vec::new(),
            unknown: true,
        }
    }
}

/// The state of a key's objects in comparison with its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// They are those that the record names, or newer work goes on, which will look as well.
    Settled,
    /// Objects that the record does not name were deleted: look again.
    Changed,
    /// A rendition of the record is missing, or has other bytes or stand-ins: they have to be made again, in this order.
    Damaged(Order),
}

/// Compares the objects of a key with its record, and deletes those that the record does not name and that no newer
/// work has written.
///
/// Those with known names are deleted first, each of them whatever becomes of the others: no listing that fails or
/// takes long keeps them public. `recipe` is that of this worker: from it and the record follows which names there can be.
///
/// # Errors
/// When a read or delete fails.
pub(crate) async fn reconcile(
    store: &dyn ObjectStore,
    record: &Record,
    others: &Others,
    recipe: &Recipe,
) -> Result<Standing, StoreError> {
    if matches!(record.status, Status::Pending | Status::Failed { .. }) {
        // The work of this order will be delivered again and looks then.
        return Ok(Standing::Settled);
    }
    let named = record.status.renditions();
    let is_named = |key: &String| named.iter().any(|rendition| rendition.object_key == *key);
    let mut known: BTreeSet<String> = others
        .known
        .iter()
        .map(|rendition| rendition.object_key.clone())
        .collect();
    if others.unknown {
        known.extend(usual(&record.key, recipe));
    }
    known.retain(|key| !is_named(key));
    let mut removal = remove(store, record, &known).await?;
    if others.unknown {
        let mut found = list(store, &record.key, &variants(recipe, named, &others.known)).await?;
        found.retain(|key| !is_named(key) && !known.contains(key));
        removal = removal.and(remove(store, record, &found).await?);
    }
    let named = compare(store, record).await?;
    Ok(match named.damaged {
        _ if removal.changed => Standing::Changed,
        Some(latest) if !removal.newer && !named.newer => Standing::Damaged(latest.next_revision()),
        Some(_) | None => Standing::Settled,
    })
}

/// The result of removing objects that a record does not name.
#[derive(Clone, Copy, Debug, Default)]
struct Removal {
    /// At least one of them was there.
    changed: bool,
    /// At least one of them is of newer work, and stays.
    newer: bool,
}

impl Removal {
    const fn and(self, other: Self) -> Self {
        Self {
            changed: self.changed || other.changed,
            newer: self.newer || other.newer,
        }
    }
}

/// Removes these objects, except what newer work has written.
///
/// # Errors
/// The first error, when all have been tried.
async fn remove(
    store: &dyn ObjectStore,
    record: &Record,
    keys: &BTreeSet<String>,
) -> Result<Removal, StoreError> {
    let removed = join_all(keys.iter().map(|key| remove_one(store, record, key))).await;
    removed
        .into_iter()
        .try_fold(Removal::default(), |all, removed| Ok(all.and(removed?)))
}

async fn remove_one(store: &dyn ObjectStore, record: &Record, key: &str) -> Result<Removal, StoreError> {
    let mut removal = Removal::default();
    let Some(meta) = head(store, key).await? else {
        return Ok(removal);
    };
    if order_of(&meta).is_some_and(|order| order.sequencer > record.order.sequencer) {
        removal.newer = true;
        return Ok(removal);
    }
    removal.changed = true;
    match store.delete(key, Precondition::Etag(meta.etag)).await {
        Ok(()) | Err(StoreError::PreconditionFailed | StoreError::NotFound) => Ok(removal),
        Err(error) => Err(error),
    }
}

/// The renditions that a record names, as they are.
#[derive(Debug, Default)]
struct Named {
    /// The newest order of work on the same source that is known, when one of them is missing or another one than the
    /// record says.
    damaged: Option<Order>,
    /// True if one of them was written by work on a newer source.
    newer: bool,
}

async fn compare(store: &dyn ObjectStore, record: &Record) -> Result<Named, StoreError> {
    let named = record.status.renditions();
    let found = try_join_all(named.iter().map(|rendition| head(store, &rendition.object_key))).await?;
    let mut result = Named::default();
    // Work on the same source: a repair that was not finished, which nobody else may know of, or a reprocessing,
    // which is only done once more than needed.
    let mut latest = record.newest_order().clone();
    let mut damaged = false;
    for (rendition, found) in named.iter().zip(found) {
        let Some(meta) = found else {
            damaged = true;
            continue;
        };
        if holds(&meta, rendition) {
            continue;
        }
        match order_of(&meta) {
            Some(order) if order.sequencer > record.order.sequencer => result.newer = true,
            order => {
                damaged = true;
                latest = latest.max(order.unwrap_or_else(|| record.order.clone()));
            }
        }
    }
    result.damaged = damaged.then_some(latest);
    Ok(result)
}

/// The keys that the recipe's renditions of this key are kept under.
fn usual(key: &ObjectKey, recipe: &Recipe) -> impl Iterator<Item = String> {
    let of_variant = move |variant: &Variant| {
        let at = |format: &Format| object_key(key, &variant.name, *format);
        variant.formats.iter().map(at).collect::<Vec<_>>()
    };
    let keys = recipe.variants.iter().flat_map(of_variant);
    keys.filter(|key| key.len() <= ObjectKey::MAX_BYTES)
}

/// The names of all variants that a key can have objects of, as far as this worker knows.
fn variants<'a>(recipe: &'a Recipe, named: &'a [Rendition], known: &'a [Rendition]) -> BTreeSet<&'a str> {
    let made = named
        .iter()
        .chain(known)
        .map(|rendition| rendition.variant.as_str());
    let wanted = recipe.variants.iter().map(|variant| variant.name.as_str());
    made.chain(wanted).collect()
}

/// Every object that can be a rendition of this key in one of these variants.
async fn list(
    store: &dyn ObjectStore,
    key: &ObjectKey,
    variants: &BTreeSet<&str>,
) -> Result<BTreeSet<String>, StoreError> {
    let prefixes = variants
        .iter()
        .map(|variant| format!("{key}/{variant}.", key = key.as_str()))
        // No object has a longer key.
        .filter(|prefix| prefix.len() < ObjectKey::MAX_BYTES);
    let found = try_join_all(prefixes.map(|prefix| list_one(store, prefix))).await?;
    Ok(found.into_iter().flatten().collect())
}

/// The objects below this prefix that have no further segment. Those that do belong to keys below, and there may be
/// any number of them: their folders are skipped.
async fn list_one(store: &dyn ObjectStore, prefix: String) -> Result<Vec<String>, StoreError> {
    let mut keys = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = store.list(&prefix, after.as_deref(), LISTED).await?;
        let own = page.items.into_iter().map(|entry| entry.key);
        keys.extend(own.filter(|key| folder(&prefix, key).is_none()));
        after = match page.next {
            None => return Ok(keys),
            Some(last) => Some(match folder(&prefix, &last) {
                Some(folder) => format!("{folder}{LAST}").max(last),
                None => last,
            }),
        };
    }
}

/// The character that sorts after every other.
const LAST: char = char::MAX;

/// The folder below the prefix that the key is in, with the slash at its end.
fn folder<'a>(prefix: &str, key: &'a str) -> Option<&'a str> {
    let below = key.get(prefix.len()..)?;
    let length = below.find('/')? + 1;
    key.get(..prefix.len() + length)
}
