//! temp
use std::time::{Duration, Instant};
use gleaner_model::{artifact::Artifact, clock::*, identifier::*, job::*, key::Key, plan::Plan, reason::Reason, units::Span};
use gleaner_store::*;
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bench() {
    let dir = tempfile::tempdir_in("/work").unwrap();
    let o = StoreOptions { durability: Durability::Full, busy_timeout: Span(Duration::from_secs(10)) };
    let lib = Library::open(dir.path(), &o, std::sync::Arc::new(SystemClock)).unwrap();
    let n: u64 = 200_000;
    let jobs: Vec<NewJob> = (0..n).map(|i| { let h = i.wrapping_mul(0x9E3779B97F4A7C15); NewJob { artifact: Artifact::of(Identifier::new(Scheme::Doi, &format!("10.1000/{h:016x}")).unwrap()), key: Key::Plan, priority: Priority(0), not_before: None } }).collect();
    let t = Instant::now();
    for c in jobs.chunks(5000) { lib.enqueue(c.to_vec(), Duration::ZERO).await.unwrap(); }
    println!("enqueue {:.0}/s", n as f64 / t.elapsed().as_secs_f64());
    let t = Instant::now();
    for c in jobs[..50_000].chunks(5000) { lib.enqueue(c.to_vec(), Duration::ZERO).await.unwrap(); }
    println!("enqueue known {:.0}/s", 50_000f64 / t.elapsed().as_secs_f64());
    let t = Instant::now(); let s = lib.stats().await.unwrap(); println!("stats {:?} {:?}", t.elapsed(), s);
    let t = Instant::now(); let _b = lib.backlog().await.unwrap(); println!("backlog {:?}", t.elapsed());
    let t = Instant::now(); let mut done = 0; let mut worst = Duration::ZERO;
    while done < 60_000 {
        let t1 = Instant::now();
        let l = lib.lease(vec![(Key::Plan, 64)], Duration::from_secs(600)).await.unwrap();
        worst = worst.max(t1.elapsed());
        done += l.len();
        let hs: Vec<_> = l.into_iter().map(|l| { let lib = lib.clone(); async move { lib.ack(l.lease(), Plan::default(), vec![], JobResult::Skipped { reason: Reason::NoCandidate, detail: String::new() }, None).await.unwrap() } }).collect();
        let mut set = tokio::task::JoinSet::new(); for h in hs { set.spawn(h); }
        while let Some(r) = set.join_next().await { let _ = r.unwrap(); }
    }
    println!("lease->ack {:.0}/s worst lease {worst:?}", done as f64 / t.elapsed().as_secs_f64());
    let t = Instant::now(); println!("{:?}", lib.retry_failed(RetryFilter{states: vec![JobState::Skipped], ..Default::default()}, false).await.unwrap()); println!("retry {:?}", t.elapsed());
    println!("wal {}", std::fs::metadata(dir.path().join("library.db-wal")).unwrap().len());
    let t = Instant::now(); println!("{:?}", lib.summary(Scope::Library).await.unwrap()); println!("summary {:?}", t.elapsed());
    lib.close().await;
}
