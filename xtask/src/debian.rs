//! A wasm toolchain from Debian's packages, for machines where rustup cannot download: unpacked into a cache
//! directory, nothing installed, no root needed. The cache directory appears whole or not at all.

use crate::guest_toolchain::{TARGET, release};
use crate::stage::{Stages, capture};
use crate::workspace::{cargo_home, cargo_in};
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Part of the cache directory's name; count up when the recipe below changes.
const RECIPE: u32 = 1;

/// The compiler, its std for the build machine, and std's sources. The rest is what these depend on.
const PACKAGES: [&str; 3] = ["rustc-web", "libstd-rust-web-dev", "rust-web-src"];

/// Starts the unpacked compiler from wherever it lies; it finds its sysroot by itself.
const WRAPPER: &str = r#"#!/bin/sh
root="${0%/*}/root/usr"
LD_LIBRARY_PATH="$root/lib/x86_64-linux-gnu" exec "$root/bin/rustc" "$@"
"#;

/// Names the std that was built for a cached compiler. Two builds of one release differ, and cargo would mix
/// what was compiled with either.
pub(crate) fn id(rustc: &Path) -> Result<String> {
    let file = rustc.with_file_name("id");
    fs::read_to_string(&file).with_context(|| format!("cannot read {}; remove its folder", file.display()))
}

/// The compiler in the cache, if it is there and not too old.
pub(crate) fn cached(minimum: &str) -> Result<Option<PathBuf>> {
    let rustc = cache_directory()?.join(format!("debian-toolchain-{RECIPE}")).join("rustc");
    Ok((rustc.is_file() && is_at_least(&release(&rustc)?, minimum)).then_some(rustc))
}

/// The compiler in the cache, made now if it is not there: some 140 MB to download, some 500 MB on disk.
pub(crate) fn obtain(minimum: &str, stages: &mut Stages) -> Result<PathBuf> {
    if let Some(rustc) = cached(minimum)? {
        return Ok(rustc);
    }
    let cache = cache_directory()?;
    fs::create_dir_all(&cache).with_context(|| format!("cannot create {}", cache.display()))?;
    let lock = File::create(cache.join("debian-toolchain.lock"))?;
    stages.quiet("debian: wait for others that fill the cache", || Ok(lock.lock()?))?;
    if let Some(rustc) = cached(minimum)? {
        return Ok(rustc);
    }
    let finished = cache.join(format!("debian-toolchain-{RECIPE}"));
    let partial = cache.join("debian-toolchain.partial");
    remove(&finished)?;
    remove(&partial)?; // of a run that was interrupted
    fs::create_dir(&partial)?;
    make(&partial, minimum, stages)?;
    fs::rename(&partial, &finished)?;
    Ok(finished.join("rustc"))
}

fn make(directory: &Path, minimum: &str, stages: &mut Stages) -> Result<()> {
    let apt = Apt::new(directory)?;
    stages.quiet("debian: read the package lists", || apt.update())?;
    stages.quiet("debian: download the packages", || apt.download(minimum))?;
    let root = directory.join("root");
    stages.quiet("debian: unpack the packages", || unpack(&apt.directory, &root))?;
    fs::write(directory.join("rustc"), WRAPPER)?;
    capture(Command::new("chmod").arg("+x").arg(directory.join("rustc")))?;
    let std = stages.quiet("debian: build std for wasm", || build_std(directory, &root))?;
    fs::write(directory.join("id"), format!("debian-{}-{std:08x}", release(&directory.join("rustc"))?))?;
    for needless in [&apt.directory, &directory.join("std"), &root.join("usr/src"), &root.join("usr/share")] {
        remove(needless)?;
    }
    Ok(())
}

/// apt with lists of its own: they are fresh, need no root, and leave the machine's as they are.
struct Apt {
    directory: PathBuf,
    options: Vec<String>,
}

impl Apt {
    fn new(directory: &Path) -> Result<Self> {
        let directory = directory.join("apt");
        fs::create_dir_all(directory.join("lists/partial"))?;
        let settings = [
            format!("Dir::State::lists={}/lists", directory.display()),
            format!("Dir::Cache={}", directory.display()),
            // Root would hand the download to a user who may not read this directory.
            "APT::Sandbox::User=root".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "Acquire::Retries=3".to_owned(),
        ];
        Ok(Self {
            directory,
            options: settings.into_iter().flat_map(|value| ["-o".to_owned(), value]).collect(),
        })
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(program);
        capture(command.current_dir(&self.directory).args(&self.options).args(arguments).env("LC_ALL", "C"))
    }

    fn update(&self) -> Result<()> {
        self.run("apt-get", &["-q", "update"]).map(drop)
    }

    fn download(&self, minimum: &str) -> Result<()> {
        let about = self.run("apt-cache", &["show", "--no-all-versions", PACKAGES[0]])?;
        let version = about.lines().find_map(|line| line.strip_prefix("Version: ")).unwrap_or_default();
        if !is_at_least(version, minimum) {
            bail!("Debian's {} is {version}, but the workspace needs Rust {minimum} or newer", PACKAGES[0]);
        }
        let runtime = self.dependency(PACKAGES[1], "libstd-rust-web-")?;
        let llvm = self.dependency(&runtime, "libLLVM")?;
        let names = PACKAGES.iter().copied().chain([runtime.as_str(), llvm.as_str()]);
        self.run("apt-get", &["-q", "download"].into_iter().chain(names).collect::<Vec<_>>()).map(drop)
    }

    /// The dependency of a package whose name begins so; its version number changes with every release.
    fn dependency(&self, package: &str, prefix: &str) -> Result<String> {
        let listing = self.run("apt-cache", &["depends", package])?;
        find_dependency(&listing, prefix).with_context(|| {
            format!("Debian's {package} depends on no {prefix}*: the recipe needs a new look")
        })
    }
}

fn find_dependency(listing: &str, prefix: &str) -> Option<String> {
    let mut names = listing.lines().filter_map(|line| line.trim_start().strip_prefix("Depends: "));
    names.find(|name| name.to_lowercase().starts_with(&prefix.to_lowercase())).map(str::to_owned)
}

fn unpack(packages: &Path, root: &Path) -> Result<()> {
    for package in files_with(packages, "deb")? {
        capture(Command::new("dpkg").arg("-x").arg(&package).arg(root))?;
    }
    Ok(())
}

/// Builds std with an empty crate and puts it where the compiler looks. Link-time optimisation of the guests
/// needs the bitcode. The paths of this machine stay out of the guests. Returns a hash of what was built.
fn build_std(directory: &Path, root: &Path) -> Result<u32> {
    let package = directory.join("std");
    fs::create_dir_all(package.join("src"))?;
    fs::write(
        package.join("Cargo.toml"),
        "[package]\nname = \"std-for-guests\"\nedition = \"2024\"\n[workspace]\n",
    )?;
    fs::write(package.join("src/lib.rs"), "")?;
    let remap = |from: &Path, to| format!("--remap-path-prefix={}={to}", from.display());
    let flags =
        ["-Cembed-bitcode=yes".to_owned(), remap(directory, "/toolchain"), remap(&cargo_home()?, "/cargo")];
    let mut cargo = cargo_in(&package);
    cargo
        .args([
            "build",
            "--release",
            "-Zbuild-std=std,panic_abort",
            "--target",
            TARGET,
            "--target-dir",
            "target",
        ])
        .env("RUSTC", directory.join("rustc"))
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    capture(&mut cargo)?;
    let library = root.join("usr/lib/rustlib").join(TARGET).join("lib");
    fs::create_dir_all(&library)?;
    let mut hash = DefaultHasher::new();
    for file in files_with(&package.join("target").join(TARGET).join("release/deps"), "rlib")? {
        let bytes = fs::read(&file)?;
        hash.write(&bytes);
        fs::write(library.join(file.file_name().unwrap_or_default()), bytes)?;
    }
    Ok(hash.finish() as u32)
}

/// The files of a folder that end so, in a stable order.
fn files_with(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let files = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let mut files = files
        .into_iter()
        .filter(|file| file.extension().is_some_and(|found| found == extension))
        .collect::<Vec<_>>();
    files.sort();
    Ok(files)
}

/// `GLEANER_CACHE_DIR`, else the user's cache directory.
pub(crate) fn cache_directory() -> Result<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("GLEANER_CACHE_DIR")
        .or_else(|| Some(variable("XDG_CACHE_HOME")?.join("gleaner")))
        .or_else(|| Some(variable("HOME")?.join(".cache/gleaner")))
        .context("no cache directory: set GLEANER_CACHE_DIR or HOME")
}

fn remove(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(failure) if failure.kind() != std::io::ErrorKind::NotFound => {
            Err(failure).with_context(|| format!("cannot remove {}", directory.display()))
        }
        _ => Ok(()),
    }
}

/// Compares the leading numbers: `1.96.0+dfsg1-1` is at least `1.95`.
fn is_at_least(version: &str, minimum: &str) -> bool {
    let numbers = |text: &str| {
        let end = text.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(text.len());
        text[..end].split('.').map_while(|part| part.parse::<u32>().ok()).collect::<Vec<_>>()
    };
    numbers(version) >= numbers(minimum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert!(is_at_least("1.96.0+dfsg1-1~deb12u2", "1.95"));
        assert!(is_at_least("1.100.0", "1.95"));
        assert!(!is_at_least("1.85.0+dfsg3-1", "1.95"));
        assert!(!is_at_least("", "1.95"));
    }

    #[test]
    fn a_dependency_is_found_by_the_beginning_of_its_name() {
        let listing =
            "libstd-rust-web-1.96\n  Depends: libc6\n  Depends: libllvm22\n  Conflicts: <libllvm1>\n";
        assert_eq!(find_dependency(listing, "libLLVM").as_deref(), Some("libllvm22"));
        assert_eq!(find_dependency(listing, "libgcc"), None);
    }
}
