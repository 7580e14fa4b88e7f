//! Hostile URLs, from `hostile_urls.txt`: each as a work, as the place of a redirect, and as what a plugin asks for.
//!
//! A trap on this machine counts connections, and a name server on loopback says what the names of the table are: public
//! first and private afterwards, both at once, or nothing. Nothing is stored, and nobody may have stepped into the trap.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};

use gleaner_testing::{Answer, NameServer};
use gleaner_tests::harness::Bench;
use gleaner_tests::simweb::{Reply, Trap, World};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::holdings::{self, end, files_in, manifest, text};
use crate::papers::json_lines;
use crate::ways;

/// Belongs to nobody, so nothing leaves this machine for it, and it is in the public range.
const NOBODY: &str = "3ffe::1";

/// One URL of the table.
struct Row {
    kind: &'static str,
    url: String,
    as_work: Vec<&'static str>,
    redirected: Vec<&'static str>,
}

fn table(trap: Ipv4Addr) -> Vec<Row> {
    let lines = include_str!("hostile_urls.txt").lines();
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let row = |(n, line): (usize, &'static str)| {
        let cells: Vec<&str> = line.split_whitespace().collect();
        let [kind, url, as_work, redirected] = cells[..] else {
            panic!("four cells are expected in {line:?}")
        };
        let outcomes = |cell: &'static str| cell.split('|').collect();
        let url = with_path(&filled(url, trap), n);
        Row { kind, url, as_work: outcomes(as_work), redirected: outcomes(redirected) }
    };
    lines.enumerate().map(row).collect()
}

/// The URL of a cell, with every way to write the trap's address.
fn filled(cell: &str, trap: Ipv4Addr) -> String {
    let [a, b, c, d] = trap.octets();
    let bits = u32::from(trap);
    let wide = |digit: char| match digit {
        '.' => '．',
        digit => char::from_u32(u32::from(digit) + 0xfee0).unwrap(),
    };
    let written: [(&str, String); 16] = [
        ("{trap}", trap.to_string()),
        ("{dec}", bits.to_string()),
        ("{hex}", format!("{bits:#x}")),
        ("{oct}", format!("0{bits:o}")),
        ("{hexes}", format!("{a:#x}.{b:#x}.{c:#x}.{d:#x}")),
        ("{octs}", format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}")),
        ("{short2}", format!("{a}.{}", bits & 0xff_ffff)),
        ("{short3}", format!("{a}.{b}.{}", bits & 0xffff)),
        ("{wide}", trap.to_string().chars().map(wide).collect()),
        ("{encoded}", trap.to_string().bytes().map(|byte| format!("%{byte:02x}")).collect()),
        ("{v6}", format!("{:x}:{:x}", bits >> 16, bits & 0xffff)),
        ("{tab}", "\t".to_owned()),
        ("{sp}", " ".to_owned()),
        ("{shy}", "\u{ad}".to_owned()),
        ("{zwsp}", "\u{200b}".to_owned()),
        ("{brace}", "{".to_owned()),
    ];
    written.iter().fold(cell.to_owned(), |url, (name, value)| url.replace(name, value))
}

/// A URL that ends with its authority, and one with a query or fragment only, has a path of its own, so that no two
/// rows are one work.
fn with_path(url: &str, n: usize) -> String {
    let start = url.find("//").map_or(0, |at| at + 2);
    let authority = &url[start..];
    if !url.trim_start().to_lowercase().starts_with("http") && !url.starts_with('/') {
        return url.to_owned();
    }
    match authority.trim_start_matches(['/', '\\']).find(['/', '\\', '?', '#']) {
        None => format!("{}/r{n}.pdf", url.trim_end()),
        Some(_) if authority.contains('?') => format!("{url}&r{n}"),
        Some(_) => format!("{url}-r{n}"),
    }
}

/// What the names of the table are.
fn names(trap: Ipv4Addr) -> impl Fn(&str, usize) -> Answer + Send + 'static {
    let [a, b] = [u32::from(trap) >> 16, u32::from(trap) & 0xffff].map(|bits| format!("{bits:x}"));
    move |name, nth| {
        let trap = trap.to_string();
        let addresses: Vec<String> = match name.strip_suffix(".names.example")? {
            "trap" => vec![trap],
            "private" => vec!["10.0.0.1".to_owned(), "192.168.0.1".to_owned()],
            "metadata" => vec!["169.254.169.254".to_owned()],
            "loopback6" => vec!["::1".to_owned()],
            "link-local6" => vec!["fe80::1".to_owned()],
            "unique-local6" => vec!["fd00::1".to_owned()],
            "mapped" => vec![format!("::ffff:{trap}")],
            "nat64" => vec![format!("64:ff9b::{trap}")],
            "6to4" => vec![format!("2002:{a}:{b}::1")],
            "unspecified" => vec!["0.0.0.0".to_owned(), "::".to_owned()],
            "multicast" => vec!["224.0.0.1".to_owned(), "ff02::1".to_owned()],
            "broadcast" => vec!["255.255.255.255".to_owned()],
            "many" => (1..30).map(|n| format!("10.0.0.{n}")).chain([trap]).collect(),
            "mixed" => vec![trap, NOBODY.to_owned(), "10.0.0.1".to_owned()],
            "rebinding" if nth == 0 => vec![NOBODY.to_owned()],
            "rebinding" => vec![trap],
            "empty" => Vec::new(),
            _ => return None,
        };
        let addresses: Vec<IpAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
        Some((addresses, if name.starts_with("rebinding") { 0 } else { 300 }))
    }
}

/// A bench that reaches these hosts in the simulated web, and asks the name server for all others.
fn lead(bench: &mut Bench, hosts: &[&str], server: &NameServer) {
    let (secure, plain) = (bench.sim().addr(), bench.sim().plain_addr());
    bench.configure(&format!(
        "orchestrator.max-attempts = 1\n[egress]\nconnect-timeout = \"2s\"\nname-servers = [\"{}\"]",
        server.address()
    ));
    for host in hosts {
        bench.configure(&format!("egress.connect-to.\"{host}:443\" = \"{secure}\""));
        bench.configure(&format!("egress.connect-to.\"{host}:80\" = \"{plain}\""));
    }
    // Tables of a configuration merge, so the file is written anew without the mapping of every name.
    let config = fs::read_to_string(bench.path("gleaner.toml")).unwrap();
    let without: Vec<_> = config.lines().filter(|line| !line.starts_with("\"*:")).collect();
    bench.file("gleaner.toml", &without.join("\n"));
}

/// Fetches all of these, as far as they are works, and returns the jobs by the URL that they fetch.
fn fetch_all(bench: &Bench, urls: &[&str]) -> BTreeMap<String, Value> {
    let list = bench.file("list", &urls.join("\n"));
    bench.run(&["queue", "enqueue", "--input", &list]);
    bench.run(&["queue", "run", "--drain"]);
    let jobs = json_lines(bench, &["queue", "list"]).into_iter();
    jobs.map(|job| (text(&job, "artifact_id").trim_start_matches("url:").to_owned(), job)).collect()
}

fn expect_nothing_stored(bench: &Bench) {
    for part in ["blobs", "files", "tmp"] {
        assert_eq!(files_in(bench, part), Vec::<std::path::PathBuf>::new(), "{part}");
    }
    assert!(manifest(bench).iter().all(|record| record["sha256"].is_null() && record["path"].is_null()));
}

/// Where a redirect to that URL stands: plain HTTP leads to plain HTTP, so that it is not the step down that is refused.
fn scheme(url: &str) -> &'static str {
    if url.trim_start().to_lowercase().starts_with("https") { "https" } else { "http" }
}

/// Whatever a browser would make of it is what egress has made of it: one parser reads every URL.
fn parsed(url: &str) -> Option<String> {
    let mut url = url::Url::parse(url).ok()?;
    url.set_fragment(None);
    Some(url.into())
}

#[test]
fn hostile_urls_lead_nowhere() {
    let runtime = Runtime::new().unwrap();
    let trap = runtime.block_on(Trap::start()).unwrap();
    let server = NameServer::start(names(trap.address()));
    let rows = table(trap.address());
    assert!(rows.len() >= 120, "{}", rows.len());
    let mut world = World::new();
    let moved = |n: usize| format!("{}://press.example.org/moved/{n}.pdf", scheme(&rows[n].url));
    for (n, row) in rows.iter().enumerate() {
        world.set(&moved(n), Reply::redirect(302, &row.url));
    }
    let mut bench = holdings::bench(world);
    lead(&mut bench, &["press.example.org"], &server);
    let mut wrong = Vec::new();
    let mut judge = |row: &Row, way: &str, expected: &[&str], found: &str| {
        if !expected.contains(&found) {
            wrong.push(format!("{} {:?} {way}: {found}, not {expected:?}", row.kind, row.url));
        }
    };

    let listed: Vec<&Row> = rows.iter().filter(|row| row.as_work != ["-"]).collect();
    let jobs = fetch_all(&bench, &listed.iter().map(|row| row.url.as_str()).collect::<Vec<_>>());
    for row in listed {
        let job = parsed(&row.url).and_then(|url| jobs.get(&url));
        judge(row, "as a work", &row.as_work, job.map_or("no-work", |job| end(job).1));
    }
    let places: Vec<String> = (0..rows.len()).map(moved).collect();
    let jobs = fetch_all(&bench, &places.iter().map(String::as_str).collect::<Vec<_>>());
    for (place, row) in places.iter().zip(&rows) {
        judge(row, "behind a redirect", &row.redirected, end(&jobs[place]).1);
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(trap.connections(), 0);
    expect_nothing_stored(&bench);
    assert_eq!(bench.sim().report().hosts.into_keys().collect::<Vec<_>>(), ["press.example.org"]);
    let requests = bench.sim().seen("press.example.org").requests;
    let told = |name: &str| requests.iter().any(|seen| seen.header(name).is_some());
    assert!(!told("x-injected") && !told("authorization") && !told("cookie") && !told("referer"));
}

/// Over every way out of a plugin. Every host is granted, and every port but those of the rows about ports, so that
/// nothing stands in the way but the rules that hold for everybody.
#[test]
fn no_way_out_of_a_plugin_leads_to_what_is_hostile() {
    let runtime = Runtime::new().unwrap();
    let trap = runtime.block_on(Trap::start()).unwrap();
    let server = NameServer::start(names(trap.address()));
    let rows = table(trap.address());
    // What changes from one lookup to the next is for one at a time.
    let refused = |row: &&Row| {
        row.kind != "rebinding"
            && row.redirected.iter().all(|reason| ["private_address", "denied"].contains(reason))
    };
    let rows: Vec<&Row> = rows.iter().filter(refused).collect();
    assert!(rows.len() >= 100, "{}", rows.len());
    let (mut world, mut orders) = (World::new(), Vec::new());
    for (n, row) in rows.iter().enumerate() {
        let url = format!("{}://files.example.org/{n}", scheme(&row.url));
        world.set(&url, Reply::redirect(307, &row.url));
        let part = if row.redirected == ["private_address"] { "private, local or reserved" } else { "" };
        orders.push(ways::get(row.kind, &url, "denied", part));
        orders.push(ways::get(row.kind, &row.url, "denied", ""));
    }
    let ported = |row: &&Row| {
        let url = url::Url::parse(&row.url).ok()?;
        Some(format!("{}:{}", url.host_str()?, url.port()?))
    };
    let grants: Vec<String> = std::iter::once("*".to_owned())
        .chain(rows.iter().filter(|row| row.kind != "port").filter_map(ported))
        .collect();
    let mut bench = ways::bench(world, &grants.iter().map(String::as_str).collect::<Vec<_>>());
    bench.configure("egress.robots = false");
    lead(&mut bench, &["files.example.org"], &server);
    ways::expect(&bench, &orders);
    assert_eq!(trap.connections(), 0);
    assert_eq!(bench.sim().report().hosts.into_keys().collect::<Vec<_>>(), ["files.example.org"]);
    let requests = bench.sim().seen("files.example.org").requests.len();
    assert_eq!(requests, rows.len() * ways::WAYS.len());
    expect_nothing_stored(&bench);
}
