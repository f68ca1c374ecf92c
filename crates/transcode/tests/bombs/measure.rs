//! The cost of reading one bomb.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tintype_model::Limits;
use tintype_transcode::{Error, render};

use crate::allocator::Told;
use crate::families::Family;
use crate::fixtures::one;

/// Counts the memory that is in use, and the most that ever was.
#[global_allocator]
static COUNTING: Told = Told {
    taken,
    resized: |old, new| {
        taken(new);
        freed(old);
    },
    freed,
};

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn taken(bytes: usize) {
    let in_use = IN_USE.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(in_use, Ordering::Relaxed);
}

fn freed(bytes: usize) {
    IN_USE.fetch_sub(bytes, Ordering::Relaxed);
}

/// The result of a bomb.
pub(crate) struct Measured {
    /// Its bytes.
    #[cfg_attr(test, expect(dead_code, reason = "the table tells it"))]
    pub(crate) size: usize,
    /// Code and reason; `None` where a picture was made.
    pub(crate) rejection: Option<(&'static str, String)>,
    /// The most memory in use, in bytes beyond the source's own. C libraries are not counted; none sees a source.
    pub(crate) peak: usize,
    /// CPU time of all threads.
    #[cfg_attr(test, expect(dead_code, reason = "no test asserts a time"))]
    pub(crate) cpu: Duration,
}

fn cpu_time() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime)
        .try_into()
        .unwrap_or_default()
}

/// Renders a bomb as workers do, into one small PNG.
pub(crate) fn measured(family: &Family) -> Measured {
    let source = (family.make)();
    let recipe = one(|variant| variant.width = Some(16));
    let (before, started) = (IN_USE.load(Ordering::Relaxed), cpu_time());
    PEAK.store(before, Ordering::Relaxed);
    let rendered = render(&source, &recipe, &Limits::default(), 1);
    let (peak, ended) = (PEAK.load(Ordering::Relaxed), cpu_time());
    Measured {
        size: source.len(),
        rejection: match rendered {
            Ok(_) => None,
            Err(Error::Rejected(rejection)) => Some((rejection.code.name(), rejection.detail)),
            Err(error) => panic!("{}: {error}", family.name),
        },
        peak: peak.saturating_sub(before),
        cpu: ended.saturating_sub(started),
    }
}
