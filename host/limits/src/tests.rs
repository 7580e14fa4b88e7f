//! What the limiter promises, in paused time.

mod manners;
mod random;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use gleaner_model::clock::{Clock, FakeClock, UnixMillis};
use gleaner_model::key::{Key, ResolverName};
use gleaner_model::setting::{KeyLimit, KeySetting};
use tokio::time::{Instant, advance, timeout};

use crate::{Claims, KeyedLimiter, LimitRules, Ownership, Room, Why, host_key};

const ONE: Duration = Duration::from_secs(1);

fn limiter(rules: &str) -> KeyedLimiter {
    KeyedLimiter::new(toml::from_str::<LimitRules>(rules).unwrap(), FakeClock::at(UnixMillis(1_000_000)))
}

fn host(name: &str) -> Key {
    Key::Host(host_key(&format!("https://{name}/")).unwrap())
}

fn resolver(name: &str) -> Key {
    Key::Resolver(ResolverName::new(name).unwrap())
}

fn cap(n: u32) -> KeyLimit {
    KeyLimit { concurrency: NonZeroU32::new(n), ..KeyLimit::default() }
}

/// No room before that time has passed.
fn later(why: Why, wait: Duration) -> Room {
    Room::Blocked { why, wait: Some(wait) }
}

/// Starts `tasks` that each hold a permit for a while; returns the most that held one at once.
async fn most_at_once(limiter: &KeyedLimiter, key: &Key, tasks: usize) -> u32 {
    let (now, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let mut set = tokio::task::JoinSet::new();
    for _ in 0..tasks {
        let (limiter, key, now, most) = (limiter.clone(), key.clone(), Arc::clone(&now), Arc::clone(&most));
        set.spawn(async move {
            let permit = limiter.acquire(&key).await;
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(fastrand::u64(1..20))).await;
            now.fetch_sub(1, Ordering::SeqCst);
            permit.release();
        });
    }
    set.join_all().await;
    most.load(Ordering::SeqCst)
}

/// Known mistake 5: a cap of 1 let 4 in.
#[tokio::test(start_paused = true)]
async fn caps_hold_and_are_used() {
    let limiter = limiter("resolvers.unpaywall = { concurrency = 1 }");
    assert_eq!(most_at_once(&limiter, &resolver("unpaywall"), 40).await, 1);
    assert_eq!(most_at_once(&limiter, &resolver("arxiv"), 40).await, 8);
    assert_eq!(most_at_once(&limiter, &Key::Plan, 40).await, 40);
    let slow = KeyLimit { rate: Some("1000000/s".parse().unwrap()), burst: NonZeroU32::new(99), ..cap(3) };
    limiter.set_limit(&host("example.org"), slow);
    assert_eq!(most_at_once(&limiter, &host("example.org"), 40).await, 3);
}

#[tokio::test]
async fn caps_hold_over_threads() {
    let limiter = limiter("default-resolver = { concurrency = 3 }");
    let key = resolver("arxiv");
    let (now, most, done) = (AtomicU32::new(0), AtomicU32::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    for _ in 0..200 {
                        let _permit = limiter.acquire(&key).await;
                        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        tokio::task::yield_now().await;
                        now.fetch_sub(1, Ordering::SeqCst);
                        done.fetch_add(1, Ordering::SeqCst);
                    }
                });
            });
        }
    });
    assert!(most.load(Ordering::SeqCst) <= 3);
    assert_eq!((done.load(Ordering::SeqCst), limiter.in_flight(&key)), (800, 0));
}

#[tokio::test(start_paused = true)]
async fn first_come_first_served() {
    let limiter = limiter("default-resolver = { concurrency = 1 }");
    let key = resolver("arxiv");
    let held = limiter.acquire(&key).await;
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let mut set = tokio::task::JoinSet::new();
    for n in 0..20 {
        let (limiter, key, order) = (limiter.clone(), key.clone(), Arc::clone(&order));
        set.spawn(async move {
            let _permit = limiter.acquire(&key).await;
            order.lock().unwrap().push(n);
        });
    }
    tokio::task::yield_now().await;
    assert!(limiter.try_now(&key).is_err(), "nobody passes the line");
    drop(held);
    set.join_all().await;
    assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
}

/// Waiters that give up, wherever they stand, take nothing from the others: no wake-up is lost.
#[tokio::test(start_paused = true)]
async fn who_gives_up_takes_nothing_along() {
    let limiter = limiter("default-resolver = { concurrency = 2, rate = \"1000/s\", burst = 2 }");
    let key = resolver("arxiv");
    let mut set = tokio::task::JoinSet::new();
    for n in 0..300_u64 {
        let (limiter, key) = (limiter.clone(), key.clone());
        set.spawn(async move {
            let permit = match n % 3 {
                0 => limiter.acquire(&key).await,
                1 => match limiter.try_acquire(&key, Duration::from_millis(n)).await {
                    Ok(permit) => permit,
                    Err(_) => return false,
                },
                _ => match timeout(Duration::from_millis(n / 2), limiter.acquire(&key)).await {
                    Ok(permit) => permit,
                    Err(_) => return false,
                },
            };
            tokio::time::sleep(Duration::from_millis(n % 7)).await;
            drop(permit);
            true
        });
    }
    let served =
        timeout(Duration::from_secs(60), set.join_all()).await.expect("everybody is served or gave up");
    assert!(served.iter().filter(|served| **served).count() >= 100);
    assert!(served.contains(&false), "some gave up");
    assert_eq!(limiter.in_flight(&key), 0);
    assert!(!matches!(limiter.room(&key), Room::Blocked { why: Why::Full, .. }));
}

/// Known mistake 12: `set_limit` was ignored on live keys, a double release made 3 permits of a cap of 1.
#[tokio::test(start_paused = true)]
async fn limits_change_while_in_use() {
    let limiter = limiter("default-resolver = { concurrency = 3 }");
    let key = resolver("arxiv");
    let mut held: Vec<_> = (0..3).map(|_| limiter.try_now(&key).unwrap()).collect();
    limiter.set_limit(&key, cap(1));
    assert_eq!(limiter.get_limit(&key).map(|limit| limit.concurrency.get()), Some(1));
    assert_eq!(limiter.in_flight(&key), 3, "what is out stays out");
    for left in [2, 1] {
        held.pop().unwrap().release();
        assert_eq!(limiter.in_flight(&key), left);
        assert_eq!(limiter.try_now(&key).unwrap_err().retry_in, None);
    }
    held.clear();
    let only = limiter.try_now(&key).unwrap();
    assert!(limiter.try_now(&key).is_err());

    let waiter = tokio::spawn({
        let (limiter, key) = (limiter.clone(), key.clone());
        async move { limiter.acquire(&key).await }
    });
    tokio::task::yield_now().await;
    limiter.set_limit(&key, cap(2));
    let second = timeout(ONE, waiter).await.expect("a raised limit wakes who waits").unwrap();
    assert_eq!(limiter.in_flight(&key), 2);
    drop((only, second));
    assert_eq!(limiter.in_flight(&key), 0);
}

/// Known mistake 14, and the arXiv rule: one request every three seconds over all its hosts together.
#[tokio::test(start_paused = true)]
async fn hosts_that_share_a_limit_have_one() {
    let limiter =
        limiter(r#"hosts."arxiv.org" = { shared = ["export.arxiv.org"], concurrency = 1, rate = "1/3s" }"#);
    let (start, mut times) = (Instant::now(), Vec::new());
    for name in ["arxiv.org", "export.arxiv.org", "arxiv.org"] {
        let permit = limiter.acquire(&host(name)).await;
        assert_eq!(permit.key(), &host("arxiv.org"));
        permit.spend();
        times.push(start.elapsed().as_secs());
        if times.len() == 1 {
            assert_eq!(limiter.in_flight(&host("export.arxiv.org")), 1);
        }
    }
    assert_eq!(times, [3, 6, 9], "the bucket starts empty");
}

#[tokio::test(start_paused = true)]
async fn unspent_tokens_come_back() {
    let limiter = limiter(r#"default-host = { concurrency = 9, rate = "1/10s", burst = 2 }"#);
    let key = host("example.org");
    advance(Duration::from_secs(20)).await;
    assert_eq!(limiter.room(&key), Room::Now(2));
    drop(limiter.try_now(&key).unwrap());
    assert_eq!(limiter.room(&key), Room::Now(2), "reserved and not used");
    let used = limiter.try_now(&key).unwrap();
    used.spend();
    drop(used);
    assert_eq!(limiter.room(&key), Room::Now(1));
    let used = limiter.try_now(&key).unwrap();
    used.spend();
    assert_eq!(limiter.room(&key), later(Why::Rate, Duration::from_secs(10)));
    assert_eq!(limiter.try_now(&key).unwrap_err().retry_in, Some(Duration::from_secs(10)));
}

/// A token that is kept for long and given back is no second burst.
#[tokio::test(start_paused = true)]
async fn what_was_refilled_meanwhile_does_not_come_back() {
    let limiter = limiter(r#"default-host = { concurrency = 9, rate = "1/10s", burst = 1 }"#);
    let key = host("example.org");
    advance(ONE * 10).await;
    let kept = limiter.try_now(&key).unwrap();
    advance(ONE * 10).await;
    let used = limiter.try_now(&key).unwrap();
    used.spend();
    drop((kept, used));
    assert_eq!(limiter.room(&key), later(Why::Rate, ONE * 10));
}

#[tokio::test(start_paused = true)]
async fn waits_that_cannot_succeed_end_at_once() {
    let limiter = limiter(r#"default-host = { concurrency = 9, rate = "1/10s" }"#);
    let (key, start) = (host("example.org"), Instant::now());
    let blocked = limiter.try_acquire(&key, ONE * 5).await.unwrap_err();
    assert_eq!((blocked.retry_in, blocked.why), (Some(ONE * 10), Why::Rate));
    assert_eq!(start.elapsed(), Duration::ZERO);
    let _permit = limiter.try_acquire(&key, ONE * 10).await.unwrap();
    assert_eq!(start.elapsed(), ONE * 10);

    let limiter = crate::tests::limiter("default-resolver = { concurrency = 1 }");
    let (key, start) = (resolver("arxiv"), Instant::now());
    let _held = limiter.try_now(&key).unwrap();
    let blocked = limiter.try_acquire(&key, ONE * 5).await.unwrap_err();
    assert_eq!((blocked.key, blocked.retry_in), (key, None));
    assert_eq!(start.elapsed(), ONE * 5);
}

#[tokio::test(start_paused = true)]
async fn a_cooldown_stops_everybody_and_survives_a_restart() {
    let clock = FakeClock::at(UnixMillis(1_000_000));
    let limiter = KeyedLimiter::new(LimitRules::default(), clock.clone());
    let key = host("example.org");
    advance(ONE * 10).await;
    assert_eq!(limiter.throttled(&key, Some(ONE * 100)), ONE * 100);
    assert_eq!(limiter.room(&key), later(Why::Cooldown, ONE * 100));
    let blocked = limiter.try_acquire(&key, ONE * 5).await.unwrap_err();
    assert_eq!((blocked.retry_in, blocked.why), (Some(ONE * 100), Why::Cooldown));
    assert_eq!(limiter.room(&host("example.net")), Room::Now(4), "others go on");

    let kept = limiter.take_cooldowns();
    assert_eq!(kept, [(key.clone(), UnixMillis(1_100_000))]);
    clock.advance(ONE * 40);
    let restarted = KeyedLimiter::new(LimitRules::default(), clock.clone());
    restarted.cool_down_until(&key, kept[0].1);
    assert_eq!(restarted.room(&key), later(Why::Cooldown, ONE * 60));
    restarted.cool_down_until(&host("example.net"), clock.now());
    let rate = Room::Blocked { why: Why::Rate, wait: Some(Duration::from_millis(200)) };
    assert_eq!(restarted.room(&host("example.net")), rate, "what has passed is no pause");
    assert_eq!(restarted.take_cooldowns(), [], "who told of it has it written down");

    let start = Instant::now();
    let _permit = restarted.acquire(&key).await;
    assert_eq!(start.elapsed(), ONE * 60);
}

#[tokio::test(start_paused = true)]
async fn a_cooldown_begins_for_those_who_wait_already() {
    let limiter = limiter("default-resolver = { concurrency = 1 }");
    let key = resolver("arxiv");
    let held = limiter.try_now(&key).unwrap();
    let waiter = tokio::spawn({
        let (limiter, key) = (limiter.clone(), key.clone());
        async move { limiter.try_acquire(&key, ONE * 5).await.map(drop) }
    });
    tokio::task::yield_now().await;
    limiter.throttled(&key, Some(ONE * 600));
    drop(held);
    assert_eq!(waiter.await.unwrap().unwrap_err().why, Why::Cooldown);
}

#[tokio::test(start_paused = true)]
async fn the_dispatcher_is_told_of_changes() {
    let limiter = limiter("default-resolver = { concurrency = 1 }");
    let (key, changes) = (resolver("arxiv"), limiter.changes());
    assert_eq!(limiter.room(&key), Room::Now(1));
    let permit = limiter.try_now(&key).unwrap();
    assert_eq!(limiter.room(&key), Room::Blocked { why: Why::Full, wait: None });
    assert!(timeout(ONE, changes.notified()).await.is_err());
    drop(permit);
    timeout(ONE, changes.notified()).await.expect("a permit came back");
    limiter.set_limit(&key, cap(2));
    timeout(ONE, changes.notified()).await.expect("a limit changed");
    assert_eq!(limiter.room(&key), Room::Now(2));
    limiter.throttled(&key, None);
    timeout(ONE, changes.notified()).await.expect("a cooldown began");
}

/// A permit that goes to the next in line is no news for others: they could get none.
#[tokio::test(start_paused = true)]
async fn the_dispatcher_is_not_told_of_permits_that_somebody_stands_in_line_for() {
    let limiter = limiter("default-resolver = { concurrency = 1 }");
    let (key, changes) = (resolver("arxiv"), limiter.changes());
    let held = limiter.try_now(&key).unwrap();
    let in_line = || {
        let (limiter, key) = (limiter.clone(), key.clone());
        tokio::spawn(async move { limiter.acquire(&key).await })
    };
    let (first, second) = (in_line(), in_line());
    tokio::task::yield_now().await;
    drop(held);
    let held = first.await.unwrap();
    assert!(timeout(ONE, changes.notified()).await.is_err(), "one more waits");
    drop(held);
    let held = second.await.unwrap();
    assert!(timeout(ONE, changes.notified()).await.is_err(), "the last one has it now");
    drop(held);
    timeout(ONE, changes.notified()).await.expect("nobody waits for it");
    assert_eq!(limiter.take_changed(), [key].into());
    // Who gives up leaves room to the others.
    let key = resolver("core");
    let held = limiter.try_now(&key).unwrap();
    assert!(limiter.try_acquire(&key, ONE).await.is_err());
    drop(held);
    timeout(ONE, changes.notified()).await.expect("nobody waits for it");
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_soon_is_known_by_how_long_permits_were_held() {
    let limiter = limiter("default-resolver = { concurrency = 4 }");
    let (key, millis) = (resolver("arxiv"), Duration::from_millis);
    let hold = async |time: Duration| {
        let permit = limiter.try_now(&key).unwrap();
        permit.spend();
        tokio::time::sleep(time).await;
    };
    assert_eq!(limiter.returns_within(&key, ONE), 0, "nothing is known yet");
    hold(millis(10)).await;
    assert_eq!(limiter.returns_within(&key, millis(10)), 4);
    assert_eq!(limiter.returns_within(&key, millis(25)), 10);
    assert_eq!(limiter.returns_within(&key, millis(2)), 0);
    // One that was held for long makes careful at once, and many short ones make bold again.
    hold(ONE * 10).await;
    assert_eq!(limiter.returns_within(&key, ONE), 0);
    for _ in 0..100 {
        hold(millis(10)).await;
    }
    assert_eq!(limiter.returns_within(&key, millis(10)), 3);
    // One that was not used says nothing.
    let permit = limiter.try_now(&key).unwrap();
    advance(ONE * 10).await;
    drop(permit);
    assert_eq!(limiter.returns_within(&key, millis(10)), 3);
    limiter.set_limit(&key, cap(40));
    assert_eq!(limiter.returns_within(&key, millis(11)), 43);
    // Nor does it last when nothing comes back any more.
    let out: Vec<_> = (0..40).map(|_| limiter.try_now(&key).unwrap()).collect();
    assert!(limiter.try_acquire(&key, millis(200)).await.is_err());
    assert_eq!(limiter.returns_within(&key, millis(11)), 2);
    drop(out);
}

/// A crawl over many hosts leaves nothing behind, and what is forgotten is no second burst.
#[tokio::test(start_paused = true)]
async fn idle_keys_are_forgotten() {
    let limiter = limiter(r#"default-host = { concurrency = 1, rate = "1/s", burst = 2 }"#);
    advance(ONE * 2).await;
    for n in 0..100_000 {
        let permit = limiter.try_now(&host(&format!("h{n}.example.org"))).unwrap();
        permit.spend();
        advance(Duration::from_millis(1)).await;
    }
    assert!(limiter.known() <= 4096, "{}", limiter.known());
    let recent = host("h99999.example.org");
    assert!(matches!(limiter.room(&recent), Room::Now(1)), "a key in use is remembered");
}

/// What an operator sets holds at once, for groups too, and what is taken back is the configuration's again.
#[tokio::test(start_paused = true)]
async fn what_is_set_holds_until_it_is_taken_back() {
    let limiter = limiter(r#"hosts."arxiv.org" = { shared = ["export.arxiv.org"], concurrency = 1 }"#);
    let (member, group) = (host("export.arxiv.org"), host("arxiv.org"));
    advance(ONE * 10).await;
    let set = |paused: bool, limit: KeyLimit| {
        vec![KeySetting { paused, limit, ..KeySetting::none(member.clone()) }]
    };
    limiter.take_changed();
    limiter.apply(&set(true, KeyLimit::default()));
    assert_eq!(limiter.room(&group), Room::Blocked { why: Why::Paused, wait: None });
    assert!(limiter.is_paused(&member) && limiter.take_changed().contains(&group));
    assert_eq!(limiter.try_now(&member).unwrap_err().why, Why::Paused);
    let waiter = tokio::spawn({
        let (limiter, key) = (limiter.clone(), member.clone());
        async move { limiter.try_acquire(&key, ONE * 5).await.map(drop) }
    });
    tokio::task::yield_now().await;
    limiter.apply(&set(false, cap(3)));
    timeout(ONE, waiter).await.expect("resuming wakes who waits").unwrap().unwrap();
    assert_eq!(limiter.room(&group), Room::Now(3));
    limiter.apply(&[]);
    assert_eq!(limiter.room(&group), Room::Now(1));
    limiter.take_changed();
    limiter.look_again(&member);
    assert_eq!(limiter.take_changed(), [group.clone()].into());
    limiter.set_rules(toml::from_str("default-host = { concurrency = 2, burst = 9 }").unwrap());
    assert_eq!(limiter.get_limit(&group).unwrap().concurrency.get(), 2, "other rules, and no group");
}

/// Claims everything but one key.
#[derive(Debug)]
struct AllBut(Key);

#[async_trait::async_trait]
impl Claims for AllBut {
    async fn claim(&self, limiter: &KeyedLimiter, key: &Key) -> bool {
        let nobodys =
            Ownership { cooldown_until: UnixMillis(0), busy_until: vec![], released_at: UnixMillis(0) };
        if *key != self.0 {
            limiter.own(key, &nobodys);
        }
        *key != self.0
    }
}

#[tokio::test(start_paused = true)]
async fn only_what_is_owned_is_used_and_only_while_that_is_certain() {
    let limiter = limiter("default-host = { concurrency = 2 }");
    let (ours, theirs) = (host("ours.org"), host("theirs.org"));
    limiter.share(Arc::new(AllBut(theirs.clone())), Instant::now() + ONE * 15);
    let not_owned = Room::Blocked { why: Why::NotOwned, wait: None };
    assert_eq!((limiter.room(&ours), limiter.room(&Key::Plan)), (not_owned, Room::Now(u32::MAX)));
    let permit = limiter.try_acquire(&ours, ONE * 5).await.expect("it is claimed on the way");
    let refused = limiter.try_acquire(&theirs, ONE * 5).await.unwrap_err();
    assert_eq!((refused.why, refused.retry_in), (Why::NotOwned, None));

    // A process that stood still for too long uses nothing, and finds out what it has lost.
    advance(ONE * 15).await;
    assert_eq!(limiter.room(&ours), not_owned);
    limiter.certain_until(Instant::now() + ONE * 15);
    assert!(matches!(limiter.room(&ours), Room::Now(_)));
    limiter.keep_owned(|_| false);
    assert_eq!(limiter.room(&ours), not_owned);
    assert_eq!(limiter.in_flight(&ours), 1, "what is out counts until it comes back");
    drop(permit);
}

/// Who takes a key over finds an empty bucket, the pause that the other met, and its steps in flight.
#[tokio::test(start_paused = true)]
async fn a_key_that_is_taken_over_is_as_it_was_left() {
    let clock = FakeClock::at(UnixMillis(1_000_000));
    let rules = r#"default-host = { concurrency = 2, rate = "1/s", burst = 5 }"#;
    let limiter = KeyedLimiter::new(toml::from_str::<LimitRules>(rules).unwrap(), clock.clone());
    limiter.share(Arc::new(AllBut(host("none.org"))), Instant::now() + ONE * 10_000);
    advance(ONE * 100).await;
    let now = clock.now();
    let own = |name: &str, cooldown_until, busy_until, released_at| {
        limiter.own(&host(name), &Ownership { cooldown_until, busy_until, released_at });
        limiter.room(&host(name))
    };
    let never = UnixMillis(0);
    assert_eq!(own("new.org", never, vec![], never), Room::Now(2));
    assert_eq!(own("fresh.org", never, vec![], now), later(Why::Rate, ONE));
    clock.advance(ONE * 3);
    assert_eq!(own("quiet.org", never, vec![], now), Room::Now(2), "three tokens since it was let go");
    assert_eq!(
        own("cooling.org", clock.now().after(ONE * 60), vec![], never),
        later(Why::Cooldown, ONE * 60)
    );
    let until = clock.now().after(ONE * 30);
    assert_eq!(own("half.org", never, vec![until], never), Room::Now(1));
    assert_eq!(own("full.org", never, vec![until, until], never), later(Why::Rate, ONE * 30));
    advance(ONE * 30).await;
    assert_eq!(limiter.room(&host("full.org")), Room::Now(2));
    // Owning it already changes nothing.
    assert_eq!(own("full.org", clock.now().after(ONE * 60), vec![], now), Room::Now(2));
}
