//! DOIs: ISO 26324 names, compared without case.
//!
//! Must never change which DOI is meant: brackets, slashes and semicolons belong to old DOIs.

use percent_encoding::percent_decode_str;

/// The normal form of a DOI that may stand in a URL, behind `doi:`, or among other text.
pub(super) fn normalise(text: &str) -> Result<String, &'static str> {
    let text = decode(text);
    let start = find(&text).ok_or("a DOI looks like 10.1371/journal.pone.0000217")?;
    let (doi, rest) = match text[start..].find(char::is_whitespace) {
        Some(space) => (&text[start..start + space], text[start + space..].trim_start()),
        None => (&text[start..], ""),
    };
    let is_prose = text[..start].contains(char::is_whitespace);
    if !(rest.is_empty() || is_prose || rest.starts_with("<http")) {
        return Err("it has a space in it; give one identifier a line");
    }
    // `10.1016/x<http://dx.doi.org/10.1016/x>` is how some reference managers export a linked DOI.
    let doi = doi.find("<http").map_or(doi, |end| &doi[..end]);
    // What a sharing widget adds to a page's address, copied with the DOI. A `#` alone may belong to a DOI.
    let doi = doi.find("#sthash.").map_or(doi, |end| &doi[..end]);
    let doi = trim_punctuation(doi);
    if doi.ends_with('/') {
        return Err("nothing follows the slash");
    }
    if !doi.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(
            "it has a character outside printable ASCII; copy the DOI again from the publisher's page",
        );
    }
    Ok(doi.to_owned())
}

/// Undoes percent-encoding, case and the three HTML entities that exports leave behind, until nothing changes, so that
/// normalising twice is normalising once: `&LT;` is an entity as soon as it is in small letters.
fn decode(text: &str) -> String {
    let mut text = text.to_owned();
    loop {
        let decoded = percent_decode_str(&text).decode_utf8_lossy().to_ascii_lowercase();
        let decoded = decoded.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        // Web pages put them where a line may break; nobody sees them, and no DOI has one.
        let decoded = decoded.replace(['\u{200b}', '\u{feff}'], "");
        if decoded == text {
            return text;
        }
        text = decoded;
    }
}

/// Where `10.<3 to 9 digits>[.<digits>...]/` begins.
fn find(text: &str) -> Option<usize> {
    text.match_indices("10.").map(|(at, _)| at).find(|&at| {
        let continues_a_number = text[..at].ends_with(|c: char| c.is_ascii_digit() || c == '.');
        let Some((registrant, suffix)) = text[at + 3..].split_once('/') else { return false };
        let mut parts = registrant.split('.');
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let first_fits = parts.next().is_some_and(|p| digits(p) && (3..=9).contains(&p.len()));
        !continues_a_number && first_fits && parts.all(digits) && !suffix.is_empty()
    })
}

/// Takes off what surrounds a DOI in running text: punctuation at the end, and closing brackets that
/// were not opened inside it.
fn trim_punctuation(mut doi: &str) -> &str {
    while let Some(last) = doi.chars().next_back() {
        let opener = match last {
            ')' => '(',
            ']' => '[',
            '>' => '<',
            '}' => '{',
            '.' | ',' | ';' | ':' | '\'' | '"' => {
                doi = &doi[..doi.len() - 1];
                continue;
            }
            _ => break,
        };
        if doi.matches(last).count() <= doi.matches(opener).count() {
            break;
        }
        doi = &doi[..doi.len() - 1];
    }
    doi
}
