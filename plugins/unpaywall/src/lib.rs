//! Resolver `unpaywall`: every open copy that Unpaywall knows of a DOI. Fields and their meaning:
//! <https://unpaywall.org/data-format>. Must never propose a copy of a work that Unpaywall calls closed.

use gleaner_sdk::{Candidate, Failure, Host, Info, Maybe, Query, Resolution, Resolver, version_of};
use serde::Deserialize;

const BASE: &str = "https://api.unpaywall.org";
const CONTACT_HINT: &str = "Unpaywall wants the e-mail address of who asks; \
    set contact = \"you@your.org\" at the top of the configuration";

/// Takes a DOI; sends one request.
#[derive(Debug)]
pub struct Unpaywall;

gleaner_sdk::export_resolver!(Unpaywall);

impl Resolver for Unpaywall {
    fn describe() -> Info {
        Info::new("unpaywall", env!("CARGO_PKG_VERSION"), "Every open copy that Unpaywall knows of a DOI")
            .takes("doi")
            .host("api.unpaywall.org")
            .setting("contact!", "e-mail address of who asks; goes into every request")
            .setting("base-url", "where the API is, if not at https://api.unpaywall.org")
    }

    fn resolve(query: &Query, host: &impl Host) -> Result<Resolution, Failure> {
        let Some(doi) = query.doi() else { return Ok(Resolution::none()) };
        let contact = host.required_setting("contact", CONTACT_HINT)?;
        let url = host.base_url(BASE).path("v2").path(doi).query("email", &contact);
        let record: Option<Record> = host.get_json(&url).map_err(explain)?;
        record.map_or(Ok(Resolution::none()), Record::resolution)
    }
}

/// Unpaywall refuses addresses that are evidently not the asker's own, such as those at example.com.
fn explain(failure: Failure) -> Failure {
    match failure.upstream_status {
        Some(422) => {
            let message =
                "Unpaywall refused the e-mail address in the setting `contact`: use one of your own";
            Failure { message: message.to_owned(), ..failure }
        }
        _ => failure,
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Record {
    is_oa: Maybe<bool>,
    best_oa_location: Maybe<Location>,
    /// The best first, in the order in which Unpaywall prefers them.
    oa_locations: Maybe<Vec<Maybe<Location>>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Location {
    url: Maybe<String>,
    url_for_pdf: Maybe<String>,
    url_for_landing_page: Maybe<String>,
    version: Maybe<String>,
    license: Maybe<String>,
    host_type: Maybe<String>,
}

impl Record {
    /// The files, best first, then the pages of locations without a file.
    fn resolution(self) -> Result<Resolution, Failure> {
        if self.is_oa.is_none() && self.best_oa_location.is_none() && self.oa_locations.is_none() {
            return Err(Failure::unknown_shape(
                "Unpaywall answered with something that is no record of a work",
            ));
        }
        if *self.is_oa == Some(false) {
            return Ok(Resolution::none());
        }
        let others = self.oa_locations.iter().flatten().filter_map(|location| location.as_ref());
        let locations = || self.best_oa_location.iter().chain(others.clone());
        Ok(Resolution::of(
            locations().filter_map(Location::file).chain(locations().filter_map(Location::page)),
        ))
    }
}

impl Location {
    fn file(&self) -> Option<Candidate> {
        Some(self.describe(Candidate::pdf(self.url_for_pdf.as_deref()?)?))
    }

    fn page(&self) -> Option<Candidate> {
        if self.file().is_some() {
            return None;
        }
        let urls = [&self.url_for_landing_page, &self.url];
        let page = urls.iter().find_map(|url| Candidate::landing_page(url.as_deref()?))?;
        Some(self.describe(page))
    }

    fn describe(&self, candidate: Candidate) -> Candidate {
        let version = self.version.as_deref().and_then(version_of);
        let (license, host_type) = (self.license.as_ref().cloned(), self.host_type.as_ref().cloned());
        Candidate { version: version.map(str::to_owned), license, host_type, ..candidate }
    }
}
