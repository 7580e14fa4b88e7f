//! Every way in which a file can change is heard of, and told of once it has settled.

use std::fs::{self, create_dir, remove_dir_all, remove_file, rename, write};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use tokio::time::timeout;

use super::*;

/// Longer than any machine needs; a test that waits so long has failed.
const LONG: Duration = Duration::from_secs(60);

/// What is done to a scratch directory that has `dir/a.wasm`, `elsewhere/target` and `gleaner.toml`.
type Change = fn(&Path);

/// Each with what is there before, besides.
const CHANGES: [(&str, Change, Change); 13] = [
    ("a new file", |_| {}, |at| write(at.join("dir/b.wasm"), "b").unwrap()),
    ("rewritten in place", |_| {}, |at| write(at.join("dir/a.wasm"), "b").unwrap()),
    (
        "renamed into place",
        |at| write(at.join("elsewhere/new"), "b").unwrap(),
        |at| rename(at.join("elsewhere/new"), at.join("dir/a.wasm")).unwrap(),
    ),
    ("deleted", |_| {}, |at| remove_file(at.join("dir/a.wasm")).unwrap()),
    (
        "a link to another file",
        |at| symlink("../elsewhere/target", at.join("dir/b.wasm")).unwrap(),
        |at| {
            write(at.join("elsewhere/other"), "other").unwrap();
            symlink("../elsewhere/other", at.join("dir/new-link")).unwrap();
            rename(at.join("dir/new-link"), at.join("dir/b.wasm")).unwrap();
        },
    ),
    (
        "the file behind a link",
        |at| symlink("../elsewhere/target", at.join("dir/b.wasm")).unwrap(),
        |at| write(at.join("elsewhere/target"), "changed").unwrap(),
    ),
    (
        "the directory is a link to another one",
        |at| {
            rename(at.join("dir"), at.join("first")).unwrap();
            symlink("first", at.join("dir")).unwrap();
        },
        |at| {
            create_dir(at.join("second")).unwrap();
            write(at.join("second/a.wasm"), "second").unwrap();
            symlink("second", at.join("dir-new")).unwrap();
            rename(at.join("dir-new"), at.join("dir")).unwrap();
        },
    ),
    (
        "in a directory behind a link",
        |at| {
            rename(at.join("dir"), at.join("first")).unwrap();
            symlink("first", at.join("dir")).unwrap();
        },
        |at| write(at.join("first/a.wasm"), "changed").unwrap(),
    ),
    ("the directory goes", |_| {}, |at| remove_dir_all(at.join("dir")).unwrap()),
    (
        "the directory appears",
        |at| remove_dir_all(at.join("dir")).unwrap(),
        |at| {
            create_dir(at.join("dir")).unwrap();
            write(at.join("dir/a.wasm"), "a").unwrap();
        },
    ),
    (
        "another directory takes its place",
        |at| {
            create_dir(at.join("second")).unwrap();
            write(at.join("second/a.wasm"), "second").unwrap();
        },
        |at| {
            rename(at.join("dir"), at.join("first")).unwrap();
            rename(at.join("second"), at.join("dir")).unwrap();
        },
    ),
    ("the single file", |_| {}, |at| write(at.join("gleaner.toml"), "x = 2").unwrap()),
    (
        "the single file appears",
        |at| remove_file(at.join("gleaner.toml")).unwrap(),
        |at| write(at.join("gleaner.toml"), "x = 2").unwrap(),
    ),
];

fn scratch(before: Change) -> (tempfile::TempDir, Watched) {
    let scratch = tempfile::tempdir().unwrap();
    let at = scratch.path();
    create_dir(at.join("dir")).unwrap();
    create_dir(at.join("elsewhere")).unwrap();
    write(at.join("dir/a.wasm"), "a").unwrap();
    write(at.join("elsewhere/target"), "target").unwrap();
    write(at.join("gleaner.toml"), "x = 1").unwrap();
    before(at);
    let watched =
        Watched { dirs: vec![at.join("dir")], endings: vec!["wasm"], files: vec![at.join("gleaner.toml")] };
    (scratch, watched)
}

#[tokio::test]
async fn every_change_is_told_of_once() {
    for (what, before, change) in CHANGES {
        let (scratch, watched) = scratch(before);
        let mut watch = Watch::start(watched).await;
        change(scratch.path());
        assert!(timeout(LONG, watch.changed()).await.is_ok(), "{what} is not told of");
        let again = watch.look().await;
        assert_eq!(again, watch.told, "{what} is told of before it has settled");
    }
}

#[tokio::test]
async fn every_change_is_told_of_where_the_system_tells_of_none() {
    for (what, before, change) in CHANGES {
        let (scratch, watched) = scratch(before);
        let mut watch = Watch::start(watched).await;
        watch.places = Arc::new(Mutex::new(Places::deaf()));
        change(scratch.path());
        assert!(timeout(LONG, watch.changed()).await.is_ok(), "{what} is not told of");
    }
}

/// By the system, and not only because somebody looked.
#[tokio::test]
async fn every_change_is_heard() {
    for (what, before, change) in CHANGES {
        let (scratch, watched) = scratch(before);
        let heard = Arc::new(Notify::new());
        let mut places = Places::new(Arc::clone(&heard));
        places.listen_for(&watched);
        change(scratch.path());
        assert!(timeout(LONG, heard.notified()).await.is_ok(), "{what} is not heard");
    }
}

/// Each change of a series is heard, whatever took the place of what was listened to before.
#[tokio::test]
async fn what_took_the_place_of_a_directory_is_listened_to() {
    let (scratch, watched) = scratch(|_| {});
    let at = scratch.path();
    let heard = Arc::new(Notify::new());
    let mut places = Places::new(Arc::clone(&heard));
    for round in 0..3 {
        places.listen_for(&watched);
        remove_dir_all(at.join("dir")).unwrap();
        timeout(LONG, heard.notified()).await.unwrap();
        places.listen_for(&watched);
        create_dir(at.join("dir")).unwrap();
        timeout(LONG, heard.notified()).await.unwrap();
        places.listen_for(&watched);
        // What was heard late is of the directory itself.
        while timeout(Duration::from_millis(50), heard.notified()).await.is_ok() {}
        write(at.join("dir/a.wasm"), "a").unwrap();
        assert!(timeout(LONG, heard.notified()).await.is_ok(), "round {round}");
    }
}

#[tokio::test]
async fn other_files_do_not_count_and_what_is_put_back_is_no_change() {
    let (scratch, watched) = scratch(|_| {});
    let mut watch = Watch::start(watched.clone()).await;
    write(scratch.path().join("dir/notes.txt"), "not looked at").unwrap();
    write(scratch.path().join("elsewhere/target"), "nothing leads here").unwrap();
    assert_eq!(watch.look().await, watch.told);
    fs::rename(scratch.path().join("dir/a.wasm"), scratch.path().join("a.wasm")).unwrap();
    assert_ne!(watch.look().await, watch.told);
    watch.set(Watched { dirs: Vec::new(), ..watched });
    assert!(timeout(LONG, watch.changed()).await.is_ok(), "a directory that is watched no more is told of");
}

#[tokio::test]
async fn a_change_that_was_waited_for_in_vain_is_not_lost() {
    let (scratch, watched) = scratch(|_| {});
    let mut watch = Watch::start(watched).await;
    write(scratch.path().join("dir/a.wasm"), "changed").unwrap();
    for _ in 0..3 {
        // Dropped while it waits for the file to settle.
        let _ = timeout(Duration::from_millis(10), watch.changed()).await;
    }
    assert!(timeout(LONG, watch.changed()).await.is_ok());
}

#[test]
fn messages_are_as_they_were_read_and_approved() {
    let mut messages = gleaner_testing::Messages::new();
    messages.text("log", "the system tells of no changes of files; they are looked at once a second");
    messages.assert_approved(env!("CARGO_MANIFEST_DIR"));
}
