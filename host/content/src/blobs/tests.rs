//! Blobs in a directory: named, known, damaged, swept.

use std::io::Write;

use super::*;

fn library() -> (tempfile::TempDir, Blobs) {
    let library = tempfile::tempdir().unwrap();
    let blobs = open(&library);
    (library, blobs)
}

fn open(library: &tempfile::TempDir) -> Blobs {
    let dirs = ["blobs", "tmp"].map(|name| library.path().join(name));
    dirs.iter().for_each(|dir| std::fs::create_dir_all(dir).unwrap());
    let [dir, tmp] = dirs;
    Blobs::open(dir, tmp).unwrap()
}

fn keep(blobs: &Blobs, bytes: &[u8]) -> (String, bool) {
    let sha256 = hex(&Sha256::digest(bytes));
    let mut file = blobs.temporary().unwrap();
    file.write_all(bytes).unwrap();
    let known = blobs.keep(file, &blobs.path_of(&sha256), bytes.len() as u64).unwrap();
    (sha256, known)
}

fn temporary_files(blobs: &Blobs) -> usize {
    let names = std::fs::read_dir(&blobs.tmp).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name != ".lock").count()
}

#[test]
fn a_blob_is_named_after_its_bytes_and_protected() {
    let (library, blobs) = library();
    let (sha256, known) = keep(&blobs, b"abc");
    assert_eq!(sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert!(!known);
    let path = library.path().join("blobs/ba").join(&sha256[2..]);
    assert_eq!(std::fs::read(&path).unwrap(), b"abc");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    // What this process's umask leaves of it.
    std::fs::write(library.path().join("plain"), "").unwrap();
    assert_eq!(mode(&path), mode(&library.path().join("plain")) & 0o444);
    assert_eq!(blobs.path(&sha256), Some(path));
    assert_eq!(temporary_files(&blobs), 0);
    blobs.verify(&sha256).unwrap();
}

#[test]
fn a_known_blob_is_kept_as_it_is() {
    let (_library, blobs) = library();
    let (sha256, _) = keep(&blobs, b"abc");
    let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(path).unwrap());
    let before = inode(&blobs.path_of(&sha256));
    assert_eq!(keep(&blobs, b"abc"), (sha256.clone(), true));
    assert_eq!(inode(&blobs.path_of(&sha256)), before);
    assert_eq!(temporary_files(&blobs), 0);
}

#[test]
fn a_blob_that_lost_bytes_is_found_and_replaced() {
    let (_library, blobs) = library();
    let (sha256, _) = keep(&blobs, b"abc");
    let path = blobs.path_of(&sha256);
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(blobs.verify(&sha256), Err(BlobProblem::Missing(_))));
    std::fs::write(&path, b"ab").unwrap();
    assert!(matches!(blobs.verify(&sha256), Err(BlobProblem::Changed { .. })));
    assert_eq!(keep(&blobs, b"abc"), (sha256.clone(), false));
    blobs.verify(&sha256).unwrap();
}

#[test]
fn what_is_no_hash_leads_nowhere() {
    let (_library, blobs) = library();
    let upper = "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD";
    for text in ["", "ab", "../../../etc/passwd", upper, &"é".repeat(32)] {
        assert_eq!(blobs.path(text), None, "{text}");
        assert!(matches!(blobs.verify(text), Err(BlobProblem::NotAHash(_))), "{text}");
    }
}

#[test]
fn only_what_dead_runs_left_is_swept() {
    let (library, blobs) = library();
    let living = blobs.temporary().unwrap();
    let second = open(&library);
    assert!(living.path().exists(), "another run is alive: its file stays");
    let left_behind = blobs.temporary().unwrap().keep().unwrap().1;
    drop((living, blobs, second));
    assert!(left_behind.exists());
    let third = open(&library);
    assert!(!left_behind.exists(), "nobody is alive: it goes");
    assert_eq!(temporary_files(&third), 0);
}
