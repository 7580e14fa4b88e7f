//! What a link leads to, as far as the source's word and the URL's spelling tell. Must never know a service: hosts
//! whose links mean something of their own are the resolver's.

/// What stands behind a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leads {
    /// A PDF.
    ToPdf,
    /// A page about the work, or the work as a page.
    ToPage,
    /// One or the other.
    Somewhere,
}

impl Leads {
    /// Reads the source's word, a media type (`application/pdf`) or less (`PDF`, `html`), and where it has none that
    /// says something, the URL.
    ///
    /// ```
    /// use gleaner_sdk::Leads;
    ///
    /// assert_eq!(Leads::of("https://a.example/view/1", Some("PDF")), Leads::ToPdf);
    /// assert_eq!(Leads::of("https://a.example/1.pdf", None), Leads::ToPdf);
    /// assert_eq!(Leads::of("https://a.example/view/1", None), Leads::Somewhere);
    /// ```
    pub fn of(url: &str, word: Option<&str>) -> Self {
        let word = word.unwrap_or_default().to_ascii_lowercase();
        if word.contains("pdf") || (!word.contains("html") && path_says_pdf(url)) {
            Self::ToPdf
        } else if word.contains("html") {
            Self::ToPage
        } else {
            Self::Somewhere
        }
    }
}

/// Whether a URL's path says that a PDF is behind it: it ends so, or has a folder of that name.
pub fn path_says_pdf(url: &str) -> bool {
    let path = url.split(['?', '#']).next().unwrap_or_default().trim().to_ascii_lowercase();
    path.ends_with("pdf") || path.contains("/pdf/")
}

/// Whether a URL is that of a DOI, which leads to a page.
pub fn leads_through_doi_org(url: &str) -> bool {
    ["doi.org", "dx.doi.org", "www.doi.org"].iter().any(|doi| host_of(url).eq_ignore_ascii_case(doi))
}

/// A text as a phrase in the query syntax of Lucene, which Solr and Elasticsearch have too: in quotes, where these two
/// characters alone have a meaning.
///
/// ```
/// assert_eq!(gleaner_sdk::quoted("10.1000/a\"b"), "\"10.1000/a\\\"b\"");
/// ```
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The host that a URL names, as it is written there: without port and user, empty where there is none.
pub fn host_of(url: &str) -> &str {
    let rest = url.trim().split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    if host.starts_with('[') { host } else { host.split(':').next().unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sources_word_goes_before_the_spelling() {
        for (url, word, leads) in [
            ("https://a.example/1", Some("application/pdf"), Leads::ToPdf),
            ("https://a.example/1.pdf", Some("text/html"), Leads::ToPage),
            ("https://a.example/1.pdf", Some("XML"), Leads::ToPdf),
            ("https://a.example/1.PDF?x=1", Some(""), Leads::ToPdf),
            ("https://a.example/doi/pdf/10.1/x", None, Leads::ToPdf),
            ("https://a.example/1?as=pdf", None, Leads::Somewhere),
            ("https://a.example/1.html", None, Leads::Somewhere),
        ] {
            assert_eq!(Leads::of(url, word), leads, "{url} {word:?}");
        }
    }

    #[test]
    fn a_host_is_what_a_request_goes_to() {
        for (url, host) in [
            ("https://a.example/b.example", "a.example"),
            (" http://b.example@A.example:80?x", "A.example"),
            ("https://[2001:db8::1]:443/", "[2001:db8::1]:443"),
            ("a.example/x", ""),
            ("", ""),
        ] {
            assert_eq!(host_of(url), host, "{url}");
        }
    }

    #[test]
    fn a_mutated_link_leads_somewhere_and_its_host_is_a_part_of_it() {
        let seeds = ["https://user@a.example:80/pdf/1.pdf?x#y", "text/html", "http://[::1]/"];
        gleaner_testing::each_mutation(&seeds, |link| {
            assert!(link.contains(host_of(link)));
            let _ = (Leads::of(link, None), Leads::of("", Some(link)));
        });
    }
}
