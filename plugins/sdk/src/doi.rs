//! DOIs as services write them. Must never take two DOIs for one because they look alike.

/// The DOI in what a service gives for one: without `https://doi.org/` or `doi:` in front, in lower case.
///
/// ```
/// assert_eq!(gleaner_sdk::bare_doi(" https://dx.doi.org/10.1000/A "), "10.1000/a");
/// ```
pub fn bare_doi(text: &str) -> String {
    let text = text.trim().to_lowercase();
    let fronts = ["https://", "http://", "dx.doi.org/", "doi.org/", "doi:"];
    let bare = fronts.iter().fold(&*text, |rest, front| rest.strip_prefix(front).unwrap_or(rest));
    bare.trim_start().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_doi_is_the_same() {
        for text in [
            "10.1000/A(b)",
            "doi:10.1000/a(B)",
            "DOI: 10.1000/a(b)",
            "http://doi.org/10.1000/a(b)",
            "https://DX.DOI.ORG/10.1000/a(b)\n",
        ] {
            assert_eq!(bare_doi(text), "10.1000/a(b)", "{text}");
        }
    }

    #[test]
    fn what_is_no_doi_becomes_none() {
        for text in ["", "https://a.example/10.1000/a", "10.1000/ab", "https://doi.org/10.1000/a%20"] {
            assert_ne!(bare_doi(text), "10.1000/a", "{text}");
        }
    }
}
