use std::sync::Arc;
use std::time::SystemTime;

use tintype_model::{
    Failure, Fit, Focus, FocusError, GetOptions, Job, Limits, MetadataStore, Object, ObjectKey, ObjectMeta,
    ObjectStore, Outcome, PutRecord, Recipe, Record, Rejection, RejectionCode, RenderError, Rendered,
    Renderer, Skip, SourceInfo, Status, StoreError, Variant, Work,
};

use crate::digest::sha256;
use crate::place::{self, Others, Standing};
use crate::{Error, Layout, Result, Secret, rendition, set};

/// The number of times that the objects of a key are compared with its record before the job is left to its next
/// delivery. Each round after the first one means that somebody else was at work on the same key.
const RECONCILE_ROUNDS: usize = 20;

/// The stores that the pipeline reads from and writes to, and its renderer.
#[derive(Clone, Debug)]
pub struct Ports {
    /// Uploaded objects. The pipeline only reads them.
    pub sources: Arc<dyn ObjectStore>,
    /// Renditions. Writing one must not raise an event.
    pub renditions: Arc<dyn ObjectStore>,
    /// Records.
    pub metadata: Arc<dyn MetadataStore>,
    /// The renderer, which decodes hostile bytes.
    pub renderer: Arc<dyn Renderer>,
}

/// Settings that decide how renditions look and what a source may cost.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The variants to make.
    pub recipe: Arc<Recipe>,
    /// Limits on what a source may cost.
    pub limits: Limits,
    /// Makes versions unguessable.
    pub secret: Secret,
    /// The keys that renditions are kept under.
    pub layout: Layout,
}

/// Turns jobs into renditions and records.
#[derive(Clone, Debug)]
pub struct Pipeline {
    ports: Ports,
    settings: Settings,
    recipe_hash: String,
}

/// A source as it was read.
enum Reading {
    Image(Object),
    FolderMarker(SourceInfo),
    Bad(SourceInfo, Rejection),
    /// It was deleted or replaced since: that has an event of its own.
    Gone,
}

impl Pipeline {
    /// A pipeline over these ports.
    ///
    /// # Panics
    /// When sources and renditions are the same store: the output would trigger the pipeline.
    #[must_use]
    pub fn new(ports: Ports, settings: Settings) -> Self {
        assert!(
            !Arc::ptr_eq(&ports.sources, &ports.renditions),
            "sources and renditions must be two stores"
        );
        let recipe_hash = settings.recipe.hash();
        Self {
            ports,
            settings,
            recipe_hash,
        }
    }

    /// Does one job. `Ok` acknowledges it, also when the image is bad.
    ///
    /// `attempt` counts the deliveries of this job, this one included. From the second on, the pipeline looks for
    /// what an earlier one left behind when it ended in the middle; a caller that does not know the number passes 2.
    ///
    /// # Errors
    /// When the job has to be delivered again.
    pub async fn process(&self, job: &Job, attempt: u32) -> Result<Outcome> {
        let (outcome, mut others) = self.perform(job).await?;
        match self.settings.layout {
            Layout::RandomSets => {}
            Layout::InPlace => {
                others.unknown |= attempt > 1;
                self.reconcile(&job.key, others).await?;
            }
        }
        Ok(outcome)
    }

    /// Does the job, and returns which objects may now be there besides those that the record names.
    async fn perform(&self, job: &Job) -> Result<(Outcome, Others)> {
        let etag = match &job.work {
            Work::Render { etag } => Some(etag),
            Work::Remove => None,
            // Its place in the order does not matter: it comes after whatever removed the picture.
            Work::Forget => return Ok((self.forget(&job.key).await?, Others::unknown())),
        };
        let current = self.ports.metadata.get(&job.key).await.map_err(Error::Record)?;
        if let Some(current) = &current {
            if *current.newest_order() > job.order {
                return Ok((Outcome::Skipped(Skip::Superseded), Others::unknown()));
            }
            if *current.newest_order() == job.order && !current.is_provisional() {
                return Ok((Outcome::Skipped(Skip::Duplicate), Others::unknown()));
            }
        }
        match etag {
            None => self.publish(job, None, Status::Deleted, Outcome::Processed).await,
            Some(etag) => match self.read(job, etag).await? {
                Reading::Image(object) => self.render(job, object, current.as_ref()).await,
                Reading::Bad(source, rejection) => self.reject(job, source, rejection).await,
                Reading::FolderMarker(source) => {
                    let skipped = Outcome::Skipped(Skip::FolderMarker);
                    self.publish(job, Some(source), Status::Deleted, skipped).await
                }
                Reading::Gone => Ok((Outcome::Skipped(Skip::Superseded), Others::unknown())),
            },
        }
    }

    /// Deletes the tombstone of a key. The picture of the key must have been removed before.
    ///
    /// The job was kept back ([`Work::delay`]) until no work is going on that read the source before it was deleted, so
    /// nothing that is older can be published any more: a late event finds no source.
    async fn forget(&self, key: &ObjectKey) -> Result<Outcome> {
        match self.ports.sources.head(key.as_str()).await {
            Err(StoreError::NotFound) => {}
            // Somebody put a new source there: the record is of that one.
            Ok(_) => return Ok(Outcome::Skipped(Skip::Superseded)),
            Err(error) => return Err(Error::Source(error)),
        }
        let Some(record) = self.ports.metadata.get(key).await.map_err(Error::Record)? else {
            return Ok(Outcome::Skipped(Skip::Duplicate));
        };
        let is_gone = self.ports.metadata.forget(key, record.newest_order()).await;
        if is_gone.map_err(Error::Record)? {
            Ok(Outcome::Processed)
        } else {
            Err(Error::NotRemoved)
        }
    }

    /// Makes the objects of a key those that its record names ([`place`] says why and when).
    async fn reconcile(&self, key: &ObjectKey, mut others: Others) -> Result<()> {
        for _ in 0..RECONCILE_ROUNDS {
            let Some(record) = self.ports.metadata.get(key).await.map_err(Error::Record)? else {
                return Ok(());
            };
            let recipe = &self.settings.recipe;
            let standing = place::reconcile(&*self.ports.renditions, &record, &others, recipe).await;
            match (standing.map_err(Error::Renditions)?, &record.source) {
                (Standing::Settled, _) | (Standing::Damaged(_), None) => return Ok(()),
                (Standing::Changed, _) => {}
                (Standing::Damaged(order), Some(source)) => {
                    tracing::warn!(image.key = %key, %order, "renditions are not those of the record: making them again");
                    let work = Work::Render {
                        etag: source.etag.clone(),
                    };
                    let key = key.clone();
                    let repair = Job { key, order, work };
                    let (outcome, left) = self.perform(&repair).await?;
                    others = left;
                    if let Outcome::Rejected(_) = outcome {
                        // What is left of the set stays.
                        return Ok(());
                    }
                    if outcome == Outcome::Skipped(Skip::Superseded) && self.is_current(&record).await? {
                        // The source was replaced or deleted: the event of that is on its way, and settles.
                        return Ok(());
                    }
                }
            }
        }
        Err(Error::Unsettled)
    }

    async fn is_current(&self, record: &Record) -> Result<bool> {
        let current = self
            .ports
            .metadata
            .get(&record.key)
            .await
            .map_err(Error::Record)?;
        Ok(current.is_some_and(|current| current == *record))
    }

    /// Writes into the record that a job was given up after all its retries.
    ///
    /// A picture that is published stays published, and its record notes the failure beside it. A tombstone that was not
    /// forgotten stays as it is.
    ///
    /// # Errors
    /// When the record could not be read or written.
    pub async fn give_up(&self, job: &Job, error: String, attempts: u32) -> Result<()> {
        if job.work == Work::Forget {
            return Ok(());
        }
        let current = self.ports.metadata.get(&job.key).await.map_err(Error::Record)?;
        let source = current.and_then(|record| record.source);
        let status = Status::Failed {
            failure: Failure { error, attempts },
        };
        let record = self.record(job, source, status);
        match self.ports.metadata.put(&record).await.map_err(Error::Record)? {
            PutRecord::Written(_) => {}
            PutRecord::Noted(_) => {
                tracing::warn!(image.key = %job.key, order = %job.order, "given up: what the record said before stays");
            }
            // Newer work, the job's own result, or an earlier note that it was given up.
            PutRecord::Refused(current) => {
                tracing::debug!(image.key = %job.key, status = current.status.name(), "the record says more than that");
            }
        }
        Ok(())
    }

    async fn read(&self, job: &Job, etag: &str) -> Result<Reading> {
        let info = |size_bytes| SourceInfo {
            etag: etag.to_owned(),
            size_bytes,
            sha256: None,
        };
        let limits = &self.settings.limits;
        let options = GetOptions {
            if_match: Some(etag.to_owned()),
            max_bytes: Some(limits.max_bytes),
        };
        let object = match self.ports.sources.get(job.key.as_str(), options).await {
            Ok(object) => object,
            Err(StoreError::NotFound | StoreError::PreconditionFailed) => return Ok(Reading::Gone),
            Err(StoreError::TooLarge { size_bytes }) => {
                let detail = format!(
                    "the source is {size_bytes} bytes, the limit is {}",
                    limits.max_bytes
                );
                return Ok(Reading::Bad(
                    info(size_bytes),
                    Rejection::new(RejectionCode::TooManyBytes, detail),
                ));
            }
            Err(StoreError::Archived { storage_class }) => {
                return self.read_archived(job, etag, &storage_class).await;
            }
            Err(error @ StoreError::Unavailable(_)) => return Err(Error::Source(error)),
        };
        let source = info(object.meta.size_bytes);
        if job.key.is_folder_marker(source.size_bytes) {
            return Ok(Reading::FolderMarker(source));
        }
        if let Err(unservable) = job.key.check_servable(&self.settings.recipe) {
            let rejection = Rejection::new(RejectionCode::UnservableKey, unservable.to_string());
            return Ok(Reading::Bad(source, rejection));
        }
        if object.meta.metadata.contains_key(rendition::ORDER) {
            let rejection = Rejection::new(
                RejectionCode::OwnRendition,
                "the source is a rendition made by Tintype",
            );
            return Ok(Reading::Bad(source, rejection));
        }
        if object.body.is_empty() {
            return Ok(Reading::Bad(
                source,
                Rejection::new(RejectionCode::Empty, "the source has no bytes"),
            ));
        }
        Ok(Reading::Image(object))
    }

    /// The answer for a source that nobody can read before somebody has restored it. Trying again would not help.
    async fn read_archived(&self, job: &Job, etag: &str, storage_class: &str) -> Result<Reading> {
        let meta = match self.ports.sources.head(job.key.as_str()).await {
            Ok(meta) if meta.etag == etag => meta,
            Ok(_) | Err(StoreError::NotFound) => return Ok(Reading::Gone),
            Err(error) => return Err(Error::Source(error)),
        };
        let source = SourceInfo {
            etag: meta.etag,
            size_bytes: meta.size_bytes,
            sha256: None,
        };
        let detail = format!(
            "the source is archived ({storage_class}): restore it and have it reprocessed, or upload it again in a \
             storage class that can be read at once"
        );
        Ok(Reading::Bad(
            source,
            Rejection::new(RejectionCode::Archived, detail),
        ))
    }

    async fn render(&self, job: &Job, object: Object, current: Option<&Record>) -> Result<(Outcome, Others)> {
        let sha256 = hex::encode(sha256(&object.body).await);
        let focus = self.focus(&job.key, &object.meta);
        let recipe = focus.map_or_else(
            || Recipe::clone(&self.settings.recipe),
            |focus| self.settings.recipe.focused(focus),
        );
        let source = SourceInfo {
            etag: object.meta.etag,
            size_bytes: object.meta.size_bytes,
            sha256: Some(sha256.clone()),
        };
        let rendered = match self.ports.renderer.render(object.body, &recipe).await {
            Ok(rendered) => self.complete(rendered)?,
            Err(RenderError::Rejected(rejection)) => return self.reject(job, source, rejection).await,
            Err(RenderError::Failed(error)) => return Err(Error::Render(error)),
        };
        let store = &*self.ports.renditions;
        let written = match self.settings.layout {
            Layout::RandomSets => set::write(store, &job.order, &rendered, &recipe).await.map(Some),
            Layout::InPlace => place::write(store, &job.key, &job.order, &rendered, &recipe, current).await,
        };
        let Some(renditions) = written.map_err(Error::Renditions)? else {
            return Ok((Outcome::Skipped(Skip::Superseded), Others::unknown()));
        };
        let status = Status::Ready {
            version: self
                .settings
                .secret
                .version(&sha256, &self.recipe_hash, &rendered.engine, focus),
            recipe: self.recipe_hash.clone(),
            engine: rendered.engine,
            image: rendered.image,
            renditions,
        };
        self.publish(job, Some(source), status, Outcome::Processed).await
    }

    /// The place of the subject of the image, if its metadata says so and any variant is cropped.
    fn focus(&self, key: &ObjectKey, meta: &ObjectMeta) -> Option<Focus> {
        let told = meta.metadata.get(Focus::METADATA)?;
        match told.parse() {
            Ok(focus) => {
                let is_cropped = |variant: &Variant| variant.fit == Fit::Cover;
                self.settings
                    .recipe
                    .variants
                    .iter()
                    .any(is_cropped)
                    .then_some(focus)
            }
            Err(error) => {
                let error: FocusError = error;
                tracing::warn!(image.key = %key, focus = told, %error, "the focal point of the image is ignored: it cannot be read");
                None
            }
        }
    }

    /// Nothing partial is ever published, whatever the renderer did.
    fn complete(&self, rendered: Rendered) -> Result<Rendered> {
        let wanted = || {
            self.settings.recipe.variants.iter().flat_map(|variant| {
                variant
                    .formats
                    .iter()
                    .map(|format| (variant.name.as_str(), *format))
            })
        };
        let made = |(name, format)| {
            rendered
                .files
                .iter()
                .any(|file| file.variant == name && file.format == format)
        };
        if rendered.files.len() == wanted().count() && wanted().all(made) {
            Ok(rendered)
        } else {
            Err(Error::Incomplete {
                made: rendered.files.len(),
                wanted: wanted().count(),
            })
        }
    }

    async fn reject(&self, job: &Job, source: SourceInfo, rejection: Rejection) -> Result<(Outcome, Others)> {
        let status = Status::Rejected {
            rejection: rejection.clone(),
        };
        self.publish(job, Some(source), status, Outcome::Rejected(rejection))
            .await
    }

    /// Puts the record, which publishes its set, and removes the set that it replaces or that lost.
    async fn publish(
        &self,
        job: &Job,
        source: Option<SourceInfo>,
        status: Status,
        outcome: Outcome,
    ) -> Result<(Outcome, Others)> {
        let record = self.record(job, source, status);
        let lost = |status: &Status| status.renditions().to_vec();
        // After an error nobody knows whether the record was written, so its set must stay: the next delivery of
        // this job settles it, and a set that no record names is collected by the store.
        let put = self.ports.metadata.put(&record).await.map_err(Error::Record)?;
        let (outcome, lost) = match put {
            PutRecord::Written(replaced) => {
                let replaced = replaced.map_or_else(Vec::new, |replaced| lost(&replaced.status));
                (outcome, replaced)
            }
            PutRecord::Noted(_) => {
                tracing::warn!(
                    image.key = %job.key, order = %job.order,
                    "the published picture stays: its source is rejected now"
                );
                return Ok((outcome, Others::unknown()));
            }
            // A store that retries inside may be refused by its own first try.
            PutRecord::Refused(current) if current.has_result_of(&record) => {
                return Ok((outcome, Others::unknown()));
            }
            PutRecord::Refused(current) => {
                let skip = if *current.newest_order() == record.order {
                    Skip::Duplicate
                } else {
                    Skip::Superseded
                };
                (Outcome::Skipped(skip), lost(&record.status))
            }
        };
        match self.settings.layout {
            Layout::RandomSets => set::remove(&*self.ports.renditions, &lost).await,
            Layout::InPlace => {}
        }
        let is_set = matches!(
            (&outcome, &record.status),
            (Outcome::Processed, Status::Ready { .. })
        );
        let others = Others {
            known: lost,
            unknown: !is_set,
        };
        Ok((outcome, others))
    }

    fn record(&self, job: &Job, source: Option<SourceInfo>, status: Status) -> Record {
        Record {
            key: job.key.clone(),
            order: job.order.clone(),
            status,
            updated_at: SystemTime::now().into(),
            source,
            attempt: None,
        }
    }
}
