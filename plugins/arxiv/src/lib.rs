//! Resolver `arxiv`: the PDF of an e-print, in the version asked for. The API's manual:
//! <https://info.arxiv.org/help/api/user-manual.html>. Must never send more than one request: arXiv allows one in
//! three seconds.

mod atom;

use atom::Entry;
use gleaner_sdk::{Candidate, Failure, Host, Identifier, Info, Query, Request, Resolution, Resolver};

const BASE: &str = "https://export.arxiv.org";

/// DOIs that arXiv gives to its own e-prints: <https://info.arxiv.org/help/doi.html>. In lower case, as the host
/// writes DOIs.
const OWN_DOI: &str = "10.48550/arxiv.";

/// Takes an arXiv id, with or without a version, or an e-print's own DOI.
#[derive(Debug)]
pub struct Arxiv;

gleaner_sdk::export_resolver!(Arxiv);

impl Resolver for Arxiv {
    fn describe() -> Info {
        Info::new("arxiv", env!("CARGO_PKG_VERSION"), "The PDF of an arXiv e-print")
            .takes("arxiv")
            .takes("doi:10.48550/")
            .host("export.arxiv.org")
            .setting("base-url", "where the API is, if not at https://export.arxiv.org")
    }

    fn resolve(query: &Query, host: &impl Host) -> Result<Resolution, Failure> {
        let Some(id) = arxiv_id(query) else { return Ok(Resolution::none()) };
        let url = host.base_url(BASE).path("api/query").query("id_list", id);
        let feed = match host.fetch(&Request::get(&url)) {
            Ok(Some(feed)) => feed,
            Ok(None) => return Ok(Resolution::none()),
            // The id is none that arXiv could have given: 400, with a feed that says so.
            Err(failure) if failure.upstream_status == Some(400) => return Ok(Resolution::none()),
            Err(failure) => return Err(failure),
        };
        let entries = atom::entries(&String::from_utf8_lossy(&feed.body)).map_err(|error| {
            // Most likely a page of something between here and arXiv, or cut short.
            Failure::retry("bad-xml", format!("arXiv answered something that is no Atom feed: {error}"))
        })?;
        Ok(entries.into_iter().find(|entry| !entry.is_error()).map_or(Resolution::none(), resolution))
    }
}

fn arxiv_id(query: &Query) -> Option<&str> {
    let mut dois = query.identifiers.iter().filter(|identifier| identifier.scheme == "doi");
    query.identifier("arxiv").or_else(|| dois.find_map(|doi| doi.value.strip_prefix(OWN_DOI)))
}

/// An entry without a PDF link is an e-print that was withdrawn, or has no PDF.
fn resolution(entry: Entry) -> Resolution {
    let pdf = entry.pdf.and_then(|url| Candidate::pdf(&https(&url)));
    let candidate = pdf.map(|pdf| Candidate {
        version: Some("submitted".to_owned()),
        host_type: Some("repository".to_owned()),
        ..pdf
    });
    let published = entry.doi.map(|doi| Identifier::new("doi", &doi));
    Resolution { discovered: published.into_iter().collect(), ..Resolution::of(candidate) }
}

/// Older answers have http links; arXiv serves https.
fn https(url: &str) -> String {
    match url.strip_prefix("http://") {
        Some(rest) => format!("https://{rest}"),
        None => url.to_owned(),
    }
}
