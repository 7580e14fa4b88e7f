//! The ID Converter: the PMCIDs of DOIs or of PMIDs. Must never send identifiers of two kinds in one request, of which the
//! service makes an error.

use crate::base;
use gleaner_sdk::{Failure, Host, Identifier, Maybe, Name as Asked, Query};
use serde::Deserialize;

const BASE: &str = "https://pmc.ncbi.nlm.nih.gov/tools/idconv/api/v1/articles";

/// What a work is converted by.
pub(crate) fn name(query: &Query) -> Option<Asked<'_>> {
    // A comma would make two of it.
    let sound = |scheme| Some((scheme, query.identifier(scheme).filter(|value| !value.contains(','))?));
    sound("pmid").or_else(|| sound("doi"))
}

/// What is known of these identifiers of one kind. Fails as the host's `get_json` does.
pub(crate) fn records(host: &impl Host, scheme: &str, values: &[&str]) -> Result<Records, Failure> {
    let mut url = base(host, "converter-url", BASE)
        .segment("")
        .query("ids", &values.join(","))
        .query("idtype", scheme)
        .query("format", "json")
        .query("tool", "gleaner");
    if let Some(contact) = host.setting("contact") {
        url = url.query("email", &contact);
    }
    let Some(answer) = host.get_json::<Answer>(&url)? else { return Ok(Records(Vec::new())) };
    let Some(records) = answer.records.into_inner() else {
        return Err(Failure::unknown_shape(
            "PMC's ID Converter answered with something that is no list of records",
        ));
    };
    Ok(Records(records.into_iter().filter_map(Maybe::into_inner).collect()))
}

/// Records of several works.
pub(crate) struct Records(Vec<Record>);

impl Records {
    /// All names of the work of that name, if PMC has it; none else.
    pub(crate) fn names(&self, (scheme, value): Asked<'_>) -> Vec<Identifier> {
        self.0.iter().filter(|record| record.is_called(scheme, value)).flat_map(Record::names).collect()
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Answer {
    records: Maybe<Vec<Maybe<Record>>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Record {
    /// Only of works that PMC has.
    pmcid: Maybe<Name>,
    pmid: Maybe<Name>,
    doi: Maybe<Name>,
}

/// A name that is written as a text or as a number.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Name {
    Text(String),
    Number(u64),
}

impl Name {
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
        }
    }
}

impl Record {
    fn names(&self) -> impl Iterator<Item = Identifier> {
        let named = [("pmcid", &self.pmcid), ("pmid", &self.pmid), ("doi", &self.doi)];
        named.into_iter().filter_map(|(scheme, name)| {
            let text = name.as_ref()?.text();
            let is_one = if scheme == "pmcid" { is_pmcid(text.trim()) } else { !text.trim().is_empty() };
            is_one.then(|| Identifier::new(scheme, text.trim()))
        })
    }

    fn is_called(&self, scheme: &str, value: &str) -> bool {
        self.names().any(|name| name.scheme == scheme && name.value.eq_ignore_ascii_case(value))
    }
}

fn is_pmcid(text: &str) -> bool {
    let digits = text.strip_prefix("PMC").unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}
