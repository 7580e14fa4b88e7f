//! The component that was built at each release of the interface goes on working: every function, every field.
//!
//! What is kept in `golden/` is run, and beside it what the same source gives today. Must never be made to pass by building
//! a kept component anew.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod harness;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gleaner_model::candidate::{CandidateKind, HostType, Version};
use gleaner_model::identifier::Identifier;
use gleaner_model::reason::{FailureClass, Reason};
use gleaner_runtime::{
    CallReport, GuestHost, GuestHttpError, GuestMethod, GuestRequest, GuestResponse, LogLevel, Plugin, Query,
    Sandbox,
};
use harness::{guest, runtime};
use sha2::{Digest, Sha256};

/// Every kept component, and the digest that it will always have.
const KEPT: [(&str, &str); 2] = [
    ("resolver-0.1.0", "672aef0ea65478b7d06c7ab41ff331d190737b3917ae7c9cb6af2055e1596ef6"),
    // What it does is shown by `batch.rs`.
    ("resolver-batch-0.1.0", "4d8835654461143f103f346879f96f5ab1d1a23095bdf8fecaacf039c8951277"),
];

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The kept component of 0.1.0, and today's build of its source.
async fn components() -> Vec<Plugin> {
    let runtime = runtime(1);
    let mut plugins = Vec::new();
    for file in [golden().join("resolver-0.1.0.wasm"), guest("golden")] {
        plugins.push(runtime.load(&file).await.unwrap_or_else(|why| panic!("{} {why}", file.display())));
    }
    plugins
}

/// Answers by the path, and keeps what it was asked.
#[derive(Default)]
struct Web(Mutex<Vec<GuestRequest>>);

#[async_trait::async_trait]
impl GuestHost for Web {
    async fn send(&self, request: GuestRequest) -> Result<GuestResponse, GuestHttpError> {
        let answer = match request.url.path() {
            "/denied" => Err(GuestHttpError::Denied("no grant".into())),
            "/timeout" => Err(GuestHttpError::Timeout),
            "/too-large" => Err(GuestHttpError::TooLarge(5_000_000_000)),
            "/rate-limited" => Err(GuestHttpError::RateLimited(Some(7000))),
            "/unsaid" => Err(GuestHttpError::RateLimited(None)),
            "/transport" => Err(GuestHttpError::Transport("reset".into())),
            path => Ok(GuestResponse {
                status: 418,
                url: format!("https://api.example.org{path}?moved"),
                headers: vec![("etag".into(), "\"1\"".into()), ("x-two".into(), "b".into())],
                body: "é!".into(),
                from_cache: true,
            }),
        };
        self.0.lock().unwrap().push(request);
        answer
    }

    fn setting(&self, key: &str) -> Option<String> {
        (key == "contact").then(|| "someone@example.org".to_owned())
    }

    fn now_ms(&self) -> u64 {
        1_700_000_000_123
    }
}

fn asking(what: &str, urls: &[&str]) -> Query {
    Query {
        job: "job-7".into(),
        attempt: 3,
        deadline: Duration::from_secs(45),
        identifiers: ["doi:10.1000/x", "arxiv:2104.12255v1"].map(|id| Identifier::parse(id).unwrap()).into(),
        title: Some(what.into()),
        authors: vec!["A. One".into(), "B. Two".into()],
        year: Some(1999),
        urls: urls.iter().map(|&url| url.to_owned()).collect(),
        landing_pages: vec!["https://a.example/land".into()],
        failed_urls: vec!["https://a.example/1".into(), "https://a.example/2".into()],
        metadata: Some(r#"{"shelf":"ä"}"#.into()),
    }
}

async fn call(plugin: &Plugin, web: &Arc<Web>, query: &Query) -> CallReport {
    plugin.resolve(query, web.clone(), &Sandbox::default()).await
}

fn extra(report: &CallReport) -> Vec<(&str, &str)> {
    report.extra.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

#[test]
fn kept_components_are_never_changed() {
    let mut found: Vec<_> = fs::read_dir(golden())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".wasm"))
        .collect();
    found.sort();
    assert_eq!(found, KEPT.map(|(name, _)| format!("{name}.wasm")));
    for (name, sha256) in KEPT {
        let bytes = fs::read(golden().join(format!("{name}.wasm"))).unwrap();
        let found: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, sha256, "{name} is kept as it was released");
    }
}

#[tokio::test]
async fn it_describes_itself() {
    for plugin in components().await {
        let info = &plugin.info;
        assert_eq!((info.name.as_str(), info.version.as_str()), ("golden", "0.1.0-golden.1"));
        assert_eq!(info.summary, "Uses every part of the interface");
        assert_eq!(info.takes.len(), 3);
        assert_eq!(info.hosts, ["files.example.org", "api.example.org"]);
        let settings = [("contact!", "who asks"), ("base-url", "where to")];
        assert_eq!(info.settings, settings.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert_eq!(info.wit, "gleaner:resolver@0.1.0");
    }
}

#[tokio::test]
async fn every_field_of_a_query_and_of_an_answer_arrives() {
    for plugin in components().await {
        let query = asking("echo", &["https://a.example/x", "https://a.example/y"]);
        let report = call(&plugin, &Arc::new(Web::default()), &query).await;
        let expected = [
            ("job", "job-7"),
            ("attempt", "3"),
            ("deadline-ms", "45000"),
            ("identifiers", "doi:10.1000/x arxiv:2104.12255v1"),
            ("authors", "A. One & B. Two"),
            ("year", "1999"),
            ("urls", "https://a.example/x https://a.example/y"),
            ("landing-pages", "https://a.example/land"),
            ("failed-urls", "https://a.example/1 https://a.example/2"),
            ("metadata", r#"{"shelf":"ä"}"#),
        ];
        assert_eq!(extra(&report), expected);
        let answer = report.outcome.unwrap();
        assert_eq!(answer.complaints, [] as [String; 0]);
        assert_eq!(answer.discovered, [Identifier::parse("pmid:12345").unwrap()]);
        let [full, bare] = &answer.candidates[..] else { panic!("{:?}", answer.candidates) };
        assert_eq!(full.url.as_url().as_str(), "https://files.example.org/1.pdf");
        assert_eq!((full.kind, full.version), (CandidateKind::File, Some(Version::Accepted)));
        assert_eq!((full.host_type, full.confidence), (Some(HostType::Repository), 0.75));
        assert_eq!(
            (full.media_type.as_deref(), full.license.as_deref()),
            (Some("application/pdf"), Some("cc-by"))
        );
        assert_eq!(full.extra, [("shelf".to_owned(), "7".to_owned())]);
        assert_eq!((bare.kind, bare.confidence), (CandidateKind::LandingPage, 0.5));
        assert_eq!((&bare.media_type, bare.version, &bare.license), (&None, None, &None));
    }
}

#[tokio::test]
async fn what_is_not_known_is_none() {
    for plugin in components().await {
        let query =
            Query { title: Some("echo".into()), deadline: Duration::from_secs(1), ..Query::default() };
        let report = call(&plugin, &Arc::new(Web::default()), &query).await;
        let empty = extra(&report).into_iter().filter(|(_, value)| value.is_empty()).count();
        assert_eq!(empty, 8, "{:?}", report.extra);
    }
}

#[tokio::test]
async fn a_request_and_its_answer_arrive_whole() {
    for plugin in components().await {
        let web = Arc::new(Web::default());
        let report = call(&plugin, &web, &asking("send", &["https://files.example.org/p?q=1"])).await;
        let expected = [
            ("status", "418"),
            ("url", "https://api.example.org/p?moved"),
            ("headers", "etag=\"1\" x-two=b"),
            ("body", "é!"),
            ("from-cache", "yes"),
        ];
        assert_eq!(extra(&report), expected);
        let seen = web.0.lock().unwrap();
        let [request] = &seen[..] else { panic!("{seen:?}") };
        assert_eq!(
            (request.method, request.url.as_str()),
            (GuestMethod::Post, "https://files.example.org/p?q=1")
        );
        let headers = [("accept", "text/plain"), ("x-two", "a"), ("x-two", "b")];
        assert_eq!(request.headers, headers.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert_eq!(request.body.as_deref(), Some(&b"the body"[..]));
        assert_eq!((request.timeout, request.max_bytes), (Duration::from_millis(4321), 1234));
        assert_eq!(report.requests, 1);
    }
}

#[tokio::test]
async fn every_error_of_a_request_arrives() {
    let urls = ["denied", "timeout", "too-large", "rate-limited", "unsaid", "transport"]
        .map(|path| format!("https://files.example.org/{path}"));
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    for plugin in components().await {
        let report = call(&plugin, &Arc::new(Web::default()), &asking("send-all", &urls)).await;
        let expected = [
            ("denied", "no grant"),
            ("timeout", ""),
            ("too-large", "5000000000"),
            ("rate-limited", "7000"),
            ("rate-limited", ""),
            ("transport", "reset"),
        ];
        assert_eq!(extra(&report), expected);
        assert_eq!(report.rate_limited, Some(CallReport::UNSAID_WAIT));
    }
}

#[tokio::test]
async fn log_config_and_clock_work() {
    for plugin in components().await {
        let web = Arc::new(Web::default());
        let report = call(&plugin, &web, &asking("log", &[])).await;
        let levels = [LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Error];
        assert_eq!(report.log.iter().map(|line| line.level).collect::<Vec<_>>(), levels);
        assert_eq!(report.log[3].message, "error");
        assert_eq!(report.log[0].fields, [("a".into(), "1".into()), ("b".into(), "2".into())]);
        let report = call(&plugin, &web, &asking("config", &[])).await;
        assert_eq!(extra(&report), [("contact", "someone@example.org"), ("missing", "(none)")]);
        let report = call(&plugin, &web, &asking("clock", &[])).await;
        assert_eq!(extra(&report), [("now-ms", "1700000000123")]);
    }
}

#[tokio::test]
async fn every_failure_keeps_its_meaning() {
    let wait = Duration::from_millis(2500);
    for plugin in components().await {
        for (what, reason, class) in [
            ("retry", Reason::HttpStatus, FailureClass::Transient { retry_after: Some(wait) }),
            ("rate-limited", Reason::RateLimited, FailureClass::Throttled { retry_after: wait }),
            ("give-up", Reason::HttpStatus, FailureClass::Permanent),
        ] {
            let failure =
                call(&plugin, &Arc::new(Web::default()), &asking(what, &[])).await.outcome.unwrap_err();
            assert_eq!((failure.reason, failure.class), (reason, class), "{what}");
            assert_eq!(failure.detail, "503 (http-status): as ordered", "{what}");
        }
        let trap = call(&plugin, &Arc::new(Web::default()), &asking("anything else", &[])).await;
        let trap = trap.outcome.unwrap_err();
        assert_eq!((trap.reason, trap.class), (Reason::PluginTrap, FailureClass::PluginFault));
    }
}
