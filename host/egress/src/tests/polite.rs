//! robots.txt, breakers and announced limits, as the server sees them.

use super::*;
use gleaner_limits::{Room, Why};
use gleaner_model::reason::FailureClass;

fn lander() -> Scope {
    plugin(policy(&["*", "named.example.org"]))
}

fn reason(error: &EgressError) -> &'static str {
    error.failure().reason.as_str()
}

#[tokio::test]
async fn a_landing_page_is_asked_for_as_robots_txt_allows_and_that_is_read_once() {
    let world = World::new(|asked| match asked.path.as_str() {
        "/robots.txt" => Reply::ok("User-agent: gleaner\nDisallow: /private"),
        "/to-private" => Reply::redirect("/private/2"),
        _ => Reply::ok("page"),
    })
    .await;
    let scope = lander();
    scope.reserve(world.limiter.acquire(&host("https://a.example.org/")).await);
    world.get("https://a.example.org/open", &scope).await.unwrap();
    let refused = world.get("https://a.example.org/private/1", &lander()).await.unwrap_err();
    assert_eq!(reason(&refused), "robots_disallowed", "{refused}");
    let refused = world.get("https://a.example.org/to-private", &lander()).await.unwrap_err();
    assert_eq!(reason(&refused), "robots_disallowed", "every hop is checked: {refused}");
    world.get("https://a.example.org/private/1", &download()).await.unwrap();
    world.get("https://named.example.org/private/1", &lander()).await.unwrap();
    assert_eq!(
        world.web.targets(),
        [
            "a.example.org/robots.txt",
            "a.example.org/open",
            "a.example.org/to-private",
            "a.example.org/private/1",
            "named.example.org/private/1",
        ]
    );
    assert!(world.web.asked()[0].header("user-agent").unwrap().contains("someone@example.org"));
}

#[tokio::test]
async fn a_robots_txt_that_is_not_there_allows_all_and_one_that_fails_nothing_for_now() {
    for (status, allowed) in [(404, true), (403, true), (500, false), (503, false)] {
        let world = World::new(move |asked| match asked.path.as_str() {
            "/robots.txt" => Reply::status(status, "", "Disallow: /"),
            _ => Reply::ok("page"),
        })
        .await;
        let outcome = world.get("https://a.example.org/x", &lander()).await;
        assert_eq!(outcome.is_ok(), allowed, "{status}");
        if let Err(error) = outcome {
            let failure = error.failure();
            assert_eq!(failure.reason.as_str(), "robots_disallowed");
            assert!(matches!(failure.class, gleaner_model::reason::FailureClass::Transient { .. }));
            assert_eq!(world.web.targets(), ["a.example.org/robots.txt"]);
        }
    }
}

/// RFC 9309, section 2.3.1.4. Every page would have asked again.
#[tokio::test]
async fn that_a_robots_txt_cannot_be_reached_is_remembered_for_a_while() {
    type Answer = fn() -> Reply;
    let hangs: Answer = || Reply::raw(200, "content-length: 100", "User-agent").then_hang();
    for (what, answer, named) in [
        ("no answer", (|| Reply::hang_up()) as Answer, "connection"),
        ("silence", || Reply::silence(), "timeout"),
        ("half of it", || Reply::raw(200, "content-length: 100", "User-agent"), "length_mismatch"),
        ("it stalls", hangs, "timeout"),
    ] {
        let world = World::with(PLENTY, impatient, move |asked| match asked.path.as_str() {
            "/robots.txt" => answer(),
            _ => Reply::ok("page"),
        })
        .await;
        let page = |n: u32| format!("https://a.example.org/{n}");
        for n in 0..3 {
            let error = world.get(&page(n), &lander()).await.unwrap_err();
            assert_eq!((reason(&error), world.web.targets().len()), (named, 1), "{what}: {error}");
            let class = error.failure().class;
            let FailureClass::Transient { retry_after: Some(again) } = class else { panic!("{class:?}") };
            assert!(again > Duration::from_secs(50) && again <= Duration::from_secs(60), "{again:?}");
        }
        wait(Duration::from_secs(60)).await;
        assert!(world.get(&page(9), &lander()).await.is_err());
        assert_eq!(world.web.targets().len(), 2, "{what}: asked once more");
    }
    // Who has no time learns nothing, and what was asked by nobody is not remembered.
    let world = World::new(|asked| match asked.path.as_str() {
        "/robots.txt" => Reply::status(404, "", "").after(Duration::from_millis(300)),
        _ => Reply::ok("page"),
    })
    .await;
    let hasty = Scope::plugin(Arc::new(policy(&["*"])), Instant::now() + Duration::from_millis(100));
    assert!(world.get("https://a.example.org/1", &hasty).await.is_err());
    world.get("https://a.example.org/1", &lander()).await.unwrap();
}

/// Bodies that break off or stall are failures in a row, though each began with a 200.
#[tokio::test]
async fn answers_that_never_end_open_the_breaker() {
    let stalls = || Reply::raw(200, "content-length: 100", "beginning").then_hang();
    let breaks = || Reply::raw(200, "content-length: 100", "beginning");
    for answer in [stalls as fn() -> Reply, breaks] {
        let world = World::with(PLENTY, impatient, move |asked| match asked.path.as_str() {
            "/whole" => Reply::ok("answer"),
            _ => answer(),
        })
        .await;
        let url = "https://a.example.org/half";
        let half = async || world.get(url, &download()).await?.body.collect().await;
        for path in ["half", "half", "half", "half", "whole", "half", "half", "half", "half"] {
            let outcome = world.get(&format!("https://a.example.org/{path}"), &download()).await;
            assert_eq!(outcome.unwrap().body.collect().await.is_ok(), path == "whole");
        }
        assert!(
            matches!(world.limiter.room(&host(url)), Room::Now(_)),
            "a whole answer begins the count anew"
        );
        half().await.unwrap_err();
        let error = half().await.unwrap_err();
        assert_eq!(reason(&error), "breaker_open", "{error}");
    }
}

/// Who reads them judges that; a page that says it is not there is not the host's weakness.
#[tokio::test]
async fn bodies_that_their_reader_finds_too_slow_open_the_breaker() {
    let world = World::with(PLENTY, impatient, |asked| match asked.path.as_str() {
        "/gone" => Reply::raw(404, "content-length: 100", "gone").then_hang(),
        _ => Reply::raw(200, "content-length: 100", "beginning").then_hang(),
    })
    .await;
    for (url, is_open) in [("https://a.example.org/gone", false), ("https://b.example.org/slow", true)] {
        for _ in 0..5 {
            world.get(url, &download()).await.unwrap().body.found_too_slow();
        }
        assert_eq!(matches!(world.limiter.room(&host(url)), Room::Blocked { .. }), is_open, "{url}");
    }
}

/// Its status has told what there is to tell.
#[tokio::test]
async fn a_page_that_is_not_there_counts_for_nothing_even_where_it_breaks_off() {
    let world = World::with(PLENTY, impatient, |_| Reply::raw(404, "content-length: 100", "gone")).await;
    let url = "https://a.example.org/x";
    for _ in 0..8 {
        world.get(url, &download()).await.unwrap().body.collect().await.unwrap_err();
    }
    assert!(matches!(world.limiter.room(&host(url)), Room::Now(_)));
}

#[tokio::test]
async fn who_gives_up_early_closes_no_host_for_others() {
    let world = World::new(|asked| match asked.path.as_str() {
        "/silent" => Reply::silence(),
        _ => Reply::raw(200, "content-length: 100", "beginning").then_hang(),
    })
    .await;
    for path in ["silent", "stalls"] {
        let url = format!("https://{path}.example.org/{path}");
        for _ in 0..6 {
            let hasty = Scope::download(Instant::now() + Duration::from_millis(50));
            let error = match world.get(&url, &hasty).await {
                Ok(answer) => answer.body.collect().await.unwrap_err(),
                Err(error) => error,
            };
            assert_eq!(reason(&error), "timeout", "{error}");
        }
        assert!(matches!(world.limiter.room(&host(&url)), Room::Now(_)), "{path}");
    }
}

fn impatient(config: &mut EgressConfig) {
    config.timeout = Span(Duration::from_millis(300));
    config.idle_timeout = Span(Duration::from_millis(100));
}

#[tokio::test]
async fn an_exception_and_a_switch_leave_robots_txt_alone() {
    type Change = fn(&mut EgressConfig);
    let changes: [Change; 2] = [
        |config| config.robots = false,
        |config| config.robots_exceptions = vec!["a.example.org".to_owned()],
    ];
    for change in changes {
        let limits = "default-host = { rate = \"1000/s\", burst = 1000 }";
        let world = World::with(limits, change, |_| Reply::ok("User-agent: *\nDisallow: /")).await;
        world.get("https://a.example.org/x", &lander()).await.unwrap();
        assert_eq!(world.web.targets(), ["a.example.org/x"]);
    }
}

#[tokio::test]
async fn concurrent_requests_read_one_robots_txt() {
    let world = World::new(|asked| match asked.path.as_str() {
        "/robots.txt" => Reply::redirect("/r").after(Duration::from_millis(20)),
        _ => Reply::ok(""),
    })
    .await;
    let world = Arc::new(world);
    let mut set = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let world = Arc::clone(&world);
        set.spawn(async move { world.get("https://a.example.org/x", &lander()).await.map(drop).unwrap() });
    }
    set.join_all().await;
    let targets = world.web.targets();
    assert_eq!(targets.iter().filter(|target| target.ends_with("/robots.txt")).count(), 1, "{targets:?}");
}

#[tokio::test]
async fn a_host_that_fails_five_times_is_left_alone() {
    const URL: &str = "https://a.example.org/";
    let world = World::new(|_| Reply::status(500, "", "")).await;
    for _ in 0..5 {
        assert_eq!(world.get(URL, &download()).await.unwrap().status, 500);
    }
    let error = world.get(URL, &download()).await.unwrap_err();
    assert_eq!((reason(&error), world.web.asked().len()), ("breaker_open", 5), "{error}");
    let class = error.failure().class;
    assert!(matches!(class, gleaner_model::reason::FailureClass::Throttled { .. }), "no try is charged");
    assert!(matches!(world.limiter.room(&host(URL)), Room::Blocked { why: Why::Breaker, .. }));
    world.get("https://b.example.org/", &download()).await.unwrap();
}

#[tokio::test]
async fn limits_that_answers_announce_are_obeyed() {
    let world = World::new(|asked| match asked.path.as_str() {
        "/empty" => Reply::status(200, "x-ratelimit-remaining: 0\nx-ratelimit-reset: 600", ""),
        _ => {
            Reply::status(200, "x-rate-limit-limit: 2\nx-rate-limit-interval: 1s\nx-concurrency-limit: 1", "")
        }
    })
    .await;
    let key = host("https://a.example.org/");
    world.text("https://a.example.org/").await.unwrap();
    let limit = world.limiter.effective_limit(&key).unwrap();
    assert_eq!((limit.concurrency.get(), limit.rate.unwrap().to_string()), (1, "2/s".to_owned()));
    world.text("https://b.example.org/empty").await.unwrap();
    let error = world.text("https://b.example.org/").await.unwrap_err();
    assert_eq!(reason(&error), "cooldown", "{error}");
}
