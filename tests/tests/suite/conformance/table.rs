//! The tables of what recorded answers must lead to, and the recordings that they are about.
//!
//! Must never guess: a recording that no row names is a mistake, and so is a row without a recording.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gleaner_tests::simweb::Reply;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

/// See the top of `recorded.toml`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    pub(super) file: String,
    pub(super) resolver: Option<String>,
    pub(super) ask: Option<String>,
    pub(super) at: Option<String>,
    #[serde(default)]
    pub(super) reads: Vec<String>,
    #[serde(default)]
    pub(super) part: String,
    pub(super) only: Option<Only>,
    pub(super) names: Option<String>,
    pub(super) gives: Option<String>,
    pub(super) serves: Option<String>,
    pub(super) not: Option<String>,
}

/// How much of what came out is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Only {
    /// The first URL.
    First,
}

#[derive(Deserialize)]
struct Rows {
    rows: Vec<Row>,
}

impl Row {
    pub(super) fn read(text: &str) -> Vec<Self> {
        let Rows { rows } = toml::from_str(text).unwrap();
        rows
    }

    /// Asks a resolver for something, or only says why not.
    pub(super) fn asks(&self) -> Option<(&str, &str)> {
        match (&self.resolver, &self.ask, &self.not, &self.serves) {
            (Some(resolver), Some(ask), None, None) => Some((resolver, ask)),
            (None, None, Some(why), None) if !why.is_empty() => None,
            (None, None, None, Some(_)) => None,
            _ => panic!("a row that is neither asked nor explained: {self:?}"),
        }
    }

    fn is_about(&self, file: &str) -> bool {
        self.file.strip_suffix('*').map_or(self.file == file, |folder| file.starts_with(folder))
    }
}

/// A folder of answers with its manifest.
pub(super) struct Recordings {
    folder: PathBuf,
    lines: BTreeMap<String, Value>,
}

impl Recordings {
    pub(super) fn of(folder: &Path) -> Self {
        let path = folder.join("MANIFEST.jsonl");
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let lines = lines.map(|line| (line["file"].as_str().unwrap().to_owned(), line)).collect();
        Self { folder: folder.to_owned(), lines }
    }

    /// Every recording has a row, and every row a recording.
    pub(super) fn check(&self, rows: &[Row]) {
        for row in rows {
            assert!(self.lines.keys().any(|file| row.is_about(file)), "nothing is called {:?}", row.file);
            row.asks();
            if let Some(whole) = &row.serves {
                assert!(rows.iter().any(|row| row.file == *whole && row.asks().is_some()), "{row:?}");
            }
        }
        for file in self.lines.keys() {
            assert!(rows.iter().any(|row| row.is_about(file)), "no row is about {file}");
        }
    }

    /// Where a row's answer is served: with the parameters that matter.
    pub(super) fn place(&self, row: &Row) -> String {
        row.at.clone().unwrap_or_else(|| {
            let url = self.lines[&row.file]["request_url"].as_str();
            let mut url = Url::parse(url.unwrap_or_else(|| panic!("{row:?} needs `at`"))).unwrap();
            url.set_query(None);
            url.to_string()
        })
    }

    /// The answer as it was recorded, with the headers that say something of more than its way.
    pub(super) fn reply(&self, row: &Row) -> Reply {
        let line = &self.lines[&row.file];
        let body = std::fs::read(self.folder.join(&row.file)).unwrap();
        let status = line["status"].as_u64().unwrap_or(200);
        let media_type = line["content_type"].as_str().unwrap_or_default();
        let reply = Reply::bytes(media_type, body).status(u16::try_from(status).unwrap());
        let of_the_way = ["content-length", "content-encoding", "content-type", "vary"];
        let headers = line["headers"].as_object().into_iter().flatten();
        headers
            .filter(|(name, _)| !of_the_way.contains(&name.as_str()))
            .fold(reply, |reply, (name, value)| reply.header(name, value.as_str().unwrap()))
    }

    /// The URLs that must come out.
    pub(super) fn expected(&self, row: &Row) -> Vec<String> {
        let mut found = Vec::new();
        for path in &row.reads {
            collect(&self.lines[&row.file]["expected"], path.trim_start_matches('/'), &mut found);
        }
        found.retain(|url: &String| url.contains(&row.part));
        found
    }
}

/// The texts at a path such as `results/*/url`, in order.
fn collect(value: &Value, path: &str, found: &mut Vec<String>) {
    if path.is_empty() {
        return found.extend(value.as_str().map(str::to_owned));
    }
    let (name, rest) = path.split_once('/').unwrap_or((path, ""));
    match (name, value) {
        ("*", Value::Array(items)) => items.iter().for_each(|item| collect(item, rest, found)),
        (name, Value::Array(items)) => {
            if let Some(item) = name.parse::<usize>().ok().and_then(|place| items.get(place)) {
                collect(item, rest, found);
            }
        }
        (name, value) => collect(&value[name], rest, found),
    }
}
