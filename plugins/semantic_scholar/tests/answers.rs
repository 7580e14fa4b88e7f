//! The whole resolver against every kind of answer that Semantic Scholar gives.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use gleaner_plugin_semantic_scholar::SemanticScholar;
use gleaner_sdk::testing::{
    FakeHost, assert_each_fails, assert_unknown_shapes, each_odd_field, query, together, urls,
};
use gleaner_sdk::{Candidate, CandidateKind, Failure, Identifier, Resolution, Resolver};
use serde_json::{Value, json};

const URL: &str =
    "https://api.semanticscholar.org/graph/v1/paper/DOI:10.1000/a?fields=externalIds%2CopenAccessPdf";

fn resolve(host: &FakeHost) -> Result<Resolution, Failure> {
    SemanticScholar::resolve(&query(&[("doi", "10.1000/a")]), host)
}

fn resolve_body(body: impl ToString) -> Result<Resolution, Failure> {
    resolve(&FakeHost::new().answer(URL, 200, body.to_string()))
}

fn found(url: &str, status: Value) -> Value {
    json!({
        "paperId": "db37",
        "externalIds": {
            "MAG": "1", "DOI": "10.1000/A", "CorpusId": 2, "PubMed": "9", "PubMedCentral": "123", "ArXiv": "2104.1"
        },
        "openAccessPdf": { "url": url, "status": status, "license": "CCBY", "disclaimer": "?" }
    })
}

#[test]
fn the_open_copy_is_proposed_and_the_works_names_told() {
    let resolution = resolve_body(found("https://press.example/a.pdf", json!("GOLD"))).unwrap();
    let expected = Candidate {
        version: Some("published".to_owned()),
        license: Some("CCBY".to_owned()),
        host_type: Some("publisher".to_owned()),
        ..Candidate::pdf("https://press.example/a.pdf").unwrap()
    };
    assert_eq!(resolution.candidates, [expected]);
    let names = [("doi", "10.1000/A"), ("arxiv", "2104.1"), ("pmid", "9"), ("pmcid", "PMC123")];
    assert_eq!(resolution.discovered, names.map(|(scheme, value)| Identifier::new(scheme, value)));
}

#[test]
fn a_copy_in_a_repository_has_no_known_version() {
    let resolution = resolve_body(found("https://repo.example/view/1", json!("GREEN"))).unwrap();
    let copy = &resolution.candidates[0];
    assert_eq!((copy.host_type.as_deref(), copy.version.as_deref()), (Some("repository"), None));
    assert_eq!((copy.kind, copy.media_type.as_deref()), (CandidateKind::File, None));
}

#[test]
fn a_link_through_doi_org_is_a_page() {
    for url in ["https://doi.org/10.1000/a.pdf", "http://dx.doi.org/10.1000/a"] {
        let resolution = resolve_body(found(url, json!("HYBRID"))).unwrap();
        assert_eq!(
            (resolution.candidates[0].kind, urls(&resolution)),
            (CandidateKind::LandingPage, vec![url])
        );
    }
}

#[test]
fn a_closed_work_has_no_candidates() {
    for (url, status) in [
        ("", json!(null)),
        ("", json!("CLOSED")),
        ("https://press.example/a.pdf", json!("CLOSED")),
        ("ftp://press.example/a.pdf", json!("GOLD")),
    ] {
        assert_eq!(urls(&resolve_body(found(url, status)).unwrap()), [""; 0]);
    }
    let mut without = found("", json!(null));
    without["openAccessPdf"] = json!(null);
    assert_eq!(urls(&resolve_body(without).unwrap()), [""; 0]);
}

#[test]
fn another_paper_or_an_unknown_one_is_no_answer() {
    let mut other = found("https://press.example/a.pdf", json!("GOLD"));
    other["externalIds"]["DOI"] = json!("10.1000/ab");
    assert_eq!(resolve_body(other), Ok(Resolution::none()));
    let unknown = FakeHost::new().answer(URL, 404, r#"{"error":"Paper with id DOI:10.1000/a not found"}"#);
    assert_eq!(resolve(&unknown), Ok(Resolution::none()));
}

#[test]
fn the_best_name_is_asked_for() {
    let asked = |names: &[(&str, &str)]| {
        let host = FakeHost::new();
        SemanticScholar::resolve(&query(names), &host).unwrap_err();
        let url = host.sent()[0].url.clone();
        url.split("/paper/").nth(1).unwrap().split('?').next().unwrap().to_owned()
    };
    let names = [("pmcid", "PMC123"), ("pmid", "9"), ("arxiv", "math/0211159v2"), ("doi", "10.1000/a?b")];
    assert_eq!(asked(&names), "DOI:10.1000/a%3Fb");
    assert_eq!(asked(&names[..3]), "ARXIV:math/0211159");
    assert_eq!(asked(&names[..2]), "PMID:9");
    assert_eq!(asked(&names[..1]), "PMCID:123");
    let host = FakeHost::new();
    assert_eq!(SemanticScholar::resolve(&query(&[("isbn", "1")]), &host), Ok(Resolution::none()));
    assert!(host.sent().is_empty());
}

#[test]
fn an_eprint_is_the_same_in_every_version() {
    let url = URL.replace("DOI:10.1000/a", "ARXIV:2104.1");
    let body = found("https://arxiv.org/pdf/2104.1", json!("GREEN")).to_string();
    let host = FakeHost::new().answer(&url, 200, body);
    let resolution = SemanticScholar::resolve(&query(&[("arxiv", "2104.1v3")]), &host).unwrap();
    assert_eq!(urls(&resolution), ["https://arxiv.org/pdf/2104.1"]);
}

#[test]
fn another_shape_is_a_failure_that_says_so() {
    let error = json!({ "error": "?" });
    assert_unknown_shapes([json!({}), error, json!([]), json!({ "data": [] })], resolve_body);
}

gleaner_testing::contract_of_answers! {
    asks: URL, with: FakeHost::new, by: resolve,
    reads: found("https://press.example/a.pdf", json!("GOLD")).to_string(), by: resolve_body,
}

#[test]
fn a_field_of_any_type_costs_only_itself() {
    let papers = json!([found("https://press.example/a.pdf", json!("GOLD"))["externalIds"]]).to_string();
    each_odd_field(&papers, "", &["MAG", "PubMed", "PubMedCentral", "ArXiv", "CorpusId"], |_, names| {
        let mut paper = found("https://press.example/a.pdf", json!("GOLD"));
        paper["externalIds"] = serde_json::from_str::<Value>(&names).unwrap()[0].clone();
        assert_eq!(urls(&resolve_body(paper).unwrap()), ["https://press.example/a.pdf"]);
    });
    let copies = json!([found("https://press.example/a.pdf", json!("GOLD"))["openAccessPdf"]]).to_string();
    each_odd_field(&copies, "", &["status", "license", "disclaimer"], |_, copy| {
        let mut paper = found("", json!(null));
        paper["openAccessPdf"] = serde_json::from_str::<Value>(&copy).unwrap()[0].clone();
        assert_eq!(urls(&resolve_body(paper).unwrap()), ["https://press.example/a.pdf"]);
    });
}

#[test]
fn works_that_are_asked_about_together_are_answered_as_each_alone() {
    let works =
        [query(&[("doi", "10.1000/a")]), query(&[("doi", "10.1000/nobody")]), query(&[("isbn", "1")])];
    let paper = found("https://press.example/a.pdf", json!("GOLD"));
    let (answers, request) = together::<SemanticScholar>(&works, FakeHost::new, json!([paper, null]));
    assert_eq!(answers[0], resolve_body(&paper));
    assert!(!answers[0].as_ref().unwrap().candidates.is_empty());
    assert_eq!(answers[1..], [Ok(Resolution::none()), Ok(Resolution::none())]);
    let asked: Value = serde_json::from_slice(&request.body.unwrap()).unwrap();
    assert_eq!(asked, json!({ "ids": ["DOI:10.1000/a", "DOI:10.1000/nobody"] }));
    assert_each_fails::<SemanticScholar>(&works[..2], json!([paper]));
    assert_each_fails::<SemanticScholar>(&works[..2], json!({ "error": "?" }));
}
