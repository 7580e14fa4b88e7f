//! The whole resolver against every kind of answer that arXiv gives.

use gleaner_plugin_arxiv::Arxiv;
use gleaner_sdk::testing::{FakeHost, query};
use gleaner_sdk::{Disposition, Identifier, Resolution, Resolver};

const URL: &str = "https://export.arxiv.org/api/query?id_list=quant-ph%2F0201082v1";

fn feed(entry: &str) -> String {
    format!(
        r#"<feed xmlns="http://www.w3.org/2005/Atom" xmlns:arxiv="http://arxiv.org/schemas/atom">{entry}</feed>"#
    )
}

fn eprint() -> String {
    feed(
        r#"<entry>
             <id>http://arxiv.org/abs/quant-ph/0201082v1</id>
             <link href="https://arxiv.org/abs/quant-ph/0201082v1" rel="alternate" type="text/html"/>
             <link href="http://arxiv.org/pdf/quant-ph/0201082v1" rel="related" type="application/pdf" title="pdf"/>
             <arxiv:doi>10.1000/x</arxiv:doi>
           </entry>"#,
    )
}

#[test]
fn an_eprint_has_a_pdf_and_may_have_been_published() {
    let host = FakeHost::new().answer(URL, 200, eprint());
    let resolution = Arxiv::resolve(&query(&[("arxiv", "quant-ph/0201082v1")]), &host).unwrap();
    let [pdf] = &resolution.candidates[..] else { panic!("{resolution:?}") };
    assert_eq!(pdf.url, "https://arxiv.org/pdf/quant-ph/0201082v1");
    assert_eq!(pdf.media_type.as_deref(), Some("application/pdf"));
    assert_eq!(pdf.version.as_deref(), Some("submitted"));
    assert_eq!(pdf.host_type.as_deref(), Some("repository"));
    assert_eq!(pdf.license, None);
    assert_eq!(resolution.discovered, [Identifier::new("doi", "10.1000/x")]);
}

#[test]
fn arxivs_own_doi_is_the_id() {
    let host = FakeHost::new().answer(URL, 200, eprint());
    let dois = [("doi", "10.1000/x"), ("doi", "10.48550/arxiv.quant-ph/0201082v1")];
    assert_eq!(Arxiv::resolve(&query(&dois), &host).unwrap().candidates.len(), 1);
    assert_eq!(Arxiv::resolve(&query(&dois[..1]), &host), Ok(Resolution::none()));
    assert_eq!(host.sent().len(), 1);
}

#[test]
fn no_entry_or_an_error_in_its_place_is_no_candidate() {
    let error = feed("<entry><id>https://arxiv.org/api/errors#incorrect_id_format_for_abc</id></entry>");
    let withdrawn = feed("<entry><id>http://arxiv.org/abs/quant-ph/0201082v1</id></entry>");
    for (status, body) in [(200, feed("")), (200, error.clone()), (400, error), (200, withdrawn)] {
        let host = FakeHost::new().answer(URL, status, body.as_str());
        let resolution = Arxiv::resolve(&query(&[("arxiv", "quant-ph/0201082v1")]), &host);
        assert_eq!(resolution, Ok(Resolution::none()), "{status} {body}");
    }
}

#[test]
fn what_is_no_feed_is_asked_for_again() {
    for body in ["<html><body>Back soon</body></html>", "", "\u{1f}\u{8b}"] {
        let host = FakeHost::new().answer(URL, 200, body);
        let failure = Arxiv::resolve(&query(&[("arxiv", "quant-ph/0201082v1")]), &host).unwrap_err();
        assert_eq!((failure.code.as_str(), failure.disposition), ("bad-xml", Disposition::Retry));
    }
}
