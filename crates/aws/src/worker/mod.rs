//! The worker function: messages of the queue in, renditions and records out.

mod account;
mod budget;
mod rendering;
mod resolve;
mod start;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::FutureExt;
use futures::future::join_all;
use lambda_runtime::{Context, LambdaEvent};
use tintype_model::{Job, MetadataStore, ObjectStore, Outcome, Skip, error_chain};
use tintype_pipeline::{Ports, RetryPolicy, Settings, Settlement, Tries, log_outcome, settle};
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

use self::account::Account;
use self::budget::Budget;
use self::rendering::Metered;
use self::resolve::{Resolution, ResolvedJob, resolve, subject};
use crate::RemoteError;
use crate::event::{
    BatchItemFailure, BatchResponse, Body, BodyError, Notice, RecordError, SqsEvent, SqsMessage,
};
use crate::invalidation::{Kind, WatchedPipeline, Withdrawal, Withdrawals};
use crate::visibility::Visibility;

pub use self::rendering::Rendering;
pub use self::start::main;

/// The reason why a message was not done. It stays in the queue, and after its last receive it goes to the dead-letter queue.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the message cannot be understood")]
    Body(#[source] BodyError),
    #[error("a record of the message cannot be understood")]
    Record(#[source] RecordError),
    #[error(transparent)]
    Pipeline(#[from] tintype_pipeline::Error),
    #[error("another job took the same place in the order, or the source changed meanwhile")]
    Raced,
    #[error("the news for the caches could not be put into their queue")]
    Untold(#[source] RemoteError),
    #[error("the invocation's time was over")]
    OutOfTime,
    #[error("there was not enough time left to start")]
    NotStarted,
    #[error("the worker panicked: {0}")]
    Panicked(String),
}

/// The stores and services that the worker calls.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The raw bucket.
    pub sources: Arc<dyn ObjectStore>,
    /// The processed bucket.
    pub renditions: Arc<dyn ObjectStore>,
    /// The records.
    pub metadata: Arc<dyn MetadataStore>,
    /// The renderer, which decodes hostile bytes.
    pub rendering: Arc<dyn Rendering>,
    /// The queue that the messages come from.
    pub queue: Arc<dyn Visibility>,
    /// The queue for renditions that are no longer public, where caches have to know of them.
    pub withdrawals: Option<Arc<dyn Withdrawals>>,
}

/// The settings of the worker: those of its pipeline, the names of its buckets, and its limits.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// The settings of the pipeline.
    pub pipeline: Settings,
    /// Name of the bucket that events may come from.
    pub raw_bucket: String,
    /// Name of the bucket that they must never come from.
    pub processed_bucket: String,
    /// The number of receives after which a message is dead, and the times for which one that failed is hidden.
    pub retries: RetryPolicy,
    /// The longest that one render may take.
    pub render_deadline: Duration,
    /// True if caches are told of replaced pictures too, not of removed ones alone.
    pub tells_replaced: bool,
    /// Dimension of the metrics.
    pub environment: String,
}

/// The worker.
#[derive(Clone, Debug)]
pub struct Worker {
    parts: Parts,
    settings: WorkerSettings,
}

/// A piece of work that a message asks for.
#[derive(Clone, Debug)]
enum Item {
    Job(Job),
    Notice(Notice),
}

/// A message that was not done.
#[derive(Debug)]
struct Failed<'a> {
    message: &'a SqsMessage,
    /// The causes of its failures, each with its job as far as the job's place in the order is known.
    items: Vec<(Option<Job>, String)>,
}

impl Worker {
    /// A worker.
    #[must_use]
    pub const fn new(parts: Parts, settings: WorkerSettings) -> Self {
        Self { parts, settings }
    }

    /// Does the messages of one invocation one after another, in the time that it has, and returns those that the
    /// queue must deliver again.
    ///
    /// A message that failed is hidden for a growing time first; when this was its last receive, the records of its
    /// keys say so. Nothing that is in a message makes this fail as a whole.
    pub async fn handle(&self, event: LambdaEvent<SqsEvent>) -> BatchResponse {
        let (event, context) = event.into_parts();
        let now = Instant::now();
        let remaining = context
            .deadline()
            .duration_since(SystemTime::now())
            .unwrap_or_default();
        let budget = Budget::new(now, remaining, self.settings.render_deadline);
        let account = Account::default();
        let pipeline = self.pipeline(&budget, &account);
        let mut failures = Vec::new();
        for (index, message) in event.records.iter().enumerate() {
            let span = tracing::info_span!(
                "message",
                request_id = context.request_id,
                trace_id = context.xray_trace_id,
                message_id = message.message_id,
                receive_count = message.receives(),
            );
            // The first message is started however little time there is.
            let startable =
                !budget.is_spent(Instant::now()) && (index == 0 || budget.allows_another(Instant::now()));
            let done = self.message(&pipeline, message, &budget, startable, &account);
            let done = done.instrument(span.clone()).await;
            // The queue counts receives alone.
            let tries = Tries {
                count: message.receives(),
                failing_for: Duration::ZERO,
            };
            let settlement = settle(&done, tries, &self.settings.retries);
            if let Err(failed) = done {
                failures.push((failed, settlement, span));
            }
        }
        let settled = failures.into_iter().map(|(failed, settlement, span)| {
            self.settle_in_time(&pipeline, failed, settlement, &budget)
                .instrument(span)
        });
        let batch_item_failures = join_all(settled).await;
        self.report(&account, &context);
        BatchResponse { batch_item_failures }
    }

    fn pipeline(&self, budget: &Budget, account: &Account) -> WatchedPipeline {
        let renderer = Metered {
            renderer: self.parts.rendering.within(budget.render),
            renders: Arc::clone(&account.renders),
        };
        let ports = Ports {
            sources: Arc::clone(&self.parts.sources),
            renditions: Arc::clone(&self.parts.renditions),
            metadata: Arc::clone(&self.parts.metadata),
            renderer: Arc::new(renderer),
        };
        WatchedPipeline::new(ports, self.settings.pipeline.clone())
    }

    /// Does everything that one message asks for. It fails as a whole; the parts that were done are duplicates when it
    /// comes again. A record that cannot be understood keeps none of the others from being done.
    async fn message<'a>(
        &self,
        pipeline: &WatchedPipeline,
        message: &'a SqsMessage,
        budget: &Budget,
        startable: bool,
        account: &Account,
    ) -> Result<(), Failed<'a>> {
        let items = match Body::parse(&message.body) {
            Ok(Body::Test) => {
                tracing::info!(outcome = "ignored", "S3 tested the notification");
                return Ok(());
            }
            Ok(Body::Job(job)) => vec![Ok(Item::Job(job))],
            Ok(Body::Records(records)) => records
                .into_iter()
                .map(|record| record.map(Item::Notice))
                .collect(),
            Err(error) => {
                account.failed();
                return Err(Failed {
                    message,
                    items: vec![(None, log_failure(None, &Error::Body(error)))],
                });
            }
        };
        let mut failed = Vec::new();
        for item in items {
            let item = match item {
                Ok(item) => item,
                Err(error) => {
                    account.failed();
                    failed.push((None, log_failure(None, &Error::Record(error))));
                    continue;
                }
            };
            let started = Instant::now();
            let done = if startable && !budget.is_spent(started) {
                self.in_time(pipeline, &item, message.receives(), budget, account)
                    .await
            } else {
                Err(Error::NotStarted)
            };
            match done {
                Ok(()) => {}
                Err(error) => {
                    account.failed();
                    failed.push((item.subject(), log_failure(Some(&item), &error)));
                }
            }
        }
        if failed.is_empty() {
            Ok(())
        } else {
            Err(Failed {
                message,
                items: failed,
            })
        }
    }

    /// Does one item, or drops it, and with it its rendering process, when the invocation's time is over.
    async fn in_time(
        &self,
        pipeline: &WatchedPipeline,
        item: &Item,
        attempt: u32,
        budget: &Budget,
        account: &Account,
    ) -> Result<(), Error> {
        // A panic takes its own message with it, not those that were done before it.
        let work = AssertUnwindSafe(self.item(pipeline, item, attempt, account)).catch_unwind();
        match timeout_at(budget.stop_at, work).await {
            Ok(Ok(done)) => done,
            Ok(Err(panic)) => Err(Error::Panicked(
                tintype_model::panic_message(panic.as_ref()).to_owned(),
            )),
            Err(_) => Err(Error::OutOfTime),
        }
    }

    async fn item(
        &self,
        pipeline: &WatchedPipeline,
        item: &Item,
        attempt: u32,
        account: &Account,
    ) -> Result<(), Error> {
        let started = Instant::now();
        let resolved = match item {
            Item::Job(job) => ResolvedJob::of(job.clone()),
            Item::Notice(notice) => {
                if !self.is_ours(notice) {
                    account.foreign();
                    return Ok(());
                }
                match resolve(&*self.parts.sources, &*self.parts.metadata, notice).await? {
                    Resolution::Job(resolved) => resolved,
                    Resolution::Nothing(reason) => {
                        account.skipped();
                        tracing::info!(image.key = %notice.key, outcome = "skipped", reason, "nothing to do");
                        return Ok(());
                    }
                    Resolution::Unknown(name) => {
                        account.ignored();
                        tracing::warn!(
                            image.key = %notice.key, outcome = "ignored", event.name = name,
                            "an event that pictures do not depend on, or of an unknown kind"
                        );
                        return Ok(());
                    }
                }
            }
        };
        let (outcome, withdrawal) = pipeline.process(&resolved.job, attempt).await?;
        if let Some(withdrawal) = withdrawal {
            self.tell(&withdrawal, attempt).await?;
        }
        let lost = matches!(outcome, Outcome::Skipped(Skip::Duplicate | Skip::Superseded));
        if resolved.made_up_order && lost {
            return Err(Error::Raced);
        }
        account.count(&outcome);
        log_outcome(&resolved.job, &outcome, started.elapsed());
        Ok(())
    }

    /// True if the event is of the raw bucket; the log says where it is from when it is not.
    ///
    /// The output never triggers the pipeline: two buckets, and only events of one of them count. Another one's leave
    /// nothing behind, whatever their keys and sequencers are: they are not about our sources.
    fn is_ours(&self, notice: &Notice) -> bool {
        let Notice { bucket, key, .. } = notice;
        if *bucket == self.settings.raw_bucket {
            return true;
        }
        if *bucket == self.settings.processed_bucket {
            tracing::error!(
                image.key = %key, outcome = "foreign", bucket,
                "an event of the processed bucket: its notification would feed the pipeline with its own output, so \
                 remove it"
            );
        } else {
            tracing::warn!(
                image.key = %key, outcome = "foreign", bucket, expected = self.settings.raw_bucket,
                "an event of another bucket: find out who sends it"
            );
        }
        false
    }

    /// Puts news for the caches into their queue. A failure at the message's last receive is only logged: the job itself
    /// is done, and only caches may show for a day what they should not.
    async fn tell(&self, withdrawal: &Withdrawal, attempt: u32) -> Result<(), Error> {
        let Some(withdrawals) = &self.parts.withdrawals else {
            return Ok(());
        };
        let is_wanted = withdrawal.kind == Kind::Removed || self.settings.tells_replaced;
        // What cannot travel through a CDN was never cached.
        let is_cached = withdrawal
            .key
            .check_servable(&self.settings.pipeline.recipe)
            .is_ok();
        if !is_wanted || !is_cached {
            return Ok(());
        }
        match withdrawals.tell(withdrawal).await {
            Err(error) if attempt >= self.settings.retries.max_tries => {
                tracing::error!(
                    image.key = %withdrawal.key, error = error_chain(&*error),
                    "the caches are not told of what is no longer public"
                );
                Ok(())
            }
            told => told.map_err(Error::Untold),
        }
    }

    async fn settle_in_time(
        &self,
        pipeline: &WatchedPipeline,
        failed: Failed<'_>,
        settlement: Settlement,
        budget: &Budget,
    ) -> BatchItemFailure {
        let item_identifier = failed.message.message_id.clone();
        let settled = timeout_at(budget.settle_by, self.settle(pipeline, failed, settlement)).await;
        if settled.is_err() {
            tracing::warn!("no time was left to settle a failure with queue and record");
        }
        BatchItemFailure { item_identifier }
    }

    /// Writes into the record that a message is given up, or sets the time after which the queue delivers it again,
    /// before its failure is reported. The message comes again without either, so failures are only logged.
    async fn settle(&self, pipeline: &WatchedPipeline, failed: Failed<'_>, settlement: Settlement) {
        let delay = match settlement {
            Settlement::Retry(delay) => delay,
            // A dead message is moved when it would be received next: nothing is gained by waiting.
            Settlement::Ack | Settlement::GiveUp => Duration::ZERO,
        };
        if settlement == Settlement::GiveUp {
            let receives = failed.message.receives();
            for (job, cause) in failed.items {
                tracing::error!(
                    image.key = job.as_ref().map(|job| tracing::field::display(&job.key)),
                    error = cause,
                    receive_count = receives,
                    "given up: it goes to the dead-letter queue"
                );
                let Some(job) = job else { continue };
                if let Err(error) = pipeline.give_up(&job, cause, receives).await {
                    tracing::warn!(image.key = %job.key, error = error_chain(&error), "the record does not show it");
                }
            }
        }
        if let Err(error) = self.parts.queue.hide(&failed.message.receipt_handle, delay).await {
            tracing::warn!(
                error = error_chain(&*error),
                "the next try comes when the queue's own visibility timeout is over"
            );
        }
    }

    fn report(&self, account: &Account, context: &Context) {
        let document = account.document(&self.settings.environment, SystemTime::now().into(), context);
        crate::telemetry::write_metrics(&document);
    }
}

impl Item {
    fn subject(&self) -> Option<Job> {
        match self {
            Self::Job(job) => Some(job.clone()),
            Self::Notice(notice) => subject(notice),
        }
    }

    fn key(&self) -> &tintype_model::ObjectKey {
        match self {
            Self::Job(job) => &job.key,
            Self::Notice(notice) => &notice.key,
        }
    }
}

fn log_failure(item: Option<&Item>, error: &Error) -> String {
    let cause = error_chain(error);
    tracing::warn!(
        image.key = item.map(|item| tracing::field::display(item.key())),
        outcome = "failed",
        error = cause,
        "not done, the queue keeps it"
    );
    cause
}

#[cfg(test)]
mod tests;
