//! Whether the library's disk has room for more.
//!
//! Must never refuse a download because the question itself failed: the disk will say so when it is written to.

use std::path::Path;
use std::time::Duration;

use gleaner_model::units::ByteSize;

use crate::Content;

/// Why downloads pause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoSpace {
    /// Bytes free for this user.
    pub free: u64,
    /// `content.free-space`, in bytes.
    pub floor: u64,
}

impl NoSpace {
    /// When it is worth looking again.
    pub const AGAIN: Duration = Duration::from_secs(30);
}

impl std::fmt::Display for NoSpace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (free, floor) = (self.free, ByteSize(self.floor));
        write!(
            f,
            "downloads pause: {free} bytes are free on the library's disk, content.free-space is {floor}; make room, \
             or lower it"
        )
    }
}

impl Content {
    /// Why no download should begin now, if so. One system call that does not wait for the disk.
    pub fn no_space(&self) -> Option<NoSpace> {
        let floor = self.0.config.free_space();
        let free = free_bytes(&self.0.blobs.dir)?;
        (free < floor).then_some(NoSpace { free, floor })
    }
}

fn free_bytes(dir: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(dir).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ContentConfig, NameTemplate};

    #[test]
    fn a_disk_below_the_floor_has_no_space_and_any_has_it_without_a_floor() {
        for (floor, is_short) in [("0", false), ("1000000000GiB", true)] {
            let dir = tempfile::tempdir().unwrap();
            let config: ContentConfig = toml::from_str(&format!("free-space = \"{floor}\"")).unwrap();
            let content = Content::open(dir.path(), config, NameTemplate::default()).unwrap();
            let short = content.no_space();
            assert_eq!(short.is_some(), is_short, "{short:?}");
            assert!(short.is_none_or(|short| short.to_string().contains("content.free-space is")));
        }
    }
}
