//! Names and their addresses, with a name server on loopback: kept for as long as DNS says, judged at every use.

use gleaner_testing::NameServer;

use super::*;
use crate::dns::Dns;

/// Belongs to nobody, so nothing leaves this machine for it, and it is in the public range.
const NOBODY: &str = "3ffe::1";

/// A download of a name, of which the name server says what `answer` does.
async fn ask(server: &NameServer, urls: &[&str]) -> Vec<EgressError> {
    let config = EgressConfig {
        name_servers: vec![server.address().to_string()].try_into().unwrap(),
        connect_timeout: Span(Duration::from_millis(500)),
        ..EgressConfig::default()
    };
    let limits = toml::from_str::<LimitRules>("default-host = { rate = \"1000/s\", burst = 1000 }").unwrap();
    let clock = FakeClock::at(NOW);
    let limiter = KeyedLimiter::new(limits, clock.clone());
    let egress = Egress::new(&config, Some("someone@example.org"), limiter, clock).unwrap();
    let mut errors = Vec::new();
    for url in urls {
        let request = Request::get(url.parse().unwrap(), 1000);
        errors.push(egress.send(request, &download()).await.unwrap_err());
    }
    errors
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[tokio::test]
async fn answers_are_kept_as_long_as_dns_says() {
    let server = NameServer::start(|name, _| match name {
        "kept.example" => Some((addresses(&["10.0.0.1", "fd00::1"]), 300)),
        "fleeting.example" => Some((addresses(&["10.0.0.1"]), 0)),
        _ => None,
    });
    let dns = Dns::new(&[server.address()]).unwrap();
    for _ in 0..3 {
        let mut found = dns.lookup("kept.example").await.unwrap();
        found.sort();
        assert_eq!(found, addresses(&["10.0.0.1", "fd00::1"]));
        assert_eq!(dns.lookup("fleeting.example").await.unwrap(), addresses(&["10.0.0.1"]));
        let error = dns.lookup("nothing.example").await.unwrap_err();
        assert!(error.to_string().contains("no such name"), "{error}");
    }
    assert_eq!(server.asked("kept.example"), 1);
    assert_eq!(server.asked("fleeting.example"), 3);
    assert_eq!(server.asked("nothing.example"), 1, "that there is no such name is kept too");
}

#[tokio::test]
async fn a_name_is_whole_and_its_case_is_none() {
    let server = NameServer::start(|name, _| (name == "a.example").then(|| (addresses(&["10.0.0.1"]), 60)));
    let dns = Dns::new(&[server.address()]).unwrap();
    for name in ["a.example", "A.Example", "a.example."] {
        assert_eq!(dns.lookup(name).await.unwrap(), addresses(&["10.0.0.1"]), "{name}");
    }
    assert!(dns.lookup("$(reboot).example").await.is_err());
    assert!(dns.lookup(&"long".repeat(60)).await.is_err());
}

/// The answer that is kept is private, and refused each time; one that changes is refused when it has.
#[tokio::test]
async fn what_is_kept_is_judged_at_every_use() {
    let server = NameServer::start(|name, nth| match (name, nth) {
        ("inside.example", _) => Some((addresses(&["192.168.1.1", "::1", "fe80::1"]), 300)),
        ("rebinding.example", 0) => Some((addresses(&[NOBODY]), 0)),
        ("rebinding.example", _) => Some((addresses(&["127.0.0.1", "169.254.169.254"]), 0)),
        ("mixed.example", _) => Some((addresses(&["127.0.0.1", NOBODY, "10.0.0.1"]), 300)),
        _ => None,
    });
    let inside = "https://inside.example/";
    for error in ask(&server, &[inside, inside, "http://INSIDE.example./"]).await {
        assert!(matches!(error, EgressError::PrivateAddress { .. }), "{error}");
    }
    assert_eq!(server.asked("inside.example"), 1);

    let changing = "https://rebinding.example/";
    let errors = ask(&server, &[changing, changing]).await;
    assert!(
        matches!(&errors[0], EgressError::Connection { .. } | EgressError::Timeout { .. }),
        "nobody is there: {}",
        errors[0]
    );
    assert!(matches!(&errors[1], EgressError::PrivateAddress { .. }), "{}", errors[1]);

    // The private ones of several are not tried.
    for error in ask(&server, &["http://mixed.example/", "http://mixed.example:8080/"]).await {
        assert!(
            matches!(&error, EgressError::Connection { .. } | EgressError::Timeout { .. }),
            "nobody is there: {error}"
        );
    }
    let errors = ask(&server, &["https://nothing.example/"]).await;
    assert_eq!(errors[0].failure().reason.as_str(), "dns", "{}", errors[0]);
}
