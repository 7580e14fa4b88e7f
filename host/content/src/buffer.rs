//! Memory that bodies are gathered in, and used again, because fresh memory costs more than what is copied into it.
//!
//! Must never show a body's bytes in another body, nor let bodies that are gathered whole hold more than [`WHOLE_BODIES`].

use std::sync::{Mutex, MutexGuard, PoisonError};

/// How long the bodies may be together that are gathered whole at once, in bytes; others come piece by piece. The memory may
/// be half as much again.
const WHOLE_BODIES: usize = 32 << 20;

/// What is kept for later bodies while nobody uses it, in bytes.
const KEPT: usize = 16 << 20;

/// Memory comes in multiples of this, in bytes, so that it fits others.
const GRAIN: usize = 64 << 10;

static POOL: Mutex<Pool> = Mutex::new(Pool { free: Vec::new(), reserved: 0 });

struct Pool {
    free: Vec<Vec<u8>>,
    /// Bytes that bodies hold which are gathered whole, or will.
    reserved: usize,
}

/// Bytes that were gathered.
#[derive(Debug)]
pub(crate) struct Buffer {
    /// Taken when the first bytes come.
    memory: Vec<u8>,
    length: usize,
    room: usize,
    reserved: usize,
}

impl Buffer {
    /// One for a piece of a body: `room` bytes.
    pub(crate) fn of_piece(room: usize) -> Self {
        Self::new(room, 0)
    }

    fn new(room: usize, reserved: usize) -> Self {
        Self { memory: Vec::new(), length: 0, room, reserved }
    }

    /// One for a whole body of `room` bytes; none while others hold all that such may.
    pub(crate) fn of_whole(room: usize) -> Option<Self> {
        let mut pool = pool();
        let reserved = pool.reserved.checked_add(room).filter(|all| *all <= WHOLE_BODIES)?;
        pool.reserved = reserved;
        Some(Self::new(room, room))
    }

    /// Bytes in it.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Adds bytes.
    ///
    /// # Panics
    /// When there is no room for all of them: none may be lost.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        if self.memory.is_empty() && self.room > 0 {
            self.memory = pool().take(self.room);
        }
        let room = &mut self.memory[..self.room];
        room[self.length..][..bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.memory[..self.length]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut pool = pool();
        pool.reserved -= self.reserved;
        pool.keep(std::mem::take(&mut self.memory));
    }
}

impl Pool {
    /// The smallest that is large enough and not much larger, or a new one.
    fn take(&mut self, least: usize) -> Vec<u8> {
        let size = least.next_multiple_of(GRAIN);
        let fits = |(_, memory): &(usize, &Vec<u8>)| (size..=size + size / 2).contains(&memory.len());
        let found = self.free.iter().enumerate().filter(fits).min_by_key(|(_, memory)| memory.len());
        match found.map(|(index, _)| index) {
            Some(index) => self.free.swap_remove(index),
            None => vec![0; size],
        }
    }

    fn keep(&mut self, memory: Vec<u8>) {
        let kept: usize = self.free.iter().map(Vec::len).sum();
        if !memory.is_empty() && kept + memory.len() <= KEPT {
            self.free.push(memory);
        }
    }
}

fn pool() -> MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bytes_are_left_of_who_had_the_memory_before() {
        for round in 1..4_u8 {
            let mut buffer = Buffer::of_piece(100_000);
            buffer.add(&vec![round; 70_000]);
            buffer.add(&vec![round; 30_000]);
            assert_eq!(buffer.as_ref(), vec![round; 100_000]);
            drop(buffer);
            let mut short = Buffer::of_piece(100_000);
            short.add(b"short");
            assert_eq!(short.as_ref(), b"short");
        }
        assert_eq!(Buffer::of_piece(0).as_ref(), b"");
    }

    #[test]
    #[should_panic(expected = "out of range")]
    fn what_has_no_room_is_not_lost_in_silence() {
        let mut buffer = Buffer::of_piece(4);
        buffer.add(b"123");
        buffer.add(b"45");
    }

    #[test]
    fn memory_is_taken_again_and_not_all_of_it_is_kept() {
        let mut pool = Pool { free: Vec::new(), reserved: 0 };
        let memory = pool.take(300_000);
        assert_eq!(memory.len(), 320 << 10);
        let address = memory.as_ptr();
        pool.keep(memory);
        assert_eq!(pool.take(40_000).len(), 64 << 10, "not one that is much too large");
        let again = pool.take(250_000);
        assert_eq!(again.as_ptr(), address);
        (0..100).for_each(|_| pool.keep(vec![0; 1 << 20]));
        assert_eq!(pool.free.len(), KEPT >> 20);
        pool.keep(Vec::new());
        assert_eq!(pool.free.len(), KEPT >> 20);
    }

    #[test]
    fn bodies_that_are_gathered_whole_have_so_much_and_give_it_back() {
        let most = WHOLE_BODIES / 4;
        // Others' tests may have some meanwhile.
        let held: Vec<Buffer> = std::iter::from_fn(|| Buffer::of_whole(most)).collect();
        assert!(held.len() <= 4 && Buffer::of_whole(most).is_none());
        drop(held);
        assert!(Buffer::of_whole(most).is_some());
        assert!(Buffer::of_whole(usize::MAX).is_none());
    }
}
