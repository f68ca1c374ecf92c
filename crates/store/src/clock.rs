use std::fmt;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tintype_model::UnixMillis;

/// The clock of a store.
///
/// The time of day dates objects. Leases and delays run on a second clock that starts at the time of day and then
/// counts seconds, so that setting the computer's clock neither voids a lease nor delays a job.
#[derive(Clone)]
pub struct Clock {
    wall: Arc<dyn Fn() -> UnixMillis + Send + Sync>,
    steady: Arc<dyn Fn() -> UnixMillis + Send + Sync>,
}

impl Clock {
    /// The computer's clock.
    #[must_use]
    pub fn system() -> Self {
        let (start, origin) = (UnixMillis::from(SystemTime::now()), Instant::now());
        Self {
            wall: Arc::new(|| SystemTime::now().into()),
            steady: Arc::new(move || {
                let elapsed = u64::try_from(origin.elapsed().as_millis()).unwrap_or(u64::MAX);
                UnixMillis(start.0.saturating_add(elapsed))
            }),
        }
    }

    /// A clock for tests that shows what `now` answers.
    pub fn manual(now: impl Fn() -> UnixMillis + Send + Sync + 'static) -> Self {
        let now = Arc::new(now);
        Self {
            wall: now.clone(),
            steady: now,
        }
    }

    /// The time of day.
    pub(crate) fn wall(&self) -> UnixMillis {
        (self.wall)()
    }

    /// The time that leases and delays run on.
    pub(crate) fn steady(&self) -> UnixMillis {
        (self.steady)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock")
            .field("wall", &self.wall())
            .finish_non_exhaustive()
    }
}
