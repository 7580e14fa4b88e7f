//! The whole resolver against every kind of answer that DataCite gives.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use gleaner_plugin_datacite::DataCite;
use gleaner_sdk::testing::{
    FakeHost, assert_failures_keep_their_disposition, assert_unknown_shapes, each_odd_field, query, urls,
    urls_read,
};
use gleaner_sdk::{Candidate, CandidateKind, Failure, Identifier, Resolution, Resolver};
use gleaner_testing::each_mutation;
use serde_json::{Value, json};

const URL: &str = "https://api.datacite.org/dois/10.1000/a?include=media";
const BY: &str = "https://creativecommons.org/licenses/by/4.0/legalcode";

fn resolve(host: &FakeHost) -> Result<Resolution, Failure> {
    DataCite::resolve(&query(&[("doi", "10.1000/a")]), host)
}

fn resolve_body(body: impl ToString) -> Result<Resolution, Failure> {
    resolve(&FakeHost::new().answer(URL, 200, body.to_string()))
}

fn related(relation: &str, kind: &str, value: &str) -> Value {
    json!({ "relationType": relation, "relatedIdentifierType": kind, "relatedIdentifier": value })
}

/// With a registered PDF and data, another name, another form, and a work that cites it.
fn found() -> Value {
    let media = |media_type: &str, url: &str| json!({ "type": "media", "attributes": { "mediaType": media_type, "url": url } });
    json!({
        "data": { "id": "10.1000/a", "type": "dois", "attributes": {
            "doi": "10.1000/A",
            "url": "https://repo.example/record/1",
            "contentUrl": null,
            "formats": [],
            "types": { "resourceTypeGeneral": "Preprint" },
            "rightsList": [{ "rights": "Open", "rightsUri": "info:eu-repo/semantics/openAccess" }, { "rightsUri": BY }],
            "relatedIdentifiers": [
                related("IsCitedBy", "URL", "https://citing.example/1.pdf"),
                related("IsIdenticalTo", "arXiv", "arXiv:2101.00001"),
                related("IsVariantFormOf", "URL", "https://other.example/1.pdf"),
                related("IsCitedBy", "DOI", "10.1000/citing"),
                related("IsOriginalFormOf", "DOI", "10.1000/b"),
                related("IsIdenticalTo", "URN", "urn:nbn:de:1"),
            ]
        } },
        "included": [
            { "type": "clients", "attributes": { "name": "A repository", "url": "https://repo.example/about.pdf" } },
            media("text/csv", "https://repo.example/1.csv"),
            media("application/pdf", "https://repo.example/1 a.pdf"),
        ]
    })
}

#[test]
fn registered_files_go_before_the_page_and_other_forms_last() {
    let resolution = resolve_body(found()).unwrap();
    let expected =
        ["https://repo.example/1%20a.pdf", "https://repo.example/record/1", "https://other.example/1.pdf"];
    assert_eq!(urls(&resolution), expected);
    let expected = Candidate {
        version: Some("submitted".to_owned()),
        license: Some(BY.to_owned()),
        host_type: Some("repository".to_owned()),
        ..Candidate::pdf("https://repo.example/1 a.pdf").unwrap()
    };
    assert_eq!(resolution.candidates[0], expected);
    assert_eq!(resolution.candidates[1].kind, CandidateKind::LandingPage);
    assert!(resolution.candidates[2].confidence.unwrap() < 0.5);
    let names = [("arxiv", "arXiv:2101.00001"), ("doi", "10.1000/b")];
    assert_eq!(resolution.discovered, names.map(|(scheme, value)| Identifier::new(scheme, value)));
}

#[test]
fn content_counts_when_it_is_said_to_be_a_pdf() {
    let content = |urls: Value, formats: Value| {
        let mut body = found();
        body["included"] = json!([]);
        body["data"]["attributes"]["contentUrl"] = urls;
        body["data"]["attributes"]["formats"] = formats;
        let resolution = resolve_body(body).unwrap();
        resolution.candidates.iter().filter(|one| one.kind == CandidateKind::File).count()
    };
    assert_eq!(content(json!("https://repo.example/get/1"), json!(["Application/PDF"])), 2);
    assert_eq!(content(json!("https://repo.example/get/1"), json!(["application/zip", 7])), 1);
    assert_eq!(
        content(json!(["https://repo.example/1.pdf", null, "ftp://repo.example/2.pdf"]), json!(null)),
        2
    );
    assert_eq!(content(json!({ "url": 1 }), json!(["application/pdf"])), 1);
}

#[test]
fn a_doi_that_leads_to_a_file_proposes_it_as_one() {
    let mut body = found();
    body["data"]["attributes"]["url"] = json!("https://repo.example/paper.PDF");
    assert_eq!(resolve_body(body).unwrap().candidates[1].kind, CandidateKind::File);
}

#[test]
fn a_closed_or_unknown_work_has_no_candidates() {
    let unknown = json!({ "errors": [{ "status": "404", "title": "The resource you are looking for doesn't exist." }] });
    let host = FakeHost::new().answer(URL, 404, unknown.to_string());
    assert_eq!(resolve(&host), Ok(Resolution::none()));
    for term in ["closedAccess", "restrictedAccess", "embargoedAccess"] {
        let mut body = found();
        body["data"]["attributes"]["rightsList"][0]["rightsUri"] =
            json!(format!("info:eu-repo/semantics/{term}"));
        let resolution = resolve_body(body).unwrap();
        assert_eq!((urls(&resolution).len(), resolution.discovered.len()), (0, 2), "{term}");
    }
    let host = FakeHost::new();
    assert_eq!(DataCite::resolve(&query(&[("pmid", "1")]), &host), Ok(Resolution::none()));
    assert!(host.sent().is_empty());
}

#[test]
fn a_record_of_another_work_is_not_taken() {
    let mut body = found();
    body["data"]["attributes"]["doi"] = json!("10.1000/ab");
    assert_eq!(resolve_body(body), Ok(Resolution::none()));
}

#[test]
fn the_operators_base_url_and_odd_dois_are_asked_for_as_they_are() {
    let host = FakeHost::new().set("base-url", "https://mirror.example");
    DataCite::resolve(&query(&[("doi", "10.1000/uuid:a<b>")]), &host).unwrap_err();
    assert_eq!(host.sent()[0].url, "https://mirror.example/dois/10.1000/uuid:a%3Cb%3E?include=media");
}

#[test]
fn another_shape_is_a_failure_that_says_so() {
    let list = json!({ "data": [found()["data"]] });
    let nameless = json!({ "data": { "attributes": { "url": "https://repo.example/" } } });
    assert_unknown_shapes([json!({}), list, nameless, json!([])], resolve_body);
}

#[test]
fn failures_of_the_way_there_keep_their_disposition() {
    assert_failures_keep_their_disposition(URL, FakeHost::new, resolve);
}

#[test]
fn a_mutated_answer_is_read_or_refused() {
    each_mutation(&[found().to_string()], |body| drop(urls_read(&resolve_body(body))));
}

#[test]
fn a_field_of_any_type_never_costs_the_rest() {
    let fields = ["relationType", "relatedIdentifierType", "relatedIdentifier"];
    each_odd_field(&found().to_string(), "/data/attributes/relatedIdentifiers", &fields, |place, body| {
        let resolution = resolve_body(body).unwrap();
        assert_eq!(urls(&resolution)[..2], urls(&resolve_body(found()).unwrap())[..2]);
        assert!(urls(&resolution).contains(&"https://other.example/1.pdf") || place == 2);
    });
    each_odd_field(&found().to_string(), "/included", &["type", "attributes"], |place, body| {
        let resolution = resolve_body(body).unwrap();
        assert!(urls(&resolution).contains(&"https://repo.example/1%20a.pdf") || place == 2);
    });
}
