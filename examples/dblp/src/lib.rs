//! Resolver `dblp`: open versions of computer science papers. The API's manual:
//! <https://dblp.org/faq/How+to+use+the+dblp+search+API.html>. It searches by title, because the open version of a
//! closed paper has another DOI or none; so it must never take a record for the work's whose title alone agrees.

mod record;

use gleaner_sdk::{Candidate, Failure, Host, Identifier, Info, Maybe, Query, Resolution, Resolver};
use record::{Info as Entry, letters};
use serde::Deserialize;

const BASE: &str = "https://dblp.org";

/// Takes a DOI, and needs the title that came with the work; sends one request.
#[derive(Debug)]
pub struct Dblp;

gleaner_sdk::export_resolver!(Dblp);

impl Resolver for Dblp {
    fn describe() -> Info {
        Info::new("dblp", env!("CARGO_PKG_VERSION"), "Open versions of computer science papers, by title")
            .takes("doi")
            .host("dblp.org")
            .setting("base-url", "where the search is, if not at https://dblp.org")
    }

    fn resolve(query: &Query, host: &impl Host) -> Result<Resolution, Failure> {
        let title = query.title.as_deref().map(words).unwrap_or_default();
        if title.is_empty() {
            return Ok(Resolution::none());
        }
        let url = host
            .base_url(BASE)
            .path("search/publ/api")
            .query("q", &title)
            .query("format", "json")
            .query("h", "30") // records
            .query("c", "0"); // completions of the last word
        let Some(answer) = host.get_json::<Answer>(&url)? else { return Ok(Resolution::none()) };
        let Some(hits) = answer.result.as_ref().and_then(|result| result.hits.as_ref()) else {
            return Err(Failure::unknown_shape("dblp answered with something that is no list of records"));
        };
        let entries = hits.hit.iter().flatten().filter_map(|hit| hit.as_ref()?.info.as_ref());
        let same = entries.filter(|entry| entry.is_of(query)).collect::<Vec<_>>();
        let files = same.iter().flat_map(|entry| entry.candidates(query.doi()));
        let preprints = same.iter().filter_map(|entry| entry.arxiv());
        Ok(Resolution {
            discovered: preprints.map(|id| Identifier::new("arxiv", &id)).collect(),
            ..Resolution::of(files.collect::<Vec<Candidate>>())
        })
    }
}

/// The words of a title, with nothing between them that the search would take for an operator.
fn words(title: &str) -> String {
    let plain = title.replace(|c: char| !c.is_alphanumeric(), " ");
    plain.split_whitespace().filter(|word| !letters(word).is_empty()).collect::<Vec<_>>().join(" ")
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Answer {
    result: Maybe<Found>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Found {
    hits: Maybe<Hits>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Hits {
    /// Missing where nothing was found.
    hit: Maybe<Vec<Maybe<Hit>>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Hit {
    info: Maybe<Entry>,
}
