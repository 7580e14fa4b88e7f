//! Hosts, addresses, redirects, ports, contact.

use super::*;

fn denied(result: Result<Response, EgressError>) -> String {
    match result.unwrap_err() {
        EgressError::Denied { rule } => rule,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn redirects_are_followed_and_listed() {
    let world = World::new(|asked| match asked.path.as_str() {
        "/start" => Reply::redirect("next?x=1#part"),
        "/next?x=1" => Reply::redirect("http://www.example.net/file"),
        _ => Reply::ok("the file"),
    })
    .await;
    let response = world.get("https://api.example.org/start#here", &download()).await.unwrap();
    assert_eq!(response.status, 200);
    assert_eq!(
        urls(&response.chain),
        [
            "https://api.example.org/start",
            "https://api.example.org/next?x=1",
            "http://www.example.net/file",
            "https://www.example.net/file"
        ]
    );
    assert_eq!(response.body.declared(), Some(8));
    assert_eq!(response.body.collect().await.unwrap(), "the file");
    let asked = world.web.asked();
    assert_eq!([asked[0].tls, asked[1].tls, asked[2].tls], [true, true, true]);
    let agent = asked[0].header("user-agent").unwrap();
    assert_eq!(agent, concat!("gleaner/", env!("CARGO_PKG_VERSION"), " (+mailto:someone@example.org)"));
    for name in ["referer", "cookie"] {
        assert!(asked.iter().all(|asked| asked.header(name).is_none()), "{name}");
    }
}

#[tokio::test]
async fn a_redirect_to_a_private_address_is_refused() {
    let world = World::new(|asked| {
        Reply::redirect(asked.header("x-to").unwrap_or("https://api.example.org/unexpected"))
    })
    .await;
    for (count, to) in [
        format!("http://{}/", world.web.plain),
        format!("http://2130706433:{}/", world.web.plain.port()),
        "http://0x7f.1/".to_owned(),
        "http://[::1]/".to_owned(),
        "http://[::ffff:10.0.0.1]/".to_owned(),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "https://internal.example/".to_owned(),
        "https://localhost/".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        let mut request = Request::get("https://api.example.org/".parse().unwrap(), 1000);
        request.headers.insert("x-to", to.parse().unwrap());
        let error = world.egress.send(request, &download()).await.unwrap_err();
        let private = matches!(&error, EgressError::PrivateAddress { .. });
        let port = matches!(&error, EgressError::Denied { rule } if rule.starts_with("port"));
        assert!(private || port, "{to}: {error}");
        assert_eq!(world.web.asked().len(), count + 1, "{to}: the redirect was not followed");
    }
}

#[tokio::test]
async fn a_redirect_off_the_web_is_refused() {
    let world = World::new(|asked| match asked.path.as_str() {
        "/ftp" => Reply::redirect("ftp://api.example.org/x"),
        "/file" => Reply::redirect("file:///etc/passwd"),
        "/user" => Reply::redirect("https://user:pw@api.example.org/x"),
        "/port" => Reply::redirect("https://api.example.org:22/x"),
        _ => Reply::ok("unexpected"),
    })
    .await;
    for (path, rule) in
        [("ftp", "scheme ftp"), ("file", "scheme file"), ("user", "a user"), ("port", "port 22")]
    {
        let rule_met = denied(world.get(&format!("https://api.example.org/{path}"), &download()).await);
        assert!(rule_met.contains(rule), "{path}: {rule_met}");
    }
    assert_eq!(world.web.asked().len(), 4);
}

#[tokio::test]
async fn circles_and_long_chains_end() {
    let world = World::new(|asked| match asked.path.as_str() {
        "/a" => Reply::redirect("/b"),
        "/b" => Reply::redirect("/a"),
        path => Reply::redirect(&format!("{path}x")),
    })
    .await;
    let error = world.text("https://api.example.org/a").await.unwrap_err();
    assert!(matches!(error, EgressError::RedirectLoop { .. }), "{error}");
    assert_eq!(world.web.asked().len(), 2);
    let error = world.text("https://api.example.org/x").await.unwrap_err();
    assert!(matches!(error, EgressError::TooManyRedirects { max: 10, .. }), "{error}");
    assert_eq!(world.web.asked().len(), 2 + 11, "ten redirects are followed, the eleventh is not");
}

#[tokio::test]
async fn plugins_reach_what_is_granted() {
    let world = World::new(|asked| match asked.path.as_str() {
        "/away" => Reply::redirect("https://www.example.net/"),
        "/down" => Reply::redirect("http://api.example.org/down"),
        "/up" => Reply::redirect("https://api.example.org/"),
        _ => Reply::ok("answer"),
    })
    .await;
    let scope = plugin(policy(&["api.example.org"]));
    for url in ["https://api.example.org/", "http://api.example.org/", "http://api.example.org/up"] {
        assert_eq!(world.get(url, &scope).await.unwrap().status, 200, "{url}");
    }
    assert_eq!(scope.requests(), 4);
    let before = world.web.asked().len();
    for (url, rule, asked) in [
        ("https://www.example.net/", "`gleaner plugin grant test --hosts www.example.net` allows it", 0),
        ("https://other.example.org/", "other.example.org is not granted to test", 0),
        ("https://api.example.org:8443/", "api.example.org:8443 is not granted", 0),
        ("https://api.example.org/away", "www.example.net is not granted", 1),
        ("https://api.example.org/down", "from https to http", 1),
        ("https://127.0.0.1/", "127.0.0.1 is not granted", 0),
    ] {
        let seen = world.web.asked().len();
        let rule_met = denied(world.get(url, &scope).await);
        assert!(rule_met.contains(rule), "{url}: {rule_met}");
        assert_eq!(world.web.asked().len() - seen, asked, "{url}");
    }
    assert_eq!(world.web.asked().len() - before, 2);

    let everything = plugin(policy(&["*", "127.0.0.1"]));
    let error = world.get("https://127.0.0.1/", &everything).await.unwrap_err();
    assert!(matches!(error, EgressError::PrivateAddress { .. }), "a grant opens no private address: {error}");
}

#[tokio::test]
async fn private_names_are_refused_after_one_lookup() {
    let world = World::new(|_| Reply::ok("unexpected")).await;
    let error = world.text("https://rebinding.example/").await.unwrap_err();
    assert!(
        matches!(&error, EgressError::PrivateAddress { host, .. } if host == "rebinding.example"),
        "{error}"
    );
    assert_eq!(world.dns.0.load(Ordering::SeqCst), 1, "what was checked is what is connected to");
    world.text("https://api.example.org/").await.unwrap();
    assert_eq!(world.dns.0.load(Ordering::SeqCst), 1, "mapped names are not looked up");
    assert_eq!(error.failure().reason.as_str(), "private_address");
}

#[tokio::test]
async fn mappings_are_for_their_port_and_keep_the_real_name() {
    let world = World::new(|_| Reply::ok("answer")).await;
    assert_eq!(world.text("https://api.example.org:8443/x").await.unwrap(), "answer");
    assert_eq!(world.text("https://api.example.org/y").await.unwrap(), "answer");
    assert_eq!(world.web.targets(), ["api.example.org:8443/x", "api.example.org/y"]);

    // Port 443 of the name is mapped, this one is not: DNS is asked, and its answer is private.
    let url = format!("https://api.example.org:{}/", world.web.tls.port());
    let scope = plugin(policy(&[&format!("api.example.org:{}", world.web.tls.port())]));
    let error = world.get(&url, &scope).await.unwrap_err();
    assert!(matches!(error, EgressError::PrivateAddress { .. }), "{error}");
    assert_eq!(world.web.asked().len(), 2);

    // The certificate is not for that name.
    let error = world.text("https://www.example.com/").await.unwrap_err();
    assert!(matches!(&error, EgressError::Tls { host, .. } if host == "www.example.com"), "{error}");
}

#[tokio::test]
async fn public_services_want_a_contact() {
    let world = World::build("", None, |_, _| {}, |_| {}, |_| Reply::redirect("https://doi.org/10.1")).await;
    let error = world.text("https://doi.org/10.1000/1").await.unwrap_err();
    assert!(matches!(&error, EgressError::NoContact { host } if host == "doi.org"), "{error}");
    assert!(error.to_string().contains("set contact = "), "{error}");
    let error = world.text("https://api.example.org/").await.unwrap_err();
    assert!(matches!(error, EgressError::NoContact { .. }), "also after a redirect: {error}");
    assert_eq!(world.dns.0.load(Ordering::SeqCst), 0);
    let agent = concat!("gleaner/", env!("CARGO_PKG_VERSION"));
    assert_eq!(world.web.asked()[0].header("user-agent"), Some(agent));
}

#[tokio::test]
async fn some_headers_are_not_the_callers() {
    let world = World::new(|_| Reply::ok("unexpected")).await;
    for name in ["Host", "Connection", "Content-Length", "Transfer-Encoding", "Cookie", "User-Agent"] {
        let mut request = Request::get("https://api.example.org/".parse().unwrap(), 1000);
        request.headers.insert(http::HeaderName::try_from(name).unwrap(), "x".parse().unwrap());
        let rule = denied(world.egress.send(request, &plugin(policy(&["api.example.org"]))).await);
        assert!(rule.contains(&name.to_lowercase()), "{rule}");
    }
    assert!(world.web.asked().is_empty());
}

#[tokio::test]
async fn bodies_are_sent_and_methods_change_with_redirects() {
    let world = World::new(|asked| match asked.path.as_str() {
        "/moved" => Reply::redirect("/there"),
        _ => Reply::ok("answer"),
    })
    .await;
    let mut request = Request::get("https://api.example.org/moved".parse().unwrap(), 1000);
    request.method = http::Method::POST;
    request.body = Some("question".into());
    world.egress.send(request, &download()).await.unwrap();
    let asked = world.web.asked();
    assert_eq!((asked[0].method.as_str(), asked[0].header("content-length")), ("POST", Some("8")));
    assert_eq!((asked[1].method.as_str(), asked[1].header("content-length")), ("GET", None));
}
