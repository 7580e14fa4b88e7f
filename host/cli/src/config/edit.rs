//! Changing one resolver's section in a configuration file, and nothing else of it: comments, order and spacing stay.
//!
//! Must never leave half a file behind, nor write over what somebody else has written meanwhile. Whether the new text is
//! a valid configuration is for the caller to see before it replaces the old one.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use gleaner_model::key::ResolverName;
use gleaner_orchestrator::config::GrantedHost;
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, TableLike, Value};

/// What a resolver's section is to say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// `grants.hosts`, the whole list.
    pub(crate) hosts: Option<Vec<String>>,
    /// Of `sandbox`: the limit's name and value.
    pub(crate) limits: Vec<(&'static str, String)>,
    /// The pins: `sha256`, `sidecar-sha256`.
    pub(crate) pins: Vec<(&'static str, String)>,
}

impl Change {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// As lines that could stand at the top of a file.
    pub(crate) fn lines(&self, name: &ResolverName) -> Vec<String> {
        let hosts = self.hosts.iter().map(|hosts| {
            let hosts: Array = hosts.iter().map(String::as_str).collect();
            format!("grants.hosts = {}", Value::from(hosts))
        });
        let limits =
            self.limits.iter().map(|(limit, text)| format!("sandbox.{limit} = {}", number_or_text(text)));
        let pins = self.pins.iter().map(|(pin, digest)| format!("{pin} = {digest:?}"));
        hosts.chain(limits).chain(pins).map(|line| format!("resolvers.{name}.{line}")).collect()
    }

    /// The text of a configuration file with this change in it. The error says what is in its way.
    pub(crate) fn apply(&self, text: &str, name: &ResolverName) -> Result<String, String> {
        let mut document: DocumentMut =
            text.parse().map_err(|error: toml_edit::TomlError| error.to_string())?;
        let is_first = document.is_empty();
        let mut group = Table::new();
        group.set_implicit(true);
        let resolvers = inner(document.as_table_mut(), "resolvers", Item::Table(group))?;
        let mut own = Table::new();
        own.decor_mut().set_prefix(if is_first { "" } else { "\n" });
        let section = inner(resolvers, name.as_str(), Item::Table(own))?;
        let inline = || Item::Value(InlineTable::new().into());
        if let Some(hosts) = &self.hosts {
            write_hosts(inner(section, "grants", inline())?, hosts);
        }
        if !self.limits.is_empty() {
            let sandbox = inner(section, "sandbox", inline())?;
            for (limit, text) in &self.limits {
                write(sandbox, limit, number_or_text(text));
            }
        }
        for (pin, digest) in &self.pins {
            write(section, pin, digest.as_str().into());
        }
        Ok(document.to_string())
    }
}

/// The table under that key, made as `new` where there is none.
fn inner<'a>(outer: &'a mut dyn TableLike, key: &str, new: Item) -> Result<&'a mut dyn TableLike, String> {
    if !outer.contains_key(key) {
        outer.insert(key, new);
    }
    let table = outer.get_mut(key).and_then(Item::as_table_like_mut);
    table.ok_or_else(|| format!("{key} is no table there"))
}

/// Keeps what is said beside the value.
fn write(table: &mut dyn TableLike, key: &str, mut value: Value) {
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(old) => {
            *value.decor_mut() = old.decor().clone();
            *old = value;
        }
        None => drop(table.insert(key, Item::Value(value))),
    }
}

/// Takes hosts out of the list and adds others behind it; those that stay keep their places and comments.
fn write_hosts(grants: &mut dyn TableLike, hosts: &[String]) {
    let spelt = |value: &Value| {
        let text = value.as_str().unwrap_or_default().to_owned();
        GrantedHost::try_from(text).map(|host| host.to_string()).unwrap_or_default()
    };
    let Some(list) = grants.get_mut("hosts").and_then(Item::as_array_mut) else {
        let list: Array = hosts.iter().map(String::as_str).collect();
        grants.insert("hosts", Item::Value(list.into()));
        return;
    };
    list.retain(|value| hosts.contains(&spelt(value)));
    let known: Vec<String> = list.iter().map(spelt).collect();
    // As the one before begins: on a line of its own, or behind a space.
    let prefix = list.iter().last().and_then(|last| last.decor().prefix()?.as_str()).unwrap_or_default();
    let own_line = prefix.rfind('\n').map(|start| prefix[start..].to_owned());
    for host in hosts.iter().filter(|host| !known.contains(host)) {
        match &own_line {
            Some(prefix) => list.push_formatted(Value::from(host.as_str()).decorated(prefix, "")),
            None => list.push(host.as_str()),
        }
    }
}

fn number_or_text(text: &str) -> Value {
    text.parse::<i64>().map_or_else(|_| Value::from(text), Value::from)
}

/// Between two looks whether another process is done with the directory, and how many.
const LOOK: (Duration, usize) = (Duration::from_millis(50), 100);

/// Puts `after` in the place of a file that says `before` (none: that is not there), whole or not at all. Links to it stay
/// links. The error says why nothing was written.
pub(crate) async fn replace(path: &Path, before: Option<&str>, after: &str) -> Result<(), String> {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = real.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let said = |error: io::Error| format!("cannot write {}: {error}; nothing was changed", path.display());
    // Held until this returns: two of us cannot both find the file as they knew it.
    let lock = File::open(folder).map_err(said)?;
    hold(&lock).await.map_err(said)?;
    let now = match fs::read_to_string(&real) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(said(error)),
    };
    if now.as_deref() != before {
        return Err(format!(
            "{} has changed meanwhile, and nothing was written; run this again",
            path.display()
        ));
    }
    let name = real.file_name().unwrap_or_default().to_string_lossy();
    let new = folder.join(format!(".{name}.{}.new", std::process::id()));
    let result = write_whole(&new, &real, after).and_then(|()| fs::rename(&new, &real));
    if result.is_err() {
        // What is left of it is of no use to anybody.
        let _ = fs::remove_file(&new);
    }
    result.and_then(|()| lock.sync_all()).map_err(said)
}

async fn hold(folder: &File) -> io::Result<()> {
    let (pause, looks) = LOOK;
    for _ in 0..looks {
        match folder.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(pause).await,
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::other("another process is changing files in its directory"))
}

/// Written and synced, with the owner and the rights of the file that it replaces.
fn write_whole(new: &Path, old: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(new)?;
    if let Ok(meta) = fs::metadata(old) {
        // Only root may give files away; whoever cannot has his own file then.
        let _ = std::os::unix::fs::fchown(&file, Some(meta.uid()), Some(meta.gid()));
        file.set_permissions(Permissions::from_mode(meta.permissions().mode() & 0o7777))?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> ResolverName {
        ResolverName::new("x").unwrap()
    }

    fn hosts(hosts: &[&str]) -> Change {
        Change { hosts: Some(hosts.iter().map(|&host| host.to_owned()).collect()), ..Change::default() }
    }

    /// However the section is written, only what has to change changes.
    #[test]
    fn a_change_is_written_where_the_section_stands() {
        for (before, after) in [
            ("", "[resolvers.x]\ngrants = { hosts = [\"a.b\"] }\n"),
            (
                "# mine\ncontact = \"a@b.c\" # me\n",
                "# mine\ncontact = \"a@b.c\" # me\n\n[resolvers.x]\ngrants = { hosts = [\"a.b\"] }\n",
            ),
            (
                "[resolvers.x] # ours\n# why\nenabled = true\n\n[egress]\ntimeout = \"9s\"\n",
                "[resolvers.x] # ours\n# why\nenabled = true\ngrants = { hosts = [\"a.b\"] }\n\n[egress]\ntimeout = \"9s\"\n",
            ),
            ("resolvers.x.grants.hosts = [\"B.c\"] # one\n", "resolvers.x.grants.hosts = [\"a.b\"] # one\n"),
            (
                "[resolvers]\nx = { grants = { hosts = [\"a.b\", \"c.d\"] } }\n",
                "[resolvers]\nx = { grants = { hosts = [\"a.b\"] } }\n",
            ),
            (
                "[resolvers.y]\nenabled = false\n[limits]\n",
                "[resolvers.y]\nenabled = false\n\n[resolvers.x]\ngrants = { hosts = [\"a.b\"] }\n[limits]\n",
            ),
            ("[resolvers.x.grants]\nhosts = []\n", "[resolvers.x.grants]\nhosts = [\"a.b\"]\n"),
        ] {
            assert_eq!(hosts(&["a.b"]).apply(before, &name()).unwrap(), after, "{before}");
        }
        assert!(hosts(&[]).apply("resolvers = 1\n", &name()).unwrap_err().contains("resolvers is no table"));
        assert!(hosts(&[]).apply("[", &name()).is_err());
    }

    #[test]
    fn hosts_on_lines_of_their_own_keep_their_comments() {
        let before = "[resolvers.x]\ngrants.hosts = [\n  # the api\n  \"a.b\",\n  \"c.d\", # files\n]\n";
        let after = hosts(&["a.b", "c.d", "e.f"]).apply(before, &name()).unwrap();
        assert!(after.contains("# the api\n  \"a.b\",\n  \"c.d\"") && after.contains("# files"), "{after}");
        assert!(after.contains("\n  \"e.f\""), "{after}");
        toml::from_str::<toml::Table>(&after).unwrap();
    }

    #[test]
    fn limits_and_pins_keep_what_is_said_beside_them() {
        let change = Change {
            hosts: None,
            limits: vec![("memory", "128MiB".into()), ("requests", "64".into())],
            pins: vec![("sha256", "00".into())],
        };
        let before = "[resolvers.x]\nsandbox = { memory = \"1MiB\" }\nsha256 = \"11\" # of May\n";
        let after =
            "[resolvers.x]\nsandbox = { memory = \"128MiB\", requests = 64 }\nsha256 = \"00\" # of May\n";
        let written = change.apply(before, &name()).unwrap();
        assert_eq!(written.replace("\"128MiB\" ,", "\"128MiB\","), after);
        let lines = change.lines(&name());
        assert_eq!(lines[0], "resolvers.x.sandbox.memory = \"128MiB\"");
        toml::from_str::<toml::Table>(&lines.join("\n")).unwrap();
    }

    /// Whatever stands in a file, the change is in it afterwards or it is refused.
    #[test]
    fn a_mutated_file_has_the_change_or_is_refused() {
        let seeds = [
            "# c\n[resolvers.x]\ngrants = { hosts = [\"a.b\", # d\n \"c.d\"] }\nsandbox.memory = \"1MiB\"\n",
            "resolvers.x.grants.hosts = [\"a.b\"]\n[resolvers]\ny = { enabled = true }\n[[z]]\n",
        ];
        gleaner_testing::each_mutation(&seeds, |text| {
            let Ok(after) = hosts(&["a.b", "e.f"]).apply(text, &name()) else { return };
            // What is no configuration before may be none afterwards; the loader sees that.
            if let Ok(table) = toml::from_str::<toml::Table>(&after) {
                let list = &table["resolvers"]["x"]["grants"]["hosts"];
                assert!(list.as_array().unwrap().iter().any(|host| host.as_str() == Some("e.f")), "{after}");
            }
        });
    }

    #[tokio::test]
    async fn a_file_is_replaced_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real.toml"), dir.path().join("link.toml"));
        replace(&real, None, "a = 1\n").await.unwrap();
        fs::set_permissions(&real, Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("real.toml", &link).unwrap();
        replace(&link, Some("a = 1\n"), "a = 2\n").await.unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
        let refused = replace(&real, Some("a = 1\n"), "a = 3\n").await.unwrap_err();
        assert!(refused.contains("has changed meanwhile"), "{refused}");
        assert!(replace(&real, None, "a = 3\n").await.is_err());
        assert_eq!(fs::read_to_string(&link).unwrap(), "a = 2\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        assert!(
            replace(&dir.path().join("none/x.toml"), None, "")
                .await
                .unwrap_err()
                .contains("nothing was changed")
        );
    }
}
