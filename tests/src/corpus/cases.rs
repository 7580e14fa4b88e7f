//! How the works of the corpus are: where each has a copy, and what stands in the way of it.
//!
//! Must never ask what a resolver does with it: a case is what is the matter in the world.

use super::making::Making;
use crate::simweb::{
    Access, Article, CentralArticle, Deposit, Eprint, Holding, Kept, Listing, Location, OpenArticle, Paper,
    Reply, Snapshot, Source, World,
};

/// What is the matter with a work.
pub(super) struct Case {
    /// For reports.
    pub(super) name: &'static str,
    /// How many of a hundred works are so; of those that are elsewhere, none: they take turns.
    pub(super) share: usize,
    /// Without this resolver its file cannot be found: where it is not bundled yet, there are no such works.
    pub(super) needs: &'static str,
    /// Makes it so.
    pub(super) make: fn(&mut Making<'_>),
}

const fn case(share: usize, name: &'static str, needs: &'static str, make: fn(&mut Making<'_>)) -> Case {
    Case { name, share, needs, make }
}

/// In a hundred works: sixty of which Unpaywall knows an open copy, twenty that are closed, and twenty whose only copy
/// is elsewhere. These shares are those of today's articles (Piwowar et al. 2018, <https://doi.org/10.7717/peerj.4375>,
/// found 45 % of what readers want open, and rising), with more that is hard than there is in life.
pub(super) const SHARED: [Case; 14] = [
    case(32, "publisher", "unpaywall", |work| {
        let file = work.published();
        work.unpaywall([Location::publisher(&file)]);
    }),
    case(2, "moved to https", "unpaywall", |work| {
        let file = work.published();
        let old = file.replace("https:", "http:");
        work.world.set(&old, Reply::redirect(301, &file));
        work.unpaywall([Location::publisher(&old)]);
    }),
    case(10, "repository behind a trap", "unpaywall", |work| {
        let (trap, file) = (work.trap(), work.manuscript());
        work.unpaywall([Location::publisher(&trap), Location::repository(&file)]);
    }),
    case(6, "repository", "unpaywall", |work| {
        let file = work.manuscript();
        work.unpaywall([Location::repository(&file)]);
    }),
    case(4, "repository beside a page", "unpaywall", |work| {
        let (page, file) = (work.page(), work.manuscript());
        work.unpaywall([Location::landing_page(&page), Location::repository(&file)]);
    }),
    case(3, "page that Unpaywall names", "landing_page", |work| {
        let (page, file) = (work.page(), work.published());
        work.world.set(&page, Reply::article_page(&work.title(), &work.doi, &file));
        work.unpaywall([Location::landing_page(&page)]);
    }),
    case(2, "Europe PMC behind traps", "europe_pmc", |work| {
        let traps = [Location::publisher(&work.trap()), Location::repository(&work.trap())];
        work.unpaywall(traps);
        europe_pmc(work);
    }),
    case(1, "Crossref behind a trap", "crossref", |work| {
        let trap = work.trap();
        work.unpaywall([Location::repository(&trap)]);
        crossref(work);
    }),
    case(10, "closed", "", |work| {
        work.unpaywall([]);
        closed(work);
    }),
    // What subscribers would get; everybody else gets something that looks like it.
    case(4, "closed, with a publisher's link", "", |work| {
        let preview = work.other(&format!("{}/preview.pdf", work.page()));
        work.world.deposit(Deposit::closed(&work.doi, &preview));
        work.unpaywall([]);
    }),
    case(2, "closed, with a page that names a file", "", |work| {
        let (page, trap) = (work.page(), work.trap());
        work.world.set(&page, Reply::article_page(&work.title(), &work.doi, &trap));
        work.unpaywall([]);
        closed(work);
    }),
    case(1, "closed, with another work's record", "", |work| {
        let other = article(work, Access::Open);
        let other = Article { doi: Some(format!("10.5555/corpus.{}.review", work.number)), ..other };
        work.other(&other.pdf().expect("an open article has a file"));
        work.world.mistake(&work.doi, &other);
        work.unpaywall([]);
    }),
    case(1, "closed, with another work's page", "", |work| {
        let (page, other) = (work.page(), format!("{}.other.pdf", work.page()));
        let file = work.other(&other);
        let doi = format!("10.5555/corpus.other.{}", work.number);
        work.world.set(&page, Reply::article_page(&work.title(), &doi, &file));
        work.unpaywall([]);
    }),
    case(2, "every copy is a trap", "", |work| {
        let traps = [Location::publisher(&work.trap()), Location::repository(&work.trap())];
        work.unpaywall(traps);
    }),
];

/// Works that are elsewhere, in turn: each has one copy, which one service or page alone knows.
pub(super) const ELSEWHERE: [Case; 18] = [
    case(0, "Crossref", "crossref", |work| {
        work.unknown_to_unpaywall();
        crossref(work);
    }),
    case(0, "Europe PMC, by DOI", "europe_pmc", |work| {
        work.unknown_to_unpaywall();
        europe_pmc(work);
    }),
    case(0, "landing page", "landing_page", |work| {
        let (page, file) = (work.page(), work.published());
        work.world.set(&page, Reply::article_page(&work.title(), &work.doi, &file));
        work.unknown_to_unpaywall();
    }),
    case(0, "arXiv, by id", "arxiv", |work| {
        let id = eprint(work);
        work.name = Some(format!("arXiv:{id}"));
    }),
    case(0, "Europe PMC, by PMCID", "europe_pmc", |work| {
        let article = europe_pmc(work);
        work.name = article.pmcid;
    }),
    case(0, "file behind a DOI", "landing_page", |work| {
        let file = work.published();
        work.world.doi(&work.doi, &file);
        work.unknown_to_unpaywall();
    }),
    case(0, "arXiv, by its DOI", "arxiv", |work| {
        let id = eprint(work);
        work.name = Some(format!("10.48550/arXiv.{id}"));
    }),
    case(0, "Europe PMC, by PMID", "europe_pmc", |work| {
        let article = europe_pmc(work);
        work.name = Some(format!("PMID:{}", article.pmid));
    }),
    case(0, "OpenAlex", "openalex", |work| {
        work.unknown_to_unpaywall();
        held(work, Source::OpenAlex, format!("W{}", 70_000_000 + work.number));
    }),
    case(0, "DataCite", "datacite", |work| held(work, Source::DataCite, format!("d{}", work.number))),
    case(0, "Zenodo", "zenodo", |work| {
        let id = (700_000 + work.number).to_string();
        work.is_called(&format!("10.5281/zenodo.{id}"));
        held(work, Source::Zenodo, id);
    }),
    case(0, "OSF", "osf", |work| {
        let id = format!("c{:04}", work.number);
        work.is_called(&format!("10.31234/osf.io/{id}"));
        held(work, Source::Osf, id);
    }),
    case(0, "HAL", "hal", |work| {
        work.unknown_to_unpaywall();
        held(work, Source::Hal, format!("hal-{:08}", work.number));
    }),
    case(0, "figshare", "figshare", |work| {
        let id = (1_000_000 + work.number).to_string();
        work.is_called(&format!("10.6084/m9.figshare.{id}"));
        held(work, Source::Figshare, id);
    }),
    case(0, "PubMed Central", "pmc", |work| {
        let article = CentralArticle {
            pmcid: format!("PMC{}", 7_000_000 + work.number),
            pmid: None,
            doi: Some(work.doi.clone()),
            holding: Holding::Datasets,
        };
        work.copy(&article.pdf().expect("an article in the datasets has a file"));
        work.world.central(article);
        work.unknown_to_unpaywall();
    }),
    case(0, "Semantic Scholar", "semantic_scholar", |work| {
        let file = work.manuscript();
        work.world.paper(Paper::open(&work.doi, &file, "GREEN"));
        work.unknown_to_unpaywall();
    }),
    case(0, "DOAJ", "doaj", |work| {
        let file = work.published();
        work.world.open_article(OpenArticle::new(&work.doi, &file, Some("PDF")));
        work.unknown_to_unpaywall();
    }),
    case(0, "Wayback Machine, where a repository has gone", "wayback", |work| {
        let gone = format!("https://gone.example.org/{}.pdf", work.number);
        let (page, file) = ("20190101000000", "20200101000000");
        work.copy(&format!("https://web.archive.org/web/{file}id_/{gone}"));
        work.world.snapshot(Snapshot::new(page, &gone, Kept::Page));
        work.world.snapshot(Snapshot::new(file, &gone, Kept::Pdf));
        work.world.set(&gone, Reply::error(404));
        work.unpaywall([Location::repository(&gone)]);
    }),
];

/// Records that services take for those of any work whose DOI they do not know, as merged ones are.
pub(super) fn set_mistakes(world: &mut World) {
    for source in [Source::OpenAlex, Source::DataCite, Source::Hal, Source::OpenAire] {
        world.listing(Listing::open(source, "10.5555/corpus.merged", "W99999999").mistaken());
    }
}

fn crossref(work: &mut Making<'_>) {
    let file = work.published();
    work.world.deposit(Deposit::open(&work.doi, &file));
}

/// The link that a publisher deposits for those who check for plagiarism leads nowhere.
fn closed(work: &mut Making<'_>) {
    let link = work.trap();
    work.world.deposit(Deposit::closed(&work.doi, &link));
}

fn article(work: &Making<'_>, access: Access) -> Article {
    Article {
        pmid: (30_000_000 + work.number).to_string(),
        pmcid: Some(format!("PMC{}", 8_000_000 + work.number)),
        doi: Some(work.doi.clone()),
        title: work.title(),
        access,
    }
}

fn europe_pmc(work: &mut Making<'_>) -> Article {
    let access = if work.number.is_multiple_of(2) { Access::Open } else { Access::Free };
    let article = article(work, access);
    let file = article.pdf().expect("an article that everybody may read has a file");
    work.copy(&file);
    work.world.article(article.clone());
    article
}

fn held(work: &mut Making<'_>, source: Source, id: String) {
    let listing = Listing::open(source, &work.doi, &id);
    let file = listing.file().expect("an open listing has a file");
    work.copy(&file);
    work.world.listing(listing);
}

fn eprint(work: &mut Making<'_>) -> String {
    let id = format!("2401.{:05}", work.number);
    work.copy(&format!("https://arxiv.org/pdf/{id}v2"));
    work.world.eprint(Eprint { id: id.clone(), versions: 2, title: work.title() });
    id
}
