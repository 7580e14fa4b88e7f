//! Resolver `europe_pmc`: the open full texts of Europe PMC. The API's manual:
//! <https://europepmc.org/RestfulWebService>. Must never take a record for the work's that does not carry the
//! identifier searched for: a search may answer with others.

use gleaner_sdk::{
    BatchResolver, Candidate, Failure, Host, Identifier, Info, Maybe, Query, Resolution, Resolver, Url,
    quoted,
};
use serde::Deserialize;

const BASE: &str = "https://www.ebi.ac.uk/europepmc/webservices/rest";

/// Records a page, at most 1000. One search finds a work under a few numbers at most.
const PAGE: &str = "1000";

/// Takes a PMCID, a PMID or a DOI, the first of these that there is; sends one request, for one work or for thirty.
#[derive(Debug)]
pub struct EuropePmc;

gleaner_sdk::export_batch_resolver!(EuropePmc);

impl Resolver for EuropePmc {
    fn describe() -> Info {
        Info::new("europe_pmc", env!("CARGO_PKG_VERSION"), "The open full texts of Europe PMC")
            .takes("pmcid")
            .takes("pmid")
            .takes("doi")
            .host("www.ebi.ac.uk")
            .setting(
                "base-url",
                "where the API is, if not at https://www.ebi.ac.uk/europepmc/webservices/rest",
            )
    }

    fn resolve(query: &Query, host: &impl Host) -> Result<Resolution, Failure> {
        let Some(name) = name(query) else { return Ok(Resolution::none()) };
        let found = find(host, &search(host, &term(name)))?;
        Ok(resolution(found.iter().filter(|record| record.is(name))))
    }
}

impl BatchResolver for EuropePmc {
    /// What fits into a URL of 4 KiB, even where DOIs are long.
    const MOST: u32 = 30;

    fn resolve_many(queries: &[Query], host: &impl Host) -> Vec<Result<Resolution, Failure>> {
        let terms: Vec<_> = queries.iter().filter_map(name).map(|name| format!("({})", term(name))).collect();
        if terms.is_empty() {
            return gleaner_sdk::for_each(queries, &Ok(Resolution::none()));
        }
        let found = match find(host, &search(host, &terms.join(" OR ")).query("pageSize", PAGE)) {
            Ok(found) => found,
            Err(failure) => return gleaner_sdk::for_each(queries, &Err(failure)),
        };
        let answer = |query: &Query| {
            let records = found.iter().filter(|record| name(query).is_some_and(|name| record.is(name)));
            Ok(resolution(records))
        };
        queries.iter().map(answer).collect()
    }
}

/// The name that a work is searched for by: scheme and value.
fn name(query: &Query) -> Option<(&'static str, &str)> {
    ["pmcid", "pmid", "doi"].into_iter().find_map(|scheme| Some((scheme, query.identifier(scheme)?)))
}

fn search(host: &impl Host, terms: &str) -> Url {
    let url = host.base_url(BASE).path("search").query("query", terms);
    // `lite`, the default, says nothing of files.
    url.query("resultType", "core").query("format", "json")
}

/// The records that a search finds; none where the service knows nothing.
fn find(host: &impl Host, url: &Url) -> Result<Vec<Record>, Failure> {
    let Some(answer) = host.get_json::<Answer>(url)? else { return Ok(Vec::new()) };
    let Some(records) = answer.result_list.into_inner().and_then(|list| list.result.into_inner()) else {
        return Err(Failure::unknown_shape("Europe PMC answered with something that is no list of records"));
    };
    Ok(records.into_iter().filter_map(Maybe::into_inner).collect())
}

/// The search syntax: <https://europepmc.org/searchsyntax>.
fn term((scheme, value): (&str, &str)) -> String {
    match scheme {
        "pmcid" => format!("PMCID:{value}"),
        "pmid" => format!("EXT_ID:{value} AND SRC:MED"),
        _ => format!("DOI:{}", quoted(value)),
    }
}

fn resolution<'a>(records: impl Iterator<Item = &'a Record> + Clone) -> Resolution {
    let discovered = records.clone().flat_map(|record| {
        let named = ["pmid", "pmcid", "doi"].map(|scheme| (scheme, record.identifier(scheme)));
        named.into_iter().filter(|(_, value)| !value.is_empty())
    });
    Resolution {
        discovered: discovered.map(|(scheme, value)| Identifier::new(scheme, value)).collect(),
        ..Resolution::of(records.flat_map(Record::files))
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Answer {
    #[serde(rename = "resultList")]
    result_list: Maybe<ResultList>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ResultList {
    result: Maybe<Vec<Maybe<Record>>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Record {
    /// `MED`, `PMC`, `PPR` for preprints, and others.
    source: Maybe<String>,
    pmid: Maybe<String>,
    pmcid: Maybe<String>,
    doi: Maybe<String>,
    license: Maybe<String>,
    /// `Y` for an author's manuscript; the other two say on whose behalf it was deposited.
    auth_man: Maybe<String>,
    epmc_auth_man: Maybe<String>,
    nih_auth_man: Maybe<String>,
    full_text_url_list: Maybe<FullTextUrlList>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct FullTextUrlList {
    full_text_url: Maybe<Vec<Maybe<FullTextUrl>>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct FullTextUrl {
    /// `OA` open access, `F` free to read, `S` subscription, `U` unknown.
    availability_code: Maybe<String>,
    /// `pdf`, `html`, `doi`.
    document_style: Maybe<String>,
    url: Maybe<String>,
}

impl Record {
    /// Whether it is of the work of that name.
    fn is(&self, (scheme, value): (&str, &str)) -> bool {
        self.identifier(scheme).eq_ignore_ascii_case(value)
    }

    /// Its name in a scheme; empty if it has none.
    fn identifier(&self, scheme: &str) -> &str {
        let value = match scheme {
            "pmcid" => &self.pmcid,
            "pmid" => &self.pmid,
            _ => &self.doi,
        };
        value.as_deref().unwrap_or_default()
    }

    /// The PDFs that everybody may read. Flags of the record do not count: `inEPMC` is `Y` of closed works too.
    fn files(&self) -> impl Iterator<Item = Candidate> {
        let urls = self.full_text_url_list.iter().flat_map(|list| list.full_text_url.iter().flatten());
        let open = urls.filter_map(|url| url.as_ref()).filter(|url| url.is_open_pdf());
        open.filter_map(|url| {
            Some(Candidate {
                version: Some(self.version().to_owned()),
                license: self.license.as_ref().cloned(),
                host_type: Some("repository".to_owned()),
                ..Candidate::pdf(url.url.as_deref()?)?
            })
        })
    }

    fn version(&self) -> &'static str {
        let manuscript = [&self.auth_man, &self.epmc_auth_man, &self.nih_auth_man];
        if self.source.as_deref() == Some("PPR") {
            "submitted"
        } else if manuscript.iter().any(|flag| flag.as_deref() == Some("Y")) {
            "accepted"
        } else {
            "published"
        }
    }
}

impl FullTextUrl {
    fn is_open_pdf(&self) -> bool {
        self.document_style.as_deref() == Some("pdf")
            && matches!(self.availability_code.as_deref(), Some("OA" | "F"))
    }
}
