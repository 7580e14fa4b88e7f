//! What comes from outside: mutations of the `[queue]` section, of names that people look for and of `library.db`
//! itself; and every error of this crate as people read it, approved in `messages.txt`.

use std::fs;
use std::time::Duration;

use gleaner_store::{Library, StoreError, StoreOptions, WorkQueue};
use gleaner_testing::{Messages, each_mutation, each_mutation_of_bytes};
use tokio::runtime::Runtime;

use crate::scratch::{Scratch, TTL, job, options};

/// Damaged databases that are opened: each is a file that is written, opened, checked and listed.
const DATABASES: u32 = 500;

#[test]
fn a_mutated_section_is_refused_or_reads_back() {
    each_mutation(&[r#"{"durability":"full","busy-timeout":"10s"}"#], |text| {
        let Ok(options) = serde_json::from_str::<StoreOptions>(text) else { return };
        let again = serde_json::to_string(&options).unwrap();
        assert_eq!(serde_json::from_str::<StoreOptions>(&again).unwrap(), options);
    });
}

#[test]
fn a_mutated_name_finds_its_job_or_none() {
    let runtime = Runtime::new().unwrap();
    let scratch = Scratch::new();
    let library = runtime.block_on(async {
        let library = scratch.open();
        library.enqueue(vec![job("10.1000/1"), job("pmid:7")], TTL).await.unwrap();
        library
    });
    let seeds = ["doi:10.1000/1", "https://doi.org/10.1000/1", "2", "PMID: 7", "9223372036854775807"];
    each_mutation(&seeds, |name| {
        let found = runtime.block_on(library.find(name)).unwrap();
        assert!(found.is_none_or(|found| [1, 2].contains(&found.row.id.0)));
    });
}

/// A damaged database is refused with an error, or read as far as it goes: nothing panics, and nobody waits.
#[test]
fn a_mutated_database_is_refused_or_read() {
    let runtime = Runtime::new().unwrap();
    let scratch = Scratch::new();
    runtime.block_on(async {
        let library = scratch.open();
        library.enqueue((1..50).map(|n| job(&format!("10.1000/{n}"))).collect(), TTL).await.unwrap();
        library.close().await;
    });
    let good = fs::read(scratch.path().join(Library::DATABASE)).unwrap();
    let options = StoreOptions { busy_timeout: "50ms".parse().unwrap(), ..options() };
    each_mutation_of_bytes(DATABASES, &[good], |bytes| {
        let damaged = tempfile::tempdir().unwrap();
        fs::write(damaged.path().join(Library::DATABASE), bytes).unwrap();
        let Ok(library) = Library::open_read_only(damaged.path(), &options, scratch.clock.clone()) else {
            return;
        };
        runtime.block_on(async {
            let _ = library.problems().await;
            let _ = library.list(None, None, 100).await;
            let _ = library.find("10.1000/1").await;
            library.close().await;
        });
    });
}

#[test]
fn messages_are_as_they_were_read_and_approved() {
    let mut messages = Messages::new();
    let path = || "library/library.db".into();
    let waited = Duration::from_secs(10);
    for error in [
        StoreError::Busy { path: path(), waited },
        StoreError::Full { path: path() },
        StoreError::ReadOnly { path: path(), detail: "attempt to write a readonly database".into() },
        StoreError::ReadOnly { path: path(), detail: "opened for reading".into() },
        StoreError::Corrupt { path: path(), detail: "database disk image is malformed".into() },
        StoreError::Newer { path: path(), found: 9, known: 1 },
        StoreError::NotALibrary { path: path() },
        StoreError::Missing { path: "library".into() },
        StoreError::Io { action: "make the directory", path: "library".into(), detail: "denied".into() },
        StoreError::Io { action: "make the lock file", path: path(), detail: "denied".into() },
        StoreError::Io { action: "start a thread for", path: path(), detail: "denied".into() },
        StoreError::Io {
            action: "write the copy",
            path: "copy/library.db".into(),
            detail: "it exists already; name another".into(),
        },
        StoreError::Closed { path: path() },
        StoreError::Unreadable { job: 7, what: "plan", detail: "missing field `fate`".into() },
        StoreError::WrongResult { job: 7, detail: "it names another file" },
        StoreError::WrongResult { job: 7, detail: "done needs a file" },
        StoreError::WrongResult { job: 7, detail: "only done has a file" },
        StoreError::Sql { path: path(), detail: "no such table: job".into() },
    ] {
        messages.error(&error);
    }
    messages.text("a job that is lost", "job 7 stands in 2 places as done, or its file does not fit that");
    messages.text("a poisonous job", "resolver:arxiv: leased 4 times, and no result came");
    messages.text("a wrong count", "3 jobs are counted as ready resolver:arxiv, and there are 2");
    messages.text("a leased job that cannot be read", "it is left alone until its lease expires");
    let busy = StoreError::Busy { path: path(), waited };
    messages.text("a run that meets a busy database", format!("{busy}; this run goes on waiting"));
    messages.text("log", "the log of the library could not be merged; it grows until the next try");
    messages.assert_approved(env!("CARGO_MANIFEST_DIR"));
}
