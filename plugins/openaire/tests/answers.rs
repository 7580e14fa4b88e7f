//! The whole resolver against every kind of answer that OpenAIRE gives.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use gleaner_plugin_openaire::OpenAire;
use gleaner_sdk::testing::{FakeHost, assert_unknown_shapes, each_odd_field, query, urls};
use gleaner_sdk::{Candidate, CandidateKind, Failure, Identifier, Resolution, Resolver};
use serde_json::{Value, json};

const URL: &str = "https://api.openaire.eu/graph/v1/researchProducts?pid=10.1000%2Fa";

fn resolve(host: &FakeHost) -> Result<Resolution, Failure> {
    OpenAire::resolve(&query(&[("doi", "10.1000/a")]), host)
}

fn resolve_body(body: impl ToString) -> Result<Resolution, Failure> {
    resolve(&FakeHost::new().answer(URL, 200, body.to_string()))
}

fn instance(code: Option<&str>, kind: &str, urls: Value) -> Value {
    let right = code.map(|code| json!({ "code": code, "label": "?" }));
    json!({ "accessRight": right, "type": kind, "license": "CC BY", "urls": urls })
}

fn product(doi: &str, best: &str, instances: Value) -> Value {
    let pids = json!([{ "scheme": "doi", "value": doi }, { "scheme": "pmid", "value": "9" }, { "scheme": "mag_id", "value": "1" }]);
    json!({ "id": "x", "pids": pids, "bestAccessRight": { "code": best, "label": "?" }, "instances": instances })
}

/// Another work first, then the one asked for: a page, a closed file, a file that says nothing of its access.
fn found() -> Value {
    let other = product(
        "10.1000/ab",
        "c_abf2",
        json!([instance(None, "Article", json!(["https://other.example/1.pdf"]))]),
    );
    let instances = json!([
        instance(Some("c_abf2"), "Article", json!(["https://press.example/a", 7])),
        instance(Some("c_16ec"), "Article", json!(["https://press.example/a.pdf"])),
        instance(None, "Preprint", json!("http://repo.example/a b.pdf")),
    ]);
    json!({ "header": { "numFound": 2 }, "results": [other, product("10.1000/A", "c_abf2", instances)] })
}

#[test]
fn open_copies_of_the_very_work_are_proposed_files_first() {
    let resolution = resolve_body(found()).unwrap();
    assert_eq!(urls(&resolution), ["http://repo.example/a%20b.pdf", "https://press.example/a"]);
    let expected = Candidate {
        version: Some("submitted".to_owned()),
        license: Some("CC BY".to_owned()),
        ..Candidate::file("http://repo.example/a b.pdf").unwrap()
    };
    assert_eq!(resolution.candidates[0], expected);
    assert_eq!(resolution.candidates[1].kind, CandidateKind::LandingPage);
    let names = [("doi", "10.1000/A"), ("pmid", "9")];
    assert_eq!(resolution.discovered, names.map(|(scheme, value)| Identifier::new(scheme, value)));
}

#[test]
fn a_copy_may_carry_the_doi_in_place_of_the_whole() {
    let carried = |field: &str, value: Value| {
        let mut body = found();
        body["results"][1]["pids"] = json!(null);
        body["results"][1]["instances"][0][field] = value;
        !resolve_body(body).unwrap().candidates.is_empty()
    };
    let pid = |value: &str| json!([{ "scheme": "doi", "value": value }]);
    assert!(carried("pids", pid("10.1000/a")));
    assert!(carried("alternateIdentifiers", pid("https://doi.org/10.1000/A")));
    assert!(carried("urls", json!(["https://dx.doi.org/10.1000/a"])));
    assert!(!carried("pids", pid("10.1000/ab")));
    assert!(!carried("urls", json!(["https://press.example/10.1000/a"])));
}

#[test]
fn a_closed_or_unknown_work_has_no_candidates() {
    let unknown = json!({ "header": { "numFound": 0 }, "results": [] });
    assert_eq!(resolve_body(unknown), Ok(Resolution::none()));
    let mut closed = found();
    closed["results"][1]["bestAccessRight"]["code"] = json!("c_14cb");
    closed["results"][1]["instances"][0]["accessRight"]["code"] = json!("c_f1cf");
    assert_eq!(urls(&resolve_body(closed).unwrap()), [""; 0]);
    let host = FakeHost::new();
    assert_eq!(OpenAire::resolve(&query(&[("pmid", "1")]), &host), Ok(Resolution::none()));
    assert!(host.sent().is_empty());
}

#[test]
fn the_operators_base_url_goes_first() {
    let host = FakeHost::new().set("base-url", "https://mirror.example/graph/v2").answer(
        "https://mirror.example/graph/v2/researchProducts?pid=10.1000%2Fa",
        200,
        found().to_string(),
    );
    assert_eq!(resolve(&host).unwrap().candidates.len(), 2);
}

#[test]
fn another_shape_is_a_failure_that_says_so() {
    let refused = json!({ "error": "Token invalid", "description": "?" });
    assert_unknown_shapes([json!({}), refused, json!({ "results": {} }), json!([])], resolve_body);
}

gleaner_testing::contract_of_answers! {
    asks: URL, with: FakeHost::new, by: resolve,
    reads: found().to_string(), by: resolve_body,
}

#[test]
fn a_field_of_any_type_never_costs_the_other_copies() {
    let fields = ["pids", "alternateIdentifiers", "license", "type", "urls"];
    each_odd_field(&found().to_string(), "/results/1/instances", &fields, |place, body| {
        let resolution = resolve_body(body).unwrap();
        assert!(urls(&resolution).contains(&"https://press.example/a") || place == 0);
        assert!(urls(&resolution).contains(&"http://repo.example/a%20b.pdf") || place == 2);
    });
}
