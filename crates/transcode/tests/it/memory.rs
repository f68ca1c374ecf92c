//! The bytes that a thread asks the allocator for. Tests use them to show that a source is refused before anything is
//! decoded: unlike time, memory does not depend on how busy the machine is.

use std::cell::Cell;

use crate::allocator::Told;

#[global_allocator]
static COUNTING: Told = Told {
    taken: count,
    resized: |old, new| count(new.saturating_sub(old)),
    freed: |_| {},
};

thread_local! {
    // Without a destructor and without a first value that allocates: an allocator may use it at any time.
    static ASKED_FOR: Cell<usize> = const { Cell::new(0) };
}

fn count(bytes: usize) {
    ASKED_FOR.with(|asked_for| asked_for.set(asked_for.get().saturating_add(bytes)));
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
