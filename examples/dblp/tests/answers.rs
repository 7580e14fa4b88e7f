//! The whole resolver against every kind of answer that dblp gives.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use gleaner_example_dblp::Dblp;
use gleaner_sdk::testing::{
    FakeHost, assert_failures_keep_their_disposition, assert_unknown_shapes, query, urls, urls_read,
};
use gleaner_sdk::{Candidate, CandidateKind, Failure, Identifier, Query, Resolution, Resolver};
use gleaner_testing::each_mutation;
use serde_json::{Value, json};

const URL: &str = "https://dblp.org/search/publ/api?q=Attention%20is%20all%20you%20need&format=json&h=30&c=0";

fn asked() -> Query {
    Query {
        title: Some("Attention is (all) you need!".to_owned()),
        authors: vec!["Vaswani, Ashish".to_owned()],
        year: Some(2017),
        ..query(&[("doi", "10.5555/3295222")])
    }
}

fn resolve(host: &FakeHost) -> Result<Resolution, Failure> {
    Dblp::resolve(&asked(), host)
}

fn resolve_body(body: impl ToString) -> Result<Resolution, Failure> {
    resolve(&FakeHost::new().answer(URL, 200, body.to_string()))
}

fn found(entries: &[Value]) -> Value {
    let hits = entries.iter().map(|info| json!({ "@score": "9", "info": info })).collect::<Vec<_>>();
    json!({ "result": { "status": { "@code": "200" }, "hits": { "@total": "9", "hit": hits } } })
}

fn entry() -> Value {
    json!({
        "authors": { "author": [{ "text": "Noam Shazeer" }, { "text": "Ashish Vaswani 0001" }] },
        "title": "Attention is All you Need.", "venue": "NIPS", "year": "2017", "access": "open",
        "ee": ["https://papers.example.org/page", "https://papers.example.org/paper.PDF"],
    })
}

fn with(field: &str, value: Value) -> Value {
    let mut entry = entry();
    entry[field] = value;
    entry
}

#[test]
fn files_and_pages_of_an_open_record_are_proposed() {
    let resolution = resolve_body(found(&[entry()])).unwrap();
    assert_eq!(
        urls(&resolution),
        ["https://papers.example.org/page", "https://papers.example.org/paper.PDF"]
    );
    let expected = Candidate {
        version: Some("published".to_owned()),
        host_type: Some("publisher".to_owned()),
        confidence: Some(0.6),
        ..Candidate::pdf("https://papers.example.org/paper.PDF").unwrap()
    };
    assert_eq!(resolution.candidates[1], expected);
    assert_eq!(resolution.candidates[0].kind, CandidateKind::LandingPage);
}

#[test]
fn a_preprint_is_told_by_its_name() {
    let names = [
        json!({ "doi": "10.48550/ARXIV.1706.03762", "ee": "https://doi.org/10.48550/arXiv.1706.03762" }),
        json!({ "ee": "http://arxiv.org/abs/1706.03762" }),
    ];
    for name in names {
        let mut preprint = with("venue", json!("CoRR"));
        preprint.as_object_mut().unwrap().extend(name.as_object().unwrap().clone());
        let resolution = resolve_body(found(&[preprint])).unwrap();
        assert_eq!(resolution.discovered, [Identifier::new("arxiv", "1706.03762")]);
        assert!(resolution.candidates.is_empty());
    }
}

#[test]
fn another_work_is_not_taken_for_this_one() {
    let one_author = json!({ "author": { "text": "Vaswani" } });
    assert_eq!(resolve_body(found(&[with("authors", one_author)])).unwrap().candidates.len(), 2);
    let others = [
        with("title", json!("Attention is all you need, again")),
        with("year", json!("2020")),
        with("authors", json!({ "author": { "text": "Someone Else" } })),
        with("access", json!("closed")),
        with("access", Value::Null),
    ];
    for other in others {
        assert_eq!(urls(&resolve_body(found(std::slice::from_ref(&other))).unwrap()), [""; 0], "{other}");
    }
}

#[test]
fn a_title_alone_is_too_little_and_a_doi_is_enough() {
    let bare = Query { authors: Vec::new(), year: None, ..asked() };
    let host = |entry| FakeHost::new().answer(URL, 200, found(&[entry]).to_string());
    assert_eq!(urls(&Dblp::resolve(&bare, &host(entry())).unwrap()), [""; 0]);
    let same = with("doi", json!("10.5555/3295222"));
    assert_eq!(Dblp::resolve(&bare, &host(same)).unwrap().candidates[0].confidence, Some(0.9));
}

#[test]
fn without_a_title_nothing_is_asked() {
    let host = FakeHost::new();
    for title in [None, Some(" - ".to_owned())] {
        let query = Query { title, ..asked() };
        assert_eq!(Dblp::resolve(&query, &host), Ok(Resolution::none()));
    }
    assert!(host.sent().is_empty());
}

#[test]
fn nothing_found_is_no_failure() {
    let nothing = json!({ "result": { "hits": { "@total": "0", "@sent": "0" } } });
    assert_eq!(resolve_body(nothing), Ok(Resolution::none()));
}

#[test]
fn another_shape_is_a_failure_that_says_so() {
    assert_unknown_shapes([json!({}), json!([]), json!({ "result": { "hits": 7 } })], resolve_body);
}

#[test]
fn failures_of_the_way_there_keep_their_disposition() {
    assert_failures_keep_their_disposition(URL, FakeHost::new, resolve);
}

#[test]
fn a_mutated_answer_is_read_or_refused() {
    each_mutation(&[found(&[entry()]).to_string()], |body| drop(urls_read(&resolve_body(body))));
}
