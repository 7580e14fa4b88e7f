//! Politeness as the server sees it: concurrency, rates, cooldowns.

use super::*;

const URL: &str = "https://api.example.org/";

#[tokio::test]
async fn a_host_that_asks_for_a_pause_gets_it() {
    for (status, header, pause) in [
        (429, "retry-after: 120", Some(120)),
        (429, "retry-after: Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
        (503, "retry-after: 3600", Some(3600)),
        (429, "", None),
        (429, "retry-after: nonsense", None),
    ] {
        let world = World::new(move |_| Reply::status(status, header, "slow down")).await;
        let EgressError::Throttled { key, retry_after, .. } = world.text(URL).await.unwrap_err() else {
            panic!("{status} {header}");
        };
        match pause {
            Some(seconds) => assert_eq!(retry_after, Duration::from_secs(seconds), "{header}"),
            None => assert!((60..=66).contains(&retry_after.as_secs()), "{retry_after:?}"),
        }
        assert_eq!(key, host(URL));
        let [(cooling, until)] = &world.limiter.take_cooldowns()[..] else { panic!("no cooldown") };
        assert_eq!((cooling, retry_after.abs_diff(NOW.until(*until)) < Duration::from_secs(1)), (&key, true));

        let error = world.text("https://api.example.org/another").await.unwrap_err();
        assert!(
            matches!(&error, EgressError::Blocked(blocked) if blocked.why == gleaner_limits::Why::Cooldown),
            "{error}"
        );
        assert_eq!(error.failure().reason.as_str(), "cooldown");
        assert_eq!(world.web.asked().len(), 1, "the server is left alone");
        let other = world.text("https://other.example.org/").await.unwrap_err();
        assert!(matches!(other, EgressError::Throttled { .. }), "another host is asked: {other}");
    }
}

#[tokio::test]
async fn a_failing_host_that_asks_for_nothing_is_answered_as_it_is() {
    let world = World::new(|_| Reply::status(503, "", "down")).await;
    assert_eq!(world.get(URL, &download()).await.unwrap().status, 503);
    assert!(world.limiter.take_cooldowns().is_empty());
}

/// Known mistake 14: the permit was given back at the headers, not at the end of the body.
#[tokio::test]
async fn a_permit_is_held_to_the_end_of_the_body() {
    let world = World::with(
        "default-host = { concurrency = 1, rate = \"1000/s\", burst = 1000 }",
        |_| {},
        |asked| match asked.path.as_str() {
            "/stalls" => Reply::raw(200, "content-length: 100", "beginning").then_hang(),
            _ => Reply::ok("whole"),
        },
    )
    .await;
    let open = world.get("https://api.example.org/stalls", &download()).await.unwrap();
    let error = world.text(URL).await.unwrap_err();
    assert!(matches!(&error, EgressError::Blocked(blocked) if blocked.retry_in.is_none()), "{error}");
    drop(open);
    let mut body = world.get(URL, &download()).await.unwrap().body;
    while body.chunk().await.unwrap().is_some() {}
    assert_eq!(world.limiter.in_flight(&host(URL)), 0, "given back with the last byte");
    assert_eq!(world.web.targets(), ["api.example.org/stalls", "api.example.org/"]);
}

/// With a cap of 1, a chain that kept its permit while it asked for the next would wait for itself.
#[tokio::test]
async fn a_redirect_gives_its_permit_back_first() {
    let world = World::with(
        "default-host = { concurrency = 1, rate = \"1000/s\", burst = 1000 }",
        |_| {},
        |asked| match asked.path.as_str() {
            "/done" => Reply::ok("whole"),
            _ => Reply::redirect("/done"),
        },
    )
    .await;
    assert_eq!(world.text(URL).await.unwrap(), "whole");
}

#[tokio::test]
async fn the_server_sees_no_more_at_once_than_allowed() {
    let world = World::with(
        "default-host = { concurrency = 3, rate = \"1000/s\", burst = 1000 }",
        |config| config.max_wait = Span(Duration::from_secs(30)),
        |_| Reply::ok("whole").after(Duration::from_millis(30)),
    )
    .await;
    let world = Arc::new(world);
    let mut set = tokio::task::JoinSet::new();
    for _ in 0..15 {
        let world = Arc::clone(&world);
        set.spawn(async move { world.text(URL).await.unwrap() });
    }
    assert_eq!(set.join_all().await.len(), 15);
    assert!((2..=3).contains(&world.web.most()), "{}", world.web.most());
}

/// Every hop takes a token: 3 chains of 2 requests at 20/s take at least 6 intervals.
#[tokio::test]
async fn the_server_sees_no_more_per_second_than_allowed() {
    let start = Instant::now();
    let world = World::with(
        "default-host = { concurrency = 9, rate = \"20/s\" }",
        |config| config.max_wait = Span(Duration::from_secs(30)),
        |asked| match asked.path.as_str() {
            "/done" => Reply::ok("whole"),
            _ => Reply::redirect("/done"),
        },
    )
    .await;
    for _ in 0..3 {
        world.text(URL).await.unwrap();
    }
    let asked = world.web.asked();
    assert_eq!(asked.len(), 6);
    for (before, asked) in asked.iter().enumerate() {
        let earliest = Duration::from_millis(50) * (u32::try_from(before).unwrap() + 1);
        assert!(asked.at.duration_since(start) >= earliest, "{before}");
    }
}

#[tokio::test]
async fn a_reserved_permit_is_used_first_and_once() {
    let world = World::with(
        "default-host = { concurrency = 1, rate = \"1000/s\", burst = 1000 }",
        |_| {},
        |_| Reply::ok("whole"),
    )
    .await;
    let scope = download();
    scope.reserve(world.limiter.acquire(&host(URL)).await);
    assert_eq!(world.limiter.in_flight(&host(URL)), 1);
    let other = world.get("https://other.example.org/", &scope).await.unwrap();
    assert_eq!(world.limiter.in_flight(&host(URL)), 1, "kept for its own host");
    let response = world.get(URL, &scope).await.unwrap();
    assert_eq!(world.limiter.in_flight(&host(URL)), 1, "no second one was asked for");
    drop((other, response));
    assert_eq!(world.limiter.in_flight(&host(URL)), 0);
    world.get(URL, &scope).await.unwrap();
}
