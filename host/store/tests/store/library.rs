//! What a library shows of its jobs, files and manifest.

use std::time::Duration;

use gleaner_model::artifact::Artifact;
use gleaner_model::clock::{Clock, UnixMillis};
use gleaner_model::identifier::Identifier;
use gleaner_model::job::{JobId, JobResult, JobState};
use gleaner_model::key::{HostKey, Key, ResolverName};
use gleaner_model::manifest::{AttemptOutcome, ManifestRecord, RunIdentity};
use gleaner_model::plan::Plan;
use gleaner_model::reason::Reason;
use gleaner_model::setting::Condition;
use gleaner_store::{
    AfterRecord, Fenced, JobFilter, Library, ManifestFilter, NewJob, Scope, StoreError, StoredFile, Summary,
    WorkQueue,
};

use crate::scratch::{NOON, Scratch, TTL, done, job, options};

fn record(run: &str, artifact: &Artifact, resolver: &str, outcome: AttemptOutcome) -> ManifestRecord {
    let run = RunIdentity { run_id: run.into(), config_hash: "c0ffee".into() };
    ManifestRecord { outcome, ..ManifestRecord::new(&run, artifact, resolver, NOON) }
}

/// Five works: one done after two steps, one skipped, one error, one leased, one waiting.
async fn harvested(scratch: &Scratch) -> Library {
    let library = scratch.open();
    let run = |id: &str| RunIdentity { run_id: id.into(), config_hash: "c0ffee".into() };
    library.begin_run(run("first")).await.unwrap();
    let jobs: Vec<NewJob> = (1..=5).map(|n| job(&format!("10.1000/{n}"))).collect();
    library.enqueue(jobs, TTL).await.unwrap();
    let leased = library.lease(vec![(Key::Plan, 4)], TTL).await.unwrap();
    let answered = record("first", &leased[0].artifact, "asked", AttemptOutcome::Answered);
    let (key, until) = (Key::Host(HostKey::from_normalised("a.example")), NOON.after(TTL));
    let keep = AfterRecord::Keep { key, until };
    let kept = library.record(leased[0].lease(), Plan::default(), vec![answered], keep).await;
    assert_eq!(kept.unwrap(), Fenced::Held(()));
    let accepted = record("first", &leased[0].artifact, "asked", AttemptOutcome::Accepted);
    let (result, file) = done('a');
    let skipped = JobResult::Skipped { reason: Reason::NoCandidate, detail: "2 resolvers asked".into() };
    let error = JobResult::Error { reason: Reason::Timeout, detail: "asked: 30s".into() };
    let failed = record("first", &leased[2].artifact, "asked", AttemptOutcome::Failed);
    for (leased, records, result, file) in [
        (&leased[0], vec![accepted], result, file),
        (&leased[1], vec![], skipped, None),
        (&leased[2], vec![failed], error, None),
    ] {
        let acked = library.ack(leased.lease(), Plan::default(), records, result, file).await;
        assert_eq!(acked.unwrap(), Fenced::Held(()));
    }
    library
}

#[tokio::test]
async fn a_job_is_found_by_whatever_names_it() {
    let scratch = Scratch::new();
    let library = harvested(&scratch).await;
    let more =
        ["doi:10.1000/1", "pmid:7", "https://a.example/x"].map(|name| Identifier::parse(name).unwrap());
    let artifact = Artifact::new(None, more.to_vec()).unwrap();
    library.enqueue(vec![NewJob { artifact, ..job("pmid:7") }], TTL).await.unwrap();
    for name in ["doi:10.1000/1", "https://doi.org/10.1000/1", "PMID: 7", "https://a.example/x", "1"] {
        let found = library.find(name).await.unwrap().unwrap_or_else(|| panic!("{name}"));
        assert_eq!(found.row.id, JobId(1), "{name}");
    }
    for name in ["10.1000/none", "99", "what", ""] {
        assert_eq!(library.find(name).await.unwrap(), None, "{name}");
    }
}

#[tokio::test]
async fn a_job_shows_everything() {
    let scratch = Scratch::new();
    let library = harvested(&scratch).await;
    let view = library.show(JobId(1)).await.unwrap().unwrap();
    assert_eq!((view.row.state, view.row.reason), (JobState::Done, Some(Reason::Ok)));
    assert_eq!(view.artifact.id.as_str(), "doi:10.1000/1");
    let file = view.file.unwrap();
    assert_eq!((file.name.as_str(), file.size, file.stored_at), ("files/a.pdf", 1000, NOON));
    let outcomes: Vec<_> = view.records.iter().map(|record| record.outcome).collect();
    assert_eq!(outcomes, [AttemptOutcome::Answered, AttemptOutcome::Accepted]);
    let view = library.show(JobId(3)).await.unwrap().unwrap();
    assert_eq!((view.row.state, view.row.detail.as_str()), (JobState::Error, "asked: 30s"));
    let view = library.show(JobId(4)).await.unwrap().unwrap();
    assert_eq!((view.row.state, view.row.key), (JobState::InProgress, Some(Key::Plan)));
    assert_eq!((view.row.attempts, view.row.at), (1, Some(NOON.after(TTL))));
    assert_eq!(library.show(JobId(6)).await.unwrap(), None);
}

#[tokio::test]
async fn lists_come_in_pages() {
    let scratch = Scratch::new();
    let library = harvested(&scratch).await;
    let ids = async |state, after: Option<i64>, limit| -> Vec<i64> {
        let rows = library.list(state, after.map(JobId), limit).await.unwrap();
        rows.iter().map(|row| row.id.0).collect()
    };
    assert_eq!(ids(None, None, 10).await, [1, 2, 3, 4, 5]);
    assert_eq!(ids(None, Some(2), 2).await, [3, 4]);
    assert_eq!(ids(Some(JobState::Queued), None, 10).await, [5]);
    assert_eq!(ids(Some(JobState::Error), Some(2), 10).await, [3]);
    assert_eq!(library.files(None, 10).await.unwrap().len(), 1);
    assert_eq!(library.files(Some(JobId(1)), 10).await.unwrap(), []);
    assert!(library.file_known(&"a".repeat(64)).await.unwrap());
    assert!(!library.file_known(&"b".repeat(64)).await.unwrap());
    let first = library.manifest(&ManifestFilter::default(), 0, 2).await.unwrap();
    let rest = library.manifest(&ManifestFilter::default(), first.next.unwrap(), 2).await.unwrap();
    assert_eq!(rest.next, None);
    let records = first.records.iter().chain(&rest.records);
    let works: Vec<_> = records.map(|(_, record)| record.artifact_id.as_str()).collect();
    assert_eq!(works, ["doi:10.1000/1", "doi:10.1000/1", "doi:10.1000/3"]);
}

#[tokio::test]
async fn jobs_are_found_in_pages_by_what_is_known_of_them() {
    let scratch = Scratch::new();
    let library = harvested(&scratch).await;
    let found = async |filter: &JobFilter, after: Option<i64>, limit| {
        let page = library.search(filter.clone(), after.map(JobId), limit).await.unwrap();
        (page.rows.iter().map(|row| row.id.0).collect::<Vec<_>>(), page.next.map(|id| id.0))
    };
    let all = JobFilter::default();
    assert_eq!(found(&all, None, 10).await, (vec![1, 2, 3, 4, 5], None));
    assert_eq!(found(&all, None, 2).await, (vec![1, 2], Some(2)));
    assert_eq!(library.search(all.clone(), None, 2).await.unwrap().looked_at, 2);
    assert_eq!(found(&all, Some(4), 1).await, (vec![5], None));
    let in_state = |state| JobFilter { state: Some(state), ..JobFilter::default() };
    for (state, wanted) in JobState::ALL.into_iter().zip([5, 4, 1, 2, 3]) {
        assert_eq!(found(&in_state(state), None, 10).await, (vec![wanted], None), "{state}");
    }
    let because = |reason| JobFilter { reason: Some(reason), ..JobFilter::default() };
    assert_eq!(found(&because(Reason::Timeout), None, 10).await.0, [3]);
    assert_eq!(
        found(&JobFilter { state: Some(JobState::Queued), ..because(Reason::Ok) }, None, 10).await.0,
        [0; 0]
    );
    let asked = JobFilter { resolver: Some(ResolverName::new("asked").unwrap()), ..all.clone() };
    assert_eq!(found(&asked, None, 10).await.0, [1, 3]);
    assert_eq!(found(&asked, None, 1).await, (vec![1], Some(1)));
    let says = |text: &str| JobFilter { text: Some(text.into()), ..JobFilter::default() };
    assert_eq!(found(&says("10.1000/2"), None, 10).await.0, [2]);
    assert_eq!(found(&says("1000"), None, 10).await.0, [1, 2, 3, 4, 5]);
    assert_eq!(found(&says("nothing"), None, 10).await, (vec![], None));
}

/// What no index knows is looked for in so many jobs, and the next page goes on behind them.
#[tokio::test]
async fn a_search_looks_at_so_many_jobs_and_goes_on() {
    let scratch = Scratch::new();
    let library = scratch.open();
    let jobs = (1..=12_000).map(|n| job(&format!("10.1000/{n}")));
    library.enqueue(jobs.collect(), TTL).await.unwrap();
    let last = JobFilter { text: Some("/11999".into()), ..JobFilter::default() };
    let first = library.search(last.clone(), None, 10).await.unwrap();
    assert_eq!((first.rows.len(), first.next, first.looked_at), (0, Some(JobId(10_000)), 10_000));
    let second = library.search(last, first.next, 10).await.unwrap();
    assert_eq!((second.rows.len(), second.rows[0].id, second.next), (1, JobId(11_999), None));
}

#[tokio::test]
async fn a_summary_counts_what_it_is_asked_for() {
    let scratch = Scratch::new();
    let library = harvested(&scratch).await;
    let (ok, none, late) = (Some(Reason::Ok), Some(Reason::NoCandidate), Some(Reason::Timeout));
    let file = |states| Summary { states, resolvers: vec![("asked".into(), 1)], files: 1, bytes: 1000 };
    let mut all = library.summary(Scope::Library).await.unwrap();
    all.states.sort();
    assert_eq!(
        all,
        file(vec![
            (JobState::Queued, None, 1),
            (JobState::InProgress, None, 1),
            (JobState::Done, ok, 1),
            (JobState::Skipped, none, 1),
            (JobState::Error, late, 1)
        ])
    );
    let run = library.summary(Scope::Run("first".into())).await.unwrap();
    assert_eq!(run, file(vec![(JobState::Done, ok, 1), (JobState::Error, late, 1)]));
    let jobs = library.summary(Scope::Jobs(vec![JobId(2), JobId(99)])).await.unwrap();
    assert_eq!(jobs, Summary { states: vec![(JobState::Skipped, none, 1)], ..Summary::default() });
    let stats = library.job_states(vec![JobId(1), JobId(2), JobId(4)]).await.unwrap();
    assert_eq!((stats.done, stats.skipped, stats.in_progress, stats.total), (1, 1, 1, 3));
    assert_eq!(stats.unfinished(), 1);
    assert_eq!(library.problems().await.unwrap(), Vec::<String>::new());
}

/// Whoever reads the manifest bit by bit goes on behind the last number it saw.
#[tokio::test]
async fn numbers_of_forgotten_records_are_not_given_again() {
    let scratch = Scratch::new();
    let library = harvested(&scratch).await;
    let all = ManifestFilter::default();
    let before = library.manifest(&all, 0, 10).await.unwrap().records;
    let (last, of_the_error) = before.last().unwrap();
    assert_eq!(of_the_error.artifact_id, "doi:10.1000/3");
    assert_eq!(library.purge(vec![JobState::Error], Duration::ZERO, false).await.unwrap(), 1);
    assert_eq!(library.manifest(&all, 0, 10).await.unwrap().records, before[..before.len() - 1]);
    let leased = library.lease(vec![(Key::Plan, 1)], TTL).await.unwrap().remove(0);
    let failed = record("first", &leased.artifact, "asked", AttemptOutcome::Failed);
    let next = AfterRecord::Queue { key: Key::Plan };
    let held = library.record(leased.lease(), Plan::default(), vec![failed], next).await.unwrap();
    assert_eq!(held, Fenced::Held(()));
    let new = library.manifest(&all, *last, 10).await.unwrap().records;
    let works: Vec<_> = new.iter().map(|(_, record)| record.artifact_id.as_str()).collect();
    assert_eq!(works, ["doi:10.1000/5"], "it was written after the last look");
}

#[tokio::test]
async fn the_manifest_is_filtered() {
    let scratch = Scratch::new();
    let library = harvested(&scratch).await;
    let second = RunIdentity { run_id: "second".into(), config_hash: "c0ffee".into() };
    library.begin_run(second).await.unwrap();
    let leased = library.lease(vec![(Key::Plan, 1)], TTL).await.unwrap().remove(0);
    let mut late = record("second", &leased.artifact, "asked", AttemptOutcome::Failed);
    late.time = NOON.after(TTL).to_string();
    let next = AfterRecord::Queue { key: Key::Plan };
    let held = library.record(leased.lease(), Plan::default(), vec![late], next).await.unwrap();
    assert_eq!(held, Fenced::Held(()));
    let count = async |filter: ManifestFilter| {
        let (mut after, mut count) = (0, 0);
        loop {
            let page = library.manifest(&filter, after, 2).await.unwrap();
            count += page.records.len();
            let Some(next) = page.next else { return count };
            after = next;
        }
    };
    let of = |run: &str| ManifestFilter { run: Some(run.into()), ..ManifestFilter::default() };
    let since = |at| ManifestFilter { since: Some(at), ..ManifestFilter::default() };
    let job = |number| ManifestFilter { job: Some(JobId(number)), ..ManifestFilter::default() };
    assert_eq!(count(ManifestFilter::default()).await, 4);
    assert_eq!((count(of("first")).await, count(of("second")).await, count(of("none")).await), (3, 1, 0));
    assert_eq!((count(since(NOON)).await, count(since(NOON.after(TTL))).await), (4, 1));
    assert_eq!((count(job(1)).await, count(job(2)).await, count(job(3)).await), (2, 0, 1));
}

/// Asking for a file again is written down as long as the job holds that file, and forgets none.
#[tokio::test]
async fn a_file_that_was_replaced_stays_as_an_earlier_version() {
    let scratch = Scratch::new();
    let library = harvested(&scratch).await;
    let (job, a, b) = (JobId(1), "a".repeat(64), "b".repeat(64));
    let due = async |at| library.due(None, at, 10).await.unwrap().len();
    assert_eq!((due(NOON).await, due(UnixMillis(NOON.0 - 1)).await), (1, 0));
    let held = library.held_by(job).await.unwrap().unwrap();
    assert_eq!((held.file.sha256.as_str(), held.visited_at, held.origin), (&*a, None, None));
    scratch.clock.advance(Duration::from_secs(60));
    let now = scratch.clock.now();
    let accepted = |sha256: &str, etag: Option<&str>| ManifestRecord {
        sha256: Some(sha256.to_owned()),
        candidate_url: Some("https://a.example/x.pdf".into()),
        etag: etag.map(str::to_owned),
        ..record("first", &held.artifact, "asked", AttemptOutcome::Accepted)
    };
    let same = library.visited(job, &a, accepted(&a, Some("\"1\"")), None).await.unwrap();
    assert_eq!(same, Fenced::Held(()));
    assert_eq!((due(NOON).await, due(now).await), (0, 1));
    let file = StoredFile {
        sha256: b.clone(),
        size: 2000,
        media_type: "application/pdf".into(),
        name: "files/a (2).pdf".into(),
    };
    // The upstream did not repeat its validator.
    assert_eq!(library.visited(job, &a, accepted(&a, None), None).await.unwrap(), Fenced::Held(()));
    assert_eq!(library.held_by(job).await.unwrap().unwrap().etag.as_deref(), Some("\"1\""));
    let changed = library.visited(job, &a, accepted(&b, None), Some(file.clone())).await.unwrap();
    assert_eq!(changed, Fenced::Held(()));
    let late = library.visited(job, &a, accepted(&b, None), Some(file)).await.unwrap();
    assert_eq!(late, Fenced::Lost, "somebody else was faster");
    let held = library.held_by(job).await.unwrap().unwrap();
    assert_eq!((held.file.sha256.as_str(), held.file.name.as_str()), (&*b, "files/a (2).pdf"));
    assert_eq!((held.etag, held.visited_at), (None, Some(now)), "those were the earlier bytes'");
    let earlier = library.earlier_of(job).await.unwrap().remove(0);
    assert_eq!((earlier.file.sha256.as_str(), earlier.file.name.as_str()), (&*a, "files/a.pdf"));
    assert_eq!(library.earlier(0, 10).await.unwrap(), [earlier]);
    assert_eq!(library.files_of(&a).await.unwrap()[0].job, job);
    assert_eq!(
        (library.hashes("aa").await.unwrap(), library.hashes("bb").await.unwrap()),
        (vec![a], vec![b])
    );
    assert_eq!(library.problems().await.unwrap(), Vec::<String>::new());
}

#[test]
fn a_new_library_is_its_groups_at_most() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let (new, old) = (dir.path().join("parent/library"), dir.path().join("old"));
    Library::make_dir(&new).unwrap();
    assert_eq!(mode(&new) & !0o750, 0, "{:o}", mode(&new));
    std::fs::create_dir(&old).unwrap();
    std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o711)).unwrap();
    Library::make_dir(&old).unwrap();
    assert_eq!(mode(&old), 0o711, "what the operator set is theirs");
}

/// What is forgotten while a run goes on takes none of the run's attempts out of its summary.
#[tokio::test]
async fn a_run_keeps_its_attempts_when_others_are_forgotten() {
    let scratch = Scratch::new();
    let library = harvested(&scratch).await;
    let run = RunIdentity { run_id: "second".into(), config_hash: "c0ffee".into() };
    library.begin_run(run).await.unwrap();
    // The job whose attempt was the last one before the run.
    assert_eq!(library.purge(vec![JobState::Error], Duration::ZERO, false).await.unwrap(), 1);
    let leased = library.lease(vec![(Key::Plan, 1)], TTL).await.unwrap().remove(0);
    let failed = record("second", &leased.artifact, "asked", AttemptOutcome::Failed);
    let next = AfterRecord::Queue { key: Key::Plan };
    let held = library.record(leased.lease(), Plan::default(), vec![failed], next).await.unwrap();
    assert_eq!(held, Fenced::Held(()));
    let summary = library.summary(Scope::Run("second".into())).await.unwrap();
    assert_eq!(summary.states, [(JobState::Queued, None, 1)]);
}

#[tokio::test]
async fn cooldowns_outlive_the_process() {
    let scratch = Scratch::new();
    let library = scratch.open();
    let host = Key::Host(HostKey::from_normalised("a.example"));
    let until = NOON.after(Duration::from_secs(60));
    library.save_cooldown(host.clone(), NOON).await.unwrap();
    library.save_cooldown(host.clone(), until).await.unwrap();
    library.close().await;
    let library = scratch.open();
    let kept = library.key_settings().await.unwrap().remove(0);
    assert_eq!((kept.key, kept.cooldown_until, kept.paused), (host, until, false));
    scratch.clock.advance(Duration::from_secs(60));
    assert_eq!((library.key_settings().await.unwrap(), scratch.clock.now()), (vec![], until));
}

#[tokio::test]
async fn how_a_key_fares_outlives_the_process_and_the_days_count_ends_at_midnight() {
    let scratch = Scratch::new();
    let library = scratch.open();
    let host = Key::Host(HostKey::from_normalised("a.example"));
    let day = NOON.0.div_euclid(86_400_000);
    let condition = Condition { is_broken: true, pace: 50, day, used: 7 };
    library.save_condition(host.clone(), condition).await.unwrap();
    library.close().await;
    let library = scratch.open();
    let kept = library.key_settings().await.unwrap().remove(0);
    assert_eq!((kept.key, kept.condition), (host, condition));
    assert_eq!(library.keys().await.unwrap()[0].setting.condition, condition);
    scratch.clock.advance(Duration::from_secs(24 * 3600));
    assert_eq!(library.key_settings().await.unwrap(), vec![]);
}

#[tokio::test]
async fn a_closed_library_says_so_and_left_no_log() {
    let scratch = Scratch::new();
    let library = harvested(&scratch).await;
    let clone = library.clone();
    library.close().await;
    let refused = clone.enqueue(vec![job("10.1000/9")], TTL).await.unwrap_err();
    assert!(matches!(refused, StoreError::Closed { .. }), "{refused}");
    let log = std::fs::metadata(scratch.path().join("library.db-wal"));
    assert_eq!(log.map_or(0, |log| log.len()), 0);
}

#[tokio::test]
async fn reading_needs_a_library_and_writes_nothing() {
    let scratch = Scratch::new();
    let open = || Library::open_read_only(scratch.path(), &options(), scratch.clock.clone());
    let missing = open().map(drop).unwrap_err();
    assert!(matches!(&missing, StoreError::Missing { .. }), "{missing}");
    harvested(&scratch).await.close().await;
    let library = open().unwrap();
    assert_eq!(library.stats().await.unwrap().total, 5);
    let refused = library.enqueue(vec![job("10.1000/9")], TTL).await.unwrap_err();
    assert!(matches!(refused, StoreError::ReadOnly { .. }), "{refused}");
    assert_eq!(library.stats().await.unwrap().total, 5);
}
