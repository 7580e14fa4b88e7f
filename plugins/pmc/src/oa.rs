//! The OA Web Service, `oa.fcgi`, and the FTP site that it points to. Must never propose an archive: a `.tar.gz` holds the
//! article, and is no file that counts.

use crate::base;
use crate::xml;
use gleaner_sdk::{Candidate, Failure, Host, Request, Resolution};

const BASE: &str = "https://www.ncbi.nlm.nih.gov/pmc/utils/oa/oa.fcgi";

/// The site's files moved there in April 2026; the service still names their old places.
const MOVED: &str = "/pub/pmc/deprecated/";
const OLD: &str = "/pub/pmc/";

/// The PDFs of an article of the open access subset.
pub(crate) fn resolution(pmcid: &str, host: &impl Host) -> Result<Resolution, Failure> {
    let url = base(host, "oa-url", BASE).query("id", pmcid);
    let Some(answer) = host.fetch(&Request::get(&url))? else { return Ok(Resolution::none()) };
    let elements = xml::read("OA", &answer.body)?;
    if !elements.iter().any(|element| ["error", "records"].contains(&&*element.name)) {
        return Err(Failure::unknown_shape("PMC's OA service answered neither records nor an error"));
    }
    // Links follow the record that they belong to.
    let (mut license, mut candidates) = (None, Vec::new());
    for element in elements.iter().skip_while(|element| !is_record_of(element, pmcid)) {
        match &*element.name {
            "record" if !is_record_of(element, pmcid) => break,
            "record" => license = element.attribute("license"),
            "link" if element.attribute("format") == Some("pdf") => {
                let places = element.attribute("href").map(places).unwrap_or_default();
                candidates.extend(places.iter().filter_map(|url| candidate(url, license)));
            }
            _ => {}
        }
    }
    Ok(Resolution::of(candidates))
}

fn is_record_of(element: &xml::Element, pmcid: &str) -> bool {
    element.name == "record" && element.attribute("id").is_some_and(|id| id.eq_ignore_ascii_case(pmcid))
}

fn candidate(url: &str, license: Option<&str>) -> Option<Candidate> {
    Some(Candidate {
        license: license.map(str::to_owned),
        host_type: Some("repository".to_owned()),
        ..Candidate::pdf(url)?
    })
}

/// Where a file of the site is, by https: at its new place, then at the one that is named.
fn places(href: &str) -> Vec<String> {
    let named = href.trim();
    let named = match named.strip_prefix("ftp://") {
        Some(rest) => format!("https://{rest}"),
        None => named.to_owned(),
    };
    let moved = (named.contains(OLD) && !named.contains(MOVED)).then(|| named.replacen(OLD, MOVED, 1));
    moved.into_iter().chain([named]).collect()
}
