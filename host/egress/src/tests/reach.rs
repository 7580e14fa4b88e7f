//! Whether hosts can be reached: one request, whatever comes back, and no check passed by.

use std::sync::Mutex;

use super::*;

async fn reach(world: &World, url: &str) -> Result<crate::Reached, EgressError> {
    world.egress.reach(&url.parse().unwrap(), Instant::now() + Duration::from_secs(30)).await
}

#[tokio::test]
async fn one_request_is_sent_whatever_comes_back() {
    let world = World::new(|asked| match asked.path.as_str() {
        "/moved" => Reply::redirect("/elsewhere"),
        "/busy" => Reply::status(503, "", ""),
        _ => Reply::status(404, "", ""),
    })
    .await;
    for (path, status) in [("moved", 302), ("busy", 503), ("", 404)] {
        let reached = reach(&world, &format!("https://a.example.org/{path}")).await.unwrap();
        assert_eq!((reached.status.as_u16(), reached.looked_up), (status, None));
    }
    let asked = world.web.asked();
    assert_eq!(asked.len(), 3, "{asked:?}");
    assert!(asked.iter().all(|one| one.method == "HEAD" && one.tls));
}

#[tokio::test]
async fn a_host_that_asks_to_wait_is_obeyed_and_that_is_told() {
    let throttled = |asked: &Asked| match asked.target.as_str() {
        "a.example.org/" => Reply::status(429, "", ""),
        _ => Reply::status(503, "Retry-After: 90\r\n", ""),
    };
    let world = World::new(throttled).await;
    for (host, status) in [("a.example.org", 429), ("b.example.org", 503)] {
        let reached = reach(&world, &format!("https://{host}/")).await.unwrap();
        assert_eq!(reached.status.as_u16(), status);
        let wait = reached.asks_to_wait.unwrap();
        assert!(status == 429 || wait >= Duration::from_secs(90), "{wait:?}");
        // A second look sends nothing, nor does anybody else.
        let blocked = reach(&world, &format!("https://{host}/")).await.unwrap_err();
        assert!(matches!(blocked, EgressError::Blocked(_)), "{blocked}");
    }
    assert_eq!(world.web.asked().len(), 2);
}

#[tokio::test]
async fn checks_and_limits_hold_for_it_too() {
    let world = World::new(|_| Reply::ok("")).await;
    let private = reach(&world, "https://www.example.edu/").await.unwrap_err();
    assert!(matches!(private, EgressError::PrivateAddress { .. }), "{private}");
    assert!(reach(&world, "https://10.0.0.7/").await.is_err());
    assert!(world.web.asked().is_empty());
    let limits = "default-host = { concurrency = 1, rate = \"1/1h\", burst = 1 }";
    let world = World::with(limits, |_| {}, |_| Reply::ok("")).await;
    // A token of the host's rate, as for any request.
    let blocked = reach(&world, "https://a.example.org/").await.unwrap_err();
    assert!(matches!(blocked, EgressError::Blocked(_)), "{blocked}");
    assert!(world.web.asked().is_empty());
}

#[tokio::test]
async fn who_listens_is_told_of_requests_and_of_no_url() {
    let world = World::new(|_| Reply::ok("file")).await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&told);
    let World { web, egress, .. } = world;
    let egress = egress.listened_by(move |exchange| {
        listener.lock().unwrap().push((exchange.role.as_str(), exchange.status));
    });
    let request = Request::get("https://a.example.org/x?key=sesame".parse().unwrap(), 1 << 20);
    egress.send(request, &download()).await.unwrap();
    assert_eq!(*told.lock().unwrap(), [("content", Some(200))]);
    assert_eq!(web.asked().len(), 1);
    // A landing page, and what its host's robots.txt says before it.
    let page = Request::get("https://b.example.org/page".parse().unwrap(), 1 << 20);
    egress.send(page, &plugin(policy(&["*"]))).await.unwrap();
    assert_eq!(told.lock().unwrap()[1..], [("robots", Some(200)), ("landing", Some(200))]);
}
