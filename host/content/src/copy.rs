//! Giving files to another library, for a backup.
//!
//! Files are named after their bytes and never change, so both libraries can have the same ones. Must never write
//! outside the other library, whatever a name says.

use std::path::{Component, Path};

use crate::content::NAMES;
use crate::{Content, ContentError};

/// What became of a file that was to be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given {
    /// The other library has it, under its hash and under its readable name.
    Whole,
    /// This library does not have it.
    Missing,
    /// The other library has it under its hash; its readable name is another file's there, or none.
    Unnamed,
}

impl Content {
    /// Gives the file of that hash and size to another library, under the same readable name: linked where the file
    /// system can, else copied. What is there already is left as it is. Blocks on the disk; on the disk for good after
    /// [`Content::sync`] of the other.
    ///
    /// # Errors
    /// [`ContentError::Storage`] when the disk refuses.
    pub fn give(&self, to: &Content, sha256: &str, size: u64, name: &str) -> Result<Given, ContentError> {
        let (Some(from), Some(path)) = (self.blob_path(sha256), to.blob_path(sha256)) else {
            return Ok(Given::Missing);
        };
        if !from.exists() {
            return Ok(Given::Missing);
        }
        to.0.blobs.take_over(&from, &path, size)?;
        match plain(name) {
            Some(name) if to.0.names.give(&path, name)? => Ok(Given::Whole),
            _ => Ok(Given::Unnamed),
        }
    }

    /// Everything that was given is on the disk.
    ///
    /// # Errors
    /// [`ContentError::Storage`] when the disk refuses.
    pub fn sync(&self) -> Result<(), ContentError> {
        self.0.blobs.sync()?;
        self.0.names.sync()
    }
}

/// The name under `files/`, if it is a name there and nowhere else.
fn plain(name: &str) -> Option<&str> {
    let name = name.strip_prefix(NAMES)?.strip_prefix('/')?;
    let mut parts = Path::new(name).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)).then_some(name)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::MetadataExt;

    use sha2::{Digest, Sha256};

    use super::*;
    use crate::blobs::hex;
    use crate::{ContentConfig, NameTemplate};

    fn library() -> (tempfile::TempDir, Content) {
        let dir = tempfile::tempdir().unwrap();
        let content = Content::open(dir.path(), ContentConfig::default(), NameTemplate::default()).unwrap();
        (dir, content)
    }

    fn keep(content: &Content, bytes: &[u8]) -> String {
        let sha256 = hex(&Sha256::digest(bytes));
        let mut file = content.0.blobs.temporary().unwrap();
        file.write_all(bytes).unwrap();
        content.0.blobs.keep(file, &content.blob_path(&sha256).unwrap(), bytes.len() as u64).unwrap();
        sha256
    }

    #[test]
    fn a_file_is_given_with_its_name_and_takes_no_space_where_it_can_be_linked() {
        let ((_from, content), (to, copy)) = (library(), library());
        let sha256 = keep(&content, b"abc");
        for _ in 0..2 {
            assert_eq!(content.give(&copy, &sha256, 3, "files/a.pdf").unwrap(), Given::Whole);
        }
        copy.sync().unwrap();
        copy.verify_blob(&sha256).unwrap();
        assert_eq!(std::fs::read(to.path().join("files/a.pdf")).unwrap(), b"abc");
        let inode = |content: &Content| content.blob_path(&sha256).unwrap().metadata().unwrap().ino();
        assert_eq!(inode(&content), inode(&copy));
    }

    #[test]
    fn a_damaged_file_in_the_copy_is_replaced() {
        let ((_from, content), (_to, copy)) = (library(), library());
        let sha256 = keep(&content, b"abc");
        let path = copy.blob_path(&sha256).unwrap();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, b"ab").unwrap();
        assert_eq!(content.give(&copy, &sha256, 3, "files/a.pdf").unwrap(), Given::Whole);
        copy.verify_blob(&sha256).unwrap();
    }

    #[test]
    fn what_is_missing_is_told_and_no_name_leads_out_of_the_copy() {
        let ((_from, content), (to, copy)) = (library(), library());
        assert_eq!(content.give(&copy, &"0".repeat(64), 3, "files/a.pdf").unwrap(), Given::Missing);
        assert_eq!(content.give(&copy, "../../x", 3, "files/a.pdf").unwrap(), Given::Missing);
        let sha256 = keep(&content, b"abc");
        for name in
            ["files/../../a.pdf", "a.pdf", "/a.pdf", "files//etc", "files/x/a.pdf", "files/..", "files/"]
        {
            assert_eq!(content.give(&copy, &sha256, 3, name).unwrap(), Given::Unnamed, "{name}");
        }
        let other = keep(&content, b"abcd");
        content.give(&copy, &sha256, 3, "files/a.pdf").unwrap();
        assert_eq!(content.give(&copy, &other, 4, "files/a.pdf").unwrap(), Given::Unnamed);
        assert_eq!(std::fs::read_dir(to.path().join("files")).unwrap().count(), 1);
        assert_eq!(std::fs::read(to.path().join("files/a.pdf")).unwrap(), b"abc");
    }
}
