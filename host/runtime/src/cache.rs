//! The private directory of compiled components, and of what plugins said of themselves.
//!
//! What lies there is run as native code: it must never be writable by anyone else.

use std::fs;
use std::io::{Error, ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::answer::Description;
use crate::error::RuntimeError;

/// An open cache directory.
#[derive(Debug, Clone)]
pub(crate) struct CacheDir(PathBuf);

impl CacheDir {
    /// Creates the directory where it is missing and makes it private.
    pub(crate) fn open(path: &Path) -> Result<Self, RuntimeError> {
        private(path)
            .and_then(|path| private(&path.join("describe")).map(|_| Self(path)))
            .map_err(|cause| RuntimeError::Cache { path: path.to_owned(), cause: cause.to_string() })
    }

    /// wasmtime's part of it.
    pub(crate) fn compiled(&self) -> Result<wasmtime::Cache, RuntimeError> {
        let mut config = wasmtime::CacheConfig::new();
        config.with_directory(self.0.join("compiled"));
        let wrong = |cause: wasmtime::Error| RuntimeError::Cache {
            path: self.0.clone(),
            cause: format!("{cause:#}"),
        };
        wasmtime::Cache::new(config).map_err(wrong)
    }

    /// What the file with that digest said of itself when it was asked.
    pub(crate) fn description(&self, sha256: &str) -> Option<Description> {
        serde_json::from_slice(&fs::read(self.describe_file(sha256)).ok()?).ok()
    }

    /// Keeps what it said. A failure costs only time later and is logged.
    pub(crate) fn keep_description(&self, sha256: &str, description: &Description) {
        let file = self.describe_file(sha256);
        // Renamed into place: another process may read at the same time.
        let written = serde_json::to_vec(description).map_err(Error::from).and_then(|json| {
            let part = file.with_extension(format!("{}.part", std::process::id()));
            fs::File::create(&part)?.write_all(&json)?;
            fs::rename(part, &file)
        });
        if let Err(error) = written {
            tracing::warn!(file = %file.display(), %error, "a plugin's description was not cached");
        }
    }

    fn describe_file(&self, sha256: &str) -> PathBuf {
        self.0.join("describe").join(format!("{sha256}.json"))
    }
}

/// The directory's absolute path, existing and with mode 0700. Only its owner can set the mode, so this
/// fails for a directory of someone else.
fn private(path: &Path) -> Result<PathBuf, Error> {
    fs::create_dir_all(path)?;
    let path = path.canonicalize()?;
    if !path.is_dir() {
        return Err(Error::new(ErrorKind::NotADirectory, "it is not a directory"));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700))?;
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_is_private_and_descriptions_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let cache = CacheDir::open(&dir.path().join("a/b")).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(dir.path().join("a/b")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700);
        }
        assert!(cache.description("00").is_none());
        cache.keep_description("00", &Description { name: "x".into(), ..Description::default() });
        assert_eq!(cache.description("00").unwrap().name, "x");
        fs::write(cache.describe_file("00"), "{").unwrap();
        assert!(cache.description("00").is_none());
    }

    #[test]
    fn a_file_in_its_place_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let message = CacheDir::open(file.path()).unwrap_err().to_string();
        assert!(message.contains(&file.path().display().to_string()), "{message}");
    }
}
