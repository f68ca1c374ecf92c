//! An allocator that tells of every call and passes it on to that of the system.

use std::alloc::{GlobalAlloc, Layout, System};

/// The functions that are told of calls, with sizes in bytes. They must not allocate.
pub(crate) struct Told {
    /// So many bytes are asked for.
    pub(crate) taken: fn(usize),
    /// Memory of the first size gets the second; until it is done there may be both.
    pub(crate) resized: fn(usize, usize),
    /// So many bytes are given back.
    pub(crate) freed: fn(usize),
}

#[expect(
    unsafe_code,
    reason = "GlobalAlloc is an unsafe trait; every call is passed on as it is"
)]
// SAFETY: The system allocator keeps the contract; the functions that are told touch nothing but numbers.
unsafe impl GlobalAlloc for Told {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        (self.taken)(layout.size());
        // SAFETY: The caller keeps the contract of this function, which is that of `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        (self.taken)(layout.size());
        // SAFETY: As above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        (self.resized)(layout.size(), new_size);
        // SAFETY: As above.
        unsafe { System.realloc(memory, layout, new_size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        (self.freed)(layout.size());
        // SAFETY: As above.
        unsafe { System.dealloc(memory, layout) }
    }
}
