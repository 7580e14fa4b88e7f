//! The workspace as cargo knows it, and how xtask calls cargo. It never builds anything itself.

use anyhow::{Context, Result, bail};
use cargo_metadata::camino::Utf8Path;
use cargo_metadata::{Message, Metadata, MetadataCommand, Package};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where things are, and what cargo says about every package.
pub(crate) struct Workspace {
    pub(crate) metadata: Metadata,
}

impl Workspace {
    /// Asks cargo; every platform's dependencies are listed.
    pub(crate) fn load() -> Result<Self> {
        Ok(Self { metadata: metadata(&[])? })
    }

    /// The folder of the root manifest.
    pub(crate) fn root(&self) -> &Path {
        self.metadata.workspace_root.as_std_path()
    }

    /// Cargo's target directory, wherever the environment or the configuration put it.
    pub(crate) fn target(&self) -> &Path {
        self.metadata.target_directory.as_std_path()
    }

    /// A program of the workspace, as the dev profile leaves it.
    pub(crate) fn binary(&self, name: &str) -> PathBuf {
        self.target().join("debug").join(name).with_extension(std::env::consts::EXE_EXTENSION)
    }

    /// A program of the workspace, as the release profile leaves it.
    pub(crate) fn release_binary(&self, name: &str) -> PathBuf {
        self.target().join("release").join(name).with_extension(std::env::consts::EXE_EXTENSION)
    }

    /// The members in a folder of the workspace (`plugins`), at any depth.
    pub(crate) fn members_under<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a Package> {
        self.metadata
            .workspace_packages()
            .into_iter()
            .filter(move |package| relative(self, &package.manifest_path).starts_with(folder))
    }

    /// Cargo, started in the root.
    pub(crate) fn cargo(&self) -> Command {
        cargo_in(self.root())
    }

    /// Builds these benchmarks without running them, and says where they are. With the whole workspace, so that
    /// features of others unite as for its programs, and no dependency is compiled twice.
    pub(crate) fn build_benches(&self, names: &[&str], features: &str) -> Result<BTreeMap<String, PathBuf>> {
        let mut cargo = self.cargo();
        cargo.args(["bench", "--workspace", "--locked", "--no-run", "--message-format"]);
        cargo.args(["json-render-diagnostics", "--features", features]);
        for name in names {
            cargo.args(["--bench", name]);
        }
        let output = cargo.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        let output = output.with_context(|| format!("cannot start {cargo:?}"))?;
        if !output.status.success() {
            bail!("{cargo:?} ended with {}; its output is above", output.status);
        }
        let mut found = BTreeMap::new();
        for message in Message::parse_stream(&output.stdout[..]) {
            if let Message::CompilerArtifact(artifact) = message?
                && let Some(program) = artifact.executable
            {
                found.insert(artifact.target.name, program.into_std_path_buf());
            }
        }
        Ok(found)
    }

    /// Builds every program of the workspace. All at once, and not one by one, because cargo then unites the
    /// features as `cargo test --workspace` does, and builds the dependencies once for both.
    pub(crate) fn build_programs(&self) -> Result<()> {
        crate::stage::run(self.cargo().args(["build", "--workspace", "--bins", "--locked"]))
    }
}

/// A path as people name it: from the root of the workspace.
pub(crate) fn relative<'a>(workspace: &Workspace, path: &'a Utf8Path) -> &'a Utf8Path {
    path.strip_prefix(&workspace.metadata.workspace_root).unwrap_or(path)
}

/// `cargo metadata` with the lock file as it is.
pub(crate) fn metadata(options: &[&str]) -> Result<Metadata> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml").canonicalize()?;
    let options = ["--locked"].iter().chain(options).map(|option| (*option).to_owned()).collect::<Vec<_>>();
    let mut command = MetadataCommand::new();
    command.cargo_path(cargo_program()).manifest_path(manifest).other_options(options);
    command.exec().context("`cargo metadata --locked` failed; if Cargo.lock is stale, run `cargo check` once")
}

/// Cargo, as if the user had typed it in this directory.
pub(crate) fn cargo_in(directory: &Path) -> Command {
    let mut command = Command::new(cargo_program());
    command.current_dir(directory);
    for name in variables_of_cargo_run(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok())) {
        command.env_remove(name);
    }
    command
}

/// Where cargo keeps the sources of dependencies.
pub(crate) fn cargo_home() -> Result<PathBuf> {
    let set = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    set.or_else(|| Some(std::env::home_dir()?.join(".cargo"))).context("no home directory is known; set HOME")
}

fn cargo_program() -> PathBuf {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()).into()
}

/// What `cargo run` adds for xtask. Build scripts watch some of these: passed on, they would make cargo build
/// the same packages again.
fn variables_of_cargo_run(names: impl Iterator<Item = String>) -> Vec<String> {
    const PREFIXES: [&str; 3] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"];
    const EXACT: [&str; 4] = ["CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE", "OUT_DIR", "CARGO"];
    names
        .filter(|name| {
            PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || EXACT.contains(&name.as_str())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cargo_run_added_is_removed() {
        let names =
            ["CARGO_PKG_NAME", "CARGO_TARGET_DIR", "CARGO_HOME", "CARGO_MANIFEST_DIR", "PATH", "CARGO"];
        let removed = variables_of_cargo_run(names.into_iter().map(str::to_owned));
        assert_eq!(removed, ["CARGO_PKG_NAME", "CARGO_MANIFEST_DIR", "CARGO"]);
    }
}
