//! The whole resolver against every kind of answer that Europe PMC gives.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use gleaner_plugin_europe_pmc::EuropePmc;
use gleaner_sdk::testing::{FakeHost, assert_unknown_shapes, each_odd_field, query, urls};
use gleaner_sdk::{BatchResolver, Candidate, Failure, Identifier, Resolution, Resolver, Url};
use serde_json::{Value, json};

const URL: &str = "https://www.ebi.ac.uk/europepmc/webservices/rest/search\
    ?query=PMCID%3APMC123&resultType=core&format=json";

fn resolve(host: &FakeHost) -> Result<Resolution, Failure> {
    EuropePmc::resolve(&query(&[("pmcid", "PMC123")]), host)
}

fn resolve_body(body: impl ToString) -> Result<Resolution, Failure> {
    resolve(&FakeHost::new().answer(URL, 200, body.to_string()))
}

fn full_text(code: &str, style: &str, url: &str) -> Value {
    json!({ "availability": "", "availabilityCode": code, "documentStyle": style, "site": "Europe_PMC", "url": url })
}

/// Another work first, then the one asked for.
fn found() -> Value {
    let other = json!({
        "source": "MED", "pmid": "1", "pmcid": "PMC1234", "isOpenAccess": "Y",
        "fullTextUrlList": { "fullTextUrl": [full_text("OA", "pdf", "https://europepmc.org/other.pdf")] }
    });
    let record = json!({
        "source": "MED", "pmid": "9", "pmcid": "PMC123", "doi": "10.1000/A", "license": "cc by", "authMan": "N",
        "fullTextUrlList": { "fullTextUrl": [
            full_text("S", "doi", "https://doi.org/10.1000/a"),
            full_text("OA", "html", "https://europepmc.org/articles/PMC123"),
            full_text("S", "pdf", "https://publisher.example/a.pdf"),
            full_text("OA", "pdf", "https://europepmc.org/articles/PMC123?pdf=render"),
            full_text("F", "pdf", "https://free.example/a.pdf"),
        ] }
    });
    json!({ "version": "6.9", "hitCount": 2, "resultList": { "result": [other, record] } })
}

#[test]
fn the_open_pdfs_of_the_very_work_are_proposed_and_its_names_told() {
    let resolution = resolve_body(found()).unwrap();
    assert_eq!(
        urls(&resolution),
        ["https://europepmc.org/articles/PMC123?pdf=render", "https://free.example/a.pdf"]
    );
    let expected = Candidate {
        version: Some("published".to_owned()),
        license: Some("cc by".to_owned()),
        host_type: Some("repository".to_owned()),
        ..Candidate::pdf("https://europepmc.org/articles/PMC123?pdf=render").unwrap()
    };
    assert_eq!(resolution.candidates[0], expected);
    let names = [("pmid", "9"), ("pmcid", "PMC123"), ("doi", "10.1000/A")];
    assert_eq!(resolution.discovered, names.map(|(scheme, value)| Identifier::new(scheme, value)));
}

#[test]
fn the_best_name_is_searched_for() {
    let search = |names: &[(&str, &str)]| {
        let host = FakeHost::new();
        EuropePmc::resolve(&query(names), &host).unwrap_err();
        let url = &host.sent()[0].url;
        url.split("?query=").nth(1).unwrap().split('&').next().unwrap().to_owned()
    };
    let names = [("doi", "10.1000/a\"b\\c"), ("pmid", "9"), ("pmcid", "PMC123")];
    assert_eq!(search(&names), "PMCID%3APMC123");
    assert_eq!(search(&names[..2]), "EXT_ID%3A9%20AND%20SRC%3AMED");
    assert_eq!(search(&names[..1]), "DOI%3A%2210.1000%2Fa%5C%22b%5C%5Cc%22");
    let host = FakeHost::new();
    assert_eq!(EuropePmc::resolve(&query(&[("arxiv", "1")]), &host), Ok(Resolution::none()));
    assert!(host.sent().is_empty());
}

#[test]
fn a_doi_is_the_same_in_any_case() {
    let url = URL.replace("PMCID%3APMC123", "DOI%3A%2210.1000%2Fa%22");
    let host = FakeHost::new().answer(&url, 200, found().to_string());
    assert_eq!(EuropePmc::resolve(&query(&[("doi", "10.1000/a")]), &host).unwrap().candidates.len(), 2);
}

#[test]
fn manuscripts_and_preprints_are_said_to_be_so() {
    for (field, value, version) in [
        ("authMan", "Y", "accepted"),
        ("nihAuthMan", "Y", "accepted"),
        ("epmcAuthMan", "Y", "accepted"),
        ("source", "PPR", "submitted"),
    ] {
        let mut body = found();
        body["resultList"]["result"][1][field] = json!(value);
        let resolution = resolve_body(body).unwrap();
        assert_eq!(resolution.candidates[0].version.as_deref(), Some(version), "{field}");
    }
}

#[test]
fn a_closed_or_unknown_work_has_no_candidates() {
    let unknown = json!({ "hitCount": 0, "resultList": { "result": [] } });
    assert_eq!(resolve_body(unknown), Ok(Resolution::none()));
    let closed =
        json!({ "resultList": { "result": [{ "pmcid": "PMC123", "inEPMC": "Y", "isOpenAccess": "N" }] } });
    assert_eq!(urls(&resolve_body(closed).unwrap()), [""; 0]);
}

#[test]
fn another_shape_is_a_failure_that_says_so() {
    let error = json!({ "errCode": 404, "errMsg": "?" });
    assert_unknown_shapes([json!({}), error, json!({ "resultList": {} }), json!([])], resolve_body);
}

gleaner_testing::contract_of_answers! {
    asks: URL, with: FakeHost::new, by: resolve,
    reads: found().to_string(), by: resolve_body,
}

#[test]
fn a_field_of_any_type_never_costs_the_other_files() {
    let fields = ["availabilityCode", "documentStyle", "url", "site"];
    let list = "/resultList/result/1/fullTextUrlList/fullTextUrl";
    each_odd_field(&found().to_string(), list, &fields, |place, body| {
        let resolution = resolve_body(body).unwrap();
        assert!(urls(&resolution).contains(&"https://free.example/a.pdf") || place == 4);
    });
}

#[test]
fn many_works_are_found_with_one_search_each_by_its_own_name() {
    let queries = [
        query(&[("pmcid", "PMC123")]),
        query(&[("doi", "10.1000/closed"), ("pmid", "77")]),
        query(&[("arxiv", "1")]),
        query(&[("doi", "10.1000/NOBODY")]),
        query(&[("doi", "10.1000/a")]),
    ];
    let url = Url::new("https://www.ebi.ac.uk/europepmc/webservices/rest/search")
        .query(
            "query",
            "(PMCID:PMC123) OR (EXT_ID:77 AND SRC:MED) OR (DOI:\"10.1000/NOBODY\") OR (DOI:\"10.1000/a\")",
        )
        .query("resultType", "core")
        .query("format", "json")
        .query("pageSize", "1000");
    let mut body = found();
    let closed = json!({ "source": "MED", "pmid": "77", "doi": "10.1000/closed" });
    body["resultList"]["result"].as_array_mut().unwrap().push(closed);
    let host = FakeHost::new().answer(&url.to_string(), 200, body.to_string());
    let answers = EuropePmc::resolve_many(&queries, &host);
    let candidates: Vec<_> = answers.iter().map(|answer| urls(answer.as_ref().unwrap()).len()).collect();
    assert_eq!(candidates, [2, 0, 0, 0, 2]);
    assert_eq!(answers[1].as_ref().unwrap().discovered.len(), 2);
    assert_eq!(answers[3], Ok(Resolution::none()));
    assert_eq!(host.sent().len(), 1);
    let unreachable = EuropePmc::resolve_many(&queries, &FakeHost::new());
    assert!(unreachable.len() == 5 && unreachable.iter().all(Result::is_err), "each has the failure");
}
