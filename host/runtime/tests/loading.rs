//! Files that are plugins, and files that are not.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod harness;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use gleaner_model::key::ResolverName;
use gleaner_runtime::{Catalogue, LoadError, Loader, Runtime, RuntimeConfig};
use harness::{call, guest, hostile, runtime};

fn problem<'a>(catalogue: &'a Catalogue, file: &str) -> &'a LoadError {
    let broken = catalogue.broken.iter().find(|broken| broken.path.ends_with(file));
    &broken.unwrap_or_else(|| panic!("{file} is broken: {:?}", catalogue.broken)).problem
}

#[tokio::test]
async fn a_plugin_says_who_it_is() {
    let info = hostile(&runtime(1)).await.info;
    assert_eq!(info.name.as_str(), "hostile");
    assert_eq!(info.wit, "gleaner:resolver@0.1.0");
    assert_eq!(info.hosts, ["files.example.org"]);
    assert_eq!(info.sha256.len(), 64);
    assert_eq!(info.size, fs::metadata(&info.path).unwrap().len());
    assert!(info.imports.iter().any(|name| name.starts_with("gleaner:resolver/http@")));
    assert!(info.exports.iter().any(|name| name.starts_with("gleaner:resolver/resolver@")));
}

#[tokio::test]
async fn a_directory_gives_its_plugins_and_names_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let good = fs::read(guest("hostile")).unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(dir.path().join(name), bytes).unwrap();
    write("b-hostile.wasm", &good);
    write("c-again.wasm", &good);
    write("d-short.wasm", &good[..good.len() / 2]);
    write("e-core.wasm", b"\0asm\x01\0\0\0");
    write("f-world.wasm", b"\0asm\x0d\0\x01\0");
    write("g-page.wasm", b"<!doctype html><title>Not found</title>");
    write("h-damaged.wasm", &damaged(&good));
    write("notes.txt", b"not looked at");
    fs::create_dir(dir.path().join("i-dir.wasm")).unwrap();
    let missing = dir.path().join("missing");

    let catalogue = runtime(1).load_dirs(&[missing.clone(), dir.path().into(), dir.path().into()]).await;
    let names: Vec<_> = catalogue.plugins.keys().map(ResolverName::as_str).collect();
    assert_eq!(names, ["hostile"]);
    let loaded = catalogue.plugins.values().next().unwrap();
    assert!(loaded.info.path.ends_with("b-hostile.wasm"));
    assert!(matches!(problem(&catalogue, "missing"), LoadError::Read(_)));
    assert!(
        matches!(problem(&catalogue, "c-again.wasm"), LoadError::Duplicate { other, .. } if *other == loaded.info.path)
    );
    for (file, part) in [
        ("d-short.wasm", "cut short"),
        ("e-core.wasm", "core module"),
        ("f-world.wasm", "does not export gleaner:resolver/resolver"),
        ("g-page.wasm", "web page"),
        ("h-damaged.wasm", "does not compile"),
        ("i-dir.wasm", "not a regular file"),
    ] {
        let message = problem(&catalogue, file).to_string();
        assert!(message.contains(part), "{file}: {message}");
    }
    assert_eq!(catalogue.broken.len(), 8, "{:?}", catalogue.broken);
}

/// The first section's contents turned to nonsense, its length kept.
fn damaged(good: &[u8]) -> Vec<u8> {
    let mut bytes = good.to_vec();
    let end = bytes.len();
    bytes[12..end.min(400)].fill(0xff);
    bytes
}

/// The component with another version in all its names, of the same length.
fn renamed(from: &str, to: &str) -> Vec<u8> {
    let mut bytes = fs::read(guest("hostile")).unwrap();
    assert_eq!(from.len(), to.len());
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(from.len()).position(|window| window == from.as_bytes()) {
        at += found;
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    bytes
}

async fn load_bytes(runtime: &Runtime, bytes: &[u8]) -> Result<(), LoadError> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.wasm");
    fs::write(&file, bytes).unwrap();
    runtime.load(&file).await.map(|_| ())
}

#[tokio::test]
async fn another_version_is_named_before_anything_runs() {
    let runtime = runtime(1);
    let newer = load_bytes(&runtime, &renamed("@0.1.0", "@0.3.0")).await.unwrap_err().to_string();
    assert_eq!(newer, "built for gleaner:resolver 0.3.0, this host speaks 0.1.0; update gleaner");
    let patch = load_bytes(&runtime, &renamed("@0.1.0", "@0.1.7")).await;
    assert!(patch.is_ok(), "{patch:?}");
    let stranger = renamed("gleaner:resolver/clock", "stranger:resolve/clock");
    let stranger = load_bytes(&runtime, &stranger).await.unwrap_err().to_string();
    assert!(stranger.contains("stranger:resolve/clock@0.1.0"), "{stranger}");
}

/// Whole components that are mutated; each is a file that is read, checked, compiled and asked who it is.
const COMPONENTS: u32 = 150;

/// A component that a download cut, a disk changed or an enemy wrote is refused or loads; nothing panics.
#[test]
fn a_mutated_component_is_refused_or_loads() {
    let threads = tokio::runtime::Runtime::new().unwrap();
    let runtime = runtime(1);
    let (good, dir) = (fs::read(guest("noop")).unwrap(), tempfile::tempdir().unwrap());
    let file = dir.path().join("x.wasm");
    gleaner_testing::each_mutation_of_bytes(COMPONENTS, &[good], |bytes| {
        fs::write(&file, bytes).unwrap();
        if let Err(error) = threads.block_on(runtime.load(&file)) {
            assert!(!error.to_string().is_empty());
        }
    });
}

#[tokio::test]
async fn native_code_is_never_loaded() {
    let engine = wasmtime::Engine::default();
    let native = engine.precompile_component(&fs::read(guest("hostile")).unwrap()).unwrap();
    let message = load_bytes(&runtime(1), &native).await.unwrap_err().to_string();
    assert!(message.contains("precompiled native code"), "{message}");
}

#[tokio::test]
async fn an_oversize_file_is_refused_unread() {
    let runtime = Runtime::new(RuntimeConfig { max_file: 1000, ..RuntimeConfig::default() }).unwrap();
    let problem = runtime.load(&guest("hostile")).await.unwrap_err();
    assert!(matches!(problem, LoadError::TooLarge { most: 1000, .. }), "{problem}");
}

fn files_ending(dir: &Path, ending: &str) -> usize {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|found| found == ending)).count()
}

#[tokio::test]
async fn the_cache_keeps_code_and_description() {
    let dir = tempfile::tempdir().unwrap();
    let config = RuntimeConfig { cache_dir: Some(dir.path().join("cache")), ..RuntimeConfig::default() };
    let first = hostile(&Runtime::new(config.clone()).unwrap()).await.info;
    assert_eq!(files_ending(&dir.path().join("cache"), "cwasm"), 1);
    // Told apart from what the guest says itself, to see where it comes from the second time.
    let described = dir.path().join(format!("cache/{}.json", first.sha256));
    let text = fs::read_to_string(&described).unwrap().replace(&first.summary, "from the cache");
    fs::write(&described, text).unwrap();
    let second = hostile(&Runtime::new(config).unwrap()).await;
    assert_eq!(second.info.summary, "from the cache");
    assert_eq!(second.info.takes, first.takes);
    assert!(call(&second, "ok").await.outcome.is_ok());
}

#[tokio::test]
async fn without_room_for_the_pool_plugins_still_run() {
    // More address space than there is.
    let plugin = hostile(&runtime(1 << 20)).await;
    assert!(call(&plugin, "ok").await.outcome.is_ok());
    assert!(call(&plugin, "alloc").await.outcome.is_err());
}

#[tokio::test]
async fn only_what_has_changed_is_loaded_again() {
    let dir = tempfile::tempdir().unwrap();
    let (noop, hostile) = (fs::read(guest("noop")).unwrap(), fs::read(guest("hostile")).unwrap());
    let file = |name: &str| dir.path().join(name);
    fs::write(file("a.wasm"), &noop).unwrap();
    fs::write(file("b.wasm"), &hostile).unwrap();
    let mut loader = Loader::new(runtime(2));
    let dirs = [dir.path().to_owned()];
    let plugin = |catalogue: &Catalogue, name: &str| {
        let found = catalogue.plugins.get(&ResolverName::new(name).unwrap());
        Arc::clone(found.unwrap_or_else(|| panic!("{name} is missing: {catalogue:?}")))
    };
    let first = loader.load(&dirs).await;
    // Written again with the same contents, and another file broken.
    fs::write(file("a.wasm"), &noop).unwrap();
    fs::write(file("b.wasm"), &hostile[..1000]).unwrap();
    let second = loader.load(&dirs).await;
    assert!(Arc::ptr_eq(&plugin(&first, "noop"), &plugin(&second, "noop")));
    assert!(Arc::ptr_eq(&plugin(&first, "hostile"), &plugin(&second, "hostile")));
    assert!(second.broken[0].kept && problem(&second, "b.wasm").to_string().contains("cut short"));
    // The plugin under a new name counts, and not what the broken file was.
    fs::write(file("c.wasm"), &hostile).unwrap();
    let third = loader.load(&dirs).await;
    assert!(plugin(&third, "hostile").info.path.ends_with("c.wasm"));
    assert!(!third.broken[0].kept);
    fs::remove_file(file("a.wasm")).unwrap();
    let old = Arc::downgrade(&plugin(&first, "noop"));
    drop((first, second, third));
    let fourth = loader.load(&dirs).await;
    assert_eq!(fourth.plugins.keys().map(ResolverName::as_str).collect::<Vec<_>>(), ["hostile"]);
    assert!(old.upgrade().is_none(), "what is gone and not in use is freed");
}
