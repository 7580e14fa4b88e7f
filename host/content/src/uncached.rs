//! Writes whose bytes leave the page cache as soon as they are on their way to the disk.
//!
//! What is written once and not read again soon would stay there, drive out what others read, and take memory that is fresh,
//! which costs a virtual machine more than everything else about a file. Must never be the only way, nor tell of success
//! before the system has taken all bytes: what it does not take so, it takes as ever. It is not on the disk for good before a
//! sync, as ever.

use std::fs::File;
use std::io::{IoSlice, Write};

use rustix::io::{Errno, ReadWriteFlags, pwritev2};

/// Fewer bytes do not matter there, and go to the disk with others'.
pub(crate) const WORTHWHILE: usize = 64 << 10;

/// `RWF_DONTCACHE` of `pwritev2(2)`: Linux 6.14, and a file system that knows it.
const DONTCACHE: ReadWriteFlags = ReadWriteFlags::from_bits_retain(0x80);

/// Stands for the file's own position.
const HERE: u64 = u64::MAX;

/// Writes all bytes.
pub(crate) fn write_all(mut file: &File, bytes: &[u8]) -> std::io::Result<()> {
    let written = write_uncached(file, bytes);
    file.write_all(&bytes[written..])
}

/// Writes what the system takes so; returns how many bytes. Why it does not take more, it says when it is asked as ever.
fn write_uncached(file: &File, bytes: &[u8]) -> usize {
    let mut written = 0;
    while bytes.len() >= WORTHWHILE && written < bytes.len() {
        match pwritev2(file, &[IoSlice::new(&bytes[written..])], HERE, DONTCACHE) {
            Ok(0) => break,
            Ok(more) => written += more,
            Err(Errno::INTR) => {}
            Err(_) => break,
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};

    use super::*;

    #[test]
    fn what_is_written_is_what_is_read_whatever_its_length() {
        let shared = std::path::Path::new("/dev/shm");
        for length in [0, 1, WORTHWHILE - 1, WORTHWHILE, WORTHWHILE + 1, 300_000] {
            let bytes: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
            // Also where the system may have no such writes, and behind what was written before.
            for dir in [std::env::temp_dir(), shared.to_owned()].iter().filter(|dir| dir.is_dir()) {
                let mut file = tempfile::tempfile_in(dir).unwrap();
                write_all(&file, b"before").unwrap();
                write_all(&file, &bytes).unwrap();
                assert_eq!(file.stream_position().unwrap(), 6 + length as u64);
                file.rewind().unwrap();
                let mut found = Vec::new();
                file.read_to_end(&mut found).unwrap();
                let is_all = found.strip_prefix(b"before").is_some_and(|found| found == bytes);
                assert!(is_all, "{length} bytes in {}", dir.display());
            }
        }
    }

    #[test]
    fn many_bytes_go_uncached_where_the_file_system_can() {
        let (bytes, file) = (vec![7; 300_000], tempfile::tempfile().unwrap());
        let can = pwritev2(&file, &[IoSlice::new(b"probe")], HERE, DONTCACHE).is_ok();
        assert_eq!(write_uncached(&file, &bytes), if can { bytes.len() } else { 0 });
        assert_eq!(write_uncached(&file, &bytes[..WORTHWHILE - 1]), 0);
    }

    #[test]
    fn who_refuses_is_believed() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        assert!(write_all(&full, &vec![1; WORTHWHILE]).is_err());
    }
}
