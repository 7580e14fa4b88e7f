//! Freshness against a small model, and files that are not what was written.

use std::time::Duration;

use bytes::Bytes;
use gleaner_model::clock::UnixMillis;
use gleaner_testing::each_mutation_of_bytes;
use http::{HeaderMap, StatusCode};
use proptest::prelude::*;

use super::disk::Disk;
use super::freshness::Rules;
use super::key::Key;
use super::{CacheConfig, Stored, cache_use};
use crate::scope::Role;

const NOW: UnixMillis = UnixMillis(784_111_777_000);

fn answer(status: u16, headers: &[(&str, &str)]) -> Stored {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap()))
        .collect();
    Stored::new(StatusCode::from_u16(status).unwrap(), &headers, NOW, Bytes::from_static(b"body"))
}

fn config() -> CacheConfig {
    CacheConfig::default()
}

#[derive(Debug, Clone, Copy)]
struct Said {
    max_age: Option<u64>,
    s_maxage: Option<u64>,
    no_store: bool,
    private: bool,
    no_cache: bool,
    must_revalidate: bool,
    has_etag: bool,
    age: u64,
}

fn said() -> impl Strategy<Value = Said> {
    let seconds = || proptest::option::of(prop_oneof![Just(0u64), 1u64..5000]);
    let rarely = || proptest::bool::weighted(0.15);
    (
        seconds(),
        seconds(),
        rarely(),
        rarely(),
        rarely(),
        any::<bool>(),
        any::<bool>(),
        prop_oneof![Just(0u64), 0u64..3000],
    )
        .prop_map(|(max_age, s_maxage, no_store, private, no_cache, must_revalidate, has_etag, age)| {
            Said { max_age, s_maxage, no_store, private, no_cache, must_revalidate, has_etag, age }
        })
}

/// As a header, in either case of letters: directives are the same in both.
fn control(said: Said, upper: bool) -> String {
    let mut words = Vec::new();
    words.extend(said.max_age.map(|n| format!("max-age={n}")));
    words.extend(said.s_maxage.map(|n| format!("s-maxage={n}")));
    let flags = [
        (said.no_store, "no-store"),
        (said.private, "private"),
        (said.no_cache, "no-cache"),
        (said.must_revalidate, "must-revalidate"),
    ];
    words.extend(flags.iter().filter(|(set, _)| *set).map(|(_, word)| (*word).to_owned()));
    let text = words.join(", ");
    if upper { text.to_ascii_uppercase() } else { text }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn freshness_is_what_a_small_model_says(said in said(), later in 0u64..100_000, upper: bool, landing: bool) {
        let config = config();
        let role = if landing { Role::Landing } else { Role::Metadata };
        let rules = Rules { config: &config, role };
        let (control, age) = (control(said, upper), said.age.to_string());
        let mut headers = vec![("cache-control", control.as_str()), ("age", age.as_str())];
        if said.has_etag {
            headers.push(("etag", "\"v1\""));
        }
        let stored = answer(200, &headers);
        let lifetime = match (said.no_cache, said.s_maxage, said.max_age) {
            (true, _, _) => 0,
            (_, Some(seconds), _) | (_, None, Some(seconds)) => seconds,
            (false, None, None) => config.unsaid(role, false).as_secs(),
        };
        let is_kept = !said.no_store && !said.private && (said.has_etag || lifetime > said.age);
        prop_assert_eq!(rules.may_keep(&stored), is_kept);
        let now = NOW.after(Duration::from_secs(later));
        if is_kept {
            prop_assert_eq!(rules.is_fresh(&stored, now), lifetime > said.age + later);
            let bound = lifetime.saturating_sub(said.age) + config.stale_if_error.0.as_secs();
            let may = !said.no_cache && !said.must_revalidate && said.s_maxage.is_none() && later <= bound;
            prop_assert_eq!(rules.may_stand_in(&stored, now), may);
        }
    }
}

#[test]
fn statuses_are_kept_as_long_as_they_deserve() {
    let config = config();
    let rules = Rules { config: &config, role: Role::Metadata };
    let hours = |n: u64| NOW.after(Duration::from_secs(n * 3600));
    for (status, headers, kept, fresh_after_hours) in [
        (200, &[][..], true, true),
        (301, &[], true, true),
        (404, &[], true, false),
        (410, &[], true, false),
        (302, &[], false, false),
        (302, &[("cache-control", "max-age=7200")], true, true),
        (206, &[("cache-control", "max-age=7200")], false, false),
        (500, &[("cache-control", "max-age=7200")], false, false),
        (200, &[("pragma", "no-cache")], false, false),
        (200, &[("vary", "accept, *")], false, false),
        (200, &[("expires", "0")], false, false),
        (
            200,
            &[("expires", "Sun, 06 Nov 1994 10:49:37 GMT"), ("date", "Sun, 06 Nov 1994 08:49:37 GMT")],
            true,
            true,
        ),
        (200, &[("age", "99999999999999999999")], false, false),
        (200, &[("age", "18446744073709551615"), ("cache-control", "max-age=5")], false, false),
        (200, &[("date", "Sun, 06 Nov 1994 07:49:37 GMT"), ("cache-control", "max-age=5000")], true, false),
        (200, &[("set-cookie", "id=1")], true, true),
    ] {
        let stored = answer(status, headers);
        assert_eq!(rules.may_keep(&stored), kept, "{status} {headers:?}");
        assert_eq!(kept && rules.is_fresh(&stored, hours(1)), fresh_after_hours, "{status} {headers:?}");
        // The clock was set back: nobody knows how old it is.
        assert!(!rules.is_fresh(&stored, UnixMillis(NOW.0 - 1)), "{status} {headers:?}");
    }
}

#[test]
fn a_mutated_file_is_what_was_written_or_none() {
    let stored = answer(200, &[("etag", "\"v1\""), ("x", "é")]);
    let name = [7; 32];
    let file = stored.encode(&name).unwrap();
    assert_eq!(Stored::decode(file.clone(), &name).unwrap(), stored);
    assert!(Stored::decode(file.clone(), &[8; 32]).is_none(), "under another name it is foreign");
    for length in 0..file.len() {
        assert!(Stored::decode(file[..length].to_vec(), &name).is_none(), "torn at {length}");
    }
    each_mutation_of_bytes(10_000, std::slice::from_ref(&file), |bytes| {
        if let Some(read) = Stored::decode(bytes.to_vec(), &name) {
            assert_eq!((bytes, &read), (&file[..], &stored));
        }
    });
}

/// Two of them on one directory are as two processes.
fn disks(dir: &std::path::Path, size: u64) -> [Disk; 2] {
    [(); 2].map(|()| Disk::new(dir.join("cache"), size, 1 << 20))
}

#[test]
fn two_processes_share_what_they_keep_and_never_read_a_torn_answer() {
    let dir = tempfile::tempdir().unwrap();
    let disks = disks(dir.path(), 64 << 20);
    // Answers of several pages, each of one letter, so that a mixture would show.
    let letter = |n: u8| Stored { body: Bytes::from(vec![n; 50_000 + usize::from(n)]), ..answer(200, &[]) };
    let is_sound = |stored: &Stored| {
        let first = stored.body[0];
        stored.body.len() == 50_000 + usize::from(first) && stored.body.iter().all(|byte| *byte == first)
    };
    std::thread::scope(|scope| {
        for (process, disk) in disks.iter().enumerate() {
            scope.spawn(move || {
                for round in 0..100_u8 {
                    let key = Key::of_test(u32::from(round % 4));
                    match round % 10 {
                        9 => disk.remove(&key),
                        _ => disk.write(&key, &letter(2 * round + u8::try_from(process).unwrap()), NOW),
                    }
                    for key in (0..4).map(Key::of_test) {
                        assert!(disk.read(&key, NOW).is_none_or(|stored| is_sound(&stored)));
                    }
                }
            });
        }
    });
    disks[0].write(&Key::of_test(7), &letter(7), NOW);
    assert_eq!(
        disks[1].read(&Key::of_test(7), NOW).unwrap().body,
        letter(7).body,
        "what one keeps, the other has"
    );
    assert!(cache_use(&dir.path().join("cache")).unwrap().entries <= 5, "what was begun is ended");
}

#[test]
fn two_processes_keep_to_one_size() {
    const SIZE: u64 = 64 * 4096;
    let dir = tempfile::tempdir().unwrap();
    let disks = disks(dir.path(), SIZE);
    for n in 0..500 {
        disks[n as usize % 2].write(&Key::of_test(n), &answer(200, &[]), NOW);
        let taken = cache_use(&dir.path().join("cache")).unwrap().bytes;
        assert!(taken <= SIZE + SIZE / 4, "{taken} after {n}: an eighth more for each process at most");
    }
}
