//! The whole resolver against every kind of answer that OpenAlex gives.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use gleaner_plugin_openalex::OpenAlex;
use gleaner_sdk::testing::{
    FakeHost, assert_each_fails, assert_unknown_shapes, each_odd_field, query, together, urls,
};
use gleaner_sdk::{Candidate, CandidateKind, Failure, Identifier, Resolution, Resolver};
use serde_json::{Value, json};

const SELECT: &str = "?select=id%2Cdoi%2Cids%2Copen_access%2Cbest_oa_location%2Clocations";

fn url(name: &str) -> String {
    format!("https://api.openalex.org/works/{name}{SELECT}&mailto=someone%40example.org")
}

fn host() -> FakeHost {
    FakeHost::new().set("contact", "someone@example.org")
}

fn resolve(host: &FakeHost) -> Result<Resolution, Failure> {
    OpenAlex::resolve(&query(&[("doi", "10.1000/a")]), host)
}

fn resolve_body(body: impl ToString) -> Result<Resolution, Failure> {
    resolve(&host().answer(&url("doi:10.1000/a"), 200, body.to_string()))
}

fn location(open: bool, pdf: Option<&str>, page: &str, version: &str, source: &str) -> Value {
    json!({
        "is_oa": open, "pdf_url": pdf, "landing_page_url": page, "version": version, "license": "cc-by",
        "source": { "type": source }
    })
}

/// The best copy has a page only; a closed one has a file.
fn open_work() -> Value {
    let best = location(true, None, "https://doi.org/10.1000/a", "publishedVersion", "journal");
    json!({
        "id": "https://openalex.org/W123",
        "doi": "https://doi.org/10.1000/A",
        "ids": {
            "openalex": "https://openalex.org/W123", "mag": "123",
            "pmid": "https://pubmed.ncbi.nlm.nih.gov/9",
            "pmcid": "https://www.ncbi.nlm.nih.gov/pmc/articles/PMC8"
        },
        "open_access": { "is_oa": true, "oa_status": "gold", "oa_url": "https://doi.org/10.1000/a" },
        "best_oa_location": best,
        "locations": [
            best,
            location(false, Some("https://closed.example/a.pdf"), "https://closed.example/a", "publishedVersion", "journal"),
            location(true, Some("http://repo.example/a b.pdf"), "https://repo.example/a", "acceptedVersion", "repository"),
            location(true, Some("https://other.example/2.pdf"), "https://other.example/2", "submittedVersion", "other"),
        ]
    })
}

#[test]
fn files_of_open_copies_go_first_and_then_pages() {
    let resolution = resolve_body(open_work()).unwrap();
    assert_eq!(
        urls(&resolution),
        ["http://repo.example/a%20b.pdf", "https://other.example/2.pdf", "https://doi.org/10.1000/a"]
    );
    let expected = Candidate {
        version: Some("accepted".to_owned()),
        license: Some("cc-by".to_owned()),
        host_type: Some("repository".to_owned()),
        ..Candidate::pdf("http://repo.example/a b.pdf").unwrap()
    };
    assert_eq!(resolution.candidates[0], expected);
    let page = &resolution.candidates[2];
    assert_eq!((page.kind, page.host_type.as_deref()), (CandidateKind::LandingPage, Some("publisher")));
    let names = [("openalex", "W123"), ("doi", "10.1000/a"), ("pmid", "9"), ("pmcid", "PMC8")];
    assert_eq!(resolution.discovered, names.map(|(scheme, value)| Identifier::new(scheme, value)));
}

#[test]
fn the_best_name_is_asked_for() {
    let names = [("pmid", "9"), ("doi", "10.1000/a<b>"), ("openalex", "W123")];
    for (names, place) in
        [(&names[..], "W123"), (&names[..2], "doi:10.1000/a%3Cb%3E"), (&names[..1], "pmid:9")]
    {
        let host = host();
        OpenAlex::resolve(&query(names), &host).unwrap_err();
        assert_eq!(host.sent()[0].url, url(place));
    }
    let host = host();
    assert_eq!(OpenAlex::resolve(&query(&[("arxiv", "1")]), &host), Ok(Resolution::none()));
    assert!(host.sent().is_empty());
}

#[test]
fn without_a_contact_it_asks_as_anybody() {
    let url = format!("https://mirror.example/works/doi:10.1000/a{SELECT}");
    let host =
        FakeHost::new().set("base-url", "https://mirror.example").answer(&url, 200, open_work().to_string());
    assert_eq!(resolve(&host).unwrap().candidates.len(), 3);
}

#[test]
fn a_record_of_another_work_is_not_taken() {
    let mut body = open_work();
    body["doi"] = json!("https://doi.org/10.1000/ab");
    assert_eq!(resolve_body(&body), Ok(Resolution::none()));
    for (name, place) in [(("openalex", "W1234"), "W1234"), (("pmid", "99"), "pmid:99")] {
        let host = host().answer(&url(place), 200, open_work().to_string());
        assert_eq!(OpenAlex::resolve(&query(&[name]), &host), Ok(Resolution::none()), "{name:?}");
    }
}

#[test]
fn a_closed_or_unknown_work_has_no_candidates() {
    let page = "<!doctype html><title>404 Not Found</title>";
    assert_eq!(resolve(&host().answer(&url("doi:10.1000/a"), 404, page)), Ok(Resolution::none()));
    let mut body = open_work();
    body["open_access"] = json!({ "is_oa": false, "oa_status": "closed", "oa_url": null });
    assert_eq!(urls(&resolve_body(&body).unwrap()), [""; 0]);
}

#[test]
fn where_no_copy_is_named_the_url_of_the_whole_counts() {
    let work = |url: &str| json!({ "doi": "https://doi.org/10.1000/a", "open_access": { "is_oa": true, "oa_url": url }, "locations": null });
    for (url, kind) in [
        ("https://a.example/1.pdf", CandidateKind::File),
        ("https://a.example/1", CandidateKind::LandingPage),
    ] {
        let resolution = resolve_body(work(url)).unwrap();
        assert_eq!((urls(&resolution), resolution.candidates[0].kind), (vec![url], kind));
    }
}

#[test]
fn another_shape_is_a_failure_that_says_so() {
    let list = json!({ "meta": { "count": 1 }, "results": [open_work()] });
    assert_unknown_shapes([json!({}), list, json!({ "id": 7 }), json!([])], resolve_body);
}

gleaner_testing::contract_of_answers! {
    asks: &url("doi:10.1000/a"), with: host, by: resolve,
    reads: open_work().to_string(), by: resolve_body,
}

#[test]
fn a_field_of_any_type_never_costs_the_other_copies() {
    let fields = ["is_oa", "pdf_url", "landing_page_url", "version", "license", "source"];
    each_odd_field(&open_work().to_string(), "/locations", &fields, |place, body| {
        let resolution = resolve_body(body).unwrap();
        let rest = urls(&resolution);
        assert!(rest.contains(&"http://repo.example/a%20b.pdf") || place == 2);
        assert!(rest.contains(&"https://other.example/2.pdf") || place == 3);
    });
}

#[test]
fn works_that_are_asked_about_together_are_answered_as_each_alone() {
    let works =
        [query(&[("doi", "10.1000/a")]), query(&[("doi", "10.1000/nobody")]), query(&[("isbn", "1")])];
    let body = json!({ "meta": {}, "results": [null, { "id": "https://openalex.org/W9" }, open_work()] });
    let (answers, request) = together::<OpenAlex>(&works, host, body);
    assert_eq!(answers[0], resolve_body(open_work()));
    assert!(!answers[0].as_ref().unwrap().candidates.is_empty());
    assert_eq!(answers[1..], [Ok(Resolution::none()), Ok(Resolution::none())]);
    assert!(
        request.url.contains("works?filter=doi%3A10.1000%2Fa%7C10.1000%2Fnobody&per-page=100&select="),
        "{}",
        request.url
    );
    // What a filter would cut is asked about alone.
    let (_, request) = together::<OpenAlex>(&[query(&[("doi", "10.1000/a,b")])], host, "{}");
    assert!(request.url.contains("/works/doi:10.1000/a,b?"), "{}", request.url);
    assert_each_fails::<OpenAlex>(&works[..2], json!({ "error": "?" }));
}
