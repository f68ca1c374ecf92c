//! How long a client may keep its connection waiting.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The time that clients may keep a connection waiting, and the rate at which bytes make up for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patience {
    /// For the whole head of a request, for the next request on an idle connection, and for the bytes of a body in
    /// either direction, beyond what their number is granted.
    pub(crate) grace: Duration,
    /// Bytes of a body that make up for a second of waiting.
    pub(crate) least_rate: u64,
}

/// The account of one connection: waiting for the client spends its grace, bytes that move make up for it. A client
/// that sends or takes fewer bytes a second than the least rate, as a mean, runs out of it, whatever it does between.
#[derive(Debug)]
pub(crate) struct Pace {
    patience: Patience,
    account: Mutex<Account>,
}

#[derive(Debug)]
struct Account {
    /// The time that was waited before, less what bytes made up for.
    spent: Duration,
    /// Since when the server waits; `None` while it is the server's turn.
    waiting_since: Option<Instant>,
}

impl Pace {
    /// The account of a new connection, which owes a request.
    pub(crate) fn new(patience: Patience, now: Instant) -> Self {
        Self {
            patience,
            account: Mutex::new(Account {
                spent: Duration::ZERO,
                waiting_since: Some(now),
            }),
        }
    }

    /// The head of a request is there: it is the server's turn, and nothing is owed from before.
    pub(crate) fn begin(&self) {
        let mut account = self.lock();
        account.spent = Duration::ZERO;
        account.waiting_since = None;
    }

    /// The server waits for the client from now on, if it does not yet. Answers for how long it will.
    pub(crate) fn wait(&self, now: Instant) -> Duration {
        let mut account = self.lock();
        let since = *account.waiting_since.get_or_insert(now);
        self.patience
            .grace
            .saturating_sub(account.spent + now.saturating_duration_since(since))
    }

    /// Bytes have moved: the wait is over.
    pub(crate) fn moved(&self, bytes: usize, now: Instant) {
        let mut account = self.lock();
        let waited = account
            .waiting_since
            .take()
            .map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        let made_up = Duration::from_secs_f64(bytes as f64 / self.patience.least_rate.max(1) as f64);
        account.spent = (account.spent + waited).saturating_sub(made_up);
    }

    /// The time that the server has waited for the client, less what bytes made up for; `None` while it is the server's
    /// turn.
    pub(crate) fn lag(&self, now: Instant) -> Option<Duration> {
        let account = self.lock();
        let since = account.waiting_since?;
        Some(account.spent + now.saturating_duration_since(since))
    }

    fn lock(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        grace: Duration::from_secs(30),
        least_rate: 1000,
    };

    /// The time that a client lasts that sends `bytes` every `step`; `None` when it lasts an hour.
    fn lasts(bytes: usize, step: Duration) -> Option<Duration> {
        let start = Instant::now();
        let pace = Pace::new(PATIENCE, start);
        pace.begin();
        let mut now = start;
        while now < start + Duration::from_hours(1) {
            if pace.wait(now) < step {
                return Some(now - start);
            }
            now += step;
            pace.moved(bytes, now);
        }
        None
    }

    #[test]
    fn drips_end_and_slow_lines_do_not() {
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
    fn nothing_is_saved_up() {
        let start = Instant::now();
        let pace = Pace::new(PATIENCE, start);
        pace.begin();
        pace.moved(1 << 30, start);
        assert_eq!(pace.wait(start), PATIENCE.grace);
    }

    #[test]
    fn the_server_s_own_time_is_not_the_client_s() {
        let start = Instant::now();
        let hour = Duration::from_hours(1);
        let pace = Pace::new(PATIENCE, start);
        assert_eq!(pace.lag(start + hour), Some(hour));
        pace.begin();
        assert_eq!(pace.lag(start + hour), None);
        assert_eq!(pace.wait(start + hour), PATIENCE.grace);
        assert_eq!(pace.lag(start + hour * 2), Some(hour));
        assert_eq!(pace.wait(start + hour * 2), Duration::ZERO);
    }
}
