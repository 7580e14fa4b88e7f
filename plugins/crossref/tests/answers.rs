//! The whole resolver against every kind of answer that Crossref gives.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use gleaner_plugin_crossref::Crossref;
use gleaner_sdk::testing::{
    FakeHost, assert_each_fails, assert_unknown_shapes, each_odd_field, query, together, urls,
};
use gleaner_sdk::{Candidate, Failure, Resolution, Resolver};
use serde_json::{Value, json};

const URL: &str = "https://api.crossref.org/works/10.1000/a?mailto=someone%40example.org";

fn host() -> FakeHost {
    FakeHost::new().set("contact", "someone@example.org")
}

fn resolve(host: &FakeHost) -> Result<Resolution, Failure> {
    Crossref::resolve(&query(&[("doi", "10.1000/a")]), host)
}

fn resolve_body(body: impl ToString) -> Result<Resolution, Failure> {
    resolve(&host().answer(URL, 200, body.to_string()))
}

fn link(url: &str, media_type: &str, version: &str, purpose: &str) -> Value {
    json!({ "URL": url, "content-type": media_type, "content-version": version, "intended-application": purpose })
}

fn license(url: &str, version: &str, start: i64) -> Value {
    json!({ "URL": url, "content-version": version, "start": { "timestamp": start }, "delay-in-days": 0 })
}

fn work(links: Value, licenses: Value) -> Value {
    json!({ "status": "ok", "message": { "DOI": "10.1000/a", "link": links, "license": licenses } })
}

const BY: &str = "https://creativecommons.org/licenses/by/4.0/";

/// The version of record under CC BY, after the manuscript; the second file comes twice.
fn open_work() -> Value {
    work(
        json!([
            link("https://a.example/am.pdf", "application/pdf", "am", "text-mining"),
            link("https://a.example/1.xml", "application/xml", "vor", "text-mining"),
            link("http://a.example/1 a.pdf", "application/pdf", "vor", "syndication"),
            link("http://a.example/1%20a.pdf", "application/pdf", "vor", "similarity-checking"),
            link("https://a.example/doi/pdf/1", "unspecified", "vor", "text-mining"),
            link("https://a.example/doi/1", "unspecified", "vor", "text-mining"),
        ]),
        json!([license("https://a.example/tdm", "tdm", 0), license(BY, "unspecified", 0)]),
    )
}

#[test]
fn the_version_of_record_goes_first_and_each_file_comes_once() {
    let resolution = resolve_body(open_work()).unwrap();
    assert_eq!(
        urls(&resolution),
        ["http://a.example/1%20a.pdf", "https://a.example/doi/pdf/1", "https://a.example/am.pdf"]
    );
    let expected = Candidate {
        version: Some("published".to_owned()),
        license: Some(BY.to_owned()),
        host_type: Some("publisher".to_owned()),
        ..Candidate::pdf("http://a.example/1%20a.pdf").unwrap()
    };
    assert_eq!(resolution.candidates[0], expected);
    assert_eq!(resolution.candidates[1].media_type, None);
    assert_eq!(resolution.candidates[2].version.as_deref(), Some("accepted"));
}

#[test]
fn links_of_closed_works_are_proposed_only_when_the_operator_asks() {
    let terms = "https://a.example/terms";
    let links = json!([link("https://a.example/1.pdf", "application/pdf", "vor", "text-mining")]);
    let next_year = 1_800_000_000_000;
    for (licenses, named) in [
        (json!([license(terms, "vor", 0)]), Some(terms)),
        (json!([license(BY, "tdm", 0)]), None),
        (json!([license(BY, "am", 0)]), None),
        (json!([license(BY, "vor", next_year)]), None),
        (json!([]), None),
        (json!(null), None),
    ] {
        let body = work(links.clone(), licenses).to_string();
        assert_eq!(resolve_body(&body), Ok(Resolution::none()), "{body}");
        let resolution = resolve(&host().set("closed-links", "true").answer(URL, 200, body)).unwrap();
        let [file] = &resolution.candidates[..] else { panic!("{resolution:?}") };
        assert_eq!((file.url.as_str(), file.license.as_deref()), ("https://a.example/1.pdf", named));
        assert!(file.confidence.unwrap() < 0.5);
    }
}

#[test]
fn a_link_for_checkers_counts_only_where_there_is_no_other() {
    let checking = link("https://a.example/1/pdf", "unspecified", "vor", "similarity-checking");
    let page = link("https://a.example/1/full", "unspecified", "vor", "similarity-checking");
    let other = link("https://a.example/1.pdf", "application/pdf", "vor", "syndication");
    let licenses = json!([license(BY, "vor", 0)]);
    let resolution = resolve_body(work(json!([page, checking]), licenses.clone())).unwrap();
    assert_eq!(urls(&resolution), ["https://a.example/1/pdf"]);
    assert!(resolution.candidates[0].confidence.unwrap() < 0.5);
    let resolution = resolve_body(work(json!([checking, other]), licenses)).unwrap();
    assert_eq!(urls(&resolution), ["https://a.example/1.pdf"]);
}

#[test]
fn an_unknown_work_or_one_without_links_has_no_candidates() {
    assert_eq!(resolve(&host().answer(URL, 404, "Resource not found.")), Ok(Resolution::none()));
    assert_eq!(resolve_body(json!({ "message": { "DOI": "10.1000/a" } })), Ok(Resolution::none()));
}

#[test]
fn without_a_contact_it_asks_as_anybody() {
    let url = "https://mirror.example/works/10.1000/a";
    let host =
        FakeHost::new().set("base-url", "https://mirror.example").answer(url, 200, open_work().to_string());
    assert_eq!(resolve(&host).unwrap().candidates.len(), 3);
}

#[test]
fn a_field_of_another_type_costs_only_itself() {
    let mut body = open_work();
    body["message"]["link"][0] = json!(7);
    body["message"]["link"][2]["content-version"] = json!("final");
    body["message"]["link"][4]["content-type"] = json!([]);
    body["message"]["license"][0]["start"] = json!("soon");
    let resolution = resolve_body(body).unwrap();
    assert_eq!(urls(&resolution), ["https://a.example/doi/pdf/1", "http://a.example/1%20a.pdf"]);
    assert_eq!(resolution.candidates[1].version, None);
}

#[test]
fn another_shape_is_a_failure_that_says_so() {
    let agency = json!({ "message": { "agency": {} } });
    assert_unknown_shapes([json!({}), agency, json!({ "message": [] }), json!("hello")], resolve_body);
}

gleaner_testing::contract_of_answers! {
    asks: URL, with: host, by: resolve,
    reads: open_work().to_string(), by: resolve_body,
}

#[test]
fn a_field_of_any_type_never_costs_the_other_links() {
    let fields = ["URL", "content-type", "content-version", "intended-application"];
    each_odd_field(&open_work().to_string(), "/message/link", &fields, |place, body| {
        let resolution = resolve_body(body).unwrap();
        let rest = urls(&resolution);
        assert!(rest.contains(&"https://a.example/am.pdf") || place == 0);
        assert!(rest.contains(&"https://a.example/doi/pdf/1") || place == 4);
    });
}

#[test]
fn works_that_are_asked_about_together_are_answered_as_each_alone() {
    let works =
        [query(&[("doi", "10.1000/a")]), query(&[("doi", "10.1000/nobody")]), query(&[("isbn", "1")])];
    let mut list = json!({ "status": "ok", "message": { "items": [] } });
    list["message"]["items"] = json!([{ "DOI": "10.1000/b" }, open_work()["message"]]);
    let (answers, request) = together::<Crossref>(&works, host, list);
    assert_eq!(answers[0], resolve_body(open_work()));
    assert!(!answers[0].as_ref().unwrap().candidates.is_empty());
    assert_eq!(answers[1..], [Ok(Resolution::none()), Ok(Resolution::none())]);
    let filter =
        "works?filter=doi%3A10.1000%2Fa%2Cdoi%3A10.1000%2Fnobody&select=DOI%2Clink%2Clicense&rows=2&mailto=";
    assert!(request.url.contains(filter), "{}", request.url);
    let (_, request) = together::<Crossref>(&[query(&[("doi", "10.1000/a,b")])], host, "{}");
    assert!(request.url.contains("/works/10.1000/a,b?"), "{}", request.url);
    assert_each_fails::<Crossref>(&works[..2], json!({ "error": "?" }));
}
