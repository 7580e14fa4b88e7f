//! Tests of validation: a table of bodies and reasons, and the recorded pages when they are at hand.

use gleaner_model::reason::FailureClass;

use super::*;
use crate::download::{HEAD, TAIL};
use crate::testing;

fn judge(body: &[u8]) -> Result<FileKind, Failure> {
    judge_declared(body, true)
}

fn judge_declared(body: &[u8], length_declared: bool) -> Result<FileKind, Failure> {
    let sample = Sample {
        head: &body[..body.len().min(HEAD)],
        tail: &body[body.len().saturating_sub(TAIL)..],
        size: body.len() as u64,
        media_type_declared: Some("application/pdf"),
        length_declared,
        accepted: &[FileKind::Pdf],
    };
    check(sample, &ContentConfig::default())
}

#[test]
fn a_pdf_counts() {
    let pdf = testing::pdf(1, "text", 2000);
    let marked = [b"\xef\xbb\xbf \n", pdf.as_slice()].concat();
    let trailed = [pdf.as_slice(), b"\n<!-- served by a.example -->\n"].concat();
    let without_eof = &pdf[..pdf.len() - "%%EOF\n".len()];
    for body in [&pdf, &marked, &trailed, without_eof] {
        assert_eq!(judge(body), Ok(FileKind::Pdf));
    }
}

#[test]
fn everything_else_has_its_reason() {
    let pdf = testing::pdf(1, "text", 9000);
    let page = |head: &str| format!("<!DOCTYPE html><html>{head}{}</html>", "<p>word word".repeat(900));
    let [article, gate, login] =
        ["An article", "Just a moment...", "Sign in"].map(|title| page(&format!("<title>{title}</title>")));
    let xml = format!("<?xml version=\"1.0\"?><article>{}</article>", "<p/>".repeat(900));
    let in_the_middle = [&pdf[..4000], b"startxref\nnowhere", &[b'x'; 1100]].concat();
    let table: [(&str, &[u8], Reason); 12] = [
        ("nothing", b"", Reason::Empty),
        ("a stub", b"%PDF-1.4\n%%EOF", Reason::TooSmall),
        ("a short text", b"Not found", Reason::TooSmall),
        ("a short page", b"<html>Not found</html>", Reason::HtmlInsteadOfPdf),
        ("a page", article.as_bytes(), Reason::HtmlInsteadOfPdf),
        ("a gate", gate.as_bytes(), Reason::ChallengePage),
        ("a login", login.as_bytes(), Reason::LoginPage),
        ("other XML", xml.as_bytes(), Reason::HtmlInsteadOfPdf),
        ("zeros", &[0; 4096], Reason::NotAPdf),
        ("text", &[b'x'; 4096], Reason::NotAPdf),
        ("half a PDF", &pdf[..pdf.len() / 2], Reason::Truncated),
        ("an old end in the middle", &in_the_middle, Reason::Truncated),
    ];
    for (what, body, reason) in table {
        assert_eq!(judge(body).unwrap_err().reason, reason, "{what}");
    }
}

#[test]
fn other_kinds_count_where_they_are_asked_for() {
    use FileKind::{Epub, Html, Jats, Pdf};
    let words = "<p>word word word word</p>".repeat(100);
    let [page, gate] = ["An article", "Just a moment..."]
        .map(|title| format!("<!DOCTYPE html><html><title>{title}</title>{words}</html>"));
    let article =
        format!("<?xml version=\"1.0\"?><article article-type=\"x\"><body>{words}</body></article>");
    let other = format!("<?xml version=\"1.0\"?><record>{words}</record>");
    let book = crate::epub::tests::book(&[("text.xhtml", &words)]);
    let pdf = testing::pdf(1, "text", 9000);
    let judge = |body: &[u8], accepted: &[FileKind]| {
        let (head, tail) = (&body[..body.len().min(HEAD)], &body[body.len().saturating_sub(TAIL)..]);
        let sample = Sample {
            head,
            tail,
            size: body.len() as u64,
            media_type_declared: None,
            length_declared: true,
            accepted,
        };
        check(sample, &ContentConfig::default()).map_err(|failure| failure.reason)
    };
    let all = [Pdf, Jats, Html, Epub];
    for (what, body, kind, otherwise) in [
        ("a page", page.as_bytes(), Html, Reason::HtmlInsteadOfPdf),
        ("an article", article.as_bytes(), Jats, Reason::HtmlInsteadOfPdf),
        ("a book", &book, Epub, Reason::NotAPdf),
        ("a PDF", &pdf, Pdf, Reason::NotAPdf),
    ] {
        assert_eq!(judge(body, &all), Ok(kind), "{what}");
        assert_eq!(judge(body, &[kind]), Ok(kind), "{what}");
        let others: Vec<_> = all.into_iter().filter(|other| *other != kind).collect();
        assert_eq!(judge(body, &others), Err(otherwise), "{what}");
    }
    assert_eq!(judge(gate.as_bytes(), &all), Err(Reason::ChallengePage));
    assert_eq!(judge(other.as_bytes(), &all), Err(Reason::HtmlInsteadOfPdf));
}

#[test]
fn sizes_are_limits_included() {
    let size = |text: &str| text.parse().unwrap();
    let config = ContentConfig::new(size("1KiB"), size("2KiB"), vec![FileKind::Pdf]).unwrap();
    for (bytes, reason) in
        [(1023, Some(Reason::TooSmall)), (1024, None), (2048, None), (2049, Some(Reason::TooLarge))]
    {
        assert_eq!(check_size(bytes, &config).err().map(|failure| failure.reason), reason, "{bytes}");
    }
}

#[test]
fn what_was_cut_on_the_way_is_tried_again() {
    let pdf = testing::pdf(1, "text", 9000);
    let half = &pdf[..pdf.len() / 2];
    let class = |declared| judge_declared(half, declared).unwrap_err().class;
    assert_eq!(class(true), FailureClass::Permanent);
    assert_eq!(class(false), FailureClass::Transient { retry_after: None });
}

#[test]
fn the_bytes_found_are_named() {
    let failure = judge(&[b"PK\x03\x04".as_slice(), &[b'x'; 4096]].concat()).unwrap_err();
    assert_eq!(failure.detail, "found application/zip, declared application/pdf");
}

#[test]
fn statuses_have_their_reasons() {
    let permanent = FailureClass::Permanent;
    let transient = FailureClass::Transient { retry_after: None };
    for (status, reason, class) in [
        (404, Reason::NotFound, permanent),
        (410, Reason::NotFound, permanent),
        (400, Reason::HttpStatus, permanent),
        (401, Reason::HttpStatus, permanent),
        (403, Reason::HttpStatus, permanent),
        (451, Reason::HttpStatus, permanent),
        (204, Reason::HttpStatus, permanent),
        (206, Reason::HttpStatus, permanent),
        (304, Reason::HttpStatus, permanent),
        (408, Reason::HttpStatus, transient),
        (500, Reason::HttpStatus, transient),
        (502, Reason::HttpStatus, transient),
    ] {
        let failure = status_failure(status, b"<html>words</html>");
        assert_eq!((failure.reason, failure.class), (reason, class), "{status}");
        assert_eq!(failure.detail, status.to_string());
    }
    let gate = status_failure(403, b"<title>Just a moment...</title>");
    assert_eq!((gate.reason, gate.detail.as_str()), (Reason::ChallengePage, "403, cloudflare"));
}

/// Pages that were really served; they are no part of the project. `GLEANER_RECORDED` names their folder.
#[test]
fn recorded_pages_are_refused() {
    let Some(folder) = std::env::var_os("GLEANER_RECORDED").map(std::path::PathBuf::from) else {
        return println!("skipped: GLEANER_RECORDED is not set");
    };
    let manifest = std::fs::read_to_string(folder.join("MANIFEST.jsonl")).unwrap();
    let mut seen = 0;
    for line in manifest.lines() {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        let file = entry["file"].as_str().unwrap();
        if entry["api"] != "landing" {
            continue;
        }
        let body = std::fs::read(folder.join(file)).unwrap();
        let expected = match (body.is_empty(), entry["expected"]["anti_bot_page"].as_bool()) {
            (true, _) => Reason::Empty,
            (false, Some(true)) => Reason::ChallengePage,
            (false, _) => Reason::HtmlInsteadOfPdf,
        };
        assert_eq!(judge(&body).unwrap_err().reason, expected, "{file}: {}", entry["what_it_shows"]);
        seen += 1;
    }
    assert!(seen >= 10, "only {seen} landing pages in {}", folder.display());
}
