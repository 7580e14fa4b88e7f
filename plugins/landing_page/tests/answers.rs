//! The whole resolver against every kind of page.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use gleaner_plugin_landing_page::LandingPage;
use gleaner_sdk::testing::{FakeHost, query, response, urls};
use gleaner_sdk::{Disposition, Failure, HttpError, Query, Resolution, Resolver, Response, clean_url};
use gleaner_testing::{CASES, each_mutation_of_bytes};

const PAGE: &str = "https://doi.org/10.1000/a";

fn pages(urls: &[&str]) -> Query {
    Query {
        landing_pages: urls.iter().map(|url| (*url).to_owned()).collect(),
        ..query(&[("doi", "10.1000/a")])
    }
}

fn resolve(host: &FakeHost) -> Result<Resolution, Failure> {
    LandingPage::resolve(&pages(&[PAGE]), host)
}

/// The answer to [`PAGE`], which redirects to a publisher.
fn at_publisher(media_type: &str, body: impl Into<Vec<u8>>) -> FakeHost {
    let answer = response(200, body).with_header("content-type", media_type);
    FakeHost::new()
        .outcome(PAGE, Ok(Response { url: "https://publisher.example/journal/1".to_owned(), ..answer }))
}

fn html(head: &str) -> FakeHost {
    at_publisher("text/html; charset=utf-8", format!("<!doctype html><html><head>{head}</head></html>"))
}

#[test]
fn a_stated_file_is_proposed_relative_to_where_the_page_is() {
    let host = html(
        r#"<link rel="license" href="https://creativecommons.org/licenses/by/4.0/">
           <meta name="citation_pdf_url" content="/journal/1.pdf?a=1&amp;b=2"><meta name="citation_pdf_url" content="1 de.pdf">
           <meta name="bepress_citation_pdf_url" content="https://publisher.example/journal/1.pdf?a=1&b=2">
           <link rel="alternate" type="application/pdf" href="supplement.pdf">"#,
    );
    let resolution = resolve(&host).unwrap();
    assert_eq!(
        urls(&resolution),
        ["https://publisher.example/journal/1.pdf?a=1&b=2", "https://publisher.example/journal/1%20de.pdf"]
    );
    let file = &resolution.candidates[0];
    assert_eq!(file.media_type.as_deref(), Some("application/pdf"));
    assert_eq!(file.license.as_deref(), Some("https://creativecommons.org/licenses/by/4.0/"));
    assert!(file.confidence.unwrap() < 0.5);
}

#[test]
fn a_page_of_another_work_names_no_file_of_this() {
    let page = |doi: &str| {
        let stated = r#"<meta name="citation_pdf_url" content="/journal/1.pdf">"#;
        resolve(&html(&format!(r#"<meta name="citation_doi" content="{doi}">{stated}"#))).unwrap()
    };
    for same in ["10.1000/A", "https://doi.org/10.1000/a", "10.1000/a.v2", "10.5281/zenodo.1", "hal-1", ""] {
        assert_eq!(urls(&page(same)), ["https://publisher.example/journal/1.pdf"], "{same}");
    }
    assert_eq!(page("10.1000/b"), Resolution::none());
}

#[test]
fn weaker_ways_count_where_stronger_ones_are_missing_or_lead_nowhere() {
    let anchor = r#"<a type="application/pdf" href="anchor.pdf">PDF</a>"#;
    let link = r#"<link type="application/pdf" href="link.pdf">"#;
    let broken = r#"<meta name="citation_pdf_url" content="javascript:void(0)">"#;
    let sure = |head: &str| {
        let resolution = resolve(&html(head)).unwrap();
        let [file] = &resolution.candidates[..] else { panic!("{resolution:?}") };
        (file.url.rsplit('/').next().unwrap().to_owned(), file.confidence.unwrap())
    };
    let (link_file, link_confidence) = sure(&format!("{broken}{link}{anchor}"));
    let (anchor_file, anchor_confidence) = sure(&format!("{broken}{anchor}"));
    assert_eq!((&*link_file, &*anchor_file), ("link.pdf", "anchor.pdf"));
    assert!(link_confidence > anchor_confidence);
}

#[test]
fn a_base_moves_every_link() {
    let host = html(r#"<base href="/files/"><meta name="citation_pdf_url" content="1.pdf">"#);
    assert_eq!(urls(&resolve(&host).unwrap()), ["https://publisher.example/files/1.pdf"]);
}

#[test]
fn a_page_that_is_the_file_is_proposed() {
    for host in [at_publisher("application/pdf", "?"), at_publisher("application/octet-stream", "%PDF-1.7\n")]
    {
        assert_eq!(urls(&resolve(&host).unwrap()), ["https://publisher.example/journal/1"]);
    }
    // What is larger than any page may be the file too; where it is was not learned.
    let host = FakeHost::new().outcome(PAGE, Err(HttpError::TooLarge(4 << 20)));
    assert_eq!(urls(&resolve(&host).unwrap()), [PAGE]);
}

#[test]
fn a_page_that_names_no_file_is_an_answer() {
    for host in [
        html("<title>Just a moment...</title><script>window._cf_chl_opt = {};</script>"),
        html("<form action=/login><input type=password></form>"),
        at_publisher("application/json", r#"<meta name="citation_pdf_url" content="1.pdf">"#),
        at_publisher("text/html", ""),
        FakeHost::new().answer(PAGE, 404, "<html>No such DOI"),
        FakeHost::new().answer(PAGE, 403, r#"<meta name="citation_pdf_url" content="1.pdf">"#),
        FakeHost::new().outcome(PAGE, Err(HttpError::Denied("a redirect from https to http".to_owned()))),
    ] {
        assert_eq!(resolve(&host), Ok(Resolution::none()));
    }
}

#[test]
fn what_passes_is_tried_again_and_stops_no_other_job() {
    for error in
        [HttpError::RateLimited(Some(5000)), HttpError::Timeout, HttpError::Transport("reset".to_owned())]
    {
        let failure = resolve(&FakeHost::new().outcome(PAGE, Err(error.clone()))).unwrap_err();
        assert_eq!(failure.disposition, Disposition::Retry);
        assert_eq!(failure.retry_after_ms, matches!(error, HttpError::RateLimited(_)).then_some(5000));
    }
    assert_eq!(resolve(&FakeHost::new().answer(PAGE, 502, "")).unwrap_err().disposition, Disposition::Retry);
}

#[test]
fn three_pages_are_read_and_one_that_fails_costs_only_itself() {
    let query = pages(&[
        "https://a.example/1",
        "https://A.example/1",
        "https://b.example/",
        "https://c.example/",
        "https://d.example/",
    ]);
    let page = |name: &str| format!(r#"<meta name="citation_pdf_url" content="{name}.pdf">"#);
    let host = FakeHost::new()
        .outcome("https://a.example/1", Err(HttpError::Timeout))
        .answer("https://b.example/", 200, page("b"))
        .answer("https://c.example/", 200, page("c"));
    let resolution = LandingPage::resolve(&query, &host).unwrap();
    assert_eq!(urls(&resolution), ["https://b.example/b.pdf", "https://c.example/c.pdf"]);
    let sent: Vec<_> = host.sent().into_iter().map(|request| request.url).collect();
    assert_eq!(sent, ["https://a.example/1", "https://b.example/", "https://c.example/"]);
    assert_eq!(host.logged().len(), 1);
}

#[test]
fn a_mutated_page_is_read_and_proposes_web_urls_only() {
    let seeds: [&[u8]; 3] = [
        br#"<!doctype html><base href="/files/"><meta name="citation_pdf_url" content="1.pdf?a=1&amp;b=2">
            <link rel="license" href="https://creativecommons.org/licenses/by/4.0/">"#,
        b"<link type=application/pdf href=a&#x2f;b.pdf><a type='application/pdf' href=//c.example/2.pdf><noscript>",
        b"%PDF-1.7 <!--><script></script><title>x</title>",
    ];
    each_mutation_of_bytes(CASES, &seeds, |page| {
        let resolution = resolve(&at_publisher("text/html", page)).unwrap();
        assert!(resolution.candidates.len() <= 4);
        for file in &resolution.candidates {
            assert_eq!(clean_url(&file.url).as_ref(), Some(&file.url));
            assert!(file.url.bytes().all(|byte| byte.is_ascii_graphic()));
        }
    });
}
