//! The embedded defaults, key by key with the comments that explain them: what the schema, the reference page and
//! `config init` say of a key.
//!
//! Knows how `config/default.toml` is laid out, and nothing of what a key means: a comment belongs to the key or the
//! section on the next line, a blank line ends it, and `# key = value` suggests a key that has no default.

use toml::Table;

use super::load::DEFAULTS;

/// One key of the defaults.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// Where it stands: `egress.cache`; empty at the top.
    pub(crate) section: String,
    pub(crate) key: String,
    /// Its comment, as one paragraph.
    pub(crate) comment: String,
    /// Its value; that of a suggestion is an example.
    pub(crate) value: toml::Value,
    /// Whether the value is a default; it is a suggestion otherwise.
    pub(crate) is_set: bool,
}

/// The defaults as an outline.
#[derive(Debug, Default)]
pub(crate) struct Annotated {
    pub(crate) entries: Vec<Entry>,
    /// Sections in their order, each with its comment.
    pub(crate) sections: Vec<(String, String)>,
}

impl Annotated {
    /// Reads the embedded defaults.
    pub(crate) fn of_defaults() -> Self {
        let mut outline = Self { sections: vec![(String::new(), String::new())], ..Self::default() };
        let (mut comment, mut in_example) = (Vec::new(), false);
        let mut lines = DEFAULTS.lines();
        while let Some(line) = lines.next() {
            if line.is_empty() {
                comment.clear();
                in_example = false;
            } else if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                outline.sections.push((name.to_owned(), paragraph(&mut comment)));
            } else if let Some(text) = line.strip_prefix('#') {
                in_example |= text.starts_with(" [");
                match text.strip_prefix(' ').filter(|_| !in_example).and_then(assignment) {
                    Some((key, value)) => outline.add(&key, paragraph(&mut comment), value, false),
                    None => comment.push(text.trim_start()),
                }
            } else if let Some((key, value)) = whole_assignment(line, &mut lines) {
                outline.add(&key, paragraph(&mut comment), value, true);
            }
        }
        outline
    }

    fn add(&mut self, key: &str, comment: String, value: toml::Value, is_set: bool) {
        let section = self.sections.last().map(|(name, _)| name.clone()).unwrap_or_default();
        self.entries.push(Entry { section, key: key.to_owned(), comment, value, is_set });
    }
}

fn paragraph(lines: &mut Vec<&str>) -> String {
    std::mem::take(lines).join(" ")
}

/// `key = value` with a bare or quoted key; none for a sentence.
fn assignment(text: &str) -> Option<(String, toml::Value)> {
    let table: Table = toml::from_str(text).ok()?;
    let (key, value) = table.into_iter().next()?;
    Some((key, value))
}

/// The same, over as many lines as the value takes.
fn whole_assignment<'a>(
    line: &str,
    more: &mut impl Iterator<Item = &'a str>,
) -> Option<(String, toml::Value)> {
    let mut text = line.to_owned();
    loop {
        if let Some(whole) = assignment(&text) {
            return Some(whole);
        }
        text.push('\n');
        text.push_str(more.next()?);
    }
}

/// The file that `config init` writes: the defaults with every value commented out as `#key = value`, so that a line is
/// put in force by taking one character away; and the contact, which only the user knows.
pub(crate) fn template(schema: &str, contact: Option<&str>) -> String {
    let mut text = format!(
        "#:schema {schema}\n\n# Gleaner's configuration. A line that begins with # and no space is a default: take the # away to change it.\n\
         # What stays commented out follows the defaults of the version in use. `gleaner config show` says where each value\n\
         # came from, `gleaner config check` and `gleaner doctor` whether all is well.\n"
    );
    // Behind the line that names the schema, the opening is about that file; it ends at the first key's comment.
    let (_, body) = DEFAULTS.split_once("\n\n").unwrap_or_default();
    let body = body.split_once("\n\n").map_or("", |(opening, rest)| {
        text.push_str(opening.rsplit_once("\n#\n").map_or("", |(_, units)| units));
        rest
    });
    text.push_str("\n\n");
    let mut in_example = false;
    for line in body.lines() {
        in_example = !line.is_empty() && (in_example || line.starts_with("# ["));
        let suggestion = line.strip_prefix("# ").filter(|rest| !in_example && assignment(rest).is_some());
        match suggestion {
            Some(rest) if rest.starts_with("contact ") => {
                text.push_str(&format!("contact = {:?}", contact.unwrap_or_default()));
            }
            Some(rest) => text.push_str(&format!("#{rest}")),
            None if line.is_empty() || line.starts_with(['#', '[']) => text.push_str(line),
            None => text.push_str(&format!("#{}", line.trim_start())),
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_in_the_outline() {
        let outline = Annotated::of_defaults();
        let whole: Table = toml::from_str(DEFAULTS).unwrap();
        for entry in outline.entries.iter().filter(|entry| entry.is_set) {
            let mut table = &whole;
            for part in entry.section.split('.').filter(|part| !part.is_empty()) {
                table = table[part].as_table().unwrap();
            }
            assert_eq!(table[&entry.key], entry.value, "{entry:?}");
        }
        let suggested: Vec<_> =
            outline.entries.iter().filter(|one| !one.is_set).map(|one| one.key.as_str()).collect();
        assert!(["contact", "proxy", "retention"].iter().all(|key| suggested.contains(key)), "{suggested:?}");
        let tiers = outline.entries.iter().find(|one| one.key == "list").unwrap();
        assert!(tiers.section == "tiers" && tiers.comment.starts_with("Tiers one after the other"));
    }

    /// Every line that `config init` comments out is the default, spelt so that it holds when the # goes.
    #[test]
    fn the_template_is_the_defaults_once_its_lines_are_put_in_force() {
        let text = template("gleaner.schema.json", Some("you@example.org"));
        assert!(text.starts_with("#:schema gleaner.schema.json\n"));
        let only: Table = toml::from_str(&text).unwrap();
        let flat: Vec<_> = only.iter().filter(|(_, value)| !value.is_table()).collect();
        assert!(flat.len() == 1 && flat[0].0 == "contact", "{flat:?}");
        let uncommented: String = text
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(rest) if !rest.starts_with([' ', ':']) => format!("{rest}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        let mut all: Table = toml::from_str(&uncommented).unwrap();
        let suggestions = Annotated::of_defaults();
        for entry in suggestions.entries.iter().filter(|entry| !entry.is_set) {
            let mut table = &mut all;
            for part in entry.section.split('.').filter(|part| !part.is_empty()) {
                table = table[part].as_table_mut().unwrap();
            }
            assert!(table.remove(&entry.key).is_some(), "{entry:?}");
        }
        assert_eq!(all, toml::from_str::<Table>(DEFAULTS).unwrap());
    }
}
