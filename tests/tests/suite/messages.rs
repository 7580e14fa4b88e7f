//! What people are told when something is wrong, whole: `messages.txt` is what the program says in each case.
//!
//! `GLEANER_UPDATE=1` writes the file anew; read the difference as a user would. `cargo xtask check` finds texts that
//! have no example here or in the `messages.txt` of their crate.

use std::fs;
use std::path::{Path, PathBuf};

use gleaner_tests::harness::{Bench, Running, TIMEOUT};
use gleaner_tests::simweb::{Behaviour, Reply, RetryAfter};

use crate::{papers, projects};

/// Configurations that are wrong in one way each; a few are right and name what is not there.
const CONFIGURATIONS: &[(&str, &str)] = &[
    ("key", "[orchestrator]\nwokers = 3\n"),
    ("section", "[libary]\npath = \"x\"\n"),
    ("broken", "[egress\n"),
    ("duration", "[egress]\ntimeout = 30\n"),
    ("duration-text", "[egress]\ntimeout = \"soon\"\n"),
    ("size", "[egress]\nmax-body = \"64MB\"\n"),
    ("workers", "[orchestrator]\nworkers = 500\n"),
    ("heartbeat", "[orchestrator]\nheartbeat = \"1s\"\n"),
    ("lease", "[orchestrator]\nlease-ttl = \"20s\"\n"),
    ("attempts", "[orchestrator]\nmax-attempts = 0\n"),
    ("contact", "contact = \"nobody\"\n"),
    ("rate", "[limits.hosts]\n\"slow.example.org\" = { rate = \"1 per 3 seconds\" }\n"),
    ("rate-number", "[limits]\ndefault-host = { rate = 5 }\n"),
    ("negative", "[limits]\ndefault-host = { concurrency = -1 }\n"),
    ("limit-host", "[limits.hosts]\n\"https://arxiv.org/\" = { concurrency = 1 }\n"),
    ("limit-shared", "[limits.hosts]\n\"*.x.org\" = { shared = [\"y.org\"] }\n"),
    (
        "limit-groups",
        "[limits.hosts]\n\"a.org\" = { shared = [\"c.org\"] }\n\"b.org\" = { shared = [\"c.org\"] }\n",
    ),
    ("width", "[tiers]\nlist = [{ name = \"a\", resolvers = [], width = 17 }]\n"),
    ("resolver-name", "[resolvers.\"No Such\"]\nenabled = true\n"),
    ("resolver-key", "[resolvers.unpaywall]\nenable = true\n"),
    ("resolver-typo", "contact = \"me@example.org\"\n[resolvers.unpaywal]\nenabled = true\n"),
    ("grant", "[resolvers.unpaywall]\ngrants = { hosts = [\"https://api.example.org/\"] }\n"),
    (
        "inject-pattern",
        "[resolvers.unpaywall]\ninject = [{ host = \"*.a.org\", header = \"x-key\", secret = \"k\" }]\n",
    ),
    (
        "inject-header",
        "[resolvers.unpaywall]\ninject = [{ host = \"a.org\", header = \"two words\", secret = \"k\" }]\n",
    ),
    ("inject-both", "[resolvers.unpaywall]\ninject = [{ host = \"a.org\", secret = \"k\" }]\n"),
    (
        "secret",
        "contact = \"me@example.org\"\n[resolvers.unpaywall]\ninject = [{ host = \"a.org\", query = \"k\", secret = \"my-key\" }]\n",
    ),
    ("pin", "contact = \"me@example.org\"\n[resolvers.unpaywall]\nsha256 = \"00\"\n"),
    ("sandbox", "[resolvers.unpaywall]\nsandbox = { memorry = \"8MiB\" }\n"),
    ("accept", "[content]\naccept = []\n"),
    ("sizes", "[content]\nmin-size = \"2KiB\"\nmax-size = \"1KiB\"\n"),
    ("template", "[library]\nname-template = \"{titel}\"\n"),
    ("template-slash", "[library]\nname-template = \"../{title}\"\n"),
    ("template-brace", "[library]\nname-template = \"{title\"\n"),
    ("template-bare", "[library]\nname-template = \"title\"\n"),
    ("port", "[egress]\nconnect-to = { \"doi.org\" = \"127.0.0.1:1\" }\n"),
    ("address", "[egress]\nconnect-to = { \"10.0.0.1:443\" = \"127.0.0.1:1\" }\n"),
    ("target", "[egress]\nconnect-to = { \"doi.org:443\" = \"localhost:1\" }\n"),
    ("certificates", "contact = \"me@example.org\"\n[egress]\nextra-ca-certs = [\"nowhere.pem\"]\n"),
    ("certificate", "contact = \"me@example.org\"\n[egress]\nextra-ca-certs = [\"afile\"]\n"),
    ("busy", "[queue]\nbusy-timeout = \"5 seconds\"\n"),
    ("plain", ""),
    (
        "golden-memory",
        "contact = \"me@example.org\"\n[resolvers.golden]\ngrants = { hosts = [\"*\"] }\nsandbox = { memory = \"1MiB\" }\n",
    ),
    (
        "golden-some",
        "contact = \"me@example.org\"\n[resolvers.golden]\ngrants = { hosts = [\"api.example.org\"] }\n",
    ),
    (
        "golden-all",
        "contact = \"me@example.org\"\n[resolvers.golden]\ngrants = { hosts = [\"*.example.org\"] }\n",
    ),
    ("golden-none", "contact = \"me@example.org\"\n# ours\n"),
    ("golden-pinned", "contact = \"me@example.org\"\n[resolvers.golden]\nsidecar-sha256 = \"00\"\n"),
    (
        "secret-file",
        "contact = \"me@example.org\"\n[secrets]\nmy-key = { file = \"afile\" }\n[resolvers.unpaywall]\n\
         inject = [{ host = \"a.org\", query = \"k\", secret = \"my-key\" }]\n",
    ),
    ("golden-off", "[resolvers.golden]\nenabled = false\n"),
];

/// Commands by what is wrong. A word in capitals with a `=` in front is a variable.
const CASES: &[(&str, &[&str])] = &[
    (
        "usage",
        &[
            "get",
            "get --max-wait 30 10.5555/x",
            "queue enqueue",
            "queue show nobody",
            "queue run --workers 0",
            "queue run --workers 500",
            "queue run --max-per-host 0",
            "queue run --max-per-resolver unpaywall",
            "queue run --max-per-resolver unpaywall=0",
            "queue run --max-per-resolver Un=2",
            "queue run --max-wait 30",
            "queue list --state lost",
            "queue retry-failed --reason bad",
            "queue retry-failed --state done",
            "queue retry-failed --host a/b",
            "queue retry-failed --older-than 5",
            "resolve 12",
            "resolve 10.5555/paper.1 --resolver nix",
            "plugin inspect nix",
            "library export --output nowhere/manifest.jsonl",
            "man --output afile/pages",
            "--format xml queue stats",
            "-q -v queue stats",
            "frobnicate",
        ],
    ),
    (
        "input",
        &[
            "get nonsense 9659853 doi:10.5555/",
            "get --input missing.txt",
            "get --input folder",
            "get --input list.txt",
            "queue import works.jsonl",
            "queue import missing.jsonl",
            "queue import several.jsonl",
        ],
    ),
    (
        "configuration",
        &[
            "--config nowhere.toml config check",
            "--config folder config check",
            "--config plain.toml get 10.5555/x",
            "--config plain.toml config check",
            "GLEANER_ORCHESTRATOR__WORKERS=many config check",
            "GLEANER_CONTACT=nobody config check",
            "GLEANER_CONTCT=me@example.org queue stats",
            "GLEANER_LOG=gleaner=louder queue stats",
            "--config none.toml get 10.5555/paper.1",
            "GLEANER_LOG_FORMAT=xml queue stats",
            "GLEANER_FAULT=nowhere:1 queue stats",
        ],
    ),
    (
        "library",
        &[
            "--library nowhere queue stats",
            "--library afile queue stats",
            "--library afile queue enqueue 10.5555/x",
            "--library afile/below queue enqueue 10.5555/x",
            "--library newer queue stats",
            "--library newer queue enqueue 10.5555/x",
            "--library text queue stats",
            "--library garbage queue stats",
            "--library folders queue stats",
            "--library folders queue enqueue 10.5555/x",
            "--library unreadable queue show 1",
            "--library changed library verify",
        ],
    ),
    (
        "plugins",
        &[
            "--plugins nowhere plugin list",
            "plugin inspect bad/text.wasm",
            "plugin inspect bad/core.wasm",
            "plugin inspect folder",
            "plugin check bad/text.wasm",
            "plugin check nix",
            "--config plain.toml plugin check mine/golden.wasm",
            "--config golden-memory.toml plugin check mine/golden.wasm",
            "--config golden-some.toml plugin check mine/golden.wasm",
            "--config golden-some.toml --plugins mine plugin check golden.wasm",
            "--config golden-all.toml plugin check mine/golden.wasm",
            "--config golden-off.toml plugin check mine/golden.wasm",
            "--config plain.toml plugin inspect mine/golden.wasm",
            "--config golden-off.toml plugin inspect mine/golden.wasm",
            "--config golden-pinned.toml plugin check mine/golden.wasm",
            "--config golden-none.toml --plugins mine plugin grant golden",
            "--config golden-none.toml --plugins mine plugin grant golden --hosts https://a.org/",
            "--config golden-none.toml --plugins mine plugin grant golden --hosts api.example.org --yes",
            "--config golden-none.toml --plugins side plugin grant golden",
            "--config golden-none.toml --plugins side plugin check golden",
            "--config golden-none.toml --plugins side plugin inspect golden",
            "--config golden-none.toml --plugins side plugin grant golden --yes",
            "--config golden-none.toml --plugins side plugin grant golden",
            "--config golden-none.toml --plugins side plugin grant golden --revoke --hosts b.org --yes",
            "--config golden-none.toml --plugins side plugin grant golden --revoke --yes",
            "--config golden-none.toml --plugins broken plugin check golden",
            "--config golden-none.toml plugin grant nobody",
            "--config golden-none.toml --plugins bad plugin grant cut",
            "GLEANER_RESOLVERS__GOLDEN__GRANTS={} --config golden-none.toml --plugins mine plugin grant golden --yes",
            "--plugins bad config check",
            "--plugins bad get 10.5555/paper.1",
        ],
    ),
    ("projects", projects::CASES),
    (
        "queue",
        &[
            "queue explain nobody",
            "queue explain 10.5555/paper.1",
            "queue explain 10.5555/paper.2",
            "queue explain 10.5555/one",
            "queue explain 10.5555/two",
            "queue explain 10.5555/later",
            "queue pause plan",
            "queue pause unpaywall",
            "queue pause a/b",
            "queue pause pres.example.org",
            "queue pause resolver:unpaywall",
            "queue explain 10.5555/one",
            "queue resume resolver:unpaywall",
            "queue resume pres.example.org",
            "queue limit export.arxiv.org",
            "queue limit resolver:unpaywall --concurrency 0",
            "queue limit resolver:unpaywall --rate 5",
            "queue limit resolver:unpaywall --rate 1/3s",
            "queue explain 10.5555/two",
            "queue limit resolver:unpaywall --reset",
            "queue keys",
            "queue enqueue 10.5555/x --priority high",
            "queue enqueue 10.5555/x --not-before tomorrow",
            "queue import turns.jsonl",
            "queue cancel",
            "queue cancel nobody 10.5555/paper.1 10.5555/two --input cancel.txt",
            "queue explain 10.5555/two",
            "queue purge",
            "queue purge --older-than 0s --state done",
            "queue purge --older-than 0s --dry-run",
        ],
    ),
    (
        "backup",
        &[
            "--library nowhere library backup copy",
            "library backup copy",
            "library backup copy",
            "library backup folder-in-use",
            "library backup afile",
            "library backup interrupted",
            "--library lost library backup lost-copy",
            "library backup afile/below",
        ],
    ),
    ("run", &["get 10.5555/paper.2", "get 10.5555/paper.3 --max-wait 5s", "queue retry-failed --dry-run"]),
];

/// A bench with one file, one failure, and files that are wrong in every way.
fn bench() -> Bench {
    let bench = papers::bench(3);
    bench.sim().set(&papers::url(2), Reply::html("A page"));
    bench.run(&["get", &papers::doi(1), &papers::doi(2)]).expect_code(1);
    bench.run(&["queue", "enqueue", "10.5555/one", "pmid:1", "10.5555/two"]).expect_code(0);
    bench.run(&["queue", "enqueue", "10.5555/later", "--not-before", "2h"]).expect_code(0);
    for (name, text) in CONFIGURATIONS {
        bench.file(&format!("{name}.toml"), text);
    }
    let off = bench.bundled_names().into_iter().map(|name| format!("[resolvers.{name}]\nenabled = false\n"));
    bench.file("none.toml", &format!("contact = \"me@example.org\"\n{}", off.collect::<String>()));
    inputs(&bench);
    plugins(&bench);
    projects::write(&bench);
    libraries(&bench);
    let slow = Behaviour::of_host().first(1, Reply::too_many(RetryAfter::Seconds(3600)));
    bench.sim().change(|world| {
        world.set_host(papers::PRESS, slow);
    });
    bench
}

fn inputs(bench: &Bench) {
    bench.file("afile", "");
    fs::create_dir(bench.path("folder")).unwrap();
    let mut list = "10.5555/paper.1\n\nnonsense\n9659853\n10.5555/two words\nhttps://nodot/x\n10/\npmid:x\narxiv:x\nPMCx\n"
        .as_bytes()
        .to_vec();
    list.extend_from_slice(b"\xff\xfe\n{\"doi\":7}\n");
    list.extend(std::iter::repeat_n(b'x', (1 << 20) + 1));
    fs::write(bench.path("list.txt"), list).unwrap();
    bench.file(
        "works.jsonl",
        "{\"doi\":\"10.5555/paper.1\"}\n[]\n{\n{\"title\":\"No name\"}\n{\"doi\":7}\n{\"doi\":{}}\n{\"doi\":\"10.5555/x\",\"year\":\"soon\"}\n\
         {\"artifact_id\":\"\"}\n{\"doi\":\"10.5555/x\",\"resolver_hint\":\"No Such\"}\n",
    );
    bench.file(
        "turns.jsonl",
        "{\"doi\":\"10.5555/x\",\"priority\":\"high\"}\n{\"doi\":\"10.5555/x\",\"not_before\":5}\n",
    );
    bench.file("cancel.txt", "# unwanted\nnobody else\n{\"x\":1}\n{\n");
    fs::create_dir_all(bench.path("folder-in-use/folder")).unwrap();
    fs::create_dir_all(bench.path("interrupted/backup.unfinished")).unwrap();
    bench.file("several.jsonl", "{\"doi\":\"10.5555/one\",\"pmid\":1}\n");
}

fn plugins(bench: &Bench) {
    let folder = bench.path("bad");
    fs::create_dir_all(folder.join("folder.wasm")).unwrap();
    let good = fs::read(bench.bundled().join("arxiv.wasm")).unwrap();
    for (name, bytes) in [
        ("text", &b"not a component"[..]),
        ("empty", b""),
        ("core", b"\0asm\x01\0\0\0"),
        ("odd", b"\0asm\x0c\0\x01\0"),
        ("world", b"\0asm\x0d\0\x01\0"),
        ("page", b"<!doctype html>"),
        ("wat", b"(component)"),
        ("cut", b"\0asm\x0d\0\x01\0\0\x80\x01abc"),
        ("again", &good),
    ] {
        fs::write(folder.join(format!("{name}.wasm")), bytes).unwrap();
    }
    // The kept component: its size and its digest never change.
    let golden =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/runtime/tests/golden/resolver-0.1.0.wasm");
    for (dir, sidecar) in [
        ("mine", ""),
        (
            "side",
            "hosts = [\"*.example.org\", \"b.org:8443\"]\nsandbox = { memory = \"128MiB\", requests = 64 }\n",
        ),
        ("broken", "hosts = []\nhost = []\n"),
    ] {
        fs::create_dir(bench.path(dir)).unwrap();
        if !sidecar.is_empty() {
            bench.file(&format!("{dir}/golden.toml"), sidecar);
        }
    }
    for place in ["mine/golden.wasm", "side/golden.wasm", "broken/golden.wasm", "golden.wasm"] {
        fs::copy(&golden, bench.path(place)).unwrap();
    }
}

/// Copies of the library that something has happened to.
fn libraries(bench: &Bench) {
    let database = |name: &str| {
        copy(&bench.library(), &bench.path(name));
        bench.path(name).join("library.db")
    };
    let patch = |path: PathBuf, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        fs::write(path, bytes).unwrap();
    };
    // The header of SQLite's file format, section 1.3: `user_version` is at 60.
    patch(database("newer"), &|bytes| bytes[60..64].copy_from_slice(&[0, 0, 0, 99]));
    patch(database("text"), &|bytes| *bytes = b"a text, and no database".repeat(50));
    patch(database("garbage"), &|bytes| bytes[100..].fill(0xff));
    // A plan that no version could have written.
    patch(database("unreadable"), &|bytes| {
        while let Some(at) = bytes.windows(8).position(|window| window == b"\"is\":\"an") {
            bytes[at..at + 8].copy_from_slice(b"\"is\":\"no");
        }
    });
    let folders = bench.path("folders/library.db");
    fs::create_dir_all(folders).unwrap();
    database("lost");
    files_below(&bench.path("lost/blobs")).iter().for_each(|blob| fs::remove_file(blob).unwrap());
    database("changed");
    for blob in files_below(&bench.path("changed/blobs")) {
        fs::remove_file(&blob).unwrap();
        fs::write(&blob, "changed").unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

fn transcript(bench: &Bench) -> String {
    let configurations: Vec<_> =
        CONFIGURATIONS.iter().map(|(name, _)| format!("--config {name}.toml config check")).collect();
    let mut text = String::new();
    for (title, cases) in CASES {
        text.push_str(&format!("# {title}\n\n"));
        cases.iter().for_each(|case| text.push_str(&said(bench, case)));
        if *title == "configuration" {
            let rest = configurations.iter().filter(|case| !cases.contains(&case.as_str()));
            rest.for_each(|case| text.push_str(&said(bench, case)));
        }
    }
    text
}

/// One command and all that it says, without what differs from run to run.
fn said(bench: &Bench, case: &str) -> String {
    let folder = bench.path("");
    let mut gleaner = bench.bare();
    gleaner.current_dir(&folder);
    let words: Vec<&str> = case.split(' ').collect();
    let is_variable = |word: &&str| word.contains('=') && word.starts_with("GLEANER_");
    for (name, value) in words.iter().filter(|word| is_variable(word)).filter_map(|word| word.split_once('='))
    {
        gleaner.env(name, value);
    }
    if let Some(project) = case.strip_prefix("plugin build ") {
        let project = project.split(' ').next().unwrap_or_default();
        gleaner.env("PATH", projects::search_path(bench, project)).env_remove("RUSTC");
    }
    if !case.contains("--library") {
        gleaner.args(["--library", "library"]);
    }
    if !case.contains("--config") {
        gleaner.args(["--config", "gleaner.toml"]);
    }
    gleaner.args(words.iter().filter(|word| !is_variable(word)));
    let output = Running::of(gleaner).wait(TIMEOUT);
    let code = output.code.map_or("none".to_owned(), |code| code.to_string());
    let all = [output.stderr.trim_end(), output.stdout.trim_end()].join("\n");
    // Counts that a slow machine shows on the way.
    let is_progress = |line: &&str| line.contains(" done, ") && !line.contains(" queued");
    let lines: Vec<_> =
        all.lines().filter(|line| !is_progress(line)).map(|line| steady(line, bench)).collect();
    format!("$ gleaner {case}\n{}\n[exit {code}]\n\n", lines.join("\n").trim())
}

/// The line without the machine's folders, moments, times and digests.
fn steady(line: &str, bench: &Bench) -> String {
    let line = line.trim_end().replace(&bench.path("").display().to_string(), "DIR/");
    let line = line.replace(&bench.bundled().parent().unwrap().display().to_string(), "TARGET");
    let mut before = "";
    let words = line.split(' ').map(|word| {
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        let is_moment =
            digits >= 14 && word.contains('T') && word.trim_end_matches(['.', ',']).ends_with('Z');
        let (folder, name) = word.rsplit_once('/').unwrap_or(("", word));
        let digits = name.trim_end_matches([',', ';']);
        let is_digest = digits.len() >= 62 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        let is_time = before == "in" && word.parse::<f64>().is_ok();
        let is_hash = before == "hash:";
        // How many are bundled is nobody's mistake.
        let is_time = is_time || before == "resolvers:";
        before = word;
        match (is_moment, is_digest || is_hash, is_time) {
            (true, ..) => "MOMENT".to_owned(),
            (_, true, _) if folder.is_empty() => format!("DIGEST{}", &name[digits.len()..]),
            (_, true, _) => "BLOB".to_owned(),
            (.., true) => "N".to_owned(),
            _ => word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn messages_are_as_they_were_read_and_approved() {
    let now = transcript(&bench());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/messages.txt");
    if std::env::var_os("GLEANER_UPDATE").is_some() {
        fs::write(&path, &now).unwrap();
    }
    let approved = fs::read_to_string(&path).unwrap_or_default();
    for (now, approved) in now.split("\n\n$ ").zip(approved.split("\n\n$ ")) {
        assert_eq!(now, approved, "read it as a user; GLEANER_UPDATE=1 approves it");
    }
    assert_eq!(now.len(), approved.len(), "a case was added or removed; GLEANER_UPDATE=1 approves it");
}
