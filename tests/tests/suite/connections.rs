//! Connections as the outside sees them: HTTP/2 where it is offered, no proxy but that of the configuration, and hosts
//! whose certificates go unchecked only where the configuration says so, loudly.

use gleaner_tests::harness::TIMEOUT;
use gleaner_tests::simweb::{Act, RawWeb, Reply, Trap, World, pdf};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::holdings::{self, end, job, manifest};

const URL: &str = "https://press.example.org/x.pdf";

#[test]
fn http_2_is_spoken_where_it_is_offered() {
    let mut world = World::new();
    for url in [URL, "https://press.example.org/y.pdf", "http://old.example.org/x.pdf"] {
        world.set(url, Reply::pdf(9000));
    }
    let mut bench = holdings::bench(world);
    bench.configure("egress.connect-to.\"old.example.org:443\" = \"127.0.0.1:1\"");
    holdings::get(&bench, &[URL, "https://press.example.org/y.pdf", "http://old.example.org/x.pdf"], 0);
    let versions = |host: &str, scheme: &str| {
        let requests = bench.sim().seen(host).requests.into_iter();
        requests.filter(|seen| seen.scheme == scheme).map(|seen| seen.version).collect::<Vec<_>>()
    };
    assert_eq!(versions("press.example.org", "https"), ["HTTP/2.0", "HTTP/2.0"]);
    assert_eq!(versions("old.example.org", "http"), ["HTTP/1.1"]);
}

/// Over https wherever that is to be had; what did not come so is marked, and said.
#[test]
fn plain_http_is_the_last_resort_and_marked() {
    let runtime = Runtime::new().unwrap();
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 9000\r\n\r\n";
    let answer = [head.as_bytes(), &pdf::document("expired", 9000)].concat();
    let scripts = [("expired.example.org".to_owned(), vec![Act::Send(answer.into())])].into();
    let other = runtime.block_on(RawWeb::start(scripts)).unwrap();
    let mut world = World::new();
    for url in ["http://both.example.org/x.pdf", "http://old.example.org/x.pdf"] {
        world.set(url, Reply::pdf(9000));
    }
    let descends = "https://press.example.org/descends.pdf";
    world.set(descends, Reply::redirect(302, "http://old.example.org/y.pdf"));
    world.set("http://old.example.org/y.pdf", Reply::pdf(9000));
    let mut bench = holdings::bench(world);
    bench.configure(&format!(
        "[egress]
        insecure-hosts = [\"expired.example.org\"]
        [egress.connect-to]
        \"old.example.org:443\" = \"127.0.0.1:1\"
        \"expired.example.org:443\" = \"{}\"",
        other.addr()
    ));
    let plain = |host: &str, file: &str| format!("http://{host}.example.org/{file}.pdf");
    let (both, old, y, expired) =
        (plain("both", "x"), plain("old", "x"), plain("old", "y"), plain("expired", "x"));
    let over_https = |url: &str| url.replacen("http:", "https:", 1);
    let run = bench.run(&["get", &both, &old, &expired, descends]).expect_code(0);
    let records = manifest(&bench);
    let record = |url: &str| {
        records.iter().find(|record| record["candidate_url"] == url && record["outcome"] == "accepted")
    };
    let chain = |url: &str| record(url).unwrap()["url_chain"].clone();
    let transport = |url: &str| record(url).unwrap()["transport"].clone();
    assert_eq!((chain(&both), transport(&both)), (json!([both, over_https(&both)]), json!("https")));
    assert_eq!(transport(&old), "http");
    assert_eq!(
        (chain(&expired), transport(&expired)),
        (json!([expired, over_https(&expired)]), json!("https_unverified"))
    );
    assert_eq!(transport(descends), "http");
    // Whichever of the two came first found out.
    let tries = [&old, descends].map(chain);
    assert!(tries.iter().any(|chain| chain.to_string().contains("https://old.example.org")), "{tries:?}");
    assert!(tries.iter().all(|chain| {
        [&old, &y].contains(&&chain.as_array().unwrap().last().unwrap().as_str().unwrap().to_owned())
    }));
    let says = "old.example.org is asked over plain http, since over https it cannot be";
    assert!(run.stderr.contains(says), "{}", run.stderr);
    for record in records.iter().filter(|record| record["candidate_url"].is_string()) {
        let durations = &record["durations"];
        assert!(durations["connect_ms"].as_u64() <= durations["first_byte_ms"].as_u64(), "{record}");
    }
    let measured = records.iter().filter(|record| record["durations"]["connect_ms"].is_u64()).count();
    assert!(measured >= 3, "each host had to be connected to: {records:?}");
}

/// Whoever can set an environment variable would see every request.
#[test]
fn proxies_of_the_environment_are_not_used() {
    let runtime = Runtime::new().unwrap();
    let trap = runtime.block_on(Trap::start()).unwrap();
    let mut world = World::new();
    for url in [URL, "http://press.example.org/y.pdf"] {
        world.set(url, Reply::pdf(9000));
    }
    let bench = holdings::bench(world);
    let names = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];
    let variables = names.map(|name| format!("{name}=http://{}:8080", trap.address()));
    let tool: Vec<&str> = std::iter::once("env").chain(variables.iter().map(String::as_str)).collect();
    let run = bench.spawn_under(&tool, &["get", URL, "http://press.example.org/y.pdf"]);
    run.wait(TIMEOUT).expect_code(0);
    assert_eq!(trap.connections(), 0);

    // The one of the configuration is: this one is deaf.
    let mut bench = holdings::bench(World::new());
    bench.configure(&format!(
        "orchestrator.max-attempts = 1\n[egress]\nproxy = \"http://{}:8080\"\nconnect-timeout = \"1s\"",
        trap.address()
    ));
    let config = std::fs::read_to_string(bench.path("gleaner.toml")).unwrap();
    let without: Vec<_> = config.lines().filter(|line| !line.starts_with("\"*:")).collect();
    bench.file("gleaner.toml", &without.join("\n"));
    bench.run(&["get", URL]).expect_code(1);
    assert!(["timeout", "connection"].contains(&end(&job(&bench, URL)).1), "{}", job(&bench, URL));
    assert!(trap.connections() > 0);
    bench.run(&["get", "https://printer.local/x.pdf", "http://127.0.0.1/x.pdf"]).expect_code(1);
    assert_eq!(end(&job(&bench, "https://printer.local/x.pdf")), ("error", "denied"));
    assert_eq!(end(&job(&bench, "http://127.0.0.1/x.pdf")), ("error", "private_address"));
}

#[test]
fn an_unchecked_certificate_is_for_named_hosts_and_loud() {
    let runtime = Runtime::new().unwrap();
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 9000\r\n\r\n";
    let answer = [head.as_bytes(), &pdf::document("old", 9000)].concat();
    let hosts = ["expired.example.org", "self-signed.example.org"];
    let scripts = hosts.map(|host| (host.to_owned(), vec![Act::Send(answer.clone().into())])).into();
    let web = runtime.block_on(RawWeb::start(scripts)).unwrap();
    let mut bench = holdings::bench(World::new());
    bench.configure(&format!(
        "orchestrator.max-attempts = 1
        [egress]
        insecure-hosts = [\"expired.example.org\"]
        [egress.connect-to]
        \"expired.example.org:443\" = \"{0}\"
        \"self-signed.example.org:443\" = \"{0}\"",
        web.addr()
    ));
    let urls = hosts.map(|host| format!("https://{host}/x.pdf"));
    let run = bench.run(&["get", &urls[0], &urls[1]]).expect_code(1);
    assert_eq!(end(&job(&bench, &urls[0])), ("done", "ok"));
    assert_eq!(end(&job(&bench, &urls[1])), ("error", "tls"));
    for says in [
        "the certificate of expired.example.org is not checked",
        "expired.example.org is asked without checking its certificate",
    ] {
        assert!(run.stderr.contains(says), "{says:?} is missing in:\n{}", run.stderr);
    }
    assert!(!run.stderr.contains("certificate of self-signed.example.org is not"), "{}", run.stderr);
}
