//! What plugins ask for and what the operator grants: `plugin grant`, sidecars, pins, secrets from files.
//!
//! The guest `hostile` asks for one host by itself and for more in its sidecar; whether it gets them is seen in the
//! simulated web and not in what the program says of itself.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use gleaner_tests::harness::{Bench, Output, Running, Signal, TIMEOUT};
use gleaner_tests::simweb::{Reply, World};
use serde_json::{Value, json};

use crate::guard::{call, fetch};
use crate::holdings::{self, get, sha256, text, walk};
use crate::papers::json;
use crate::queue_commands::wait_until;

const FILES: &str = "https://files.example.org/x";
const OTHER: &str = "https://other.example.org/x";
const PORT: &str = "https://files.example.org:8443/x";

/// A bench whose only plugin beside the bundled ones is `hostile`, in a directory of its own.
struct Third {
    bench: Bench,
    dir: PathBuf,
}

impl Third {
    fn new() -> Self {
        let mut world = World::new();
        for url in [FILES, OTHER, PORT] {
            world.set(url, Reply::bytes("text/plain", "granted"));
        }
        let mut bench = Bench::new(world);
        let dir = bench.path("third");
        fs::create_dir(&dir).unwrap();
        fs::copy(bench.guests().join("hostile.wasm"), dir.join("hostile.wasm")).unwrap();
        bench.plugins(&dir);
        Self { bench, dir }
    }

    fn sidecar(&self, text: &str) {
        fs::write(self.dir.join("part"), text).unwrap();
        fs::rename(self.dir.join("part"), self.dir.join("hostile.toml")).unwrap();
    }

    fn config(&self) -> String {
        fs::read_to_string(self.bench.path("gleaner.toml")).unwrap()
    }

    /// Adds to the configuration as an operator would, by hand.
    fn write_by_hand(&self, more: &str) {
        self.bench.file("gleaner.toml", &format!("{}{more}", self.config()));
    }

    fn grant(&self, args: &[&str]) -> Output {
        self.bench.run(&[&["plugin", "grant", "hostile"], args].concat())
    }

    /// Whether the guest reaches that URL, asked by a job of its own.
    fn reaches(&self, url: &str, mark: &str) -> bool {
        let doi = fetch(&format!("{url}?{mark}"));
        self.bench.run(&["--format", "json", "get", &doi]);
        match text(&call(&self.bench, &doi), "reason") {
            "denied" => false,
            "ok" => true,
            reason => panic!("{url}: {reason}"),
        }
    }

    fn inspect(&self) -> Value {
        json(&self.bench, &["plugin", "inspect", "hostile"])
    }
}

#[test]
fn what_is_granted_is_reached_and_nothing_else() {
    let third = Third::new();
    third.sidecar("hosts = [\"*.example.org\"]\n");
    assert!(!third.reaches(FILES, "denied"));
    // Shown, and not written without being told to.
    let shown = third.grant(&[]).expect_code(2);
    assert!(shown.stderr.contains("nothing was written; give --yes"), "{}", shown.stderr);
    assert!(shown.stdout.contains("host *.example.org") && shown.stdout.contains("not granted"));
    assert!(!third.config().contains("grants"));
    assert!(!third.reaches(FILES, "still-denied"));

    // A part of it.
    let answer = third.bench.run(&[
        "--format",
        "json",
        "plugin",
        "grant",
        "hostile",
        "--hosts",
        "files.example.org",
        "--yes",
    ]);
    let answer = answer.expect_code(0);
    let document: Value = serde_json::from_str(answer.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&document["change"], &document["written"]),
        (&json!(["resolvers.hostile.grants.hosts = [\"files.example.org\"]"]), &json!(true))
    );
    assert!(third.reaches(FILES, "granted") && !third.reaches(OTHER, "not-granted"));
    assert_eq!(third.inspect()["not_granted"], json!(["*.example.org"]));

    // All of it, then nothing.
    third.grant(&["--yes"]).expect_code(0);
    assert!(third.reaches(OTHER, "all"));
    assert!(third.grant(&[]).expect_code(0).stdout.contains("nothing is to be changed"));
    third.grant(&["--revoke", "--hosts", "*.example.org", "--yes"]).expect_code(0);
    assert!(third.reaches(FILES, "part-left") && !third.reaches(OTHER, "part-gone"));
    let refused = third.grant(&["--revoke", "--hosts", "other.example.org", "--yes"]).expect_code(2);
    assert!(refused.stderr.contains("is not granted as such"), "{}", refused.stderr);
    third.grant(&["--revoke", "--yes"]).expect_code(0);
    assert!(!third.reaches(FILES, "revoked") && !third.reaches(OTHER, "revoked"));
}

#[test]
fn a_port_is_asked_for_and_granted_as_such() {
    let mut third = Third::new();
    let config: toml::Table = third.config().parse().unwrap();
    let web = config["egress"]["connect-to"]["*:443"].to_string();
    third.bench.configure(&format!("egress.connect-to.\"*:8443\" = {web}"));
    third.sidecar("hosts = [\"files.example.org:8443\"]\n");
    third.grant(&["--hosts", "files.example.org", "--yes"]).expect_code(0);
    assert!(!third.reaches(PORT, "another-port"));
    third.grant(&["--yes"]).expect_code(0);
    assert!(third.reaches(PORT, "granted"));
}

/// By hand, or by a terminal that somebody sits at.
#[test]
fn comments_order_and_what_others_wrote_are_kept() {
    let third = Third::new();
    third.write_by_hand(
        "\n# ours, see the wiki\n[resolvers.hostile] # third party\n# asked on Monday\nsettings = { colour = \"blue\" } # as agreed\n\n\
         [resolvers.unpaywall]\n# by hand\nsandbox = { requests = 9 }\n",
    );
    let before = third.config();
    third.grant(&["--yes"]).expect_code(0);
    let added = "grants = { hosts = [\"files.example.org\"] }\n";
    let after = third.config();
    assert_eq!(after.replace(added, ""), before, "{after}");
    let section = after.split("[resolvers.hostile]").nth(1).unwrap();
    assert!(section.split("[resolvers.unpaywall]").next().unwrap().contains(added), "{after}");
    // By way of a link, it stays a link.
    fs::rename(third.bench.path("gleaner.toml"), third.bench.path("real.toml")).unwrap();
    symlink("real.toml", third.bench.path("gleaner.toml")).unwrap();
    third.grant(&["--revoke", "--yes"]).expect_code(0);
    assert!(third.bench.path("gleaner.toml").is_symlink());
    assert_eq!(third.config().replace("grants = { hosts = [] }\n", ""), before);
}

/// Answers a question on a terminal with what it was told, and repeats all that was said.
const TERMINAL: &str = "import pty, os, sys
pid, fd = pty.fork()
if pid == 0: os.execv(sys.argv[2], sys.argv[2:])
said, asked = b'', False
while True:
    try: more = os.read(fd, 4096)
    except OSError: break
    if not more: break
    said += more
    if b'[y/N] ' in said and not asked:
        asked = True
        os.write(fd, sys.argv[1].encode() + b'\\n')
sys.stdout.buffer.write(said)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))";

#[test]
fn a_terminal_is_asked() {
    let third = Third::new();
    let asked = |answer| {
        let tool = ["python3", "-c", TERMINAL, answer];
        third.bench.spawn_under(&tool, &["plugin", "grant", "hostile"]).wait(TIMEOUT).expect_code(0).stdout
    };
    let said = asked("");
    assert!(said.contains("gleaner.toml? [y/N]") && said.contains("nothing was written"), "{said}");
    assert!(!third.config().contains("grants"));
    let said = asked("y");
    assert!(said.contains("written to ") && said.contains("resolvers.hostile.grants.hosts = "), "{said}");
    assert!(third.reaches(FILES, "granted"));
}

#[test]
fn a_configuration_is_made_where_it_would_be_looked_for() {
    let third = Third::new();
    let gleaner = |args: &[&str]| {
        let mut command = third.bench.bare();
        command.arg("--library").arg(third.bench.path("new/library")).arg("--plugins").arg(&third.dir);
        command.args(args);
        Running::of(command).wait(TIMEOUT)
    };
    fs::create_dir(third.bench.path("new")).unwrap();
    gleaner(&["plugin", "grant", "hostile", "--yes"]).expect_code(0);
    let made = fs::read_to_string(third.bench.path("new/gleaner.toml")).unwrap();
    assert_eq!(made, "[resolvers.hostile]\ngrants = { hosts = [\"files.example.org\"] }\n");
    // The one that is read is the one that is written.
    let shown = gleaner(&["--format", "json", "plugin", "inspect", "hostile"]).expect_code(0).json();
    assert_eq!(shown["granted_hosts"], json!(["files.example.org"]));
}

#[test]
fn what_cannot_be_written_leaves_the_file_as_it_was() {
    let third = Third::new();
    let before = third.config();
    // As on a disk that is full.
    let full = ["sh", "-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\"", "sh"];
    let run = third.bench.spawn_under(&full, &["plugin", "grant", "hostile", "--yes"]).wait(TIMEOUT);
    let run = run.expect_code(3);
    assert!(
        run.stderr.contains("cannot write") && run.stderr.contains("nothing was changed"),
        "{}",
        run.stderr
    );
    assert_eq!(third.config(), before);
    let left = fs::read_dir(third.bench.path("")).unwrap();
    let left = left.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".new"));
    assert_eq!(left.count(), 0);
    // A variable would win over the file.
    let env = ["env", "GLEANER_RESOLVERS__HOSTILE__GRANTS={ hosts = [] }"];
    let run = third.bench.spawn_under(&env, &["plugin", "grant", "hostile", "--yes"]).wait(TIMEOUT);
    let run = run.expect_code(3);
    assert!(run.stderr.contains("is given by GLEANER_RESOLVERS__HOSTILE__GRANTS"), "{}", run.stderr);
    assert_eq!(third.config(), before);
    // A file that is no configuration is not made worse.
    third.write_by_hand("\nnonsense = 1\n");
    third.grant(&["--yes"]).expect_code(3);
    assert!(third.config().ends_with("\nnonsense = 1\n"));
    third.bench.run(&["plugin", "grant", "nobody", "--yes"]).expect_code(3);
}

/// Each of them writes one host; whoever finds the file changed says so and writes nothing.
#[test]
fn grants_at_the_same_time_lose_nothing() {
    let third = Third::new();
    let hosts: Vec<String> = (0..6).map(|n| format!("h{n}.example.org")).collect();
    let start = |host: &String| third.bench.spawn(&["plugin", "grant", "hostile", "--hosts", host, "--yes"]);
    let running: Vec<_> = hosts.iter().map(start).collect();
    let ends: Vec<Output> = running.into_iter().map(|run| run.wait(TIMEOUT)).collect();
    let written = third.inspect()["granted_hosts"].as_array().unwrap().len();
    let well: Vec<_> = ends.iter().filter(|end| end.code == Some(0)).collect();
    assert_eq!(written, well.len(), "{ends:?}");
    assert!(!well.is_empty());
    for end in ends.iter().filter(|end| end.code != Some(0)) {
        assert!(end.code == Some(3) && end.stderr.contains("has changed meanwhile"), "{end:?}");
    }
}

#[test]
fn a_bundled_resolver_keeps_what_it_has_when_more_is_granted() {
    let third = Third::new();
    let before = json(&third.bench, &["plugin", "inspect", "arxiv"])["granted_hosts"].clone();
    third.bench.run(&["plugin", "grant", "arxiv", "--hosts", "mirror.example.org", "--yes"]).expect_code(0);
    let after = json(&third.bench, &["plugin", "inspect", "arxiv"])["granted_hosts"].clone();
    let mut expected = before.as_array().unwrap().clone();
    expected.push(json!("mirror.example.org"));
    assert_eq!(after, json!(expected));
}

#[test]
fn a_sidecar_asks_for_limits_and_gives_defaults_and_the_operator_decides() {
    let third = Third::new();
    third.sidecar(
        "[settings]\ncolour = \"red\"\nsize = \"9\"\n[sandbox]\nmemory = \"128MiB\"\nrequests = 5\n",
    );
    third.write_by_hand("\n[resolvers.hostile]\nsettings = { colour = \"blue\" }\n");
    let shown = third.inspect();
    assert_eq!(shown["sandbox"]["memory"], "64MiB");
    assert_eq!(
        shown["not_granted_limits"],
        json!([{ "limit": "memory", "asked": "128MiB", "allowed": "64MiB" }])
    );
    for (setting, value) in [("colour", "blue"), ("size", "9")] {
        let doi = format!("10.5555/setting:{setting}");
        get(&third.bench, &[&doi], 0);
        assert!(call(&third.bench, &doi)["extra"].to_string().contains(value), "{setting}");
    }
    third.grant(&["--hosts", "files.example.org", "--yes"]).expect_code(0);
    assert_eq!(third.inspect()["sandbox"]["memory"], "64MiB");
    third.grant(&["--yes"]).expect_code(0);
    let shown = third.inspect();
    assert_eq!((&shown["sandbox"]["memory"], &shown["sandbox"]["requests"]), (&json!("128MiB"), &json!(32)));
    assert_eq!(shown["not_granted_limits"], json!([]));
}

#[test]
fn a_broken_sidecar_is_named_with_its_line_and_asks_for_nothing() {
    let third = Third::new();
    third.bench.file("elsewhere", "key = \"sesame\"\n");
    for (sidecar, part) in [
        ("hosts = []\n\ngrants = { hosts = [\"*\"] }\n", "line 3: unknown field `grants`"),
        ("hosts = [\"https://files.example.org/\"]\n", "line 1: "),
        ("settings = { contact = \"a@b.org\" }\n", "is the operator's alone"),
    ] {
        third.sidecar(sidecar);
        let listed = third.bench.run(&["plugin", "list"]).expect_code(3).stdout;
        assert!(listed.contains(&format!("hostile.toml: {part}")) || listed.contains(part), "{listed}");
        assert!(listed.contains("the plugin counts as asking for nothing more"), "{listed}");
        assert_eq!(third.inspect()["hosts"], json!(["files.example.org"]));
        let checked = third.bench.run(&["plugin", "check", "hostile"]);
        assert!(checked.stdout.contains("sidecar"), "{}", checked.stdout);
    }
    // A link to what is nobody's business, and one that never ends.
    fs::remove_file(third.dir.join("hostile.toml")).unwrap();
    symlink("../elsewhere", third.dir.join("hostile.toml")).unwrap();
    let listed = third.bench.run(&["plugin", "list"]).expect_code(3);
    assert!(!format!("{listed:?}").contains("sesame"), "{listed:?}");
    fs::remove_file(third.dir.join("hostile.toml")).unwrap();
    symlink("/dev/zero", third.dir.join("hostile.toml")).unwrap();
    let listed = third.bench.run(&["plugin", "list"]).expect_code(3);
    assert!(listed.stdout.contains("no regular file"), "{listed:?}");
    assert!(third.grant(&["--yes"]).expect_code(0).stdout.contains("written to"));
    assert!(third.reaches(FILES, "works-all-the-same"));
}

fn run(bench: &Bench) -> Running {
    let run = bench.spawn(&["queue", "run"]);
    wait_until("the run is there", || bench.library().join("library.db").exists());
    run
}

fn stop(run: Running) -> Output {
    run.signal(Signal::TERM);
    run.wait(TIMEOUT).expect_code(0)
}

/// What a running run makes of an order to the guest.
fn asked(bench: &Bench, order: &str) -> Value {
    let doi = format!("10.5555/{order}");
    json(bench, &["queue", "enqueue", "--resolver", "hostile", &doi]);
    let job = || json(bench, &["queue", "show", &doi]);
    wait_until("the job has ended", || job()["state"] == "skipped" || job()["state"] == "error");
    job()["attempts_made"][0].clone()
}

#[test]
fn sidecars_and_grants_are_taken_in_while_a_run_goes_on() {
    let third = Third::new();
    let bench = &third.bench;
    third.grant(&["--yes"]).expect_code(0);
    let run = run(bench);
    third.sidecar("hosts = [\"other.example.org\"]\nsettings = { colour = \"red\", shape = \"round\" }\n");
    run.wait_until_it_says("the sidecar of hostile is another");
    run.wait_until_it_says("runs with what it is granted, and asks for more: other.example.org;");
    assert!(asked(bench, "setting:colour")["extra"].to_string().contains("red"));
    assert_eq!(asked(bench, &format!("fetch:{OTHER}?asked"))["reason"], "denied");
    assert_eq!(asked(bench, &format!("fetch:{FILES}?still"))["reason"], "ok");
    let listed = bench.run(&["plugin", "list"]).expect_code(0).stdout;
    assert!(listed.contains("asks for more than it is granted: hostile: other.example.org"), "{listed}");
    let checked = bench.run(&["plugin", "check", "hostile"]).expect_code(0).stdout;
    assert!(checked.contains("and asks for other.example.org; `gleaner plugin grant hostile`"), "{checked}");
    // A broken one leaves what it said before.
    third.sidecar("hosts = [\n");
    run.wait_until_it_says("what it said before stays in use");
    assert!(asked(bench, "setting:shape")["extra"].to_string().contains("round"));
    third.sidecar("hosts = [\"other.example.org\"]\n");
    run.wait_until_it_says("(generation 4): the sidecar of hostile is another");
    third.grant(&["--yes"]).expect_code(0);
    run.wait_until_it_says("what changed in resolvers holds from now on");
    assert_eq!(asked(bench, &format!("fetch:{OTHER}?granted"))["reason"], "ok");
    stop(run);
}

#[test]
fn a_pin_holds_component_and_sidecar_to_what_they_were() {
    let third = Third::new();
    third.sidecar("settings = { colour = \"red\", shape = \"round\" }\n");
    third.grant(&["--pin", "--yes"]).expect_code(0);
    let run = run(&third.bench);
    assert_eq!(asked(&third.bench, &format!("fetch:{FILES}?pinned"))["reason"], "ok");
    let component = fs::read(third.dir.join("hostile.wasm")).unwrap();
    let config = third.config();
    assert!(config.contains(&format!("\nsha256 = \"{}\"", sha256(&component))), "{config}");
    assert!(config.contains("\nsidecar-sha256 = \""), "{config}");
    third.sidecar("settings = { colour = \"green\", shape = \"flat\" }\n");
    run.wait_until_it_says("resolvers.hostile.sidecar-sha256 asks for");
    run.wait_until_it_says("what was loaded from it before stays in use");
    assert!(asked(&third.bench, "setting:colour")["extra"].to_string().contains("red"));
    // Elsewhere there is no before.
    let listed = third.bench.run(&["plugin", "list"]).expect_code(3).stdout;
    assert!(listed.contains("if the new file is meant, change the pin"), "{listed}");
    third.grant(&["--pin", "--yes"]).expect_code(0);
    run.wait_until_it_says("the sidecar of hostile is another");
    assert!(asked(&third.bench, "setting:shape")["extra"].to_string().contains("flat"));
    stop(run);
    // A sidecar beside a component that was pinned without one counts for nothing.
    let text = third.config();
    let kept: Vec<_> = text.lines().filter(|line| !line.starts_with("sidecar-sha256")).collect();
    third.bench.file("gleaner.toml", &kept.join("\n"));
    let listed = third.bench.run(&["plugin", "list"]).expect_code(3).stdout;
    assert!(listed.contains("so it counts for nothing"), "{listed}");
    assert_eq!(third.inspect()["sidecar"], Value::Null);
}

const SECRET: &str = "sesame-from-a-file";

#[test]
fn a_secret_from_a_file_reaches_its_host_and_nothing_else() {
    let third = Third::new();
    let bench = &third.bench;
    let key = bench.file("key", &format!("{SECRET}\n"));
    third.write_by_hand(
        "\n[secrets]\nexample-key = { file = \"key\" }\n[resolvers.hostile]\ngrants = { hosts = [\"files.example.org\", \"other.example.org\"] }\n\
         inject = [{ host = \"files.example.org\", header = \"X-Api-Key\", secret = \"example-key\" }]\n",
    );
    let mode = |mode| fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o644);
    let listed = bench.run(&["plugin", "list"]).expect_code(3).stdout;
    assert!(listed.contains("others can read or change") && listed.contains("chmod 600"), "{listed}");
    mode(0o600);
    let dois = [fetch(FILES), fetch(OTHER)];
    let args = ["-vv", "--format", "json", "get", &dois[0], &dois[1]];
    let told = bench.spawn_under(&["env", "GLEANER_LOG=trace"], &args).wait(TIMEOUT).expect_code(0);
    let seen = bench.sim().seen("files.example.org").requests;
    assert!(!seen.is_empty() && seen.iter().all(|seen| seen.header("x-api-key") == Some(SECRET)), "{seen:?}");
    let others = bench.sim().seen("other.example.org").requests;
    assert!(!others.is_empty() && !format!("{others:?}").contains(SECRET), "{others:?}");
    let mut said = vec![told];
    for args in [
        &["config", "show"][..],
        &["plugin", "inspect", "hostile"],
        &["--format", "json", "plugin", "inspect", "hostile"],
        &["plugin", "check", "hostile"],
        &["plugin", "grant", "hostile"],
        &["library", "export"],
    ] {
        said.push(bench.run(args).expect_code(0));
    }
    assert!(said.iter().all(|said| !format!("{said:?}").contains(SECRET)));
    assert!(said[1].stdout.contains("secrets.example-key.file"), "{}", said[1].stdout);
    let mut files = Vec::new();
    walk(&bench.library(), &mut files);
    for path in files {
        let bytes = fs::read(&path).unwrap();
        let found = bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
        assert!(!found, "the secret is in {}", path.display());
    }
}

#[test]
fn a_secret_that_changes_is_taken_in_and_one_that_breaks_is_not() {
    let third = Third::new();
    let bench = &third.bench;
    let key = bench.file("key", "first-secret\n");
    let mode = |mode| fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o600);
    third.write_by_hand(
        "\n[secrets]\nexample-key = { file = \"key\" }\n[resolvers.hostile]\ngrants = { hosts = [\"files.example.org\"] }\n\
         inject = [{ host = \"files.example.org\", header = \"X-Api-Key\", secret = \"example-key\" }]\n",
    );
    let run = run(bench);
    let sent = |mark: &str| {
        asked(bench, &format!("fetch:{FILES}?{mark}"));
        let seen = bench.sim().seen("files.example.org").requests;
        let seen = seen.iter().find(|seen| seen.target.contains(mark)).unwrap();
        seen.header("x-api-key").unwrap().to_owned()
    };
    assert_eq!(sent("one"), "first-secret");
    fs::write(&key, "second-secret\n").unwrap();
    run.wait_until_it_says("a secret of hostile is another");
    assert_eq!(sent("two"), "second-secret");
    mode(0o604);
    run.wait_until_it_says("the secret as it was before stays in use");
    assert_eq!(sent("three"), "second-secret");
    let said = stop(run).stderr;
    assert!(!said.contains("first-secret") && !said.contains("second-secret"), "{said}");
    holdings::manifest(bench).iter().for_each(|record| assert!(!record.to_string().contains("-secret")));
}
