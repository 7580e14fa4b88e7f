//! Tests of groups over real files.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::*;
use crate::blobs::hex;
use crate::durable::FileSystem;
use crate::{Content, ContentConfig, NameTemplate};

fn ready(content: &Content, bytes: &[u8], stem: &str) -> Ready {
    let sha256 = hex(&Sha256::digest(bytes));
    let mut file = content.0.blobs.temporary().unwrap();
    file.write_all(bytes).unwrap();
    let path = content.0.blobs.path_of(&sha256);
    Ready { file, path, size: bytes.len() as u64, sha256, stem: stem.to_owned(), extension: "pdf" }
}

#[tokio::test]
async fn many_files_at_once_are_all_kept_under_names_of_their_own() {
    many_files_at_once(FileSystem::of).await;
    many_files_at_once(|_| FileSystem::none()).await;
}

async fn many_files_at_once(file_system: fn(&Path) -> FileSystem) {
    let dir = tempfile::tempdir().unwrap();
    let mut content = Content::open(dir.path(), ContentConfig::default(), NameTemplate::default()).unwrap();
    Arc::get_mut(&mut content.0).unwrap().blobs.file_system = file_system(dir.path());
    let mut keeping = tokio::task::JoinSet::new();
    for n in 0..200 {
        // Ten works have the same bytes as ten others, ready at the same time.
        let ready = ready(&content, format!("file {}", n % 190).as_bytes(), "name");
        let library = Arc::clone(&content.0);
        keeping.spawn(async move { (ready.sha256.clone(), keep(&library, ready).await.unwrap()) });
    }
    let kept = keeping.join_all().await;
    assert_eq!(kept.iter().filter(|(_, (_, is_known))| *is_known).count(), 10);
    let names: BTreeSet<_> = kept.iter().map(|(_, (name, _))| name).collect();
    assert_eq!(names.len(), 190, "one blob, one name");
    for (sha256, (name, _)) in &kept {
        content.verify_blob(sha256).unwrap();
        let bytes = std::fs::read(dir.path().join("files").join(name)).unwrap();
        assert_eq!(hex(&Sha256::digest(&bytes)), *sha256);
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_kept_does_not_take_the_others_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let content = Content::open(dir.path(), ContentConfig::default(), NameTemplate::default()).unwrap();
    let (bad, good) = (ready(&content, b"bad", "bad"), ready(&content, b"good", "good"));
    // A file stands where the directory should be.
    std::fs::write(bad.path.parent().unwrap(), "").unwrap();
    let (bad, good) = tokio::join!(keep(&content.0, bad), keep(&content.0, good));
    assert_eq!(bad.unwrap_err().reason, Reason::Storage);
    assert_eq!(good.unwrap(), ("good.pdf".to_owned(), false));
}
