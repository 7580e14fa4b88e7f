//! Tests of readable names, on a real directory; and for any title.

use gleaner_model::artifact::ArtifactId;
use gleaner_model::identifier::Identifier;
use proptest::prelude::*;

use super::*;

const SHA: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

struct Library {
    dir: tempfile::TempDir,
    names: Names,
}

impl Library {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("files")).unwrap();
        let names = Names::open(dir.path().join("files")).unwrap();
        Self { dir, names }
    }

    /// A blob of that content, and a name for it.
    fn name(&self, content: &str, stem: &str) -> String {
        let sha256 = crate::blobs::hex(&<sha2::Sha256 as sha2::Digest>::digest(content));
        let blob = self.dir.path().join("blobs").join(&sha256[..2]).join(&sha256[2..]);
        std::fs::create_dir_all(blob.parent().unwrap()).unwrap();
        if !blob.exists() {
            std::fs::write(&blob, content).unwrap();
        }
        self.names.assign(&blob, &sha256, stem, "pdf").unwrap()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.path().join("files").join(name)).unwrap()
    }

    fn count(&self) -> usize {
        std::fs::read_dir(self.dir.path().join("files")).unwrap().count()
    }
}

fn artifact(id: &str, title: &str) -> Artifact {
    let mut artifact = Artifact::of(Identifier::parse("10.1000/x").unwrap());
    artifact.id = ArtifactId::new(id).unwrap();
    artifact.title = Some(title.into());
    artifact
}

#[test]
fn names_are_safe_and_still_readable() {
    for (text, name) in [
        ("2017-Vaswani-Attention Is All You Need", "2017-Vaswani-Attention Is All You Need"),
        ("a/b\\c:d*e?f\"g<h>i|j", "a_b_c_d_e_f_g_h_i_j"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("  two\t\nlines  and   spaces ", "two lines and spaces"),
        ("...", ""),
        ("--help", "help"),
        ("The end.", "The end"),
        ("CON", "_CON"),
        ("nul.tar.gz", "_nul.tar.gz"),
        ("Com1 .x", "_Com1 .x"),
        ("LPT²", "_LPT²"),
        ("Compound", "Compound"),
        ("e\u{301}tude", "\u{e9}tude"),
        ("a\u{202e}fdp.exe\u{200b}", "afdp.exe"),
        ("\0a\u{7f}b", "_a_b"),
        ("a\u{fe0f}b\u{3164}c\u{34f}d\u{e0101}", "abcd"),
        ("\u{2066}CON\u{2069}", "_CON"),
        ("COM1 \u{2028}.", "_COM1"),
    ] {
        assert_eq!(safe(text, MAX_STEM), name, "{text:?}");
    }
}

#[test]
fn the_title_gives_way_first() {
    let mut long = artifact("id", &"Многоязычное название ".repeat(20));
    long.year = Some(1999);
    let template: NameTemplate = "{title}-{year}-{sha8}".parse().unwrap();
    let stem = stem(&template, &long, SHA);
    assert!(stem.len() <= MAX_STEM && stem.len() > MAX_STEM - 8, "{stem}");
    assert!(stem.starts_with("Многоязычное название") && stem.ends_with("-1999-01234567"), "{stem}");
}

#[test]
fn without_fields_the_artifact_names_the_file() {
    let template = NameTemplate::default();
    assert_eq!(stem(&template, &artifact("doi:10.1000/x", " "), SHA), "doi_10.1000_x");
    assert_eq!(stem(&template, &artifact("..", "."), SHA), "file-01234567");
}

#[test]
fn the_same_file_keeps_its_name() {
    let library = Library::new();
    assert_eq!(library.name("one", "Title"), "Title.pdf");
    assert_eq!(library.name("one", "Title"), "Title.pdf");
    assert_eq!(library.count(), 1);
    assert_eq!(library.name("one", "Other"), "Other.pdf");
}

#[test]
fn another_file_gets_another_name_and_keeps_it() {
    let library = Library::new();
    assert_eq!(library.name("one", "Title"), "Title.pdf");
    assert_eq!(library.name("two", "Title"), "Title (2).pdf");
    assert_eq!(library.name("three", "TITLE"), "TITLE (3).pdf");
    assert_eq!(library.name("two", "Title"), "Title (2).pdf");
    assert_eq!([library.read("Title.pdf"), library.read("Title (2).pdf")], ["one", "two"]);
}

#[test]
fn names_are_remembered_over_runs() {
    let mut library = Library::new();
    library.name("one", "Straße");
    library.names = Names::open(library.dir.path().join("files")).unwrap();
    assert_eq!(library.name("two", "STRASSE"), "STRASSE (2).pdf");
    assert_eq!(library.name("one", "Straße"), "Straße.pdf");
}

#[test]
fn many_files_of_one_title_end_in_their_hash() {
    let library = Library::new();
    let names: Vec<_> = (0..30).map(|n| library.name(&n.to_string(), "Editorial")).collect();
    assert_eq!(names[8], "Editorial (9).pdf");
    assert!(names[9..].iter().all(|name| name.len() == "Editorial 01234567.pdf".len()), "{names:?}");
    let again: Vec<_> = (0..30).map(|n| library.name(&n.to_string(), "Editorial")).collect();
    assert_eq!(names, again);
    assert_eq!(library.count(), 30);
}

#[test]
fn a_name_of_somebody_else_is_never_replaced() {
    let library = Library::new();
    std::fs::write(library.dir.path().join("files/Title.pdf"), "notes").unwrap();
    assert_eq!(library.name("one", "Title"), "Title (2).pdf");
    assert_eq!(library.read("Title.pdf"), "notes");
}

#[test]
fn a_symbolic_link_counts_as_the_name() {
    let library = Library::new();
    library.name("one", "First");
    let blob = |name: &str| {
        let sha256 = crate::blobs::hex(&<sha2::Sha256 as sha2::Digest>::digest(name));
        library.dir.path().join("blobs").join(&sha256[..2]).join(&sha256[2..])
    };
    let path = library.dir.path().join("files/Linked.pdf");
    std::os::unix::fs::symlink(relative(&blob("one")), &path).unwrap();
    assert_eq!(library.read("Linked.pdf"), "one");
    assert!(is_link(&path, &blob("one")));
    assert!(!is_link(&path, &blob("two")));
}

#[test]
fn threads_that_want_one_name_get_different_ones() {
    let library = Library::new();
    let names: Vec<_> = std::thread::scope(|scope| {
        let wanted: Vec<_> = (0..8)
            .map(|n| {
                scope.spawn({
                    let library = &library;
                    move || library.name(&(n / 2).to_string(), "T")
                })
            })
            .collect();
        wanted.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (index, pair) in names.chunks(2).enumerate() {
        assert_eq!(pair[0], pair[1], "one file, one name");
        assert_eq!(library.read(&pair[0]), index.to_string());
    }
    assert_eq!(library.count(), 4);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_title_gives_a_safe_name(title in "\\PC{0,200}|[\\x00-\\x7f]{0,300}|(CON|nul|\\.|/|\\\\|-| ){0,9}", year: Option<u16>) {
        let mut artifact = artifact("doi:10.1000/x", &title);
        artifact.year = year;
        let stem = stem(&NameTemplate::default(), &artifact, SHA);
        prop_assert!((1..=MAX_STEM).contains(&stem.len()), "{stem:?}");
        prop_assert!(!stem.chars().any(|c| is_reserved(c) || is_invisible(c)), "{stem:?}");
        prop_assert!(!stem.starts_with(['.', ' ', '-']) && !stem.ends_with(['.', ' ', '-']), "{stem:?}");
        prop_assert!(!is_device(&stem), "{stem:?}");
        prop_assert_eq!(stem.nfc().collect::<String>(), stem.clone());
        let path = Path::new(&stem);
        prop_assert_eq!(path.file_name().and_then(|name| name.to_str()), Some(&*stem));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn two_files_never_share_a_name(wanted in proptest::collection::vec(("[ab]", "[aAbBßS]{1,2}"), 1..20)) {
        let library = Library::new();
        let mut owner = std::collections::HashMap::new();
        for (content, stem) in wanted {
            let name = library.name(&content, &stem);
            prop_assert_eq!(library.read(&name), content.clone());
            prop_assert!(name.len() <= MAX_STEM + ".pdf".len());
            let owned = owner.entry(fold(&name)).or_insert_with(|| content.clone());
            prop_assert_eq!(&*owned, &content);
        }
    }
}

/// Names that some file system takes for one: without case (NTFS, exFAT), decomposed (HFS+), both (APFS).
#[test]
fn names_that_a_file_system_takes_for_one_fold_to_one() {
    for (one, other) in [
        ("Straße", "STRASSE"),
        ("STRAẞE", "Straße"),
        ("\u{e9}tude", "e\u{301}tude"),
        ("\u{212a}elvin", "kelvin"),
        ("\u{fb01}nal", "FINAL"),
        ("ΑΣ", "ας"),
        ("ǅ", "ǆ"),
    ] {
        assert_eq!(fold(one), fold(other), "{one} {other}");
        let library = Library::new();
        let names = [library.name("one", one), library.name("two", other)];
        assert!(names[1].ends_with(" (2).pdf"), "{names:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn spellings_of_a_name_fold_alike(name in "\\PC{0,40}") {
        let folded = fold(&name);
        prop_assert_eq!(&fold(&folded), &folded, "twice");
        prop_assert_eq!(&fold(&name.nfd().collect::<String>()), &folded, "decomposed");
        prop_assert_eq!(&fold(&name.nfc().collect::<String>()), &folded, "composed");
        let other_case = |convert: fn(char) -> char| name.chars().map(convert).collect::<String>();
        // As file systems do it: letter by letter, where a letter has one counterpart.
        let lower = other_case(|c| { let mut to = c.to_lowercase(); if to.len() == 1 { to.next().unwrap_or(c) } else { c } });
        let upper = other_case(|c| { let mut to = c.to_uppercase(); if to.len() == 1 { to.next().unwrap_or(c) } else { c } });
        prop_assert_eq!(&fold(&lower), &folded, "small");
        prop_assert_eq!(&fold(&upper), &folded, "capital");
    }
}
