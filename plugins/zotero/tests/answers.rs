//! The whole resolver against every kind of description and answer.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use gleaner_plugin_zotero::Zotero;
use gleaner_sdk::testing::{FakeHost, query, response, urls, urls_read};
use gleaner_sdk::{CandidateKind, Disposition, Failure, HttpError, Resolution, Resolver};
use gleaner_testing::each_mutation;
use serde_json::{Value, json};

const PAGE: &str = "https://papers.example/10.1000/a";
const API: &str = "https://api.example/v1?id=10.1000%2Fa";

fn page_source() -> Value {
    json!({
        "name": "My Paper Source", "method": "GET", "url": "https://papers.example/{doi}", "mode": "html",
        "selector": "#pdf-link", "attribute": "href", "automatic": false
    })
}

fn api_source() -> Value {
    json!({
        "name": "API", "method": "POST", "url": "https://api.example/v1?id={doi}", "mode": "json",
        "selector": ".locations.pdf", "automatic": true
    })
}

fn html() -> &'static str {
    r#"<html><body><a href="other.pdf">Other</a><a id="pdf-link" href="files/a b.pdf#page=2">PDF</a></body></html>"#
}

fn record() -> Value {
    json!({ "locations": [
        { "pdf": "https://repo.example/1.pdf", "page": "https://repo.example/1" },
        { "pdf": null, "page": "/2" }, { "pdf": 7, "page": [] }, null,
    ] })
}

fn host(sources: &Value) -> FakeHost {
    FakeHost::new().set("resolvers", &sources.to_string()).answer(PAGE, 200, html()).answer(
        API,
        200,
        record().to_string(),
    )
}

fn resolve(host: &FakeHost) -> Result<Resolution, Failure> {
    Zotero::resolve(&query(&[("doi", "10.1000/a")]), host)
}

#[test]
fn every_source_is_asked_as_it_is_described() {
    let host = host(&json!([page_source(), api_source()]));
    let resolution = resolve(&host).unwrap();
    assert_eq!(
        urls(&resolution),
        ["https://papers.example/10.1000/files/a%20b.pdf", "https://repo.example/1.pdf"]
    );
    let sources: Vec<_> = resolution.candidates.iter().map(|candidate| &*candidate.extra[0].value).collect();
    assert_eq!(sources, ["My Paper Source", "API"]);
    let sent: Vec<_> = host.sent().into_iter().map(|request| (request.method, request.url)).collect();
    assert_eq!(sent, [("GET".to_owned(), PAGE.to_owned()), ("POST".to_owned(), API.to_owned())]);
}

#[test]
fn nobody_is_asked_without_a_description_or_a_doi() {
    let unset = FakeHost::new();
    assert_eq!(resolve(&unset), Ok(Resolution::none()));
    let set = host(&json!([page_source()]));
    assert_eq!(Zotero::resolve(&query(&[("pmid", "1")]), &set), Ok(Resolution::none()));
    assert!(unset.sent().is_empty() && set.sent().is_empty());
}

#[test]
fn mappings_tell_files_from_pages() {
    let mut source = api_source();
    source["selector"] = json!(".locations");
    source["mappings"] = json!({ "url": "pdf", "pageURL": "page" });
    let resolution = resolve(&host(&source)).unwrap();
    assert_eq!(
        urls(&resolution),
        ["https://repo.example/1.pdf", "https://repo.example/1", "https://api.example/2"]
    );
    let kinds: Vec<_> = resolution.candidates.iter().map(|candidate| candidate.kind).collect();
    assert_eq!(kinds, [CandidateKind::File, CandidateKind::LandingPage, CandidateKind::LandingPage]);
}

#[test]
fn a_doi_is_encoded_for_the_place_that_it_stands_in() {
    let source = json!({ "url": "https://a.example/{doi}/x?id={doi}&n=1", "mode": "html", "selector": "a" });
    let host = host(&source);
    let _ = Zotero::resolve(&query(&[("doi", "10.1000/a<b>?&#")]), &host);
    assert_eq!(
        host.sent()[0].url,
        "https://a.example/10.1000/a%3Cb%3E%3F&%23/x?id=10.1000%2Fa%3Cb%3E%3F%26%23&n=1"
    );
}

#[test]
fn links_are_relative_to_where_the_page_was_found() {
    let mut answer = response(200, html());
    answer.url = "https://moved.example/x/".to_owned();
    let moved = host(&page_source()).outcome(PAGE, Ok(answer));
    assert_eq!(urls(&resolve(&moved).unwrap()), ["https://moved.example/x/files/a%20b.pdf"]);
    let based = host(&page_source()).answer(PAGE, 200, format!("<base href='//cdn.example/y/'>{}", html()));
    assert_eq!(urls(&resolve(&based).unwrap()), ["https://cdn.example/y/files/a%20b.pdf"]);
    let file = host(&page_source()).answer(PAGE, 200, "%PDF-1.7");
    assert_eq!(urls(&resolve(&file).unwrap()), [PAGE]);
}

#[test]
fn a_page_or_record_without_what_is_meant_has_no_candidates() {
    for body in ["<a href=x.pdf>", "", "<a id=pdf-link>", "<a id=pdf-link href='javascript:open()'>"] {
        assert_eq!(resolve(&host(&page_source()).answer(PAGE, 200, body)), Ok(Resolution::none()), "{body}");
    }
    for body in ["{}", "[]", "{\"locations\": 1}", "null"] {
        assert_eq!(resolve(&host(&api_source()).answer(API, 200, body)), Ok(Resolution::none()), "{body}");
    }
    assert_eq!(resolve(&host(&page_source()).answer(PAGE, 404, "Not here")), Ok(Resolution::none()));
}

/// What the operator is told.
fn refusal(sources: &str) -> String {
    let host = FakeHost::new().set("resolvers", sources);
    let failure = resolve(&host).unwrap_err();
    assert!(host.sent().is_empty());
    assert_eq!((&*failure.code, failure.disposition), ("bad-setting", Disposition::GiveUp));
    failure.message
}

#[test]
fn a_description_that_is_not_understood_is_refused_with_its_reason() {
    let with = |field: &str, value: Value| {
        let mut source = page_source();
        source[field] = value;
        refusal(&json!([api_source(), source]).to_string())
    };
    for (field, value, told) in [
        ("method", json!("PUT"), "\"PUT\" is neither GET nor POST"),
        ("mode", json!("xml"), "\"xml\" is neither html nor json"),
        ("url", json!("https://papers.example/"), "has no {doi} in it"),
        ("selector", json!("a:first-child"), "has \":first-child\"; type, #id"),
        ("selector", json!("a, b"), "has \", b\""),
        ("selector", json!("a + b"), "has \"+ b\""),
        ("selector", json!("a ~ b"), "has \"~ b\""),
        ("selector", json!("a >> b"), "has \">> b\""),
        ("selector", json!("a[x~=y]"), "has \"[x~=y]\""),
        ("selector", json!("a >"), "ends too early"),
        ("selector", json!(""), "ends too early"),
        ("selector", json!("a[href"), "has \"[href\""),
        ("selector", json!("a.1\\:2"), "has \"\\\\:2\""),
    ] {
        let message = with(field, value.clone());
        assert!(message.contains(told), "{value}: {message}");
        assert!(message.contains("the source \"My Paper Source\""), "{message}");
    }
    for (text, told) in [
        ("", "no list of Zotero's custom PDF resolvers"),
        ("[{}]", "missing field `url`"),
        (
            "{\"url\": \"https://a.example/{doi}\", \"mode\": \"json\", \"selector\": \".a{.b}\"}",
            "\"{.b}\"; .name",
        ),
    ] {
        assert!(refusal(text).contains(told), "{text}: {}", refusal(text));
    }
    let many = Value::from(vec![page_source(); 17]).to_string();
    assert!(refusal(&many).contains("17 sources, and at most 16"));
}

#[test]
fn the_failure_of_one_source_never_costs_what_others_found() {
    let both = json!([page_source(), api_source()]);
    for outcome in [Ok(response(403, "")), Ok(response(200, "<html>")), Err(HttpError::Timeout)] {
        let host = host(&both).outcome(API, outcome);
        assert_eq!(resolve(&host).unwrap().candidates.len(), 1);
        assert_eq!(host.logged().len(), 1);
    }
}

#[test]
fn if_nobody_found_it_a_failure_that_may_pass_counts_first() {
    let met = |page: Result<u16, HttpError>, api: Result<u16, HttpError>| {
        let outcome = |met: Result<u16, HttpError>| met.map(|status| response(status, ""));
        let host = host(&json!([page_source(), api_source()]))
            .outcome(PAGE, outcome(page))
            .outcome(API, outcome(api));
        resolve(&host).map_err(|failure| failure.disposition)
    };
    assert_eq!(met(Ok(403), Ok(500)), Err(Disposition::Retry));
    assert_eq!(met(Ok(404), Err(HttpError::RateLimited(Some(9)))), Err(Disposition::Retry));
    assert_eq!(met(Ok(403), Ok(404)), Err(Disposition::GiveUp));
    assert_eq!(met(Ok(404), Ok(404)), Ok(Resolution::none()));
}

#[test]
fn a_mutated_answer_is_read_or_refused() {
    let read = |url: &str, source: &Value, body: &str| {
        drop(urls_read(&resolve(&host(source).answer(url, 200, body))))
    };
    let (page, mut api) = (page_source(), api_source());
    each_mutation(&[html()], |body| read(PAGE, &page, body));
    api["mappings"] = json!({ "url": "pdf", "pageURL": "page" });
    api["selector"] = json!(".locations");
    each_mutation(&[record().to_string()], |body| read(API, &api, body));
}

#[test]
fn a_mutated_description_is_used_or_refused() {
    each_mutation(&[json!([page_source(), api_source()]).to_string()], |text| {
        if let Err(failure) = resolve(&FakeHost::new().set("resolvers", text)) {
            assert!(["bad-setting", "denied"].contains(&&*failure.code), "{failure:?}");
        }
    });
}
