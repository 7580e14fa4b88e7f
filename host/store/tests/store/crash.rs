//! A process that is killed amid its work leaves a library that is whole.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use gleaner_model::clock::FakeClock;
use gleaner_model::job::{JobId, JobState};
use gleaner_model::key::{HostKey, Key};
use gleaner_model::plan::Plan;
use gleaner_store::{AfterRecord, Fenced, Library, WorkQueue};

use crate::scratch::{NOON, Scratch, TTL, done, job, options};

const DIRECTORY: &str = "STORE_TEST_WORK_UNTIL_KILLED";
const BATCH: i64 = 50;

#[tokio::test]
async fn what_was_answered_survives_a_kill() {
    if let Some(dir) = std::env::var_os(DIRECTORY) {
        return work_until_killed(Path::new(&dir)).await;
    }
    let scratch = Scratch::new();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::what_was_answered_survives_a_kill", "--nocapture"])
        .env(DIRECTORY, scratch.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut acked = Vec::new();
    while acked.len() < 500 {
        acked.extend(lines.next().unwrap().strip_prefix("acked ").map(|id| JobId(id.parse().unwrap())));
    }
    let library = scratch.open();
    let (_member, expired) = library.join(TTL, 3).await.unwrap();
    assert_eq!(expired.requeued, 0, "it lives");
    assert_eq!(library.others().await.unwrap().processes[0].pid, child.id());
    child.kill().unwrap();
    child.wait().unwrap();
    // What it said before it died counts too.
    acked.extend(lines.filter_map(|line| Some(JobId(line.strip_prefix("acked ")?.parse().ok()?))));

    let before = library.stats().await.unwrap();
    let expired = library.bury_the_dead(3).await.unwrap();
    assert_eq!((expired.requeued, expired.poisoned), (before.in_progress, vec![]));
    assert_eq!(library.problems().await.unwrap(), Vec::<String>::new());
    assert_eq!(library.job_states(acked.clone()).await.unwrap().done, acked.len() as u64);
    let after = library.stats().await.unwrap();
    assert_eq!((after.total, after.done, after.in_progress), (before.total, before.done, 0));
    assert_eq!(after.total % BATCH as u64, 0, "a batch is enqueued as a whole or not at all");
    // The attempt that died with its process is charged.
    let waiting = library.list(Some(JobState::Queued), None, u32::MAX).await.unwrap();
    assert_eq!(waiting.iter().filter(|row| row.attempts == 1).count() as u64, before.in_progress);
}

async fn work_until_killed(dir: &Path) {
    let library = Library::open(dir, &options(), FakeClock::at(NOON)).unwrap();
    let _member = library.join(TTL, 3).await.unwrap();
    let host = Key::Host(HostKey::from_normalised("a.example"));
    for batch in 0.. {
        let jobs = (0..BATCH).map(|n| job(&format!("10.1000/{batch}.{n}"))).collect();
        library.enqueue(jobs, TTL).await.unwrap();
        for leased in library.lease(vec![(Key::Plan, 40)], TTL).await.unwrap() {
            let keep = AfterRecord::Keep { key: host.clone(), until: NOON.after(TTL) };
            let kept = library.record(leased.lease(), Plan::default(), vec![], keep).await.unwrap();
            let (result, file) = done('a');
            let acked = library.ack(leased.lease(), Plan::default(), vec![], result, file).await.unwrap();
            assert_eq!((kept, acked), (Fenced::Held(()), Fenced::Held(())));
            let mut out = std::io::stdout().lock();
            writeln!(out, "acked {}", leased.job).unwrap();
        }
    }
}
