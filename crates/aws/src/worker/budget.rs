use std::time::Duration;

use tintype_pipeline::RetryPolicy;
use tokio::time::Instant;

/// The least time that is kept to write into records that jobs were given up, and to set visibilities.
const LEAST_RESERVE: Duration = Duration::from_secs(2);

/// The part of the invocation's time that is kept for it when that is more.
const RESERVE_SHARE: u32 = 10;

/// The part of the remaining time that reading the source, writing the renditions and the record may take beside
/// rendering.
const TRANSFER_SHARE: u32 = 10;

/// A deadline for rendering is never shortened below this: it would turn a slow machine into a rejected picture.
const LEAST_RENDER: Duration = Duration::from_secs(10);

/// The division of the time of one invocation.
///
/// The end of an invocation is given in wall-clock time and turned into monotonic time once, at its start. No timer
/// outlives an invocation, so it does not matter what clocks do while Lambda has the machine frozen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// Work that goes on at this moment is dropped and reported as failed.
    pub(super) stop_at: Instant,
    /// Visibilities and records that are not settled at this moment are left as they are, so that the answer is in
    /// time. What remains then is for sending it.
    pub(super) settle_by: Instant,
    /// The longest that one render may take. A render that dies is repeated once, alone, and both fit before `stop_at`
    /// when the invocation has at least [`LEAST_RENDER`] for each; a picture that takes longer then gets its answer
    /// (`decoder_killed`) instead of five receives and the dead-letter queue.
    pub(super) render: Duration,
}

impl Budget {
    /// The budget of an invocation that has `remaining` from `now`; `configured` is the longest that a render may take.
    pub(super) fn new(now: Instant, remaining: Duration, configured: Duration) -> Self {
        let reserve = (remaining / RESERVE_SHARE).max(LEAST_RESERVE);
        let usable = remaining.saturating_sub(reserve);
        let twice = usable.saturating_sub(usable / TRANSFER_SHARE);
        Self {
            stop_at: now + usable,
            settle_by: now + remaining.saturating_sub(reserve / 4),
            render: (twice / 2).max(LEAST_RENDER).min(configured),
        }
    }

    /// True if a further message is worth starting: there is time for one render. A message that is dropped half-way has
    /// used up one of its receives for nothing.
    pub(super) fn allows_another(&self, now: Instant) -> bool {
        self.stop_at.saturating_duration_since(now) >= self.render
    }

    /// True if nothing can be started any more.
    pub(super) fn is_spent(&self, now: Instant) -> bool {
        now >= self.stop_at
    }
}

/// The policy for messages of a queue that delivers each at most so often. A message that failed stays invisible for 15 s
/// after its first receive, and for twice as long after each further one. Without this a retry would wait until the queue's
/// visibility timeout is over, which is six times the function's.
pub(super) const fn retries(max_receives: u32) -> RetryPolicy {
    RetryPolicy {
        max_tries: max_receives,
        least_time: Duration::ZERO,
        first_delay: Duration::from_secs(15),
        // The longest that SQS keeps a message invisible.
        longest_delay: Duration::from_hours(12),
        jitter: RetryPolicy::JITTER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn time_is_kept_to_finish_and_two_renders_fit_into_the_rest() {
        let configured = seconds(40.0);
        for (remaining, stop, settle, render) in [
            // The template's 120 s: the configured deadline fits twice.
            (120.0, 108.0, 117.0, 40.0),
            (900.0, 810.0, 877.5, 40.0),
            // It does not: half of what remains after a tenth for transfers.
            (60.0, 54.0, 58.5, 24.3),
            (20.0, 18.0, 19.5, 10.0),
            (3.0, 1.0, 2.5, 10.0),
            (1.0, 0.0, 0.5, 10.0),
            (0.0, 0.0, 0.0, 10.0),
        ] {
            let now = Instant::now();
            let budget = Budget::new(now, seconds(remaining), configured);
            assert_eq!(budget.stop_at - now, seconds(stop), "{remaining}");
            assert_eq!(budget.settle_by - now, seconds(settle), "{remaining}");
            assert_eq!(budget.render, seconds(render), "{remaining}");
            assert_eq!(budget.is_spent(now), stop == 0.0, "{remaining}");
        }
        let brief = Budget::new(Instant::now(), seconds(120.0), seconds(5.0));
        assert_eq!(
            brief.render,
            seconds(5.0),
            "the configured deadline is never extended"
        );
    }

    #[test]
    fn another_message_is_started_only_with_time_for_a_render() {
        let now = Instant::now();
        let budget = Budget::new(now, seconds(120.0), seconds(40.0));
        assert!(budget.allows_another(now + seconds(68.0)));
        assert!(!budget.allows_another(now + seconds(68.1)));
        assert!(!budget.allows_another(now + seconds(500.0)));
    }

    #[test]
    fn retries_wait_twice_as_long_each_time() {
        let policy = RetryPolicy {
            jitter: 0.0,
            ..retries(5)
        };
        let retry_delay = |receives| policy.delay(receives);
        let delays = (1..=6).map(|receives| retry_delay(receives).as_secs());
        assert_eq!(delays.collect::<Vec<_>>(), [15, 30, 60, 120, 240, 480]);
        assert_eq!(retry_delay(0).as_secs(), 15);
        assert_eq!(retry_delay(u32::MAX).as_secs(), 43_200);
    }
}
