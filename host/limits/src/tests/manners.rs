//! Breakers, budgets of a day, and what upstreams announce, in paused time.

use gleaner_model::setting::Condition;

use super::*;
use crate::{Announced, Outcome};

const MINUTE: Duration = Duration::from_secs(60);
const FAST: &str = "default-host = { concurrency = 4, rate = \"1000/s\", burst = 1000 }";

#[tokio::test(start_paused = true)]
async fn five_failures_open_a_breaker_and_one_probe_decides() {
    let (limiter, key) = (limiter(FAST), host("a.org"));
    advance(ONE).await;
    for _ in 0..4 {
        limiter.note(&key, Outcome::Failed);
        limiter.note(&key, Outcome::Neutral);
    }
    assert_eq!(limiter.room(&key), Room::Now(4), "four are not enough, and a 404 says nothing");
    limiter.note(&key, Outcome::Failed);
    assert_eq!(limiter.room(&key), later(Why::Breaker, MINUTE));
    assert_eq!(limiter.try_now(&key).unwrap_err().why, Why::Breaker);
    limiter.note(&key, Outcome::Failed);
    advance(MINUTE).await;
    assert_eq!(limiter.room(&key), Room::Now(1), "a request from before did not prolong it");
    let probe = limiter.try_now(&key).unwrap();
    assert_eq!(limiter.try_now(&key).unwrap_err().why, Why::Full, "exactly one");
    limiter.note(&key, Outcome::Failed);
    drop(probe);
    assert_eq!(limiter.room(&key), later(Why::Breaker, MINUTE));
    advance(MINUTE).await;
    limiter.note(&key, Outcome::Worked);
    assert_eq!(limiter.room(&key), Room::Now(4));
    let Room::Now(_) = limiter.room(&host("b.org")) else { panic!("another host is not meant") };
}

#[tokio::test(start_paused = true)]
async fn a_breaker_outlives_a_restart() {
    let (first, key) = (limiter(FAST), host("a.org"));
    for _ in 0..5 {
        first.note(&key, Outcome::Failed);
    }
    let kept = first.take_conditions();
    assert_eq!(kept, [(key.clone(), Condition { is_broken: true, ..Condition::default() })]);
    let cooldown_until = first.take_cooldowns()[0].1;
    let second = limiter(FAST);
    second.apply(&[KeySetting { cooldown_until, condition: kept[0].1, ..KeySetting::none(key.clone()) }]);
    assert_eq!(second.room(&key), later(Why::Breaker, MINUTE));
    advance(MINUTE).await;
    assert_eq!(second.room(&key), Room::Now(1));
}

#[tokio::test(start_paused = true)]
async fn a_budget_of_a_day_holds_over_restarts_and_ends_at_midnight() {
    let rules = "default-host = { rate = \"1000/s\", burst = 9, per-day = 2 }";
    let clock = FakeClock::at(UnixMillis(86_400_000 - 60_000));
    let new = || KeyedLimiter::new(toml::from_str(rules).unwrap(), clock.clone());
    let (first, key) = (new(), host("a.org"));
    advance(ONE).await;
    drop(first.try_now(&key).unwrap());
    for _ in 0..2 {
        first.try_now(&key).unwrap().spend();
    }
    assert_eq!(first.room(&key), later(Why::Budget, MINUTE), "an unused permit is not counted");
    let (_, condition) = first.take_conditions()[0];
    assert_eq!((condition.day, condition.used), (0, 2));

    let second = new();
    second.apply(&[KeySetting { condition, ..KeySetting::none(key.clone()) }]);
    advance(ONE).await;
    assert_eq!(second.try_now(&key).unwrap_err().why, Why::Budget);
    clock.advance(MINUTE);
    advance(MINUTE).await;
    assert_eq!(second.room(&key), Room::Now(2));
}

#[tokio::test(start_paused = true)]
async fn what_is_announced_lowers_a_limit_and_never_raises_it() {
    let (limiter, key) =
        (limiter("default-host = { concurrency = 4, rate = \"10/s\", burst = 5 }"), host("a.org"));
    let given = limiter.get_limit(&key).unwrap();
    let announce = |concurrency, rate: &str| {
        let (concurrency, rate) = (NonZeroU32::new(concurrency), Some(rate.parse().unwrap()));
        limiter.announce(&key, &Announced { concurrency, rate, empty_for: None });
        limiter.effective_limit(&key).unwrap()
    };
    assert_eq!(announce(50, "100/s"), given);
    let lowered = announce(1, "3/s");
    assert_eq!((lowered.concurrency.get(), lowered.rate.unwrap().to_string()), (1, "3/s".to_owned()));
    assert_eq!((lowered.burst.get(), limiter.get_limit(&key).unwrap()), (3, given));
    assert_eq!(announce(50, "100/s"), given);
    limiter.announce(&key, &Announced { empty_for: Some(MINUTE * 60 * 48), ..Announced::default() });
    assert_eq!(limiter.room(&key), later(Why::Cooldown, MINUTE * 60 * 24), "a day is the most");
}
