//! Identifiers: the notations people use, and the properties that every input has.

use proptest::prelude::*;

use super::*;

fn parsed(text: &str) -> String {
    Identifier::parse(text).map_or_else(|error| format!("error: {error}"), |id| id.to_string())
}

#[test]
fn notations_of_one_work_have_one_spelling() {
    for text in [
        "10.1371/JOURNAL.pone.0000217",
        "doi:10.1371/journal.pone.0000217",
        "DOI: 10.1371/journal.pone.0000217",
        "https://doi.org/10.1371/journal.pone.0000217",
        "http://dx.doi.org/10.1371%2Fjournal.pone.0000217",
        "see doi:10.1371/journal.pone.0000217.",
        "(10.1371/journal.pone.0000217)",
        "https://example.org/landing?doi=10.1371/journal.pone.0000217",
    ] {
        assert_eq!(parsed(text), "doi:10.1371/journal.pone.0000217", "{text}");
    }
}

#[test]
fn every_scheme_is_recognised() {
    for (text, expected) in [
        (
            "10.1002/(SICI)1522-2594(199911)42:5<952::AID-MRM16>3.0.CO;2-S",
            "doi:10.1002/(sici)1522-2594(199911)42:5<952::aid-mrm16>3.0.co;2-s",
        ),
        ("10.1016/j.x.2012.05.002<http://dx.doi.org/10.1016/j.x.2012.05.002>", "doi:10.1016/j.x.2012.05.002"),
        ("arXiv:1706.03762v2", "arxiv:1706.03762v2"),
        ("hep-th/9711200", "arxiv:hep-th/9711200"),
        ("0706.0001v1 [q-bio.CB]", "arxiv:0706.0001v1"),
        ("https://arxiv.org/pdf/1706.03762.pdf", "arxiv:1706.03762"),
        ("PMID: 9659853", "pmid:9659853"),
        ("https://pubmed.ncbi.nlm.nih.gov/9659853/", "pmid:9659853"),
        ("PMC2808187", "pmcid:PMC2808187"),
        ("https://pmc.ncbi.nlm.nih.gov/articles/PMC2808187/", "pmcid:PMC2808187"),
        ("https://openalex.org/W2741809807", "openalex:W2741809807"),
        ("hal:hal-01345995v2", "hal:hal-01345995v2"),
        ("https://zenodo.org/records/1196821", "zenodo:1196821"),
        ("osf:EZCUJ", "osf:ezcuj"),
        ("isbn:0-306-40615-2", "isbn:9780306406157"),
        ("https://Example.ORG/paper 1.pdf#page=2", "url:https://example.org/paper%201.pdf"),
        ("10/GF4gqc", "shortdoi:10/gf4gqc"),
    ] {
        assert_eq!(parsed(text), expected, "{text}");
    }
}

#[test]
fn what_is_no_identifier_is_refused_with_a_hint() {
    for (text, part) in [
        ("9659853", "pmid:"),
        ("10.23750/abm.v88i2 -s.6506", "space"),
        ("10.4025/diálogos.v17i2.36030", "ASCII"),
        ("doi:10.506X/dryad.8515", "looks like"),
        ("doi:10.1234/", "looks like"),
        ("pmid:12a", "number"),
        ("isbn:9780306406158", "checks"),
        ("arXiv:0808.05394", "looks like"),
        ("https://thisisnouri", "dot"),
        ("ftp://example.org/x", "write a DOI"),
        ("some title of a paper", "write a DOI"),
        ("", "empty"),
    ] {
        let message = Identifier::parse(text).unwrap_err().to_string();
        assert!(message.contains(part), "{text}: {message}");
    }
}

#[test]
fn a_doi_can_imply_another_identifier() {
    let implied = |text: &str| Identifier::parse(text).unwrap().implied().map(|id| id.to_string());
    assert_eq!(implied("10.48550/arXiv.1706.03762"), Some("arxiv:1706.03762".into()));
    assert_eq!(implied("10.5281/zenodo.1196821"), Some("zenodo:1196821".into()));
    assert_eq!(implied("10.1371/journal.pone.0000217"), None);
}

/// Compares with what other projects' test suites assert, where those recordings are at hand.
#[test]
fn recorded_inputs_come_out_as_expected() {
    let Some(folder) = std::env::var_os("GLEANER_RECORDED") else { return };
    let text =
        std::fs::read_to_string(std::path::Path::new(&folder).join("inputs/identifiers.jsonl")).unwrap();
    let mut wrong = Vec::new();
    for line in text.lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let (input, kind) = (row["input"].as_str().unwrap(), row["kind"].as_str().unwrap());
        let expected = row["expected"].as_str();
        let found = Identifier::parse(input).ok().filter(|id| *id.scheme() != Scheme::Url);
        let spelt = found.as_ref().map(|id| match id.scheme() {
            Scheme::Other(_) => id.to_string(),
            _ => id.value().to_owned(),
        });
        if spelt.as_deref() != expected {
            wrong.push(format!("{kind} {input:?}: {spelt:?}, expected {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// DOIs as lists have them, by what is odd about each: what must come out follows from the oddness.
#[test]
fn odd_dois_of_real_lists_come_out_as_what_they_mean() {
    let Some(folder) = std::env::var_os("GLEANER_RECORDED") else { return };
    let path = std::path::Path::new(&folder).join("inputs/real_world_odd_dois.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    let (mut wrong, mut count) = (Vec::new(), 0);
    for line in text.lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let (input, category) = (row["input"].as_str().unwrap(), row["category"].as_str().unwrap());
        let plain: String = percent_encoding::percent_decode_str(input)
            .decode_utf8_lossy()
            .replace('\u{200b}', "")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .to_lowercase();
        // A linked DOI says itself twice; what a widget appended is no part of it.
        let plain = plain.split("<http").next().unwrap().split("#sthash").next().unwrap().trim();
        let expected = match category {
            "trailing_dot" | "trailing_punct" => plain.trim_end_matches(['.', ',', ';', ':']),
            "quote" => plain.trim_end_matches(['\'', '"', ')', ';']),
            _ => plain,
        };
        // Words behind a DOI in one field: which is meant is not guessed.
        let expected = (!expected.contains(' ') && expected.is_ascii()).then(|| format!("doi:{expected}"));
        let found = Identifier::parse(input).ok().map(|id| id.to_string());
        if found != expected {
            wrong.push(format!("{category} {input:?}: {found:?}, expected {expected:?}"));
        }
        count += 1;
    }
    assert!(wrong.is_empty() && count > 100, "{count}: {}", wrong.join("\n"));
}

#[test]
fn odd_dois_have_one_spelling() {
    for (text, expected) in [
        ("10.1000/\u{200b}abc", "doi:10.1000/abc"),
        ("10.%E2%80%8B1000/abc", "doi:10.1000/abc"),
        ("10.1000/abc.1#sthash.Xy7.dpuf", "doi:10.1000/abc.1"),
        ("10.1000/(abc)2:1<3::aid>3.0.co;2-#", "doi:10.1000/(abc)2:1<3::aid>3.0.co;2-#"),
        ("10.1000/a&LT;1&Gt;b&AMP;lT;c", "doi:10.1000/a<1>b<c"),
        ("10.1000/a%26LT%3B1", "doi:10.1000/a<1"),
        ("10.1000/abc+", "doi:10.1000/abc+"),
        ("10.1000//abc", "doi:10.1000//abc"),
        ("10.1000/abc');", "doi:10.1000/abc"),
        ("10.1000/a:1%3C2::AID%3E3%20%3Chttp://dx.doi.org/10.1000/a:1%3E", "doi:10.1000/a:1<2::aid>3"),
    ] {
        assert_eq!(parsed(text), expected, "{text}");
    }
}

fn messy() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "(doi:|https://doi.org/|arXiv:|PMC|isbn:|hal:|W)?10\\.[0-9]{3,5}/[ -~]{0,40}",
        "[ -~]{0,12}10\\.[0-9]{4}/(%[0-9a-fA-F]{2}|&([lLgG][tT]|[aA][mM][pP]);|[a-zA-Z().;<>/]){1,30}",
        "(arXiv:)?[0-9]{4}\\.[0-9]{4,5}(v[0-9])?",
        "https?://[a-z.]{1,20}/[ -~]{0,40}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn normalising_by_any_scheme_is_done_once(
        name in prop::sample::select(vec![
            "doi", "pmid", "pmcid", "arxiv", "openalex", "hal", "zenodo", "osf", "isbn", "url", "other",
        ]),
        text in prop_oneof![
            messy(),
            "(https://[a-z.]{1,9}/)?(pmid:|PMC|W|hal-|osf:)?[0-9a-z%-]{1,14}(v[0-9])?/?",
            "[0-9]{9}[0-9xX]|97[89][0-9-]{10,14}",
        ],
    ) {
        if let Ok(id) = Identifier::new(Scheme::from_name(name).unwrap(), &text) {
            let again = Identifier::new(id.scheme().clone(), id.value());
            prop_assert_eq!(again.as_ref(), Ok(&id));
        }
    }

    #[test]
    fn parsing_never_panics_and_normalising_twice_changes_nothing(text in messy()) {
        if let Ok(id) = Identifier::parse(&text) {
            let again = Identifier::new(id.scheme().clone(), id.value());
            prop_assert_eq!(again.as_ref(), Ok(&id));
            let json = serde_json::to_string(&id).unwrap();
            prop_assert_eq!(serde_json::from_str::<Identifier>(&json).unwrap(), id);
        }
    }
}
