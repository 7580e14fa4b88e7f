//! The plan's promises: the right order, no step twice, an end for every job.

use proptest::prelude::*;

use super::*;
use crate::candidate::{Candidate, CandidateUrl, Version};
use crate::plan::Resolution;

const NOW: UnixMillis = UnixMillis(1_000_000);

fn name(text: &str) -> ResolverName {
    ResolverName::new(text).unwrap()
}

fn planner() -> Planner {
    let takes = |list: &[&str]| list.iter().map(|t| Takes::parse(t).unwrap()).collect::<Vec<_>>();
    let tier = |list: &[&str]| Tier {
        name: "t".into(),
        resolvers: list.iter().map(|n| name(n)).collect(),
        width: NonZeroU16::MIN,
    };
    Planner::new(
        vec![tier(&["direct", "alpha", "pmc", "absent"]), tier(&["beta"])],
        Budgets { attempts: NonZeroU32::new(30).unwrap(), time: Duration::from_secs(3600) },
        [
            ("direct", takes(&["url"])),
            ("alpha", takes(&["doi"])),
            ("pmc", takes(&["pmcid", "doi"])),
            ("beta", takes(&["doi:10.1000/"])),
            ("landing", takes(&["landing-page"])),
        ]
        .into_iter()
        .map(|(n, t)| (name(n), t))
        .collect(),
    )
}

fn artifact(ids: &[&str]) -> Artifact {
    Artifact::new(None, ids.iter().map(|id| Identifier::parse(id).unwrap()).collect()).unwrap()
}

fn candidate(url: &str, version: Option<Version>, kind: CandidateKind) -> Candidate {
    Candidate {
        resolver: name("alpha"),
        url: CandidateUrl::parse(url).unwrap(),
        kind,
        media_type: None,
        version,
        license: None,
        host_type: None,
        confidence: 0.5,
        extra: Vec::new(),
    }
}

fn resolve(text: &str) -> Next {
    Next::Step(Step::Resolve(name(text)))
}

fn closed(reason: Reason) -> Fate {
    Fate::Closed { reason, detail: "why".into() }
}

#[test]
fn resolvers_are_asked_in_order_tier_by_tier() {
    let (planner, work) = (planner(), artifact(&["10.1000/x"]));
    let mut plan = Plan::default();
    for expected in ["alpha", "pmc", "beta"] {
        assert_eq!(planner.next(&plan, &work, NOW), resolve(expected));
        plan.note(&Step::Resolve(name(expected)), Fate::Answered, NOW);
    }
    let Next::End(JobResult::Skipped { reason, .. }) = planner.next(&plan, &work, NOW) else { panic!() };
    assert_eq!(reason, Reason::NoCandidate);
}

#[test]
fn a_prefix_of_a_value_decides_who_is_asked() {
    let (planner, work) = (planner(), artifact(&["10.2000/x"]));
    let mut plan = Plan::default();
    for asked in ["alpha", "pmc"] {
        plan.note(&Step::Resolve(name(asked)), Fate::Answered, NOW);
    }
    assert!(matches!(planner.next(&plan, &work, NOW), Next::End(_)));
}

#[test]
fn the_resolver_at_home_in_an_identifier_goes_first() {
    let (planner, plan) = (planner(), Plan::default());
    assert_eq!(planner.next(&plan, &artifact(&["10.1000/x", "PMC12"]), NOW), resolve("pmc"));
    assert_eq!(
        planner.next(&plan, &artifact(&["10.1000/x", "PMC12", "https://a.example/x"]), NOW),
        resolve("direct")
    );
}

#[test]
fn known_candidates_are_fetched_before_anyone_is_asked_best_first() {
    let (planner, work) = (planner(), artifact(&["10.1000/x"]));
    let mut plan = Plan::default();
    plan.note(&Step::Resolve(name("alpha")), Fate::Answered, NOW);
    let file = CandidateKind::File;
    let new = plan.take_in(
        Resolution {
            candidates: vec![
                candidate("https://a.example/1", Some(Version::Submitted), file),
                candidate("https://a.example/2", Some(Version::Published), file),
                candidate("https://a.example/1#again", None, file),
                candidate("https://a.example/page", None, CandidateKind::LandingPage),
            ],
            ..Resolution::default()
        },
        &work.identifiers,
    );
    assert_eq!(new, 3);
    assert_eq!(planner.next(&plan, &work, NOW), Next::Step(Step::Fetch(1)));
    plan.note(&Step::Fetch(1), closed(Reason::HtmlInsteadOfPdf), NOW);
    assert_eq!(planner.next(&plan, &work, NOW), Next::Step(Step::Fetch(0)));
    plan.note(&Step::Fetch(0), closed(Reason::NotFound), NOW);
    assert_eq!(planner.next(&plan, &work, NOW), resolve("pmc"));
    assert_eq!(plan.failed_urls().count(), 2);
}

#[test]
fn an_accepted_file_ends_the_job() {
    let (planner, work) = (planner(), artifact(&["10.1000/x"]));
    let mut plan = Plan::default();
    let candidates = vec![candidate("https://a.example/1", None, CandidateKind::File)];
    plan.take_in(Resolution { candidates, ..Resolution::default() }, &[]);
    plan.note(&Step::Fetch(0), Fate::Accepted { sha256: "ab".into(), known: false }, NOW);
    let end = JobResult::Done { reason: Reason::Ok, sha256: "ab".into() };
    assert_eq!(planner.next(&plan, &work, NOW), Next::End(end));
}

#[test]
fn a_suspended_resolver_waits_behind_everything_as_a_failed_step_does() {
    let (planner, work) = (planner(), artifact(&["10.1000/x"]));
    let (mut plan, later) = (Plan::default(), NOW.after(Duration::from_secs(600)));
    let suspended = BTreeMap::from([(name("alpha"), later)]);
    let next = |plan: &Plan, now| planner.next_without(plan, &work, now, &suspended);
    let (alpha, beta) = (Step::Resolve(name("alpha")), Step::Resolve(name("beta")));
    assert_eq!(planner.next(&plan, &work, NOW), resolve("alpha"));
    assert_eq!(next(&plan, NOW), resolve("pmc"));
    plan.note(&Step::Resolve(name("pmc")), Fate::Answered, NOW);
    assert_eq!(next(&plan, NOW), resolve("beta"));
    let mut soon = plan.clone();
    soon.note_failure(&beta, (Reason::Timeout, "t".into()), NOW.after(Duration::from_secs(60)), 3, NOW);
    assert_eq!(next(&soon, NOW), Next::Wait(beta.clone(), NOW.after(Duration::from_secs(60))));
    plan.note(&beta, Fate::Answered, NOW);
    assert_eq!(next(&plan, NOW), Next::Wait(alpha.clone(), later));
    assert_eq!(next(&plan, later), resolve("alpha"));
    // A failure of its own may last longer than the suspension.
    let longer = NOW.after(Duration::from_secs(1200));
    plan.note_failure(&alpha, (Reason::Timeout, "t".into()), longer, 3, NOW);
    assert_eq!(next(&plan, NOW), Next::Wait(alpha, longer));
}

#[test]
fn what_is_stopped_for_long_is_passed_over_and_then_waits_for_its_key() {
    let (planner, work) = (planner(), artifact(&["10.1000/x"]));
    let after = |seconds| NOW.after(Duration::from_secs(seconds));
    let next = |plan: &Plan, stopped: &[(&str, UnixMillis)]| {
        let stopped = |step: &Step| {
            let of =
                |(one, until): &(&str, UnixMillis)| (*step == Step::Resolve(name(one))).then_some(*until);
            stopped.iter().find_map(of)
        };
        let (suspended, blocking) = (BTreeMap::new(), BTreeSet::new());
        let situation = Situation { suspended: &suspended, blocking: &blocking, stopped: &stopped };
        planner.next_in(plan, &work, NOW, &situation)
    };
    let mut plan = Plan::default();
    let stopped = [("alpha", after(3600)), ("beta", after(900))];
    assert_eq!(next(&plan, &stopped), resolve("pmc"));
    plan.note(&Step::Resolve(name("pmc")), Fate::Answered, NOW);
    assert_eq!(next(&plan, &stopped), resolve("beta"), "not put off: it waits where all wait for that key");
    assert_eq!(next(&plan, &stopped[..1]), resolve("beta"));
    // What is tried again before that is waited for.
    let beta = Step::Resolve(name("beta"));
    plan.note_failure(&beta, (Reason::Timeout, "t".into()), after(60), 3, NOW);
    assert_eq!(next(&plan, &stopped[..1]), Next::Wait(beta, after(60)));
    assert_eq!(next(&plan, &[("alpha", after(30))]), resolve("alpha"));
}

#[test]
fn a_failed_step_waits_behind_everything_and_the_job_waits_only_for_it() {
    let (planner, work) = (planner(), artifact(&["10.1000/x"]));
    let (mut plan, later) = (Plan::default(), NOW.after(Duration::from_secs(60)));
    let alpha = Step::Resolve(name("alpha"));
    plan.note_failure(&alpha, (Reason::Timeout, "t".into()), later, 3, NOW);
    assert_eq!(planner.next(&plan, &work, NOW), resolve("pmc"));
    plan.note(&Step::Resolve(name("pmc")), Fate::Answered, NOW);
    plan.note(&Step::Resolve(name("beta")), Fate::Answered, NOW);
    assert_eq!(planner.next(&plan, &work, NOW), Next::Wait(alpha.clone(), later));
    assert_eq!(planner.next(&plan, &work, later), Next::Step(alpha.clone()));
    plan.note_failure(&alpha, (Reason::Timeout, "t".into()), later, 3, NOW);
    plan.note_failure(&alpha, (Reason::Timeout, "t".into()), later, 3, NOW);
    let Next::End(end) = planner.next(&plan, &work, NOW) else { panic!() };
    assert_eq!((end.reason(), end.detail()), (Reason::Timeout, "alpha: t"));
}

#[test]
fn landing_pages_make_their_resolver_applicable() {
    let (planner, work) = (planner(), artifact(&["https://a.example/x"]));
    let mut plan = Plan::default();
    plan.note(&Step::Resolve(name("direct")), Fate::Answered, NOW);
    assert!(matches!(planner.next(&plan, &work, NOW), Next::End(_)));
    let candidates = vec![candidate("https://a.example/page", None, CandidateKind::LandingPage)];
    plan.take_in(Resolution { candidates, ..Resolution::default() }, &[]);
    assert_eq!(planner.next(&plan, &work, NOW), resolve("landing"));
}

#[test]
fn discovered_identifiers_make_resolvers_applicable() {
    let (planner, work) = (planner(), artifact(&["https://a.example/x"]));
    let mut plan = Plan::default();
    plan.note(&Step::Resolve(name("direct")), Fate::Answered, NOW);
    let discovered = vec![Identifier::parse("PMC12").unwrap()];
    plan.take_in(Resolution { discovered, ..Resolution::default() }, &work.identifiers);
    assert_eq!(planner.next(&plan, &work, NOW), resolve("pmc"));
}

#[test]
fn a_hint_restricts_to_one_resolver_and_says_when_it_is_missing() {
    let planner = planner();
    let mut work = artifact(&["10.1000/x"]);
    work.resolver_hint = Some("beta".into());
    assert_eq!(planner.next(&Plan::default(), &work, NOW), resolve("beta"));
    work.resolver_hint = Some("gamma".into());
    let Next::End(end) = planner.next(&Plan::default(), &work, NOW) else { panic!() };
    assert_eq!(end.reason(), Reason::PluginUnavailable);
    // It was there, and was removed since.
    let mut asked = Plan::default();
    asked.note(&Step::Resolve(name("gamma")), Fate::Answered, NOW);
    let Next::End(end) = planner.next(&asked, &work, NOW) else { panic!() };
    assert_eq!(end.reason(), Reason::NoCandidate);
}

#[test]
fn budgets_end_a_job() {
    let (planner, work) = (planner(), artifact(&["10.1000/x"]));
    let plan = Plan { tries: 30, started: Some(NOW), ..Plan::default() };
    let Next::End(end) = planner.next(&plan, &work, NOW) else { panic!() };
    assert_eq!((end.reason(), end.detail()), (Reason::BudgetExhausted, "attempts: 30 used"));
    let plan = Plan { tries: 1, started: Some(NOW), ..Plan::default() };
    let Next::End(end) = planner.next(&plan, &work, NOW.after(Duration::from_secs(3601))) else { panic!() };
    assert_eq!((end.reason(), end.detail()), (Reason::BudgetExhausted, "time: over 1h"));
}

#[derive(Debug, Clone)]
enum Event {
    Answer(Vec<(u8, bool)>),
    Fail,
    Close,
    Accept,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        proptest::collection::vec((any::<u8>(), any::<bool>()), 0..5).prop_map(Event::Answer),
        Just(Event::Fail),
        Just(Event::Close),
        Just(Event::Accept),
    ]
}

proptest! {
    #[test]
    fn every_job_ends_and_no_closed_step_runs_again(events in proptest::collection::vec(event(), 40)) {
        let (planner, work) = (planner(), artifact(&["10.1000/x", "PMC12", "https://a.example/x"]));
        let (mut plan, mut now) = (Plan::default(), NOW);
        let mut ended = false;
        for event in events {
            let step = match planner.next(&plan, &work, now) {
                Next::Step(step) => step,
                Next::Wait(step, until) => {
                    prop_assert!(until > now);
                    now = until;
                    step
                }
                Next::End(_) => { ended = true; break }
            };
            let open = matches!(plan.fate(&step), Fate::Open { .. });
            prop_assert!(open);
            match (event, &step) {
                (Event::Answer(urls), Step::Resolve(_)) => {
                    plan.note(&step, Fate::Answered, now);
                    let candidates = urls.iter().map(|(n, page)| {
                        let kind = if *page { CandidateKind::LandingPage } else { CandidateKind::File };
                        candidate(&format!("https://h{}.example/{n}", n % 3), None, kind)
                    }).collect();
                    plan.take_in(Resolution { candidates, ..Resolution::default() }, &work.identifiers);
                }
                (Event::Accept, Step::Fetch(_)) => {
                    plan.note(&step, Fate::Accepted { sha256: "00".into(), known: true }, now);
                }
                (Event::Close, _) => plan.note(&step, closed(Reason::NotFound), now),
                _ => {
                    let at = now.after(Duration::from_secs(10));
                    plan.note_failure(&step, (Reason::Timeout, String::new()), at, 3, now);
                }
            }
            let stored = plan.to_json();
            prop_assert_eq!(&Plan::from_json(&stored).unwrap(), &plan);
        }
        prop_assert!(ended, "40 steps are over the budget of 30");
    }
}

fn wide(width: u16, prefer: Prefer) -> Planner {
    let takes = |text: &str| vec![Takes::parse(text).unwrap()];
    let tier = |list: &[&str], width| Tier {
        name: "t".into(),
        resolvers: list.iter().map(|n| name(n)).collect(),
        width: NonZeroU16::new(width).unwrap(),
    };
    let resolvers =
        ["a", "b", "c", "d", "e"].map(|one| (name(one), takes(if one == "b" { "pmid" } else { "doi" })));
    let budgets = Budgets { attempts: NonZeroU32::new(4).unwrap(), time: Duration::from_secs(3600) };
    Planner::new(vec![tier(&["a", "b", "c", "d"], width), tier(&["e"], 1)], budgets, resolvers.into())
        .choosing(prefer, Ranking::default())
}

#[test]
fn a_wide_tier_asks_those_that_can_be_asked_up_to_its_width_and_the_budget() {
    let (work, mut plan) = (artifact(&["10.1000/x"]), Plan::default());
    let suspended = BTreeMap::from([(name("c"), NOW.after(Duration::from_secs(60)))]);
    let none = BTreeMap::new();
    let beside = |width, plan: &Plan, suspended: &BTreeMap<ResolverName, UnixMillis>| {
        let situation = Situation { suspended, blocking: &BTreeSet::new(), stopped: &|_| None };
        let others = wide(width, Prefer::First).beside(&name("a"), plan, &work, NOW, &situation);
        others.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert!(beside(1, &plan, &none).is_empty());
    assert_eq!(beside(2, &plan, &none), ["c"]);
    // Not b, which takes no DOI, and not e, which is another tier's.
    assert_eq!(beside(9, &plan, &none), ["c", "d"]);
    assert_eq!(beside(9, &plan, &suspended), ["d"]);
    plan.note(&Step::Resolve(name("c")), Fate::Answered, NOW);
    assert_eq!(beside(9, &plan, &none), ["d"]);
    plan.tries = 3;
    assert!(beside(9, &plan, &none).is_empty());
}

#[test]
fn a_published_version_is_waited_for_within_the_tier_only() {
    let work = artifact(&["10.1000/x"]);
    let mut plan = Plan::default();
    plan.note(&Step::Resolve(name("a")), Fate::Answered, NOW);
    let file = candidate("https://a.example/1", Some(Version::Submitted), CandidateKind::File);
    plan.take_in(Resolution { candidates: vec![file], ..Resolution::default() }, &work.identifiers);
    let next = |prefer, plan: &Plan| wide(1, prefer).next(plan, &work, NOW);
    assert_eq!(next(Prefer::First, &plan), Next::Step(Step::Fetch(0)));
    assert_eq!(next(Prefer::Published, &plan), resolve("c"));
    plan.note(&Step::Resolve(name("c")), Fate::Answered, NOW);
    let better = candidate("https://a.example/2", Some(Version::Published), CandidateKind::File);
    plan.take_in(Resolution { candidates: vec![better], ..Resolution::default() }, &work.identifiers);
    assert_eq!(next(Prefer::Published, &plan), resolve("d"));
    // One that failed is not waited for while it may not be asked.
    plan.note_failure(
        &Step::Resolve(name("d")),
        (Reason::Timeout, String::new()),
        NOW.after(Duration::from_secs(9)),
        3,
        NOW,
    );
    assert_eq!(next(Prefer::Published, &plan), Next::Step(Step::Fetch(1)));
}

#[test]
fn copies_that_are_not_open_are_not_fetched_and_give_the_reason() {
    let (planner, work) = (wide(1, Prefer::First), artifact(&["10.1000/x"]));
    let mut plan = Plan::default();
    let mut closed_copy = candidate("https://a.example/1", None, CandidateKind::File);
    closed_copy.license = Some("https://www.elsevier.com/tdm/userlicense/1.0/".into());
    plan.take_in(Resolution { candidates: vec![closed_copy], ..Resolution::default() }, &work.identifiers);
    for asked in ["a", "c", "d"] {
        assert_eq!(planner.next(&plan, &work, NOW), resolve(asked));
        plan.note(&Step::Resolve(name(asked)), Fate::Answered, NOW);
    }
    plan.note(&Step::Resolve(name("e")), Fate::Answered, NOW);
    plan.tries = 1;
    let Next::End(JobResult::Skipped { reason, detail }) = planner.next(&plan, &work, NOW) else { panic!() };
    assert_eq!(reason, Reason::NotOpen);
    assert!(detail.contains("elsevier.com/tdm"), "{detail}");
    let any = Ranking { license: crate::rank::LicenseFilter::Any, ..Ranking::default() };
    let any = wide(1, Prefer::First).choosing(Prefer::First, any);
    assert_eq!(any.next(&plan, &work, NOW), Next::Step(Step::Fetch(0)));
}

#[test]
fn one_file_is_tried_once_however_its_url_is_spelt_and_redirected() {
    let mut plan = Plan::default();
    let file = |url: &str| candidate(url, None, CandidateKind::File);
    let take = |plan: &mut Plan, urls: &[&str]| {
        let candidates = urls.iter().map(|url| file(url)).collect();
        plan.take_in(Resolution { candidates, ..Resolution::default() }, &[])
    };
    let known = [
        "http://a.example/1?utm_source=x",
        "https://A.example:443/%31",
        "https://b.example/2",
        "https://c.example/3",
    ];
    assert_eq!(take(&mut plan, &known), 3);
    assert_eq!(
        plan.candidates[0].candidate.url.as_url().as_str(),
        known[0],
        "what is requested is not changed"
    );
    let chain: Vec<url::Url> = [known[0], "https://b.example/2#x", "https://d.example/4"]
        .iter()
        .map(|url| url.parse().unwrap())
        .collect();
    // Open still: nothing is known of the others.
    plan.note_failure(&Step::Fetch(0), (Reason::Timeout, String::new()), NOW, 3, NOW);
    plan.close_with(&Step::Fetch(0), &chain);
    assert!(plan.passed.is_empty() && matches!(plan.candidates[1].fate, Fate::Open { .. }));
    plan.note(&Step::Fetch(0), closed(Reason::HtmlInsteadOfPdf), NOW);
    plan.close_with(&Step::Fetch(0), &chain);
    assert!(matches!(plan.candidates[1].fate, Fate::Closed { reason: Reason::HtmlInsteadOfPdf, .. }));
    assert!(matches!(plan.candidates[2].fate, Fate::Open { .. }));
    let mut plan = Plan::from_json(&plan.to_json()).unwrap();
    assert_eq!(take(&mut plan, &["http://d.example/4?fbclid=1"]), 0);
    let page = candidate("https://d.example/4", None, CandidateKind::LandingPage);
    assert_eq!(plan.take_in(Resolution { candidates: vec![page], ..Resolution::default() }, &[]), 1);
}

#[test]
fn what_is_discovered_makes_others_applicable_through_a_durable_plan() {
    let takes = |text: &str| vec![Takes::parse(text).unwrap()];
    let resolvers =
        [("idconv", "doi"), ("pmc", "pmcid"), ("arxiv", "arxiv")].map(|(one, t)| (name(one), takes(t)));
    let budgets = Budgets { attempts: NonZeroU32::new(30).unwrap(), time: Duration::from_secs(3600) };
    let planner = Planner::new(Vec::new(), budgets, resolvers.into());
    let (work, mut plan) = (artifact(&["10.1000/x"]), Plan::default());
    assert_eq!(planner.calls(&plan, &work), [name("idconv")]);
    plan.note(&Step::Resolve(name("idconv")), Fate::Answered, NOW);
    let discovered = ["PMC12", "10.48550/arXiv.1706.03762", "10.1000/x"];
    let discovered = discovered.iter().map(|id| Identifier::parse(id).unwrap()).collect();
    plan.take_in(Resolution { discovered, ..Resolution::default() }, &work.identifiers);
    let plan = Plan::from_json(&plan.to_json()).unwrap();
    assert_eq!(plan.discovered.len(), 3, "the DOI given is known, and arXiv's spells out its id");
    assert_eq!(planner.calls(&plan, &work), [name("arxiv"), name("pmc")]);
}
