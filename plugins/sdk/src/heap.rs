//! The guest's memory allocator: the standard one, which first hands out memory that the component begins with.
//!
//! The host calls every resolver in a fresh instance. Memory that grows in a call makes the host change its
//! protection, and change it back for the next call, which costs more than a small resolver's own work. Must never
//! refuse what fits into the memory that the operator allows: beyond the first part it grows as usual.
#![allow(unsafe_code, reason = "an allocator")]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::{Cell, UnsafeCell};
use core::ptr;
use dlmalloc::{Allocator, Dlmalloc};

/// Of memory that is there from the start: enough for most answers. What is not touched costs nothing.
const FIRST: usize = 512 << 10;
const PAGE: usize = 64 << 10;

#[global_allocator]
static HEAP: Heap =
    Heap(UnsafeCell::new(Dlmalloc::new_with_allocator(Memory { is_begun: Cell::new(false) })));

struct Heap(UnsafeCell<Dlmalloc<Memory>>);

// SAFETY: a component of this kind has one thread.
unsafe impl Sync for Heap {}

// SAFETY: passes everything on to an allocator that keeps the contract; nothing in there calls back.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe { (*self.0.get()).malloc(layout.size(), layout.align()) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { (*self.0.get()).free(memory, layout.size(), layout.align()) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        unsafe { (*self.0.get()).calloc(layout.size(), layout.align()) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new: usize) -> *mut u8 {
        unsafe { (*self.0.get()).realloc(memory, layout.size(), layout.align(), new) }
    }
}

/// Where the allocator gets its memory from.
struct Memory {
    is_begun: Cell<bool>,
}

#[repr(align(16))]
struct First(UnsafeCell<[u8; FIRST]>);

// SAFETY: as above; only the allocator touches it.
unsafe impl Sync for First {}

static FIRST_PART: First = First(UnsafeCell::new([0; FIRST]));

// SAFETY: every part is handed out once, and is zero.
unsafe impl Allocator for Memory {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        if size <= FIRST && !self.is_begun.replace(true) {
            return (FIRST_PART.0.get().cast(), FIRST, 0);
        }
        let pages = size.div_ceil(PAGE);
        match core::arch::wasm32::memory_grow(0, pages) {
            usize::MAX => (ptr::null_mut(), 0, 0),
            // The very last bytes of the address space are left out: a pointer behind them would be null.
            first if (first + pages).wrapping_mul(PAGE) == 0 => {
                ((first * PAGE) as *mut u8, pages * PAGE - 16, 0)
            }
            first => ((first * PAGE) as *mut u8, pages * PAGE, 0),
        }
    }

    fn remap(&self, _: *mut u8, _: usize, _: usize, _: bool) -> *mut u8 {
        ptr::null_mut()
    }

    fn free_part(&self, _: *mut u8, _: usize, _: usize) -> bool {
        false
    }

    fn free(&self, _: *mut u8, _: usize) -> bool {
        false
    }

    fn can_release_part(&self, _: u32) -> bool {
        false
    }

    fn allocates_zeros(&self) -> bool {
        true
    }

    fn page_size(&self) -> usize {
        PAGE
    }
}
