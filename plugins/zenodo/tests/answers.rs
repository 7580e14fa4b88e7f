//! The whole resolver against every kind of answer that Zenodo gives.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use gleaner_plugin_zenodo::Zenodo;
use gleaner_sdk::testing::{FakeHost, assert_unknown_shapes, each_odd_field, query, response, urls};
use gleaner_sdk::{Candidate, Failure, Identifier, Resolution, Resolver};
use serde_json::{Value, json};

const URL: &str = "https://zenodo.org/api/records/123";
const FILE: &str = "https://zenodo.org/api/records/123/files/a%20b.pdf/content";

fn resolve(host: &FakeHost) -> Result<Resolution, Failure> {
    Zenodo::resolve(&query(&[("doi", "10.5281/zenodo.123")]), host)
}

fn resolve_body(body: impl ToString) -> Result<Resolution, Failure> {
    resolve(&FakeHost::new().answer(URL, 200, body.to_string()))
}

fn file(key: &str, url: Option<&str>) -> Value {
    json!({ "key": key, "size": 1000, "links": { "self": url } })
}

fn found() -> Value {
    json!({
        "id": 123, "conceptrecid": "122", "doi": "10.5281/zenodo.123", "conceptdoi": "10.5281/zenodo.122",
        "metadata": {
            "access_right": "open", "license": { "id": "cc-by-4.0" },
            "resource_type": { "type": "publication", "subtype": "preprint" }
        },
        "files": [
            file("data.csv", Some("https://zenodo.org/api/records/123/files/data.csv/content")),
            file("a b.pdf", Some("https://zenodo.org/api/records/123/files/a b.pdf/content")),
            file("x/y?.PDF", None),
        ]
    })
}

#[test]
fn the_pdfs_of_a_record_are_proposed() {
    let resolution = resolve_body(found()).unwrap();
    assert_eq!(urls(&resolution), [FILE, "https://zenodo.org/api/records/123/files/x%2Fy%3F.PDF/content"]);
    let expected = Candidate {
        version: Some("submitted".to_owned()),
        license: Some("cc-by-4.0".to_owned()),
        host_type: Some("repository".to_owned()),
        ..Candidate::pdf(FILE).unwrap()
    };
    assert_eq!(resolution.candidates[0], expected);
    assert_eq!(resolution.discovered, [Identifier::new("doi", "10.5281/zenodo.123")]);
}

#[test]
fn a_wait_beside_an_answer_does_not_cost_the_answer() {
    let answer = response(200, found().to_string()).with_header("retry-after", "59");
    assert_eq!(resolve(&FakeHost::new().outcome(URL, Ok(answer))).unwrap().candidates.len(), 2);
}

#[test]
fn a_record_is_known_by_its_number_or_that_of_all_versions() {
    let found = |names: &[(&str, &str)], number: &str| {
        let host = FakeHost::new().set("base-url", "https://mirror.example/api/").answer(
            &format!("https://mirror.example/api/records/{number}"),
            200,
            found().to_string(),
        );
        Zenodo::resolve(&query(names), &host).unwrap().candidates.len()
    };
    assert_eq!(found(&[("zenodo", "123")], "123"), 2);
    assert_eq!(found(&[("zenodo", "122")], "122"), 2);
    assert_eq!(found(&[("doi", "10.1000/a"), ("doi", "10.5281/zenodo.122")], "122"), 2);
    assert_eq!(found(&[("doi", "10.5281/zenodo.122"), ("zenodo", "123")], "123"), 2);
    assert_eq!(found(&[("zenodo", "124")], "124"), 0);
    assert_eq!(found(&[("doi", "10.5281/zenodo.12")], "12"), 0);
    let host = FakeHost::new();
    assert_eq!(Zenodo::resolve(&query(&[("doi", "10.1000/a")]), &host), Ok(Resolution::none()));
    assert!(host.sent().is_empty());
}

#[test]
fn a_record_with_a_doi_of_elsewhere_is_that_other_work() {
    let mut body = found();
    (body["doi"], body["conceptdoi"]) = (json!("10.5061/DRYAD.1"), json!(null));
    assert_eq!(resolve_body(&body), Ok(Resolution::none()));
    let host = FakeHost::new().answer(URL, 200, body.to_string());
    let both = query(&[("doi", "10.5281/zenodo.123"), ("zenodo", "123")]);
    assert_eq!(Zenodo::resolve(&both, &host), Ok(Resolution::none()));
    let resolution = Zenodo::resolve(&query(&[("zenodo", "123")]), &host).unwrap();
    assert_eq!(resolution.candidates.len(), 2);
    assert_eq!(resolution.discovered, [Identifier::new("doi", "10.5061/dryad.1")]);
}

#[test]
fn a_closed_or_unknown_record_has_no_candidates() {
    let gone = json!({ "status": 410, "message": "The record has been deleted." }).to_string();
    for (status, body) in [(404, "{}"), (410, &*gone)] {
        assert_eq!(resolve(&FakeHost::new().answer(URL, status, body)), Ok(Resolution::none()));
    }
    for access in ["embargoed", "restricted", "closed"] {
        let mut body = found();
        body["metadata"]["access_right"] = json!(access);
        assert_eq!(urls(&resolve_body(body).unwrap()), [""; 0], "{access}");
    }
}

#[test]
fn another_shape_is_a_failure_that_says_so() {
    let list = json!({ "hits": { "hits": [found()], "total": 1 } });
    assert_unknown_shapes([json!({}), list, json!({ "id": true }), json!([])], resolve_body);
}

gleaner_testing::contract_of_answers! {
    asks: URL, with: FakeHost::new, by: resolve,
    reads: found().to_string(), by: resolve_body,
}

#[test]
fn a_field_of_any_type_never_costs_the_other_files() {
    each_odd_field(&found().to_string(), "/files", &["key", "links", "size"], |place, body| {
        let resolution = resolve_body(body).unwrap();
        assert!(urls(&resolution).contains(&FILE) || place == 1);
        assert!(urls(&resolution).iter().any(|url| url.contains("PDF")) || place == 2);
    });
}
