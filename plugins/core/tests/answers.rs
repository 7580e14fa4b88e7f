//! The whole resolver against every kind of answer that CORE gives.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use gleaner_plugin_core::Core;
use gleaner_sdk::testing::{FakeHost, assert_unknown_shapes, each_odd_field, query, urls};
use gleaner_sdk::{Candidate, CandidateKind, Disposition, Failure, Identifier, Resolution, Resolver};
use serde_json::{Value, json};

const URL: &str = "https://api.core.ac.uk/v3/search/works/?q=doi%3A%2210.1000%2Fa%22&limit=10";

fn resolve(host: &FakeHost) -> Result<Resolution, Failure> {
    Core::resolve(&query(&[("doi", "10.1000/a")]), host)
}

fn resolve_body(body: impl ToString) -> Result<Resolution, Failure> {
    resolve(&FakeHost::new().answer(URL, 200, body.to_string()))
}

/// Another work first, then two records of the one asked for.
fn found() -> Value {
    let other = json!({ "id": 1, "doi": "10.1000/ab", "downloadUrl": "https://other.example/b.pdf" });
    let first = json!({
        "id": 2, "doi": "https://doi.org/10.1000/A", "arxivId": null, "pubmedId": "9",
        "downloadUrl": "http://arxiv.org/abs/2104.1",
        "links": [
            { "type": "reader", "url": "https://core.example/reader/2" },
            { "type": "download", "url": "https://core.example/download/2.pdf" },
        ],
    });
    let second = json!({
        "id": 3, "doi": null, "identifiers": [{ "type": "DOI", "identifier": "10.1000/a" }], "arxivId": "2104.1",
        "downloadUrl": "https://core.example/download/2.pdf",
        "sourceFulltextUrls": ["https://repo.example/3", null, "https://doi.org/10.1000/a"],
    });
    json!({ "totalHits": 3, "limit": 10, "offset": 0, "results": [other, first, second] })
}

#[test]
fn the_copies_of_the_very_work_are_proposed_and_its_names_told() {
    let resolution = resolve_body(found()).unwrap();
    let page = CandidateKind::LandingPage;
    let copies: Vec<_> = resolution.candidates.iter().map(|copy| (&*copy.url, copy.kind)).collect();
    let expected = [
        ("http://arxiv.org/abs/2104.1", page),
        ("https://core.example/download/2.pdf", CandidateKind::File),
        ("https://repo.example/3", CandidateKind::File),
        ("https://doi.org/10.1000/a", page),
    ];
    assert_eq!(copies, expected);
    let pdf = Candidate {
        host_type: Some("repository".to_owned()),
        ..Candidate::pdf("https://core.example/download/2.pdf").unwrap()
    };
    assert_eq!(resolution.candidates[1], pdf);
    let names = [("doi", "10.1000/a"), ("arxiv", "2104.1"), ("pmid", "9")];
    assert_eq!(resolution.discovered, names.map(|(scheme, value)| Identifier::new(scheme, value)));
}

#[test]
fn an_odd_doi_is_one_phrase() {
    let host = FakeHost::new();
    Core::resolve(&query(&[("doi", "10.1000/a\"b\\c&d")]), &host).unwrap_err();
    let url = "https://api.core.ac.uk/v3/search/works/?q=doi%3A%2210.1000%2Fa%5C%22b%5C%5Cc%26d%22&limit=10";
    assert_eq!(host.sent()[0].url, url);
    let host = FakeHost::new();
    assert_eq!(Core::resolve(&query(&[("pmid", "1")]), &host), Ok(Resolution::none()));
    assert!(host.sent().is_empty());
}

#[test]
fn an_unknown_work_or_another_one_is_no_answer() {
    assert_eq!(resolve_body(json!({ "totalHits": 0, "results": [] })), Ok(Resolution::none()));
    let other = json!({ "doi": "10.1000/ab", "downloadUrl": "https://other.example/b.pdf" });
    assert_eq!(resolve_body(json!({ "results": [other, null, {}] })), Ok(Resolution::none()));
    let closed = json!({ "results": [{ "doi": "10.1000/a", "downloadUrl": "", "links": [] }] });
    assert_eq!(urls(&resolve_body(closed).unwrap()), [""; 0]);
}

#[test]
fn a_refusal_says_that_it_is_about_the_key() {
    for status in [401, 403] {
        let failure =
            resolve(&FakeHost::new().answer(URL, status, r#"{"message":"Unauthorized"}"#)).unwrap_err();
        assert_eq!((failure.disposition, failure.upstream_status), (Disposition::GiveUp, Some(status)));
        assert!(failure.message.contains("wants a key"), "{}", failure.message);
    }
    let failure = resolve(&FakeHost::new().answer(URL, 400, "")).unwrap_err();
    assert!(!failure.message.contains("key"), "{}", failure.message);
}

#[test]
fn another_shape_is_a_failure_that_says_so() {
    let older = json!({ "status": "OK", "data": [] });
    assert_unknown_shapes([json!({}), older, json!({ "results": {} }), json!([])], resolve_body);
}

gleaner_testing::contract_of_answers! {
    asks: URL, with: FakeHost::new, by: resolve,
    reads: found().to_string(), by: resolve_body,
}

#[test]
fn a_field_of_any_type_never_costs_the_other_works() {
    let fields = ["doi", "arxivId", "pubmedId", "downloadUrl", "links", "sourceFulltextUrls", "identifiers"];
    each_odd_field(&found().to_string(), "/results", &fields, |place, body| {
        let resolution = resolve_body(body).unwrap();
        assert!(urls(&resolution).contains(&"https://core.example/download/2.pdf"), "{place}");
    });
    each_odd_field(&found().to_string(), "/results/1/links", &["type", "url"], |_, body| {
        assert!(urls(&resolve_body(body).unwrap()).contains(&"https://repo.example/3"));
    });
}
