//! Takes jobs from the queue and gives them to the pipeline.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tintype_model::{Job, Outcome, error_chain};
use tintype_pipeline::Pipeline;
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
/// Time that jobs in hand get when the server stops; what is not done by then goes back to the queue.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs `workers` loops until `stop`, then finishes the jobs in hand or returns them to the queue.
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
    config: QueueConfig,
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
    /// Whether it was not known before.
    fn begins(&self) -> bool {
        !self.is_known.swap(true, Ordering::Relaxed)
    }

    /// Whether it was known before.
    fn is_over(&self) -> bool {
        self.is_known.swap(false, Ordering::Relaxed)
    }
}

/// Whether an error comes from a disk without room.
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
            config,
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
        if claimed.crashes >= self.config.max_receives {
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
        match result {
            Ok(outcome) => {
                report(&claimed.job, &outcome, started.elapsed());
                if outcome == Outcome::Processed && self.disk_trouble.is_over() {
                    tracing::info!("there is room for renditions again");
                }
                self.queue.ack(&claimed).await
            }
            Err(error) => self.failed(&claimed, &error).await,
        }
    }

    async fn failed(
        &self,
        claimed: &Claimed,
        error: &tintype_pipeline::Error,
    ) -> Result<(), tintype_store::Error> {
        let cause = error_chain(error);
        // Both: an outage must not use up the tries, nor a server that was off the time.
        if claimed.attempt >= self.config.max_receives && claimed.failing_for >= self.config.retry_for() {
            return self.give_up(claimed, cause).await;
        }
        let delay = retry_delay(self.config, claimed.attempt);
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
        self.queue.retry_later(claimed, delay, cause).await
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
            let delay = retry_delay(self.config, claimed.attempt);
            return self.queue.retry_later(claimed, delay, cause).await;
        }
        self.queue.bury(claimed, cause).await
    }
}

fn report(job: &Job, outcome: &Outcome, took: Duration) {
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match outcome {
        Outcome::Processed => tracing::info!(image.key = %job.key, duration_ms, "processed"),
        Outcome::Skipped(skip) => tracing::debug!(image.key = %job.key, duration_ms, ?skip, "skipped"),
        Outcome::Rejected(rejection) => tracing::info!(
            image.key = %job.key, duration_ms, code = rejection.code.name(), detail = rejection.detail, "rejected"
        ),
    }
}

/// Twice as long after each try, plus up to a quarter at random, so that jobs that failed together do not come
/// back together.
fn retry_delay(config: QueueConfig, attempt: u32) -> Duration {
    let doubled =
        Duration::from_secs(config.retry_base_seconds).saturating_mul(1 << attempt.saturating_sub(1).min(16));
    doubled.mul_f64(1.0 + rand::random::<f64>() / 4.0).min(MAX_DELAY)
}

#[cfg(test)]
mod tests;
