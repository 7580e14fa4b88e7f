//! Reads what a page says of its files. Must never follow a script, and never fail: a page in any shape says
//! something or nothing.

use gleaner_sdk::html::{Tag, start_tags};

/// Names under which pages state the URL of their PDF, in lower case. The first is what Google Scholar asks
/// publishers for: <https://scholar.google.com/intl/en/scholar/inclusion.html#indexing>.
const PDF_NAMES: [&str; 4] =
    ["citation_pdf_url", "bepress_citation_pdf_url", "eprints.document_url", "wkhealth_pdf_url"];

/// Links on a page, as they stand there.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Page {
    /// What links are relative to, where that is not the page's own URL.
    pub(crate) base: Option<String>,
    /// The DOIs of the work that the page is about, in lower case.
    pub(crate) dois: Vec<String>,
    /// The licence that the page links to as its own.
    pub(crate) license: Option<String>,
    /// Stated in the head as the PDF's URL.
    pub(crate) stated: Vec<String>,
    /// `<link type="application/pdf">`.
    pub(crate) alternate: Vec<String>,
    /// `<a type="application/pdf">`.
    pub(crate) anchors: Vec<String>,
}

impl Page {
    /// Whether it says that it is about another work than the one with these DOIs, in lower case. Another DOI of the same
    /// registrant is another article, or that of which the work is a review or a figure; one of its versions is the work. A DOI of somebody else is the work's at a publisher, a repository or an archive.
    pub(crate) fn is_about_another(&self, dois: &[&str]) -> bool {
        let may_be = |known: &str, stated: &str| {
            let registrant = |doi: &str| doi.split('/').next().map(str::to_owned);
            registrant(known) != registrant(stated) || is_version(known, stated) || is_version(stated, known)
        };
        let agrees = |stated: &String| dois.is_empty() || dois.iter().any(|known| may_be(known, stated));
        !self.dois.is_empty() && !self.dois.iter().any(agrees)
    }

    pub(crate) fn read(html: &str) -> Self {
        let mut page = Self::default();
        for tag in start_tags(html) {
            page.take_in(&tag);
        }
        page
    }

    fn take_in(&mut self, tag: &Tag) {
        let link = || tag.get("href").filter(|href| !href.is_empty()).map(str::to_owned);
        match &*tag.name {
            "base" if self.base.is_none() => self.base = link(),
            "meta" => {
                self.stated.extend(stated_pdf(tag));
                self.dois.extend(stated_doi(tag));
            }
            "link" | "a" if is_license(tag) => self.license = self.license.take().or_else(link),
            "link" if is_pdf(tag) => self.alternate.extend(link()),
            "a" if is_pdf(tag) => self.anchors.extend(link()),
            _ => {}
        }
    }
}

/// Whether a DOI is another, or one of its versions: `10.1000/a` and `10.1000/a.v2`.
fn is_version(whole: &str, of: &str) -> bool {
    let Some(rest) = of.strip_prefix(whole) else { return false };
    let number = rest.trim_start_matches(['.', '_', '-', '/']).strip_prefix('v');
    rest.is_empty() || number.is_some_and(|number| number.parse::<u32>().is_ok())
}

fn stated_pdf(meta: &Tag) -> Option<String> {
    let name = meta.get("name").or_else(|| meta.get("property"))?.to_ascii_lowercase();
    let content = meta.get("content").filter(|content| !content.is_empty())?;
    // Repositories give the file itself for an identifier.
    let is_file = || name == "dc.identifier" && content.to_ascii_lowercase().ends_with(".pdf");
    (PDF_NAMES.contains(&&*name) || is_file()).then(|| content.to_owned())
}

/// Some write a URL of their own where the DOI belongs.
fn stated_doi(meta: &Tag) -> Option<String> {
    let is_doi = meta.get("name").is_some_and(|name| name.eq_ignore_ascii_case("citation_doi"));
    let doi = meta.get("content").filter(|_| is_doi)?.to_ascii_lowercase();
    let fronts = ["https://", "http://", "dx.doi.org/", "doi.org/", "doi:"];
    let bare = fronts.iter().fold(doi.trim(), |rest, front| rest.strip_prefix(front).unwrap_or(rest)).trim();
    bare.starts_with("10.").then(|| bare.to_owned())
}

fn is_pdf(link: &Tag) -> bool {
    let essence = link.get("type").and_then(|media_type| media_type.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/pdf"))
}

fn is_license(link: &Tag) -> bool {
    let mut words = link.get("rel").unwrap_or_default().split_whitespace();
    words.any(|word| word.eq_ignore_ascii_case("license"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_name_a_file_is_read() {
        let page = Page::read(
            r#"<!DOCTYPE html><HTML><head><base href="/journal/"><base href="/other/">
            <META CONTENT=/1.pdf?a=1&amp;b=2 NAME=Citation_PDF_URL>
            <meta property='bepress_citation_pdf_url' content=' https://a.example/2.pdf '/>
            <meta name="DC.Identifier" content="https://a.example/3.PDF"><meta name="DC.Identifier" content="10.1000/a">
            <meta name="citation_doi" content="https://doi.org/10.1000/A"><meta name="Citation_DOI" content="https://a.example/1">
            <meta name="citation_pdf_url" content=""><meta name="citation_pdf_url"><meta content="x.pdf">
            <link rel=alternate type="application/pdf; x" href="4.pdf"><link rel="stylesheet" href="x.css">
            <link rel="nofollow License" href="https://creativecommons.org/licenses/by/4.0/">
            <body><a type='Application/PDF' href="5.pdf">PDF</a><a href="6.pdf">6</a><a type="application/pdf">7</a>"#,
        );
        let strings = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let expected = Page {
            base: Some("/journal/".to_owned()),
            dois: strings(&["10.1000/a"]),
            license: Some("https://creativecommons.org/licenses/by/4.0/".to_owned()),
            stated: strings(&["/1.pdf?a=1&b=2", "https://a.example/2.pdf", "https://a.example/3.PDF"]),
            alternate: strings(&["4.pdf"]),
            anchors: strings(&["5.pdf"]),
        };
        assert_eq!(page, expected);
    }

    #[test]
    fn a_page_of_another_work_is_told_from_one_of_another_version_or_copy() {
        let page = |dois: &[&str]| Page {
            dois: dois.iter().map(|doi| (*doi).to_owned()).collect(),
            ..Page::default()
        };
        let asked = ["10.1000/j.12"];
        for same in [
            &[][..],
            &["10.1000/j.12"],
            &["10.1000/j.12.v2"],
            &["10.1000/j.12_v1"],
            &["10.1000/j.13", "10.1000/j.12"],
            &["10.48550/arxiv.2401.00001"],
        ] {
            assert!(!page(same).is_about_another(&asked), "{same:?}");
        }
        for other in ["10.1000/j.13", "10.1000/j.1", "10.1000/j.12.review", "10.1000/j.12.2", "10.1000/x"] {
            assert!(page(&[other]).is_about_another(&asked), "{other}");
            assert!(!page(&[other]).is_about_another(&[]), "a work without a DOI: {other}");
            assert!(!page(&[other]).is_about_another(&["10.1000/j.12", other]), "{other}");
        }
        assert!(
            page(&["10.1371/journal.pone.0263309"]).is_about_another(&["10.1371/journal.pone.0263309.r001"])
        );
    }

    #[test]
    fn what_is_no_tag_says_nothing() {
        let tag = r#"<meta name="citation_pdf_url" content="/1.pdf">"#;
        for html in [
            format!("<!-- {tag} -->"),
            format!("<script>document.write('{tag}')</script>"),
            format!("<title>{tag}</title>"),
            format!("<textarea>{tag}</textarea>"),
            tag.replace('<', "&lt;"),
            tag[..tag.len() - 1].to_owned(),
        ] {
            assert_eq!(Page::read(&html), Page::default(), "{html}");
        }
    }
}
