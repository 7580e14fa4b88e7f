//! `cargo xtask plugins`: builds every plugin and test guest to a component and puts it where the host and the
//! suites look. A file whose bytes are the same is not touched, so that nobody reloads or recompiles it.

use crate::guest_toolchain::{GuestToolchain, TARGET};
use crate::stage::{self, Stages};
use crate::workspace::{Workspace, cargo_home, relative};
use anyhow::{Context, Result, bail};
use cargo_metadata::{CrateType, Package};
use std::fs;
use std::path::{Path, PathBuf};

/// Builds all guests and says where they are.
pub(crate) fn command() -> Result<String> {
    let mut stages = Stages::default();
    let workspace = Workspace::load()?;
    let guests = Guests::build(&workspace, &mut stages)?;
    Ok(format!("{}\n{}", guests.summary(), stages.summary()))
}

/// The finished components.
pub(crate) struct Guests {
    placed: Vec<Placed>,
}

struct Placed {
    file: PathBuf,
    bytes: usize,
    changed: bool,
}

/// One guest crate, and the component that it becomes.
struct Guest {
    package: String,
    /// As cargo names it: `gleaner_plugin_arxiv.wasm`.
    built: String,
    /// In the target directory: `plugins/arxiv.wasm`.
    placed: PathBuf,
}

impl Guests {
    /// Builds with the profile `guest`, in a build directory of the toolchain's own.
    pub(crate) fn build(workspace: &Workspace, stages: &mut Stages) -> Result<Self> {
        let mut guests = find(workspace, "plugins", "gleaner-plugin-")?;
        guests.extend(find(workspace, "tests/guests", "gleaner-guest-")?);
        guests.extend(find(workspace, "examples", "gleaner-example-")?);
        let toolchain = GuestToolchain::find(&minimum_rust(workspace)?, stages)?;
        let directory = workspace.target().join(format!("guests-{}", toolchain.id));
        stages.loud(&format!("build {} guests", guests.len()), || {
            compile(workspace, &toolchain, &directory, &guests)
        })?;
        let built = directory.join(TARGET).join("guest");
        let placed = guests
            .iter()
            .map(|guest| place(&built.join(&guest.built), &workspace.target().join(&guest.placed)));
        let placed = placed.collect::<Result<Vec<_>>>()?;
        remove_strangers(workspace.target(), &guests)?;
        Ok(Self { placed })
    }

    /// One line per component: size, path, whether it is new.
    pub(crate) fn summary(&self) -> String {
        let line = |placed: &Placed| {
            let note = if placed.changed { "" } else { " (unchanged)" };
            format!("  {:>7.1} KiB  {}{note}", placed.bytes as f64 / 1024.0, placed.file.display())
        };
        self.placed.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// The guests among the members of a folder. `plugins/sdk` is a library for guests, not one.
fn find(workspace: &Workspace, folder: &str, prefix: &str) -> Result<Vec<Guest>> {
    let members = workspace.members_under(folder).filter(|package| package.name.as_str() != "gleaner-sdk");
    let mut guests = members.map(|package| guest(workspace, package, prefix)).collect::<Result<Vec<_>>>()?;
    guests.sort_by(|one, other| one.package.cmp(&other.package));
    Ok(guests)
}

fn guest(workspace: &Workspace, package: &Package, prefix: &str) -> Result<Guest> {
    let manifest = relative(workspace, &package.manifest_path);
    let Some(name) = package.name.strip_prefix(prefix) else {
        bail!("{manifest}: the package is named {}; name it {prefix}NAME", package.name);
    };
    let Some(library) = package.targets.iter().find(|target| target.crate_types.contains(&CrateType::CDyLib))
    else {
        bail!("{manifest}: a guest is a cdylib; add [lib] with crate-type = [\"cdylib\", \"rlib\"]");
    };
    let folder = match prefix {
        "gleaner-plugin-" => "plugins",
        "gleaner-guest-" => "guests",
        _ => "examples",
    };
    Ok(Guest {
        package: package.name.to_string(),
        built: format!("{}.wasm", library.name.replace('-', "_")),
        placed: Path::new(folder).join(format!("{name}.wasm")),
    })
}

/// The oldest compiler that the workspace accepts.
pub(crate) fn minimum_rust(workspace: &Workspace) -> Result<String> {
    let version =
        workspace.metadata.workspace_packages().into_iter().find_map(|package| package.rust_version.clone());
    Ok(version.context("no member of the workspace sets rust-version")?.to_string())
}

fn compile(
    workspace: &Workspace,
    toolchain: &GuestToolchain,
    directory: &Path,
    guests: &[Guest],
) -> Result<()> {
    let mut cargo = workspace.cargo();
    cargo
        .args(["build", "--locked", "--profile", "guest", "--target", TARGET, "--target-dir"])
        .arg(directory);
    for guest in guests {
        cargo.args(["--package", &guest.package]);
    }
    // With --target these reach the guests only, not build scripts and macros, which run on this machine.
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags(workspace, toolchain)?.join("\u{1f}"));
    if let Some(rustc) = &toolchain.rustc {
        cargo.env("RUSTC", rustc);
    }
    stage::run(&mut cargo)
}

/// Links to a component, and keeps this machine's paths out of it: the same sources give the same bytes.
fn flags(workspace: &Workspace, toolchain: &GuestToolchain) -> Result<Vec<String>> {
    Ok(vec![
        format!("-Clinker={}", toolchain.linker.display()),
        "-Clinker-flavor=wasm-ld".to_owned(),
        format!("-Clink-arg=--wasm-ld-path={}", toolchain.wasm_ld.display()),
        format!("--remap-path-prefix={}=/gleaner", workspace.root().display()),
        format!("--remap-path-prefix={}=/cargo", cargo_home()?.display()),
    ])
}

/// Copies a component to its place, unless the same bytes are there. A reader never sees half a file.
fn place(built: &Path, file: &Path) -> Result<Placed> {
    let bytes = fs::read(built).with_context(|| format!("the build left no {}", built.display()))?;
    let changed = fs::read(file).ok().as_ref() != Some(&bytes);
    if changed {
        let partial = file.with_extension("wasm.part");
        fs::create_dir_all(file.parent().unwrap_or(Path::new(".")))?;
        fs::write(&partial, &bytes).with_context(|| format!("cannot write {}", partial.display()))?;
        fs::rename(&partial, file).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(Placed { file: file.to_owned(), bytes: bytes.len(), changed })
}

/// A plugin whose crate is gone must not go on resolving. Examples are not all crates, and nobody loads them unasked.
fn remove_strangers(target: &Path, guests: &[Guest]) -> Result<()> {
    for folder in ["plugins", "guests"] {
        let Ok(entries) = fs::read_dir(target.join(folder)) else { continue };
        for entry in entries {
            let entry = entry?;
            if !guests.iter().any(|guest| guest.placed == Path::new(folder).join(entry.file_name())) {
                fs::remove_file(entry.path())
                    .with_context(|| format!("cannot remove {}", entry.path().display()))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_are_not_written_again() {
        let scratch = tempfile::tempdir().unwrap();
        let (built, file) = (scratch.path().join("built.wasm"), scratch.path().join("plugins/name.wasm"));
        fs::write(&built, b"one").unwrap();
        assert!(place(&built, &file).unwrap().changed);
        let before = fs::metadata(&file).unwrap().modified().unwrap();
        assert!(!place(&built, &file).unwrap().changed);
        assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), before);
        fs::write(&built, b"two").unwrap();
        assert!(place(&built, &file).unwrap().changed);
        assert_eq!(fs::read(&file).unwrap(), b"two");
    }

    #[test]
    fn a_component_without_a_crate_is_removed() {
        let scratch = tempfile::tempdir().unwrap();
        let plugins = scratch.path().join("plugins");
        fs::create_dir(&plugins).unwrap();
        fs::write(plugins.join("kept.wasm"), b"").unwrap();
        fs::write(plugins.join("gone.wasm"), b"").unwrap();
        let guest = Guest {
            package: "p".into(),
            built: "p.wasm".into(),
            placed: Path::new("plugins").join("kept.wasm"),
        };
        remove_strangers(scratch.path(), &[guest]).unwrap();
        assert!(plugins.join("kept.wasm").exists() && !plugins.join("gone.wasm").exists());
    }
}
