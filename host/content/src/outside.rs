//! What comes from outside: ten thousand mutations of name templates, of the fields that fill them, of the
//! `[content]` section and of bodies; and every error of this crate as people read it, approved in `messages.txt`.

use std::path::Path;

use gleaner_model::artifact::Artifact;
use gleaner_model::identifier::Identifier;
use gleaner_model::reason::Failure;
use gleaner_testing::{CASES, Messages, each_mutation, each_mutation_of_bytes};

use crate::blobs::BlobProblem;
use crate::config::{ContentConfig, FileKind};
use crate::download::{HEAD, TAIL};
use crate::names::{self, MAX_STEM};
use crate::template::NameTemplate;
use crate::validate::{self, Sample};
use crate::{ContentError, ErrorContext, epub, markup, pdf, sniff, testing};

const SHA: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn artifact() -> Artifact {
    let mut artifact = Artifact::of(Identifier::parse("10.1000/a<b>:c").unwrap());
    artifact.title = Some("Attention Is All You Need".into());
    artifact.authors = vec!["Vaswani, Ashish".into()];
    artifact.year = Some(2017);
    artifact
}

/// A name that stays in its directory on every file system, and is no option, no device and not hidden.
fn assert_is_safe(stem: &str) {
    assert!((1..=MAX_STEM).contains(&stem.len()), "{stem:?}");
    assert!(!stem.chars().any(names::is_reserved), "{stem:?}");
    assert!(!stem.starts_with(['.', ' ', '-']) && !stem.ends_with(['.', ' ', '-']), "{stem:?}");
    let base = stem.split('.').next().unwrap().trim_end().to_ascii_uppercase();
    assert!(!["CON", "NUL", "AUX", "PRN", "COM1", "LPT9"].contains(&&*base), "{stem:?}");
    assert_eq!(Path::new(stem).file_name().and_then(|name| name.to_str()), Some(stem));
}

#[test]
fn a_mutated_template_is_refused_or_gives_safe_names() {
    let artifacts = [artifact(), Artifact::of(Identifier::parse("pmid:7").unwrap())];
    let seeds = [
        "{year}-{first_author}-{title}",
        "a {doi}_{sha8} z",
        "{artifact_id}",
        "CON",
        "{title} ({year}).",
        "{title}.{ext}",
        "{{",
    ];
    each_mutation(&seeds, |text| match text.parse::<NameTemplate>() {
        Ok(template) => {
            assert_eq!(template.to_string(), text, "a template reads back as it was written");
            artifacts.iter().for_each(|artifact| assert_is_safe(&names::stem(&template, artifact, SHA)));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    });
}

#[test]
fn a_mutated_field_gives_a_safe_name() {
    let seeds = [
        "Attention Is All You Need",
        "../../etc/passwd",
        "CON.aux",
        "-rf .",
        "\u{202e}fdp.exe e\u{301}\u{200d}",
        "COM1\\LPT9:",
        "Müller, Änne",
    ];
    let templates = ["{year}-{first_author}-{title}", "{title}", "{first_author}", "{artifact_id}"];
    let templates = templates.map(|text| text.parse::<NameTemplate>().unwrap());
    each_mutation(&seeds, |text| {
        let mut artifact = artifact();
        artifact.title = Some(text.to_owned());
        artifact.authors = vec![text.to_owned()];
        if let Ok(id) = gleaner_model::artifact::ArtifactId::new(text) {
            artifact.id = id;
        }
        templates.iter().for_each(|template| assert_is_safe(&names::stem(template, &artifact, SHA)));
    });
}

#[test]
fn a_mutated_hash_leads_into_the_library_or_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let content =
        crate::Content::open(dir.path(), ContentConfig::default(), NameTemplate::default()).unwrap();
    each_mutation(&[SHA, "../../etc/passwd", "ab/cdef"], |text| {
        let path = content.blob_path(text);
        assert!(path.is_none_or(|path| path.parent().unwrap().parent().unwrap() == dir.path().join("blobs")));
    });
}

#[test]
fn a_mutated_section_is_refused_or_fits_some_file() {
    each_mutation(&["max-size = \"512MiB\"\nmin-size = \"1KiB\"\naccept = [\"pdf\"]\n"], |text| {
        let Ok(config) = toml::from_str::<ContentConfig>(text) else { return };
        assert!(
            config.min_size() <= config.max_size() && config.accepted_from(None).contains(&FileKind::Pdf)
        );
        let again: ContentConfig = toml::from_str(&toml::to_string(&config).unwrap()).unwrap();
        assert_eq!(again, config);
    });
}

fn sample(body: &[u8]) -> Sample<'_> {
    Sample {
        head: &body[..body.len().min(HEAD)],
        tail: &body[body.len().saturating_sub(TAIL)..],
        size: body.len() as u64,
        media_type_declared: Some("application/pdf"),
        length_declared: body.len().is_multiple_of(2),
        accepted: &[FileKind::Pdf],
    }
}

fn pages() -> [Vec<u8>; 4] {
    [
        "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body><p>Checking your browser",
        "<title>University - Log in</title><form action=/idp/profile/SAML2/POST><input type=\"password\">",
        "<script>if (a < b) { c = '</script>' }</script><style>x</style><p>An article &amp; more</p>",
        "\u{feff}<?xml version=\"1.0\"?><article>İ</article>",
    ]
    .map(|page| page.as_bytes().to_vec())
}

#[test]
fn a_mutated_body_counts_only_as_what_it_is() {
    let config = ContentConfig::default();
    let small =
        ContentConfig::new("1".parse().unwrap(), "1MiB".parse().unwrap(), vec![FileKind::Pdf]).unwrap();
    let mut seeds = pages().to_vec();
    seeds.extend([
        testing::pdf(1, "text", 800),
        testing::pdf(2, "<html>", 1200),
        b"PK\x03\x04{\\rtf%!PS".to_vec(),
    ]);
    each_mutation_of_bytes(CASES, &seeds, |body| {
        let _ = sniff::sniff(body).media_type();
        for config in [&config, &small] {
            let Ok(kind) = validate::check(sample(body), config) else { continue };
            assert_eq!(kind, FileKind::Pdf);
            assert!(sniff::contains(&body[..body.len().min(1024)], b"%PDF-"), "no PDF was taken for one");
            assert!(!body.trim_ascii_start().starts_with(b"<"), "a page was taken for a PDF");
            assert!(config.min_size() <= body.len() as u64);
        }
        for status in [403, 503] {
            assert!(!validate::status_failure(status, body).detail.is_empty());
        }
    });
}

/// The parser is another's; a panic of it is caught where files are checked, and may not happen here either.
#[test]
fn a_mutated_pdf_opens_or_does_not() {
    let mut seeds = [1, 3].map(|pages| testing::pdf(pages, "text", 200)).to_vec();
    seeds.extend([testing::pdf(0, "text", 100), testing::encrypted(""), testing::encrypted("sesame")]);
    each_mutation_of_bytes(CASES, &seeds, pdf::tests::opens);
}

#[test]
fn a_mutated_text_or_book_is_judged() {
    let text = format!(
        "<article article-type=\"x\"><body>{}&amp;<!--x--><![CDATA[y]]></body></article>",
        "w ".repeat(300)
    );
    let book = crate::epub::tests::book(&[
        ("META-INF/container.xml", "x"),
        ("META-INF/encryption.xml", "Algorithm=\"x"),
    ]);
    let mut seeds = pages().to_vec();
    seeds.extend([text.into_bytes(), book]);
    each_mutation_of_bytes(CASES, &seeds, |body| {
        for judged in [markup::check_jats(body), markup::check_html(body), epub::check(body)] {
            assert!(judged.is_ok() || !judged.unwrap_err().detail.is_empty());
        }
    });
}

/// What a body that is no file is refused for.
fn refusals(messages: &mut Messages) {
    let config = ContentConfig::default();
    let pdf = testing::pdf(1, "text", 9000);
    let page = b"<html>An article".repeat(100);
    let bodies: [(&str, &[u8]); 6] = [
        ("an empty body", b""),
        ("a stub", b"%PDF-1.4\n%%EOF"),
        ("a page", &page),
        ("a gate", &pages()[0]),
        ("zeros", &[0; 4096]),
        ("half a PDF", &pdf[..pdf.len() / 2]),
    ];
    let mut say = |when: &str, failure: Failure| {
        messages.text(when, format_args!("{}: {}", failure.reason, failure.detail));
    };
    for (when, body) in bodies {
        say(when, validate::check(sample(body), &config).unwrap_err());
    }
    say("a flood", validate::too_large(&config));
    say("a gate with a status", validate::status_failure(403, &pages()[0]));
    say("a status", validate::status_failure(500, b""));
    let stub = format!("<article><body>{}</body></article>", "word ".repeat(9));
    for (when, text) in [
        ("an article that is cut off", "<article><front>"),
        ("an article that is cut amid a tag", "<article><fro"),
        ("an article without a text", &stub),
    ] {
        say(when, markup::check_jats(text.as_bytes()).unwrap_err());
    }
    let cut = format!("<html>{}", "word ".repeat(2000));
    say("an abstract's page", markup::check_html(b"<html>an abstract</html>").unwrap_err());
    say("a page that is cut off", markup::check_html(cut.as_bytes()).unwrap_err());
    let book = crate::epub::tests::book;
    for (when, bytes) in [
        ("half an archive", b"PK".to_vec()),
        ("an archive of something else", book(&[])),
        ("a book that is not free", book(&[("META-INF/container.xml", ""), ("META-INF/license.lcpl", "")])),
    ] {
        say(when, epub::check(&bytes).unwrap_err());
    }
}

#[tokio::test]
async fn messages_are_as_they_were_read_and_approved() {
    let mut messages = Messages::new();
    let refused = || std::io::Error::other("no space left on device");
    for (action, path) in [
        ("create a temporary file in", "library/tmp"),
        ("create the name", "library/files/Title.pdf"),
        ("find a free name for", "library/files/Title"),
        ("write", "library/blobs/ab"),
    ] {
        let error = Err::<(), _>(refused()).context(action, Path::new(path)).unwrap_err();
        messages.error(&error);
    }
    for (text, min, max) in
        [("accept = []", "", ""), ("accept-by-host = { \"a b\" = [] }", "", ""), ("", "2KiB", "1KiB")]
    {
        let text = format!(
            "{text}\n{}",
            if min.is_empty() { String::new() } else { format!("min-size = {min:?}\nmax-size = {max:?}") }
        );
        messages.text(
            "a section that fits no file",
            toml::from_str::<ContentConfig>(&text).unwrap_err().message(),
        );
    }
    let size = |text: &str| text.parse().unwrap();
    messages.text(
        "a file that no parser gets to the end of",
        "/library/tmp/download-x keeps its parser busy and is not looked into",
    );
    messages.error(&ContentConfig::new(size("2KiB"), size("1KiB"), vec![FileKind::Pdf]).unwrap_err());
    for template in ["{journal}", "{title", "title", "{title}:"] {
        let error: ContentError = template.parse::<NameTemplate>().unwrap_err();
        messages.error(&error);
    }
    let path = || "library/blobs/ab/cdef".into();
    for problem in [
        BlobProblem::NotAHash("abc".into()),
        BlobProblem::Missing(path()),
        BlobProblem::Changed { path: path(), found: SHA.into() },
        BlobProblem::Unreadable { path: path(), source: std::io::Error::other("input/output error") },
    ] {
        messages.error(&problem);
    }
    refusals(&mut messages);
    let stopped = crate::blocking::<()>(|| panic!("a test")).await.unwrap_err();
    let (what, _) = stopped.detail.split_once(": ").unwrap();
    messages.text("a thread that stopped", format_args!("{what}: it panicked"));
    pdf::tests::refusals().iter().for_each(|said| messages.text("a PDF that cannot be read", said));
    messages.text("a cut body", "received 7 bytes, declared 9");
    messages.text("too slow", "7 bytes in 120 s, content.lowest-speed is 1KiB/s");
    messages.text("log", crate::NoSpace { free: 7, floor: 1 << 30 });
    for text in ["speed-window = \"0s\"", "lowest-speed = \"1KiB\""] {
        messages.text(
            "a speed that cannot be used",
            toml::from_str::<ContentConfig>(text).unwrap_err().message(),
        );
    }
    messages.text("log", "a damaged blob is replaced");
    messages.text("log", "a lost blob is made from its readable name");
    messages.assert_approved(env!("CARGO_MANIFEST_DIR"));
}
