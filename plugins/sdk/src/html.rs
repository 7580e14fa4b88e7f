//! The tags and texts of an HTML page, found as the HTML standard says (<https://html.spec.whatwg.org/#tokenization>)
//! but for two things: what stands in `<noscript>` counts, as for a reader without scripts, and only the entities that
//! URLs are written with are known. Must never fail: browsers read everything, so this does too.
//!
//! It is written by hand because tokenisers that know all 2231 entities make the component three times as large.

/// Elements whose content is text, whatever it looks like.
const TEXT_ONLY: [&str; 7] = ["script", "style", "title", "textarea", "iframe", "xmp", "noembed"];

/// `<name key="value">`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tag {
    /// In lower case.
    pub name: String,
    /// In order; names in lower case, values decoded.
    attributes: Vec<(String, String)>,
}

impl Tag {
    /// The value of an attribute, without surrounding space; empty where it has none. Of several the first counts.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.trim())
    }
}

/// A part of a page. Comments are none, nor is what stands in scripts, styles and the like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token<'a> {
    /// `<name key="value">`.
    Start(Tag),
    /// `</name>`, the name in lower case.
    End(String),
    /// As it stands there; [`decode`] reads it. One text may come in several parts.
    Text(&'a str),
}

/// Every part of a page, in order. A tag that the page ends in is none.
pub fn tokens(html: &str) -> impl Iterator<Item = Token<'_>> {
    let mut rest = html;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let (after, token) = next_token(rest);
            rest = after;
            if token.is_some() {
                return token;
            }
        }
        None
    })
}

/// Every start tag, in order.
pub fn start_tags(html: &str) -> impl Iterator<Item = Tag> {
    tokens(html).filter_map(|token| match token {
        Token::Start(tag) => Some(tag),
        _ => None,
    })
}

/// Reads the text up to the next `<`, or what begins there; and where to read on.
fn next_token(html: &str) -> (&str, Option<Token<'_>>) {
    let (text, at) = html.split_at(html.find('<').unwrap_or(html.len()));
    if !text.is_empty() {
        return (at, Some(Token::Text(text)));
    }
    let rest = &at[1..];
    let opens = |text: &str| text.starts_with(|first: char| first.is_ascii_alphabetic());
    if let Some(comment) = rest.strip_prefix("!--") {
        (after_comment(comment), None)
    } else if let Some(end) = rest.strip_prefix('/').filter(|end| opens(end)) {
        read_tag(end).map_or(("", None), |(rest, tag)| (rest, Some(Token::End(tag.name))))
    } else if rest.starts_with(['!', '?', '/']) {
        (rest.split_once('>').map_or("", |(_, after)| after), None)
    } else if opens(rest) {
        let Some((rest, tag)) = read_tag(rest) else { return ("", None) };
        let text_only = TEXT_ONLY.contains(&&*tag.name);
        (if text_only { after_text(rest, &tag.name) } else { rest }, Some(Token::Start(tag)))
    } else {
        (rest, Some(Token::Text(&at[..1])))
    }
}

fn after_comment(comment: &str) -> &str {
    let at_once = [">", "->"].iter().find_map(|end| comment.strip_prefix(end));
    let ends_here = |at: &usize| ["--", "--!"].iter().any(|end| comment[..*at].ends_with(end));
    let end = comment.match_indices('>').map(|(at, _)| at).find(ends_here);
    at_once.unwrap_or_else(|| end.map_or("", |at| &comment[at + 1..]))
}

/// From the end tag of that element on; nothing if there is none.
fn after_text<'a>(html: &'a str, name: &str) -> &'a str {
    let ends_here = |at: usize| {
        let candidate = html[at + 2..].get(..name.len()).unwrap_or_default();
        let after = html[at + 2..].get(name.len()..).unwrap_or_default();
        candidate.eq_ignore_ascii_case(name)
            && after.starts_with(|next| is_space(next) || "/>".contains(next))
    };
    let end = html.match_indices("</").map(|(at, _)| at).find(|at| ends_here(*at));
    end.map_or("", |at| &html[at..])
}

/// Reads from a tag's name to behind its `>`; none if the page ends before.
fn read_tag(html: &str) -> Option<(&str, Tag)> {
    let (name, mut rest) = split_at(html, |next| is_space(next) || "/>".contains(next));
    let mut tag = Tag { name: name.to_ascii_lowercase(), attributes: Vec::new() };
    loop {
        rest = rest.trim_start_matches(|next| is_space(next) || next == '/');
        if let Some(rest) = rest.strip_prefix('>') {
            return Some((rest, tag));
        }
        // A `=` in front belongs to the name.
        let first = rest.chars().next()?.len_utf8();
        let (more, _) = split_at(&rest[first..], |next| is_space(next) || "/>=".contains(next));
        let (name, after) = rest.split_at(first + more.len());
        let (value, after) = match after.trim_start_matches(is_space).strip_prefix('=') {
            Some(value) => read_value(value.trim_start_matches(is_space))?,
            None => ("", after),
        };
        rest = after;
        tag.attributes.push((name.to_ascii_lowercase(), decode(value)));
    }
}

fn read_value(html: &str) -> Option<(&str, &str)> {
    let quote = html.chars().next()?;
    if quote == '"' || quote == '\'' {
        return html[1..].split_once(quote);
    }
    Some(split_at(html, |next| is_space(next) || next == '>'))
}

fn split_at(html: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    html.split_at(html.find(ends).unwrap_or(html.len()))
}

fn is_space(next: char) -> bool {
    matches!(next, ' ' | '\t' | '\n' | '\r' | '\x0c')
}

/// Replaces `&amp;`, `&#38;`, `&#x26;` and the like; leaves what is not known.
pub fn decode(value: &str) -> String {
    let (mut decoded, mut rest) = (String::with_capacity(value.len()), value);
    while let Some((before, entity)) = rest.split_once('&') {
        decoded.push_str(before);
        let (name, after) = split_at(entity, |next| !(next.is_ascii_alphanumeric() || next == '#'));
        let known = match after.strip_prefix(';') {
            Some(after) => character(name).map(|character| (character, after)),
            // These need no `;`, but where a parameter may have their name.
            None if UNENDED.contains(&name) && !after.starts_with('=') => {
                character(name).map(|character| (character, after))
            }
            None => None,
        };
        let (character, after) = known.unwrap_or(('&', entity));
        decoded.push(character);
        rest = after;
    }
    decoded + rest
}

/// Entities that are older than the `;`.
const UNENDED: [&str; 5] = ["amp", "AMP", "lt", "gt", "quot"];

fn character(entity: &str) -> Option<char> {
    match entity {
        "amp" | "AMP" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = entity.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use html5gum::{DefaultEmitter, Tokenizer};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    type Read = (String, BTreeMap<String, String>);

    /// What a tokeniser that follows the standard to the letter finds.
    fn expected(html: &str) -> Vec<Read> {
        let mut emitter = DefaultEmitter::default();
        emitter.naively_switch_states(true);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let start_tag = |token| match token {
            Ok(html5gum::Token::StartTag(tag)) => {
                let attributes = tag.attributes.iter().map(|(key, value)| (text(key), text(&value.value)));
                Some((text(&tag.name), attributes.collect()))
            }
            _ => None,
        };
        Tokenizer::new_with_emitter(html, emitter).filter_map(start_tag).collect()
    }

    fn read(html: &str) -> Vec<Read> {
        let read = |tag: Tag| {
            let mut attributes = BTreeMap::new();
            for (key, value) in tag.attributes {
                attributes.entry(key).or_insert(value);
            }
            (tag.name, attributes)
        };
        start_tags(html).map(read).collect()
    }

    #[test]
    fn odd_tags_are_read_as_the_standard_says() {
        for html in [
            "<A B=c D='e\"' f=\"'\" G h=/i/ ====j k = l / m/>",
            "<a b='1' b='2'><a b><a b=><a b= ><a b=c/>",
            "<!doctype html \"<x>\"><?xml <x>?></x <y>><x></ x><x></><x>",
            "<!--><a>--><b><!---><c>--><d><!-- <e> --!><f><!----><g><!--x--",
            "<script>'<a>' </scripty> </SCRIPT ><b><style><c></style><textarea><d></textarea/><e>",
            "<title><a></title<b></title><c><script><a>",
            "< a><a<b><1><a\n\tb\r\n>",
            "<a b=&amp;&lt;&gt;&quot;&#39;&#x26;&#X26; c=&nothing;&;&#;&#x;&>",
            "<a href='?a&amp&b' b='?a&amp=b' c=&amp>",
            "<a b='unfinished",
            "<a b",
        ] {
            assert_eq!(read(html), expected(html), "{html}");
        }
    }

    #[test]
    fn texts_and_end_tags_are_read_between_the_start_tags() {
        let read = |html| {
            let read = |token| match token {
                Token::Start(tag) => format!("<{}>", tag.name),
                Token::End(name) => format!("</{name}>"),
                Token::Text(text) => decode(text),
            };
            tokens(html).map(read).collect::<Vec<_>>()
        };
        assert_eq!(
            read("a &amp; <B>c</B\n><!-- d --> 1 < 2"),
            ["a & ", "<b>", "c", "</b>", " 1 ", "<", " 2"]
        );
        assert_eq!(
            read("<title>x</title><script>y</script>"),
            ["<title>", "</title>", "<script>", "</script>"]
        );
        assert_eq!(read("x<a"), ["x"]);
        assert_eq!(read("x</a"), ["x"]);
        assert_eq!(read(""), [""; 0]);
    }

    #[test]
    fn content_for_readers_without_scripts_counts() {
        let names: Vec<_> = start_tags("<noscript><meta></noscript>").map(|tag| tag.name).collect();
        assert_eq!(names, ["noscript", "meta"]);
    }

    /// A page that was mutated has the tags that a browser finds in it, in bounded time.
    #[test]
    fn a_mutated_page_is_read_as_the_standard_says() {
        let seeds = [
            "<!doctype html><a B=c D='e\"' f=\"'\" G h=/i/ j = k>x</a><!-- <b> --><c d=&amp;&#38;>",
            "<title><a></title><style><b></STYLE><textarea><d></textarea/><e f/><br/>",
            "<script>'<a>' </scripty> </SCRIPT ><b><?xml <x>?></x <y>></ x>",
        ];
        gleaner_testing::each_mutation(&seeds, |html| {
            let found = read(html);
            assert!(found.len() <= html.len());
            // Of scripts that hold comments see below. A zero becomes another character, and of line ends one kind
            // stays, neither of which is in a URL.
            let is_known = |rest: &str| {
                ["amp;", "#38;"].iter().any(|known| rest.starts_with(known))
                    || !rest.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '#')
            };
            // The other tokeniser calls itself for each attribute, and so cannot read long pages.
            let is_plain =
                html.split('&').skip(1).all(is_known) && !html.contains(['\0', '\r']) && html.len() < 500;
            if is_plain && !(html.contains("<!--") && html.to_ascii_lowercase().contains("<script")) {
                assert_eq!(found, expected(html), "{html}");
            }
        });
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(gleaner_testing::CASES))]

        #[test]
        fn any_page_is_read_as_the_standard_says(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "<", "</", ">", "/>", "<!--", "-->", "--!>", "-", "!", "?", "=", "\"", "'", " ", "\n", "/", "a", "é", "B c",
                    "<a b", "<a b=", "<title>", "</title>", "<script ", "</script", "<style>", "</STYLE>", "&amp;", "&#38;",
                ]),
                0..24,
            ),
        ) {
            let html = parts.concat();
            // A script that holds a comment that holds a script has states of its own, which no page needs.
            if !(html.contains("<script") && html.contains("<!--")) {
                prop_assert_eq!(read(&html), expected(&html));
            }
        }

        #[test]
        fn any_text_is_read_to_its_end(html in "(\\PC|[<>&;#x/'\"= -]){0,60}") {
            prop_assert!(tokens(&html).count() <= html.len());
        }
    }
}
