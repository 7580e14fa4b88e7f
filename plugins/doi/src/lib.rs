//! Resolver `doi`: the landing page that a DOI leads to, as a candidate for `landing_page`. Must never send a request:
//! `landing_page` follows doi.org anyway, so that following it here would ask it twice. What can be reached does not
//! differ either: a redirect needs the grant of who reads the page.

use gleaner_sdk::{Candidate, Failure, Host, Info, Query, Resolution, Resolver};

/// The proxy that resolves every DOI, whichever agency registered it: <https://www.doi.org/the-identifier/resources/handbook/>.
const BASE: &str = "https://doi.org";

/// Takes a DOI, and sends nothing. Whether the DOI is registered is found out by who reads the page.
#[derive(Debug)]
pub struct Doi;

gleaner_sdk::export_resolver!(Doi);

impl Resolver for Doi {
    fn describe() -> Info {
        Info::new("doi", env!("CARGO_PKG_VERSION"), "The landing page that a DOI leads to")
            .takes("doi")
            .setting("base-url", "where DOIs are resolved, if not at https://doi.org")
    }

    fn resolve(query: &Query, host: &impl Host) -> Result<Resolution, Failure> {
        let page = |doi| Candidate::landing_page(&host.base_url(BASE).path(doi).to_string());
        Ok(Resolution::of(query.doi().and_then(page)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gleaner_sdk::CandidateKind;
    use gleaner_sdk::testing::{FakeHost, query};

    fn page(host: &FakeHost, doi: &str) -> String {
        let resolution = Doi::resolve(&query(&[("pmid", "1"), ("doi", doi)]), host).unwrap();
        let [page] = &resolution.candidates[..] else { panic!("{resolution:?}") };
        assert_eq!(page.kind, CandidateKind::LandingPage);
        page.url.clone()
    }

    #[test]
    fn a_doi_leads_to_its_page_and_nothing_is_sent() {
        let host = FakeHost::new();
        for (doi, url) in [
            ("10.1016/s0022-2836(05)80360-2", "https://doi.org/10.1016/s0022-2836(05)80360-2"),
            (
                "10.1002/(sici)1<952::aid>3.0.co;2-s",
                "https://doi.org/10.1002/(sici)1%3C952::aid%3E3.0.co;2-s",
            ),
            ("10.1000/a?b#c%d e", "https://doi.org/10.1000/a%3Fb%23c%25d%20e"),
            ("10.1000/../a", "https://doi.org/10.1000%2F..%2Fa"),
        ] {
            assert_eq!(page(&host, doi), url);
        }
        assert!(host.sent().is_empty());
    }

    #[test]
    fn the_operators_proxy_goes_first() {
        let host = FakeHost::new().set("base-url", "https://proxy.example/doi/");
        assert_eq!(page(&host, "10.1000/a"), "https://proxy.example/doi/10.1000/a");
    }

    #[test]
    fn a_work_without_a_doi_has_no_page() {
        let resolution = Doi::resolve(&query(&[("pmid", "1")]), &FakeHost::new());
        assert_eq!(resolution, Ok(Resolution::none()));
    }
}
