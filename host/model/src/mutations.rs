//! Ten thousand mutations through everything of this crate that reads text from outside. Identifiers have tests of
//! their own beside these.

use std::fmt::{Debug, Display};
use std::str::FromStr;
use std::time::Duration;

use gleaner_testing::each_mutation;

use crate::artifact::{Artifact, ArtifactId, from_json};
use crate::candidate::{Candidate, CandidateUrl};
use crate::clock::UnixMillis;
use crate::identifier::{Identifier, Scheme};
use crate::job::JobState;
use crate::key::{HostKey, Key, ResolverName};
use crate::manifest::ManifestRecord;
use crate::next::{Budgets, Next, Planner, Takes, Tier};
use crate::plan::{Fate, Plan, Step};
use crate::reason::Reason;
use crate::retry_after;
use crate::units::{ByteSize, Rate, Span};

/// What was read reads the same again when it was written.
fn reads_back<T: FromStr<Err: Display> + Display + PartialEq + Debug>(text: &str) -> Option<T> {
    let Ok(value) = text.parse::<T>().map_err(|error| assert!(error.to_string().len() < 1000)) else {
        return None;
    };
    let written = value.to_string();
    assert_eq!(written.parse::<T>().ok().as_ref(), Some(&value), "{text:?} became {written:?}");
    Some(value)
}

#[test]
fn units() {
    each_mutation(
        &["500ms", "30s", "10m", "2h", "30d", "64KiB", "64 MiB", "2GiB", "512", "5/s", "1/3s", "1000 / 5m"],
        |text| {
            let longest = Duration::from_secs(36_500 * 86_400);
            assert!(reads_back::<Span>(text).is_none_or(|span| span.0 <= longest));
            let _ = reads_back::<ByteSize>(text);
            if let Some(rate) = reads_back::<Rate>(text) {
                // What asks for its pace, or adds it to the present, must not meet a zero or an overflow.
                assert!(!rate.per.is_zero() && rate.per <= longest && rate.interval() <= rate.per);
            }
        },
    );
}

#[test]
fn a_wait_that_an_upstream_asks_for() {
    let now = UnixMillis(784_111_777_000);
    let longest = Duration::from_secs(u64::from(u32::MAX));
    each_mutation(
        &[
            "120",
            "0",
            "Sun, 06 Nov 1994 08:50:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ],
        |header| {
            // A date far ahead is one that a calendar can name.
            let date = Duration::from_secs(9000 * 366 * 86_400);
            let digits = header.trim().bytes().all(|b| b.is_ascii_digit());
            let wait = retry_after::parse(header, now).unwrap_or_default();
            assert!(wait <= if digits { longest } else { date }, "{wait:?}");
        },
    );
}

#[test]
fn keys_and_names() {
    let seeds =
        ["plan", "resolver:europe_pmc", "host:api.example.org:8443", "host:[2001:db8::1]:80", "landing_page"];
    each_mutation(&seeds, |text| {
        if let Ok(key) = Key::parse(text) {
            assert_eq!(key.to_string(), text, "a key is stored as it was written");
        }
        if let Ok(name) = ResolverName::new(text) {
            assert!(name.as_str() == text && text.is_ascii() && (1..=32).contains(&text.len()));
        }
        if let Ok(id) = ArtifactId::new(text) {
            assert_eq!(ArtifactId::new(id.as_str()), Ok(id));
        }
    });
}

#[test]
fn closed_lists() {
    each_mutation(&["ok", "html_instead_of_pdf", "queued", "in_progress", "error"], |text| {
        let _ = (reads_back::<Reason>(text), reads_back::<JobState>(text));
    });
}

#[test]
fn what_a_resolver_takes() {
    let identifier = Identifier::parse("10.48550/arxiv.1706.03762").unwrap();
    each_mutation(
        &["doi", "doi:10.48550/", "landing-page", "failed-url", "arxiv", "short-doi_2:x"],
        |text| {
            if let Ok(Takes::Identifier(scheme, prefix)) = Takes::parse(text) {
                assert_eq!(Scheme::from_name(&scheme.to_string()).as_ref(), Ok(&scheme));
                assert!(text.ends_with(&*prefix));
                let _ = identifier.value().starts_with(&*prefix);
            }
        },
    );
}

#[test]
fn urls_of_candidates_and_their_hosts() {
    let seeds = [
        "https://api.example.org/a b/%2e%2e/c?d=é#f",
        "HTTP://bücher.example.:8080/x",
        "https://user:pw@a.example/",
        "https://[2001:db8::1]:8443/",
        "http://0x7f.1/",
        "file:///etc/passwd",
    ];
    each_mutation(&seeds, |text| {
        let Ok(url) = CandidateUrl::parse(text) else { return };
        let spelt = url.as_url().as_str();
        assert!(spelt.len() <= CandidateUrl::MAX_BYTES && spelt.is_ascii() && !spelt.contains('#'));
        assert!(spelt.starts_with("http") && url.as_url().username().is_empty());
        assert_eq!(CandidateUrl::parse(spelt).as_ref(), Ok(&url));
        let key = HostKey::of(url.as_url()).unwrap();
        assert!(!key.as_str().is_empty() && key == url.host_key());
        assert!(!key.as_str().contains(|c: char| c.is_ascii_uppercase() || "/@?#".contains(c)), "{key}");
        assert_eq!(Key::parse(&Key::Host(key.clone()).to_string()), Ok(Key::Host(key)));
    });
}

/// Everything that a plan can hold.
const PLANS: [&str; 2] = [
    r#"{"started":1700000000000,"tries":3,"asked":[{"resolver":"unpaywall","fate":{"is":"answered"}},{"resolver":"arxiv","fate":{"is":"open","failures":1,"retry_at":1700000060000}}],"candidates":[{"resolver":"unpaywall","url":"https://a.example/1.pdf","kind":"file","version":"accepted","license":"cc-by","host_type":"repository","confidence":0.9,"extra":[["a","b"]],"fate":{"is":"closed","reason":"timeout","detail":"x"}},{"resolver":"unpaywall","url":"https://b.example/","kind":"landing-page","confidence":0.5,"fate":{"is":"open"}}],"discovered":["pmid:7"]}"#,
    r#"{"candidates":[{"resolver":"direct","url":"http://a.example/","kind":"file","confidence":0.5,"fate":{"is":"accepted","sha256":"00","known":true}}]}"#,
];

fn planner() -> Planner {
    let name = |text: &str| ResolverName::new(text).unwrap();
    let takes = |text: &str| vec![Takes::parse(text).unwrap()];
    let resolvers = ["unpaywall", "arxiv"].map(|one| (name(one), takes("doi")));
    let tier = Tier {
        name: "t".into(),
        resolvers: resolvers.iter().map(|(name, _)| name.clone()).collect(),
        width: std::num::NonZeroU16::MIN,
    };
    let budgets =
        Budgets { attempts: 1000.try_into().unwrap(), time: Duration::from_secs(u64::from(u32::MAX)) };
    Planner::new(vec![tier], budgets, resolvers.into())
}

/// A plan that a damaged disk, another version or a hand changed is refused, or can be worked on.
#[test]
fn stored_plans() {
    let artifact = Artifact::of(Identifier::parse("10.1000/x").unwrap());
    let (planner, now) = (planner(), UnixMillis(1_700_000_030_000));
    each_mutation(&PLANS, |json| {
        let Ok(mut plan) = Plan::from_json(json) else { return };
        assert_eq!(Plan::from_json(&plan.to_json()).unwrap(), plan);
        plan.candidates.iter().for_each(|one| assert!(!one.candidate.confidence.is_nan()));
        for _ in 0..4 {
            match planner.next(&plan, &artifact, now) {
                Next::Step(step) | Next::Wait(step, _) => {
                    let _ = (plan.key(&step), plan.fate(&step));
                    plan.note_failure(&step, (Reason::Timeout, "x".into()), now, 2, now);
                }
                Next::End(_) => return,
            }
        }
    });
}

/// Counts at their very ends, which single mutations rarely reach.
#[test]
fn a_plan_may_have_counted_to_the_end() {
    let json =
        r#"{"tries":4294967295,"asked":[{"resolver":"r","fate":{"is":"open","failures":4294967295}}]}"#;
    let mut plan = Plan::from_json(json).unwrap();
    let step = Step::Resolve(ResolverName::new("r").unwrap());
    let now = UnixMillis(i64::MAX);
    plan.note_failure(&step, (Reason::Timeout, String::new()), now, 4, now);
    assert!(matches!(plan.fate(&step), Fate::Closed { .. }));
}

#[test]
fn stored_artifacts_and_imported_ones() {
    let seeds = [
        r#"{"identifiers":["doi:10.1000/x","pmid:7","url:https://a.example/1.pdf"],"title":"T","authors":["A, B"],"year":2017,"resolver_hint":"arxiv","extra":{"shelf":{"a":[1,null]}}}"#,
        r#"{"artifact_id":"7","doi":["10.1000/x"],"pmcid":"PMC12","urls":["https://a.example/"],"identifiers":"arXiv:1706.03762","title":7,"year":"2007","authors":"A","shelf":1.5e3}"#,
    ];
    each_mutation(&seeds, |json| {
        if let Ok(artifact) = serde_json::from_str::<Artifact>(json) {
            let written = serde_json::to_string(&artifact).unwrap();
            assert_eq!(serde_json::from_str::<Artifact>(&written).unwrap(), artifact);
        }
        let Ok(serde_json::Value::Object(object)) = serde_json::from_str(json) else { return };
        let Ok(artifact) = from_json(&object) else { return };
        assert_eq!(ArtifactId::new(artifact.id.as_str()).as_ref(), Ok(&artifact.id));
        let written = serde_json::to_string(&artifact).unwrap();
        let back = serde_json::from_str::<Artifact>(&written).unwrap();
        assert_eq!((back.identifiers, back.extra), (artifact.identifiers, artifact.extra));
    });
}

#[test]
fn stored_manifest_records() {
    let run = crate::manifest::RunIdentity { run_id: "r".into(), config_hash: "h".into() };
    let artifact = Artifact::of(Identifier::parse("10.1000/x").unwrap());
    let mut record = ManifestRecord::new(&run, &artifact, "arxiv", UnixMillis(0));
    record.url_chain = vec!["https://a.example/".into()];
    record.extra = vec![("a".into(), "b".into())];
    (record.status, record.bytes, record.candidates) = (Some(200), Some(7), Some(3));
    each_mutation(&[serde_json::to_string(&record).unwrap()], |json| {
        if let Ok(record) = serde_json::from_str::<ManifestRecord>(json) {
            let written = serde_json::to_string(&record).unwrap();
            assert_eq!(serde_json::from_str::<ManifestRecord>(&written).unwrap(), record);
        }
    });
}

#[test]
fn candidates_are_in_one_order_whatever_was_stored() {
    let seed = r#"[{"resolver":"r","url":"https://a.example/1","kind":"file","version":"published","confidence":0.9},{"resolver":"r","url":"https://a.example/2","kind":"file","confidence":0.0},{"resolver":"r","url":"https://a.example/3","kind":"file","confidence":-1e9}]"#;
    each_mutation(&[seed], |json| {
        let Ok(mut candidates) = serde_json::from_str::<Vec<Candidate>>(json) else { return };
        // Sorting panics where an order is none.
        candidates.sort_by(Candidate::compare);
    });
}
