//! Small files that others may have laid there: settings beside a plugin, secrets.
//!
//! Must never wait for one that never ends, nor take in more than was meant: a pipe, a device or a huge file is refused.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// The text of a file of at most `most` bytes, with what the system says of it. Links are followed.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<(String, Metadata)> {
    // A pipe that nobody writes to must not hold the opening up.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::other(format!("it is larger than {most} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8 text"))?;
    Ok((text, meta))
}
