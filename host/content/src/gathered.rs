//! Bytes of a body on their way to the disk's thread: the whole body, or a piece of it.
//!
//! Must never lose a byte: what has no room is not taken.

use bytes::Bytes;

use crate::buffer::Buffer;
use crate::uncached::WORTHWHILE;

/// Bytes of a piece at most: few trips to the disk's thread, little memory.
pub(crate) const PIECE: usize = 256 << 10;

/// A body of so many bytes is gathered whole, if all such bodies together do not become too many: it goes to the disk in one
/// piece, and nobody has to read it from there to look into it.
pub(crate) const WHOLE: usize = 2 << 20;

/// Of a piece the first chunk stays as it came unless there are more.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// The length of a body that is gathered whole.
    whole: Option<usize>,
    first: Bytes,
    several: Option<Buffer>,
}

impl Gathered {
    /// For a body that begins, and will be so long if that is known.
    pub(crate) fn of_body(length_declared: Option<u64>) -> Self {
        let length = length_declared.and_then(|length| usize::try_from(length).ok());
        let whole = length.filter(|length| (WORTHWHILE..=WHOLE).contains(length));
        let several = whole.and_then(Buffer::of_whole);
        Self { whole: whole.filter(|_| several.is_some()), first: Bytes::new(), several }
    }

    fn len(&self) -> usize {
        self.first.len() + self.several.as_ref().map_or(0, Buffer::len)
    }

    /// Whether so many bytes more may be added. One chunk has room where nothing is.
    pub(crate) fn has_room(&self, more: usize) -> bool {
        self.len() == 0 || self.len() + more <= self.whole.unwrap_or(PIECE)
    }

    /// Adds a chunk that there is room for.
    pub(crate) fn add(&mut self, chunk: Bytes) {
        if self.len() == 0 && self.whole.is_none_or(|whole| chunk.len() > whole) {
            self.first = chunk;
            return;
        }
        let several = self.several.get_or_insert_with(|| Buffer::of_piece(PIECE));
        several.add(&std::mem::take(&mut self.first));
        several.add(&chunk);
    }

    /// All of them. What comes then is another piece.
    pub(crate) fn take(&mut self) -> Bytes {
        let Self { first, several, .. } = std::mem::take(self);
        match several {
            Some(several) if several.len() > 0 => Bytes::from_owner(several),
            _ => first,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_byte_is_lost_whatever_was_declared(
            chunks in prop::collection::vec(0..300_000_usize, 0..12),
            declared in prop::option::of(0..2_500_000_u64),
            is_true in any::<bool>(),
        ) {
            let sent: Vec<u8> = (0..chunks.iter().sum()).map(|index: usize| (index % 251) as u8).collect();
            let declared = if is_true { Some(sent.len() as u64) } else { declared };
            let mut gathered = Gathered::of_body(declared);
            let (mut found, mut at, mut pieces) = (Vec::new(), 0, 1);
            for length in chunks {
                if !gathered.has_room(length) {
                    found.extend_from_slice(&gathered.take());
                    pieces += 1;
                }
                gathered.add(Bytes::copy_from_slice(&sent[at..at + length]));
                at += length;
            }
            let last = gathered.take();
            if is_true && (WORTHWHILE..=WHOLE).contains(&sent.len()) {
                prop_assert_eq!(pieces, 1);
            }
            found.extend_from_slice(&last);
            prop_assert!(found == sent && gathered.take().is_empty());
        }
    }
}
