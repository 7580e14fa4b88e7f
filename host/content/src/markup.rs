//! Whether a marked-up text is a full text: JATS with a body, a web page with an article on it.
//!
//! Must never expand an entity, nor load what a text refers to.

use gleaner_model::reason::{Failure, Reason};
use quick_xml::Reader;
use quick_xml::events::Event;

use crate::parse::truncated;
use crate::sniff;

/// A body with fewer words is a stub: a retraction notice, or "see the PDF".
const BODY_WORDS: usize = 200;

/// A page with fewer words outside its scripts has no article on it, only an abstract and menus.
const PAGE_WORDS: usize = 1500;

/// Checks a JATS article: closed, and with a body that has text.
///
/// # Errors
/// `truncated` when its end is missing, `not_a_pdf` when it has no text beyond its abstract.
pub(crate) fn check_jats(bytes: &[u8]) -> Result<(), Failure> {
    let text = String::from_utf8_lossy(bytes);
    let mut reader = Reader::from_str(&text);
    let (mut depth, mut body_at, mut words) = (0_u32, None, 0);
    loop {
        match reader.read_event() {
            Ok(Event::Start(tag)) => {
                depth += 1;
                if tag.local_name().as_ref() == "body" && body_at.is_none() {
                    body_at = Some(depth);
                }
            }
            Ok(Event::End(_)) => {
                if body_at == Some(depth) {
                    body_at = None;
                }
                depth = depth.saturating_sub(1);
            }
            Ok(Event::Text(text)) if body_at.is_some() => {
                words += text.split_whitespace().count();
            }
            Ok(Event::Eof) if depth == 0 => break,
            Ok(Event::Eof) => return Err(truncated("the article's markup does not end")),
            Ok(_) => {}
            // A slip of its author, or of the parser, in a text that has enough of a body.
            Err(_) if words >= BODY_WORDS => return Ok(()),
            Err(error) => return Err(truncated(format!("the article's markup breaks off: {error}"))),
        }
    }
    if words < BODY_WORDS {
        let detail = format!("a JATS article with {words} words in its body");
        return Err(Failure::permanent(Reason::NotAPdf, detail));
    }
    Ok(())
}

/// Checks a web page that is neither a gate nor a login.
///
/// # Errors
/// `truncated` when its end is missing, `html_instead_of_pdf` when there is no article on it.
pub(crate) fn check_html(bytes: &[u8]) -> Result<(), Failure> {
    let text = String::from_utf8_lossy(bytes).to_lowercase();
    let words = sniff::words(&text);
    if words < PAGE_WORDS {
        let detail = format!("a page of {words} words, no full text");
        return Err(Failure::permanent(Reason::HtmlInsteadOfPdf, detail));
    }
    // The end tag may be left out (HTML, section 13.1.2.4), but not by one who wrote a beginning.
    if text.contains("<html") && !text.contains("</html") {
        return Err(truncated("a page without its end"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn article(body_words: usize) -> String {
        let body = "<sec><p>word <italic>word</italic> &alpha; </p></sec>".repeat(body_words / 2);
        let front = format!("<front><abstract><p>{}</p></abstract></front>", "word ".repeat(300));
        format!(
            "<?xml version=\"1.0\"?><article article-type=\"x\">{front}<body>{body}</body><back/></article>\n"
        )
    }

    #[test]
    fn an_article_needs_a_body_and_an_end() {
        let whole = article(1000);
        assert_eq!(check_jats(whole.as_bytes()), Ok(()));
        for (what, text, reason) in [
            ("an abstract", article(0), Reason::NotAPdf),
            ("a stub", article(100), Reason::NotAPdf),
            ("half", whole[..whole.len() / 2].to_owned(), Reason::Truncated),
            ("no end", whole.replace("</article>", ""), Reason::Truncated),
            ("a slip early on", "<article><front></fron></article>".into(), Reason::Truncated),
        ] {
            assert_eq!(check_jats(text.as_bytes()).unwrap_err().reason, reason, "{what}");
        }
        let slip = whole.replace("<back/>", "<back></bakc>");
        assert_eq!(check_jats(slip.as_bytes()), Ok(()), "a slip behind the text");
    }

    #[test]
    fn a_page_needs_an_article_and_an_end() {
        let page = |words: usize, end: &str| {
            format!("<html><script>{}</script><p>{}{end}", "code ".repeat(3000), "word ".repeat(words))
        };
        assert_eq!(check_html(page(2000, "</p></html>").as_bytes()), Ok(()));
        for (what, text, reason) in [
            ("an abstract", page(300, "</html>"), Reason::HtmlInsteadOfPdf),
            ("no end", page(2000, ""), Reason::Truncated),
        ] {
            assert_eq!(check_html(text.as_bytes()).unwrap_err().reason, reason, "{what}");
        }
    }
}
