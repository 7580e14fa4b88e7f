//! The cache of compiled plugins: private, bounded, and not used where anyone else could have written to it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use gleaner_tests::harness::{Bench, Output, Running, TIMEOUT};
use gleaner_tests::simweb::World;

/// `plugin list` with a cache directory of its own.
fn list(bench: &Bench, cache: &Path, config: &str) -> Output {
    let config = bench.file("own.toml", config);
    let mut command = bench.bare();
    command.env("XDG_CACHE_HOME", cache).args(["--config", &config, "plugin", "list"]);
    Running::of(command).wait(TIMEOUT).expect_code(0)
}

fn files(dir: &Path) -> Vec<(PathBuf, u64)> {
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.path(), entry.metadata().unwrap().len())).collect()
}

#[test]
fn it_is_private_and_keeps_within_its_size() {
    let bench = Bench::new(World::new());
    let cache = bench.path("cache");
    list(&bench, &cache, "");
    let dir = cache.join("gleaner/components");
    for made in [&cache, &cache.join("gleaner"), &dir] {
        assert_eq!(fs::metadata(made).unwrap().permissions().mode() & 0o777, 0o700, "{}", made.display());
    }
    let all: u64 = files(&dir).iter().map(|(_, size)| size).sum();
    let compiled = files(&dir).iter().filter(|(path, _)| path.extension().unwrap() == "cwasm").count();
    assert_eq!(compiled, files(&bench.bundled()).len());
    // Less room than there was; the next thing that is kept makes it hold.
    assert!(all > 1 << 20, "{all} bytes");
    fs::remove_file(&files(&dir)[0].0).unwrap();
    list(&bench, &cache, "[plugins]\ncache-size = \"1MiB\"");
    let left: u64 = files(&dir).iter().map(|(_, size)| size).sum();
    assert!(left <= 1 << 20, "{left} bytes");
}

#[test]
fn one_that_others_can_write_to_is_not_used_and_left_alone() {
    let bench = Bench::new(World::new());
    let cache = bench.path("cache");
    let dir = cache.join("gleaner/components");
    fs::create_dir_all(&dir).unwrap();
    fs::set_permissions(&dir, Permissions::from_mode(0o777)).unwrap();
    let listed = list(&bench, &cache, "");
    let said = "compiled plugins are not cached in";
    assert!(listed.stderr.contains(said) && listed.stderr.contains("may be theirs"), "{}", listed.stderr);
    assert!(listed.stdout.contains("unpaywall"), "{}", listed.stdout);
    assert_eq!(files(&dir), []);
    // Nor is one in a directory that others can write to.
    fs::set_permissions(&dir, Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(&cache, Permissions::from_mode(0o777)).unwrap();
    let listed = list(&bench, &cache, "");
    assert!(listed.stderr.contains("cache, which it is in"), "{}", listed.stderr);
    assert_eq!(files(&dir), []);
}
