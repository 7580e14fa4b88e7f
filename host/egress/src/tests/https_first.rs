//! Plain http is asked for over https first, and in plain only where https is not to be had.

use gleaner_limits::Room;
use gleaner_model::manifest::Transport;

use super::*;
use crate::Injection;

const PLAIN: &str = "http://plain.example.org/x";
const TWIN: &str = "https://plain.example.org/x";

/// Where the names of these tests are over https: nobody listens; a server without TLS; one without that certificate.
fn map(web: &Web, connect_to: &mut BTreeMap<String, String>) {
    connect_to.insert("plain.example.org:443".to_owned(), "127.0.0.1:1".to_owned());
    connect_to.insert("mute.example.org:443".to_owned(), web.plain.to_string());
    connect_to.insert("half.example.com:80".to_owned(), web.plain.to_string());
}

async fn world(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> World {
    let change = |config: &mut EgressConfig| {
        config.robots = false;
        // One of them never answers a handshake.
        config.connect_timeout = Span(Duration::from_secs(2));
    };
    World::mapped(PLENTY, map, change, answer).await
}

fn over_tls(world: &World) -> Vec<bool> {
    world.web.asked().iter().map(|asked| asked.tls).collect()
}

#[tokio::test]
async fn a_plain_url_is_asked_for_over_https_and_the_chain_shows_both() {
    let world = world(|asked| match asked.path.as_str() {
        "/moved" => Reply::redirect("http://www.example.net/y"),
        _ => Reply::ok("answer"),
    })
    .await;
    for scope in [download(), plugin(policy(&["*.example.org", "www.example.net"])), plugin(policy(&["*"]))] {
        let response = world.get("http://a.example.org/moved", &scope).await.unwrap();
        let way = [
            "http://a.example.org/moved",
            "https://a.example.org/moved",
            "http://www.example.net/y",
            "https://www.example.net/y",
        ];
        assert_eq!((urls(&response.chain), response.transport), (way.to_vec(), Transport::Https));
        assert_eq!((urls(&scope.asked()), scope.requests()), (way.to_vec(), 2), "what was sent counts");
    }
    assert_eq!(over_tls(&world), [true; 6]);
}

/// Refused, no TLS, and a certificate for another name: each is tried once, and costs no failure.
#[tokio::test]
async fn without_https_it_is_asked_in_plain_and_that_is_remembered() {
    for host_name in ["plain.example.org", "mute.example.org", "www.example.com"] {
        let world = world(|_| Reply::ok("answer")).await;
        let (plain, twin) = (format!("http://{host_name}/x"), format!("https://{host_name}/x"));
        for scope in [download(), plugin(policy(&[host_name]))] {
            let response = world.get(&plain, &scope).await.unwrap();
            let way = if scope.is_download() { vec![&*plain, &*twin, &*plain] } else { vec![&*plain] };
            assert_eq!((urls(&response.chain), response.transport), (way, Transport::Http), "{host_name}");
            assert_eq!(scope.requests(), 1, "{host_name}");
        }
        assert_eq!(over_tls(&world), [false; 2], "{host_name}");
        for n in 0..5 {
            // A host without an answer would be left alone by now.
            let url = format!("http://{host_name}/{n}");
            let response = world.get(&url, &plugin(policy(&["*"]))).await;
            assert!(
                response.is_ok() && matches!(world.limiter.room(&host(&url)), Room::Now(_)),
                "{host_name}"
            );
        }
    }
}

#[tokio::test]
async fn both_tries_take_one_token() {
    let limits = "default-host = { rate = \"1/1h\", burst = 1 }";
    let world = World::mapped(limits, map, |_| {}, |_| Reply::ok("answer")).await;
    let error = world.get(PLAIN, &download()).await.unwrap_err();
    assert_eq!(error.failure().reason.as_str(), "rate_limited", "a bucket begins empty: {error}");
    wait(Duration::from_secs(3600)).await;
    world.get(PLAIN, &download()).await.unwrap();
    let error = world.get(PLAIN, &download()).await.unwrap_err();
    assert_eq!(error.failure().reason.as_str(), "rate_limited", "{error}");
}

#[tokio::test]
async fn a_host_that_is_not_there_at_all_is_a_failure_of_the_last_try() {
    let nobody = |web: &Web, connect_to: &mut BTreeMap<String, String>| {
        map(web, connect_to);
        connect_to.insert("plain.example.org:80".to_owned(), "127.0.0.1:1".to_owned());
    };
    let world = World::mapped(PLENTY, nobody, |_| {}, |_| Reply::ok("unexpected")).await;
    for _ in 0..5 {
        let scope = download();
        let error = world.get(PLAIN, &scope).await.unwrap_err();
        assert!(matches!(error, EgressError::Connection { .. }), "{error}");
        assert_eq!(urls(&scope.asked()), [PLAIN, TWIN, PLAIN], "nothing is known of its schemes");
    }
    let error = world.get(PLAIN, &download()).await.unwrap_err();
    assert_eq!(error.failure().reason.as_str(), "breaker_open", "one failure a request: {error}");
}

#[tokio::test]
async fn an_answer_over_https_is_the_answer_and_keeps_the_host_from_being_asked_in_plain() {
    let world = world(|asked| match asked.path.as_str() {
        "/gone" => Reply::status(404, "", "not here"),
        "/broken" => Reply::status(500, "", ""),
        "/cut" => Reply::hang_up(),
        _ => Reply::ok("answer"),
    })
    .await;
    for (path, status) in [("gone", 404), ("broken", 500)] {
        assert_eq!(
            world.get(&format!("http://a.example.org/{path}"), &download()).await.unwrap().status,
            status
        );
    }
    let error = world.get("http://a.example.org/cut", &download()).await.unwrap_err();
    assert!(matches!(error, EgressError::Connection { .. }), "{error}");
    assert_eq!(over_tls(&world), [true; 3]);

    // It has answered over https before: whoever stands between cannot take that away by breaking it.
    let insecure = |config: &mut EgressConfig| {
        config.insecure_hosts = vec!["www.example.com".to_owned()].try_into().unwrap();
    };
    let world = World::mapped(PLENTY, map, insecure, |_| Reply::ok("answer")).await;
    let (url, granted) = ("http://www.example.com/", plugin(policy(&["www.example.com"])));
    world.get(url, &download()).await.unwrap();
    // Of an API the certificate is checked, and it is for another name.
    let error = world.get(url, &granted).await.unwrap_err();
    assert!(matches!(error, EgressError::Tls { .. }), "{error}");
    assert_eq!(
        (urls(&granted.asked()), over_tls(&world)),
        (vec![url, "https://www.example.com/"], vec![true])
    );
}

#[tokio::test]
async fn a_host_that_leads_back_to_plain_http_is_asked_there_by_who_asked_for_that() {
    let world = world(|asked| match asked.path.as_str() {
        "/" => Reply::ok("answer"),
        path if asked.tls => Reply::redirect(&format!("http://{}{path}", asked.header("host").unwrap())),
        _ => Reply::ok("answer"),
    })
    .await;
    let response = world.get("http://a.example.org/x", &plugin(policy(&["a.example.org"]))).await.unwrap();
    let way = ["http://a.example.org/x", "https://a.example.org/x", "http://a.example.org/x"];
    assert_eq!((urls(&response.chain), response.transport), (way.to_vec(), Transport::Http));
    let response = world.get("http://a.example.org/y", &download()).await.unwrap();
    assert_eq!(urls(&response.chain), ["http://a.example.org/y"], "remembered");

    let response = world.get("https://b.example.org/x", &download()).await.unwrap();
    let way = ["https://b.example.org/x", "http://b.example.org/x"];
    assert_eq!((urls(&response.chain), response.transport), (way.to_vec(), Transport::Http));
    let error = world.get("https://c.example.org/x", &plugin(policy(&["c.example.org"]))).await.unwrap_err();
    assert!(error.to_string().contains("from https to http"), "{error}");
}

#[tokio::test]
async fn what_says_more_than_the_question_never_goes_out_in_plain() {
    let world = world(|_| Reply::ok("unexpected")).await;
    let refused = async |request: Request, scope: &Scope| {
        let error = world.egress.send(request, scope).await.unwrap_err();
        assert!(matches!(error, EgressError::Connection { .. }), "{error}");
        assert_eq!(urls(&scope.asked()), [PLAIN, TWIN]);
    };
    let granted = || plugin(policy(&["plain.example.org"]));
    let get = || Request::get(PLAIN.parse().unwrap(), 1000);
    let injection = Injection {
        host: "plain.example.org".to_owned(),
        header: Some("x-key".to_owned()),
        query: None,
        secret: "s3cr3t".to_owned(),
    };
    let keyed = PluginPolicy { injections: vec![injection], ..policy(&["plain.example.org"]) };
    refused(get(), &plugin(keyed)).await;
    let mut own = get();
    own.headers.insert("authorization", "Bearer x".parse().unwrap());
    refused(own, &granted()).await;
    refused(Request { method: http::Method::POST, body: Some("x".into()), ..get() }, &granted()).await;
    assert!(world.web.asked().is_empty());
    world.get(PLAIN, &granted()).await.unwrap();
    let mut own = get();
    own.headers.insert("x-key", "x".parse().unwrap());
    refused(own, &granted()).await;
    assert_eq!(over_tls(&world), [false], "also where the host is known to have no https");
}

#[tokio::test]
async fn where_the_operator_says_where_plain_http_is_nothing_else_is_asked() {
    let world = world(|_| Reply::ok("answer")).await;
    let response = world.get("http://half.example.com/", &download()).await.unwrap();
    assert_eq!(urls(&response.chain), ["http://half.example.com/"]);
    assert_eq!(world.dns.0.load(Ordering::SeqCst), 0, "its name is not looked up");
    let error = world.get("http://other.example.com/", &download()).await.unwrap_err();
    assert!(matches!(error, EgressError::PrivateAddress { .. }), "the guard holds for both: {error}");
    assert_eq!(world.dns.0.load(Ordering::SeqCst), 1, "and ends it");
}

#[tokio::test]
async fn the_least_protected_hop_counts() {
    let insecure = |config: &mut EgressConfig| {
        config.insecure_hosts = vec!["www.example.com".to_owned()].try_into().unwrap();
    };
    let world = World::mapped(PLENTY, map, insecure, |asked| match asked.path.as_str() {
        "/away" => Reply::redirect("https://a.example.org/there"),
        _ => Reply::ok("answer"),
    })
    .await;
    for (url, transport) in [
        ("https://a.example.org/there", Transport::Https),
        ("https://www.example.com/there", Transport::HttpsUnverified),
        ("http://www.example.com/there", Transport::HttpsUnverified),
        ("https://www.example.com/away", Transport::HttpsUnverified),
        ("http://plain.example.org/away", Transport::Http),
    ] {
        assert_eq!(world.get(url, &download()).await.unwrap().transport, transport, "{url}");
    }
}

/// What another host leads to says nothing of this one.
#[tokio::test]
async fn no_other_host_has_a_host_asked_in_plain() {
    let world = world(|asked| match asked.path.as_str() {
        "/start" => Reply::redirect("https://b.example.org/back"),
        "/back" => Reply::redirect("http://a.example.org/start"),
        _ => Reply::ok("answer"),
    })
    .await;
    let error = world.get("https://a.example.org/start", &download()).await.unwrap_err();
    assert!(matches!(error, EgressError::RedirectLoop { .. }), "{error}");
    world.get("http://a.example.org/other", &download()).await.unwrap();
    assert_eq!(over_tls(&world), [true; 3]);
}
