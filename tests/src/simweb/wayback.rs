//! The Wayback Machine's answers, made here in the shapes that its documentation describes.
//!
//! Must never serve a recorded answer. What it kept it serves with the status that it had.

use serde_json::json;
use url::Url;

use super::pdf;
use super::reply::Reply;

/// An answer that the archive kept.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// `YYYYMMDDhhmmss`.
    pub timestamp: String,
    /// The URL that was asked.
    pub url: String,
    /// What it answered.
    pub kept: Kept,
}

/// What kind of answer it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// A sound PDF.
    Pdf,
    /// A page, with status 200.
    Page,
    /// That there were too many requests.
    TooMany,
}

impl Snapshot {
    /// An answer kept at a time.
    pub fn new(timestamp: &str, url: &str, kept: Kept) -> Self {
        Self { timestamp: timestamp.to_owned(), url: url.to_owned(), kept }
    }

    fn line(&self) -> String {
        let (media_type, status) = match self.kept {
            Kept::Pdf => ("application/pdf", 200),
            Kept::Page => ("text/html", 200),
            Kept::TooMany => ("text/html", 429),
        };
        let Self { timestamp, url, .. } = self;
        format!("key) {timestamp} {url} {media_type} {status} DIGEST{timestamp} 1234\n")
    }

    fn reply(&self) -> Reply {
        let reply = match self.kept {
            Kept::Pdf => Reply::pdf(pdf::size_for(&self.url)),
            Kept::Page => Reply::html("A page that was kept"),
            Kept::TooMany => {
                Reply::html("Too many requests").status(429).header("x-archive-orig-retry-after", "600")
            }
        };
        reply.header("memento-datetime", "Wed, 01 Jan 2020 00:00:00 GMT")
    }
}

/// The availability API, the index and the snapshots; none for another URL.
pub(super) fn wayback(host: &str, path: &str, url: &Url, snapshots: &[Snapshot]) -> Option<Reply> {
    let values =
        |name: &'static str| url.query_pairs().filter(move |(key, _)| key == name).map(|(_, value)| value);
    let of = |gone: &str| snapshots.iter().filter(move |one| one.url == gone).collect::<Vec<_>>();
    match (host, path) {
        ("archive.org", "/wayback/available") => {
            let gone = values("url").next()?;
            let closest = of(&gone).last().map(|newest| {
                let place = format!("http://web.archive.org/web/{}/{gone}", newest.timestamp);
                json!({ "available": true, "status": "200", "timestamp": newest.timestamp, "url": place })
            });
            let known = closest.map_or(json!({}), |closest| json!({ "closest": closest }));
            Some(Reply::json(&json!({ "url": gone, "archived_snapshots": known })))
        }
        ("web.archive.org", "/cdx/search/cdx") => {
            // `statuscode:200`, `mimetype:application/pdf`: the fields stand between spaces.
            let wanted: Vec<_> =
                values("filter").filter_map(|one| Some(format!(" {} ", one.split_once(':')?.1))).collect();
            let lines = of(&values("url").next()?).into_iter().map(Snapshot::line);
            let lines: String = lines.filter(|line| wanted.iter().all(|one| line.contains(one))).collect();
            Some(Reply::bytes("text/plain", lines))
        }
        ("web.archive.org", _) => {
            let (timestamp, gone) = url.as_str().split_once("/web/")?.1.split_once("id_/")?;
            let kept = snapshots.iter().find(|one| one.timestamp == timestamp && one.url == gone)?;
            Some(kept.reply())
        }
        _ => None,
    }
}
