//! The whole resolver against every kind of answer that figshare gives.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use gleaner_plugin_figshare::Figshare;
use gleaner_sdk::testing::{FakeHost, assert_unknown_shapes, each_odd_field, query, urls};
use gleaner_sdk::{Candidate, Failure, Identifier, Resolution, Resolver};
use serde_json::{Value, json};

const DOI: &str = "10.6084/m9.figshare.1234567";
const URL: &str = "https://api.figshare.com/v2/articles/1234567";
const FILE: &str = "https://ndownloader.figshare.com/files/2";

fn resolve(host: &FakeHost) -> Result<Resolution, Failure> {
    Figshare::resolve(&query(&[("doi", DOI)]), host)
}

fn resolve_body(body: impl ToString) -> Result<Resolution, Failure> {
    resolve(&FakeHost::new().answer(URL, 200, body.to_string()))
}

fn file(name: &str, number: u32, media_type: &str) -> Value {
    let url = format!("https://ndownloader.figshare.com/files/{number}");
    json!({ "id": number, "name": name, "mimetype": media_type, "download_url": url, "is_link_only": false })
}

fn found() -> Value {
    json!({
        "id": 1_234_567, "doi": "10.6084/M9.figshare.1234567.v2", "is_embargoed": false, "is_confidential": false,
        "license": { "value": 1, "name": "CC BY 4.0", "url": "https://creativecommons.org/licenses/by/4.0/" },
        "files": [
            file("data.csv", 1, "text/csv"),
            file("Poster.PDF", 2, "application/octet-stream"),
            file("slides", 3, "application/pdf"),
        ]
    })
}

#[test]
fn the_pdfs_of_an_article_are_proposed() {
    let resolution = resolve_body(found()).unwrap();
    assert_eq!(urls(&resolution), [FILE, "https://ndownloader.figshare.com/files/3"]);
    let expected = Candidate {
        license: Some("https://creativecommons.org/licenses/by/4.0/".to_owned()),
        host_type: Some("repository".to_owned()),
        ..Candidate::pdf(FILE).unwrap()
    };
    assert_eq!(resolution.candidates[0], expected);
    assert_eq!(resolution.discovered, [Identifier::new("doi", "10.6084/m9.figshare.1234567.v2")]);
}

/// What is asked for a DOI.
fn asked(doi: &str, search: &str) -> Vec<String> {
    let host = FakeHost::new().set("base-url", "https://mirror.example/v2").set("search", search);
    let _ = Figshare::resolve(&query(&[("doi", doi)]), &host);
    host.sent().into_iter().map(|request| request.url.replace("https://mirror.example/v2/", "")).collect()
}

#[test]
fn the_number_in_a_doi_is_asked_for_and_a_search_only_when_the_operator_says() {
    assert_eq!(asked("10.48420/32055810", "false"), ["articles/32055810"]);
    assert_eq!(asked("10.6084/m9.figshare.1449060.v4", ""), ["articles/1449060/versions/4"]);
    for doi in ["10.1371/journal.pone.0000217", "10.1000/a", "10.1000/123", "10.6084/m9.figshare.x.v1"] {
        assert_eq!(asked(doi, "false"), [""; 0], "{doi}");
    }
    assert_eq!(asked("10.4225/03/5a13&1", "true"), ["articles?doi=10.4225%2F03%2F5a13%261"]);
    let host = FakeHost::new();
    assert_eq!(Figshare::resolve(&query(&[("pmid", "1")]), &host), Ok(Resolution::none()));
    assert!(host.sent().is_empty());
}

#[test]
fn a_search_leads_to_the_article_with_that_very_doi() {
    let search = |list: Value| {
        let mut article = found();
        article["doi"] = json!("10.4225/03/abc.v3");
        let host = FakeHost::new()
            .set("search", "true")
            .answer("https://api.figshare.com/v2/articles?doi=10.4225%2F03%2Fabc", 200, list.to_string())
            .answer(URL, 200, article.to_string());
        Figshare::resolve(&query(&[("doi", "10.4225/03/abc")]), &host)
    };
    let other = json!({ "id": 1, "doi": "10.4225/03/abcd" });
    let listed = json!({ "id": 1_234_567, "doi": "10.4225/03/ABC.v3" });
    assert_eq!(search(json!([other, null, 7, listed])).unwrap().candidates.len(), 2);
    assert_eq!(search(json!([other, { "doi": "10.4225/03/abc" }])), Ok(Resolution::none()));
    assert_eq!(search(json!([])), Ok(Resolution::none()));
    assert_eq!(search(json!({ "message": "?" })).unwrap_err().code, "unknown-shape");
}

#[test]
fn an_article_with_another_doi_is_not_taken() {
    for own in ["10.1000/12345.1234567", "10.6084/m9.figshare.12345678", "10.6084/m9.figshare.1234567.x"] {
        let mut body = found();
        body["doi"] = json!(own);
        assert_eq!(resolve_body(body), Ok(Resolution::none()), "{own}");
    }
    let url = format!("{URL}/versions/1");
    let host = FakeHost::new().answer(&url, 200, found().to_string());
    let outcome = Figshare::resolve(&query(&[("doi", "10.6084/m9.figshare.1234567.v1")]), &host);
    assert_eq!(outcome, Ok(Resolution::none()));
}

#[test]
fn a_closed_fileless_or_unknown_article_has_no_candidates() {
    let unknown = json!({ "message": "Entity not found: Article", "code": "EntityNotFound" }).to_string();
    assert_eq!(resolve(&FakeHost::new().answer(URL, 404, unknown)), Ok(Resolution::none()));
    for (field, value) in [
        ("is_embargoed", json!(true)),
        ("is_confidential", json!(true)),
        ("download_disabled", json!(true)),
        ("files", json!([])),
        ("files", json!([file("data.csv", 1, "text/csv")])),
    ] {
        let mut body = found();
        body[field] = value;
        assert_eq!(urls(&resolve_body(body).unwrap()), [""; 0], "{field}");
    }
}

#[test]
fn a_link_to_elsewhere_is_not_said_to_be_a_pdf() {
    let mut body = found();
    body["files"][1]["is_link_only"] = json!(true);
    assert_eq!(resolve_body(body).unwrap().candidates[0].media_type, None);
}

#[test]
fn another_shape_is_a_failure_that_says_so() {
    let list = json!([found()]);
    assert_unknown_shapes([json!({}), json!({ "doi": 7 }), list, json!("hello")], resolve_body);
}

gleaner_testing::contract_of_answers! {
    asks: URL, with: FakeHost::new, by: resolve,
    reads: found().to_string(), by: resolve_body,
}

#[test]
fn a_field_of_any_type_never_costs_the_other_files() {
    let fields = ["name", "mimetype", "download_url", "is_link_only"];
    each_odd_field(&found().to_string(), "/files", &fields, |place, body| {
        let resolution = resolve_body(body).unwrap();
        assert!(urls(&resolution).contains(&FILE) || place == 1);
        assert!(urls(&resolution).contains(&"https://ndownloader.figshare.com/files/3") || place == 2);
    });
}
