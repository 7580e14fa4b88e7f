//! Finds the element of a page that a selector means, and what it says. Must never take more than time and memory in
//! proportion to the page, however its elements are nested.

mod selector;

use crate::html::{Tag, Token, decode, tokens};
pub use selector::Selector;

/// Elements that hold nothing and have no end tag: <https://html.spec.whatwg.org/#void-elements>.
const VOID: [&str; 13] =
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"];

/// What stands deeper counts as standing at this depth, as in browsers.
const DEEPEST: usize = 512;

/// A URL's length, far above any.
const LONGEST_TEXT: usize = 8 << 10;

/// What a page says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// What links are relative to, where that is not the page's own URL.
    pub base: Option<String>,
    /// The attribute or the text of the element that was meant.
    pub value: Option<String>,
}

/// An element that is open: its end has yet to come. One whose end tag is left out is open until its parent's.
struct Open {
    name: String,
    ends: u32,
    /// Those of all it stands in too.
    above: u32,
}

/// The value of `attribute`, or else the text, of the element at `index` among those that match.
///
/// ```
/// use gleaner_sdk::select::{Selector, read};
///
/// let selector = Selector::parse("#files > a.pdf")?;
/// let said = read("<p id=files><a class=pdf href=1.pdf>Full text</a>", &selector, Some("href"), 0);
/// assert_eq!(said.value.as_deref(), Some("1.pdf"));
/// # Ok::<(), String>(())
/// ```
pub fn read(html: &str, selector: &Selector, attribute: Option<&str>, index: usize) -> Said {
    let (mut said, mut open, mut left) = (Said::default(), Vec::<Open>::new(), index);
    let mut parts = tokens(html);
    while let Some(part) = parts.next() {
        match part {
            Token::Start(tag) => {
                if tag.name == "base" && said.base.is_none() {
                    said.base = tag.get("href").map(str::to_owned);
                }
                let (parent, above) = open.last().map_or((0, 0), |parent| (parent.ends, parent.above));
                let ends = selector.ends(&tag, parent, above);
                if selector.is_complete(ends) {
                    if left == 0 {
                        said.value = match attribute {
                            Some(attribute) => tag.get(attribute).map(str::to_owned),
                            None => Some(text(&tag, &mut parts)),
                        };
                        break;
                    }
                    left -= 1;
                }
                if open.len() < DEEPEST && !VOID.contains(&&*tag.name) {
                    open.push(Open { name: tag.name, ends, above: above | ends });
                }
            }
            Token::End(name) => close(&mut open, &name),
            Token::Text(_) => {}
        }
    }
    said
}

fn close(open: &mut Vec<Open>, name: &str) {
    if let Some(at) = open.iter().rposition(|element| element.name == name) {
        open.truncate(at);
    }
}

/// The text of an element that has just begun, up to its end.
fn text<'a>(tag: &Tag, parts: &mut impl Iterator<Item = Token<'a>>) -> String {
    let (mut text, mut depth) = (String::new(), 1_usize);
    if VOID.contains(&&*tag.name) {
        return text;
    }
    for part in parts {
        match part {
            Token::Start(inner) if inner.name == tag.name => depth += 1,
            Token::End(name) if name == tag.name => depth -= 1,
            Token::Text(part) if text.len() < LONGEST_TEXT => text.push_str(&decode(part)),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"<!doctype html><head><base href="/x/"><meta name=a content="m.pdf"></head>
        <body><div id="main" class="one two"><p>x<br><a href="1.pdf" rel=nofollow>First <b>PDF</b></a>
        <ul><li><a class=pdf href='2.pdf?a=1&amp;b=2'>Second</a></ul></div>
        <p class="two"><A HREF="3.html" title="Full text">https://a.example/<i>3</i>.pdf?a&amp;b</A> tail</p>"#;

    fn value(selector: &str, attribute: Option<&str>, index: usize) -> Option<String> {
        read(PAGE, &Selector::parse(selector).unwrap(), attribute, index).value
    }

    #[test]
    fn every_part_of_a_selector_finds_its_elements() {
        for (selector, index, expected) in [
            ("a", 0, Some("1.pdf")),
            ("A", 1, Some("2.pdf?a=1&b=2")),
            ("a", 3, None),
            ("#main a", 1, Some("2.pdf?a=1&b=2")),
            ("#main > a", 0, None),
            ("div > p > a", 0, Some("1.pdf")),
            ("li>a", 0, Some("2.pdf?a=1&b=2")),
            (".two a", 2, Some("3.html")),
            ("p.two a", 0, Some("3.html")),
            ("div.one.two#main a", 0, Some("1.pdf")),
            ("#mai a", 0, None),
            (".tw a", 0, None),
            ("body *", 3, Some("1.pdf")),
            ("[rel]", 0, Some("1.pdf")),
            ("a[title]", 0, Some("3.html")),
            ("a[href='1.pdf']", 0, Some("1.pdf")),
            ("a[href^=\"2.\"]", 0, Some("2.pdf?a=1&b=2")),
            ("a[href$=html]", 0, Some("3.html")),
            ("a[ HREF *= '&b' ]", 0, Some("2.pdf?a=1&b=2")),
            ("a[title=\"Full text\"]", 0, Some("3.html")),
            ("ul a[title]", 0, None),
        ] {
            assert_eq!(value(selector, Some("href"), index).as_deref(), expected, "{selector} {index}");
        }
        assert_eq!(value("meta[name=a]", Some("content"), 0).as_deref(), Some("m.pdf"));
    }

    #[test]
    fn without_an_attribute_the_text_counts() {
        assert_eq!(value("[title]", None, 0).as_deref(), Some("https://a.example/3.pdf?a&b"));
        assert_eq!(value("#main a", None, 0).as_deref(), Some("First PDF"));
        assert_eq!(value("br", None, 0).as_deref(), Some(""));
        assert_eq!(read(PAGE, &Selector::parse("a").unwrap(), None, 0).base.as_deref(), Some("/x/"));
    }

    #[test]
    fn a_deep_page_is_read_in_bounds() {
        let deep = "<i>".repeat(300_000) + &"</b>".repeat(300_000) + "<a href=x>";
        let said = read(&deep, &Selector::parse("i a").unwrap(), Some("href"), 0);
        assert_eq!(said.value.as_deref(), Some("x"));
    }

    #[test]
    fn a_mutated_page_is_read() {
        let selector = Selector::parse("div > p a[href]").unwrap();
        gleaner_testing::each_mutation(&[PAGE], |html| {
            for attribute in [Some("href"), None] {
                let value = read(html, &selector, attribute, 0).value.unwrap_or_default();
                assert!(value.len() <= html.len());
            }
        });
    }

    #[test]
    fn a_mutated_selector_is_read_or_refused() {
        let seeds = ["div.one > p#a [href^=\"x\"] *", "a[ title = 'b' ][c]", "li"];
        gleaner_testing::each_mutation(&seeds, |text| match Selector::parse(text) {
            Ok(selector) => drop(read(PAGE, &selector, Some("href"), 0)),
            Err(why) => assert!(why.contains("the selector"), "{why}"),
        });
    }
}
