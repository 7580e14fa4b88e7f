//! Reading the configuration: which file, in which order, and errors that say which key, where, and what
//! was probably meant.
//!
//! The only place that reads `GLEANER_*` variables.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{Config, Layers};

/// The embedded defaults: the file is the documentation.
pub(crate) const DEFAULTS: &str = include_str!("../../../../config/default.toml");

/// Keys that hold paths.
const PATHS: [&[&str]; 3] = [&["library", "path"], &["plugins", "dirs"], &["egress", "extra-ca-certs"]];

/// A valid configuration and where it came from.
pub(crate) struct Loaded {
    pub(crate) config: Config,
    pub(crate) layers: Layers,
    /// The file that was read, if any.
    pub(crate) file: Option<PathBuf>,
    /// That file as it was just before it was read.
    pub(crate) stamp: Option<Stamp>,
    /// SHA-256 of the effective configuration, first 16 hex digits.
    pub(crate) hash: String,
}

/// What tells that a file has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp {
    path: PathBuf,
    modified: Option<SystemTime>,
    size: u64,
    /// An editor may put another file in its place.
    inode: u64,
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let found = std::fs::metadata(path).ok()?;
        let modified = found.modified().ok();
        Some(Self { path: path.to_owned(), modified, size: found.len(), inode: found.ino() })
    }

    /// The file as it is now; none when it is gone.
    pub(crate) fn again(&self) -> Option<Self> {
        Self::of(&self.path)
    }
}

/// Why there is no valid configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    /// The file is not TOML.
    #[error("{path} is not valid TOML: {source}")]
    Toml { path: String, source: toml::de::Error },
    /// A value is wrong.
    #[error("{key} ({origin}): {problem}{hint}")]
    Value { key: String, origin: String, problem: String, hint: String },
}

/// Merges defaults, file, environment and `flags`, in this order.
pub(crate) fn load(
    explicit: Option<&Path>,
    library: Option<&Path>,
    flags: impl FnOnce(&mut Layers),
) -> Result<Loaded, ConfigError> {
    let mut layers = Layers::default();
    add(&mut layers, DEFAULTS, "default")?;
    let file = match explicit {
        Some(path) => Some(path.to_owned()),
        None => candidates(library, &mut layers).into_iter().find(|path| path.is_file()),
    };
    let stamp = file.as_deref().and_then(Stamp::of);
    if let Some(path) = &file {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.clone(), source })?;
        let name = path.display().to_string();
        add(&mut layers, &text, &name)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        layers.rebase_paths(&PATHS, folder, &name);
    }
    warn_of_misspelt(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()));
    layers.add_environment(
        std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))),
    );
    flags(&mut layers);
    let config = read(&layers)?;
    let hash = fingerprint(&layers);
    Ok(Loaded { config, layers, file, stamp, hash })
}

fn add(layers: &mut Layers, text: &str, origin: &str) -> Result<(), ConfigError> {
    layers.add_toml(text, origin).map_err(|source| ConfigError::Toml { path: origin.to_owned(), source })
}

/// Beside the library, then in the user's configuration directory (XDG base directories).
fn candidates(library: Option<&Path>, layers: &mut Layers) -> Vec<PathBuf> {
    // A file beside the library cannot say where the library is, but a variable can.
    let variable = std::env::var_os("GLEANER_LIBRARY__PATH").map(PathBuf::from);
    let default = || layers.text(&["library", "path"]).map(PathBuf::from);
    let library = library.map(Path::to_owned).or(variable).or_else(default);
    let beside = library.map(|path| path.parent().unwrap_or(Path::new("")).join("gleaner.toml"));
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".config"));
    let user = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).or(home);
    beside.into_iter().chain(user.map(|dir| dir.join("gleaner/gleaner.toml"))).collect()
}

fn read(layers: &Layers) -> Result<Config, ConfigError> {
    serde_path_to_error::deserialize(layers.merged().clone()).map_err(|error| {
        let mut key = error.path().to_string();
        let problem = error.inner().message().to_owned();
        let (unknown, hint) = match unknown_field(&problem) {
            Some((unknown, hint)) => (Some(unknown), hint),
            None => (None, String::new()),
        };
        if let Some(unknown) = unknown
            && !key.ends_with(&unknown)
        {
            key = if key == "." { unknown } else { format!("{key}.{unknown}") };
        }
        // A check over several keys names the one that is wrong.
        if let Some(named) = problem.split_whitespace().next().filter(|word| layers.has(word)) {
            key = named.to_owned();
        }
        let origin = layers.origin(&key).to_owned();
        ConfigError::Value { key, origin, problem: in_plain_words(&problem), hint }
    })
}

/// The field that serde did not know, and which it may have been.
fn unknown_field(problem: &str) -> Option<(String, String)> {
    let mut names = problem.strip_prefix("unknown field ")?.split('`').skip(1).step_by(2);
    let unknown = names.next()?.to_owned();
    let nearest = names
        .map(|known| (strsim::damerau_levenshtein(&unknown, known), known))
        .min()
        .filter(|(distance, known)| *distance <= known.len().max(unknown.len()) / 2);
    Some((unknown, nearest.map_or(String::new(), |(_, known)| format!("; did you mean {known:?}?"))))
}

/// The first line, without the names that Rust has for numbers.
fn in_plain_words(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().trim();
    ["u8", "u16", "u32", "u64", "usize"].iter().fold(line.to_owned(), |line, number| {
        line.replace(&format!("a nonzero {number}"), "a whole number from 1 on")
            .replace(&format!("expected {number}"), "expected a whole number")
    })
}

/// Variables of ours that are not settings.
const OTHER_VARIABLES: [&str; 4] = ["GLEANER_CONTACT", "GLEANER_LOG", "GLEANER_LOG_FORMAT", "GLEANER_FAULT"];

/// A misspelt variable would be ignored without a word.
fn warn_of_misspelt(variables: impl Iterator<Item = String>) {
    for name in variables.filter(|name| name.starts_with("GLEANER_") && !name.contains("__")) {
        let near =
            OTHER_VARIABLES.iter().find(|known| (1..=2).contains(&strsim::damerau_levenshtein(&name, known)));
        if let Some(known) = near {
            tracing::warn!(
                "the environment variable {name} is not one of ours and is ignored; is {known} meant?"
            );
        }
    }
}

fn fingerprint(layers: &Layers) -> String {
    use sha2::Digest;
    let text = format!("{}\n{}", env!("CARGO_PKG_VERSION"), layers.merged());
    sha2::Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_with(text: &str) -> Result<Config, ConfigError> {
        let mut layers = Layers::default();
        add(&mut layers, DEFAULTS, "default")?;
        add(&mut layers, text, "my.toml")?;
        read(&layers)
    }

    #[test]
    fn the_defaults_are_valid() {
        let config = read_with("").unwrap();
        assert_eq!(config.orchestrator.workers.get(), 8);
        assert_eq!(
            config
                .limits
                .limit(&gleaner_model::key::Key::parse("host:x.example").unwrap())
                .unwrap()
                .concurrency
                .get(),
            4
        );
    }

    #[test]
    fn wrong_values_are_named_with_their_place_and_what_to_do() {
        for (text, parts) in [
            (
                "[orchestrator]\nwokers = 3\n",
                &["orchestrator.wokers", "my.toml:2", "did you mean \"workers\""][..],
            ),
            ("[orchestrator]\nworkers = 0\n", &["orchestrator", "1 to 256"]),
            ("[orchestrator]\nheartbeat = \"1s\"\n", &["heartbeat", "at least 5s"]),
            ("contact = \"nobody\"\n", &["contact", "my.toml:1", "e-mail"]),
            ("[limits]\ndefault-host = { concurrency = 0 }\n", &["limits", "default-host"]),
            ("[egress]\ntimeout = 30\n", &["egress.timeout", "my.toml:2"]),
            ("[egress]\ntimeout = \"soon\"\n", &["egress.timeout", "30s"]),
            (
                "[tiers]\nlist = [{ name = \"a\", resolvers = [], width = 2 }]\n",
                &["tiers.list", "width must be 1"],
            ),
            (
                "[resolvers.unpaywall]\nenable = true\n",
                &["resolvers.unpaywall.enable", "did you mean \"enabled\""],
            ),
            ("[library]\nname-template = \"{titel}\"\n", &["library.name-template", "titel"]),
            ("nonsense = 1\n", &["nonsense", "my.toml:1"]),
            ("[limits.hosts]\n\"a.org\" = { rate = \"5\" }\n", &["my.toml:2", "5/s"]),
            ("[orchestrator]\ngrace = 5\n", &["orchestrator.grace", "my.toml:2", "30s"]),
            ("[orchestrator]\nworkers = \"many\"\n", &["my.toml:2", "a whole number"]),
            ("[orchestrator]\nheartbeat = \"30s\"\nworkers = 500\n", &["orchestrator.workers (my.toml:3)"]),
            ("[libary]\npath = \"x\"\n", &["libary (my.toml:1)", "did you mean \"library\""]),
        ] {
            let message = read_with(text).unwrap_err().to_string();
            for part in parts {
                assert!(message.contains(part), "{text}: {message}");
            }
        }
    }

    #[test]
    fn broken_toml_is_named_with_its_file() {
        let message = read_with("[egress\n").unwrap_err().to_string();
        assert!(message.contains("my.toml is not valid TOML"), "{message}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        /// A default configuration with some bytes changed is read, or refused with a message: never a panic.
        #[test]
        fn a_garbled_configuration_is_read_or_refused(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<char>()), 1..6)) {
            let mut text: Vec<char> = DEFAULTS.chars().collect();
            for (at, with) in changes {
                let at = at.index(text.len());
                text[at] = with;
            }
            let text: String = text.into_iter().collect();
            if let Err(error) = read_with(&text) {
                prop_assert!(!error.to_string().is_empty());
            }
        }
    }
}
