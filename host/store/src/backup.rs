//! A copy of the database while others work on it.
//!
//! Must never show a copy under its name before it is whole and on the disk.

use std::fs::File;
use std::path::Path;

use crate::error::StoreError;
use crate::{Library, sql};

impl Library {
    /// Writes a copy of `library.db` as it is now to `to`, which must not exist; others go on meanwhile. The log
    /// of writes grows until it is done. The copy has no unused space, and names the files of that moment.
    ///
    /// # Errors
    /// When `to` exists or cannot be written, or the read fails.
    pub async fn backup(&self, to: &Path) -> Result<(), StoreError> {
        if to.exists() {
            let detail = "it exists already; name another".to_owned();
            return Err(StoreError::Io { action: "write the copy", path: to.to_owned(), detail });
        }
        let partial = to.with_extension("partial");
        let text = partial.to_string_lossy().into_owned();
        let refused = |error: std::io::Error| StoreError::io("write the copy", to, &error);
        match std::fs::remove_file(&partial) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(refused(error)),
            _ => {}
        }
        self.copy_into(text).await?;
        File::open(&partial).and_then(|file| file.sync_all()).map_err(refused)?;
        std::fs::rename(&partial, to).map_err(refused)?;
        let folder = to.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|dir| dir.sync_all()).map_err(refused)
    }

    async fn copy_into(&self, path: String) -> Result<(), StoreError> {
        self.read_alone(move |connection| {
            connection.prepare_cached(sql::BACKUP)?.execute([path])?;
            Ok(())
        })
        .await
    }
}
