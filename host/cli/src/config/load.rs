//! Reading the configuration: which file, in which order, and errors that say which key, where, and what
//! was probably meant.
//!
//! The only place that reads `GLEANER_*` variables.

use std::path::{Path, PathBuf};

use super::{Config, Layers};

/// The embedded defaults: the file is the documentation.
pub(crate) const DEFAULTS: &str = include_str!("../../../../config/default.toml");

/// Keys that hold paths.
const PATHS: [&[&str]; 3] = [&["library", "path"], &["plugins", "dirs"], &["egress", "extra-ca-certs"]];

/// A valid configuration and where it came from.
#[derive(Clone)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    pub(crate) layers: Layers,
    /// The file that was read, if any.
    pub(crate) file: Option<PathBuf>,
    /// The files that would be read, the first one that is there.
    pub(crate) candidates: Vec<PathBuf>,
    /// SHA-256 of the effective configuration, first 16 hex digits.
    pub(crate) hash: String,
}

/// Why there is no valid configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {path}: {source}; --config names another")]
    Read { path: PathBuf, source: std::io::Error },
    /// The file is not TOML.
    #[error("{path} is not valid TOML: {source}")]
    Toml { path: String, source: toml::de::Error },
    /// A value is wrong.
    #[error("{key} ({origin}): {problem}{hint}")]
    Value { key: String, origin: String, problem: String, hint: String },
}

/// Merges defaults, file, environment and `flags`, in this order. `instead` is a file with a text to take for its own,
/// to see what would come of it.
pub(crate) fn load(
    explicit: Option<&Path>,
    library: Option<&Path>,
    instead: Option<(&Path, &str)>,
    flags: impl FnOnce(&mut Layers),
) -> Result<Loaded, ConfigError> {
    let mut layers = Layers::default();
    add(&mut layers, DEFAULTS, "default")?;
    let (file, candidates) = match explicit {
        Some(path) => (Some(path.to_owned()), vec![path.to_owned()]),
        None => {
            let candidates = candidates(library, &mut layers);
            let stands = |path: &&PathBuf| path.is_file() || instead.is_some_and(|(file, _)| file == *path);
            (candidates.iter().find(stands).cloned(), candidates)
        }
    };
    if let Some(path) = &file {
        let text = match instead {
            Some((file, text)) if file == path => text.to_owned(),
            _ => std::fs::read_to_string(path)
                .map_err(|source| ConfigError::Read { path: path.clone(), source })?,
        };
        let name = path.display().to_string();
        add(&mut layers, &text, &name)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        layers.rebase_paths(&PATHS, folder, &name);
        let secrets = layers.names_in("secrets");
        for secret in &secrets {
            layers.rebase_paths(&[&["secrets", secret, "file"]], folder, &name);
        }
    }
    warn_of_misspelt(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()));
    layers.add_environment(
        std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))),
    );
    flags(&mut layers);
    let config = read(&layers)?;
    let hash = fingerprint(&layers);
    Ok(Loaded { config, layers, file, candidates, hash })
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

    /// What benchmarks and tests of the runtime take for granted.
    #[test]
    fn the_default_sandbox_of_the_runtime_is_that_of_the_defaults() {
        let plugins = read_with("").unwrap().plugins;
        assert_eq!(plugins.sandbox, gleaner_runtime::Sandbox::default());
        let own =
            "[plugins]\nsandbox = { requests = 7 }\n[resolvers.direct]\nsandbox = { memory = \"1MiB\" }\n";
        let config = read_with(own).unwrap();
        let part = config.resolvers[&ResolverName::new("direct").unwrap()].sandbox.unwrap();
        let both = config.plugins.sandbox.with(&part);
        assert_eq!((both.requests, both.memory.0, both.cpu), (7, 1 << 20, plugins.sandbox.cpu));
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
            ("[plugins]\nsandbox = { reuse = 0 }\n", &["plugins.sandbox.reuse", "a whole number from 1 on"]),
            ("[plugins.suspend]\npause = \"0s\"\n", &["plugins.suspend.pause", "more than 0"]),
            ("[resolvers.x]\nsandbox = { response = 5 }\n", &["resolvers.x.sandbox.response"]),
            ("[limits]\ndefault-host = { concurrency = 0 }\n", &["limits", "default-host"]),
            ("[egress]\ntimeout = 30\n", &["egress.timeout", "my.toml:2"]),
            ("[egress]\ntimeout = \"soon\"\n", &["egress.timeout", "30s"]),
            (
                "[tiers]\nlist = [{ name = \"a\", resolvers = [], width = 0 }]\n",
                &["tiers.list", "width must be 1 to 16"],
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

    /// A default configuration that is mutated is read, or refused with a message: never a panic.
    #[test]
    fn a_mutated_configuration_is_read_or_refused() {
        // Without comments and blank lines, so that most changes meet a value.
        let said = |line: &&str| !line.trim().is_empty() && !line.starts_with('#');
        let seed = DEFAULTS.lines().filter(said).collect::<Vec<_>>().join("\n");
        let mut defaults = Layers::default();
        add(&mut defaults, DEFAULTS, "default").unwrap();
        gleaner_testing::each_mutation(&[seed], |text| {
            let mut layers = defaults.clone();
            if let Err(error) = add(&mut layers, text, "my.toml").and_then(|()| read(&layers)) {
                assert!(!error.to_string().is_empty());
            }
        });
    }

    /// Variables as they come, names and values.
    #[test]
    fn a_mutated_environment_is_read_or_refused() {
        let seeds = [
            "GLEANER_CONTACT=you@example.org\nGLEANER_ORCHESTRATOR__WORKERS=4",
            "GLEANER_RESOLVERS__EUROPE_PMC__ENABLED=false\nGLEANER_EGRESS__TIMEOUT=\"30s\"",
            "GLEANER_LIMITS__DEFAULT_HOST__RATE=1/3s\nGLEANER_PLUGINS__DIRS=[\"a\"]\nGLEANER_SECRET_KEY=s",
        ];
        let mut defaults = Layers::default();
        add(&mut defaults, DEFAULTS, "default").unwrap();
        gleaner_testing::each_mutation(&seeds, |text| {
            let pairs = text.lines().filter_map(|line| line.split_once('='));
            let variables: Vec<_> = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            warn_of_misspelt(variables.iter().map(|(name, _)| name.clone()));
            let mut layers = defaults.clone();
            layers.add_environment(variables.into_iter());
            if let Err(error) = read(&layers) {
                assert!(!error.to_string().is_empty());
            }
        });
    }

    #[test]
    fn a_variable_of_many_levels_is_refused() {
        let mut layers = Layers::default();
        add(&mut layers, DEFAULTS, "default").unwrap();
        let name = format!("GLEANER_QUEUE{}", "__A".repeat(100_000));
        layers.add_environment([(name, "1".to_owned())].into_iter());
        assert!(read(&layers).is_err());
    }

    #[test]
    fn a_mutated_contact_is_refused_or_fits_a_header() {
        gleaner_testing::each_mutation(&["you@example.org", "a.b+c@d.example"], |text| {
            if let Ok(contact) = crate::config::Contact::try_from(text.to_owned()) {
                assert!(
                    contact.as_str().bytes().all(|b| b.is_ascii_graphic()) && contact.as_str().contains('@')
                );
            }
        });
    }

    /// What is said of a run that goes on, which no test of messages waits for.
    const WHILE_A_RUN_GOES_ON: [(&str, &str); 40] = [
        (
            "log",
            "the configuration was read again (SIGHUP): what changed in limits, resolvers holds from now on",
        ),
        (
            "log",
            "the configuration was read again (its file has changed): what changed in orchestrator.workers holds from the next start on",
        ),
        (
            "log",
            "plugins have changed (generation 7): unpaywall is replaced by 1.1.0 (0f3a9c21), doaj is gone",
        ),
        ("log", "plugins/unpaywall.wasm is not used: is empty; copy or build it again"),
        ("log", "the configuration was read again (SIGHUP): nothing in it has changed"),
        (
            "log",
            "the configuration was read again (SIGHUP), and the old one stays in force: egress.timeout (my.toml:2): a duration is expected",
        ),
        ("a backup", "copied under its hash only: the name is another file's there"),
        ("a key", "host:a.org is paused: 3 works wait under it; 2 steps that run finish"),
        (
            "a key",
            "host:a.org is not paused; the upstream asked to wait until 2030-01-31T08:00:00.000Z, and 3 works wait under it",
        ),
        (
            "a job",
            "fetching https://a.org/x.pdf failed 2 times (timeout); it is tried again at 2030-01-31T08:00:00.000Z",
        ),
        ("a job", "its time came at 2030-01-31T08:00:00.000Z; a run takes it up"),
        ("a job", "its next step is found when a run takes it up"),
        ("a job", "nothing holds it: it is the next of host:a.org, and runs when a worker is free"),
        ("a job", "host:a.org asked to slow down, and nothing of it runs before 2030-01-31T08:00:00.000Z"),
        (
            "a job",
            "arxiv is suspended until 2030-01-31T08:00:00.000Z because it failed 10 times in a row, the last time with plugin_trap: unreachable",
        ),
        (
            "a job",
            "then one call shows whether it works again; another file of that name ends it at once, and so does `gleaner queue resume resolver:arxiv`",
        ),
        ("a key", "suspended until 2030-01-31T08:00:00.000Z: plugin_trap: unreachable"),
        (
            "a plugin",
            "suspended: arxiv until 2030-01-31T08:00:00.000Z, because it failed 10 times in a row, the last time with plugin_trap: unreachable; replace its file, or try it now with `gleaner queue resume resolver:arxiv`",
        ),
        ("progress", "arxiv is called again"),
        (
            "a plugin",
            "asks for more than it is granted: dblp: dblp.org, memory 128MiB (now 64MiB); `gleaner plugin grant dblp` shows and allows it",
        ),
        ("a grant", "write this to gleaner.toml? [y/N] "),
        ("a grant", "gleaner.toml cannot be changed: resolvers is no table there"),
        ("a grant", "cannot write gleaner.toml: no space left on device (os error 28); nothing was changed"),
        ("a grant", "granted, not asked for"),
        ("a grant", "there is no place for a configuration file; give one with --config"),
        ("a grant", "another process is changing files in its directory"),
        ("a grant", "gleaner.toml has changed meanwhile, and nothing was written; run this again"),
        ("log", "whether plugins are suspended is not known: library/library.db is not a library of gleaner"),
        ("a job", "4 steps of host:a.org run, and 4 at once is its limit"),
        ("a job", "`gleaner queue limit host:a.org --concurrency N` changes it"),
        ("a job", "unpaywall is being asked"),
        ("a job", "a file is being fetched from a.org"),
        ("a job", "it was just taken up"),
        (
            "a job",
            "it was just taken up by process 7; its lease lasts until 2030-01-31T08:00:00.000Z and is extended meanwhile",
        ),
        (
            "a job",
            "it was just taken up by process 7, and its lease expired at 2030-01-31T08:00:00.000Z: whoever worked on it does not answer",
        ),
        ("a job", "any run takes it back; `gleaner queue run` is one"),
        ("a job", "timeout, 2 times so far"),
        ("a job", "No step is left: it ends as skipped, no_candidate (3 resolvers asked)"),
        ("a job", "more than 10000 works go first under host:a.org at 4 at once"),
        (
            "an argument",
            "\"tomorrow\" is neither a time like 2030-01-31T08:00:00Z nor a duration from now like 30m or 2h",
        ),
    ];

    #[test]
    fn messages_are_as_they_were_read_and_approved() {
        let mut messages = gleaner_testing::Messages::new();
        messages.error(&ConfigError::Read {
            path: "gleaner.toml".into(),
            source: std::io::Error::other("permission denied"),
        });
        for text in [
            "[egress\n",
            "[orchestrator]\nwokers = 3\n",
            "[libary]\npath = \"x\"\n",
            "contact = \"nobody\"\n",
            "[orchestrator]\nworkers = \"many\"\n",
            "[orchestrator]\nmax-attempts = 0\n",
        ] {
            messages.error(&read_with(text).unwrap_err());
        }
        let setting = "resolver arxiv needs the setting \"token\"; give it as resolvers.arxiv.settings.token";
        messages.text("a setting that is missing", setting);
        messages.text("log", "stopping: running steps may finish; once more to stop at once");
        for (title, text) in WHILE_A_RUN_GOES_ON {
            messages.text(title, text);
        }
        for text in crate::commands::said::OF_FILES {
            messages.text("a command of the library", text);
        }
        messages.assert_approved(env!("CARGO_MANIFEST_DIR"));
    }
}
