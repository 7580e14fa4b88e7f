//! The whole resolver against every kind of answer that DOAJ gives.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use gleaner_plugin_doaj::Doaj;
use gleaner_sdk::testing::{
    FakeHost, assert_each_fails, assert_unknown_shapes, each_odd_field, query, together, urls,
};
use gleaner_sdk::{Candidate, CandidateKind, Failure, Identifier, Resolution, Resolver};
use serde_json::{Value, json};

const URL: &str = "https://doaj.org/api/search/articles/doi:%2210.1000%2Fa%22?pageSize=10";

fn resolve(host: &FakeHost) -> Result<Resolution, Failure> {
    Doaj::resolve(&query(&[("doi", "10.1000/a")]), host)
}

fn resolve_body(body: impl ToString) -> Result<Resolution, Failure> {
    resolve(&FakeHost::new().answer(URL, 200, body.to_string()))
}

fn article(doi: &str, links: &[(&str, Value, &str)]) -> Value {
    let links =
        links.iter().map(|(kind, content, url)| json!({ "type": kind, "content_type": content, "url": url }));
    json!({ "id": "x", "bibjson": {
        "identifier": [{ "type": "eissn", "id": "1234-5678" }, { "type": "doi", "id": doi }],
        "journal": { "license": [null, { "type": "CC BY", "open_access": true }] },
        "link": links.collect::<Vec<_>>(),
    } })
}

/// Another work first, then the one asked for.
fn found() -> Value {
    let other = article("10.1000/ab", &[("fulltext", json!("pdf"), "https://other.example/b.pdf")]);
    let links = [
        ("fulltext", json!("HTML"), "https://press.example/a.pdf.html"),
        ("homepage", json!("pdf"), "https://press.example/journal.pdf"),
        ("fulltext", json!("PDF"), "https://press.example/view/1"),
        ("fulltext", json!(null), "https://press.example/a.pdf"),
        ("fulltext", json!(null), "https://press.example/view/2"),
        ("fulltext", json!("text/html"), "https://press.example/view/3"),
    ];
    json!({ "total": 2, "page": 1, "results": [other, article("10.1000/A", &links)] })
}

#[test]
fn full_texts_of_the_very_work_are_proposed_pdfs_first() {
    let resolution = resolve_body(found()).unwrap();
    let place = |end: &str| format!("https://press.example/{end}");
    let expected = ["view/1", "a.pdf", "a.pdf.html", "view/2", "view/3"].map(place);
    assert_eq!(urls(&resolution), expected);
    let pages = resolution.candidates.iter().filter(|text| text.kind == CandidateKind::LandingPage).count();
    assert_eq!(pages, 3);
    let first = Candidate {
        version: Some("published".to_owned()),
        license: Some("CC BY".to_owned()),
        host_type: Some("publisher".to_owned()),
        ..Candidate::pdf(&expected[0]).unwrap()
    };
    assert_eq!(resolution.candidates[0], first);
    assert_eq!(resolution.discovered, [Identifier::new("doi", "10.1000/a")]);
}

#[test]
fn a_doi_may_stand_behind_a_resolver() {
    for doi in ["https://doi.org/10.1000/A", "doi:10.1000/a", " 10.1000/a "] {
        let body =
            json!({ "results": [article(doi, &[("fulltext", json!("pdf"), "https://press.example/a")])] });
        assert_eq!(urls(&resolve_body(body).unwrap()), ["https://press.example/a"], "{doi}");
    }
}

#[test]
fn an_odd_doi_is_one_phrase_in_one_segment() {
    let host = FakeHost::new();
    Doaj::resolve(&query(&[("doi", "10.1000/a\"b\\c?d")]), &host).unwrap_err();
    let url = "https://doaj.org/api/search/articles/doi:%2210.1000%2Fa%5C%22b%5C%5Cc%3Fd%22?pageSize=10";
    assert_eq!(host.sent()[0].url, url);
    let host = FakeHost::new();
    assert_eq!(Doaj::resolve(&query(&[("pmid", "1")]), &host), Ok(Resolution::none()));
    assert!(host.sent().is_empty());
}

#[test]
fn an_unknown_work_or_another_one_is_no_answer() {
    assert_eq!(resolve_body(json!({ "total": 0, "results": [] })), Ok(Resolution::none()));
    let other = article("10.1000/ab", &[("fulltext", json!("pdf"), "https://other.example/b.pdf")]);
    assert_eq!(resolve_body(json!({ "results": [other, null, {}] })), Ok(Resolution::none()));
    assert_eq!(urls(&resolve_body(json!({ "results": [article("10.1000/a", &[])] })).unwrap()), [""; 0]);
}

#[test]
fn another_shape_is_a_failure_that_says_so() {
    let error = json!({ "status": "bad_request", "error": "?" });
    assert_unknown_shapes([json!({}), error, json!({ "results": {} }), json!([])], resolve_body);
}

gleaner_testing::contract_of_answers! {
    asks: URL, with: FakeHost::new, by: resolve,
    reads: found().to_string(), by: resolve_body,
}

#[test]
fn a_field_of_any_type_never_costs_the_other_links() {
    let list = "/results/1/bibjson/link";
    each_odd_field(&found().to_string(), list, &["type", "content_type", "url"], |place, body| {
        let resolution = resolve_body(body).unwrap();
        assert!(urls(&resolution).contains(&"https://press.example/view/3") || place == 5);
    });
    each_odd_field(&found().to_string(), "/results", &["id", "bibjson"], |place, body| {
        assert!(urls(&resolve_body(body).unwrap()).len() == 5 || place == 1);
    });
}

#[test]
fn works_that_are_asked_about_together_are_answered_as_each_alone() {
    let works =
        [query(&[("doi", "10.1000/a")]), query(&[("doi", "10.1000/nobody")]), query(&[("isbn", "1")])];
    let (answers, request) = together::<Doaj>(&works, FakeHost::new, found());
    assert_eq!(answers[0], resolve_body(found()));
    assert!(!answers[0].as_ref().unwrap().candidates.is_empty());
    assert_eq!(answers[1..], [Ok(Resolution::none()), Ok(Resolution::none())]);
    let search = "doi:%2210.1000%2Fa%22%20OR%20doi:%2210.1000%2Fnobody%22?pageSize=100";
    assert!(request.url.ends_with(search), "{}", request.url);
    assert_each_fails::<Doaj>(&works[..2], json!({ "error": "?" }));
}
