//! The programs that a project is built with: found in the project or on the search path, or missing and named.
//!
//! Must never run one that was not looked up here: its absence would be the system's riddle, not our message.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::exit::Failed;

/// What C needs, as Debian calls it.
pub(crate) const C_PACKAGES: &str =
    "apt-get install --no-install-recommends clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32";

/// The first of these names that is a program, in the given directories and then on the search path.
pub(crate) fn find(names: &[&str], dirs: &[PathBuf]) -> Option<PathBuf> {
    let path = crate::environment::PATH.os().unwrap_or_default();
    let dirs: Vec<PathBuf> = dirs.iter().cloned().chain(std::env::split_paths(&path)).collect();
    names.iter().find_map(|name| dirs.iter().map(|dir| dir.join(name)).find(|file| file.is_file()))
}

/// The same, or a message that says how to get it.
pub(crate) fn need(names: &[&str], dirs: &[PathBuf], what_for: &str, how: &str) -> Result<PathBuf, Failed> {
    find(names, dirs).ok_or_else(|| missing(names[0], what_for, how))
}

/// What is told of a tool that is not here.
pub(crate) fn missing(name: &str, what_for: &str, how: &str) -> Failed {
    Failed::usage(format!("{name} is missing, and {what_for}; get it with `{how}`"))
}

/// Runs a tool in a directory. What it prints goes to standard error, where all that is no result goes.
pub(crate) fn run(program: &Path, args: &[&dyn AsRef<OsStr>], dir: &Path) -> Result<(), Failed> {
    let mut command = Command::new(program);
    command.args(args.iter().map(AsRef::as_ref)).current_dir(dir).stdin(Stdio::null());
    command.stdout(std::io::stderr());
    let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failed::usage(format!("{name} failed ({status}); what it said stands above"))),
        Err(error) => Err(Failed::usage(format!("{} cannot be run: {error}", program.display()))),
    }
}

/// Runs a tool and returns what it printed on standard output.
pub(crate) fn ask(command: &mut Command) -> Result<Vec<u8>, Failed> {
    let name = PathBuf::from(command.get_program());
    let name = name.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match command.stdin(Stdio::null()).stderr(Stdio::inherit()).output() {
        Ok(output) if output.status.success() => Ok(output.stdout),
        Ok(output) => {
            Err(Failed::usage(format!("{name} failed ({}); what it said stands above", output.status)))
        }
        Err(error) => Err(Failed::usage(format!("{name} cannot be run: {error}"))),
    }
}
