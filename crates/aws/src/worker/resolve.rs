//! Turns an event of S3 into the job that it asks for.

use tintype_model::{Job, MetadataStore, ObjectKey, ObjectStore, Order, Record, Status, StoreError, Work};
use tintype_pipeline::{Error, Result};

use crate::event::{Change, Notice};

/// The consequence of a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Resolution {
    /// A job.
    Job(ResolvedJob),
    /// No job: another event of the key has the work, or had it.
    Nothing(&'static str),
    /// No job: no picture depends on this event.
    Unknown(String),
}

/// A job, and the origin of its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ResolvedJob {
    pub(super) job: Job,
    /// True if the order was not sent by S3 but taken from the record as it was. Another job of that order in the record
    /// then does not mean that this one was done.
    pub(super) made_up_order: bool,
}

impl ResolvedJob {
    /// A job that had its order when it was sent.
    pub(super) const fn of(job: Job) -> Self {
        Self {
            job,
            made_up_order: false,
        }
    }
}

/// Finds the job that a notice asks for, if there is any.
///
/// The event of a write names what was written. That of a removal does not say what is left, because in a bucket with
/// versions it can take away the current version (delete marker), bring back the one before it (deletion of the current
/// version, or of the marker), or change nothing that is seen (deletion of an old version). So the source is asked:
///
/// | event | key is gone | key is there |
/// |---|---|---|
/// | `Created` | — | render the version of the event |
/// | `Hidden` (a delete marker was created) | remove | nothing: a newer event brought it back |
/// | `Deleted` (by somebody) | remove | render what is there |
/// | `Expired` (by a lifecycle rule) | remove | nothing: an old version went, or a newer event brought it back |
///
/// Each is done at the event's own order. That is right whatever else happens, because S3 is consistent, so what is seen
/// here is the source after this event, perhaps after newer ones. Take the newest event of a key that changed what the
/// key shows. When it is processed, what is seen is what the key shows for good, so its own job ends in the right
/// state; and every other job of the key is older, so it cannot replace that state once the record
/// is there. What older jobs do before is provisional, and renders are made only of the very `ETag` that they
/// name.
///
/// This needs the newest event to *write its order* into the record, even when the record already shows the right
/// source: an older job that read the source before the change may still be rendering (put 2 is being rendered, version 2 is
/// deleted, version 1 is what the record shows: doing nothing now lets put 2 publish a version that is gone). So
/// `Deleted` renders again instead of comparing `ETag`s; deleting versions by hand is rare. `Expired` is not rare, it
/// comes for every version that was ever replaced, but it never changes what is there: lifecycle rules hide current
/// versions behind a marker, which is another event, and delete permanently only what is not current (S3 user guide,
/// "Understanding and managing lifecycle events"). `Hidden` with the key there is not the newest event.
///
/// Where there is no record, `Expired` writes none: a rule waits for a day at least, so no work on the version that went
/// is going on, and a key that was forgotten ([`Work::Forget`]) must not get a record again when its old versions end.
///
/// A tombstone is likewise written even over a tombstone.
///
/// Without a sequencer (some emulators, no S3) the source's present state is compared with the record, and work takes
/// the order of work without an event ([`Order::without_event`]). Two such jobs can take the
/// same revision; the one that loses has to look again ([`ResolvedJob::made_up_order`]).
///
/// # Errors
/// When a store does not answer.
pub(super) async fn resolve(
    sources: &dyn ObjectStore,
    metadata: &dyn MetadataStore,
    notice: &Notice,
) -> Result<Resolution> {
    let key = &notice.key;
    if let Change::Unknown { name } = &notice.change {
        return Ok(Resolution::Unknown(name.clone()));
    }
    let Some(sequencer) = &notice.sequencer else {
        return by_state(sources, metadata, key).await;
    };
    let order = Order::of_event(sequencer.clone());
    let render = |etag| Resolution::Job(ResolvedJob::of(job(key, order.clone(), Work::Render { etag })));
    if let Change::Created { etag: Some(etag) } = &notice.change {
        return Ok(render(etag.clone()));
    }
    Ok(match (&notice.change, current(sources, key).await?) {
        (Change::Unknown { name }, _) => Resolution::Unknown(name.clone()),
        (Change::Created { .. } | Change::Deleted, Some(etag)) => render(etag),
        (Change::Created { .. }, None) => Resolution::Nothing("the source was removed since"),
        (Change::Hidden, Some(_)) => Resolution::Nothing("the source was brought back since"),
        (Change::Expired, Some(_)) => Resolution::Nothing("the source's current version is not concerned"),
        (Change::Hidden | Change::Deleted, None) => {
            Resolution::Job(ResolvedJob::of(job(key, order, Work::Remove)))
        }
        (Change::Expired, None) => match metadata.get(key).await.map_err(Error::Record)? {
            None => Resolution::Nothing("the key is forgotten, or never had a record"),
            Some(_) => Resolution::Job(ResolvedJob::of(job(key, order, Work::Remove))),
        },
    })
}

/// Finds the job that makes the record show the source as it is now.
async fn by_state(
    sources: &dyn ObjectStore,
    metadata: &dyn MetadataStore,
    key: &ObjectKey,
) -> Result<Resolution> {
    // The record first: when the source changes after that, its order is taken by whoever sees the change.
    let record = metadata.get(key).await.map_err(Error::Record)?;
    let source = current(sources, key).await?;
    let next = Order::without_event(record.as_ref());
    let made_up = |work| {
        Resolution::Job(ResolvedJob {
            made_up_order: true,
            ..ResolvedJob::of(job(key, next, work))
        })
    };
    Ok(match (source, record) {
        (None, None) => Resolution::Nothing("there is neither source nor record"),
        // Done before; perhaps not all of it.
        (None, Some(record)) if record.status == Status::Deleted => {
            Resolution::Job(ResolvedJob::of(job(key, record.order, Work::Remove)))
        }
        (None, Some(_)) => made_up(Work::Remove),
        (Some(etag), Some(record)) if shows(&record, &etag) => {
            Resolution::Nothing("the record shows this source")
        }
        (Some(etag), Some(_) | None) => made_up(Work::Render { etag }),
    })
}

fn shows(record: &Record, etag: &str) -> bool {
    let of_source = record.source.as_ref().is_some_and(|source| source.etag == etag);
    of_source && !record.is_provisional()
}

/// `ETag` of the source's current version, if it has one.
async fn current(sources: &dyn ObjectStore, key: &ObjectKey) -> Result<Option<String>> {
    match sources.head(key.as_str()).await {
        Ok(meta) => Ok(Some(meta.etag)),
        Err(StoreError::NotFound) => Ok(None),
        Err(
            error @ (StoreError::PreconditionFailed
            | StoreError::TooLarge { .. }
            | StoreError::Archived { .. }
            | StoreError::Unavailable(_)),
        ) => Err(Error::Source(error)),
    }
}

fn job(key: &ObjectKey, order: Order, work: Work) -> Job {
    Job {
        key: key.clone(),
        order,
        work,
    }
}

/// The job that a notice is about, for the record when it is given up: only its key and order count. `None`
/// when its place among the others is not known.
pub(super) fn subject(notice: &Notice) -> Option<Job> {
    let order = Order::of_event(notice.sequencer.clone()?);
    let work = match &notice.change {
        Change::Created { etag } => Work::Render {
            etag: etag.clone().unwrap_or_default(),
        },
        Change::Hidden | Change::Deleted | Change::Expired => Work::Remove,
        Change::Unknown { .. } => return None,
    };
    Some(job(&notice.key, order, work))
}
