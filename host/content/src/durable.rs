//! What it takes for bytes and names to be on the disk: one file, one directory, or many files at once.
//!
//! Must never take a file for durable when the system did not say so, or could not have said otherwise.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::LazyLock;

use gleaner_model::fault;
use tempfile::NamedTempFile;

use crate::{ContentError, ErrorContext};

/// File systems that write back through the page cache of their own files, so that a failure to do so is told to whoever
/// syncs them: ext2 to ext4, XFS, Btrfs. One that lies over another, or on another machine, may not be told.
const LOCAL: [i128; 3] = [0xEF53, 0x5846_5342, 0x9123_683E];

/// `syncfs` tells of such failures from this version of Linux on.
const TELLS: (u32, u32) = (5, 8);

static KERNEL_TELLS: LazyLock<bool> = LazyLock::new(|| {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease");
    release.is_ok_and(|release| version(&release).is_some_and(|version| version >= TELLS))
});

/// A file system that can be synced whole.
#[derive(Debug)]
pub(crate) struct FileSystem(
    /// Open as long as the library is: what fails meanwhile, `syncfs` on this descriptor tells. None where it would not.
    Option<File>,
);

impl FileSystem {
    /// The one that the directory is on.
    pub(crate) fn of(dir: &Path) -> Self {
        let open = || {
            let dir = File::open(dir).ok()?;
            // How wide the number is depends on the machine.
            let kind = i128::from(rustix::fs::fstatfs(&dir).ok()?.f_type) & 0xffff_ffff;
            LOCAL.contains(&kind).then_some(dir)
        };
        Self(if *KERNEL_TELLS { open() } else { None })
    }

    /// One that cannot.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// Whether all that was written before is now on the disk. If not, each file has to be synced by itself, which says
    /// of which it is not true: another's failure is told here too. Other programs' files are waited for as well.
    pub(crate) fn sync(&self) -> bool {
        self.0.as_ref().is_some_and(|dir| rustix::fs::syncfs(dir).is_ok())
    }
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Nobody writes the file by mistake through a readable name.
pub(crate) fn protect(file: &NamedTempFile) -> Result<(), ContentError> {
    let file_itself = file.as_file();
    let mode = file_itself.metadata().context("protect", file.path())?.permissions().mode() & 0o444;
    file_itself.set_permissions(Permissions::from_mode(mode)).context("protect", file.path())
}

/// The bytes are on the disk.
pub(crate) fn sync_file(file: &NamedTempFile) -> Result<(), ContentError> {
    fault::point("blob.written");
    file.as_file().sync_all().context("write", file.path())?;
    fault::point("blob.synced");
    Ok(())
}

/// The names in the directory are on the disk.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), ContentError> {
    File::open(dir).and_then(|dir| dir.sync_all()).context("write", dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_kernels_write_them() {
        for (release, expected) in [
            ("5.8.0\n", Some((5, 8))),
            ("6.18.44-generic", Some((6, 18))),
            ("4.19-rc1", Some((4, 19))),
            ("5", None),
            ("", None),
            ("x.y", None),
        ] {
            assert_eq!(version(release), expected, "{release:?}");
        }
    }

    #[test]
    fn what_does_not_tell_of_failures_is_not_synced_whole() {
        assert!(!FileSystem::of(Path::new("/proc")).sync());
        assert!(!FileSystem::of(Path::new("/is/not/there")).sync());
        assert!(!FileSystem::none().sync());
    }
}
