//! The whole resolver against every kind of answer that OSF gives.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use gleaner_plugin_osf::Osf;
use gleaner_sdk::testing::{
    FakeHost, assert_failures_keep_their_disposition, assert_unknown_shapes, query, urls, urls_read,
};
use gleaner_sdk::{Candidate, Failure, Identifier, Resolution, Resolver};
use gleaner_testing::each_mutation;
use serde_json::{Value, json};

const DOI: &str = "10.31234/osf.io/ab1cd";
const PREPRINT: &str = "https://api.osf.io/v2/preprints/ab1cd/";
const FILE: &str = "https://api.osf.io/v2/files/f00/";
const DOWNLOAD: &str = "https://osf.io/download/f00/";

fn preprint() -> Value {
    json!({ "data": {
        "id": "ab1cd_v2", "type": "preprints",
        "attributes": { "doi": "10.1000/Published", "date_withdrawn": null, "title": "A preprint" },
        "links": { "preprint_doi": "https://doi.org/10.31234/OSF.IO/ab1cd", "self": PREPRINT },
        "relationships": { "primary_file": { "data": { "id": "f00", "type": "files" } } }
    } })
}

fn file() -> Value {
    json!({ "data": { "id": "f00", "attributes": { "name": "Paper.PDF" }, "links": { "download": DOWNLOAD } } })
}

fn host() -> FakeHost {
    FakeHost::new().answer(FILE, 200, file().to_string())
}

fn resolve(host: &FakeHost) -> Result<Resolution, Failure> {
    Osf::resolve(&query(&[("doi", DOI)]), host)
}

fn resolve_body(body: impl ToString) -> Result<Resolution, Failure> {
    resolve(&host().answer(PREPRINT, 200, body.to_string()))
}

fn resolve_file(body: impl ToString) -> Result<Resolution, Failure> {
    resolve(&FakeHost::new().answer(PREPRINT, 200, preprint().to_string()).answer(
        FILE,
        200,
        body.to_string(),
    ))
}

#[test]
fn the_file_of_a_preprint_is_proposed_and_its_names_told() {
    let resolution = resolve_body(preprint()).unwrap();
    let expected = Candidate {
        version: Some("submitted".to_owned()),
        host_type: Some("repository".to_owned()),
        ..Candidate::pdf(DOWNLOAD).unwrap()
    };
    assert_eq!(resolution.candidates, [expected]);
    let names = [DOI, "10.1000/published"];
    assert_eq!(resolution.discovered, names.map(|doi| Identifier::new("doi", doi)));
    let mut docx = file();
    docx["data"]["attributes"]["name"] = json!("Paper.docx");
    assert_eq!(resolve_file(docx).unwrap().candidates[0].media_type, None);
}

#[test]
fn only_names_of_osf_are_asked_for() {
    for name in
        [("doi", "10.1000/a"), ("doi", "10.1000/osf.io/"), ("doi", "10.1000/osf.io/a/b"), ("pmid", "1")]
    {
        let host = FakeHost::new();
        assert_eq!(Osf::resolve(&query(&[name]), &host), Ok(Resolution::none()), "{name:?}");
        assert!(host.sent().is_empty(), "{name:?}");
    }
}

/// What a query asks for, answered by the preprint: whether that is taken.
fn takes(name: (&str, &str), id: &str, own_doi: &str) -> bool {
    let mut body = preprint();
    body["data"]["id"] = json!(id);
    body["data"]["links"]["preprint_doi"] = json!(format!("https://doi.org/{own_doi}"));
    let asked = name.1.rsplit('/').next().unwrap();
    let url = format!("https://mirror.example/v2/preprints/{asked}/");
    let host = FakeHost::new()
        .set("base-url", "https://mirror.example/v2")
        .answer(&url, 200, body.to_string())
        .answer("https://mirror.example/v2/files/f00/", 200, file().to_string());
    !Osf::resolve(&query(&[name]), &host).unwrap().candidates.is_empty()
}

#[test]
fn a_version_is_asked_for_as_one_and_all_versions_mean_the_latest() {
    let (all, first, second) = (DOI, "10.31234/osf.io/ab1cd_v1", "10.31234/osf.io/ab1cd_v2");
    assert!(takes(("doi", all), "ab1cd_v2", all));
    assert!(takes(("doi", all), "ab1cd_v2", second));
    assert!(takes(("doi", second), "ab1cd_v2", second));
    assert!(takes(("doi", second), "ab1cd_v2", all));
    assert!(takes(("osf", "ab1cd"), "ab1cd_v2", all));
    assert!(takes(("osf", "ab1cd_v2"), "ab1cd_v2", all));
    assert!(!takes(("doi", first), "ab1cd_v2", second));
    assert!(!takes(("doi", first), "ab1cd_v2", all));
    assert!(!takes(("osf", "ab1cd_v1"), "ab1cd_v2", all));
    assert!(!takes(("osf", "ab1ce"), "ab1cd_v2", all));
    assert!(!takes(("doi", "10.17605/osf.io/ab1cd"), "ab1cd_v2", all));
}

#[test]
fn a_withdrawn_or_unknown_preprint_has_no_candidates() {
    let unknown = json!({ "errors": [{ "detail": "Not found." }] }).to_string();
    for status in [404, 410] {
        assert_eq!(resolve(&host().answer(PREPRINT, status, unknown.clone())), Ok(Resolution::none()));
    }
    let mut withdrawn = preprint();
    withdrawn["data"]["attributes"]["date_withdrawn"] = json!("2020-01-01T00:00:00Z");
    let mut fileless = preprint();
    fileless["data"]["relationships"]["primary_file"] = json!({ "links": {} });
    for body in [withdrawn, fileless] {
        let resolution = resolve_body(body).unwrap();
        assert_eq!((urls(&resolution).len(), resolution.discovered.len()), (0, 2));
    }
    let gone = FakeHost::new().answer(PREPRINT, 200, preprint().to_string()).answer(FILE, 404, unknown);
    assert_eq!(urls(&resolve(&gone).unwrap()), [""; 0]);
}

#[test]
fn another_shape_is_a_failure_that_says_so() {
    let list = json!({ "data": [preprint()["data"]], "links": {} });
    assert_unknown_shapes([json!({}), list, json!({ "data": { "id": 7 } }), json!([])], resolve_body);
    let list = json!({ "data": [file()["data"]] });
    assert_unknown_shapes([json!({}), list, json!({ "data": { "links": 1 } }), json!([])], resolve_file);
}

#[test]
fn failures_of_the_way_there_keep_their_disposition() {
    assert_failures_keep_their_disposition(PREPRINT, host, resolve);
    let known = || FakeHost::new().answer(PREPRINT, 200, preprint().to_string());
    assert_failures_keep_their_disposition(FILE, known, resolve);
}

#[test]
fn a_mutated_answer_is_read_or_refused() {
    let read = |outcome: Result<Resolution, Failure>| match outcome {
        // A garbled file id names a file that the host here does not know.
        Err(failure) if failure.code == "denied" => {}
        outcome => drop(urls_read(&outcome)),
    };
    each_mutation(&[preprint().to_string()], |body| read(resolve_body(body)));
    each_mutation(&[file().to_string()], |body| read(resolve_file(body)));
}

#[test]
fn a_field_of_any_type_never_costs_the_others() {
    for odd in [json!(null), json!(1), json!([]), json!({}), json!(true)] {
        for field in ["doi", "title", "date_withdrawn"] {
            let mut body = preprint();
            body["data"]["attributes"][field] = odd.clone();
            assert_eq!(urls(&resolve_body(&body).unwrap()), [DOWNLOAD], "{body}");
        }
        let mut body = file();
        body["data"]["attributes"] = odd;
        assert_eq!(urls(&resolve_file(&body).unwrap()), [DOWNLOAD], "{body}");
    }
}
