//! Parsers with files that are in order, that are not, and that never let go.

use gleaner_model::identifier::Identifier;

use super::*;
use crate::testing;

fn work(pages: &str) -> Artifact {
    let mut artifact = Artifact::of(Identifier::parse("10.1000/x").unwrap());
    artifact.extra.insert("pages".into(), pages.into());
    artifact
}

#[test]
fn page_ranges_are_read_or_left() {
    for (text, pages) in [
        ("123-145", Some(23)),
        ("123–45", Some(23)),
        ("1 -- 9", Some(9)),
        ("7—12", Some(6)),
        ("1-3", None),
        ("12", None),
        ("e12-e19", None),
        ("145-123", None),
        ("9-4294967295", Some(4_294_967_287)),
        ("1-99999999999", None),
        ("-", None),
        ("", None),
        ("é-12345", None),
    ] {
        assert_eq!(pages_of(&work(text)), pages, "{text:?}");
    }
}

/// A parser that is busy until its sender is dropped.
fn busy() -> (std::sync::mpsc::Sender<()>, impl FnOnce() -> Option<()> + Send + 'static) {
    let (sender, until) = std::sync::mpsc::channel::<()>();
    let parse = move || {
        let _ = until.recv();
        Some(())
    };
    (sender, parse)
}

#[tokio::test]
async fn busy_parsers_keep_no_other_from_its_turn_and_there_are_few_of_them() {
    let parsers = Parsers::new(Duration::from_millis(50));
    // The same turns, for those that must not run out of patience on a machine that is busy itself.
    let (turns, left_alone) = (Arc::clone(&parsers.turns), Arc::clone(&parsers.left_alone));
    let patient = Parsers { turns, left_alone, patience: Duration::from_secs(3600) };
    let path = Path::new("x.pdf");
    let mut running = Vec::new();
    for n in 0..LEFT_ALONE {
        let (sender, parse) = busy();
        assert_eq!(parsers.run(path, parse).await, None);
        running.push(sender);
        assert_eq!(patient.run(path, move || Some(n)).await, Some(n), "{n} are left alone");
    }
    for _ in 0..AT_ONCE {
        let (sender, parse) = busy();
        assert_eq!(parsers.run(path, parse).await, None);
        running.push(sender);
    }
    assert_eq!(patient.run(path, || Some(7)).await, None, "no turn is left, and nobody waits for one");
    running.clear();
    let all = u32::try_from(LEFT_ALONE).unwrap();
    let _ended = parsers.left_alone.acquire_many(all).await.unwrap();
    let _too = parsers.turns.acquire_many(2).await.unwrap();
}

fn arrived() -> Finished {
    let file = tempfile::NamedTempFile::new().unwrap();
    let (head, tail) = (Vec::new(), Vec::new());
    let received = Received { file, sha256: String::new(), size: 0, head, tail, whole: None };
    Finished { received, kind: Ok(FileKind::Pdf) }
}

#[tokio::test]
async fn a_file_is_looked_into_where_it_is_finished_or_when_there_is_a_turn() {
    let parsers = Parsers::new(Duration::from_secs(3600));
    let finishes = |look: LookFor<usize>| move || Ok((arrived(), Some(look)));
    let (_, verdict) = parsers.finish(finishes(Box::new(|| Some(1)))).await.unwrap();
    assert_eq!(verdict, Some(1));
    let turns = Arc::clone(&parsers.turns).acquire_many_owned(2).await.unwrap();
    let waiting = parsers.finish(finishes(Box::new(|| Some(2))));
    let freed = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        drop(turns);
    };
    let (finished, ()) = tokio::join!(waiting, freed);
    assert_eq!(finished.unwrap().1, Some(2));
    let (_, verdict) = parsers.finish::<usize>(|| Ok((arrived(), None))).await.unwrap();
    assert_eq!(verdict, None, "nothing to look for");
    let (_, verdict) = parsers.finish(finishes(Box::new(|| panic!("a parser")))).await.unwrap();
    assert_eq!((verdict, parsers.turns.available_permits()), (None, AT_ONCE));
    let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
    let refused = move || Err(ContentError::Storage { action: "write", path: "x".into(), source });
    assert_eq!(parsers.finish::<usize>(refused).await.err().unwrap().reason, Reason::Storage);
    let stops = || panic!("before there is a file");
    assert_eq!(parsers.finish::<usize>(stops).await.err().unwrap().reason, Reason::Storage);
}

#[tokio::test]
async fn a_file_outlives_the_patience_with_its_parser_and_the_slowness_of_its_disk() {
    let parsers = Parsers::new(Duration::from_millis(20));
    let (ends, look) = busy();
    let (file, verdict) = parsers.finish(move || Ok((arrived(), Some(Box::new(look) as _)))).await.unwrap();
    assert!(file.received.file.path().exists() && verdict.is_none());
    assert_eq!(parsers.left_alone.available_permits(), LEFT_ALONE - 1);
    assert_eq!(parsers.turns.available_permits(), AT_ONCE, "others have its turn");
    drop(ends);
    let _ended = parsers.left_alone.acquire_many(u32::try_from(LEFT_ALONE).unwrap()).await.unwrap();
    let (_open, never) = std::sync::mpsc::channel::<()>();
    let slow = move || {
        let _ = never.recv_timeout(Duration::from_millis(100));
        Ok((arrived(), Some(Box::new(|| Some(())) as LookFor<()>)))
    };
    assert_eq!(parsers.finish(slow).await.unwrap().1, Some(()));
}

/// Strings that are never closed: each of its objects is read to the depth that the parser allows, and a catalogue is
/// looked for in all of them.
#[tokio::test]
async fn a_file_that_keeps_its_parser_busy_passes_and_holds_nobody_up() {
    let dir = tempfile::tempdir().unwrap();
    let (path, encrypted) = (dir.path().join("busy"), dir.path().join("encrypted"));
    let mut hostile = b"%PDF-1.5\n".to_vec();
    for n in 1..3000 {
        hostile.extend(format!("{n} 0 obj\n({}\n", "x".repeat(3000)).bytes());
    }
    hostile.extend(b"\n%%EOF\n");
    std::fs::write(&path, &hostile).unwrap();
    let sesame = testing::encrypted("sesame");
    std::fs::write(&encrypted, &sesame).unwrap();
    let parsers = Parsers::new(Duration::from_millis(1));
    for _ in 0..AT_ONCE {
        let (path, bytes) = (path.clone(), hostile.clone());
        assert!(parsers.run(&path, move || Some(pdf::check(&bytes, None))).await.is_none());
    }
    assert_eq!(parsers.left_alone.available_permits(), LEFT_ALONE - AT_ONCE, "it was busy indeed");
    let parsers = Parsers { patience: PATIENCE, ..parsers };
    let refused = parsers.run(&encrypted, move || Some(pdf::check(&sesame, None))).await.unwrap();
    assert_eq!(refused.unwrap_err().reason, Reason::Encrypted);
}

#[test]
fn what_cannot_be_judged_passes() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    assert_eq!(look(FileKind::Pdf, missing.clone(), 100, None, None).unwrap()(), None);
    assert!(look(FileKind::Pdf, missing, MAX_PARSED + 1, None, None).is_none());
}

#[test]
fn refusals_have_their_reason() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let page = b"<html><body>abstract only</body></html>".to_vec();
    for (kind, bytes, pages, reason) in [
        (FileKind::Pdf, testing::pdf(0, "text", 100), "", Reason::NotAPdf),
        (FileKind::Pdf, testing::encrypted("sesame"), "", Reason::Encrypted),
        (FileKind::Pdf, testing::pdf(1, "text", 100), "101-123", Reason::Truncated),
        (FileKind::Html, page, "", Reason::HtmlInsteadOfPdf),
        (FileKind::Jats, b"<article><front/>".to_vec(), "", Reason::Truncated),
        (FileKind::Epub, b"PK\x03\x04 and no more".to_vec(), "", Reason::Truncated),
    ] {
        std::fs::write(&path, &bytes).unwrap();
        let (size, pages) = (bytes.len() as u64, pages_of(&work(pages)));
        let looks = [(path.clone(), None), (dir.path().join("missing"), Some(bytes.into()))];
        for (path, whole) in looks {
            let found = look(kind, path, size, whole, pages).unwrap()();
            assert_eq!(found.unwrap().unwrap_err().reason, reason, "{kind:?}");
        }
    }
    std::fs::write(&path, testing::pdf(2, "text", 100)).unwrap();
    let found = look(FileKind::Pdf, path, 100, None, pages_of(&work("101-123"))).unwrap()();
    assert_eq!(found, Some(Ok(())), "two pages are no preview");
}
