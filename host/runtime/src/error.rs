//! What can go wrong before a plugin is called: the engine, and files that are no plugin for this host.
//!
//! Every message says what the file is and what to do about it. What goes wrong in a call is a
//! `gleaner_model::reason::Failure`, never one of these.

use std::path::PathBuf;

use gleaner_model::reason::Failure;

/// The runtime cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// wasmtime refuses this machine or this configuration.
    #[error("the wasm engine does not start on this machine: {0}; without it no resolver runs")]
    Engine(String),
}

/// A file that is not a plugin for this host.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read.
    #[error("cannot be read: {0}; check its permissions, or take it away")]
    Read(#[from] std::io::Error),
    /// A directory or a device, not a file.
    #[error("is not a regular file; a plugin is one .wasm file")]
    NotAFile,
    /// Over the size cap.
    #[error(
        "has {size} bytes, and the largest plugin has {most}; strip it (`wasm-tools strip`), or build it for size"
    )]
    TooLarge {
        /// Of the file, in bytes.
        size: u64,
        /// The cap, in bytes.
        most: u64,
    },
    /// Not a component, whatever else it is.
    #[error("is {what}; {todo}")]
    NotAComponent {
        /// What it is.
        what: String,
        /// What to do.
        todo: &'static str,
    },
    /// A component of another world.
    #[error(
        "is a component, but no resolver: it does not export gleaner:resolver/resolver (it exports {exports}); build it against the world gleaner:resolver/resolver-plugin"
    )]
    OtherWorld {
        /// What it exports instead.
        exports: String,
    },
    /// A resolver for another version of the interface.
    #[error("built for {package} {theirs}, this host speaks {ours}; {todo}")]
    OtherVersion {
        /// Which interface: what every resolver exports, or what it may export beside that.
        package: &'static str,
        /// What it was built for.
        theirs: String,
        /// What this host has.
        ours: &'static str,
        /// Whether to update the plugin or the host.
        todo: &'static str,
    },
    /// Imports that nobody provides.
    #[error("imports what this host does not provide: {imports}; a resolver may import gleaner:resolver@{ours} and WASI 0.2", imports = imports.join(", "))]
    UnknownImports {
        /// Their names.
        imports: Vec<String>,
        /// What this host has.
        ours: &'static str,
    },
    /// The parts do not fit, though their names do.
    #[error(
        "does not fit the interface gleaner:resolver@{ours}: {cause}; rebuild it against the released package"
    )]
    Mismatch {
        /// What this host has.
        ours: &'static str,
        /// What wasmtime said.
        cause: String,
    },
    /// It is not valid, or needs more tables, memories or instances than one call has.
    #[error("does not compile: {0}; build it again, with fewer wasm features if it is about one of them")]
    Compile(String),
    /// It did not describe itself.
    #[error("failed to describe itself ({}): {}; get another version of it, or tell its author", .0.reason, .0.detail)]
    Describe(Failure),
    /// It described itself with something that cannot be.
    #[error("describes itself wrongly: {0}; get another version of it, or tell its author")]
    Info(String),
    /// Two files with one name; the other one counts.
    #[error("is named {name:?} like {}, which comes first; remove one of them", other.display())]
    Duplicate {
        /// The resolver's name in both.
        name: String,
        /// The file that is used.
        other: PathBuf,
    },
    /// It was written to while it was read.
    #[error("changed while it was read; it is loaded once it stays as it is")]
    Unsettled,
    /// The host's own doing: cancelled, or out of threads.
    #[error("was not loaded, for no fault of its own: {0}; try again")]
    Host(String),
}

impl LoadError {
    /// Which of the checks at load it did not pass: `file`, `component`, `compile`, `world`, `interface`, `describe` or
    /// `name`, in this order; none when it is the host's fault.
    pub fn check(&self) -> Option<&'static str> {
        Some(match self {
            Self::Read(_) | Self::NotAFile | Self::TooLarge { .. } | Self::Unsettled => "file",
            Self::NotAComponent { .. } => "component",
            Self::Compile(_) => "compile",
            Self::OtherWorld { .. } => "world",
            Self::OtherVersion { .. } | Self::UnknownImports { .. } | Self::Mismatch { .. } => "interface",
            Self::Describe(_) | Self::Info(_) => "describe",
            Self::Duplicate { .. } => "name",
            Self::Host(_) => return None,
        })
    }
}
