//! Name templates: `{year}-{first_author}-{title}.{ext}`.
//!
//! Must never let a missing field leave its separator behind, or a template be used that has a field
//! nobody can fill. Whether the text makes a safe file name is not decided here but in [`crate::names`].

use std::fmt;
use std::str::FromStr;

use gleaner_model::artifact::Artifact;
use gleaner_model::identifier::Scheme;
use serde::{Deserialize, Serialize};

use crate::ContentError;

/// What a template can be filled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Year,
    FirstAuthor,
    Title,
    ArtifactId,
    Doi,
    Sha8,
}

const FIELDS: [(&str, Field); 6] = [
    ("year", Field::Year),
    ("first_author", Field::FirstAuthor),
    ("title", Field::Title),
    ("artifact_id", Field::ArtifactId),
    ("doi", Field::Doi),
    ("sha8", Field::Sha8),
];

/// How readable names are made. The ending is the file's own, whether `.{ext}` stands at the end or not. Fields: `{year}`, `{first_author}` (family name),
/// `{title}`, `{artifact_id}`, `{doi}`, `{sha8}` (first eight digits of the file's SHA-256).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct NameTemplate {
    /// Each field with the literal before it.
    fields: Vec<(String, Field)>,
    /// The literal after the last field.
    end: String,
    /// Whether the ending was written out.
    says_ext: bool,
}

/// The ending, as it may be written.
const EXT: &str = ".{ext}";

impl NameTemplate {
    /// The stem for this file, not yet made safe; empty when no field of the template is known.
    /// A field that is not known takes the literal before it along. Titles are cut to `title_bytes`.
    pub(crate) fn fill(&self, artifact: &Artifact, sha256: &str, title_bytes: usize) -> String {
        let mut stem = String::new();
        let mut last_is_known = false;
        for (index, (before, field)) in self.fields.iter().enumerate() {
            let value = value(*field, artifact, sha256, title_bytes);
            last_is_known = value.is_some();
            if let Some(value) = value {
                if index == 0 || !stem.is_empty() {
                    stem.push_str(before);
                }
                stem.push_str(&value);
            }
        }
        if last_is_known {
            stem.push_str(&self.end);
        }
        stem
    }
}

fn value(field: Field, artifact: &Artifact, sha256: &str, title_bytes: usize) -> Option<String> {
    let value = match field {
        Field::Year => artifact.year?.to_string(),
        Field::FirstAuthor => family_name(artifact.authors.first()?).to_owned(),
        Field::Title => cut(artifact.title.as_deref()?.trim(), title_bytes).to_owned(),
        Field::ArtifactId => artifact.id.to_string(),
        Field::Doi => artifact.values(&Scheme::Doi).next()?.to_owned(),
        Field::Sha8 => cut(sha256, 8).to_owned(),
    };
    (!value.trim().is_empty()).then_some(value)
}

/// `Vaswani, Ashish` and `Ashish Vaswani` are both Vaswani.
fn family_name(author: &str) -> &str {
    match author.split_once(',') {
        Some((family, _)) => family.trim(),
        None => author.split_whitespace().next_back().unwrap_or_default(),
    }
}

/// The longest beginning of at most so many bytes.
pub(crate) fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

impl Default for NameTemplate {
    /// `{year}-{first_author}-{title}.{ext}`.
    fn default() -> Self {
        let fields =
            vec![(String::new(), Field::Year), ("-".into(), Field::FirstAuthor), ("-".into(), Field::Title)];
        Self { fields, end: String::new(), says_ext: true }
    }
}

impl FromStr for NameTemplate {
    type Err = ContentError;

    fn from_str(template: &str) -> Result<Self, ContentError> {
        parse(template).map_err(|problem| ContentError::Template { template: template.to_owned(), problem })
    }
}

fn parse(template: &str) -> Result<NameTemplate, String> {
    let mut fields = Vec::new();
    let (mut rest, says_ext) = match template.strip_suffix(EXT) {
        Some(rest) => (rest, true),
        None => (template, false),
    };
    while let Some((literal, field_on)) = rest.split_once('{') {
        let (name, after) = field_on.split_once('}').ok_or("has a { without its }")?;
        fields.push((checked_literal(literal)?, known_field(name)?));
        rest = after;
    }
    if fields.is_empty() {
        return Err(format!("has no field; the fields are {}", field_names()));
    }
    Ok(NameTemplate { fields, end: checked_literal(rest)?, says_ext })
}

fn checked_literal(literal: &str) -> Result<String, String> {
    match literal.chars().find(|&c| matches!(c, '}') || crate::names::is_reserved(c)) {
        Some(reserved) => Err(format!("has {reserved:?}, which not every file system allows in names")),
        None => Ok(literal.to_owned()),
    }
}

fn known_field(name: &str) -> Result<Field, String> {
    FIELDS
        .iter()
        .find_map(|(known, field)| (*known == name).then_some(*field))
        .ok_or_else(|| format!("has the unknown field {{{name}}}; the fields are {}", field_names()))
}

fn field_names() -> String {
    let names: Vec<_> = FIELDS.iter().map(|(name, _)| format!("{{{name}}}")).collect();
    format!("{}, and .{{ext}} at the end", names.join(" "))
}

impl fmt::Display for NameTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (before, field) in &self.fields {
            let name = FIELDS.iter().find_map(|(name, known)| (known == field).then_some(*name));
            write!(f, "{before}{{{}}}", name.unwrap_or_default())?;
        }
        f.write_str(&self.end)?;
        f.write_str(if self.says_ext { EXT } else { "" })
    }
}

impl TryFrom<String> for NameTemplate {
    type Error = ContentError;

    fn try_from(template: String) -> Result<Self, ContentError> {
        template.parse()
    }
}

impl From<NameTemplate> for String {
    fn from(template: NameTemplate) -> Self {
        template.to_string()
    }
}

#[cfg(test)]
mod tests {
    use gleaner_model::identifier::Identifier;

    use super::*;

    const SHA: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn artifact(year: Option<u16>, author: &str, title: &str) -> Artifact {
        let mut artifact = Artifact::of(Identifier::parse("10.1000/x").unwrap());
        artifact.year = year;
        artifact.authors = vec![author.into()];
        artifact.title = Some(title.into());
        artifact
    }

    #[test]
    fn known_fields_fill_the_template() {
        let artifact = artifact(Some(2017), "Ashish Vaswani", "Attention");
        for (template, stem) in [
            ("{year}-{first_author}-{title}", "2017-Vaswani-Attention"),
            ("{title} ({year})", "Attention (2017)"),
            ("paper {doi} {sha8}", "paper 10.1000/x 01234567"),
            ("{artifact_id}", "doi:10.1000/x"),
            ("{title}.{ext}", "Attention"),
            ("{title} ({year}).{ext}", "Attention (2017)"),
        ] {
            assert_eq!(template.parse::<NameTemplate>().unwrap().fill(&artifact, SHA, 99), stem);
        }
    }

    #[test]
    fn a_missing_field_leaves_no_separator() {
        let template = NameTemplate::default();
        for (year, author, title, stem) in [
            (None, "Vaswani, Ashish", "Attention", "Vaswani-Attention"),
            (Some(2017), " ", "Attention", "2017-Attention"),
            (Some(2017), "Vaswani", "", "2017-Vaswani"),
            (None, "", "Attention", "Attention"),
            (None, "", "", ""),
        ] {
            assert_eq!(template.fill(&artifact(year, author, title), SHA, 99), stem);
        }
        let bracket: NameTemplate = "{title} ({year})".parse().unwrap();
        assert_eq!(bracket.fill(&artifact(None, "", "Attention"), SHA, 99), "Attention");
    }

    #[test]
    fn templates_read_back_as_written() {
        for text in ["{year}-{first_author}-{title}", "a {doi}_{sha8} z", "{artifact_id}", "{title}.{ext}"] {
            assert_eq!(text.parse::<NameTemplate>().unwrap().to_string(), text);
        }
        assert_eq!(NameTemplate::default().to_string(), "{year}-{first_author}-{title}.{ext}");
    }

    #[test]
    fn wrong_templates_say_what_is_wrong() {
        for (text, part) in [
            ("{journal}", "unknown field {journal}; the fields are {year} {first_author} {title}"),
            ("{title}.{ext}x", "unknown field {ext}"),
            ("{ext}", "and .{ext} at the end"),
            ("{title", "has a { without its }"),
            ("title}", "has no field"),
            ("{title}}", "has '}'"),
            ("../{title}", "has '/'"),
            ("", "has no field"),
        ] {
            let message = text.parse::<NameTemplate>().unwrap_err().to_string();
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}
