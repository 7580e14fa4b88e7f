//! Resolver `zotero`: sources that the operator describes in the words of Zotero's custom PDF resolvers:
//! <https://www.zotero.org/support/kb/custom_pdf_resolvers>. A way to add a source without writing a plugin. Must never
//! guess what a description means: what is not read here is refused, and the message says what it was.

mod custom;
mod json_path;

use custom::{Custom, Mode};
use gleaner_sdk::{
    Candidate, Disposition, Failure, Field, Host, Info, Level, Query, Request, Resolution, Resolver,
    Response, join, select,
};

/// What is larger is neither a page nor a record.
const MOST_BYTES: u64 = 4 << 20;

/// Takes a DOI; sends a request to each of the sources that are set, at most 16, all at once.
#[derive(Debug)]
pub struct Zotero;

gleaner_sdk::export_resolver!(Zotero);

impl Resolver for Zotero {
    /// It names no hosts: the operator grants those that the descriptions name.
    fn describe() -> Info {
        Info::new("zotero", env!("CARGO_PKG_VERSION"), "Sources described as Zotero's custom PDF resolvers")
            .takes("doi")
            .setting(
                "resolvers",
                "JSON as in Zotero's extensions.zotero.findPDFs.resolvers; without it nobody is asked",
            )
    }

    fn resolve(query: &Query, host: &impl Host) -> Result<Resolution, Failure> {
        let (Some(doi), Some(setting)) = (query.doi(), host.setting("resolvers")) else {
            return Ok(Resolution::none());
        };
        let sources = custom::read(&setting)?;
        let requests: Vec<Request> = sources.iter().map(|source| request(source, doi)).collect();
        let (mut candidates, mut failures) = (Vec::new(), Vec::new());
        for ((source, request), outcome) in sources.iter().zip(&requests).zip(host.fetch_all(&requests)) {
            match outcome
                .and_then(|answer| answer.map_or(Ok(Vec::new()), |answer| found(source, request, &answer)))
            {
                Ok(found) => candidates.extend(found),
                Err(failure) => {
                    host.log(
                        Level::Debug,
                        &failure.message,
                        &[("source", &source.name), ("code", &failure.code)],
                    );
                    failures.push(failure);
                }
            }
        }
        // The failure of one source must not cost what others found; if nobody did, one that may pass counts first.
        failures.sort_by_key(|failure| failure.disposition == Disposition::GiveUp);
        match failures.into_iter().next() {
            Some(failure) if candidates.is_empty() => Err(of_all(failure)),
            _ => Ok(Resolution::of(candidates)),
        }
    }
}

/// One source that asks to slow down must not stop the works of the others.
fn of_all(failure: Failure) -> Failure {
    match failure.disposition {
        Disposition::RateLimited => Failure { disposition: Disposition::Retry, ..failure },
        _ => failure,
    }
}

fn request(source: &Custom, doi: &str) -> Request {
    let accept = match source.mode {
        Mode::Html { .. } => "text/html, application/pdf;q=0.9, */*;q=0.5",
        Mode::Json { .. } => "application/json",
    };
    Request {
        method: source.method.clone(),
        url: source.url(doi),
        headers: vec![Field { key: "accept".to_owned(), value: accept.to_owned() }],
        body: None,
        timeout_ms: None,
        max_bytes: Some(MOST_BYTES),
    }
}

/// What a source's answer names, as its description says.
fn found(source: &Custom, request: &Request, answer: &Response) -> Result<Vec<Candidate>, Failure> {
    let place = if answer.url.is_empty() { &request.url } else { &answer.url };
    let file = |url: &str| Candidate::file(&join(place, url)?);
    let candidates: Vec<Candidate> = match &source.mode {
        Mode::Html { .. } if answer.body.starts_with(b"%PDF-") => Candidate::pdf(place).into_iter().collect(),
        Mode::Html { selector, attribute, index } => {
            let html = String::from_utf8_lossy(&answer.body);
            let page = select::read(&html, selector, attribute.as_deref(), *index);
            let base = page.base.and_then(|base| join(place, &base)).unwrap_or_else(|| place.clone());
            page.value.and_then(|url| Candidate::file(&join(&base, &url)?)).into_iter().collect()
        }
        Mode::Json { path, mappings } => {
            let json = serde_json::from_slice(&answer.body).map_err(|error| {
                let place = request.url.split(['?', '#']).next().unwrap_or_default();
                Failure::retry("bad-json", format!("{place} answered something that is not JSON: {error}"))
            })?;
            let values = path.select(&json);
            let text = |value: &serde_json::Value, field: &Option<String>| {
                Some(value.get(field.as_ref()?)?.as_str()?.to_owned())
            };
            match mappings {
                None => values.iter().filter_map(|value| file(value.as_str()?)).collect(),
                Some(mappings) => {
                    let files = values.iter().filter_map(|value| file(&text(value, &mappings.url)?));
                    let page = |url: String| Candidate::landing_page(&join(place, &url)?);
                    let pages = values.iter().filter_map(|value| page(text(value, &mappings.page_url)?));
                    files.chain(pages).collect()
                }
            }
        }
    };
    let name = || Field { key: "source".to_owned(), value: source.name.clone() };
    Ok(candidates.into_iter().map(|candidate| Candidate { extra: vec![name()], ..candidate }).collect())
}
