//! What stands against the library and the directories beside it: disk, database, secrets, compiled plugins.
//!
//! Writes nothing but one file that it removes again, to see whether the disk keeps what it is given.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use gleaner_model::clock::UnixMillis;
use gleaner_model::units::ByteSize;
use gleaner_orchestrator::Resolvers;
use gleaner_store::{Health, Library};

use super::{Finding, ok, problem, warning};
use crate::context::Context;
use crate::generations;
use crate::output::bytes;

/// A log of more than this is not merged as it should be: somebody reads for a long time, or nobody works.
const LONG_LOG: u64 = 256 << 20;
/// Clocks are never quite the same.
const AHEAD_MS: i64 = 120_000;

/// Numbers of file systems over a network (statfs(2), linux/magic.h), where the locks of SQLite cannot be relied upon.
const NETWORK: [(i64, &str); 8] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x0102_1997, "9p"),
    (0x00c3_6400, "Ceph"),
    (0x5346_414f, "AFS"),
    (0x0bd0_0bd0, "Lustre"),
];

pub(super) fn of_secrets(context: &Context) -> Vec<Finding> {
    let secrets = &context.loaded.config.secrets;
    let mut findings: Vec<Finding> = secrets
        .iter()
        .filter_map(|(name, secret)| {
            let why = generations::secret(&context.loaded.config, name).err()?;
            let file = secret.file.display();
            let change = if why.contains("others can") {
                format!("`chmod 600 {file}`")
            } else {
                format!("write it alone into {file}, or set secrets.{name}.file")
            };
            Some(problem("secrets", why, change))
        })
        .collect();
    if findings.is_empty() && !secrets.is_empty() {
        findings.push(ok("secrets", secrets.keys().cloned().collect::<Vec<_>>().join(" ")));
    }
    findings
}

pub(super) fn of_cache_dir() -> Finding {
    let check = "compiled plugins";
    let Some(dir) = generations::components_dir() else {
        return warning(
            check,
            "there is no cache directory, so every start compiles them anew",
            "set XDG_CACHE_HOME or HOME",
        );
    };
    match gleaner_runtime::check_cache_dir(&dir) {
        Ok(()) => ok(check, dir.display().to_string()),
        Err(why) => warning(
            check,
            format!("{} is not used: {why}", dir.display()),
            format!("`rm -r {}`, or make it and what is above it writable for you alone", dir.display()),
        ),
    }
}

pub(super) fn of_disk(context: &Context) -> Vec<Finding> {
    let dir = there(context.library_dir());
    let mut findings = Vec::new();
    if let Ok(disk) = rustix::fs::statvfs(&dir) {
        let (free, floor) =
            (disk.f_bavail.saturating_mul(disk.f_frsize), context.loaded.config.content.free_space());
        let what = format!("{} free, content.free-space is {}", bytes(free), ByteSize(floor));
        findings.push(if free < floor {
            let change = "make room (`gleaner library gc` helps), or lower [content] free-space";
            problem("disk", format!("downloads pause: {what}"), change)
        } else {
            ok("disk", what)
        });
    }
    if let Some(kind) = rustix::fs::statfs(&dir).ok().and_then(|fs| network_kind(fs.f_type)) {
        let what = format!("the library is on a network file system ({kind}), whose locks may not hold");
        findings.push(warning("disk", what, "[library] path = \"DIR\" on a disk of this machine"));
    }
    match keeps_what_it_is_given(&dir) {
        Ok(()) => findings.push(ok("fsync", format!("{} can be written to and synced", dir.display()))),
        Err(error) => findings.push(problem(
            "fsync",
            format!("{} cannot be written to and synced: {error}", dir.display()),
            "[library] path = \"DIR\" that you may write to, or --library",
        )),
    }
    findings
}

fn network_kind(number: i64) -> Option<&'static str> {
    // The field is signed on some machines.
    NETWORK.iter().find(|(known, _)| *known == number & 0xffff_ffff).map(|(_, name)| *name)
}

/// The library, or what is there of the way to it.
fn there(dir: &Path) -> PathBuf {
    let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    absolute.ancestors().find(|dir| dir.is_dir()).map_or(absolute.clone(), Path::to_owned)
}

fn keeps_what_it_is_given(dir: &Path) -> std::io::Result<()> {
    let path = dir.join(format!(".gleaner-doctor-{}", std::process::id()));
    let written = File::create_new(&path)
        .and_then(|mut file| file.write_all(b"?").and_then(|()| file.sync_all()))
        .and_then(|()| File::open(dir)?.sync_all());
    let _ = std::fs::remove_file(&path);
    written
}

pub(super) async fn of_library(context: &Context, resolvers: &Resolvers) -> Vec<Finding> {
    let dir = context.library_dir();
    // What is there and is no directory is the library's to complain of.
    if !dir.join(Library::DATABASE).exists() && (dir.is_dir() || !dir.exists()) {
        return vec![ok("database", "none yet; the first run makes it")];
    }
    let health = match context.existing_library() {
        Ok(library) => {
            let health = library.health().await;
            let suspended = context.suspended(&library, resolvers).await.unwrap_or_default();
            health.map(|health| (health, suspended)).map_err(|error| error.to_string())
        }
        Err(failed) => Err(failed.error.to_string()),
    };
    match health {
        Ok((health, suspended)) => {
            let mut findings = of_health(&health, context.now());
            findings.extend(suspended.into_iter().map(|(resolver, until)| {
                let what = format!("{resolver} is suspended until {until}: it failed too often in a row");
                warning("plugins", what, format!("`gleaner queue resume resolver:{resolver}` tries it now"))
            }));
            findings
        }
        Err(why) => {
            vec![problem(
                "database",
                why,
                "--library DIR names another; `gleaner library backup` makes copies",
            )]
        }
    }
}

fn of_health(health: &Health, now: UnixMillis) -> Vec<Finding> {
    let (found, known) = health.schema;
    let mut findings: Vec<Finding> = health
        .problems
        .iter()
        .map(|line| {
            let change = "copy the last `gleaner library backup` back; `gleaner library verify` names all that is wrong";
            problem("database", format!("it is damaged: {line}"), change)
        })
        .collect();
    if findings.is_empty() {
        findings.push(ok("database", format!("schema {found}, sound")));
    }
    if found < known {
        let what = format!("schema {found} is of an earlier version; this one writes {known}");
        findings.push(warning("database", what, "the next `gleaner queue run` brings it up to date"));
    }
    if health.log_bytes > LONG_LOG {
        let what = format!(
            "its log has {}, since somebody reads for long or a run was killed",
            bytes(health.log_bytes)
        );
        findings.push(warning(
            "database",
            what,
            "end other programs that have it open, then `gleaner queue run --drain`",
        ));
    }
    for (process, leases) in &health.dead {
        let what = format!("process {} died and holds {leases} works", process.pid);
        findings.push(warning("leases", what, "the next `gleaner queue run` takes them back"));
    }
    if let Some(newest) = health.newest.filter(|newest| newest.0 - now.0 > AHEAD_MS) {
        let what = format!("it is {now} here, and the library has something of {newest}");
        findings.push(problem("clock", what, "set the clock: `timedatectl set-ntp true`"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::check::State;

    fn health() -> Health {
        Health { schema: (5, 5), problems: Vec::new(), log_bytes: 0, newest: None, dead: Vec::new() }
    }

    /// Which checks find something, of a library like this.
    fn found(health: &Health) -> Vec<(&'static str, State)> {
        let now = UnixMillis(1_700_000_000_000);
        let findings = of_health(health, now).into_iter().filter(|one| one.state != State::Ok);
        findings.map(|one| (one.check, one.state)).collect()
    }

    #[test]
    fn what_a_test_cannot_bring_about_in_a_file_is_found_too() {
        assert_eq!(found(&health()), []);
        let early = Health { schema: (4, 5), ..health() };
        assert_eq!(found(&early), [("database", State::Warning)]);
        let long = Health { log_bytes: LONG_LOG + 1, ..health() };
        assert_eq!(found(&long), [("database", State::Warning)]);
        let ahead = |ms| Health { newest: Some(UnixMillis(1_700_000_000_000 + ms)), ..health() };
        assert_eq!(found(&ahead(AHEAD_MS)), []);
        assert_eq!(found(&ahead(AHEAD_MS + 1)), [("clock", State::Problem)]);
    }

    #[test]
    fn network_file_systems_are_known_by_their_numbers() {
        assert_eq!((network_kind(0x6969), network_kind(0xff53_4d42)), (Some("NFS"), Some("CIFS")));
        assert_eq!(network_kind(i64::from(0xff53_4d42_u32 as i32)), Some("CIFS"));
        assert_eq!(network_kind(0xef53), None, "ext4");
    }
}
