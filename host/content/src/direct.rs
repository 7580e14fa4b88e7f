//! Writes of whole blocks from memory to the disk, past the page cache.
//!
//! What is written once and not read again soon need not be copied there, written out from there later, and drive out what
//! others read: on fresh memory the page cache costs several times what everything else about a file does. Must never be the
//! only way, nor tell of success before the system has taken all bytes: what it does not take so, it takes as ever. It is not
//! on the disk for good before a sync, as ever.

use std::fs::File;
use std::io::{ErrorKind, Write};

use rustix::fs::{OFlags, fcntl_setfl};

/// Positions, lengths and addresses are multiples of this: as large as any common disk or file system asks for, in bytes.
pub(crate) const BLOCK: usize = 4096;

/// Fewer bytes are sooner copied.
pub(crate) const WORTHWHILE: usize = 64 << 10;

/// Writes all bytes to a file that is empty. They go directly as far as they fill blocks, if there are enough of them, if
/// they begin at a multiple of [`BLOCK`], and if the file system can.
pub(crate) fn write_all(mut file: &File, bytes: &[u8]) -> std::io::Result<()> {
    let written = write_blocks(file, bytes)?;
    file.write_all(&bytes[written..])
}

/// Writes directly what can be; returns how many bytes.
fn write_blocks(mut file: &File, bytes: &[u8]) -> std::io::Result<usize> {
    let blocks = &bytes[..bytes.len() - bytes.len() % BLOCK];
    let can_be = bytes.as_ptr().addr().is_multiple_of(BLOCK) && blocks.len() >= WORTHWHILE;
    if !can_be || fcntl_setfl(file, OFlags::DIRECT).is_err() {
        return Ok(0);
    }
    let mut written = 0;
    while written < blocks.len() && written.is_multiple_of(BLOCK) {
        match file.write(&blocks[written..]) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Whatever it is, the page cache takes the rest, or says in earnest why not.
            Ok(0) | Err(_) => break,
            Ok(more) => written += more,
        }
    }
    fcntl_setfl(file, OFlags::empty())?;
    Ok(written)
}

#[cfg(test)]
mod tests {
    use std::io::Seek;

    use super::*;
    use crate::buffer::Buffer;

    #[test]
    fn what_is_written_is_what_is_read_whatever_its_length() {
        for length in [0, 1, BLOCK, WORTHWHILE - 1, WORTHWHILE, WORTHWHILE + 1, 300_000, 64 * BLOCK] {
            let bytes: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
            let mut buffer = Buffer::of_piece(length);
            buffer.add(&bytes);
            // Aligned, not aligned, and where the system may have no such writes.
            let shared = std::path::Path::new("/dev/shm");
            for dir in [std::env::temp_dir(), shared.to_owned()].iter().filter(|dir| dir.is_dir()) {
                for bytes in [buffer.as_ref(), &buffer.as_ref()[length.min(1)..]] {
                    let mut file = tempfile::tempfile_in(dir).unwrap();
                    write_all(&file, bytes).unwrap();
                    assert_eq!(file.stream_position().unwrap(), bytes.len() as u64);
                    file.rewind().unwrap();
                    let mut found = Vec::new();
                    std::io::Read::read_to_end(&mut file, &mut found).unwrap();
                    assert!(found == bytes, "{length} bytes in {}", dir.display());
                }
            }
        }
    }

    #[test]
    fn whole_blocks_go_directly_where_the_file_system_can() {
        let mut buffer = Buffer::of_piece(300_000);
        buffer.add(&[7; 300_000]);
        let file = tempfile::tempfile().unwrap();
        let can = fcntl_setfl(&file, OFlags::DIRECT).is_ok();
        fcntl_setfl(&file, OFlags::empty()).unwrap();
        let blocks = if can { 73 * BLOCK } else { 0 };
        assert_eq!(write_blocks(&file, buffer.as_ref()).unwrap(), blocks);
        let few = &buffer.as_ref()[..WORTHWHILE - 1];
        assert_eq!(write_blocks(&file, few).unwrap(), 0);
        assert_eq!(write_blocks(&file, &buffer.as_ref()[1..]).unwrap(), 0, "not aligned");
    }

    #[test]
    fn who_refuses_is_believed() {
        let mut buffer = Buffer::of_piece(WORTHWHILE);
        buffer.add(&[1; WORTHWHILE]);
        let full = File::options().write(true).open("/dev/full").unwrap();
        assert!(write_all(&full, buffer.as_ref()).is_err());
    }
}
