//! The time that the server waits for a client.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The time that the server waits for a client, and the rate of bytes that extends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WaitLimit {
    /// For the whole head of a request, for the next request on an idle connection, and for the bytes of a body in
    /// either direction, beyond the time that their number is worth.
    pub(crate) timeout: Duration,
    /// Bytes of a body that are worth a second of waiting.
    pub(crate) min_rate: u64,
}

/// The time that the server has waited for the client of one connection. Bytes that move are subtracted from it, at the
/// minimum rate: a client that is slower than that, as a mean, reaches the limit, whatever it does between.
#[derive(Debug)]
pub(crate) struct ClientWait {
    limit: WaitLimit,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The time that was waited before, less the time that bytes were worth.
    spent: Duration,
    /// The beginning of the present wait; `None` while the server works on an answer.
    since: Option<Instant>,
    /// True if the limit was ever reached.
    is_over: bool,
}

impl ClientWait {
    /// The wait of a new connection, for its first request.
    pub(crate) fn new(limit: WaitLimit, now: Instant) -> Self {
        Self {
            limit,
            state: Mutex::new(State {
                spent: Duration::ZERO,
                since: Some(now),
                is_over: false,
            }),
        }
    }

    /// Ends the wait and forgets the time that was spent: the head of a request has arrived.
    pub(crate) fn reset(&self) {
        let mut state = self.lock();
        state.spent = Duration::ZERO;
        state.since = None;
    }

    /// Starts to wait, if the server does not wait yet. Returns the time that is left.
    pub(crate) fn start(&self, now: Instant) -> Duration {
        let mut state = self.lock();
        let since = *state.since.get_or_insert(now);
        let spent = state.spent + now.saturating_duration_since(since);
        let left = self.limit.timeout.saturating_sub(spent);
        state.is_over |= left.is_zero();
        left
    }

    /// Ends the wait: bytes have moved.
    pub(crate) fn moved(&self, bytes: usize, now: Instant) {
        let mut state = self.lock();
        let waited = state
            .since
            .take()
            .map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        let worth = Duration::from_secs_f64(bytes as f64 / self.limit.min_rate.max(1) as f64);
        state.spent = (state.spent + waited).saturating_sub(worth);
    }

    /// The time that the server has waited, less the time that bytes were worth; `None` while it works on an answer.
    pub(crate) fn spent(&self, now: Instant) -> Option<Duration> {
        let state = self.lock();
        let since = state.since?;
        Some(state.spent + now.saturating_duration_since(since))
    }

    /// True if the limit was ever reached.
    pub(crate) fn is_over(&self) -> bool {
        self.lock().is_over
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: WaitLimit = WaitLimit {
        timeout: Duration::from_secs(30),
        min_rate: 1000,
    };

    /// The time that a client lasts that sends `bytes` every `step`; `None` when it lasts an hour.
    fn lasts(bytes: usize, step: Duration) -> Option<Duration> {
        let start = Instant::now();
        let wait = ClientWait::new(LIMIT, start);
        wait.reset();
        let mut now = start;
        while now < start + Duration::from_hours(1) {
            if wait.start(now) < step {
                return Some(now - start);
            }
            now += step;
            wait.moved(bytes, now);
        }
        None
    }

    #[test]
    fn clients_below_the_minimum_rate_end_and_others_do_not() {
        let second = Duration::from_secs(1);
        for (bytes, step) in [
            (0, second),
            (1, second),
            (1, 6 * second),
            (900, second),
            (1, second / 100),
        ] {
            assert!(lasts(bytes, step).is_some(), "{bytes} bytes every {step:?}");
        }
        for (bytes, step) in [(1000, second), (20_000, 20 * second), (1, second / 1000)] {
            assert_eq!(lasts(bytes, step), None, "{bytes} bytes every {step:?}");
        }
        assert_eq!(lasts(29_000, 31 * second), Some(Duration::ZERO));
    }

    #[test]
    fn fast_bytes_do_not_extend_a_later_wait() {
        let start = Instant::now();
        let wait = ClientWait::new(LIMIT, start);
        wait.reset();
        wait.moved(1 << 30, start);
        assert_eq!(wait.start(start), LIMIT.timeout);
    }

    #[test]
    fn the_time_of_the_server_s_own_work_does_not_count() {
        let start = Instant::now();
        let hour = Duration::from_hours(1);
        let wait = ClientWait::new(LIMIT, start);
        assert_eq!(wait.spent(start + hour), Some(hour));
        wait.reset();
        assert_eq!(wait.spent(start + hour), None);
        assert_eq!(wait.start(start + hour), LIMIT.timeout);
        assert_eq!(wait.spent(start + hour * 2), Some(hour));
        assert_eq!(wait.start(start + hour * 2), Duration::ZERO);
    }
}
