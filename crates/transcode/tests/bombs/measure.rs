//! What reading one bomb takes.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tintype_model::Limits;
use tintype_transcode::{Error, render};

use crate::families::Family;
use crate::fixtures::one;

#[global_allocator]
static COUNTING: Counting = Counting;

/// Counts the memory that is in use, and the most that ever was.
struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn taken(bytes: usize) {
    let in_use = IN_USE.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(in_use, Ordering::Relaxed);
}

#[expect(
    unsafe_code,
    reason = "GlobalAlloc is an unsafe trait; every call is passed on as it is"
)]
// SAFETY: The system allocator keeps the contract; counting touches nothing but two numbers.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        // SAFETY: The caller keeps the contract of this function, which is that of `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        // SAFETY: As above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        taken(new_size);
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: As above.
        unsafe { System.realloc(memory, layout, new_size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: As above.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// What came of a bomb.
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
