//! The whole resolver against every kind of answer that DataCite gives.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use gleaner_plugin_datacite::DataCite;
use gleaner_sdk::testing::{FakeHost, assert_each_fails, assert_unknown_shapes, each_odd_field, query, urls};
use gleaner_sdk::{BatchResolver, Candidate, CandidateKind, Failure, Identifier, Resolution, Resolver};
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

/// What is asked about these two DOIs together.
const BOTH: &str = "https://api.datacite.org/dois?query=doi%3A%28%2210.1000%2Fa%22%20OR%20%2210.1000%2Fnobody%22%29\
                    &fields%5Bdois%5D=doi&disable-facets=true&page%5Bsize%5D=2";

#[test]
fn works_that_are_asked_about_together_are_answered_as_each_alone() {
    let works =
        [query(&[("doi", "10.1000/a")]), query(&[("doi", "10.1000/nobody")]), query(&[("isbn", "1")])];
    let record = |doi: Value| json!({ "type": "dois", "attributes": { "doi": doi } });
    let list = json!({ "data": [null, record(json!(7)), record(json!("10.1000/other")), record(json!("10.1000/A"))] });
    let host = FakeHost::new().answer(BOTH, 200, list.to_string()).answer(URL, 200, found().to_string());
    let answers = DataCite::resolve_many(&works, &host);
    assert_eq!(answers, [resolve_body(found()), Ok(Resolution::none()), Ok(Resolution::none())]);
    let asked: Vec<_> = host.sent().into_iter().map(|request| request.url).collect();
    assert_eq!(asked, [BOTH, URL], "only who has a record is asked for it");
    let host = FakeHost::new();
    assert_eq!(DataCite::resolve_many(&works[2..], &host), [Ok(Resolution::none())]);
    assert!(host.sent().is_empty());
    assert_each_fails::<DataCite>(&works[..2], json!({ "errors": [] }));
    // What is known of the one does not go with what fails of it.
    let host = FakeHost::new().answer(BOTH, 200, list.to_string()).answer(URL, 500, "");
    let answers = DataCite::resolve_many(&works, &host);
    assert!(answers[0].is_err() && answers[1..].iter().all(Result::is_ok), "{answers:?}");
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

gleaner_testing::contract_of_answers! {
    asks: URL, with: FakeHost::new, by: resolve,
    reads: found().to_string(), by: resolve_body,
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
