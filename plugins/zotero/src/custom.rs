//! Reads the descriptions of sources. Must never pass over what it cannot read: the operator wants to know.

use crate::json_path::JsonPath;
use gleaner_sdk::select::Selector;
use gleaner_sdk::{Failure, Url};
use serde::Deserialize;

/// The host sends so many requests at once.
const MOST_SOURCES: usize = 16;

/// One source.
pub(crate) struct Custom {
    pub(crate) name: String,
    /// `GET` or `POST`.
    pub(crate) method: String,
    template: String,
    pub(crate) mode: Mode,
}

/// How its answer is read.
pub(crate) enum Mode {
    /// The element of that place among those that match; its attribute, or its text.
    Html { selector: Selector, attribute: Option<String>, index: usize },
    /// Every URL, or every object from which `mappings` take some.
    Json { path: JsonPath, mappings: Option<Mappings> },
}

/// Names of fields.
#[derive(Deserialize)]
pub(crate) struct Mappings {
    pub(crate) url: Option<String>,
    #[serde(rename = "pageURL")]
    pub(crate) page_url: Option<String>,
}

/// As Zotero writes it. `automatic` says when Zotero asks by itself, which has no counterpart here.
#[derive(Deserialize)]
struct Written {
    name: Option<String>,
    method: Option<String>,
    url: String,
    mode: String,
    selector: String,
    attribute: Option<String>,
    index: Option<usize>,
    mappings: Option<Mappings>,
}

/// The sources of the setting, a list or a single one.
pub(crate) fn read(setting: &str) -> Result<Vec<Custom>, Failure> {
    let list =
        if setting.trim_start().starts_with('{') { format!("[{setting}]") } else { setting.to_owned() };
    let written: Vec<Written> = serde_json::from_str(&list)
        .map_err(|error| bad(format!("it is no list of Zotero's custom PDF resolvers: {error}")))?;
    if written.len() > MOST_SOURCES {
        return Err(bad(format!("it has {} sources, and at most {MOST_SOURCES} are asked", written.len())));
    }
    let sources = written.into_iter().enumerate();
    sources
        .map(|(place, written)| {
            let name = written.name.clone().unwrap_or_else(|| format!("number {}", place + 1));
            Custom::of(written, &name).map_err(|why| bad(format!("of the source {name:?}, {why}")))
        })
        .collect()
}

fn bad(why: String) -> Failure {
    Failure::give_up("bad-setting", format!("the setting `resolvers` cannot be used: {why}"))
}

impl Custom {
    fn of(written: Written, name: &str) -> Result<Self, String> {
        let method = written.method.unwrap_or_else(|| "GET".to_owned()).to_ascii_uppercase();
        if !["GET", "POST"].contains(&&*method) {
            return Err(format!("the method {method:?} is neither GET nor POST"));
        }
        if !written.url.contains("{doi}") {
            return Err(format!("the url {:?} has no {{doi}} in it", written.url));
        }
        let mode = match &*written.mode {
            "html" => Mode::Html {
                selector: Selector::parse(&written.selector)?,
                attribute: written.attribute.map(|name| name.to_ascii_lowercase()),
                index: written.index.unwrap_or_default(),
            },
            "json" => Mode::Json { path: JsonPath::parse(&written.selector)?, mappings: written.mappings },
            other => return Err(format!("the mode {other:?} is neither html nor json")),
        };
        Ok(Self { name: name.to_owned(), method, template: written.url, mode })
    }

    /// The URL for a DOI, which is encoded for the part of the URL that it stands in.
    pub(crate) fn url(&self, doi: &str) -> String {
        let (path, query) = self.template.split_at(self.template.find('?').unwrap_or(self.template.len()));
        let in_path = Url::new("").path(doi).to_string();
        let in_query = Url::new("").query("", doi).to_string();
        let put = |part: &str, doi: &str| part.replace("{doi}", doi);
        put(path, in_path.trim_start_matches('/')) + &put(query, in_query.trim_start_matches("?="))
    }
}
