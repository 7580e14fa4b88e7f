//! The whole resolver against every kind of answer that the Wayback Machine gives.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use gleaner_plugin_wayback::Wayback;
use gleaner_sdk::testing::{
    FakeHost, assert_failures_keep_their_disposition, assert_unknown_shapes, query, response, urls, urls_read,
};
use gleaner_sdk::{Candidate, Disposition, Failure, Field, HttpError, Query, Resolution, Resolver};
use gleaner_testing::each_mutation;
use serde_json::{Value, json};

const GONE: &str = "https://a.example/x.pdf?v=1&w=2";
const AVAILABLE: &str =
    "https://archive.org/wayback/available?url=https%3A%2F%2Fa.example%2Fx.pdf%3Fv%3D1%26w%3D2";
const INDEX: &str = "https://web.archive.org/cdx/search/cdx?url=https%3A%2F%2Fa.example%2Fx.pdf%3Fv%3D1%26w%3D2\
    &filter=statuscode%3A200&filter=mimetype%3Aapplication%2Fpdf&limit=-10";

fn failed(failed_urls: &[&str]) -> Query {
    Query {
        failed_urls: failed_urls.iter().map(|url| (*url).to_owned()).collect(),
        ..query(&[("doi", "10.1000/a")])
    }
}

fn resolve(host: &FakeHost) -> Result<Resolution, Failure> {
    Wayback::resolve(&failed(&[GONE]), host)
}

fn available() -> Value {
    let url = format!("http://web.archive.org/web/20200101000000/{GONE}");
    let closest = json!({ "available": true, "url": url, "timestamp": "20200101000000", "status": "200" });
    json!({ "url": GONE, "archived_snapshots": { "closest": closest } })
}

fn line(timestamp: u64, original: &str, media_type: &str, status: &str, digest: &str) -> String {
    format!("example,a)/x.pdf {timestamp} {original} {media_type} {status} {digest} 999\n")
}

fn lines() -> String {
    let pdf = |timestamp, digest| line(timestamp, GONE, "application/pdf", "200", digest);
    [
        pdf(20180101000000, "OLD"),
        pdf(20190101000000, "NEW"),
        line(20200101000000, "http://www.a.example:80/x.pdf?v=1&w=2", "application/pdf", "200", "NEW"),
        line(20210101000000, GONE, "text/html", "200", "PAGE"),
        line(20220101000000, GONE, "application/pdf", "429", "BUSY"),
        line(20230101000000, "https://b.example/x.pdf", "application/pdf", "200", "OTHER"),
        pdf(20170101000000, "OLDEST"),
        "\nexample%2Ca%29%2F+20230101000001\n".to_owned(),
    ]
    .concat()
}

fn kept(index: impl Into<Vec<u8>>) -> FakeHost {
    FakeHost::new().answer(AVAILABLE, 200, available().to_string()).answer(INDEX, 200, index)
}

#[test]
fn the_newest_snapshots_with_a_pdf_are_proposed_as_they_were_kept() {
    let host = kept(lines());
    let resolution = resolve(&host).unwrap();
    let original = "http://www.a.example:80/x.pdf?v=1&w=2";
    let field = |key: &str, value: &str| Field { key: key.to_owned(), value: value.to_owned() };
    let newest = Candidate {
        extra: vec![field("captured", "20200101000000"), field("original", original)],
        ..Candidate::pdf(&format!("https://web.archive.org/web/20200101000000id_/{original}")).unwrap()
    };
    assert_eq!(resolution.candidates[0], newest);
    let older = format!("https://web.archive.org/web/20180101000000id_/{GONE}");
    assert_eq!(urls(&resolution), [newest.url, older]);
    assert_eq!(host.sent().len(), 2);
}

#[test]
fn what_the_archive_does_not_have_costs_one_request() {
    for answer in [json!({ "url": GONE, "archived_snapshots": {} }), {
        let mut answer = available();
        answer["archived_snapshots"]["closest"]["available"] = json!(false);
        answer
    }] {
        let host = FakeHost::new().answer(AVAILABLE, 200, answer.to_string());
        assert_eq!(resolve(&host), Ok(Resolution::none()));
        assert_eq!(host.sent().len(), 1);
    }
    assert_eq!(resolve(&kept("")), Ok(Resolution::none()));
    assert_eq!(resolve(&kept(line(20210101000000, GONE, "text/html", "200", "X"))), Ok(Resolution::none()));
}

#[test]
fn a_site_that_the_archive_does_not_show_is_not_there() {
    let host =
        kept("").answer(INDEX, 403, "org.archive.wayback.exception.AdministrativeAccessControlException");
    assert_eq!(resolve(&host), Ok(Resolution::none()));
}

#[test]
fn only_so_many_urls_are_looked_for_and_none_of_the_archives_own() {
    let asked = |urls: &[&str]| {
        let host = FakeHost::new();
        let _ = Wayback::resolve(&failed(urls), &host);
        host.sent()
            .iter()
            .map(|request| request.url.rsplit("url=").next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let own = "https://web.archive.org/web/2020id_/https://a.example/1";
    let urls = [
        own,
        "http://a.example/1",
        "http://a.example/1",
        "http://a.example/2",
        "http://archive.org/3",
        "x:4",
        "http://a.example/5",
    ];
    assert_eq!(asked(&urls), ["http%3A%2F%2Fa.example%2F1", "http%3A%2F%2Fa.example%2F2", "x%3A4"]);
    assert!(asked(&[]).is_empty() && asked(&[own]).is_empty());
}

#[test]
fn one_url_that_fails_does_not_cost_the_snapshots_of_another() {
    let both = failed(&["https://b.example/y", GONE]);
    let host = kept(lines()).outcome(
        "https://archive.org/wayback/available?url=https%3A%2F%2Fb.example%2Fy",
        Err(HttpError::Timeout),
    );
    assert_eq!(Wayback::resolve(&both, &host).unwrap().candidates.len(), 2);
    let host = kept("").outcome(
        "https://archive.org/wayback/available?url=https%3A%2F%2Fb.example%2Fy",
        Err(HttpError::Timeout),
    );
    assert_eq!(Wayback::resolve(&both, &host).unwrap_err().disposition, Disposition::Retry);
}

#[test]
fn both_services_may_be_elsewhere() {
    let host = FakeHost::new()
        .set("availability-url", "https://mirror.example/have")
        .set("base-url", "https://mirror.example/");
    let available_url =
        AVAILABLE.replace("https://archive.org/wayback/available", "https://mirror.example/have");
    let index_url = INDEX.replace("https://web.archive.org", "https://mirror.example");
    let host = host.answer(&available_url, 200, available().to_string()).answer(&index_url, 200, lines());
    let resolution = resolve(&host).unwrap();
    assert!(
        urls(&resolution)[0].starts_with("https://mirror.example/web/20200101000000id_/"),
        "{:?}",
        urls(&resolution)
    );
}

#[test]
fn another_shape_is_a_failure_that_says_so() {
    let asked = |body: String| resolve(&FakeHost::new().answer(AVAILABLE, 200, body));
    assert_unknown_shapes([json!({}), json!([]), json!({ "archived_snapshots": 1 })], asked);
    assert_unknown_shapes(["<html>Back soon</html>", "[[\"urlkey\"]]"], |body| resolve(&kept(body)));
    let page = asked("<html>Back soon</html>".to_owned()).unwrap_err();
    assert_eq!((&*page.code, page.disposition), ("bad-json", Disposition::Retry));
}

#[test]
fn failures_of_the_way_there_keep_their_disposition() {
    assert_failures_keep_their_disposition(AVAILABLE, FakeHost::new, resolve);
    assert_failures_keep_their_disposition(INDEX, || kept(""), resolve);
    let refused = resolve(&kept("").outcome(INDEX, Ok(response(400, "")))).unwrap_err();
    assert_eq!(refused.disposition, Disposition::GiveUp);
}

#[test]
fn a_mutated_answer_is_read_or_refused() {
    each_mutation(&[lines()], |body| drop(urls_read(&resolve(&kept(body)))));
    each_mutation(&[available().to_string()], |body| {
        drop(urls_read(&resolve(&kept(lines()).answer(AVAILABLE, 200, body))));
    });
}
