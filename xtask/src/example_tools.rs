//! What the examples are built with: from Debian, PyPI and npm, into the user's cache. Debian's packages alone are
//! installed on the machine, and only those that are missing; a tool that cannot be had is named.

use crate::debian::cache_directory;
use crate::guest_toolchain::{GuestToolchain, TARGET};
use crate::stage::{self, Stages, capture};
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Packages, and a file by which each is known to be there.
const C_PACKAGES: [(&str, &str); 4] = [
    ("clang-19", "/usr/bin/clang-19"),
    ("lld-19", "/usr/bin/wasm-ld-19"),
    ("wasi-libc", "/usr/include/wasm32-wasi/stdlib.h"),
    ("libclang-rt-19-dev-wasm32", "/usr/lib/llvm-19/lib/clang/19/lib/wasi/libclang_rt.builtins-wasm32.a"),
];

/// Written last: a directory without it was left by a run that was interrupted.
const COMPLETE: &str = "complete";

/// Where the tools are, by languages.
pub(crate) struct ExampleTools {
    /// For the front of the search path; suites use it too.
    pub(crate) bin: PathBuf,
    /// For the JavaScript project, which finds its modules and types there.
    pub(crate) node_modules: PathBuf,
}

impl ExampleTools {
    /// Finds or fetches all of them, and links them into `TARGET/examples/tools`.
    pub(crate) fn obtain(
        workspace: &Workspace,
        toolchain: &GuestToolchain,
        stages: &mut Stages,
    ) -> Result<Self> {
        let examples = workspace.root().join("examples");
        debian(&C_PACKAGES, "C", stages)?;
        let python = python(&examples.join("oai_pmh/requirements.txt"), stages)?;
        let node = node(&examples.join("ia_scholar"), stages)?;
        let tools = workspace.target().join("examples/tools");
        let bin = tools.join("bin");
        fs::create_dir_all(&bin)?;
        link(&python.join("bin/componentize-py"), &bin.join("componentize-py"))?;
        link(&node.join("node_modules"), &tools.join("node_modules"))?;
        rustc(toolchain, &bin.join("rustc"))?;
        Ok(Self { bin, node_modules: tools.join("node_modules") })
    }
}

/// Installs what is missing of these packages.
fn debian(packages: &[(&str, &str)], what_for: &str, stages: &mut Stages) -> Result<()> {
    let missing = packages.iter().filter(|(_, file)| !Path::new(file).exists()).map(|(name, _)| *name);
    let missing = missing.collect::<Vec<_>>();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    let install = || {
        capture(Command::new("apt-get").args(["-q", "update"]))?;
        let mut install = Command::new("apt-get");
        install.args(["-q", "-y", "install", "--no-install-recommends"]).args(&missing);
        capture(install.env("DEBIAN_FRONTEND", "noninteractive"))
    };
    stages.quiet(&format!("apt-get install {names}"), install).map(drop).with_context(|| {
        format!("{what_for} needs Debian's packages {names}; as root, `apt-get install {names}` gets them")
    })
}

/// A virtual environment with what the file pins.
fn python(requirements: &Path, stages: &mut Stages) -> Result<PathBuf> {
    let pins = fs::read(requirements)?;
    cached("python", &[&pins], stages, |place| {
        let venv = || capture(Command::new("python3").args(["-m", "venv"]).arg(place));
        if venv().is_err() {
            // Debian ships Python without it.
            let fresh = "apt-get -q update && apt-get -q -y install --no-install-recommends python3-venv";
            capture(Command::new("sh").args(["-c", fresh]))
                .context("Python's module venv is missing, and Debian's package python3-venv has it")?;
            venv()?;
        }
        let mut pip = Command::new(place.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--requirement"]);
        capture(pip.arg(requirements)).map(drop)
    })
}

/// A `node_modules` of what the lock file pins.
fn node(project: &Path, stages: &mut Stages) -> Result<PathBuf> {
    let files = ["package.json", "package-lock.json"];
    let texts = files.iter().map(|name| fs::read(project.join(name))).collect::<Result<Vec<_>, _>>()?;
    if capture(Command::new("npm").arg("--version")).is_err() {
        debian(&[("nodejs", "/usr/bin/node"), ("npm", "/usr/bin/npm")], "JavaScript", stages)?;
    }
    cached("node", &texts.iter().map(Vec::as_slice).collect::<Vec<_>>(), stages, |place| {
        fs::create_dir_all(place)?;
        for name in files {
            fs::copy(project.join(name), place.join(name))?;
        }
        capture(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(place)).map(drop)
    })
}

/// A directory of the cache, named by what decides its content, and filled once.
fn cached(
    kind: &str,
    key: &[&[u8]],
    stages: &mut Stages,
    fill: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    key.iter().for_each(|part| hasher.write(part));
    let cache = cache_directory()?;
    fs::create_dir_all(&cache)?;
    let place = cache.join(format!("examples-{kind}-{:016x}", hasher.finish()));
    if place.join(COMPLETE).is_file() {
        return Ok(place);
    }
    let lock = File::create(cache.join(format!("examples-{kind}.lock")))?;
    stages.quiet(&format!("tools for {kind}: wait for others that fetch them"), || Ok(lock.lock()?))?;
    if !place.join(COMPLETE).is_file() {
        if place.exists() {
            fs::remove_dir_all(&place).with_context(|| format!("cannot remove {}", place.display()))?;
        }
        stages.quiet(&format!("tools for {kind}: fetch them"), || fill(&place))?;
        fs::write(place.join(COMPLETE), b"")?;
    }
    Ok(place)
}

/// Starts the guests' compiler with the guests' linker, which Debian's compiler does not bring.
fn rustc(toolchain: &GuestToolchain, script: &Path) -> Result<()> {
    let compiler = match &toolchain.rustc {
        Some(rustc) => rustc.clone(),
        None => PathBuf::from(capture(Command::new("rustc").args(["--print", "sysroot"]))?.trim_end())
            .join("bin/rustc"),
    };
    // `rust-lld` lies beside the linker of the guests, and is what the target asks for.
    let linker = toolchain.linker.with_file_name("rust-lld");
    let text = format!(
        "#!/bin/sh\ncase \" $* \" in\n*\" {TARGET} \"*) set -- \"$@\" '-Clinker={}' ;;\nesac\nexec '{}' \"$@\"\n",
        linker.display(),
        compiler.display()
    );
    if fs::read_to_string(script).ok().as_deref() != Some(&text) {
        fs::write(script, text)?;
        stage::capture(Command::new("chmod").arg("+x").arg(script))?;
    }
    Ok(())
}

fn link(to: &Path, at: &Path) -> Result<()> {
    if fs::read_link(at).ok().as_deref() == Some(to) {
        return Ok(());
    }
    if !to.exists() {
        bail!("{} is missing; remove its folder, and run this again", to.display());
    }
    if at.is_symlink() || at.exists() {
        fs::remove_file(at)?;
    }
    Ok(std::os::unix::fs::symlink(to, at)?)
}
