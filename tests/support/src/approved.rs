//! Messages as a person read and approved them: `messages.txt` beside a crate's manifest.
//!
//! A block is a label and, indented, what is said. `cargo xtask check` wants a block for each variant of each error
//! type, and finds it by its label; so a label must never be made of anything but the type and the variant.

use std::fmt::{Display, Write};
use std::path::Path;

/// The messages of one crate, in the order in which they were added.
#[derive(Debug, Default)]
pub struct Messages {
    text: String,
}

impl Messages {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What an error says, under the name of its type and variant.
    pub fn error<E: std::error::Error>(&mut self, error: &E) {
        let path = std::any::type_name::<E>();
        let name = path.split('<').next().unwrap_or(path).rsplit("::").next().unwrap_or(path);
        let debug = format!("{error:?}");
        let variant = debug.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or_default();
        let label = if variant == name { name.to_owned() } else { format!("{name}::{variant}") };
        self.text(&label, error);
    }

    /// What is said by something that is no error type; the label says when.
    pub fn text(&mut self, label: &str, said: impl Display) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{label}");
        for line in said.to_string().lines() {
            let _ = writeln!(self.text, "  {line}");
        }
        self.text.push('\n');
    }

    /// Compares with `messages.txt` in this folder (`env!("CARGO_MANIFEST_DIR")`). `GLEANER_UPDATE=1` approves what
    /// is said now; read the difference as a user would.
    ///
    /// # Panics
    /// When something else is said than was approved.
    pub fn assert_approved(&self, folder: &str) {
        let path = Path::new(folder).join("messages.txt");
        if std::env::var_os("GLEANER_UPDATE").is_some() {
            let written = std::fs::write(&path, self.text.trim_end().to_owned() + "\n");
            assert!(written.is_ok(), "cannot write {}: {written:?}", path.display());
        }
        let approved = std::fs::read_to_string(&path).unwrap_or_default();
        let (mut now, mut then) = (self.text.trim_end().split("\n\n"), approved.trim_end().split("\n\n"));
        loop {
            let (now, then) = (now.next(), then.next());
            assert_eq!(now, then, "{}: GLEANER_UPDATE=1 approves it", path.display());
            if now.is_none() {
                return;
            }
        }
    }
}
