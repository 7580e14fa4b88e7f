//! What counts as a file, judged from its beginning, its end and its size.
//!
//! Pure functions. Must never let through what a later reader would call another thing than a full text:
//! a web page, a stub, the first half of a file.

use gleaner_model::reason::{Failure, Reason};

use crate::config::{ContentConfig, FileKind};
use crate::sniff::{self, Page, Sniffed, contains};

/// What is known of a body that arrived.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample<'a> {
    /// Its first bytes, up to [`crate::download::HEAD`].
    pub(crate) head: &'a [u8],
    /// Its last bytes, up to [`crate::download::TAIL`], padding left out.
    pub(crate) tail: &'a [u8],
    /// Bytes in all.
    pub(crate) size: u64,
    /// `Content-Type`, as declared.
    pub(crate) media_type_declared: Option<&'a str>,
    /// Whether the answer declared its length. If so, the body was cut short before it was sent.
    pub(crate) length_declared: bool,
    /// The kinds that count where it comes from.
    pub(crate) accepted: &'a [FileKind],
}

/// Which kind of accepted file it seems to be; [`crate::parse`] looks closer.
///
/// # Errors
/// Why it is none: `empty`, `challenge_page`, `login_page`, `html_instead_of_pdf`, `too_small`, `too_large`,
/// `not_a_pdf` or `truncated`.
pub(crate) fn check(sample: Sample<'_>, config: &ContentConfig) -> Result<FileKind, Failure> {
    if sample.size == 0 {
        return Err(Failure::permanent(Reason::Empty, "the body has no bytes"));
    }
    let found = sniff::sniff(sample.head);
    let kind = match found {
        Sniffed::Pdf => Some(FileKind::Pdf),
        Sniffed::Jats => Some(FileKind::Jats),
        Sniffed::Html => Some(FileKind::Html),
        Sniffed::Epub => Some(FileKind::Epub),
        Sniffed::Xml | Sniffed::Other(_) => None,
    };
    let kind = kind.filter(|kind| sample.accepted.contains(kind));
    if let Sniffed::Html | Sniffed::Xml | Sniffed::Jats = found {
        let page = sniff::page(sample.head);
        if kind.is_none() || page != Page::Plain {
            return Err(page_failure(found, page));
        }
    }
    check_size(sample.size, config)?;
    match kind {
        Some(FileKind::Pdf) => check_end(sample).map(|()| FileKind::Pdf),
        Some(kind) => Ok(kind),
        None => {
            let declared = sample.media_type_declared.unwrap_or("nothing");
            let detail = format!("found {}, declared {declared}", found.media_type());
            Err(Failure::permanent(Reason::NotAPdf, detail))
        }
    }
}

/// Why a page or another XML document is no full text.
fn page_failure(found: Sniffed, page: Page) -> Failure {
    match page {
        Page::Challenge(gate) => Failure::permanent(Reason::ChallengePage, gate),
        Page::Login(kind) => Failure::permanent(Reason::LoginPage, kind),
        Page::Plain => Failure::permanent(Reason::HtmlInsteadOfPdf, format!("found {}", found.media_type())),
    }
}

/// Sizes are limited to keep stubs and floods out.
pub(crate) fn check_size(size: u64, config: &ContentConfig) -> Result<(), Failure> {
    if size < config.min_size() {
        let detail = format!("{size} bytes, content.min-size is {}", config.min_size());
        return Err(Failure::permanent(Reason::TooSmall, detail));
    }
    if size > config.max_size() {
        return Err(too_large(config));
    }
    Ok(())
}

/// A body over the cap.
pub(crate) fn too_large(config: &ContentConfig) -> Failure {
    Failure::permanent(Reason::TooLarge, format!("content.max-size is {} bytes", config.max_size()))
}

/// A PDF ends in `%%EOF`, or at least says where its cross-references start.
fn check_end(sample: Sample<'_>) -> Result<(), Failure> {
    if contains(sample.tail, b"%%EOF") || has_startxref(sample.tail) {
        return Ok(());
    }
    let detail = "neither %%EOF nor startxref at its end";
    Err(if sample.length_declared {
        Failure::permanent(Reason::Truncated, detail)
    } else {
        Failure::transient(Reason::Truncated, detail)
    })
}

fn has_startxref(tail: &[u8]) -> bool {
    const KEYWORD: &[u8] = b"startxref";
    tail.windows(KEYWORD.len())
        .rposition(|window| window == KEYWORD)
        .and_then(|at| tail[at + KEYWORD.len()..].trim_ascii_start().first())
        .is_some_and(u8::is_ascii_digit)
}

/// Why an answer of that status is no file. `head` is the beginning of its body.
pub(crate) fn status_failure(status: u16, head: &[u8]) -> Failure {
    let detail = status.to_string();
    match status {
        404 | 410 => Failure::permanent(Reason::NotFound, detail),
        408 | 425 | 429 | 500.. => Failure::transient(Reason::HttpStatus, detail),
        _ => match sniff::page(head) {
            Page::Challenge(gate) => Failure::permanent(Reason::ChallengePage, format!("{status}, {gate}")),
            Page::Login(kind) => Failure::permanent(Reason::LoginPage, format!("{status}, {kind}")),
            Page::Plain => Failure::permanent(Reason::HttpStatus, detail),
        },
    }
}

#[cfg(test)]
mod tests;
