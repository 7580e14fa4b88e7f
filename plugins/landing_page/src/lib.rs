//! Resolver `landing_page`: the files that a work's landing pages name. Must never take what a page shows for what
//! the work is: it proposes, and the host finds out by fetching whether that is an open file.
//!
//! A page that wants a proof or a login first names no file, and so gives none: that is an answer, not a failure.

mod page;

use gleaner_sdk::{
    Candidate, Disposition, Failure, Host, Info, Level, Query, Request, Resolution, Resolver, Response, Url,
    join,
};
use page::Page;

/// Pages read in one call, best first. More of them rarely name more.
const MOST_PAGES: usize = 3;
/// What is larger is no page.
const MOST_BYTES: u64 = 4 << 20;
/// Files of one page; a page that names more is about more than this work.
const MOST_FILES: usize = 4;

/// How sure each way is to name the work's own file. Publishers state the URL on pages of closed works too.
const STATED: f32 = 0.45;
const ALTERNATE: f32 = 0.4;
const ANCHOR: f32 = 0.3;

/// Takes landing pages; sends a request for each of the first three, all at once.
#[derive(Debug)]
pub struct LandingPage;

gleaner_sdk::export_resolver!(LandingPage);

impl Resolver for LandingPage {
    /// It names no hosts: pages may be anywhere. `config/default.toml` grants it every public one.
    fn describe() -> Info {
        Info::new("landing_page", env!("CARGO_PKG_VERSION"), "The files that a work's landing page names")
            .takes("landing-page")
    }

    fn resolve(query: &Query, host: &impl Host) -> Result<Resolution, Failure> {
        let requests: Vec<_> = pages(query).into_iter().map(request).collect();
        let (mut files, mut passing) = (Vec::new(), None);
        for (request, outcome) in requests.iter().zip(host.fetch_all(&requests)) {
            match outcome {
                Ok(Some(response)) => files.extend(read(query, &request.url, &response)),
                Ok(None) => {}
                Err(failure) if failure.code == "too-large" => files.extend(Candidate::file(&request.url)),
                Err(failure) => {
                    host.log(Level::Debug, &failure.message, &[("code", &failure.code)]);
                    if failure.disposition != Disposition::GiveUp {
                        passing = passing.or(Some(failure));
                    }
                }
            }
        }
        match passing {
            // One host that asks to slow down must not stop the pages of all others.
            Some(failure) if files.is_empty() => Err(Failure { disposition: Disposition::Retry, ..failure }),
            _ => Ok(Resolution::of(files)),
        }
    }
}

/// The first pages, each once: DOIs come in several spellings.
fn pages(query: &Query) -> Vec<&str> {
    let mut pages: Vec<&str> = Vec::new();
    for page in &query.landing_pages {
        if pages.len() < MOST_PAGES && !pages.iter().any(|known| known.eq_ignore_ascii_case(page)) {
            pages.push(page);
        }
    }
    pages
}

/// [`Url`] would drop a last `/`, which may matter to a page.
fn request(page: &str) -> Request {
    let request =
        Request::get(&Url::new(page)).header("accept", "text/html, application/pdf;q=0.9, */*;q=0.5");
    Request { url: page.to_owned(), max_bytes: Some(MOST_BYTES), ..request }
}

/// The files that an answer names, the surest way only: an anchor beside a stated URL is mostly a supplement. A page of
/// another work names none: DOIs lead to one where a journal has moved, or where they are a figure's or a review's.
fn read(query: &Query, asked: &str, response: &Response) -> Vec<Candidate> {
    let place = if response.url.is_empty() { asked } else { &response.url };
    let media_type = response.header("content-type").unwrap_or("text/html").to_ascii_lowercase();
    if response.body.starts_with(b"%PDF-") || media_type.starts_with("application/pdf") {
        return Candidate::pdf(place).into_iter().collect();
    }
    if !media_type.contains("html") {
        return Vec::new();
    }
    let page = Page::read(&String::from_utf8_lossy(&response.body));
    let dois: Vec<&str> =
        query.identifiers.iter().filter(|name| name.scheme == "doi").map(|name| &*name.value).collect();
    if page.is_about_another(&dois) {
        return Vec::new();
    }
    let base = page.base.and_then(|base| join(place, &base)).unwrap_or_else(|| place.to_owned());
    let license = page.license.and_then(|license| join(&base, &license));
    let ways = [(page.stated, STATED), (page.alternate, ALTERNATE), (page.anchors, ANCHOR)];
    let files = ways.into_iter().map(|(links, confidence)| {
        let urls = links.iter().filter_map(|link| join(&base, link));
        let file = |url: String| {
            Some(Candidate {
                license: license.clone(),
                confidence: Some(confidence),
                ..Candidate::pdf(&url)?
            })
        };
        Resolution::of(urls.filter_map(file).take(MOST_FILES)).candidates
    });
    files.into_iter().find(|files| !files.is_empty()).unwrap_or_default()
}
