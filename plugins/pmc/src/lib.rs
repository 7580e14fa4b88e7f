//! Resolver `pmc`: the open full texts of PubMed Central. The manuals: <https://pmc.ncbi.nlm.nih.gov/tools/pmcaws/>
//! (datasets), <https://pmc.ncbi.nlm.nih.gov/tools/oa-service/> (the older service),
//! <https://pmc.ncbi.nlm.nih.gov/tools/id-converter-api/>. Must never take a record for the work's that does not carry
//! the identifier asked for, nor ask for identifiers of several kinds in one request.

mod datasets;
mod idconv;
mod oa;
mod xml;

use gleaner_sdk::{
    BatchResolver, Disposition, Failure, Host, Identifier, Info, Level, Name, Query, Resolution, Resolver,
    Url, answer_together,
};

/// Takes a PMCID, else a DOI or a PMID that the converter knows one for. Sends two requests for a PMCID that the
/// datasets have and for one that nobody has, three where the datasets name what they do not have, and one more without a
/// PMCID.
#[derive(Debug)]
pub struct Pmc;

gleaner_sdk::export_batch_resolver!(Pmc);

impl Resolver for Pmc {
    fn describe() -> Info {
        Info::new("pmc", env!("CARGO_PKG_VERSION"), "The open full texts of PubMed Central")
            .takes("pmcid")
            .takes("pmid")
            .takes("doi")
            .host("pmc-oa-opendata.s3.amazonaws.com")
            .host("pmc.ncbi.nlm.nih.gov")
            .host("www.ncbi.nlm.nih.gov")
            .setting("contact", "an e-mail address, which the converter asks for")
            .setting("base-url", "where the datasets are, if not at https://pmc-oa-opendata.s3.amazonaws.com")
            .setting(
                "converter-url",
                "where the converter is, if not at https://pmc.ncbi.nlm.nih.gov/tools/idconv/api/v1/articles",
            )
            .setting(
                "oa-url",
                "where the older service is, if not at https://www.ncbi.nlm.nih.gov/pmc/utils/oa/oa.fcgi",
            )
    }

    fn resolve(query: &Query, host: &impl Host) -> Result<Resolution, Failure> {
        let names = match query.identifier("pmcid") {
            Some(pmcid) => vec![Identifier::new("pmcid", pmcid)],
            None => match idconv::name(query) {
                Some(name) => idconv::records(host, name.0, &[name.1])?.names(name),
                None => Vec::new(),
            },
        };
        named(names, host)
    }
}

impl BatchResolver for Pmc {
    /// The converter takes 200; but each work that PMC has is three requests more at most, and a call has as many as
    /// `config/default.toml` gives it, and a minute.
    const MOST: u32 = 40;

    fn resolve_many(queries: &[Query], host: &impl Host) -> Vec<Result<Resolution, Failure>> {
        let find = |scheme, values: &[&str]| Ok(vec![idconv::records(host, scheme, values)?]);
        let answer = |found: &[idconv::Records], name: Name<'_>| {
            let names = found.iter().flat_map(|records| records.names(name));
            Resolution { discovered: names.collect(), ..Resolution::none() }
        };
        let converted = answer_together::<Self, _>(queries, host, unconverted, find, answer);
        let asked_alone = queries.iter().map(|query| unconverted(query).is_none());
        let rest = converted.into_iter().zip(asked_alone).map(|(answer, asked_alone)| match answer {
            Ok(resolution) if !asked_alone => named(resolution.discovered, host),
            answer => answer,
        });
        rest.collect()
    }
}

/// What the converter is to be asked about.
fn unconverted(query: &Query) -> Option<Name<'_>> {
    idconv::name(query).filter(|_| query.identifier("pmcid").is_none())
}

/// The files of the work of these names.
fn named(names: Vec<Identifier>, host: &impl Host) -> Result<Resolution, Failure> {
    let Some(pmcid) = names.iter().find(|name| name.scheme == "pmcid").map(|name| name.value.clone()) else {
        return Ok(told(Resolution::none(), names));
    };
    let resolution = match datasets::resolution(&pmcid, host)? {
        Some(resolution) => resolution,
        None => older(&pmcid, host)?,
    };
    Ok(told(resolution, names))
}

/// What the service that the datasets replace knows. It is on its way out, and the datasets have answered: that it fails
/// costs nothing. That it asks to slow down is heeded.
fn older(pmcid: &str, host: &impl Host) -> Result<Resolution, Failure> {
    match oa::resolution(pmcid, host) {
        Err(failure) if failure.disposition != Disposition::RateLimited => {
            host.log(
                Level::Warn,
                &format!("the older service of PMC is passed over: {}", failure.message),
                &[],
            );
            Ok(Resolution::none())
        }
        answer => answer,
    }
}

/// With these names too.
fn told(mut resolution: Resolution, names: Vec<Identifier>) -> Resolution {
    for name in names {
        let is_same =
            |known: &Identifier| known.scheme == name.scheme && known.value.eq_ignore_ascii_case(&name.value);
        if !resolution.discovered.iter().any(is_same) {
            resolution.discovered.push(name);
        }
    }
    resolution
}

/// A base URL with a setting of its own name.
fn base(host: &impl Host, setting: &str, default: &str) -> Url {
    Url::new(host.setting(setting).as_deref().unwrap_or(default))
}
