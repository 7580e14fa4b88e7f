//! Secrets that stand in files: `[secrets] NAME = { file = "..." }`.
//!
//! Must never show a value, nor take one from a file that others can read or change.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde::Deserialize;

use crate::small_file;

/// The most that a secret may have, in bytes.
const MOST: u64 = 16 << 10;
/// Others may read or write, the group may write.
const TOO_OPEN: u32 = 0o026;

/// Where a secret stands.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SecretConfig {
    /// The file; its text, without the line's end, is the secret.
    pub file: PathBuf,
}

impl SecretConfig {
    /// Reads it, as it is now. The error names the file, and what is wrong with it.
    pub fn read(&self) -> Result<String, String> {
        let file = self.file.display();
        let (text, meta) =
            small_file::read(&self.file, MOST).map_err(|error| format!("cannot read {file}: {error}"))?;
        if meta.permissions().mode() & TOO_OPEN != 0 {
            return Err(format!("others can read or change {file}; run `chmod 600 {file}`"));
        }
        let secret = text.strip_suffix('\n').unwrap_or(&text);
        let secret = secret.strip_suffix('\r').unwrap_or(secret);
        match secret {
            "" => Err(format!("{file} is empty; write the secret into it")),
            secret if secret.contains(char::is_control) => {
                Err(format!("{file} has more than one line; write the secret alone into it"))
            }
            secret => Ok(secret.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_a_secret_or_refused_without_its_text() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        let config = SecretConfig { file: file.clone() };
        assert!(config.read().unwrap_err().contains("cannot read"));
        for (text, mode, read) in [
            ("sesame\n", 0o600, Ok("sesame")),
            ("sesame\r\n", 0o440, Ok("sesame")),
            (" with spaces ", 0o400, Ok(" with spaces ")),
            ("sesame", 0o644, Err("others can read")),
            ("sesame", 0o620, Err("others can read or change")),
            ("\n", 0o600, Err("is empty")),
            ("sesame\nopen\n", 0o600, Err("more than one line")),
        ] {
            std::fs::write(&file, text).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            match (config.read(), read) {
                (Ok(value), Ok(secret)) => assert_eq!(value, secret),
                (Err(problem), Err(part)) => {
                    assert!(problem.contains(part) && !problem.contains("sesame"), "{problem}");
                }
                (is, _) => panic!("{text:?} {mode:o}: {is:?}"),
            }
        }
        std::fs::write(&file, vec![b'x'; 17 << 10]).unwrap();
        assert!(config.read().unwrap_err().contains("larger than 16384 bytes"));
        let config = SecretConfig { file: dir.path().to_owned() };
        assert!(config.read().unwrap_err().contains("no regular file"));
    }
}
