//! Breakers over time, by a clock that only the test moves.

use gleaner_model::clock::{Clock, FakeClock};
use gleaner_model::plan::Resolution;
use gleaner_model::reason::Failure;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);
const OLD: &str = "00";
const NEW: &str = "11";

fn name() -> ResolverName {
    ResolverName::new("r").unwrap()
}

/// Suspends after three failures for ten minutes.
fn breakers() -> (Breakers, Arc<FakeClock>) {
    let clock = FakeClock::at(UnixMillis(1_000_000));
    (Breakers::new(NonZeroU32::new(3).unwrap(), 10 * MINUTE, Arc::clone(&clock) as SharedClock), clock)
}

fn report(outcome: Result<Resolution, Failure>) -> CallReport {
    CallReport {
        outcome,
        extra: Vec::new(),
        log: Vec::new(),
        cpu: Duration::ZERO,
        wall: MINUTE,
        peak_memory: 0,
        requests: 0,
        waited: Duration::ZERO,
        rate_limited: None,
    }
}

fn fault(reason: Reason) -> CallReport {
    report(Err(Failure { reason, detail: "why".into(), class: FailureClass::PluginFault }))
}

fn answer() -> CallReport {
    report(Ok(Resolution::default()))
}

/// One call, if it is let through.
fn call(breakers: &Breakers, sha256: &str, report: &CallReport) -> Result<(), Suspended> {
    let trial = breakers.admit(&name(), sha256)?;
    breakers.note(&name(), sha256, report, trial.as_ref());
    Ok(())
}

fn suspend(breakers: &Breakers) -> Suspension {
    for _ in 0..3 {
        call(breakers, OLD, &fault(Reason::PluginTrap)).unwrap();
    }
    match &breakers.take_news()[..] {
        [News::Suspended(suspension)] => suspension.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn failures_in_a_row_of_its_own_making_suspend_a_plugin() {
    let (breakers, clock) = breakers();
    let upstream = report(Err(Failure::transient(Reason::HttpStatus, "503")));
    let throttled = FailureClass::Throttled { retry_after: MINUTE };
    let limited =
        report(Err(Failure { reason: Reason::RateLimited, detail: String::new(), class: throttled }));
    for works in [answer(), upstream, limited] {
        for _ in 0..2 {
            call(&breakers, OLD, &fault(Reason::PluginTrap)).unwrap();
        }
        call(&breakers, OLD, &works).unwrap();
    }
    // Its time went by while it waited for others: that counts neither way.
    let waited = CallReport { waited: MINUTE / 2, ..fault(Reason::PluginTimeout) };
    call(&breakers, OLD, &fault(Reason::PluginMemory)).unwrap();
    call(&breakers, OLD, &waited).unwrap();
    call(&breakers, OLD, &fault(Reason::PluginTimeout)).unwrap();
    assert_eq!(breakers.take_news(), []);
    call(&breakers, OLD, &fault(Reason::PluginContract)).unwrap();
    let until = clock.now().after(10 * MINUTE);
    let because = "plugin_contract: why".to_owned();
    let (resolver, sha256) = (name(), OLD.to_owned());
    let expected = Suspension { resolver, sha256, until, pause: 10 * MINUTE, failures: 3, because };
    assert_eq!(breakers.take_news(), [News::Suspended(expected)]);
    assert_eq!(breakers.suspended(), BTreeMap::from([(name(), until)]));
    assert_eq!(call(&breakers, OLD, &answer()), Err(Suspended(Some(10 * MINUTE))));
}

#[test]
fn after_the_pause_one_call_decides() {
    let (breakers, clock) = breakers();
    suspend(&breakers);
    // What was under way when it was suspended changes nothing.
    breakers.note(&name(), OLD, &answer(), None);
    breakers.note(&name(), OLD, &fault(Reason::PluginTrap), None);
    clock.advance(10 * MINUTE - Duration::from_millis(1));
    assert_eq!(breakers.admit(&name(), OLD).unwrap_err(), Suspended(Some(Duration::from_millis(1))));
    clock.advance(Duration::from_millis(1));
    let trial = breakers.admit(&name(), OLD).unwrap();
    assert!(trial.is_some());
    assert_eq!(breakers.admit(&name(), OLD).unwrap_err(), Suspended(None), "one at a time");
    breakers.note(&name(), OLD, &answer(), None);
    assert_eq!(breakers.take_news(), [], "a call of earlier is not the one that decides");
    // Given back without a verdict: the next one decides.
    drop(trial);
    for factor in [2, 4, 8] {
        call(&breakers, OLD, &fault(Reason::PluginTrap)).unwrap();
        let pause = 10 * MINUTE * factor;
        assert!(matches!(&breakers.take_news()[..], [News::Suspended(one)] if one.pause == pause));
        clock.advance(pause);
    }
    call(&breakers, OLD, &answer()).unwrap();
    assert_eq!(breakers.take_news(), [News::Resumed(name())]);
    // From then on as if nothing had been.
    assert_eq!(suspend(&breakers).pause, 10 * MINUTE);
}

#[test]
fn a_pause_is_never_longer_than_a_day() {
    let (breakers, clock) = breakers();
    suspend(&breakers);
    for _ in 0..40 {
        clock.advance(LONGEST);
        call(&breakers, OLD, &fault(Reason::PluginTrap)).unwrap();
    }
    assert_eq!(breakers.suspended()[&name()], clock.now().after(LONGEST));
}

#[test]
fn another_component_begins_anew() {
    let (breakers, _) = breakers();
    suspend(&breakers);
    call(&breakers, NEW, &answer()).unwrap();
    assert_eq!(breakers.take_news(), [News::Resumed(name())]);
    // A call of the old one that ends only now says nothing of the new one.
    call(&breakers, NEW, &fault(Reason::PluginTrap)).unwrap();
    breakers.note(&name(), OLD, &fault(Reason::PluginTrap), None);
    breakers.note(&name(), OLD, &fault(Reason::PluginTrap), None);
    assert_eq!(call(&breakers, NEW, &answer()), Ok(()));
}

#[test]
fn what_the_library_knows_holds_after_a_restart_and_for_other_processes() {
    let (breakers, clock) = breakers();
    let known = [suspend(&breakers)];
    let (other, sha256) =
        (Breakers::new(NonZeroU32::MIN, MINUTE, clock.clone()), |_: &_| Some(OLD.to_owned()));
    assert_eq!(other.take_in(&known, 0, sha256), []);
    assert_eq!(other.suspended(), breakers.suspended());
    assert_eq!(other.take_in(&known, 0, sha256), [], "nothing is new");
    // It ended: an operator or the other process said so.
    assert_eq!(other.take_in(&[], 0, sha256), [name()]);
    assert!(other.suspended().is_empty());
    // Another file is in use here: the library is told that this one is called.
    assert_eq!(other.take_in(&known, 0, |_| Some(NEW.to_owned())), []);
    assert_eq!(other.take_news(), [News::Resumed(name())]);
    assert_eq!(other.take_in(&known, 0, |_| None), [], "not loaded");
    // A pause that has passed still is followed by one call that decides, and by a longer one.
    clock.advance(11 * MINUTE);
    other.take_in(&known, 0, sha256);
    call(&other, OLD, &fault(Reason::PluginTrap)).unwrap();
    assert!(matches!(&other.take_news()[..], [News::Suspended(one)] if one.pause == 20 * MINUTE));
}

#[test]
fn what_was_read_before_the_library_was_told_is_not_believed() {
    let (breakers, clock) = breakers();
    let sha256 = |_: &_| Some(OLD.to_owned());
    let before = breakers.times_told();
    let suspension = suspend(&breakers);
    // Not written yet: that the library does not know it ends nothing.
    assert_eq!(breakers.take_in(&[], before, sha256), []);
    breakers.told(&News::Suspended(suspension.clone()));
    assert_eq!(breakers.take_in(&[], before, sha256), []);
    assert!(!breakers.suspended().is_empty());
    clock.advance(10 * MINUTE);
    let before = breakers.times_told();
    call(&breakers, OLD, &answer()).unwrap();
    let news = breakers.take_news();
    breakers.told(&news[0]);
    assert_eq!(breakers.take_in(&[suspension], before, sha256), [], "read before its end was written");
    assert_eq!(breakers.take_in(&[], breakers.times_told(), sha256), []);
}

#[test]
fn a_replaced_file_ends_a_suspension_though_nobody_asks() {
    let (breakers, _) = breakers();
    let suspension = suspend(&breakers);
    breakers.told(&News::Suspended(suspension.clone()));
    let told = breakers.times_told();
    assert_eq!(breakers.take_in(&[suspension], told, |_| Some(NEW.to_owned())), [name()]);
    assert_eq!(breakers.take_news(), [News::Resumed(name())]);
    assert!(breakers.suspended().is_empty());
}
