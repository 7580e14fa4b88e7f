//! The world in which `examples/reading-list.txt` is harvested: the demo's, and that of suites which run the whole list.
//!
//! The table beside this file says what is where. Must never know a work that the list does not name, or lack one.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::{Article, Behaviour, Eprint, Location, Reply, RetryAfter, Work, World, pdf};

/// The reading list itself.
pub const LIST: &str = include_str!("../../../examples/reading-list.txt");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    works: Vec<WorkRow>,
    unknown: Vec<String>,
    eprints: Vec<EprintRow>,
    articles: Vec<Article>,
    pages: Vec<PageRow>,
    hosts: BTreeMap<String, HostRow>,
    urls: BTreeMap<String, Served>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WorkRow {
    doi: String,
    year: u16,
    by: String,
    title: String,
    page: Option<String>,
    #[serde(default)]
    at: Vec<String>,
    #[serde(default)]
    repo: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EprintRow {
    id: String,
    versions: u32,
    title: String,
}

/// A work whose file only its landing page names.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PageRow {
    doi: String,
    title: String,
    page: String,
    pdf: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct HostRow {
    #[serde(default)]
    refuse_first: u32,
    #[serde(default)]
    retry_after: u64,
    #[serde(default)]
    delay_ms: u64,
}

/// What a URL serves in place of a sound PDF sent plainly.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Served {
    Sound,
    Chunked,
    Gzip,
    Cut,
    Tiny,
    Html,
    HtmlAsPdf,
    Challenge,
    Login,
    Forbidden,
    NotFound,
    Redirect(String),
}

/// The world of the reading list, with every answer delayed by `latency`.
pub fn world(latency: Duration) -> World {
    let table = table();
    let mut world = World::new();
    world.latency(latency);
    for row in table.works {
        world.work(row.into());
    }
    for EprintRow { id, versions, title } in table.eprints {
        world.eprint(Eprint { id, versions, title });
    }
    for article in table.articles {
        world.article(article);
    }
    for PageRow { doi, title, page, pdf } in &table.pages {
        world.doi(doi, page).set(page, Reply::landing_page(title, pdf)).set(pdf, sound(pdf));
    }
    for (host, row) in &table.hosts {
        let refusal = Reply::too_many(RetryAfter::Seconds(row.retry_after));
        let gate = Behaviour::of_host().first(row.refuse_first, refusal);
        world.set_host(host, gate.delayed(Duration::from_millis(row.delay_ms)));
    }
    for (url, served) in &table.urls {
        if let Served::Redirect(to) = served {
            world.set(to, sound(to));
        }
        world.set(url, served.reply(url));
    }
    world
}

/// The DOIs that Unpaywall knows in this world, those it does not know, and the ids that arXiv knows.
pub fn identifiers() -> (Vec<String>, Vec<String>, Vec<String>) {
    let Table { works, unknown, eprints, .. } = table();
    (works.into_iter().map(|row| row.doi).collect(), unknown, eprints.into_iter().map(|row| row.id).collect())
}

fn table() -> Table {
    toml::from_str(include_str!("reading_list.toml"))
        .unwrap_or_else(|error| panic!("reading_list.toml: {error}"))
}

fn sound(url: &str) -> Reply {
    Reply::pdf(pdf::size_for(url))
}

impl From<WorkRow> for Work {
    fn from(row: WorkRow) -> Self {
        let page = row.page.iter().map(|url| Location::landing_page(url));
        let at = row.at.iter().map(|url| Location::publisher(url));
        let repo = row.repo.iter().map(|url| Location::repository(url));
        let locations = page.chain(at).chain(repo).collect();
        Self { doi: row.doi, title: row.title, publisher: row.by, year: Some(row.year), locations }
    }
}

impl Served {
    fn reply(&self, url: &str) -> Reply {
        match self {
            Self::Sound => sound(url),
            Self::Chunked => sound(url).chunked(),
            Self::Gzip => sound(url).gzip(),
            Self::Cut => sound(url).cut_after(20_000),
            Self::Tiny => Reply::tiny_pdf(),
            Self::Html => Reply::html("Full text"),
            Self::HtmlAsPdf => Reply::html("Full text").media_type("application/pdf"),
            Self::Challenge => Reply::challenge_page(),
            Self::Login => Reply::login_page(),
            Self::Forbidden => Reply::error(403),
            Self::NotFound => Reply::error(404),
            Self::Redirect(to) => Reply::redirect(301, to),
        }
    }
}
