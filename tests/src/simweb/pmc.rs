//! PubMed Central's answers, made here in the shapes that its documentation describes: the datasets at Amazon, the ID
//! Converter and the older OA service.
//!
//! Must never serve a recorded answer, nor convert identifiers of two kinds in one request.

use serde_json::{Value, json};
use url::Url;

use super::reply::Reply;

/// An article that PubMed Central has.
#[derive(Debug, Clone)]
pub struct CentralArticle {
    /// `PMC` and digits.
    pub pmcid: String,
    /// Digits.
    pub pmid: Option<String>,
    /// In any case.
    pub doi: Option<String>,
    /// Where its files are.
    pub holding: Holding,
}

/// Where the files of an article are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holding {
    /// In the datasets, under CC BY.
    Datasets,
    /// On the older site only, under CC BY.
    OlderSite,
    /// Nowhere: it can be read on the site, and is not open.
    Closed,
}

const DATASETS: &str = "pmc-oa-opendata.s3.amazonaws.com";

impl CentralArticle {
    /// Where its file is, if it is open.
    pub fn pdf(&self) -> Option<String> {
        let pmcid = &self.pmcid;
        match self.holding {
            Holding::Datasets => Some(format!("https://{DATASETS}/{pmcid}.1/{pmcid}.1.pdf")),
            Holding::OlderSite => {
                Some(format!("https://ftp.ncbi.nlm.nih.gov/pub/pmc/deprecated/oa_pdf/{pmcid}.pdf"))
            }
            Holding::Closed => None,
        }
    }

    fn metadata(&self) -> Value {
        let pmcid = &self.pmcid;
        json!({
            "pmcid": pmcid,
            "version": 1,
            "pmid": self.pmid.as_ref().and_then(|pmid| pmid.parse::<u64>().ok()),
            "doi": self.doi,
            "is_pmc_openaccess": true,
            "is_manuscript": false,
            "license_code": "CC BY",
            "pdf_url": format!("s3://pmc-oa-opendata/{pmcid}.1/{pmcid}.1.pdf?md5=0"),
        })
    }

    fn name(&self, scheme: &str) -> Option<&str> {
        match scheme {
            "pmid" => self.pmid.as_deref(),
            "doi" => self.doi.as_deref(),
            _ => Some(&self.pmcid),
        }
    }
}

/// The answers of all three services; none for another URL.
pub(super) fn pmc(host: &str, path: &str, url: &Url, articles: &[CentralArticle]) -> Option<Reply> {
    let parameter =
        |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    match (host, path) {
        (DATASETS, "/") => Some(listing(&parameter("prefix")?, articles)),
        (DATASETS, path) => {
            let pmcid = path.strip_suffix(".1.json")?.rsplit('/').next()?;
            let found = articles.iter().find(|one| one.pmcid == pmcid && one.holding == Holding::Datasets)?;
            Some(Reply::json(&found.metadata()))
        }
        ("pmc.ncbi.nlm.nih.gov", "/tools/idconv/api/v1/articles/") => {
            Some(convert(&parameter("ids")?, &parameter("idtype")?, articles))
        }
        ("www.ncbi.nlm.nih.gov", "/pmc/utils/oa/oa.fcgi") => Some(oa(&parameter("id")?, articles)),
        _ => None,
    }
}

fn listing(prefix: &str, articles: &[CentralArticle]) -> Reply {
    let held = articles.iter().filter(|one| one.holding == Holding::Datasets);
    let folders = held.map(|one| format!("{}.1/", one.pmcid)).filter(|folder| folder.starts_with(prefix));
    let folders: Vec<_> =
        folders.map(|folder| format!("<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>")).collect();
    Reply::bytes(
        "application/xml",
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <Name>pmc-oa-opendata</Name><Prefix>{prefix}</Prefix><KeyCount>{}</KeyCount>{}</ListBucketResult>",
            folders.len(),
            folders.concat()
        ),
    )
}

fn convert(ids: &str, kind: &str, articles: &[CentralArticle]) -> Reply {
    let fits = |id: &str| (kind == "pmid") == id.bytes().all(|byte| byte.is_ascii_digit());
    if !ids.split(',').all(fits) {
        return Reply::json(&json!({ "status": "error", "message": "types are mixed" })).status(400);
    }
    let record = |id: &str| {
        let is_it = |one: &&CentralArticle| one.name(kind).is_some_and(|name| name.eq_ignore_ascii_case(id));
        match articles.iter().find(is_it) {
            Some(found) => json!({
                "pmcid": found.pmcid,
                "pmid": found.pmid.as_ref().and_then(|pmid| pmid.parse::<u64>().ok()),
                "doi": found.doi,
                "requested-id": id,
            }),
            None => json!({ kind: id, "requested-id": id, "status": "error", "errmsg": "not in PMC" }),
        }
    };
    Reply::json(&json!({ "status": "ok", "records": ids.split(',').map(record).collect::<Vec<_>>() }))
}

fn oa(id: &str, articles: &[CentralArticle]) -> Reply {
    let known = articles.iter().find(|one| one.pmcid == id && one.holding == Holding::OlderSite);
    let answer = match known {
        Some(_) => format!(
            "<records returned-count=\"1\"><record id=\"{id}\" license=\"CC BY\">\
             <link format=\"tgz\" href=\"ftp://ftp.ncbi.nlm.nih.gov/pub/pmc/oa_package/{id}.tar.gz\"/>\
             <link format=\"pdf\" href=\"ftp://ftp.ncbi.nlm.nih.gov/pub/pmc/oa_pdf/{id}.pdf\"/></record></records>"
        ),
        None => format!("<error code=\"idIsNotOpenAccess\">'{id}' is not open here</error>"),
    };
    Reply::bytes("text/xml", format!("<OA><responseDate>2026-01-01 00:00:00</responseDate>{answer}</OA>"))
}
