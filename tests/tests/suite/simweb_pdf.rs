//! The PDFs that the simulated web serves are real ones.

use gleaner_tests::simweb::pdf::{document, size_for};

#[test]
fn documents_parse_and_have_pages_with_their_own_text() {
    for (seed, size) in [("https://a.org/(1).pdf", 1024), ("b", 40_000), ("https://ü.org/\\", 3 << 20)] {
        let parsed = lopdf::Document::load_mem(&document(seed, size)).unwrap();
        assert!(!parsed.get_pages().is_empty(), "{seed} has no pages");
    }
    let text = |seed| {
        let parsed = lopdf::Document::load_mem(&document(seed, 4096)).unwrap();
        parsed.extract_text(&[1]).unwrap()
    };
    assert!(text("https://a.org/1").contains("https://a.org/1"));
}

#[test]
fn documents_have_the_size_asked_for_and_end_as_pdfs_do() {
    for size in [1024, 1025, 65_536, 1_000_003] {
        let bytes = document("seed", size);
        assert_eq!(bytes.len(), size);
        assert!(bytes.starts_with(b"%PDF-1.4") && bytes.ends_with(b"%%EOF\n"));
    }
    assert!(
        document("a long seed, as long as the URLs of repositories may well be, and longer", 0).len() < 1024
    );
}

#[test]
fn the_same_seed_makes_the_same_bytes_and_another_seed_makes_others() {
    assert_eq!(document("a", 20_000), document("a", 20_000));
    assert_ne!(document("a", 20_000), document("b", 20_000));
}

#[test]
fn sizes_are_those_of_papers() {
    for n in 0..500 {
        let size = size_for(&format!("https://a.org/{n}"));
        assert!((24 << 10..=1 << 20).contains(&size), "{size}");
    }
}
