//! Europe PMC's answers, made here in the shapes that its documentation describes.
//!
//! Must never serve a recorded answer, nor tell a search without `resultType=core` where files are.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::reply::Reply;

/// Who may read an article of Europe PMC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Everybody, under CC BY.
    Open,
    /// Everybody, an author's manuscript without a licence.
    Free,
    /// Subscribers; Europe PMC has the abstract only.
    Closed,
}

/// An article as Europe PMC knows it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Article {
    /// Digits.
    pub pmid: String,
    /// `PMC` and digits; articles with a full text have one.
    pub pmcid: Option<String>,
    /// In any case.
    pub doi: Option<String>,
    /// May be empty.
    pub title: String,
    /// Who may read it.
    pub access: Access,
}

impl Article {
    /// Where its file is, if it has one that everybody may read.
    pub fn pdf(&self) -> Option<String> {
        let pmcid = self.pmcid.as_ref().filter(|_| self.access != Access::Closed)?;
        Some(format!("https://europepmc.org/articles/{pmcid}?pdf=render"))
    }

    fn is_meant_by(&self, search: &str) -> bool {
        let doi = self.doi.as_ref().map(|doi| format!("DOI:\"{}\"", doi.to_lowercase()));
        let pmcid = self.pmcid.as_ref().map(|pmcid| format!("PMCID:{pmcid}"));
        search == format!("EXT_ID:{} AND SRC:MED", self.pmid)
            || pmcid.is_some_and(|pmcid| search == pmcid)
            || doi.is_some_and(|doi| search.eq_ignore_ascii_case(&doi))
    }

    fn json(&self, core: bool) -> Value {
        let is = |flag: bool| if flag { "Y" } else { "N" };
        let mut record = json!({
            "id": self.pmid,
            "source": "MED",
            "pmid": self.pmid,
            "pmcid": self.pmcid,
            "doi": self.doi,
            "title": self.title,
            "isOpenAccess": is(self.access == Access::Open),
            "inEPMC": is(self.pmcid.is_some()),
            "hasPDF": is(self.pdf().is_some()),
        });
        if core {
            record["license"] = if self.access == Access::Open { json!("cc by") } else { Value::Null };
            record["authMan"] = json!(is(self.access == Access::Free));
            record["fullTextUrlList"] = json!({ "fullTextUrl": self.full_texts() });
        }
        record
    }

    fn full_texts(&self) -> Vec<Value> {
        let url = |availability: &str, code: &str, style: &str, site: &str, url: &str| {
            json!({
                "availability": availability, "availabilityCode": code, "documentStyle": style, "site": site, "url": url
            })
        };
        let doi = self
            .doi
            .as_ref()
            .map(|doi| url("Subscription required", "S", "doi", "DOI", &format!("https://doi.org/{doi}")));
        let (availability, code) =
            if self.access == Access::Open { ("Open access", "OA") } else { ("Free", "F") };
        let pdf = self.pdf().map(|pdf| url(availability, code, "pdf", "Europe_PMC", &pdf));
        doi.into_iter().chain(pdf).collect()
    }
}

/// The answer to `/search?query=`: the articles that are meant by it, those that are found by mistake, and none is an
/// answer too.
pub(super) fn europe_pmc(url: &Url, articles: &[Article], mistakes: &HashMap<String, Vec<Article>>) -> Reply {
    let parameter =
        |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    let search = parameter("query").unwrap_or_default();
    let core = parameter("resultType").as_deref() == Some("core");
    // `(A) OR (B)`, or one alone.
    let terms: Vec<_> = search.split(" OR ").map(|term| term.trim_matches(['(', ')'])).collect();
    let dois =
        terms.iter().filter_map(|term| Some(term.strip_prefix("DOI:")?.trim_matches('"').to_lowercase()));
    let mistaken = dois.filter_map(|doi| mistakes.get(&doi)).flatten();
    let found = articles.iter().filter(|article| terms.iter().any(|term| article.is_meant_by(term)));
    let most = parameter("pageSize").and_then(|size| size.parse().ok()).unwrap_or(25_usize);
    let found = found.chain(mistaken).take(most);
    let found: Vec<Value> = found.map(|article| article.json(core)).collect();
    Reply::json(&json!({
        "version": "simulated",
        "hitCount": found.len(),
        "request": { "queryString": search, "resultType": if core { "core" } else { "lite" } },
        "resultList": { "result": found },
    }))
}
