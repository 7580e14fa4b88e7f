//! Resolver `wayback`: what the Wayback Machine kept of files that are gone. The manuals:
//! <https://archive.org/help/wayback_api.php>, <https://github.com/internetarchive/wayback/tree/master/wayback-cdx-server>.
//! Must never propose a snapshot that the index does not list as an answer with status 200 of a PDF: the archive also keeps
//! errors, login pages and refusals, and serves them with the status that they had.

mod cdx;

use cdx::Capture;
use gleaner_sdk::{
    Candidate, Failure, Field, Host, Info, Maybe, Query, Request, Resolution, Resolver, Url, host_of,
};
use serde::Deserialize;

const AVAILABILITY: &str = "https://archive.org/wayback/available";
const BASE: &str = "https://web.archive.org";

/// So many of the URLs that failed are looked for, the best first.
const MOST_URLS: usize = 3;
/// So many snapshots of each are proposed, the newest first.
const MOST_SNAPSHOTS: usize = 2;
/// So many of the newest lines of the index are read for each: of a file that never changes they are all one.
const LINES: &str = "-10";

/// Takes URLs that failed, and nothing else of a work. Sends one request for each of the first three, and another one for
/// each of these that the archive has.
#[derive(Debug)]
pub struct Wayback;

gleaner_sdk::export_resolver!(Wayback);

impl Resolver for Wayback {
    fn describe() -> Info {
        let summary = "What the Wayback Machine kept of files that are gone";
        Info::new("wayback", env!("CARGO_PKG_VERSION"), summary)
            .takes("failed-url")
            .host("archive.org")
            .host("web.archive.org")
            .setting("base-url", "where index and snapshots are, if not at https://web.archive.org")
            .setting(
                "availability-url",
                "where the availability API is, if not at https://archive.org/wayback/available",
            )
    }

    fn resolve(query: &Query, host: &impl Host) -> Result<Resolution, Failure> {
        let mut urls: Vec<&str> = Vec::new();
        for url in query.failed_urls.iter().filter(|url| !is_in_an_archive(url)) {
            if urls.len() < MOST_URLS && !urls.contains(&url.as_str()) {
                urls.push(url);
            }
        }
        let mut failure = None;
        let mut known = Vec::new();
        for (url, answer) in urls.iter().zip(host.fetch_all(&requests(&urls, |url| availability(host, url))))
        {
            match answer.and_then(|answer| answer.map_or(Ok(false), |answer| has_snapshot(&answer.body))) {
                Ok(true) => known.push(*url),
                Ok(false) => {}
                Err(one) => failure = failure.or(Some(one)),
            }
        }
        let mut snapshots = Vec::new();
        for (url, answer) in known.iter().zip(host.fetch_all(&requests(&known, |url| index(host, url)))) {
            let listed = cdx::text(answer).and_then(|text| Ok(candidates(host, url, &cdx::captures(&text)?)));
            match listed {
                Ok(listed) => snapshots.extend(listed),
                Err(one) => failure = failure.or(Some(one)),
            }
        }
        // What one URL gives is worth more than that another one failed.
        match failure {
            Some(failure) if snapshots.is_empty() => Err(failure),
            _ => Ok(Resolution::of(snapshots)),
        }
    }
}

/// A snapshot of a snapshot would be none of the work.
fn is_in_an_archive(url: &str) -> bool {
    let host = host_of(url).to_ascii_lowercase();
    host == "archive.org" || host.ends_with(".archive.org")
}

fn requests(urls: &[&str], request: impl Fn(&str) -> Url) -> Vec<Request> {
    urls.iter().map(|url| Request::get(&request(url))).collect()
}

fn availability(host: &impl Host, url: &str) -> Url {
    let base = host.setting("availability-url");
    Url::new(base.as_deref().unwrap_or(AVAILABILITY)).query("url", url)
}

/// The newest answers with a PDF.
fn index(host: &impl Host, url: &str) -> Url {
    let base = host.base_url(BASE).path("cdx/search/cdx").query("url", url);
    base.query("filter", "statuscode:200").query("filter", "mimetype:application/pdf").query("limit", LINES)
}

fn has_snapshot(body: &[u8]) -> Result<bool, Failure> {
    let answer: Answer = serde_json::from_slice(body).map_err(|error| {
        let message = format!("the Wayback Machine's availability API answered something else: {error}");
        match error.is_data() {
            true => Failure::unknown_shape(message),
            false => Failure::retry("bad-json", message),
        }
    })?;
    let Some(snapshots) = answer.archived_snapshots.as_ref() else {
        return Err(Failure::unknown_shape(
            "the Wayback Machine's availability API told no snapshots, nor that there are none",
        ));
    };
    Ok(snapshots.closest.as_ref().is_some_and(|closest| *closest.available == Some(true)))
}

/// The newest snapshots of that URL, each content once, as the bytes that were kept (`id_`).
fn candidates(host: &impl Host, url: &str, captures: &[Capture]) -> Vec<Candidate> {
    let mut chosen: Vec<&Capture> = Vec::new();
    let mut of_url: Vec<_> = captures.iter().filter(|capture| capture.is_pdf_of(url)).collect();
    of_url.sort_by_key(|capture| std::cmp::Reverse(capture.timestamp));
    for capture in of_url {
        if chosen.len() < MOST_SNAPSHOTS && chosen.iter().all(|known| known.digest != capture.digest) {
            chosen.push(capture);
        }
    }
    let base = host.base_url(BASE).to_string();
    let candidate = |capture: &&Capture| {
        let field = |key: &str, value: &str| Field { key: key.to_owned(), value: value.to_owned() };
        Some(Candidate {
            extra: vec![field("captured", capture.timestamp), field("original", capture.original)],
            ..Candidate::pdf(&format!("{base}/web/{}id_/{}", capture.timestamp, capture.original))?
        })
    };
    chosen.iter().filter_map(candidate).collect()
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Answer {
    /// Empty where there is none.
    archived_snapshots: Maybe<Snapshots>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Snapshots {
    closest: Maybe<Closest>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Closest {
    available: Maybe<bool>,
}
