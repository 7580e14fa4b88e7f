//! The PMC Article Datasets: every version of an article has a folder with its metadata and its files. Must never take the
//! file of an article that its metadata do not call open.

use crate::idconv::Name;
use crate::xml;
use gleaner_sdk::{Candidate, Failure, Host, Identifier, Maybe, Request, Resolution, Url};
use serde::Deserialize;

const BASE: &str = "https://pmc-oa-opendata.s3.amazonaws.com";

/// How metadata write where a file is.
const BUCKET: &str = "s3://pmc-oa-opendata/";

/// The PDF of the newest version; none if the datasets do not have the article.
pub(crate) fn resolution(pmcid: &str, host: &impl Host) -> Result<Option<Resolution>, Failure> {
    let Some(folder) = newest(pmcid, host)? else { return Ok(None) };
    let url = host.base_url(BASE).segment(&folder).segment(&format!("{folder}.json"));
    let Some(metadata) = host.get_json::<Metadata>(&url)? else { return Ok(None) };
    let Some(named) = metadata.pmcid.as_deref() else {
        return Err(Failure::unknown_shape("PMC's datasets describe an article without a PMCID"));
    };
    // The newest version of another article than the folder says: nothing is known of this one.
    Ok(named.eq_ignore_ascii_case(pmcid).then(|| metadata.resolution(&host.base_url(BASE))))
}

/// The folder of the newest version: `PMC9984800.1`.
fn newest(pmcid: &str, host: &impl Host) -> Result<Option<String>, Failure> {
    let url = host
        .base_url(BASE)
        .segment("")
        .query("list-type", "2")
        .query("prefix", &format!("{pmcid}."))
        .query("delimiter", "/");
    let Some(listing) = host.fetch(&Request::get(&url))? else { return Ok(None) };
    let listing = xml::read("ListBucketResult", &listing.body)?;
    let folders = listing.iter().filter(|element| element.name == "Prefix");
    let versions = folders.filter_map(|folder| {
        let version = folder.text.trim().strip_suffix('/')?.strip_prefix(pmcid)?.strip_prefix('.')?;
        version.parse::<u32>().ok()
    });
    Ok(versions.max().map(|version| format!("{pmcid}.{version}")))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Metadata {
    pmcid: Maybe<String>,
    pmid: Maybe<Name>,
    doi: Maybe<String>,
    is_pmc_openaccess: Maybe<bool>,
    is_manuscript: Maybe<bool>,
    /// `CC BY-NC-ND`; `TDM` of manuscripts that are there for text mining only.
    license_code: Maybe<String>,
    /// `s3://pmc-oa-opendata/PMC9984800.1/PMC9984800.1.pdf?md5=...`.
    pdf_url: Maybe<String>,
}

impl Metadata {
    fn resolution(&self, base: &Url) -> Resolution {
        let pmid = self.pmid.as_ref().map(|pmid| Identifier::new("pmid", &pmid.text()));
        let doi = self.doi.as_deref().map(|doi| Identifier::new("doi", doi));
        Resolution {
            discovered: pmid.into_iter().chain(doi).filter(|name| !name.value.is_empty()).collect(),
            ..Resolution::of(self.pdf(base))
        }
    }

    fn pdf(&self, base: &Url) -> Option<Candidate> {
        let is_open = *self.is_pmc_openaccess == Some(true);
        let key = self.pdf_url.as_deref().filter(|_| is_open)?.trim().strip_prefix(BUCKET)?;
        // Without `?md5=`, which only the metadata know.
        let key = key.split(['?', '#']).next()?;
        let version = if *self.is_manuscript == Some(true) { "accepted" } else { "published" };
        Some(Candidate {
            version: Some(version.to_owned()),
            license: self.license_code.as_ref().cloned(),
            host_type: Some("repository".to_owned()),
            ..Candidate::pdf(&base.clone().path(key).to_string())?
        })
    }
}
