//! Recognising which kind of identifier a text is.
//!
//! Must never turn a URL into an identifier on a guess: `https://publisher.example/pdf/10.1000/x.pdf` stays
//! a URL, because the file behind it is what the user asked for.

use url::Url;

use super::{Identifier, IdentifierError, Scheme, abridged, arxiv};

pub(super) fn parse(text: &str) -> Result<Identifier, IdentifierError> {
    let text = text.trim().trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err(unknown(text, "the line is empty"));
    }
    if starts_with(text, "http://") || starts_with(text, "https://") {
        return from_url(text);
    }
    if let Some((prefix, value)) = text.split_once(':')
        && let Some(scheme) = known_prefix(prefix)
    {
        return Identifier::new(scheme, value);
    }
    if arxiv::is_arxiv_id(text.split_whitespace().next().unwrap_or(text)) {
        return Identifier::new(Scheme::Arxiv, text);
    }
    if starts_with(text, "pmc") && text.len() > 3 {
        return Identifier::new(Scheme::Pmcid, text);
    }
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(unknown(
            text,
            "a bare number could be many things; write pmid:NUMBER for PubMed, PMCNUMBER for PMC",
        ));
    }
    if let Some(short) = text.strip_prefix("10/") {
        let fits = !short.is_empty() && short.bytes().all(|b| b.is_ascii_alphanumeric());
        return if fits {
            Identifier::new(Scheme::Other("shortdoi".into()), &text.to_ascii_lowercase())
        } else {
            Err(unknown(text, "a DOI looks like 10.1371/journal.pone.0000217"))
        };
    }
    if text.contains("10.") {
        return Identifier::new(Scheme::Doi, text);
    }
    Err(unknown(text, "write a DOI, an arXiv id, pmid:NUMBER, PMCNUMBER, isbn:..., or a URL"))
}

/// URLs whose host is an identifier's home become that identifier; any other stays a URL.
fn from_url(text: &str) -> Result<Identifier, IdentifierError> {
    let Ok(url) = Url::parse(text) else {
        return Identifier::new(Scheme::Url, text);
    };
    let host = url.host_str().unwrap_or_default();
    let host = host.strip_prefix("www.").unwrap_or(host);
    let path = url.path().trim_start_matches('/');
    let scheme = match host {
        // doi.org, dx.doi.org, and publishers' own resolvers such as doi.acm.org.
        _ if host == "doi.org" || host == "dx.doi.org" || host.starts_with("doi.") => {
            return Identifier::new(Scheme::Doi, path);
        }
        "arxiv.org" | "export.arxiv.org"
            if ["abs/", "pdf/", "html/", "format/"].iter().any(|p| path.starts_with(p)) =>
        {
            Scheme::Arxiv
        }
        "pubmed.ncbi.nlm.nih.gov" if path.trim_end_matches('/').bytes().all(|b| b.is_ascii_digit()) => {
            Scheme::Pmid
        }
        "pmc.ncbi.nlm.nih.gov" | "ncbi.nlm.nih.gov" if is_pmc_article(path) => Scheme::Pmcid,
        "openalex.org" if path.starts_with(['W', 'w']) => Scheme::Openalex,
        "zenodo.org" if is_record(path) => Scheme::Zenodo,
        _ => {
            let doi = url.query_pairs().find(|(name, _)| name.eq_ignore_ascii_case("doi"));
            if let Some(doi) = doi.and_then(|(_, value)| Identifier::new(Scheme::Doi, &value).ok()) {
                return Ok(doi);
            }
            Scheme::Url
        }
    };
    Identifier::new(scheme, text)
}

fn is_pmc_article(path: &str) -> bool {
    let path = path.trim_end_matches('/');
    path.rsplit_once('/').is_some_and(|(folder, id)| folder.ends_with("articles") && id.starts_with("PMC"))
}

fn is_record(path: &str) -> bool {
    path.split_once('/').is_some_and(|(folder, id)| {
        matches!(folder, "record" | "records") && !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit())
    })
}

/// The scheme that a prefix names. `W123` and `10.1000/a:b` have no prefix, whatever stands before a colon.
fn known_prefix(prefix: &str) -> Option<Scheme> {
    match Scheme::from_name(prefix).ok()? {
        Scheme::Other(_) => None,
        scheme => Some(scheme),
    }
}

fn starts_with(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
}

fn unknown(text: &str, hint: &'static str) -> IdentifierError {
    IdentifierError::Unknown { text: abridged(text), hint }
}
