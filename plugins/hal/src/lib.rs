//! Resolver `hal`: the files of a document at HAL. The API's manual and fields: <https://api.archives-ouvertes.fr/docs/search>.
//! Must never take a document for the work's that does not carry the identifier searched for.

use gleaner_sdk::{
    BatchResolver, Candidate, Failure, Host, Identifier, Info, Maybe, Name, Query, Resolution, Resolver, Url,
    answer_together, bare_doi, path_says_pdf, quoted,
};
use serde::Deserialize;

const BASE: &str = "https://api.archives-ouvertes.fr";

/// What is read of a document; by default the API gives its id and title only.
const FIELDS: &str =
    "halId_s,version_i,doiId_s,arxivId_s,pubmedId_s,openAccess_bool,licence_s,fileMain_s,files_s";

/// Takes a HAL id or a DOI, the first of these that there is; sends one request.
#[derive(Debug)]
pub struct Hal;

gleaner_sdk::export_batch_resolver!(Hal);

impl Resolver for Hal {
    fn describe() -> Info {
        Info::new("hal", env!("CARGO_PKG_VERSION"), "The files of a document at HAL")
            .takes("hal")
            .takes("doi")
            .host("api.archives-ouvertes.fr")
            .setting("base-url", "where the API is, if not at https://api.archives-ouvertes.fr")
    }

    fn resolve(query: &Query, host: &impl Host) -> Result<Resolution, Failure> {
        let Some(name) = name(query) else { return Ok(Resolution::none()) };
        let asked = Asked::of(name);
        Ok(resolution(&find(host, &search(host, &asked.search()))?, &asked))
    }
}

impl BatchResolver for Hal {
    /// What fits into a URL of 4 KiB, even where DOIs are long.
    const MOST: u32 = 30;

    fn resolve_many(queries: &[Query], host: &impl Host) -> Vec<Result<Resolution, Failure>> {
        let find = |scheme: &'static str, values: &[&str]| {
            let searches: Vec<_> = values.iter().map(|value| Asked::of((scheme, value)).search()).collect();
            // A document has one id; a DOI may stand at a few.
            find(host, &search(host, &searches.join(" OR ")).query("rows", "1000"))
        };
        let answer = |documents: &[Document], name: Name<'_>| resolution(documents, &Asked::of(name));
        answer_together::<Self, _>(queries, host, name, find, answer)
    }
}

/// What a work is asked for by.
fn name(query: &Query) -> Option<Name<'_>> {
    ["hal", "doi"].into_iter().find_map(|scheme| Some((scheme, query.identifier(scheme)?)))
}

fn search(host: &impl Host, terms: &str) -> Url {
    let url = host.base_url(BASE).path("search").segment("").query("q", terms);
    url.query("fl", FIELDS).query("wt", "json")
}

/// The documents that a search finds.
fn find(host: &impl Host, url: &Url) -> Result<Vec<Document>, Failure> {
    let Some(answer) = host.get_json::<Answer>(url)? else { return Ok(Vec::new()) };
    let Some(documents) = answer.response.into_inner().and_then(|response| response.docs.into_inner()) else {
        return Err(Failure::unknown_shape("HAL answered with something that is no list of documents"));
    };
    Ok(documents.into_iter().filter_map(Maybe::into_inner).collect())
}

fn resolution(documents: &[Document], asked: &Asked<'_>) -> Resolution {
    let found: Vec<&Document> = documents.iter().filter(|document| document.is(asked)).collect();
    Resolution {
        discovered: found.iter().flat_map(|document| document.names()).collect(),
        ..Resolution::of(found.iter().flat_map(|document| document.files(asked)))
    }
}

/// What a document is searched by.
enum Asked<'a> {
    Id { id: &'a str, version: Option<u32> },
    Doi(&'a str),
}

impl<'a> Asked<'a> {
    fn of((scheme, value): Name<'a>) -> Self {
        if scheme == "hal" { Self::id(value) } else { Self::Doi(value) }
    }

    /// `hal-01234567v2` is the document's id and a version.
    fn id(text: &'a str) -> Self {
        let versioned = text.rsplit_once('v').and_then(|(id, version)| Some((id, version.parse().ok()?)));
        versioned.map_or(Self::Id { id: text, version: None }, |(id, version)| Self::Id {
            id,
            version: Some(version),
        })
    }

    /// The search syntax is Solr's; in quotes, these two characters alone have a meaning.
    fn search(&self) -> String {
        let (field, value) = match self {
            Self::Id { id, .. } => ("halId_s", id),
            Self::Doi(doi) => ("doiId_s", doi),
        };
        format!("{field}:{}", quoted(value))
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Answer {
    response: Maybe<Found>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Found {
    docs: Maybe<Vec<Maybe<Document>>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Document {
    #[serde(rename = "halId_s")]
    id: Maybe<String>,
    /// The latest, which the files are of.
    #[serde(rename = "version_i")]
    version: Maybe<u32>,
    #[serde(rename = "doiId_s")]
    doi: Maybe<String>,
    #[serde(rename = "arxivId_s")]
    arxiv: Maybe<String>,
    #[serde(rename = "pubmedId_s")]
    pmid: Maybe<String>,
    /// Also true of documents whose file is elsewhere; false while a file is under embargo.
    #[serde(rename = "openAccess_bool")]
    is_open: Maybe<bool>,
    #[serde(rename = "licence_s")]
    license: Maybe<String>,
    /// A URL that leads to the main file, of whatever name.
    #[serde(rename = "fileMain_s")]
    main: Maybe<String>,
    /// Every file, the main one and its sources and annexes.
    #[serde(rename = "files_s")]
    files: Maybe<Vec<Maybe<String>>>,
}

impl Document {
    fn is(&self, asked: &Asked<'_>) -> bool {
        match asked {
            Asked::Id { id, .. } => self.id.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(id)),
            Asked::Doi(doi) => self.doi.as_deref().is_some_and(|own| bare_doi(own) == *doi),
        }
    }

    fn names(&self) -> impl Iterator<Item = Identifier> {
        let doi = self.doi.as_deref().map(bare_doi);
        let others = [("hal", &self.id), ("arxiv", &self.arxiv), ("pmid", &self.pmid)];
        let others =
            others.into_iter().filter_map(|(scheme, value)| Some(Identifier::new(scheme, value.as_deref()?)));
        others.chain(doi.map(|doi| Identifier::new("doi", &doi)))
    }

    /// The main file, then PDFs beside it; of an earlier version the main file only.
    fn files(&self, asked: &Asked<'_>) -> Vec<Candidate> {
        if *self.is_open == Some(false) {
            return Vec::new();
        }
        if let Asked::Id { id, version: Some(version) } = asked
            && *self.version != Some(*version)
        {
            let main = self.main.as_deref().and_then(|main| of_version(main, id, *version));
            return main
                .into_iter()
                .filter_map(|url| Candidate::file(&url))
                .map(|one| self.describe(one))
                .collect();
        }
        let main = self.main.as_deref().and_then(Candidate::file);
        let all = self.files.iter().flatten().filter_map(|url| url.as_deref());
        let pdfs = all.filter(|url| path_says_pdf(url)).filter_map(Candidate::pdf);
        main.into_iter().chain(pdfs).map(|candidate| self.describe(candidate)).collect()
    }

    fn describe(&self, candidate: Candidate) -> Candidate {
        let license = self.license.as_ref().cloned();
        Candidate { license, host_type: Some("repository".to_owned()), ..candidate }
    }
}

/// HAL puts a version behind the id: `.../hal-01234567v1/document`.
fn of_version(main: &str, id: &str, version: u32) -> Option<String> {
    let (before, after) = main.split_once(&format!("/{id}/"))?;
    Some(format!("{before}/{id}v{version}/{after}"))
}
