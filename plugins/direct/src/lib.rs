//! Resolver `direct`: proposes the URLs that came with the work, in the order given. It must never send a request:
//! whether a URL leads to a file is found out by fetching it.

use gleaner_sdk::{Candidate, Failure, Host, Info, Query, Resolution, Resolver};

/// Takes a work that came with URLs. All of them count as files: where one turns out to be a page, the host goes
/// on to the next candidate.
#[derive(Debug)]
pub struct Direct;

gleaner_sdk::export_resolver!(Direct);

impl Resolver for Direct {
    fn describe() -> Info {
        Info::new("direct", env!("CARGO_PKG_VERSION"), "The URLs that came with the work").takes("url")
    }

    fn resolve(query: &Query, _host: &impl Host) -> Result<Resolution, Failure> {
        Ok(Resolution::of(query.urls.iter().filter_map(|url| Candidate::file(url))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gleaner_sdk::CandidateKind;
    use gleaner_sdk::testing::{FakeHost, query};

    #[test]
    fn the_urls_of_the_work_are_candidates_in_order() {
        let urls = [
            "https://a.example/x y.pdf",
            "mailto:someone@example.org",
            "http://b.example/",
            "http://b.example/",
        ];
        let query = Query { urls: urls.map(str::to_owned).to_vec(), ..query(&[]) };
        let host = FakeHost::new();
        let candidates = Direct::resolve(&query, &host).unwrap().candidates;
        let urls: Vec<_> = candidates.iter().map(|candidate| candidate.url.as_str()).collect();
        assert_eq!(urls, ["https://a.example/x%20y.pdf", "http://b.example/"]);
        assert!(candidates.iter().all(|candidate| candidate.kind == CandidateKind::File));
        assert!(host.sent().is_empty());
    }
}
