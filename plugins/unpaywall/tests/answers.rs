//! The whole resolver against every kind of answer that Unpaywall gives.

use gleaner_plugin_unpaywall::Unpaywall;
use gleaner_sdk::testing::{FakeHost, assert_unknown_shapes, each_odd_field, query, urls};
use gleaner_sdk::{Candidate, CandidateKind, Disposition, Failure, Resolution, Resolver};
use serde_json::json;

const URL: &str = "https://api.unpaywall.org/v2/10.1000/a?email=someone%40example.org";

fn host() -> FakeHost {
    FakeHost::new().set("contact", "someone@example.org")
}

fn resolve(host: &FakeHost) -> Result<Resolution, Failure> {
    Unpaywall::resolve(&query(&[("doi", "10.1000/a")]), host)
}

fn resolve_body(body: impl ToString) -> Result<Resolution, Failure> {
    resolve(&host().answer(URL, 200, body.to_string()))
}

/// The best location has no file, the second and the third have the same one, the fourth none that is usable.
fn record() -> serde_json::Value {
    let best = json!({
        "url": "https://doi.org/10.1000/a", "url_for_pdf": null, "url_for_landing_page": "https://doi.org/10.1000/a",
        "version": "publishedVersion", "host_type": "publisher", "license": "cc-by"
    });
    json!({
        "doi": "10.1000/a", "is_oa": true, "best_oa_location": best,
        "oa_locations": [
            best,
            { "url_for_pdf": "http://a.example/x y.pdf", "version": "acceptedVersion", "host_type": "repository", "license": null },
            { "url_for_pdf": "http://a.example/x%20y.pdf", "version": "submittedVersion" },
            { "url_for_pdf": "ftp://b.example/z.pdf", "url_for_landing_page": null, "url": "https://b.example/z" }
        ]
    })
}

#[test]
fn files_go_before_pages_and_each_url_comes_once() {
    let resolution = resolve_body(record()).unwrap();
    assert_eq!(
        urls(&resolution),
        ["http://a.example/x%20y.pdf", "https://doi.org/10.1000/a", "https://b.example/z"]
    );
    let [file, page, _] = &resolution.candidates[..] else { panic!("{resolution:?}") };
    let expected = Candidate {
        version: Some("accepted".to_owned()),
        host_type: Some("repository".to_owned()),
        ..Candidate::pdf("http://a.example/x%20y.pdf").unwrap()
    };
    assert_eq!(*file, expected);
    assert_eq!(page.kind, CandidateKind::LandingPage);
    assert_eq!(page.version.as_deref(), Some("published"));
    assert_eq!(page.license.as_deref(), Some("cc-by"));
}

#[test]
fn a_closed_or_unknown_work_has_no_candidates() {
    let closed = json!({ "is_oa": false, "best_oa_location": null, "oa_locations": [] });
    assert_eq!(resolve_body(closed), Ok(Resolution::none()));
    let unknown = r#"{ "HTTP_status_code": 404, "error": true, "message": "not known" }"#;
    assert_eq!(resolve(&host().answer(URL, 404, unknown)), Ok(Resolution::none()));
}

#[test]
fn a_field_of_another_type_costs_only_itself() {
    let record = json!({
        "is_oa": "yes", "best_oa_location": [],
        "oa_locations": [null, 7, { "url_for_pdf": ["x"] }, { "url_for_pdf": "https://a.example/1.pdf", "license": 4, "version": {} }]
    });
    assert_eq!(urls(&resolve_body(record).unwrap()), ["https://a.example/1.pdf"]);
}

#[test]
fn another_shape_is_a_failure_that_says_so() {
    assert_unknown_shapes(
        [json!({}), json!({ "message": "hello" }), json!([]), json!("hello")],
        resolve_body,
    );
}

#[test]
fn without_a_contact_nothing_is_sent() {
    let host = FakeHost::new();
    let failure = resolve(&host).unwrap_err();
    assert_eq!((failure.code.as_str(), failure.disposition), ("missing-setting", Disposition::GiveUp));
    assert!(failure.message.contains("set contact ="), "{}", failure.message);
    assert!(host.sent().is_empty());
}

#[test]
fn a_refused_contact_is_named_as_the_cause() {
    let failure = resolve(&host().answer(URL, 422, r#"{ "error": true }"#)).unwrap_err();
    assert_eq!((failure.disposition, failure.upstream_status), (Disposition::GiveUp, Some(422)));
    assert!(failure.message.contains("`contact`"), "{}", failure.message);
}

gleaner_testing::contract_of_answers! {
    asks: URL, with: host, by: resolve,
    reads: record().to_string(), by: resolve_body,
}

#[test]
fn the_doi_and_the_base_url_make_the_url() {
    let host = host().set("base-url", "https://mirror.example/unpaywall/");
    let doi = "10.1002/(sici)1097<1::aid>3.0.co;2-e?#%";
    Unpaywall::resolve(&query(&[("doi", doi)]), &host).unwrap_err();
    let expected = "https://mirror.example/unpaywall/v2/10.1002/(sici)1097%3C1::aid%3E3.0.co;2-e%3F%23%25?email=someone%40example.org";
    assert_eq!(host.sent()[0].url, expected);
}

#[test]
fn a_field_of_any_type_never_costs_the_other_locations() {
    let fields = ["url_for_pdf", "url_for_landing_page", "url", "version", "license", "host_type"];
    each_odd_field(&record().to_string(), "/oa_locations", &fields, |_, body| {
        let resolution = resolve_body(body).unwrap();
        assert!(urls(&resolution).iter().any(|url| url.ends_with("y.pdf")));
    });
}
