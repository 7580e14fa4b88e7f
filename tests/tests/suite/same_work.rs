//! One work is one job, however it is named and however often: arguments, lists and imports.

use gleaner_tests::simweb::{Eprint, Location, Work, World};
use serde_json::{Value, json};

use crate::holdings::{self, end, get, job, text};
use crate::papers::{count, json, json_lines};

/// Adds works; returns how many were new, known, in conflict and broken.
fn enqueue(bench: &gleaner_tests::harness::Bench, args: &[&str], code: i32) -> [u64; 4] {
    let run = bench.run(&[&["--format", "json", "queue"], args].concat()).expect_code(code);
    ["new", "known", "conflicts", "broken"].map(|field| run.json()[field].as_u64().unwrap())
}

#[test]
fn a_doi_in_every_notation_is_one_job() {
    let bench = holdings::bench(World::new());
    let notations = [
        "10.7717/peerj.4375",
        "https://doi.org/10.7717/peerj.4375",
        "doi:10.7717/PeerJ.4375",
        "http://dx.doi.org/10.7717/peerj.4375",
        "DOI: 10.7717/PEERJ.4375",
        "https://doi.org/10.7717%2Fpeerj.4375",
    ];
    assert_eq!(enqueue(&bench, &["enqueue", notations[0]], 0), [1, 0, 0, 0]);
    for notation in notations {
        assert_eq!(enqueue(&bench, &["enqueue", notation], 0), [0, 1, 0, 0], "{notation}");
        assert_eq!(job(&bench, notation)["job"], 1, "{notation}");
    }
    let list = bench.file("list", &notations.join("\n"));
    assert_eq!(enqueue(&bench, &["enqueue", "--input", &list], 0), [0, 6, 0, 0]);
    assert_eq!(
        enqueue(&bench, &["enqueue", "10.7717/peerj.4376", "doi:10.7717/peerj.4376"], 0),
        [1, 1, 0, 0]
    );
    assert_eq!(count(&bench, "total"), 2);
}

#[test]
fn an_eprint_is_one_job_under_its_doi_and_its_arxiv_id() {
    let mut world = World::new();
    for id in ["2401.00001", "2401.00002"] {
        world.eprint(Eprint { id: id.to_owned(), versions: 2, title: "An e-print".to_owned() });
    }
    let bench = holdings::bench(world);
    assert_eq!(enqueue(&bench, &["enqueue", "10.48550/arXiv.2401.00001"], 0), [1, 0, 0, 0]);
    assert_eq!(enqueue(&bench, &["enqueue", "https://arxiv.org/abs/2401.00001"], 0), [0, 1, 0, 0]);
    assert_eq!(enqueue(&bench, &["enqueue", "arXiv:2401.00002"], 0), [1, 0, 0, 0]);
    assert_eq!(enqueue(&bench, &["enqueue", "https://doi.org/10.48550/ARXIV.2401.00002"], 0), [0, 1, 0, 0]);
    assert_eq!(json(&bench, &["queue", "run", "--drain"])["done"], 2);
    for id in ["arXiv:2401.00001", "10.48550/arxiv.2401.00002"] {
        assert_eq!(end(&job(&bench, id)), ("done", "ok"), "{id}");
    }
    assert_eq!(bench.sim().seen("arxiv.org").requests.len(), 2);
}

#[test]
fn a_work_that_came_with_several_identifiers_is_known_by_each_of_them() {
    let bench = holdings::bench(World::new());
    let work = json!({
        "doi": "10.1000/x", "pmid": 123, "pmcid": "PMC7", "arxiv": "2401.00003", "urls": ["https://press.example.org/x.pdf"],
    });
    let file = bench.file("works.jsonl", &work.to_string());
    assert_eq!(enqueue(&bench, &["import", &file], 0), [1, 0, 0, 0]);
    for id in [
        "doi:10.1000/X",
        "PMID: 123",
        "pmc7",
        "https://arxiv.org/pdf/2401.00003",
        "https://press.example.org/x.pdf",
    ] {
        assert_eq!(enqueue(&bench, &["enqueue", id], 0), [0, 1, 0, 0], "{id}");
    }
    assert_eq!(enqueue(&bench, &["import", &file], 0), [0, 1, 0, 0]);
    assert_eq!(count(&bench, "total"), 1);

    // An import that names an old work anew makes the new name known.
    let more = json!({"pmid": 123, "isbn": "978-3-16-148410-0"}).to_string();
    assert_eq!(enqueue(&bench, &["import", &bench.file("more.jsonl", &more)], 0), [0, 1, 0, 0]);
    assert_eq!(enqueue(&bench, &["enqueue", "isbn:9783161484100"], 0), [0, 1, 0, 0]);

    // Names of two works in one line are a contradiction that nobody but the user can resolve.
    assert_eq!(enqueue(&bench, &["enqueue", "10.1000/y"], 0), [1, 0, 0, 0]);
    let both = bench.file("both.jsonl", &json!({"doi": "10.1000/y", "pmid": 123}).to_string());
    let run = bench.run(&["queue", "import", &both]).expect_code(1);
    assert!(run.stderr.contains("its identifiers belong to several jobs"), "{}", run.stderr);
    assert_eq!(count(&bench, "total"), 2);
}

#[test]
fn an_import_keeps_the_good_lines_and_names_the_broken_ones() {
    let bench = holdings::bench(World::new());
    let lines = [
        r#"{"doi": "10.1000/a", "title": "A", "authors": ["A, B"], "year": 1999, "shelf": 3}"#,
        r#"{"doi": "10.1000/b""#,
        "",
        r#"{"artifact_id": "row 4", "pmid": "77"}"#,
        r#"{"title": "nothing names it"}"#,
        r#"["10.1000/c"]"#,
        r#"{"doi": "no DOI"}"#,
        r#"{"artifact_id": "row 8"}"#,
    ];
    let file = bench.file("works.jsonl", &lines.join("\n"));
    let run = bench.run(&["--format", "json", "queue", "import", &file]).expect_code(1);
    assert_eq!((&run.json()["new"], &run.json()["broken"]), (&json!(3), &json!(4)), "{}", run.stdout);
    for line in 1..=8 {
        let named = run.stderr.contains(&format!("{file}: line {line}: "));
        assert_eq!(named, [2, 5, 6, 7].contains(&line), "line {line}:\n{}", run.stderr);
    }
    let jobs = json_lines(&bench, &["queue", "list"]);
    let ids: Vec<_> = jobs.iter().map(|job| text(job, "artifact_id")).collect();
    assert_eq!(ids, ["doi:10.1000/a", "row 4", "row 8"]);
    let artifact = &job(&bench, "10.1000/a")["artifact"];
    assert_eq!(
        (&artifact["title"], &artifact["year"], &artifact["extra"]["shelf"]),
        (&json!("A"), &json!(1999), &json!(3))
    );
    assert_eq!(job(&bench, "pmid:77")["artifact_id"], "row 4");

    let input = lines.join("\n");
    let piped = bench.run_with_input(&["--format", "json", "queue", "import", "-"], &input).expect_code(1);
    assert_eq!((&piped.json()["known"], &piped.json()["new"]), (&json!(3), &json!(0)));
    bench.run(&["queue", "import", "nowhere.jsonl"]).expect_code(2);
}

#[test]
fn a_hint_restricts_a_job_to_one_resolver() {
    let mut world = World::new();
    world.eprint(Eprint { id: "2401.00004".to_owned(), versions: 1, title: "Known twice".to_owned() });
    for doi in ["10.48550/arXiv.2401.00004", "10.1000/x"] {
        world.work(Work::new(doi, [Location::publisher(&format!("https://press.example.org/{doi}.pdf"))]));
    }
    let bench = holdings::bench(world);
    let hinted = ["enqueue", "--resolver", "unpaywall", "10.48550/arXiv.2401.00004"];
    assert_eq!(enqueue(&bench, &hinted, 0), [1, 0, 0, 0]);
    assert_eq!(enqueue(&bench, &["enqueue", "--resolver", "arxiv", "10.1000/x"], 0), [1, 0, 0, 0]);
    assert_eq!(enqueue(&bench, &["enqueue", "--resolver", "nobody", "10.1000/y"], 0), [1, 0, 0, 0]);
    let totals = bench.run(&["--format", "json", "queue", "run", "--drain"]).expect_code(1).json();
    assert_eq!([&totals["done"], &totals["skipped"], &totals["error"]], [&json!(1); 3], "{totals}");
    let file = job(&bench, "10.48550/arXiv.2401.00004");
    assert_eq!(file["attempts_made"][1]["resolver"], "unpaywall");
    assert_eq!(end(&job(&bench, "10.1000/x")), ("skipped", "no_candidate"));
    assert_eq!(end(&job(&bench, "10.1000/y")), ("error", "plugin_unavailable"));
    let seen = |host| bench.sim().seen(host).requests.len();
    assert_eq!((seen("export.arxiv.org"), seen("arxiv.org"), seen("api.unpaywall.org")), (0, 0, 1));
}

/// Two works whose files are the same bytes: one blob, two names.
#[test]
fn the_same_file_for_two_works_is_kept_once_and_fetched_for_each() {
    let mut world = World::new();
    for n in [1, 2] {
        world.work(Work::new(
            &format!("10.1000/{n}"),
            [Location::publisher("https://press.example.org/issue.pdf")],
        ));
    }
    let bench = holdings::bench(world);
    assert_eq!(get(&bench, &["10.1000/1"], 0)["done"], 1);
    assert_eq!(get(&bench, &["10.1000/2"], 0)["done"], 1);
    assert_eq!(end(&job(&bench, "10.1000/2")), ("done", "already_stored"));
    assert_eq!(holdings::files_in(&bench, "blobs").len(), 1);
    let files: Vec<Value> = json_lines(&bench, &["library", "list"]);
    assert_eq!(files.len(), 2);
    assert_eq!(files[0]["sha256"], files[1]["sha256"]);
}
