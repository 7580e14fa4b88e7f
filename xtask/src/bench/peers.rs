//! Other job queues on the same work, on the same machine, in the same run: a script runs them, and this passes on
//! what it prints. It never installs anything itself, and knows none of them.

use super::place::Place;
use crate::stage::{self, say};
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where the script lies beside a checkout, if `GLEANER_PEERS` does not name it.
const BESIDE: &str = "../shared/bench/queue_peers.sh";

/// Prints the peers' lines, `{"peer":...}`, as they come. Without the script there is nothing to compare with, which
/// is said and is no failure. What it installs stays in the target directory for the next time.
pub(super) fn peers(place: &Place) -> Result<()> {
    let named = std::env::var_os("GLEANER_PEERS").map(PathBuf::from);
    let Some(script) = find(named, &place.root)? else {
        say("no peers: GLEANER_PEERS names no script, and none lies beside the checkout");
        return Ok(());
    };
    pass_on(&script, &place.target.join("bench-peers"), |line| stage::result(line))
}

/// The script that was named, which has to exist, or the one beside the checkout, which need not.
fn find(named: Option<PathBuf>, root: &Path) -> Result<Option<PathBuf>> {
    match named {
        Some(script) if !script.is_file() => {
            bail!("GLEANER_PEERS names {}, which is no file", script.display())
        }
        Some(script) => Ok(Some(script)),
        None => Ok(Some(root.join(BESIDE)).filter(|script| script.is_file())),
    }
}

fn pass_on(script: &Path, cache: &Path, mut print: impl FnMut(&str) -> Result<()>) -> Result<()> {
    let mut command = Command::new("bash");
    command.arg(script).arg(cache).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
    let output = child.stdout.take().context("a piped program has a standard output")?;
    for line in BufReader::new(output).lines() {
        let line = line?;
        // Installers print as well.
        if serde_json::from_str::<serde_json::Value>(&line).is_ok_and(|value| value.is_object()) {
            print(&line)?;
        } else {
            say(line);
        }
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("{command:?} ended with {status}; its output is above");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simweb::tests::stand_in;

    #[test]
    fn lines_of_peers_are_passed_on_and_nothing_else() {
        let scratch = tempfile::tempdir().unwrap();
        let script =
            "echo installing; echo '{\"peer\":\"one\",\"value\":7}'; echo \"{\\\"dir\\\":\\\"$1\\\"}\"";
        let script = stand_in(scratch.path(), "peers.sh", script);
        let mut lines = Vec::new();
        let mut keep = |line: &str| {
            lines.push(line.to_owned());
            Ok(())
        };
        pass_on(&script, Path::new("cache"), &mut keep).unwrap();
        assert_eq!(lines, ["{\"peer\":\"one\",\"value\":7}", "{\"dir\":\"cache\"}"]);
        let broken = stand_in(scratch.path(), "broken.sh", "exit 4");
        assert!(pass_on(&broken, Path::new("cache"), |_| Ok(())).unwrap_err().to_string().contains('4'));
    }

    #[test]
    fn a_script_that_was_named_has_to_be_there() {
        let scratch = tempfile::tempdir().unwrap();
        let script = stand_in(scratch.path(), "peers.sh", "");
        assert_eq!(find(Some(script.clone()), scratch.path()).unwrap(), Some(script));
        assert!(find(Some(scratch.path().join("none")), scratch.path()).is_err());
        assert_eq!(find(None, scratch.path()).unwrap(), None);
    }
}
