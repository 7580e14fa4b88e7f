//! A part of CSS selectors: `type`, `*`, `#id`, `.class`, `[attr]`, `[attr=value]`, `[attr^=]`, `[attr$=]`, `[attr*=]`,
//! next to each other, after a space (somewhere within) or after `>` (directly within). Must never take another
//! selector for one of these: `:first-child`, `,`, `+` and `~` are refused.

use crate::html::Tag;

/// Steps fit into the bits of a number.
const MOST_STEPS: usize = 32;

/// A way through the elements of a page, from the outside to the inside: a part of CSS selectors.
#[derive(Debug)]
pub struct Selector {
    steps: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    /// Directly within the step before, rather than somewhere within it.
    is_child: bool,
    /// In lower case; none for any.
    name: Option<String>,
    tests: Vec<Test>,
}

#[derive(Debug)]
struct Test {
    attribute: String,
    kind: Kind,
    value: String,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Present,
    Equals,
    Starts,
    Ends,
    Contains,
    /// One of the words, for classes.
    Word,
}

impl Selector {
    /// Reads `type`, `*`, `#id`, `.class`, `[attr]` with `=`, `^=`, `$=` or `*=`, a space and `>`.
    ///
    /// # Errors
    /// What is not read here, as the end of a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let refuse = |rest: &str| {
            let what = if rest.is_empty() { "ends too early".to_owned() } else { format!("has {rest:?}") };
            format!(
                "the selector {text:?} {what}; type, #id, .class, [attr] with =, ^=, $= or *=, a space and > are read"
            )
        };
        let (mut steps, mut rest, mut is_child) = (Vec::new(), text.trim(), false);
        loop {
            let (step, after) = Step::parse(rest, is_child).map_err(refuse)?;
            steps.push(step);
            let next = after.trim_start();
            if next.is_empty() {
                break;
            }
            is_child = next.starts_with('>');
            if !is_child && next.len() == after.len() {
                return Err(refuse(next));
            }
            rest = next.trim_start_matches('>').trim_start();
            if is_child && next.len() - next.trim_start_matches('>').len() > 1 {
                return Err(refuse(next));
            }
        }
        if steps.len() > MOST_STEPS { Err(refuse("too many steps")) } else { Ok(Self { steps }) }
    }

    /// Which steps an element is the end of, as bits, if `parent` are those of its parent, and `above` those of all
    /// elements that it stands in.
    pub(crate) fn ends(&self, tag: &Tag, parent: u32, above: u32) -> u32 {
        let mut ends = 0;
        for (place, step) in self.steps.iter().enumerate() {
            let before = if step.is_child { parent } else { above };
            let is_led_to = place == 0 || before & (1 << (place - 1)) != 0;
            if is_led_to && step.matches(tag) {
                ends |= 1 << place;
            }
        }
        ends
    }

    pub(crate) fn is_complete(&self, ends: u32) -> bool {
        ends & (1 << (self.steps.len() - 1)) != 0
    }
}

impl Step {
    /// The step that a text begins with, and what follows; or what it cannot be read from.
    fn parse(text: &str, is_child: bool) -> Result<(Self, &str), &str> {
        let (name, mut rest) = word(text);
        let mut step = Self { is_child, name: None, tests: Vec::new() };
        if name.is_empty() {
            rest = rest.strip_prefix('*').unwrap_or(rest);
        } else {
            step.name = Some(name.to_ascii_lowercase());
        }
        loop {
            let read = match rest.as_bytes().first() {
                Some(b'#') => named("id", Kind::Equals, &rest[1..]),
                Some(b'.') => named("class", Kind::Word, &rest[1..]),
                Some(b'[') => Test::parse(&rest[1..]),
                _ => break,
            };
            let (test, after) = read.ok_or(rest)?;
            step.tests.push(test);
            rest = after;
        }
        if rest.len() < text.len() { Ok((step, rest)) } else { Err(text) }
    }

    fn matches(&self, tag: &Tag) -> bool {
        self.name.as_ref().is_none_or(|name| *name == tag.name)
            && self.tests.iter().all(|test| test.holds(tag))
    }
}

fn named<'a>(attribute: &str, kind: Kind, text: &'a str) -> Option<(Test, &'a str)> {
    let (value, rest) = word(text);
    let test = Test { attribute: attribute.to_owned(), kind, value: value.to_owned() };
    (!value.is_empty()).then_some((test, rest))
}

/// What names and classes are made of; escapes are not read.
fn word(text: &str) -> (&str, &str) {
    let is_part = |next: char| next.is_alphanumeric() || matches!(next, '-' | '_') || !next.is_ascii();
    text.split_at(text.find(|next| !is_part(next)).unwrap_or(text.len()))
}

impl Test {
    /// Reads from behind a `[` to behind its `]`.
    fn parse(text: &str) -> Option<(Self, &str)> {
        let (attribute, rest) = word(text.trim_start());
        let test = |kind, value: &str| Self {
            attribute: attribute.to_ascii_lowercase(),
            kind,
            value: value.to_owned(),
        };
        let rest = Some(rest.trim_start()).filter(|_| !attribute.is_empty())?;
        if let Some(rest) = rest.strip_prefix(']') {
            return Some((test(Kind::Present, ""), rest));
        }
        let kinds = [("=", Kind::Equals), ("^=", Kind::Starts), ("$=", Kind::Ends), ("*=", Kind::Contains)];
        let (kind, rest) =
            kinds.into_iter().find_map(|(sign, kind)| Some((kind, rest.strip_prefix(sign)?)))?;
        let rest = rest.trim_start();
        let (value, rest) = match rest.chars().next()? {
            quote @ ('"' | '\'') => rest[1..].split_once(quote)?,
            _ => word(rest),
        };
        let rest = rest.trim_start().strip_prefix(']')?;
        // An empty text is the beginning of every other: in CSS, such a test holds for none.
        Some((test(kind, value), rest)).filter(|_| !value.is_empty() || matches!(kind, Kind::Equals))
    }

    fn holds(&self, tag: &Tag) -> bool {
        let Some(own) = tag.get(&self.attribute) else { return false };
        let value = self.value.as_str();
        match self.kind {
            Kind::Present => true,
            Kind::Equals => own == value,
            Kind::Starts => own.starts_with(value),
            Kind::Ends => own.ends_with(value),
            Kind::Contains => own.contains(value),
            Kind::Word => own.split_ascii_whitespace().any(|word| word == value),
        }
    }
}
