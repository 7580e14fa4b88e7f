//! What goes and what stays of unfinished downloads, and who may go on with one. Locks are of open files, so two `Parts`
//! of one directory are as two processes.

use gleaner_model::identifier::Identifier;

use super::*;
use crate::sink::{Keep, Sink};

const MOST: u64 = 10_000;

fn work(doi: &str) -> Artifact {
    Artifact::of(Identifier::parse(doi).unwrap())
}

fn url(n: usize) -> Url {
    format!("https://files.example.org/{n}.pdf").parse().unwrap()
}

fn note(url: &Url, length: u64) -> Note {
    let headers = http::HeaderMap::from_iter([(http::header::ETAG, "\"v1\"".parse().unwrap())]);
    let validators = Validators::of(&headers).unwrap();
    let (media_type, sha256) = (None, String::new());
    Note {
        url: url.clone(),
        validators,
        media_type,
        total: 9999,
        length,
        sha256,
        transport: Transport::Https,
    }
}

fn begun(dir: &Path, bytes: usize) -> NamedTempFile {
    let mut file = tempfile::Builder::new().prefix("download-").tempfile_in(dir).unwrap();
    file.write_all(&vec![b'x'; bytes]).unwrap();
    file
}

/// An unfinished download of so many bytes, written so long ago, that nobody is at.
fn leave(parts: &Parts, artifact: &Artifact, url: &Url, bytes: usize, ago: Duration) -> Slot {
    let slot = parts.slot(url, artifact);
    let file = parts.put(begun(&parts.dir, bytes), &slot, &note(url, bytes as u64)).unwrap();
    file.as_file().set_modified(wall_time() - ago).unwrap();
    file.keep().unwrap();
    slot
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_is_old_or_more_than_fits_goes_with_its_note_and_the_newest_stay() {
    let dir = tempfile::tempdir().unwrap();
    let parts = Parts::open(dir.path().to_owned(), MOST);
    let (minute, day) = (Duration::from_secs(60), Duration::from_secs(24 * 3600));
    let artifact = work("10.1000/x");
    let old = leave(&parts, &artifact, &url(0), 10, 7 * day + minute);
    let within = leave(&parts, &artifact, &url(1), 6000, 7 * day - minute);
    let newer = leave(&parts, &artifact, &url(2), 3000, day);
    let newest = leave(&parts, &artifact, &url(3), 3000, minute);
    let widow = dir.path().join(format!("{PREFIX}0-0.json"));
    std::fs::write(&widow, "{}").unwrap();
    std::fs::write(dir.path().join("download-of-somebody"), "not ours").unwrap();
    let there = |slot: &Slot| (slot.part.exists(), slot.note.exists());

    parts.tidy_up();
    assert_eq!((there(&old), widow.exists()), ((false, false), false), "old ones, and notes without a part");
    assert_eq!(there(&within), (false, false), "with it they take more than fits");
    assert_eq!((there(&newer), there(&newest)), ((true, true), (true, true)));
    assert_eq!(names(dir.path()).len(), 5, "{:?}", names(dir.path()));

    // The same when a library is opened; and what somebody is at stays, however much it is.
    let (held, _) = parts.take(&newest, &url(3)).unwrap();
    let reopened = Parts::open(dir.path().to_owned(), 10);
    assert_eq!((there(&newer), there(&newest)), ((false, false), (true, true)));
    assert!(reopened.may_have_some());
    drop(held);
}

#[test]
fn what_a_work_left_goes_when_it_has_ended_and_nothing_of_others() {
    let dir = tempfile::tempdir().unwrap();
    let parts = Parts::open(dir.path().to_owned(), MOST);
    let (one, other) = (work("10.1000/x"), work("10.1000/y"));
    let of_one = [0, 1].map(|n| leave(&parts, &one, &url(n), 10, Duration::ZERO));
    let of_other = leave(&parts, &other, &url(0), 10, Duration::ZERO);
    assert_ne!(of_one[0].part, of_other.part, "one URL of two works");
    parts.forget(&one);
    assert!(of_one.iter().all(|slot| !slot.part.exists() && !slot.note.exists()));
    assert!(of_other.part.exists() && of_other.note.exists());
}

#[test]
fn one_part_is_one_process_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let [first, second] = [(); 2].map(|()| Parts::open(dir.path().to_owned(), MOST));
    let (artifact, url) = (work("10.1000/x"), url(0));
    let slot = leave(&first, &artifact, &url, 100, Duration::ZERO);
    let (held, noted) = first.take(&slot, &url).unwrap();
    assert_eq!(noted, note(&url, 100));

    assert!(second.take(&slot, &url).is_none(), "the first is at it");
    let refused = second.put(begun(dir.path(), 7), &slot, &note(&url, 7)).unwrap_err();
    assert_ne!(refused.path(), slot.part);
    drop(refused);
    second.forget(&artifact);
    second.tidy_up();
    assert_eq!(std::fs::metadata(&slot.part).unwrap().len(), 100, "the second harmed nothing");
    assert!(slot.note.exists());

    held.keep().unwrap();
    let (taken, noted) = second.take(&slot, &url).unwrap();
    assert_eq!((noted.length, taken.as_file().metadata().unwrap().len()), (100, 100));
    assert!(first.take(&slot, &url).is_none());
}

#[test]
fn a_note_that_is_of_something_else_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let parts = Parts::open(dir.path().to_owned(), MOST);
    let (artifact, url) = (work("10.1000/x"), url(0));
    type Change = fn(&mut Note);
    let broken: [(&str, Change); 4] = [
        ("another URL", |note| note.url = "https://files.example.org/other.pdf".parse().unwrap()),
        ("more than there is", |note| note.length = 101),
        ("nothing", |note| note.length = 0),
        ("more than the whole", |note| note.total = 99),
    ];
    for (what, change) in broken {
        let slot = leave(&parts, &artifact, &url, 100, Duration::ZERO);
        let mut other = note(&url, 100);
        change(&mut other);
        std::fs::write(&slot.note, serde_json::to_vec(&other).unwrap()).unwrap();
        assert!(parts.take(&slot, &url).is_none(), "{what}");
        assert!(!slot.part.exists() && !slot.note.exists(), "{what}");
    }
}

#[tokio::test]
async fn what_came_of_a_download_that_is_stopped_is_kept_also_where_it_was_to_be_written_whole() {
    for (length, chunks) in
        [(300_000_usize, vec![100_000, 50_000]), (3_000_000, vec![700_000]), (9000, vec![8000])]
    {
        let dir = tempfile::tempdir().unwrap();
        let parts = std::sync::Arc::new(Parts::open(dir.path().to_owned(), 1 << 30));
        let (artifact, url) = (work("10.1000/x"), url(1));
        let slot = parts.slot(&url, &artifact);
        let note = Note { total: length as u64, ..note(&url, 0) };
        let tmp = dir.path().to_owned();
        let mut sink = Sink::new(Box::new(move || Ok(begun(&tmp, 0))));
        sink.make_resumable(Keep { parts: std::sync::Arc::clone(&parts), slot: slot.clone(), note });
        sink.expect(Some(length as u64));
        chunks.iter().for_each(|length| sink.add(vec![b'x'; *length].into()));
        drop(sink);
        let (file, note) = parts.take(&slot, &url).expect("a part");
        let came: usize = chunks.iter().sum();
        assert_eq!((note.length, file.as_file().metadata().unwrap().len()), (came as u64, came as u64));
    }
}
