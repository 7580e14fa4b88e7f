//! What exists in the simulated web: works that the APIs know, and what URLs and hosts do.
//!
//! Must never do I/O: it only picks the answer to a URL.

use std::collections::HashMap;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use url::Url;

use super::apis::{self, Eprint, Work};
use super::behaviour::Behaviour;
use super::core::{self, CoreWork};
use super::crossref::{self, Deposit};
use super::doaj::{self, OpenArticle};
use super::europe_pmc::{self, Article};
use super::listings::{self, Listing};
use super::pdf;
use super::pmc::{self, CentralArticle};
use super::reply::Reply;
use super::semantic_scholar::{self, Paper};
use super::wayback::{self, Snapshot};

/// A description of the web. A URL that nothing is known about answers 404 with an HTML page.
#[derive(Debug, Default)]
pub struct World {
    pages: HashMap<Address, Behaviour>,
    searches: HashMap<Address, Vec<Search>>,
    hosts: HashMap<String, Behaviour>,
    works: HashMap<String, Work>,
    eprints: HashMap<String, Eprint>,
    deposits: HashMap<String, Deposit>,
    articles: Vec<Article>,
    mistakes: HashMap<String, Vec<Article>>,
    listings: Vec<Listing>,
    central: Vec<CentralArticle>,
    papers: Vec<Paper>,
    open_articles: Vec<OpenArticle>,
    core_works: Vec<CoreWork>,
    snapshots: Vec<Snapshot>,
    latency: Duration,
}

/// A URL without its fragment; the path is decoded, so that every spelling of it meets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Address {
    /// `https://host` or `https://host:port`.
    origin: String,
    path: String,
    query: Option<String>,
}

/// What a URL does for requests that have these parameters, decoded, whatever others they have.
#[derive(Debug)]
struct Search {
    parameters: Vec<(String, String)>,
    behaviour: Behaviour,
}

impl Search {
    fn is_meant_by(&self, url: &Url) -> bool {
        self.parameters
            .iter()
            .all(|wanted| url.query_pairs().any(|(name, value)| *wanted.0 == *name && *wanted.1 == *value))
    }
}

impl Address {
    fn of(url: &Url) -> Self {
        Self {
            origin: url.origin().ascii_serialization(),
            path: percent_decode_str(url.path()).decode_utf8_lossy().into_owned(),
            query: url.query().map(str::to_owned),
        }
    }

    fn parse(url: &str) -> Self {
        Self::of(&parsed(url))
    }
}

fn parsed(url: &str) -> Url {
    Url::parse(url).unwrap_or_else(|error| panic!("`{url}` is no URL for the simulated web: {error}"))
}

impl World {
    /// An empty web.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what a URL does, APIs included; a URL without a query answers for every query that has no entry of its own,
    /// and one of plain http for the same over https, as most hosts do.
    pub fn set(&mut self, url: &str, behaviour: impl Into<Behaviour>) -> &mut Self {
        self.pages.insert(Address::parse(url), behaviour.into());
        self
    }

    /// Sets what a URL does for requests that have at least the parameters of its query, in any order and spelling. Of
    /// several that fit, the one that was set first answers.
    pub fn set_search(&mut self, url: &str, behaviour: impl Into<Behaviour>) -> &mut Self {
        let url = parsed(url);
        let parameters =
            url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        let search = Search { parameters, behaviour: behaviour.into() };
        self.searches.entry(Address { query: None, ..Address::of(&url) }).or_default().push(search);
        self
    }

    /// Sets what every URL of a host does first; see [`Behaviour::of_host`]. With a reply of its own it hides them all.
    pub fn set_host(&mut self, host: &str, behaviour: impl Into<Behaviour>) -> &mut Self {
        self.hosts.insert(host.to_ascii_lowercase(), behaviour.into());
        self
    }

    /// Makes Unpaywall know a work, and puts a sound PDF at each of its locations that has no behaviour yet.
    pub fn work(&mut self, work: Work) -> &mut Self {
        for url in work.locations.iter().filter_map(|location| location.pdf.as_deref()) {
            self.sound_file(url);
        }
        self.works.insert(work.doi.to_lowercase(), work);
        self
    }

    /// Makes arXiv know an e-print and serve the PDF of each of its versions.
    pub fn eprint(&mut self, eprint: Eprint) -> &mut Self {
        self.eprints.insert(eprint.id.clone(), eprint);
        self
    }

    /// Makes Crossref know a work, and puts a sound PDF at its link if nothing else is there yet.
    pub fn deposit(&mut self, deposit: Deposit) -> &mut Self {
        self.sound_file(&deposit.pdf);
        self.deposits.insert(deposit.doi.to_lowercase(), deposit);
        self
    }

    /// Makes Europe PMC know an article, and puts a sound PDF at its place if nothing else is there yet.
    pub fn article(&mut self, article: Article) -> &mut Self {
        if let Some(pdf) = article.pdf() {
            self.sound_file(&pdf);
        }
        self.articles.push(article);
        self
    }

    /// Makes Europe PMC answer a search for a DOI with an article that is another.
    pub fn mistake(&mut self, doi: &str, article: &Article) -> &mut Self {
        self.mistakes.entry(doi.to_lowercase()).or_default().push(article.clone());
        self
    }

    /// Makes an index or a repository know a work, and puts a sound PDF at its place if nothing else is there yet.
    pub fn listing(&mut self, listing: Listing) -> &mut Self {
        if let Some(file) = listing.file() {
            self.sound_file(&file);
        }
        self.listings.push(listing);
        self
    }

    /// Makes PubMed Central have an article, and puts a sound PDF at its place if nothing else is there yet.
    pub fn central(&mut self, article: CentralArticle) -> &mut Self {
        if let Some(pdf) = article.pdf() {
            self.sound_file(&pdf);
        }
        self.central.push(article);
        self
    }

    /// Makes Semantic Scholar know a paper.
    pub fn paper(&mut self, paper: Paper) -> &mut Self {
        self.papers.push(paper);
        self
    }

    /// Makes DOAJ list an article.
    pub fn open_article(&mut self, article: OpenArticle) -> &mut Self {
        self.open_articles.push(article);
        self
    }

    /// Makes CORE know a work.
    pub fn core_work(&mut self, work: CoreWork) -> &mut Self {
        self.core_works.push(work);
        self
    }

    /// Makes the Wayback Machine have kept an answer.
    pub fn snapshot(&mut self, snapshot: Snapshot) -> &mut Self {
        self.snapshots.push(snapshot);
        self
    }

    /// Makes doi.org lead from a DOI to a page.
    pub fn doi(&mut self, doi: &str, page: &str) -> &mut Self {
        self.set(&format!("https://doi.org/{}", doi.to_lowercase()), Reply::redirect(302, page))
    }

    fn sound_file(&mut self, url: &str) {
        self.pages.entry(Address::parse(url)).or_insert_with(|| Reply::pdf(pdf::size_for(url)).into());
    }

    /// Delays every answer of every host.
    pub fn latency(&mut self, latency: Duration) -> &mut Self {
        self.latency = latency;
        self
    }

    /// The answer to a request for `url` with that `authorization`, and how long it is held back.
    pub(super) fn answer(&self, url: &Url, authorization: Option<&str>, body: &[u8]) -> (Duration, Reply) {
        let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
        let gate = self.hosts.get(host);
        let page = || self.page(url);
        let (delay, reply) = match gate.and_then(Behaviour::next) {
            Some(reply) => (Duration::ZERO, reply),
            None => page()
                .or_else(|| self.api(url, authorization, body))
                .unwrap_or_else(|| (Duration::ZERO, Reply::error(404))),
        };
        (self.latency + gate.map_or(Duration::ZERO, Behaviour::delay) + delay + reply.delay, reply)
    }

    fn page(&self, url: &Url) -> Option<(Duration, Reply)> {
        let behaviour = self.behaviour(url).or_else(|| {
            let mut plain = url.clone();
            (url.scheme() == "https").then(|| plain.set_scheme("http").ok())??;
            self.behaviour(&plain)
        })?;
        Some((behaviour.delay(), behaviour.next()?))
    }

    fn behaviour(&self, url: &Url) -> Option<&Behaviour> {
        let mut address = Address::of(url);
        self.pages.get(&address).or_else(|| {
            address.query = None;
            let mut searches = self.searches.get(&address).into_iter().flatten();
            let search = searches.find(|search| search.is_meant_by(url)).map(|search| &search.behaviour);
            search.or_else(|| self.pages.get(&address))
        })
    }

    fn api(&self, url: &Url, authorization: Option<&str>, body: &[u8]) -> Option<(Duration, Reply)> {
        let path = percent_decode_str(url.path()).decode_utf8_lossy();
        let reply = match (url.host_str()?, &*path) {
            ("api.unpaywall.org", path) => apis::unpaywall(path.strip_prefix("/v2/")?, url, &self.works),
            ("api.crossref.org", "/works") => crossref::crossref_list(url, &self.deposits),
            ("api.crossref.org", path) => crossref::crossref(path.strip_prefix("/works/")?, &self.deposits),
            ("www.ebi.ac.uk", "/europepmc/webservices/rest/search") => {
                europe_pmc::europe_pmc(url, &self.articles, &self.mistakes)
            }
            ("export.arxiv.org", "/api/query") => apis::arxiv(url, &self.eprints),
            ("arxiv.org" | "export.arxiv.org", path) => {
                apis::arxiv_pdf(path.strip_prefix("/pdf/")?, &self.eprints)?
            }
            ("api.semanticscholar.org", "/graph/v1/paper/batch") => {
                semantic_scholar::papers(body, url, &self.papers)
            }
            ("api.semanticscholar.org", path) => {
                semantic_scholar::paper(path.strip_prefix("/graph/v1/paper/")?, url, &self.papers)
            }
            ("doaj.org", path) => {
                doaj::search(path.strip_prefix("/api/search/articles/")?, &self.open_articles)
            }
            ("api.core.ac.uk", "/v3/search/works/") => core::core(url, authorization, &self.core_works),
            ("archive.org" | "web.archive.org", path) => {
                wayback::wayback(url.host_str()?, path, url, &self.snapshots)?
            }
            (host, path) => pmc::pmc(host, path, url, &self.central)
                .or_else(|| listings::answer(url, path, &self.listings))?,
        };
        Some((Duration::ZERO, reply.of_api()))
    }
}
