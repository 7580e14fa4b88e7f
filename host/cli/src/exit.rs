//! The exit codes of `gleaner`: a contract with scripts.
//!
//! Every way out of the program goes through [`Exit`]; nothing else names a number.

use std::fmt;

use crate::config::ConfigError;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// All well; works without an open copy are well.
    Well = 0,
    /// Some jobs failed, or lines of the input were broken.
    SomeFailed = 1,
    /// The command line is not understood. (clap ends with the same number.)
    Usage = 2,
    /// The configuration or a plugin that was named is not usable.
    Configuration = 3,
    /// The library cannot be read or written.
    Storage = 4,
    /// Interrupted by SIGINT (128 + 2).
    Interrupted = 130,
}

/// A message for the user and the exit code that goes with it.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) exit: Exit,
    pub(crate) error: anyhow::Error,
}

impl Failed {
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self { exit: Exit::Usage, error: anyhow::anyhow!("{message}") }
    }

    pub(crate) fn configuration(message: impl fmt::Display) -> Self {
        Self { exit: Exit::Configuration, error: anyhow::anyhow!("{message}") }
    }
}

macro_rules! exits_with {
    ($($error:ty => $exit:ident),+ $(,)?) => {$(
        impl From<$error> for Failed {
            fn from(error: $error) -> Self {
                Self { exit: Exit::$exit, error: error.into() }
            }
        }
    )+};
}

exits_with! {
    ConfigError => Configuration,
    gleaner_runtime::RuntimeError => Configuration,
    gleaner_runtime::LoadError => Configuration,
    gleaner_egress::EgressError => Configuration,
    gleaner_content::ContentError => Storage,
    gleaner_store::StoreError => Storage,
    gleaner_orchestrator::RunError => Storage,
    gleaner_serve::ServeError => Configuration,
    gleaner_cassette::CassetteError => Usage,
    std::io::Error => SomeFailed,
}
