//! The whole resolver against every kind of answer that HAL gives.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use gleaner_plugin_hal::Hal;
use gleaner_sdk::testing::{
    FakeHost, assert_each_fails, assert_unknown_shapes, each_odd_field, query, together, urls,
};
use gleaner_sdk::{Candidate, Failure, Identifier, Resolution, Resolver, Url};
use serde_json::{Value, json};

const FIELDS: &str =
    "halId_s,version_i,doiId_s,arxivId_s,pubmedId_s,openAccess_bool,licence_s,fileMain_s,files_s";

fn url(search: &str) -> String {
    let base = Url::new("https://api.archives-ouvertes.fr/search").segment("");
    base.query("q", search).query("fl", FIELDS).query("wt", "json").to_string()
}

fn of_doi() -> String {
    url("doiId_s:\"10.1000/a\"")
}

fn resolve(host: &FakeHost) -> Result<Resolution, Failure> {
    Hal::resolve(&query(&[("doi", "10.1000/a")]), host)
}

fn resolve_body(body: impl ToString) -> Result<Resolution, Failure> {
    resolve(&FakeHost::new().answer(&of_doi(), 200, body.to_string()))
}

/// Another work first, then the one asked for, in its third version.
fn found() -> Value {
    let other = json!({ "halId_s": "hal-00000002", "doiId_s": "10.1000/ab", "fileMain_s": "https://hal.science/hal-00000002/document" });
    let document = json!({
        "halId_s": "hal-00000001", "version_i": 3, "doiId_s": "10.1000/A", "arxivId_s": "2101.00001", "pubmedId_s": "9",
        "openAccess_bool": true, "licence_s": "https://creativecommons.org/licenses/by/4.0/",
        "fileMain_s": "https://hal.science/hal-00000001/document",
        "files_s": [
            "https://hal.science/hal-00000001/file/a b.pdf",
            "https://hal.science/hal-00000001/file/sources.tar.gz",
            "https://hal.science/hal-00000001/file/annex.PDF",
        ]
    });
    json!({ "response": { "numFound": 2, "start": 0, "docs": [other, document] } })
}

#[test]
fn the_files_of_the_very_document_are_proposed_and_its_names_told() {
    let resolution = resolve_body(found()).unwrap();
    let expected = [
        "https://hal.science/hal-00000001/document",
        "https://hal.science/hal-00000001/file/a%20b.pdf",
        "https://hal.science/hal-00000001/file/annex.PDF",
    ];
    assert_eq!(urls(&resolution), expected);
    let expected = Candidate {
        license: Some("https://creativecommons.org/licenses/by/4.0/".to_owned()),
        host_type: Some("repository".to_owned()),
        ..Candidate::file(expected[0]).unwrap()
    };
    assert_eq!(resolution.candidates[0], expected);
    assert_eq!(resolution.candidates[1].media_type.as_deref(), Some("application/pdf"));
    let names = [("hal", "hal-00000001"), ("arxiv", "2101.00001"), ("pmid", "9"), ("doi", "10.1000/a")];
    assert_eq!(resolution.discovered, names.map(|(scheme, value)| Identifier::new(scheme, value)));
}

/// The URLs that a HAL id leads to.
fn by_id(id: &str, search: &str) -> Vec<String> {
    let host = FakeHost::new().answer(&url(search), 200, found().to_string());
    let resolution = Hal::resolve(&query(&[("doi", "10.1000/x"), ("hal", id)]), &host).unwrap();
    urls(&resolution).into_iter().map(str::to_owned).collect()
}

#[test]
fn a_document_is_known_by_its_id_and_an_earlier_version_is_given_as_such() {
    let search = "halId_s:\"hal-00000001\"";
    assert_eq!(by_id("hal-00000001", search).len(), 3);
    assert_eq!(by_id("hal-00000001v3", search).len(), 3);
    assert_eq!(by_id("hal-00000001v1", search), ["https://hal.science/hal-00000001v1/document"]);
    assert_eq!(by_id("hal-00000003", "halId_s:\"hal-00000003\""), [""; 0]);
}

#[test]
fn a_doi_is_searched_for_as_one_text() {
    let host = FakeHost::new().set("base-url", "https://mirror.example");
    Hal::resolve(&query(&[("doi", "10.1000/a\"b\\c")]), &host).unwrap_err();
    let sent = &host.sent()[0].url;
    assert!(
        sent.starts_with("https://mirror.example/search/?q=doiId_s%3A%2210.1000%2Fa%5C%22b%5C%5Cc%22&fl="),
        "{sent}"
    );
    let host = FakeHost::new();
    assert_eq!(Hal::resolve(&query(&[("pmid", "1")]), &host), Ok(Resolution::none()));
    assert!(host.sent().is_empty());
}

#[test]
fn a_closed_fileless_or_unknown_document_has_no_candidates() {
    let unknown = json!({ "response": { "numFound": 0, "docs": [] } });
    assert_eq!(resolve_body(unknown), Ok(Resolution::none()));
    let mut embargoed = found();
    embargoed["response"]["docs"][1]["openAccess_bool"] = json!(false);
    let mut notice = found();
    let document = notice["response"]["docs"][1].as_object_mut().unwrap();
    document.retain(|field, _| !["fileMain_s", "files_s"].contains(&&**field));
    for body in [embargoed, notice] {
        let resolution = resolve_body(body).unwrap();
        assert_eq!((urls(&resolution).len(), resolution.discovered.len()), (0, 4));
    }
}

#[test]
fn another_shape_is_a_failure_that_says_so() {
    let error = json!({ "error": { "code": 400, "msg": "undefined field" } });
    assert_unknown_shapes([json!({}), error, json!({ "response": {} }), json!([])], resolve_body);
}

gleaner_testing::contract_of_answers! {
    asks: &of_doi(), with: FakeHost::new, by: resolve,
    reads: found().to_string(), by: resolve_body,
}

#[test]
fn a_field_of_any_type_never_costs_the_files() {
    let fields = ["halId_s", "version_i", "arxivId_s", "pubmedId_s", "licence_s", "fileMain_s"];
    each_odd_field(&found().to_string(), "/response/docs", &fields, |_, body| {
        let resolution = resolve_body(body).unwrap();
        assert!(urls(&resolution).contains(&"https://hal.science/hal-00000001/file/annex.PDF"));
    });
    let mut body = found();
    body["response"]["docs"][1]["files_s"][0] = json!(7);
    assert_eq!(resolve_body(body).unwrap().candidates.len(), 2);
}

#[test]
fn works_that_are_asked_about_together_are_answered_as_each_alone() {
    let works =
        [query(&[("doi", "10.1000/a")]), query(&[("doi", "10.1000/nobody")]), query(&[("isbn", "1")])];
    let (answers, request) = together::<Hal>(&works, FakeHost::new, found());
    assert_eq!(answers[0], resolve_body(found()));
    assert!(!answers[0].as_ref().unwrap().candidates.is_empty());
    assert_eq!(answers[1..], [Ok(Resolution::none()), Ok(Resolution::none())]);
    let search = "q=doiId_s%3A%2210.1000%2Fa%22%20OR%20doiId_s%3A%2210.1000%2Fnobody%22&";
    assert!(request.url.contains(search) && request.url.contains("rows=1000"), "{}", request.url);
    assert_each_fails::<Hal>(&works[..2], json!({ "error": "?" }));
}
