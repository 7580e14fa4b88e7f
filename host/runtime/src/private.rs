//! A directory that nobody else can change, for what is run as native code.
//!
//! Must never take over a directory that others could write to so far: what lies in it may be theirs.

use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

/// May write: the group, everybody.
const OTHERS_WRITE: u32 = 0o022;
/// In such a directory everybody may add names, and remove only their own: `/tmp`.
const STICKY: u32 = 0o1000;

/// Why a directory is not trusted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Distrust {
    /// It cannot be made or read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A link can be made to lead elsewhere.
    #[error("it is a symbolic link; name the directory that it leads to")]
    Link,
    /// Something else has its name.
    #[error("it is not a directory")]
    NotADirectory,
    /// Another user's.
    #[error("{} belongs to user {owner}, not to the one who runs this", path.display())]
    Owner {
        /// It, or a directory above it.
        path: PathBuf,
        /// The user's number.
        owner: u32,
    },
    /// Others may write to it, so they may have.
    #[error("others may write to it, so what lies in it may be theirs; remove it, it is made anew")]
    Writable,
    /// Others may put another directory in its place.
    #[error("others may write to {}, which it is in", path.display())]
    WritableAbove {
        /// The directory above it.
        path: PathBuf,
    },
}

/// Makes the directory where it is missing, with mode 0700, and returns its real path.
pub(crate) fn open(path: &Path) -> Result<PathBuf, Distrust> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| if path.exists() { Distrust::NotADirectory } else { error.into() })?;
    if path.symlink_metadata()?.is_symlink() {
        return Err(Distrust::Link);
    }
    let real = path.canonicalize()?;
    let own = fs::metadata(&real)?;
    check_owner(&real, &own, false)?;
    if own.mode() & OTHERS_WRITE != 0 {
        return Err(Distrust::Writable);
    }
    for above in real.ancestors().skip(1) {
        let found = fs::metadata(above)?;
        check_owner(above, &found, true)?;
        if found.mode() & OTHERS_WRITE != 0 && found.mode() & STICKY == 0 {
            return Err(Distrust::WritableAbove { path: above.to_owned() });
        }
    }
    // Now that it is known to be ours, nobody else needs to read it either.
    fs::set_permissions(&real, Permissions::from_mode(0o700))?;
    Ok(real)
}

/// Whether compiled plugins can be kept there; makes it if it is missing. The error says why not.
///
/// # Errors
/// When somebody else could change what lies there, or it cannot be made.
pub fn check(path: &Path) -> Result<(), String> {
    open(path).map(drop).map_err(|why| why.to_string())
}

fn check_owner(path: &Path, found: &Metadata, may_be_root: bool) -> Result<(), Distrust> {
    let is_trusted = found.uid() == geteuid().as_raw() || may_be_root && found.uid() == 0;
    is_trusted.then_some(()).ok_or_else(|| Distrust::Owner { path: path.to_owned(), owner: found.uid() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn it_is_made_private_with_what_is_above_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = open(&dir.path().join("a/b")).unwrap();
        assert_eq!((mode(&path), mode(&dir.path().join("a"))), (0o700, 0o700));
        chmod(&path, 0o755);
        open(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
    }

    #[test]
    fn what_others_can_change_is_refused_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        fs::create_dir_all(&path).unwrap();
        for writable in [0o777, 0o770, 0o702, 0o1777] {
            chmod(&path, writable);
            assert!(matches!(open(&path), Err(Distrust::Writable)), "{writable:o}");
            assert_eq!(mode(&path), writable);
        }
        chmod(&path, 0o700);
        chmod(&dir.path().join("a"), 0o777);
        assert!(matches!(open(&path), Err(Distrust::WritableAbove { path: above }) if above.ends_with("a")));
        chmod(&dir.path().join("a"), 0o1777);
        assert!(open(&path).is_ok(), "in a directory like /tmp others cannot replace it");
    }

    #[test]
    fn links_and_files_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("real")).unwrap();
        std::os::unix::fs::symlink("real", dir.path().join("link")).unwrap();
        assert!(matches!(open(&dir.path().join("link")), Err(Distrust::Link)));
        fs::write(dir.path().join("file"), "").unwrap();
        assert!(matches!(open(&dir.path().join("file")), Err(Distrust::NotADirectory)));
        assert!(open(&dir.path().join("file/below")).is_err());
    }

    #[test]
    fn a_directory_of_another_user_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::create_dir(&path).unwrap();
        if std::os::unix::fs::chown(&path, Some(geteuid().as_raw() + 1), None).is_ok() {
            assert!(matches!(open(&path), Err(Distrust::Owner { .. })));
            let below = path.join("b");
            fs::create_dir(&below).unwrap();
            assert!(matches!(open(&below), Err(Distrust::Owner { path: owned, .. }) if owned == path));
        } else {
            // Only root can give a directory away; everybody can look at one of root's.
            assert!(matches!(open(Path::new("/usr")), Err(Distrust::Owner { .. })));
        }
    }
}
