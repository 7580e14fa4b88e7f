//! From a reading list to verified files: the main job, through the real binary and the simulated web.
//!
//! What has to come out is found out from the world itself, never from what the binary says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::time::Duration;

use flate2::read::GzDecoder;
use gleaner_model::artifact::Artifact;
use gleaner_model::identifier::{Identifier, Scheme};
use gleaner_tests::harness::Bench;
use gleaner_tests::simweb::{Behaviour, Location, Reply, SimWeb, Work, World, pdf, reading_list};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::client::Client;
use crate::holdings::{self, attempts, end, files_in, get, job, manifest, sha256, text};
use crate::papers::{json, json_lines};
use crate::reading_list::is_sound;

/// How each work of the reading list has to end, by the first identifier that names it; asked as a reader would.
async fn truth(sim: &SimWeb) -> BTreeMap<String, &'static str> {
    let client = Client::http1(sim);
    let mut ends = BTreeMap::new();
    for id in reading_list::LIST.lines().filter_map(|line| Identifier::parse(line).ok()) {
        let arxiv = match id.scheme() {
            Scheme::Arxiv => Some(id.value().to_owned()),
            _ => id.implied().filter(|id| *id.scheme() == Scheme::Arxiv).map(|id| id.value().to_owned()),
        };
        let urls = match id.scheme() {
            Scheme::Url => vec![id.value().to_owned()],
            _ if arxiv.is_some() => vec![format!("https://arxiv.org/pdf/{}", arxiv.unwrap())],
            Scheme::Doi => copies(&client, id.value()).await,
            _ => Vec::new(),
        };
        let mut end = if urls.is_empty() { "skipped" } else { "error" };
        for url in urls {
            if is_sound(&client, &url).await {
                end = "done";
            }
        }
        ends.insert(Artifact::of(id).id.to_string(), end);
    }
    ends
}

/// The files that Unpaywall knows of a DOI.
async fn copies(client: &Client, doi: &str) -> Vec<String> {
    let answer = client.get(&format!("https://api.unpaywall.org/v2/{doi}?email=reader@example.org")).await;
    let record: Value = serde_json::from_slice(&answer.body).unwrap();
    let locations = record["oa_locations"].as_array().into_iter().flatten();
    locations.filter_map(|location| location["url_for_pdf"].as_str()).map(str::to_owned).collect()
}

/// The bytes of a file as the web serves them, unpacked.
async fn served(client: &Client, url: &str) -> Vec<u8> {
    let answer = client.get(url).await;
    if answer.header("content-encoding") != "gzip" {
        return answer.body.to_vec();
    }
    let mut bytes = Vec::new();
    GzDecoder::new(&*answer.body).read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn the_reading_list_ends_as_the_world_is_and_a_second_run_asks_for_nothing() {
    let mut world = reading_list::world(Duration::ZERO);
    for slow in ["journals.plos.org", "academic.oup.com"] {
        world.set_host(slow, Behaviour::of_host());
    }
    let bench = holdings::bench(world);
    let runtime = Runtime::new().unwrap();
    let truth = runtime.block_on(truth(bench.sim()));

    let list = bench.file("list", reading_list::LIST);
    let run = bench.run(&["--format", "json", "get", "--input", &list]).expect_code(1);
    let count = |state| truth.values().filter(|end| **end == state).count();
    let totals = run.json();
    for state in ["done", "skipped", "error"] {
        assert_eq!(totals[state], count(state), "{state}: {totals}");
    }
    assert_eq!(totals["queued"], 0);
    assert_eq!(
        run.stderr.matches("is no identifier").count() + run.stderr.matches("is not a valid").count(),
        3
    );
    let ends: BTreeMap<_, _> = json_lines(&bench, &["queue", "list"])
        .iter()
        .map(|job| (text(job, "artifact_id").to_owned(), text(job, "state").to_owned()))
        .collect();
    assert_eq!(ends, truth.iter().map(|(id, end)| (id.clone(), (*end).to_owned())).collect());

    let bytes = runtime.block_on(expect_files_as_served(&bench, count("done")));
    assert_eq!(totals["bytes"], bytes);

    bench.sim().forget();
    let again = bench.run(&["--format", "json", "get", "--input", &list]).expect_code(1).json();
    assert_eq!(bench.sim().report().requests, 0, "{:?}", bench.sim().report());
    for state in ["done", "skipped", "error"] {
        assert_eq!(again[state], totals[state], "{again}");
    }
}

/// Every file is there, and its hash is that of the list, of the manifest and of what the web serves. Returns the bytes
/// of all files.
async fn expect_files_as_served(bench: &Bench, count: usize) -> u64 {
    let client = Client::http2(bench.sim());
    let accepted: BTreeMap<String, Value> = manifest(bench)
        .into_iter()
        .filter(|record| record["outcome"] == "accepted")
        .map(|record| (text(&record, "artifact_id").to_owned(), record))
        .collect();
    let files = json_lines(bench, &["library", "list"]);
    assert_eq!((files.len(), accepted.len()), (count, count));
    let mut bytes = 0;
    for file in &files {
        let record = &accepted[text(file, "artifact_id")];
        let (name, hash) = (text(file, "name"), text(file, "sha256"));
        let kept = fs::read(bench.library().join(name)).unwrap();
        assert_eq!(
            (sha256(&kept).as_str(), kept.len() as u64),
            (hash, file["size"].as_u64().unwrap()),
            "{file}"
        );
        assert_eq!((text(record, "sha256"), text(record, "path")), (hash, name));
        let last = record["url_chain"].as_array().unwrap().last().unwrap();
        let web = served(&client, last.as_str().unwrap()).await;
        assert!(web == kept, "{name} is not what {last} serves");
        let blob = bench.library().join("blobs").join(&hash[..2]).join(&hash[2..]);
        assert_eq!(fs::read(&blob).unwrap(), kept, "{}", blob.display());
        bytes += kept.len() as u64;
    }
    assert_eq!(files_in(bench, "files").len(), count);
    assert_eq!(files_in(bench, "tmp").len(), 0);
    bytes
}

#[test]
fn broken_lines_are_named_with_their_numbers_and_the_rest_goes_on() {
    let mut world = World::new();
    world.work(Work::new("10.1000/good", [Location::publisher("https://press.example.org/good.pdf")]));
    let bench = holdings::bench(world);
    let text =
        "# a list\nthe blue book\n10.1000/good\n\n10.1000/closed # looked for in vain\narXiv:17O6.03762\n";
    let list = bench.file("list", text);
    let run = bench.run(&["--format", "json", "get", "--input", &list, "nonsense"]).expect_code(1);
    for place in [format!("{list}: line 2: "), format!("{list}: line 6: "), "argument 1: ".to_owned()] {
        assert!(run.stderr.contains(&place), "{place} is missing in:\n{}", run.stderr);
    }
    let totals = run.json();
    assert_eq!((&totals["done"], &totals["skipped"], &totals["error"]), (&1.into(), &1.into(), &0.into()));

    let piped = bench.run_with_input(&["--format", "json", "get", "--input", "-"], text).expect_code(1);
    assert!(piped.stderr.contains("line 2: "), "{}", piped.stderr);
    assert_eq!(piped.json()["done"], 1);
    assert_eq!(bench.run(&["get", "10.1000/closed"]).expect_code(0).code, Some(0), "skipped is well");
}

#[test]
fn resolve_prints_candidates_and_neither_downloads_nor_enqueues() {
    let mut world = World::new();
    let locations =
        ["https://press.example.org/a.pdf", "https://repo.example.org/b.pdf"].map(Location::publisher);
    world.work(Work::new("10.48550/arXiv.2401.00001", locations));
    let bench = holdings::bench(world);
    let answer = json(&bench, &["resolve", "https://doi.org/10.48550/ARXIV.2401.00001"]);
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&answer), ["artifact", "answers", "candidates", "discovered", "failures", "first"]);
    assert_eq!(answer["artifact"]["artifact_id"], "doi:10.48550/arxiv.2401.00001");
    let candidates = answer["candidates"].as_array().unwrap();
    let mut fields =
        ["resolver", "url", "kind", "media_type", "version", "license", "host_type", "confidence", "reason"];
    fields.sort_unstable();
    for (candidate, url) in candidates.iter().zip(locations_of(&answer)) {
        let mut keys = keys(candidate);
        keys.sort();
        assert_eq!(keys, fields);
        assert_eq!((text(candidate, "resolver"), text(candidate, "url")), ("unpaywall", url.as_str()));
        assert_eq!((text(candidate, "version"), text(candidate, "license")), ("published", "cc-by"));
        assert_eq!((text(candidate, "kind"), text(candidate, "host_type")), ("file", "publisher"));
    }
    assert_eq!(locations_of(&answer), ["https://press.example.org/a.pdf", "https://repo.example.org/b.pdf"]);
    assert_eq!(answer["failures"], json!([]));
    let hosts: Vec<_> = bench.sim().report().hosts.into_keys().collect();
    assert_eq!(hosts, ["api.unpaywall.org", "export.arxiv.org"], "nothing was downloaded");
    assert!(!bench.library().join("library.db").exists(), "nothing was enqueued");

    bench.sim().change(|world| {
        world.set_host("api.unpaywall.org", Reply::error(500));
    });
    let run = bench.run(&["--format", "json", "resolve", "10.1000/x"]).expect_code(1);
    let failure = &run.json()["failures"][0];
    assert_eq!((text(failure, "resolver"), text(failure, "reason")), ("unpaywall", "http_status"));
    assert!(text(failure, "detail").contains("500"), "{failure}");
    bench.sim().forget();
    let one = json(&bench, &["resolve", "10.48550/arXiv.2401.00001", "--resolver", "arxiv"]);
    assert_eq!((&one["candidates"], &one["failures"]), (&json!([]), &json!([])));
    assert_eq!(bench.sim().seen("api.unpaywall.org").requests.len(), 0);
}

fn locations_of(answer: &Value) -> Vec<String> {
    let candidates = answer["candidates"].as_array().unwrap();
    candidates.iter().map(|candidate| text(candidate, "url").to_owned()).collect()
}

#[test]
fn the_manifest_tells_where_a_file_came_from() {
    let urls = ["http://dx.example.org/x", "https://press.example.org/x", "https://files.example.org/x.pdf"];
    let mut world = World::new();
    world.work(Work::new("10.1000/x", [Location::publisher(urls[0])]));
    world.set(urls[0], Reply::redirect(301, urls[1]));
    world.set(urls[1], Reply::redirect(303, "https://files.example.org/x.pdf"));
    let dated = "Mon, 02 Jan 2023 03:04:05 GMT";
    world.set(urls[2], Reply::pdf(50_000).header("etag", "\"v1\"").header("last-modified", dated));
    let bench = holdings::bench(world);
    let import = json!({"doi": "10.1000/x", "title": "On x", "year": 2020});
    json(&bench, &["queue", "import", &bench.file("works.jsonl", &import.to_string())]);
    json(&bench, &["queue", "run", "--drain"]);

    let records = manifest(&bench);
    let [call, fetch] = &records[..] else { panic!("{records:?}") };
    let file = pdf::document(urls[2], 50_000);
    let component = fs::read(bench.bundled().join("unpaywall.wasm")).unwrap();
    // The first was asked for over https.
    let way = [urls[0], "https://dx.example.org/x", urls[1], urls[2]];
    let expected = json!({
        "schema": 1, "artifact_id": "doi:10.1000/x", "title": "On x", "year": 2020, "resolver": "unpaywall",
        "candidate_url": urls[0], "url_chain": way, "transport": "https", "host": "files.example.org", "status": 200,
        "media_type_declared": "application/pdf", "media_type_found": "application/pdf", "bytes": 50_000,
        "sha256": sha256(&file), "etag": "\"v1\"", "last_modified": dated, "license": "cc-by",
        "version": "published", "host_type": "publisher", "path": "files/2020-On x.pdf",
        "outcome": "accepted", "reason": "ok", "attempt": 1, "component_sha256": sha256(&component),
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&fetch[field], value, "{field}");
    }
    assert_eq!((text(call, "outcome"), &call["candidates"]), ("answered", &json!(1)));
    for field in ["run_id", "config_hash", "resolver_version", "component_sha256"] {
        assert!(!text(fetch, field).is_empty(), "{field}");
        assert_eq!(call[field], fetch[field], "{field}");
    }
    let plugins = bench.run(&["--format", "json", "plugin", "list"]).json_lines();
    let plugin = plugins.iter().find(|plugin| plugin["name"] == "unpaywall").unwrap();
    assert_eq!(plugin["version"], fetch["resolver_version"]);
}

/// A chain that ends badly is told as one that ends well: who refused, and by which way it came there.
#[test]
fn the_manifest_tells_the_whole_way_to_a_refusal() {
    let step = |n: usize| format!("https://host{n}.example.org/x");
    let mut world = World::new();
    for n in 0..3 {
        world.set(&step(n), Reply::redirect(302, &step(n + 1)));
    }
    let ways = [
        ("not_found", Reply::error(404)),
        ("private_address", Reply::redirect(302, "http://10.0.0.1/x")),
        ("redirect_loop", Reply::redirect(302, &step(1))),
        ("length_mismatch", Reply::pdf(30_000).cut_after(2000)),
    ];
    let mut bench = holdings::bench(world);
    bench.configure("orchestrator.max-attempts = 1");
    for (reason, last) in ways {
        bench.sim().set(&step(3), last);
        let url = format!("{}?{reason}", step(0));
        get(&bench, &[&url], 1);
        let job = job(&bench, &url);
        assert_eq!(end(&job), ("error", reason));
        let fetch = &job["attempts_made"][1];
        assert_eq!(fetch["url_chain"], json!([url, step(1), step(2), step(3)]), "{reason}");
        assert_eq!(fetch["host"], "host3.example.org", "{reason}");
    }
}

#[test]
fn names_are_readable_unique_and_stay_in_their_directory() {
    let mut world = World::new();
    let mut works = Vec::new();
    for n in 0..5 {
        let url = format!("https://press.example.org/{n}.pdf");
        world.work(Work::new(&format!("10.1000/{n}"), [Location::publisher(&url)]));
        let title = if n < 3 { "Café & Wahrheit: a study" } else { "../../../etc/passwd\u{0}\n" };
        let authors = json!(["Müller, Anna", "Weiß, B."]);
        works.push(json!({"doi": format!("10.1000/{n}"), "title": title, "year": 2007, "authors": authors}));
    }
    let bench = holdings::bench(world);
    let lines: Vec<_> = works.iter().map(Value::to_string).collect();
    json(&bench, &["queue", "import", &bench.file("works.jsonl", &lines.join("\n"))]);
    assert_eq!(json(&bench, &["queue", "run", "--drain"])["done"], 5);

    let files = json_lines(&bench, &["library", "list"]);
    let names: BTreeSet<&str> = files.iter().map(|file| text(file, "name")).collect();
    assert_eq!(names.len(), 5);
    let readable = |name: &&&str| ["2007", "Müller", "Café"].iter().all(|part| name.contains(part));
    assert_eq!(names.iter().filter(readable).count(), 3, "{names:?}");
    for name in names {
        let file = name.strip_prefix("files/").unwrap();
        assert!(!file.contains(['/', '\0', '\n']) && !file.starts_with('.'), "{file:?}");
        assert!(bench.library().join(name).is_file());
    }
    assert_eq!(files_in(&bench, "files").len(), 5);
}

#[test]
fn a_plugin_that_was_dropped_into_a_directory_is_asked_without_being_configured() {
    let mut world = World::new();
    world.set("https://files.example.org/ok.pdf", Reply::pdf(30_000));
    let mut bench = holdings::bench(world);
    let dir = bench.path("dropped");
    fs::create_dir(&dir).unwrap();
    fs::copy(bench.guests().join("hostile.wasm"), dir.join("whatever.wasm")).unwrap();
    assert_eq!(end(&job_after(&bench, "10.5555/ok")), ("skipped", "no_candidate"));

    bench.plugins(&dir);
    let later = job_after(&bench, "10.5555/OK ");
    assert_eq!(end(&later), ("skipped", "no_candidate"), "it was skipped just now");
    assert_eq!(json(&bench, &["queue", "retry-failed", "--state", "skipped"])["retried"], 1);
    let job = job_after(&bench, "10.5555/ok");
    assert_eq!(end(&job), ("done", "ok"));
    let asked: Vec<_> = attempts(&job).into_iter().map(|(what, _)| what).collect();
    assert_eq!(asked[asked.len() - 2..], ["hostile", "https://files.example.org/ok.pdf"], "asked last");
    assert_eq!(job["attempts_made"][asked.len() - 1]["resolver"], "hostile");
}

fn job_after(bench: &Bench, id: &str) -> Value {
    get(bench, &[id], 0);
    job(bench, id.trim())
}
