//! Takes jobs from the queue and gives them to the pipeline.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tintype_model::{Outcome, error_chain};
use tintype_pipeline::{Pipeline, RetryPolicy, Settlement, Tries, log_outcome, settle};
use tintype_store::{Claimed, SqliteQueue};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::QueueConfig;

/// Time that a claim lasts without being extended. Far longer than any tick of the clock that extends it.
const LEASE: Duration = Duration::from_secs(120);
/// Time between two extensions of a claim while its job runs.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// The longest wait before a retry.
const MAX_DELAY: Duration = Duration::from_secs(900);
/// The wait before a queue that failed is asked again.
const PAUSE: Duration = Duration::from_secs(1);
/// Time that jobs get that are worked on when the server stops; those that are not done by then go back to the queue.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs `workers` loops until `stop`, then finishes their jobs or returns them to the queue.
pub(crate) async fn run(
    queue: SqliteQueue,
    pipeline: Pipeline,
    config: QueueConfig,
    workers: usize,
    stop: CancellationToken,
) {
    let worker = Worker::new(queue, pipeline, config);
    let mut loops = JoinSet::new();
    for _ in 0..workers {
        loops.spawn(worker.clone().work(stop.clone()));
    }
    while loops.join_next().await.is_some() {}
}

/// One of the loops; all share the last two fields.
#[derive(Clone, Debug)]
struct Worker {
    queue: SqliteQueue,
    pipeline: Pipeline,
    policy: RetryPolicy,
    /// The queue cannot be used.
    queue_trouble: Arc<Trouble>,
    /// Work fails for want of room on the disk.
    disk_trouble: Arc<Trouble>,
}

/// A state that concerns every job and is logged when it begins and when it ends, not for each job.
#[derive(Debug, Default)]
struct Trouble {
    is_known: AtomicBool,
}

impl Trouble {
    /// Notes that it began. True if it was not known before.
    fn begins(&self) -> bool {
        !self.is_known.swap(true, Ordering::Relaxed)
    }

    /// Notes that it ended. True if it was known before.
    fn is_over(&self) -> bool {
        self.is_known.swap(false, Ordering::Relaxed)
    }
}

/// The policy of the queue as it is configured.
fn policy(config: QueueConfig) -> RetryPolicy {
    RetryPolicy {
        max_tries: config.max_receives,
        least_time: config.retry_for(),
        first_delay: Duration::from_secs(config.retry_base_seconds),
        longest_delay: MAX_DELAY,
        jitter: RetryPolicy::JITTER,
    }
}

/// True if an error comes from a disk without room.
fn is_full(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    causes.any(|cause| {
        let cause = cause.downcast_ref::<tintype_store::Error>();
        matches!(cause, Some(tintype_store::Error::Full(_)))
    })
}

impl Worker {
    fn new(queue: SqliteQueue, pipeline: Pipeline, config: QueueConfig) -> Self {
        Self {
            queue,
            pipeline,
            policy: policy(config),
            queue_trouble: Arc::default(),
            disk_trouble: Arc::default(),
        }
    }

    async fn work(self, stop: CancellationToken) {
        loop {
            let claimed = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                claimed = self.queue.next(LEASE) => claimed,
            };
            let claimed = match claimed {
                Ok(claimed) => claimed,
                Err(error) => {
                    self.log_queue_trouble(&error);
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let key = claimed.job.key.clone();
            // The claim of a job that was not settled runs out by itself, and the job is delivered again.
            match self.handle(claimed, &stop).await {
                Ok(()) if self.queue_trouble.is_over() => tracing::info!("the queue can be used again"),
                Ok(()) => {}
                Err(error @ tintype_store::Error::StaleLease { .. }) => tracing::warn!(
                    image.key = %key, error = error_chain(&error), "could not settle a job with the queue"
                ),
                Err(error) => self.log_queue_trouble(&error),
            }
        }
    }

    fn log_queue_trouble(&self, error: &tintype_store::Error) {
        let error = error_chain(error);
        if self.queue_trouble.begins() {
            tracing::error!(error, "the queue cannot be used: work waits until that changes");
        } else {
            tracing::debug!(error, "the queue cannot be used");
        }
    }

    async fn handle(&self, claimed: Claimed, stop: &CancellationToken) -> Result<(), tintype_store::Error> {
        if claimed.crashes >= self.policy.max_tries {
            let cause = format!(
                "the server ended {} times while it worked on this",
                claimed.crashes
            );
            return self.give_up(&claimed, cause).await;
        }
        let started = std::time::Instant::now();
        let mut heartbeat = tokio::time::interval_at(tokio::time::Instant::now() + HEARTBEAT, HEARTBEAT);
        let out_of_time = async {
            stop.cancelled().await;
            tokio::time::sleep(DRAIN_TIMEOUT).await;
        };
        tokio::pin!(out_of_time);
        let mut processing = Box::pin(self.pipeline.process(&claimed.job, claimed.attempt));
        let result = loop {
            tokio::select! {
                result = &mut processing => break result,
                _ = heartbeat.tick() => self.queue.extend(&claimed, LEASE).await?,
                () = &mut out_of_time => {
                    drop(processing);
                    tracing::info!(image.key = %claimed.job.key, "returned unfinished work to the queue");
                    return self.queue.return_now(&claimed).await;
                }
            }
        };
        drop(processing);
        let tries = Tries {
            count: claimed.attempt,
            failing_for: claimed.failing_for,
        };
        let settlement = settle(&result, tries, &self.policy);
        match &result {
            Ok(outcome) => {
                log_outcome(&claimed.job, outcome, started.elapsed());
                if *outcome == Outcome::Processed && self.disk_trouble.is_over() {
                    tracing::info!("there is room for renditions again");
                }
            }
            Err(error) => self.log_failure(&claimed, error, settlement),
        }
        let cause = || {
            result
                .as_ref()
                .err()
                .map(|error| error_chain(error))
                .unwrap_or_default()
        };
        match settlement {
            Settlement::Ack => self.queue.ack(&claimed).await,
            Settlement::Retry(delay) => self.queue.retry_later(&claimed, delay, cause()).await,
            Settlement::GiveUp => self.give_up(&claimed, cause()).await,
        }
    }

    /// Logs a failure that is tried again; [`Self::give_up`] logs one that is not.
    fn log_failure(&self, claimed: &Claimed, error: &tintype_pipeline::Error, settlement: Settlement) {
        let Settlement::Retry(delay) = settlement else {
            return;
        };
        let cause = error_chain(error);
        let (key, attempt, delay_ms) = (&claimed.job.key, claimed.attempt, delay.as_millis());
        if !is_full(error) {
            tracing::warn!(image.key = %key, attempt, error = cause, "job failed, next try in {delay_ms} ms");
        } else if self.disk_trouble.begins() {
            tracing::error!(
                image.key = %key, attempt, error = cause,
                "there is no room for renditions: work is tried again until there is"
            );
        } else {
            tracing::debug!(image.key = %key, attempt, error = cause, "job failed, next try in {delay_ms} ms");
        }
    }

    async fn give_up(&self, claimed: &Claimed, cause: String) -> Result<(), tintype_store::Error> {
        tracing::error!(
            image.key = %claimed.job.key, attempt = claimed.attempt, error = cause, "job given up"
        );
        let told = self
            .pipeline
            .give_up(&claimed.job, cause.clone(), claimed.attempt)
            .await;
        if let Err(error) = told {
            // A picture that nobody works on any more must not look as if somebody did.
            tracing::warn!(
                image.key = %claimed.job.key, error = error_chain(&error),
                "the record does not show that the job was given up: it is given up later"
            );
            let delay = self.policy.delay(claimed.attempt);
            return self.queue.retry_later(claimed, delay, cause).await;
        }
        self.queue.bury(claimed, cause).await
    }
}

#[cfg(test)]
mod tests;
