//! The whole resolver against every kind of answer that the services of PMC give.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use gleaner_plugin_pmc::Pmc;
use gleaner_sdk::testing::{
    FakeHost, assert_failures_keep_their_disposition, assert_unknown_shapes, each_odd_field, query, response,
    urls,
};
use gleaner_sdk::{
    BatchResolver, Candidate, Disposition, Failure, HttpError, Resolution, Resolver, clean_url,
};
use gleaner_testing::each_mutation;
use serde_json::{Value, json};

const LISTING: &str = "https://pmc-oa-opendata.s3.amazonaws.com/?list-type=2&prefix=PMC123.&delimiter=%2F";
const METADATA: &str = "https://pmc-oa-opendata.s3.amazonaws.com/PMC123.10/PMC123.10.json";
const OA: &str = "https://www.ncbi.nlm.nih.gov/pmc/utils/oa/oa.fcgi?id=PMC123";
const CONVERTER: &str = "https://pmc.ncbi.nlm.nih.gov/tools/idconv/api/v1/articles/?ids=10.1000%2Fa&idtype=doi&format=json&tool=gleaner";

fn listing(folders: &[&str]) -> String {
    let prefixes: String = folders
        .iter()
        .map(|name| format!("<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>"))
        .collect();
    format!("<?xml version='1.0'?><ListBucketResult><Prefix>PMC123.</Prefix>{prefixes}</ListBucketResult>")
}

fn metadata() -> Value {
    json!({
        "pmcid": "PMC123", "version": 10, "pmid": 9, "doi": "10.1000/A", "is_pmc_openaccess": true,
        "is_manuscript": false, "license_code": "CC BY",
        "pdf_url": "s3://pmc-oa-opendata/PMC123.10/a b.pdf?md5=0", "xml_url": "s3://pmc-oa-opendata/PMC123.10/a.xml"
    })
}

fn oa() -> String {
    let link =
        |format: &str, href: &str| format!("<link format='{format}' updated='2025-04-04' href='{href}'/>");
    let record =
        |id: &str, links: &str| format!("<record id='{id}' citation='x' license='CC BY'>{links}</record>");
    format!(
        "<OA><responseDate>2026-01-01</responseDate><records returned-count='2'>{}{}</records></OA>",
        record("PMC1234", &link("pdf", "ftp://ftp.example/pub/pmc/oa_pdf/other.pdf")),
        record(
            "PMC123",
            &(link("tgz", "ftp://ftp.example/pub/pmc/oa_package/a.tar.gz")
                + &link("pdf", "ftp://ftp.example/pub/pmc/oa_pdf/a b.pdf"))
        )
    )
}

/// The datasets have the article in two versions, of which the tenth is the newest.
fn datasets(metadata: impl ToString) -> FakeHost {
    let folders = listing(&["PMC123.9/", "PMC123.10/", "PMC1234.1/", "PMC123.x/"]);
    FakeHost::new().answer(LISTING, 200, folders).answer(METADATA, 200, metadata.to_string())
}

/// They do not, and the older service answers so.
fn older(status: u16, body: impl Into<Vec<u8>>) -> FakeHost {
    FakeHost::new().answer(LISTING, 200, listing(&[])).answer(OA, status, body)
}

fn resolve(host: &FakeHost) -> Result<Resolution, Failure> {
    Pmc::resolve(&query(&[("pmcid", "PMC123")]), host)
}

fn names(resolution: &Resolution) -> Vec<(&str, &str)> {
    resolution.discovered.iter().map(|name| (&*name.scheme, &*name.value)).collect()
}

#[test]
fn the_pdf_of_the_newest_version_is_proposed_and_the_works_names_told() {
    let host = datasets(metadata());
    let resolution = resolve(&host).unwrap();
    let expected = Candidate {
        version: Some("published".to_owned()),
        license: Some("CC BY".to_owned()),
        host_type: Some("repository".to_owned()),
        ..Candidate::pdf("https://pmc-oa-opendata.s3.amazonaws.com/PMC123.10/a%20b.pdf").unwrap()
    };
    assert_eq!(resolution.candidates, [expected]);
    assert_eq!(names(&resolution), [("pmid", "9"), ("doi", "10.1000/A"), ("pmcid", "PMC123")]);
    assert_eq!(host.sent().len(), 2, "the older service is not asked");
}

#[test]
fn a_manuscript_is_said_to_be_one() {
    let mut manuscript = metadata();
    manuscript["is_manuscript"] = json!(true);
    assert_eq!(resolve(&datasets(manuscript)).unwrap().candidates[0].version.as_deref(), Some("accepted"));
}

#[test]
fn what_is_not_open_or_another_article_has_no_candidates() {
    for (field, value) in [
        ("is_pmc_openaccess", json!(false)),
        ("is_pmc_openaccess", json!(null)),
        ("pdf_url", json!(null)),
        ("pdf_url", json!("s3://another-bucket/a.pdf")),
    ] {
        let mut closed = metadata();
        closed[field] = value;
        let host = datasets(&closed);
        assert_eq!(urls(&resolve(&host).unwrap()), [""; 0], "{closed}");
        assert_eq!(host.sent().len(), 2, "the datasets have answered");
    }
    let mut other = metadata();
    other["pmcid"] = json!("PMC1234");
    let host = datasets(other).answer(OA, 404, "");
    assert_eq!(names(&resolve(&host).unwrap()), [("pmcid", "PMC123")]);
}

#[test]
fn what_the_datasets_do_not_have_the_older_service_may() {
    let host = older(200, oa());
    let resolution = resolve(&host).unwrap();
    assert_eq!(
        urls(&resolution),
        [
            "https://ftp.example/pub/pmc/deprecated/oa_pdf/a%20b.pdf",
            "https://ftp.example/pub/pmc/oa_pdf/a%20b.pdf"
        ]
    );
    assert_eq!(resolution.candidates[0].license.as_deref(), Some("CC BY"));
    assert_eq!(resolution.candidates[0].version, None, "the service does not tell manuscripts");
    let closed = "<OA><request/><error code='idIsNotOpenAccess'>not open</error></OA>";
    for body in [closed.to_owned(), oa().replace("'PMC123'", "'PMC12'"), oa().replace("'pdf'", "'epub'")] {
        assert_eq!(urls(&resolve(&older(200, body)).unwrap()), [""; 0]);
    }
}

#[test]
fn that_the_older_service_fails_costs_nothing_but_that_it_asks_to_slow_down_is_heeded() {
    for (status, body) in [(404, ""), (500, ""), (403, ""), (200, "<html>moved</html>"), (200, "<OA></OA>")] {
        let host = older(status, body);
        assert_eq!(urls(&resolve(&host).unwrap()), [""; 0]);
        assert_eq!(host.logged().len(), usize::from(status != 404), "{status} {body}");
    }
    let asked = Err(HttpError::RateLimited(Some(7)));
    let failure =
        resolve(&FakeHost::new().answer(LISTING, 200, listing(&[])).outcome(OA, asked)).unwrap_err();
    assert_eq!((failure.disposition, failure.retry_after_ms), (Disposition::RateLimited, Some(7)));
}

#[test]
fn a_doi_is_converted_first_and_nothing_else_in_the_same_request() {
    let record = json!({ "pmcid": "PMC123", "pmid": 9, "doi": "10.1000/A", "requested-id": "10.1000/a" });
    let other = json!({ "pmcid": "PMC7", "doi": "10.1000/b" });
    let body = json!({ "status": "ok", "records": [other, record] }).to_string();
    let with = |metadata: Value| datasets(metadata).answer(CONVERTER, 200, body.clone());
    let host = with(metadata());
    let doi = query(&[("doi", "10.1000/a")]);
    let resolution = Pmc::resolve(&doi, &host).unwrap();
    assert_eq!(resolution.candidates.len(), 1);
    assert_eq!(names(&resolution), [("pmid", "9"), ("doi", "10.1000/A"), ("pmcid", "PMC123")]);
    assert_eq!(host.sent().len(), 3);

    let host = FakeHost::new().set("contact", "me+you@example.org");
    Pmc::resolve(&query(&[("doi", "10.1000/a"), ("pmid", "9")]), &host).unwrap_err();
    let sent: Vec<_> = host.sent().into_iter().map(|request| request.url).collect();
    let url = CONVERTER.replace("10.1000%2Fa&idtype=doi", "9&idtype=pmid") + "&email=me%2Byou%40example.org";
    assert_eq!(sent, [url]);
}

#[test]
fn a_work_that_pmc_does_not_have_ends_with_the_converter() {
    let asked = |status: u16, body: Value| {
        let host = FakeHost::new().answer(CONVERTER, status, body.to_string());
        let resolution = Pmc::resolve(&query(&[("doi", "10.1000/a")]), &host).unwrap();
        assert_eq!(host.sent().len(), 1);
        assert!(resolution.candidates.is_empty());
        names(&resolution).len()
    };
    assert_eq!(asked(404, json!({ "status": "error" })), 0);
    assert_eq!(asked(200, json!({ "records": [] })), 0);
    assert_eq!(asked(200, json!({ "records": [{ "doi": "10.1000/b", "pmcid": "PMC123" }] })), 0);
    let unknown = json!({ "records": [{ "doi": "10.1000/a", "status": "error", "errmsg": "not found" }] });
    assert_eq!(asked(200, unknown), 1);
    for names in [&[("doi", "10.1000/a,b")][..], &[("arxiv", "1")]] {
        let host = FakeHost::new();
        assert_eq!(Pmc::resolve(&query(names), &host), Ok(Resolution::none()));
        assert!(host.sent().is_empty());
    }
}

#[test]
fn every_service_may_be_elsewhere() {
    let host = FakeHost::new()
        .set("base-url", "https://mirror.example/pmc/")
        .answer(
            "https://mirror.example/pmc/?list-type=2&prefix=PMC123.&delimiter=%2F",
            200,
            listing(&["PMC123.10/"]),
        )
        .answer("https://mirror.example/pmc/PMC123.10/PMC123.10.json", 200, metadata().to_string());
    assert_eq!(urls(&resolve(&host).unwrap()), ["https://mirror.example/pmc/PMC123.10/a%20b.pdf"]);
    let host = FakeHost::new()
        .set("converter-url", "https://mirror.example/convert")
        .set("oa-url", "https://mirror.example/oa");
    Pmc::resolve(&query(&[("pmid", "9")]), &host).unwrap_err();
    assert!(host.sent()[0].url.starts_with("https://mirror.example/convert/?ids=9"), "{:?}", host.sent());
    let host =
        host.answer(LISTING, 200, listing(&[])).answer("https://mirror.example/oa?id=PMC123", 200, oa());
    assert_eq!(resolve(&host).unwrap().candidates.len(), 2);
}

#[test]
fn another_shape_is_a_failure_that_says_so() {
    let shapes = [json!({}), json!([]), json!({ "pmcid": 5 }), json!({ "error": "x" })];
    assert_unknown_shapes(shapes, |body| resolve(&datasets(body)));
    let converted = |body: String| {
        let host = FakeHost::new().answer(CONVERTER, 200, body);
        Pmc::resolve(&query(&[("doi", "10.1000/a")]), &host)
    };
    assert_unknown_shapes([json!({}), json!([]), json!({ "records": 1 })], converted);
}

#[test]
fn a_page_in_place_of_a_listing_passes() {
    let host = FakeHost::new().answer(LISTING, 200, "<html>Back soon</html>");
    let failure = resolve(&host).unwrap_err();
    assert_eq!((&*failure.code, failure.disposition), ("bad-xml", Disposition::Retry));
}

#[test]
fn failures_of_the_way_there_keep_their_disposition() {
    assert_failures_keep_their_disposition(LISTING, FakeHost::new, resolve);
    assert_failures_keep_their_disposition(CONVERTER, FakeHost::new, |host| {
        Pmc::resolve(&query(&[("doi", "10.1000/a")]), host)
    });
    let failed = |outcome| resolve(&datasets(metadata()).outcome(METADATA, outcome)).unwrap_err();
    assert_eq!(failed(Ok(response(403, ""))).disposition, Disposition::GiveUp);
    assert_eq!(failed(Err(HttpError::Timeout)).disposition, Disposition::Retry);
}

#[test]
fn a_mutated_answer_is_read_or_refused() {
    let read = |outcome: Result<Resolution, Failure>| match outcome {
        Ok(resolution) => {
            assert!(urls(&resolution).iter().all(|url| clean_url(url).as_deref() == Some(*url)))
        }
        Err(failure) => {
            assert!(
                ["bad-json", "bad-xml", "unknown-shape", "denied"].contains(&&*failure.code),
                "{failure:?}"
            );
        }
    };
    each_mutation(&[metadata().to_string()], |body| read(resolve(&datasets(body))));
    each_mutation(&[oa()], |body| read(resolve(&older(200, body))));
    let folders = listing(&["PMC123.9/", "PMC123.10/"]);
    each_mutation(&[folders], |body| {
        read(resolve(&FakeHost::new().answer(LISTING, 200, body).answer(OA, 200, oa())));
    });
    let records = json!({ "records": [{ "pmcid": "PMC123", "pmid": 9, "doi": "10.1000/a" }] }).to_string();
    each_mutation(&[records], |body| {
        let host = datasets(metadata()).answer(CONVERTER, 200, body);
        read(Pmc::resolve(&query(&[("doi", "10.1000/a")]), &host));
    });
}

#[test]
fn a_field_of_any_type_never_costs_the_other_records() {
    let records = json!({ "records": [
        { "pmcid": "PMC1", "pmid": "1", "doi": "10.1000/b" },
        { "pmcid": "PMC123", "pmid": "9", "doi": "10.1000/a" }
    ] });
    each_odd_field(&records.to_string(), "/records", &["pmcid", "pmid", "doi"], |place, body| {
        let host = datasets(metadata()).answer(CONVERTER, 200, body);
        let resolution = Pmc::resolve(&query(&[("doi", "10.1000/a")]), &host).unwrap();
        assert!(resolution.candidates.len() == 1 || place == 1);
    });
}

#[test]
fn several_works_are_converted_in_one_request() {
    let works = [
        query(&[("doi", "10.1000/a")]),
        query(&[("pmcid", "PMC123"), ("doi", "10.1000/other")]),
        query(&[("doi", "10.1000/nobody")]),
        query(&[("isbn", "1")]),
    ];
    let converter = CONVERTER.replace("10.1000%2Fa", "10.1000%2Fa%2C10.1000%2Fnobody");
    let records = json!({ "records": [
        { "doi": "10.1000/NOBODY", "status": "error", "errmsg": "not in PMC" },
        { "pmcid": "PMC123", "pmid": 9, "doi": "10.1000/A", "requested-id": "10.1000/a" },
    ] });
    let host = datasets(metadata()).answer(&converter, 200, records.to_string());
    let answers = Pmc::resolve_many(&works, &host);
    let urls: Vec<_> = answers.iter().map(|answer| urls(answer.as_ref().unwrap()).len()).collect();
    assert_eq!(urls, [1, 1, 0, 0]);
    assert_eq!(host.sent().iter().filter(|request| request.url.contains("idconv")).count(), 1);
    let failed = Pmc::resolve_many(&works, &datasets(metadata()).answer(&converter, 500, ""));
    assert!(failed[0].is_err() && failed[1].is_ok() && failed[2].is_err(), "{failed:?}");
}
