//! Finds a way to build guests for `wasm32-unknown-unknown`: the installed target, else rustup, else Debian's
//! packages in a cache directory. It changes nothing outside rustup's own folders and that cache.

use crate::debian;
use crate::stage::{Stages, capture, say};
use anyhow::{Context, Result, bail};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// The target of all guests.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// Forces one way to get the target: `installed`, `rustup` or `debian`.
const FORCE: &str = "GLEANER_GUEST_TOOLCHAIN";

/// rustup may take this long: the target is some 20 MB, and behind a closed network it would wait for minutes.
const RUSTUP_LIMIT: Duration = Duration::from_secs(20);

/// A compiler that has the target, and the linker that makes components.
#[derive(Debug)]
pub(crate) struct GuestToolchain {
    /// Keys the guests' build directory, because cargo does not notice a changed sysroot: `rustup-1.95.0`.
    pub(crate) id: String,
    /// In place of the usual compiler.
    pub(crate) rustc: Option<PathBuf>,
    /// `wasm-component-ld`, from rustup's toolchain.
    pub(crate) linker: PathBuf,
    /// `wasm-ld`, which the linker calls.
    pub(crate) wasm_ld: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Source {
    Installed,
    Rustup,
    Debian,
}

impl GuestToolchain {
    /// The first way that works, or the one that the environment forces. `minimum` is the oldest compiler that
    /// the workspace accepts (`1.95`).
    pub(crate) fn find(minimum: &str, stages: &mut Stages) -> Result<Self> {
        let usual = Compiler::ask(Path::new("rustc"))?;
        let forced = std::env::var(FORCE).ok().filter(|name| !name.is_empty());
        let forced = forced.map(|name| parse_force(&name)).transpose()?;
        let (source, debian) = match forced {
            Some(Source::Installed) if !usual.has_target() => {
                bail!(
                    "{FORCE}=installed, but {} lacks {TARGET}; unset it, or choose rustup or debian",
                    usual.sysroot.display()
                )
            }
            Some(Source::Rustup) if !usual.has_target() => {
                (Source::Rustup, add_by_rustup(stages).map(|()| None)?)
            }
            Some(Source::Debian) => (Source::Debian, Some(debian::obtain(minimum, stages)?)),
            Some(source) => (source, None),
            None => first_that_works(&usual, minimum, stages)?,
        };
        let toolchain = usual.toolchain(debian)?;
        say(format_args!("guests are built with {} ({source:?})", toolchain.id));
        Ok(toolchain)
    }
}

fn parse_force(name: &str) -> Result<Source> {
    match name {
        "installed" => Ok(Source::Installed),
        "rustup" => Ok(Source::Rustup),
        "debian" => Ok(Source::Debian),
        other => bail!("{FORCE}={other}: unknown; use installed, rustup or debian"),
    }
}

/// A cached Debian toolchain goes before rustup: where it was needed once, rustup could not download.
fn first_that_works(
    usual: &Compiler,
    minimum: &str,
    stages: &mut Stages,
) -> Result<(Source, Option<PathBuf>)> {
    if usual.has_target() {
        return Ok((Source::Installed, None));
    }
    if let Some(rustc) = debian::cached(minimum)? {
        return Ok((Source::Debian, Some(rustc)));
    }
    match add_by_rustup(stages) {
        Ok(()) => Ok((Source::Rustup, None)),
        Err(refused) => {
            say(format_args!("{refused:#}; trying Debian's packages"));
            let rustc = debian::obtain(minimum, stages).with_context(|| {
                format!("no way to build guests: {TARGET} is not installed, rustup could not add it, and Debian's packages gave none either. Install the target, then run this again")
            })?;
            Ok((Source::Debian, Some(rustc)))
        }
    }
}

/// A compiler's own word on itself.
struct Compiler {
    release: String,
    host: String,
    sysroot: PathBuf,
}

impl Compiler {
    fn ask(rustc: &Path) -> Result<Self> {
        let about = capture(Command::new(rustc).arg("-vV"))?;
        let sysroot = capture(Command::new(rustc).args(["--print", "sysroot"]))?.trim_end().into();
        Ok(Self { release: field(&about, "release")?, host: field(&about, "host")?, sysroot })
    }

    fn has_target(&self) -> bool {
        self.sysroot.join("lib/rustlib").join(TARGET).join("lib").is_dir()
    }

    /// The linkers come from this compiler's folders, also where another one compiles.
    fn toolchain(&self, debian: Option<PathBuf>) -> Result<GuestToolchain> {
        let bin = self.sysroot.join("lib/rustlib").join(&self.host).join("bin");
        let (linker, wasm_ld) = (bin.join("wasm-component-ld"), bin.join("gcc-ld/wasm-ld"));
        for tool in [&linker, &wasm_ld] {
            if !tool.is_file() {
                bail!("{} is missing: rustup's toolchains have it; install Rust with rustup", tool.display());
            }
        }
        let id = match &debian {
            Some(rustc) => debian::id(rustc)?,
            None => format!("rustup-{}", self.release),
        };
        Ok(GuestToolchain { id, rustc: debian, linker, wasm_ld })
    }
}

/// The release of a compiler: `1.95.0`.
pub(crate) fn release(rustc: &Path) -> Result<String> {
    Ok(Compiler::ask(rustc)?.release)
}

fn field(about: &str, name: &str) -> Result<String> {
    let value = about.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    Ok(value.with_context(|| format!("`rustc -vV` names no {name}"))?.to_owned())
}

fn add_by_rustup(stages: &mut Stages) -> Result<()> {
    stages.quiet(&format!("rustup target add {TARGET}"), || {
        finish_within(Command::new("rustup").args(["target", "add", TARGET]), RUSTUP_LIMIT)
    })
}

/// Runs a program that must end well within the limit; after it, the program is ended.
fn finish_within(command: &mut Command, limit: Duration) -> Result<()> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))?;
    let mut stderr = child.stderr.take().context("a piped program has a standard error")?;
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let _ = stderr.read_to_string(&mut text);
        sender.send(text)
    });
    // The pipe closes when the program ends, so that waiting for its text is waiting for its end.
    let Ok(text) = receiver.recv_timeout(limit) else {
        child.kill()?;
        child.wait()?;
        bail!("{command:?} did not end within {} s", limit.as_secs());
    };
    let status = child.wait()?;
    if !status.success() {
        bail!("{command:?} ended with {status}: {}", text.trim_end());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_hangs_is_ended() {
        let failure = finish_within(Command::new("sleep").arg("600"), Duration::from_millis(20)).unwrap_err();
        assert!(failure.to_string().contains("did not end"), "{failure}");
    }

    #[test]
    fn a_program_that_fails_says_why() {
        let script = ["-c", "echo no network >&2; exit 1"];
        let failure = finish_within(Command::new("sh").args(script), Duration::from_secs(20)).unwrap_err();
        assert!(failure.to_string().contains("no network"), "{failure}");
    }

    #[test]
    fn an_unknown_way_is_refused_by_name() {
        assert_eq!(parse_force("debian").unwrap(), Source::Debian);
        assert!(parse_force("nix").unwrap_err().to_string().contains("nix"));
    }

    #[test]
    fn the_compilers_answer_is_read() {
        let about = "rustc 1.95.0 (abc)\nhost: x86_64-unknown-linux-gnu\nrelease: 1.95.0\n";
        assert_eq!(field(about, "release").unwrap(), "1.95.0");
        assert!(field(about, "LLVM version").is_err());
    }
}
