//! The interface of resolvers changes only with its version: what was released keeps its shape, its bindings, and a
//! component that was built for it.
//!
//! The rules are in `wit/README.md`; `golden` of the plugin host runs the kept components. Must never look at comments:
//! those may become clearer.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use wit_parser::Resolve;

use crate::holdings::sha256;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folders of `wit/`, by name.
fn packages() -> Vec<String> {
    let entries = fs::read_dir(root().join("wit")).unwrap().map(|entry| entry.unwrap());
    let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
    let mut names: Vec<_> = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// `wit/released.txt`: the digest of each released package.
fn released() -> BTreeMap<String, String> {
    let text = fs::read_to_string(root().join("wit/released.txt")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let pairs = lines.map(|line| line.split_once(' ').unwrap_or_else(|| panic!("not NAME DIGEST: {line}")));
    pairs.map(|(name, digest)| (name.to_owned(), digest.to_owned())).collect()
}

/// What is left of WIT without comments, every run of white space as one blank. WIT has no text in quotes.
fn shape(text: &str) -> String {
    let mut rest = text;
    let mut kept = String::new();
    while let Some(at) = rest.find('/') {
        let (before, comment) = rest.split_at(at);
        kept += before;
        rest = if comment.starts_with("//") {
            comment.split_once('\n').map_or("", |(_, rest)| rest)
        } else if comment.starts_with("/*") {
            comment.split_once("*/").map_or("", |(_, rest)| rest)
        } else {
            kept.push('/');
            &comment[1..]
        };
        kept.push(' ');
    }
    kept += rest;
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Over all files of a package, in the order of their names.
fn digest(package: &str) -> String {
    let entries = fs::read_dir(root().join("wit").join(package)).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let text: String = files.iter().map(|file| shape(&fs::read_to_string(file).unwrap())).collect();
    sha256(text.as_bytes())
}

#[test]
fn a_released_package_keeps_its_shape() {
    let released = released();
    for package in packages() {
        let digest = digest(&package);
        let known = released.get(&package).unwrap_or_else(|| {
            panic!("wit/{package} has no line in wit/released.txt; with its release add: {package} {digest}")
        });
        assert_eq!(
            *known, digest,
            "wit/{package} was released and has changed in shape; undo that, and make the change in a package of a new \
             version (wit/README.md)"
        );
    }
    for package in released.keys() {
        assert!(packages().contains(package), "wit/{package} was released and is gone");
    }
}

#[test]
fn comments_are_no_part_of_the_shape() {
    let one = "package a:b@0.1.0;\n/// Says.\ninterface x { f: func() -> u8; /* not yet */ }";
    let clearer =
        "package a:b@0.1.0;\n// Better.\n/// Says more: a/b.\ninterface x {\n  f: func() -> u8;\n}\n";
    assert_eq!(shape(one), shape(clearer));
    assert_eq!(shape(one), "package a:b@0.1.0; interface x { f: func() -> u8; }");
    assert_ne!(shape(one), shape(&clearer.replace("u8", "u16")));
}

#[test]
fn every_package_is_what_its_folder_says_and_has_bindings_and_a_golden_component() {
    for package in packages() {
        let mut resolve = Resolve::default();
        // What a package may use of another one is known by then.
        let (base, _) = resolve.push_dir(root().join("wit/resolver-0.1.0")).unwrap();
        let id = if package == "resolver-0.1.0" {
            base
        } else {
            resolve.push_dir(root().join("wit").join(&package)).unwrap().0
        };
        let name = &resolve.packages[id].name;
        let version = name.version.as_ref().expect("a package has a version");
        assert_eq!(format!("{}-{version}", name.name), package);
        assert_eq!(resolve.packages[id].worlds.len(), 1, "{package} says what its components export");

        let bindings = root().join(format!("host/runtime/src/track_{}_{}.rs", version.major, version.minor));
        let text = fs::read_to_string(&bindings).unwrap_or_else(|_| panic!("no {}", bindings.display()));
        assert!(text.contains(&format!("wit/{package}\"")), "{} binds wit/{package}", bindings.display());
        let golden = root().join(format!("host/runtime/tests/golden/{package}.wasm"));
        assert!(golden.is_file(), "{} is kept, as it was built for {package}", golden.display());
    }
}
