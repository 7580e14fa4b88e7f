//! The resolvers in `examples/`, in four languages, each through the real binary: a work until its file is stored, a
//! work that its source does not know, and a source that fails.
//!
//! Needs what `cargo xtask examples` builds. Without it the suite says so and passes, unless `GLEANER_EXAMPLES` is set,
//! as CI does: then what is missing is a failure. Must never ask another resolver than the one under test.

use std::fs;
use std::path::PathBuf;

use gleaner_tests::harness::Bench;
use gleaner_tests::simweb::{Reply, RetryAfter, World};
use serde_json::{Value, json};

use crate::holdings::{self, attempts, end, files_in, job, text};

/// The full text that every source leads to.
const FILE: &str = "https://press.example.org/paper.pdf";

/// What one example is tried with.
struct Example {
    name: &'static str,
    host: &'static str,
    settings: &'static str,
    /// A line of a reading list for a work that the source knows, and its identifier.
    known: (&'static str, &'static str),
    /// The same for one that it does not know, and what it answers then.
    unknown: (&'static str, &'static str),
}

#[allow(clippy::print_stderr, reason = "a test that is skipped says so")]
fn built(name: &str) -> Option<PathBuf> {
    let test = std::env::current_exe().unwrap();
    let target = std::env::var_os("GLEANER_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| test.ancestors().nth(3).unwrap().to_owned());
    let file = target.join(format!("examples/{name}.wasm"));
    if !file.is_file() {
        let missing = format!("{} is missing; `cargo xtask examples` builds it", file.display());
        assert!(std::env::var_os("GLEANER_EXAMPLES").is_none(), "{missing}");
        eprintln!("skipped: {missing}");
        return None;
    }
    Some(file)
}

impl Example {
    /// A bench where this resolver is asked first and alone.
    fn bench(&self, world: World) -> Option<Bench> {
        let component = built(self.name)?;
        let mut bench = holdings::bench_with(world, &[]);
        let (name, host) = (self.name, self.host);
        bench.configure(&format!(
            "[tiers]\nlist = [{{ name = \"only\", resolvers = [\"{name}\"] }}]\n\
             [orchestrator]\nmax-attempts = 2\n\
             [resolvers.{name}]\ngrants = {{ hosts = [\"{host}\"] }}\n{}",
            self.settings
        ));
        fs::create_dir(bench.path("own")).unwrap();
        fs::copy(component, bench.path("own").join(format!("{name}.wasm"))).unwrap();
        let own = bench.path("own");
        bench.plugins(own);
        Some(bench)
    }

    fn get(&self, bench: &Bench, line: &str, code: i32) -> Value {
        let list = bench.file("list", line);
        bench.run(&["--format", "json", "get", "--max-wait", "5s", "--input", &list]).expect_code(code).json()
    }

    /// The three ways that a work can go.
    fn check(&self, answer: impl Fn(&mut World)) {
        let mut world = World::new();
        answer(&mut world);
        let Some(bench) = self.bench(world) else { return };
        let (line, id) = self.known;
        self.get(&bench, line, 0);
        let known = job(&bench, id);
        assert_eq!(end(&known), ("done", "ok"), "{}: {known}", self.name);
        assert_eq!(attempts(&known).last().unwrap().1, "ok");
        assert_eq!(files_in(&bench, "files").len(), 1, "{}", self.name);

        let (line, id) = self.unknown;
        self.get(&bench, line, 0);
        assert_eq!(end(&job(&bench, id)), ("skipped", "no_candidate"), "{}", self.name);

        self.fails(503, "http_status", Reply::error(503));
        let busy = World::new();
        let Some(bench) = self.bench(busy) else { return };
        bench.sim().change(|world| {
            world.set_host(self.host, Reply::too_many(RetryAfter::Seconds(300)));
        });
        // The host is asked to slow down: the work waits, and no try of it is lost.
        let totals = self.get(&bench, self.known.0, 0);
        assert_eq!(totals["queued"], json!(1), "{}: {totals}", self.name);
    }

    /// A source that is in trouble costs the work its step, with the reason told.
    fn fails(&self, status: u16, reason: &str, reply: Reply) {
        let Some(bench) = self.bench(World::new()) else { return };
        bench.sim().change(|world| {
            world.set_host(self.host, reply);
        });
        self.get(&bench, self.known.0, 1);
        let failed = job(&bench, self.known.1);
        let records = failed["attempts_made"].as_array().unwrap();
        let record = records.first().unwrap_or_else(|| panic!("{}: no attempt in {failed}", self.name));
        assert_eq!(text(record, "resolver"), self.name);
        assert_eq!(text(record, "reason"), reason, "{}: {record}", self.name);
        assert!(record.to_string().contains(&status.to_string()), "{}: {record}", self.name);
    }
}

#[test]
fn dblp_in_rust_finds_the_open_version_by_title() {
    let line = |doi: &str, title: &str| -> &'static str {
        let line = json!({ "doi": doi, "title": title, "year": 2017, "authors": ["Noam Shazeer"] });
        Box::leak(line.to_string().into_boxed_str())
    };
    let example = Example {
        name: "dblp",
        host: "dblp.org",
        settings: "",
        known: (line("10.5555/1", "Attention Is All You Need"), "10.5555/1"),
        unknown: (line("10.5555/2", "Nobody wrote this"), "10.5555/2"),
    };
    example.check(|world| {
        let api = "https://dblp.org/search/publ/api";
        world.set(api, Reply::json(&json!({ "result": { "hits": { "@total": "0" } } })));
        let info = json!({
            "authors": { "author": [{ "text": "Ashish Vaswani" }, { "text": "Noam Shazeer" }] },
            "title": "Attention is All you Need.", "year": "2017", "access": "open", "ee": FILE,
        });
        let found = json!({ "result": { "hits": { "@total": "1", "hit": [{ "info": info }] } } });
        world.set(
            &format!("{api}?q=Attention%20Is%20All%20You%20Need&format=json&h=30&c=0"),
            Reply::json(&found),
        );
        world.set(FILE, Reply::pdf(5000));
    });
}

#[test]
fn ia_scholar_in_typescript_finds_the_archives_copy() {
    let example = Example {
        name: "ia_scholar",
        host: "api.fatcat.wiki",
        settings: "",
        known: ("10.5555/known", "10.5555/known"),
        unknown: ("10.5555/unknown", "10.5555/unknown"),
    };
    example.check(|world| {
        let release = json!({
            "ident": "aaaa", "release_stage": "published", "license_slug": "CC-BY",
            "files": [{ "mimetype": "application/pdf", "urls": [
                { "rel": "web", "url": "https://gone.example.org/paper.pdf" },
                { "rel": "webarchive", "url": format!("https://web.archive.org/web/20200101000000/{FILE}") },
            ] }],
        });
        let lookup =
            "https://api.fatcat.wiki/v0/release/lookup?doi=10.5555%2Fknown&expand=files&hide=abstracts,refs";
        world.set(lookup, Reply::json(&release));
        world.set(&format!("https://web.archive.org/web/20200101000000id_/{FILE}"), Reply::pdf(5000));
    });
}

#[test]
fn oai_pmh_in_python_finds_the_repositorys_file() {
    let example = Example {
        name: "oai_pmh",
        host: "repo.example.org",
        settings: "[resolvers.oai_pmh.settings]\nbase-url = \"https://repo.example.org/oai\"\n\
                   match = 'doi:10\\.5555/(.+)'\nrecord = 'oai:repo.example.org:\\1'\n",
        known: ("10.5555/known", "10.5555/known"),
        unknown: ("10.5555/unknown", "10.5555/unknown"),
    };
    example.check(|world| {
        let answer = |inner: &str| {
            let text = format!("<OAI-PMH xmlns=\"http://www.openarchives.org/OAI/2.0/\">{inner}</OAI-PMH>");
            Reply::bytes("text/xml", text)
        };
        let api = "https://repo.example.org/oai";
        world.set(api, answer("<error code=\"idDoesNotExist\">no such record</error>"));
        let record = format!(
            "<GetRecord><record><header/><metadata><dc xmlns:dc=\"http://purl.org/dc/elements/1.1/\">\
             <dc:identifier>https://repo.example.org/1</dc:identifier><dc:relation>{FILE}</dc:relation>\
             <dc:type>info:eu-repo/semantics/acceptedVersion</dc:type></dc></metadata></record></GetRecord>"
        );
        let name = "oai%3Arepo.example.org%3Aknown";
        world.set(&format!("{api}?verb=GetRecord&metadataPrefix=oai_dc&identifier={name}"), answer(&record));
        world.set(FILE, Reply::pdf(5000));
    });
}

#[test]
fn biorxiv_in_c_finds_the_newest_version() {
    let example = Example {
        name: "biorxiv",
        host: "api.biorxiv.org",
        settings: "",
        known: ("10.1101/339747", "10.1101/339747"),
        unknown: ("10.1101/000000", "10.1101/000000"),
    };
    example.check(|world| {
        let none = json!({ "messages": [{ "status": "no posts found" }], "collection": [] });
        for server in ["biorxiv", "medrxiv"] {
            let of = |doi| format!("https://api.biorxiv.org/details/{server}/{doi}/na/json");
            world.set(&of("10.1101/339747"), Reply::json(&none));
            world.set(&of("10.1101/000000"), Reply::json(&none));
        }
        let version = |number: &str| {
            json!({ "doi": "10.1101/339747", "title": "A \u{201c}title\u{201d}", "version": number, "license": "cc_by",
                    "published": "10.1000/journal" })
        };
        let found = json!({ "messages": [{ "status": "ok" }], "collection": [version("1"), version("2")] });
        world.set("https://api.biorxiv.org/details/medrxiv/10.1101/339747/na/json", Reply::json(&found));
        world.set("https://www.medrxiv.org/content/10.1101/339747v2.full.pdf", Reply::pdf(5000));
    });
}
