//! The policy for jobs after a try: acknowledged, tried again later, or given up. One for every queue.

use std::time::Duration;

use tintype_model::{Job, Outcome};

/// The rules for tries of a job: their number, their time and the delays between them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    /// The number of tries after which a job may be given up.
    pub max_tries: u32,
    /// The time after its first failure for which a job is not given up, however often it was tried; zero for a queue
    /// that counts tries alone.
    pub least_time: Duration,
    /// The delay after the first try. It doubles with each further one.
    pub first_delay: Duration,
    /// The longest delay.
    pub longest_delay: Duration,
    /// The largest part of a delay that is added to it at random, so that jobs that failed together do not come back
    /// together.
    pub jitter: f64,
}

/// The tries of a job so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tries {
    /// The number of deliveries, the last one included.
    pub count: u32,
    /// The time since the first failure; zero when none is known.
    pub failing_for: Duration,
}

/// The fate of a job after a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// It is done: the queue forgets it.
    Ack,
    /// The queue delivers it again after this time.
    Retry(Duration),
    /// It becomes a dead letter, and the record says so.
    GiveUp,
}

impl RetryPolicy {
    /// The usual [`Self::jitter`].
    pub const JITTER: f64 = 0.25;

    /// The delay after so many tries: doubled with each, with jitter, at most the longest.
    #[must_use]
    pub fn delay(&self, tries: u32) -> Duration {
        let doublings = tries.saturating_sub(1).min(20);
        let doubled = self.first_delay.saturating_mul(1 << doublings);
        let jitter = 1.0 + rand::random::<f64>() * self.jitter;
        doubled
            .min(self.longest_delay)
            .mul_f64(jitter)
            .min(self.longest_delay)
    }
}

/// Decides what becomes of a job whose last try ended like this. A bad image is no failure: it is an [`Outcome`].
///
/// A job is given up only when it was tried often enough and long enough: an outage must not use up the tries, nor a
/// server that was off the time.
#[must_use]
pub fn settle<T, E>(result: &Result<T, E>, tries: Tries, policy: &RetryPolicy) -> Settlement {
    match result {
        Ok(_) => Settlement::Ack,
        Err(_) if tries.count >= policy.max_tries && tries.failing_for >= policy.least_time => {
            Settlement::GiveUp
        }
        Err(_) => Settlement::Retry(policy.delay(tries.count)),
    }
}

/// Logs the outcome of a job that took so long: one line for each job, with the same fields in both shapes.
pub fn log_outcome(job: &Job, outcome: &Outcome, took: Duration) {
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match outcome {
        Outcome::Processed => {
            tracing::info!(image.key = %job.key, outcome = "processed", duration_ms, "processed");
        }
        Outcome::Skipped(skip) => {
            tracing::info!(image.key = %job.key, outcome = "skipped", duration_ms, reason = ?skip, "nothing to do");
        }
        Outcome::Rejected(rejection) => tracing::info!(
            image.key = %job.key, outcome = "rejected", duration_ms,
            code = rejection.code.name(), detail = rejection.detail, "rejected"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RetryPolicy = RetryPolicy {
        max_tries: 5,
        least_time: Duration::from_secs(3600),
        first_delay: Duration::from_secs(2),
        longest_delay: Duration::from_secs(900),
        jitter: RetryPolicy::JITTER,
    };

    fn settled(count: u32, failing_secs: u64) -> Settlement {
        let tries = Tries {
            count,
            failing_for: Duration::from_secs(failing_secs),
        };
        settle(&Err::<(), _>("no room"), tries, &POLICY)
    }

    #[test]
    fn a_result_is_acknowledged_however_often_it_was_tried() {
        let tries = Tries {
            count: 100,
            failing_for: Duration::MAX,
        };
        assert_eq!(settle(&Ok::<_, ()>(()), tries, &POLICY), Settlement::Ack);
    }

    #[test]
    fn a_job_is_given_up_after_enough_tries_and_enough_time() {
        assert_eq!(settled(5, 3600), Settlement::GiveUp);
        assert_eq!(settled(500, 4000), Settlement::GiveUp);
        for (count, failing_secs) in [(4, 3600), (1, 100_000), (5, 3599), (500, 0)] {
            let settlement = settled(count, failing_secs);
            assert!(
                matches!(settlement, Settlement::Retry(_)),
                "{count}: {settlement:?}"
            );
        }
    }

    #[test]
    fn retries_wait_twice_as_long_each_time_up_to_a_limit() {
        for (tries, seconds) in [(0, 2), (1, 2), (2, 4), (3, 8), (4, 16)] {
            let least = Duration::from_secs(seconds);
            let delays: Vec<Duration> = (0..100).map(|_| POLICY.delay(tries)).collect();
            let inside = |delay: &Duration| (least..=least.mul_f64(1.25)).contains(delay);
            assert!(delays.iter().all(inside), "{tries}: {delays:?}");
            assert!(delays.iter().any(|delay| *delay != delays[0]), "jobs are spread");
        }
        assert_eq!(POLICY.delay(40), POLICY.longest_delay);
        assert_eq!(POLICY.delay(u32::MAX), POLICY.longest_delay);
    }

    #[test]
    fn without_jitter_delays_are_exact() {
        let policy = RetryPolicy {
            jitter: 0.0,
            ..POLICY
        };
        let seconds: Vec<u64> = (1..=10).map(|tries| policy.delay(tries).as_secs()).collect();
        assert_eq!(seconds, [2, 4, 8, 16, 32, 64, 128, 256, 512, 900]);
    }
}
