//! Tests of tidying up, on real directories.

use std::fs::{self, File};
use std::io::Write;
use std::time::Duration;

use gleaner_model::clock::{Clock, SystemClock};
use sha2::{Digest, Sha256};

use super::*;
use crate::blobs::hex;
use crate::{ContentConfig, NameTemplate};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(SystemClock.now().0.try_into().unwrap())
}

struct Library {
    dir: tempfile::TempDir,
    content: Content,
}

impl Library {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let content = Content::open(dir.path(), ContentConfig::default(), NameTemplate::default()).unwrap();
        Self { dir, content }
    }

    /// A blob with a name, both touched so long ago.
    fn store(&self, bytes: &str, age: Duration) -> String {
        let sha256 = hex(&Sha256::digest(bytes));
        let library = &self.content.0;
        let path = library.blobs.path_of(&sha256);
        let mut file = library.blobs.temporary().unwrap();
        file.write_all(bytes.as_bytes()).unwrap();
        library.blobs.keep(file, &path, bytes.len() as u64).unwrap();
        library.names.assign(&path, &sha256, bytes, "pdf").unwrap();
        File::open(&path).unwrap().set_modified(now() - age).unwrap();
        sha256
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self, name: &str, age: Duration) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, name).unwrap();
        File::open(&path).unwrap().set_modified(now() - age).unwrap();
        path
    }

    /// What goes, by name, when these hashes and names are known and an hour of grace is given.
    fn collect(&self, known: &[&str], names: &[&str], is_dry: bool) -> Vec<String> {
        let known: HashSet<String> = known.iter().map(|sha256| (*sha256).to_owned()).collect();
        let mut gc = self.content.gc(now() - Duration::from_secs(3600), is_dry).unwrap();
        let mut gone = Vec::new();
        for shard in self.content.shards().unwrap() {
            gone.extend(gc.blobs(&shard, &known).unwrap());
        }
        gone.extend(gc.names(|name| names.contains(&name)).unwrap());
        gone.extend(gc.temporary().unwrap());
        let mut gone: Vec<_> = gone
            .iter()
            .map(|one| one.path.strip_prefix(self.dir.path()).unwrap().display().to_string())
            .collect();
        gone.sort();
        gone
    }
}

fn blob(sha256: &str) -> String {
    format!("blobs/{}/{}", &sha256[..2], &sha256[2..])
}

#[test]
fn what_nothing_refers_to_goes_and_nothing_else() {
    let library = Library::new();
    let (kept, orphan, fresh) =
        (library.store("kept", DAY), library.store("orphan", DAY), library.store("fresh", Duration::ZERO));
    // A name that a run made and did not live to write down; a file of the user's; half a download; a blob's neighbour.
    let kept_blob = library.content.blob_path(&kept).unwrap();
    fs::hard_link(&kept_blob, library.path("files/other name.pdf")).unwrap();
    File::open(&kept_blob).unwrap().set_modified(now() - DAY).unwrap();
    let theirs = library.file("files/notes.txt", DAY);
    let notes = library.file("blobs/README", DAY);
    library.file("tmp/download-old", DAY);
    library.file("tmp/parts/old.part", DAY);
    let part = library.file("tmp/parts/new.part", Duration::ZERO);
    let wanted = [
        &*blob(&orphan),
        "files/orphan.pdf",
        "files/other name.pdf",
        "tmp/download-old",
        "tmp/parts/old.part",
    ];
    let mut wanted = wanted.map(str::to_owned).to_vec();
    wanted.sort();
    let run = |is_dry| library.collect(&[&kept], &["files/kept.pdf"], is_dry);
    assert_eq!(run(true), wanted);
    assert!(wanted.iter().all(|name| library.path(name).exists()), "a dry run removes nothing");
    assert_eq!(run(false), wanted);
    assert!(!wanted.iter().any(|name| library.path(name).exists()));
    library.content.verify_blob(&kept).unwrap();
    library.content.verify_blob(&fresh).unwrap();
    for path in [theirs, notes, part, library.path("files/kept.pdf"), library.path("files/fresh.pdf")] {
        assert!(path.exists(), "{}", path.display());
    }
    assert_eq!(run(false), Vec::<String>::new());
}

#[test]
fn a_known_blob_that_is_stored_again_is_touched() {
    let library = Library::new();
    let sha256 = library.store("again", DAY);
    let path = library.content.blob_path(&sha256).unwrap();
    let mut file = library.content.0.blobs.temporary().unwrap();
    file.write_all(b"again").unwrap();
    assert!(library.content.0.blobs.keep(file, &path, 5).unwrap(), "it is known");
    assert_eq!(library.collect(&[], &[], false), Vec::<String>::new());
    library.content.verify_blob(&sha256).unwrap();
}

/// Between the look and the removal a run may store the same bytes again.
#[test]
fn what_is_touched_at_the_last_moment_is_put_back() {
    let library = Library::new();
    let sha256 = library.store("late", DAY);
    let path = library.content.blob_path(&sha256).unwrap();
    let gc = library.content.gc(now() - Duration::from_secs(3600), false).unwrap();
    File::open(&path).unwrap().set_modified(now()).unwrap();
    assert!(!gc.is_gone(&path, &sha256).unwrap());
    library.content.verify_blob(&sha256).unwrap();
    let name = library.path("files/late.pdf");
    assert!(!gc.is_gone(&name, "name-1-1").unwrap() && name.exists());
    // The same for a symbolic link, which says nothing by its own time.
    let link = library.path("files/link.pdf");
    std::os::unix::fs::symlink(format!("../{}", blob(&sha256)), &link).unwrap();
    assert!(!gc.is_gone(&link, "name-1-2").unwrap() && link.is_symlink());
}

#[test]
fn what_a_dead_go_moved_aside_comes_back() {
    let library = Library::new();
    let sha256 = library.store("moved", DAY);
    let path = library.content.blob_path(&sha256).unwrap();
    fs::rename(&path, library.path(&format!("tmp/{ASIDE}{sha256}"))).unwrap();
    library.content.gc(SystemTime::UNIX_EPOCH, false).unwrap();
    library.content.verify_blob(&sha256).unwrap();
}

#[test]
fn symbolic_names_of_blobs_that_are_gone_go_too() {
    let library = Library::new();
    let sha256 = library.store("linked", DAY);
    fs::remove_file(library.path("files/linked.pdf")).unwrap();
    std::os::unix::fs::symlink(format!("../{}", blob(&sha256)), library.path("files/linked.pdf")).unwrap();
    std::os::unix::fs::symlink("../elsewhere", library.path("files/theirs.pdf")).unwrap();
    assert_eq!(library.collect(&[], &[], false), [blob(&sha256), "files/linked.pdf".to_owned()]);
    assert!(library.path("files/theirs.pdf").is_symlink());
}
