//! Takes jobs from the queue and gives them to the pipeline.

use std::time::Duration;

use tintype_model::{Job, Outcome, error_chain};
use tintype_pipeline::Pipeline;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::QueueConfig;
use crate::store::{Claimed, SqliteQueue};

/// How long a claim lasts without being extended. Far longer than any tick of the clock that extends it.
const LEASE: Duration = Duration::from_secs(120);
/// How often a claim is extended while its job runs.
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
    let mut loops = JoinSet::new();
    for _ in 0..workers {
        loops.spawn(work(queue.clone(), pipeline.clone(), config, stop.clone()));
    }
    while loops.join_next().await.is_some() {}
}

async fn work(queue: SqliteQueue, pipeline: Pipeline, config: QueueConfig, stop: CancellationToken) {
    loop {
        let claimed = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            claimed = queue.next(LEASE) => claimed,
        };
        let claimed = match claimed {
            Ok(claimed) => claimed,
            Err(error) => {
                tracing::error!(error = error_chain(&error), "could not ask the queue for work");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let key = claimed.job.key.clone();
        if let Err(error) = handle(&queue, &pipeline, config, claimed, &stop).await {
            // The claim runs out by itself and the job is delivered again.
            tracing::error!(image.key = %key, error = error_chain(&error), "could not settle a job with the queue");
        }
    }
}

async fn handle(
    queue: &SqliteQueue,
    pipeline: &Pipeline,
    config: QueueConfig,
    claimed: Claimed,
    stop: &CancellationToken,
) -> Result<(), crate::store::Error> {
    if claimed.crashes >= config.max_receives {
        let cause = format!(
            "the server ended {} times while it worked on this",
            claimed.crashes
        );
        return give_up(queue, pipeline, config, &claimed, cause).await;
    }
    let started = std::time::Instant::now();
    let mut heartbeat = tokio::time::interval_at(tokio::time::Instant::now() + HEARTBEAT, HEARTBEAT);
    let out_of_time = async {
        stop.cancelled().await;
        tokio::time::sleep(DRAIN_TIMEOUT).await;
    };
    tokio::pin!(out_of_time);
    let mut processing = Box::pin(pipeline.process(&claimed.job, claimed.attempt));
    let result = loop {
        tokio::select! {
            result = &mut processing => break result,
            _ = heartbeat.tick() => queue.extend(&claimed, LEASE).await?,
            () = &mut out_of_time => {
                drop(processing);
                tracing::info!(image.key = %claimed.job.key, "returned unfinished work to the queue");
                return queue.return_now(&claimed).await;
            }
        }
    };
    drop(processing);
    match result {
        Ok(outcome) => {
            report(&claimed.job, &outcome, started.elapsed());
            queue.ack(&claimed).await
        }
        Err(error) => {
            let cause = error_chain(&error);
            // Both: an outage must not use up the tries, nor a server that was off the time.
            if claimed.attempt < config.max_receives || claimed.failing_for < config.retry_for() {
                let delay = retry_delay(config, claimed.attempt);
                tracing::warn!(
                    image.key = %claimed.job.key, attempt = claimed.attempt, error = cause,
                    "job failed, next try in {} ms", delay.as_millis()
                );
                return queue.retry_later(&claimed, delay, cause).await;
            }
            give_up(queue, pipeline, config, &claimed, cause).await
        }
    }
}

async fn give_up(
    queue: &SqliteQueue,
    pipeline: &Pipeline,
    config: QueueConfig,
    claimed: &Claimed,
    cause: String,
) -> Result<(), crate::store::Error> {
    tracing::error!(image.key = %claimed.job.key, attempt = claimed.attempt, error = cause, "job given up");
    if let Err(error) = pipeline
        .give_up(&claimed.job, cause.clone(), claimed.attempt)
        .await
    {
        // A picture that nobody works on any more must not look as if somebody did.
        tracing::warn!(
            image.key = %claimed.job.key, error = error_chain(&error),
            "the record does not show that the job was given up: it is given up later"
        );
        return queue
            .retry_later(claimed, retry_delay(config, claimed.attempt), cause)
            .await;
    }
    queue.bury(claimed, cause).await
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
