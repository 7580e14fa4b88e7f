//! What must never be asked: private addresses, other schemes, hosts that were not granted.
//!
//! The simulated web would answer every one of these requests, so what it did not see was not sent.

use std::fs;

use gleaner_tests::harness::Bench;
use gleaner_tests::simweb::{Reply, SimWeb, World};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::holdings::{self, end, files_in, get, job, text};
use crate::papers::json_lines;

/// Addresses that are not the public internet, in the notations that have fooled others.
const PRIVATE: [&str; 22] = [
    "http://127.0.0.1/x.pdf",
    "https://127.0.0.1/x.pdf",
    "http://127.1/x.pdf",
    "http://2130706433/x.pdf",
    "http://0x7f000001/x.pdf",
    "http://0177.0.0.1/x.pdf",
    "http://0.0.0.0/x.pdf",
    "http://10.1.2.3/x.pdf",
    "http://172.16.0.1/x.pdf",
    "http://192.168.1.1/x.pdf",
    "http://100.64.0.1/x.pdf",
    "http://169.254.169.254/latest/meta-data/iam.pdf",
    "http://[::1]/x.pdf",
    "http://[::]/x.pdf",
    "http://[::ffff:127.0.0.1]/x.pdf",
    "http://[::ffff:7f00:1]/x.pdf",
    "http://[::ffff:169.254.169.254]/x.pdf",
    "http://[64:ff9b::7f00:1]/x.pdf",
    "http://[fe80::1]/x.pdf",
    "http://[fd00:ec2::254]/x.pdf",
    "https://[::ffff:10.0.0.1]/x.pdf",
    "http://224.0.0.1/x.pdf",
];

/// The hosts that saw anything at all.
fn hosts_seen(bench: &Bench) -> Vec<String> {
    bench.sim().report().hosts.into_keys().collect()
}

#[test]
fn private_addresses_are_refused() {
    let bench = holdings::bench(World::new());
    let totals = get(&bench, &PRIVATE, 1);
    let jobs = json_lines(&bench, &["queue", "list"]);
    assert_eq!(totals["error"], jobs.len(), "{totals}");
    assert!(jobs.len() >= 16, "several notations name one address, but not so many: {}", jobs.len());
    for job in jobs {
        assert_eq!(end(&job), ("error", "private_address"), "{job}");
    }
    assert_eq!(hosts_seen(&bench), Vec::<String>::new());
}

#[test]
fn private_addresses_are_refused_behind_redirects() {
    let mut world = World::new();
    let urls: Vec<String> =
        (0..PRIVATE.len()).map(|n| format!("https://press.example.org/{n}.pdf")).collect();
    for (n, (url, to)) in urls.iter().zip(PRIVATE).enumerate() {
        let place = format!("https://press.example.org/moved/{n}");
        world.set(url, Reply::redirect(302, &place));
        world.set(&place, Reply::redirect(301, to));
    }
    let bench = holdings::bench(world);
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    get(&bench, &urls, 1);
    for (url, to) in urls.iter().zip(PRIVATE) {
        assert_eq!(end(&job(&bench, url)), ("error", "private_address"), "{to}");
    }
    assert_eq!(hosts_seen(&bench), ["press.example.org"]);
    assert_eq!(bench.sim().seen("press.example.org").requests.len(), 2 * PRIVATE.len());
}

/// A name is what its addresses are: this one has a private address on every machine.
#[test]
fn a_name_with_a_private_address_is_refused() {
    let mut world = World::new();
    let mut bench = holdings::bench(World::new());
    let (secure, plain) = (bench.sim().addr(), bench.sim().plain_addr().port());
    let targets = [
        "http://localhost/x.pdf".to_owned(),
        "https://LOCALHOST/x.pdf".to_owned(),
        format!("http://localhost:{plain}/x"),
    ];
    for (n, to) in targets.iter().enumerate() {
        world.set(&format!("https://press.example.org/{n}.pdf"), Reply::redirect(302, to));
    }
    bench.sim().change(|old| *old = world);
    // Everything else is looked up as usual: tables of a configuration merge, so the file is written anew.
    bench.configure(&format!("egress.connect-to.\"press.example.org:443\" = \"{secure}\""));
    let config = fs::read_to_string(bench.path("gleaner.toml")).unwrap();
    let only_press: Vec<_> = config.lines().filter(|line| !line.starts_with("\"*:")).collect();
    bench.file("gleaner.toml", &only_press.join("\n"));

    for (n, (to, reason)) in targets.iter().zip(["private_address", "private_address", "denied"]).enumerate()
    {
        let url = format!("https://press.example.org/{n}.pdf");
        get(&bench, &[&url], 1);
        assert_eq!(end(&job(&bench, &url)), ("error", reason), "{to}");
    }
    assert_eq!(hosts_seen(&bench), ["press.example.org"]);
    bench.run(&["get", "http://localhost/x.pdf"]).expect_code(1);
}

/// Another simulated web has another CA, which nobody trusts here.
#[test]
fn a_host_that_cannot_prove_who_it_is_is_not_asked() {
    let runtime = Runtime::new().unwrap();
    let mut forged = World::new();
    forged.set_host("press.example.org", Reply::pdf(9000));
    let forged = runtime.block_on(SimWeb::start(forged)).unwrap();
    let mut bench = holdings::bench(World::new());
    let (impostor, deaf) = (forged.addr(), forged.plain_addr());
    bench.configure(&format!(
        "orchestrator.max-attempts = 2
        [egress.connect-to]
        \"press.example.org:443\" = \"{impostor}\"
        \"deaf.example.org:443\" = \"{deaf}\"
        \"nobody.example.org:443\" = \"127.0.0.1:1\""
    ));
    for (host, reason) in [("press", "tls"), ("deaf", "tls"), ("nobody", "connection")] {
        let url = format!("https://{host}.example.org/x.pdf");
        get(&bench, &[&url], 1);
        assert_eq!(end(&job(&bench, &url)), ("error", reason), "{host}");
    }
    assert_eq!(forged.report().requests, 0);
    assert_eq!(files_in(&bench, "blobs").len(), 0);
}

#[test]
fn other_schemes_and_urls_with_a_user_are_refused() {
    let mut world = World::new();
    let targets = [
        "file:///etc/passwd",
        "ftp://files.example.org/x.pdf",
        "gopher://files.example.org/x",
        "data:application/pdf,%25PDF-1.4",
        "javascript:alert(1)",
        "https://user:hunter2@files.example.org/x.pdf",
        "https://files.example.org:22/x.pdf",
    ];
    for (n, to) in targets.iter().enumerate() {
        world.set(&format!("https://press.example.org/{n}.pdf"), Reply::redirect(302, to));
    }
    world.set("https://files.example.org/x.pdf", Reply::pdf(9000));
    let mut bench = holdings::bench(world);
    for (n, to) in targets.iter().enumerate() {
        let url = format!("https://press.example.org/{n}.pdf");
        get(&bench, &[&url], 1);
        let job = job(&bench, &url);
        assert_eq!(end(&job), ("error", "denied"), "{to}: {job}");
        assert!(!job.to_string().contains("hunter2"), "{job}");
    }
    // As input they are no works at all.
    let list = bench.file("list", &targets[..5].join("\n"));
    let run = bench.run(&["--format", "json", "queue", "enqueue", "--input", &list]).expect_code(1);
    assert_eq!((&run.json()["broken"], &run.json()["new"]), (&5.into(), &0.into()), "{}", run.stderr);
    // From a plugin they are no candidates.
    bench.plugins(bench.guests());
    get(&bench, &["10.5555/garbage"], 1);
    let proposed = job(&bench, "10.5555/garbage")["plan"]["candidates"].to_string();
    for part in ["file:", "ftp:", "javascript:", "user:"] {
        assert!(!proposed.contains(part), "{part} in {proposed}");
    }
    assert_eq!(hosts_seen(&bench), ["api.unpaywall.org", "files.example.org", "press.example.org"]);
    let asked: Vec<_> =
        bench.sim().seen("files.example.org").requests.into_iter().map(|seen| seen.target).collect();
    assert!(!asked.contains(&"/x.pdf".to_owned()), "{asked:?}");
}

/// A DOI that orders the hostile guest to fetch a URL.
pub(crate) fn fetch(url: &str) -> String {
    let escaped: String = url.bytes().map(|byte| format!("%{byte:02x}")).collect();
    format!("10.5555/fetch:{escaped}")
}

/// A bench with the hostile guest in place of `unpaywall`, and this configuration.
pub(crate) fn with_guest(world: World, config: &str) -> Bench {
    let mut bench = holdings::bench(world);
    bench.configure("resolvers.unpaywall.enabled = false").configure(config);
    bench.plugins(bench.guests());
    bench
}

/// The one call of the guest for a job.
pub(crate) fn call(bench: &Bench, doi: &str) -> Value {
    let job = job(bench, doi);
    let records = job["attempts_made"].as_array().unwrap();
    records.iter().find(|record| record["resolver"] == "hostile").unwrap().clone()
}

#[test]
fn a_guest_reaches_what_was_granted_and_nothing_else() {
    let mut world = World::new();
    for host in ["files.example.org", "other.example.org", "sub.files.example.org"] {
        world.set(&format!("https://{host}/x"), Reply::bytes("text/plain", "granted"));
    }
    world.set("https://files.example.org/to-other", Reply::redirect(302, "https://other.example.org/x"));
    world.set("https://files.example.org/to-private", Reply::redirect(302, "http://169.254.169.254/x"));
    world
        .set("https://files.example.org/to-plain", Reply::redirect(302, "http://files.example.org/to-plain"));
    world.set("https://files.example.org/to-self", Reply::redirect(302, "https://files.example.org/x"));
    let granted = "[resolvers.hostile]\ngrants = { hosts = [\"files.example.org\"] }";

    let (good, direct) = (fetch("https://files.example.org/x"), fetch("https://files.example.org/to-self"));
    let refused = [
        "https://other.example.org/x",
        "https://sub.files.example.org/x",
        "https://files.example.org:8443/x",
        "https://files.example.org/to-other",
        "https://files.example.org/to-private",
        "https://files.example.org/to-plain",
        "http://127.0.0.1/x",
        "http://169.254.169.254/x",
        "file:///etc/passwd",
        "https://user:hunter2@files.example.org/x",
        "https://api.unpaywall.org/v2/10.1000/x?email=a@b.org",
    ];
    let bench = with_guest(world, granted);
    get(&bench, &[&good, &direct], 0);
    for doi in [&good, &direct] {
        let record = call(&bench, doi);
        let extra = [
            json!(["status", "200"]),
            json!(["url", "https://files.example.org/x"]),
            json!(["body-length", "7"]),
        ];
        assert_eq!((text(&record, "reason"), &record["extra"]), ("ok", &json!(extra)), "{record}");
    }
    for url in refused {
        get(&bench, &[&fetch(url)], 1);
        assert_eq!(end(&job(&bench, &fetch(url))), ("error", "denied"), "{url}");
        assert_eq!(text(&call(&bench, &fetch(url)), "reason"), "denied", "{url}");
    }
    assert_eq!(hosts_seen(&bench), ["files.example.org"]);
    let requests = bench.sim().seen("files.example.org").requests;
    assert!(requests.iter().all(|seen| seen.scheme == "https"), "{requests:?}");
}

#[test]
fn asking_for_a_host_grants_nothing() {
    let mut world = World::new();
    world.set("https://files.example.org/x", Reply::bytes("text/plain", "not granted"));
    let bench = with_guest(world, "");
    let doi = fetch("https://files.example.org/x");
    let run = bench.run(&["--format", "json", "get", &doi]).expect_code(1);
    assert_eq!(end(&job(&bench, &doi)), ("error", "denied"));
    let hint = "`gleaner plugin grant hostile";
    assert!(run.stderr.contains(hint) && text(&job(&bench, &doi), "detail").contains(hint), "{}", run.stderr);
    assert_eq!(hosts_seen(&bench), Vec::<String>::new());
}
