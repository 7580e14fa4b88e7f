//! Tests of the writing thread over real files.

use super::*;
use crate::connection::{Mode, open};
use crate::options::Durability;
use crate::sql;
use crate::tests::options;

/// A full disk makes the database undo the transaction: every command in it has to hear of it.
#[tokio::test]
async fn a_full_disk_undoes_the_group_and_the_writer_lives_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("library.db");
    let connection = open(&path, Mode::Write, &options()).unwrap();
    let pages: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    let allow = move |connection: &Connection, more: i64| {
        connection.query_row(&format!("PRAGMA max_page_count = {}", pages + more), [], |_| Ok(()))
    };
    allow(&connection, 2).unwrap();
    let checkpointer = open(&path, Mode::Write, &options()).unwrap();
    let writer = Writer::start(connection, checkpointer, path.clone(), options().busy_timeout.0).unwrap();
    let add = |name: &'static str, bytes: usize| {
        writer.call(Haste::InCompany, move |connection| {
            let artifact = format!("\"{}\"", "x".repeat(bytes));
            Ok(connection.prepare_cached(sql::JOB_INSERT)?.execute((name, artifact))?)
        })
    };
    let (small, large) = tokio::join!(add("small", 10), add("large", 1 << 20));
    let full = StoreError::Full { path };
    assert_eq!(large, Err(full.clone()));
    // Whether both came into one group is a matter of time.
    assert!(small == Ok(1) || small == Err(full), "{small:?}");
    writer.call(Haste::AtOnce, move |tx| Ok(allow(tx, 1000)?)).await.unwrap();
    assert_eq!(add("large", 1 << 20).await, Ok(1));
    let count = "SELECT count(*) FROM job";
    let jobs: i64 = writer
        .call(Haste::AtOnce, move |connection| Ok(connection.query_row(count, [], |row| row.get(0))?))
        .await
        .unwrap();
    assert_eq!(jobs, 1 + i64::from(small.is_ok()));
    writer.close().await;
}

fn writer(dir: &std::path::Path, options: &crate::StoreOptions) -> Writer {
    let path = dir.join("library.db");
    let connection = open(&path, Mode::Write, options).unwrap();
    let checkpointer = open(&path, Mode::Write, options).unwrap();
    Writer::start(connection, checkpointer, path, options.busy_timeout.0).unwrap()
}

/// 2 waits for the disk at each commit, 1 does not: sqlite.org/pragma.html#pragma_synchronous.
#[tokio::test]
async fn only_what_may_be_undone_does_not_wait_for_the_disk() {
    use Haste::{AtOnce, Fleeting, InCompany};
    for (durability, expected) in [(Durability::Full, [1, 2, 1, 2]), (Durability::Normal, [1; 4])] {
        let dir = tempfile::tempdir().unwrap();
        let writer = writer(dir.path(), &crate::StoreOptions { durability, ..options() });
        for (haste, level) in [Fleeting, AtOnce, Fleeting, InCompany].into_iter().zip(expected) {
            let read = |tx: &Tx<'_>| Ok(tx.query_row("PRAGMA synchronous", [], |row| row.get::<_, i64>(0))?);
            assert_eq!(writer.call(haste, read).await, Ok(level), "{durability:?} {haste:?}");
        }
        writer.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_stream_that_does_not_wait_for_the_disk_holds_nobody_up() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Arc::new(writer(dir.path(), &options()));
    let streams: Vec<_> = (0..4)
        .map(|_| {
            let writer = Arc::clone(&writer);
            tokio::spawn(async move { while writer.call(Haste::Fleeting, |_| Ok(())).await.is_ok() {} })
        })
        .collect();
    for _ in 0..20 {
        writer.call(Haste::InCompany, |_| Ok(())).await.unwrap();
    }
    writer.close().await;
    for stream in streams {
        stream.await.unwrap();
    }
}
