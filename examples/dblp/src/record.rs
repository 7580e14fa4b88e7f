//! One record of dblp: whether it is of the work asked for, and what it leads to. Must never propose what dblp
//! does not call open.

use gleaner_sdk::{Candidate, Maybe, Query};
use serde::Deserialize;

/// What dblp knows of a publication.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Info {
    title: Maybe<String>,
    year: Maybe<String>,
    doi: Maybe<String>,
    /// `open` or `closed`.
    access: Maybe<String>,
    /// `CoRR` for what stands on arXiv.
    venue: Maybe<String>,
    authors: Maybe<Authors>,
    /// Where it can be read: one URL or several.
    ee: Maybe<OneOrMany<String>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Authors {
    author: Maybe<OneOrMany<Author>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Author {
    /// No `Maybe`, which cannot be read inside of [`OneOrMany`].
    text: Option<String>,
}

/// dblp writes a list of one as the one. An element of another type costs the list, and nothing else.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    fn as_slice(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

impl Info {
    /// Whether this is the work: its DOI; or its title, at most two years apart, and an author if any is known.
    pub(crate) fn is_of(&self, query: &Query) -> bool {
        if self.has_doi(query.doi()) {
            return true;
        }
        let title = query.title.as_deref().map(letters).unwrap_or_default();
        let year = self.year.as_deref().and_then(|year| year.parse::<u16>().ok());
        let near = query.year.zip(year).map(|(one, other)| one.abs_diff(other) <= 2);
        let shared = (!query.authors.is_empty()).then(|| self.shares_an_author(&query.authors));
        let same_title = !title.is_empty() && self.title.as_deref().map(letters) == Some(title);
        // What is unknown does not speak against it, but something besides the title must speak for it.
        same_title && near != Some(false) && shared != Some(false) && (near.is_some() || shared.is_some())
    }

    fn has_doi(&self, doi: Option<&str>) -> bool {
        doi.zip(self.doi.as_deref()).is_some_and(|(one, other)| one.eq_ignore_ascii_case(other))
    }

    fn shares_an_author(&self, names: &[String]) -> bool {
        let authors = self.authors.as_ref().and_then(|authors| authors.author.as_ref());
        let known = authors.iter().flat_map(|list| list.as_slice());
        let mut known = known.filter_map(|author| author.text.as_deref().map(last_name));
        known.any(|name| names.iter().any(|other| last_name(other) == name))
    }

    /// The places where it can be read, if dblp calls it open. A PDF is one by its name; the rest are pages.
    pub(crate) fn candidates(&self, doi: Option<&str>) -> Vec<Candidate> {
        let is_open = self.access.as_deref() == Some("open") && self.arxiv().is_none();
        let urls = self.ee.iter().filter(|_| is_open).flat_map(|list| list.as_slice());
        let confidence = if self.has_doi(doi) { 0.9 } else { 0.6 };
        let candidate = |url: &String| {
            let is_pdf = url.to_ascii_lowercase().ends_with(".pdf");
            let found = if is_pdf { Candidate::pdf(url) } else { Candidate::landing_page(url) };
            Some(Candidate {
                version: Some("published".to_owned()),
                host_type: Some("publisher".to_owned()),
                confidence: Some(confidence),
                ..found?
            })
        };
        urls.filter_map(candidate).collect()
    }

    /// Its name on arXiv, for `arxiv` to find; dblp has the DOI or, of older ones, the page.
    pub(crate) fn arxiv(&self) -> Option<String> {
        if self.venue.as_deref() != Some("CoRR") {
            return None;
        }
        let urls = self.ee.iter().flat_map(|list| list.as_slice()).map(String::as_str);
        let names = self.doi.as_deref().into_iter().chain(urls);
        names.map(str::to_ascii_lowercase).find_map(|name| {
            let after = ["10.48550/arxiv.", "arxiv.org/abs/"].iter().find_map(|mark| name.split_once(mark));
            after.map(|(_, id)| id.to_owned()).filter(|id| !id.is_empty())
        })
    }
}

/// The letters and digits of a text, in lower case: titles differ in all else.
pub(crate) fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Of `Ashish Vaswani`, `Vaswani, Ashish` and `Wei Wang 0001`, as dblp tells people of one name apart.
fn last_name(name: &str) -> String {
    let name = name.split(',').next().unwrap_or_default();
    let words = name.split_whitespace().filter(|word| !word.bytes().all(|byte| byte.is_ascii_digit()));
    letters(words.rev().find(|word| !word.is_empty()).unwrap_or_default())
}
