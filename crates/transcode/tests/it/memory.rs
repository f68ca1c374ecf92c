//! The bytes that a thread asks the allocator for. Tests use them to show that a source is refused before anything is
//! decoded: unlike time, memory does not depend on how busy the machine is.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

#[global_allocator]
static COUNTING: Counting = Counting;

struct Counting;

thread_local! {
    // Without a destructor and without a first value that allocates: an allocator may use it at any time.
    static ASKED_FOR: Cell<usize> = const { Cell::new(0) };
}

fn count(bytes: usize) {
    ASKED_FOR.with(|asked_for| asked_for.set(asked_for.get().saturating_add(bytes)));
}

#[expect(
    unsafe_code,
    reason = "GlobalAlloc is an unsafe trait; every call is passed on as it is"
)]
// SAFETY: The system allocator keeps the contract; counting touches nothing but a number of the thread's own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: The caller keeps the contract of this function, which is that of `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: As above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(new_size.saturating_sub(layout.size()));
        // SAFETY: As above.
        unsafe { System.realloc(memory, layout, new_size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: As above.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// The result of `work`, and the number of bytes that this thread asked for meanwhile, whether it gave them back or
/// not. Threads that `work` starts and C libraries are not counted.
pub(crate) fn asked_for<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = ASKED_FOR.get();
    let answer = work();
    (answer, ASKED_FOR.get().saturating_sub(before))
}

#[test]
fn allocations_of_this_thread_alone_are_counted() {
    let (_, bytes) = asked_for(|| vec![1_u8; 100_000]);
    assert!((100_000..101_000).contains(&bytes), "{bytes}");
    let (_, bytes) = asked_for(|| std::thread::spawn(|| vec![1_u8; 1 << 20].len()).join());
    assert!(bytes < 100_000, "{bytes}");
    let (_, bytes) = asked_for(|| {
        let mut grown = vec![0_u8; 1000];
        grown.reserve_exact(9000);
        grown
    });
    assert!((10_000..11_000).contains(&bytes), "{bytes}");
}
