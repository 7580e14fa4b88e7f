//! What the simulated web says it saw is what happened: other suites rest their claims about politeness on it.

use std::time::Duration;

use futures_util::future::join_all;
use gleaner_tests::simweb::{Barrier, Eprint, Reply, SimWeb, World};

use crate::client::Client;

const MS: fn(u64) -> Duration = Duration::from_millis;

#[tokio::test]
async fn a_request_is_recorded_as_it_came() {
    let sim = SimWeb::start(World::new()).await.unwrap();
    Client::http2(&sim).get("https://hal.science/x%20y?q=1").await;
    let seen = &sim.seen("hal.science").requests[0];
    assert_eq!((&*seen.method, seen.scheme, &*seen.target), ("GET", "https", "/x%20y?q=1"));
    assert_eq!(seen.user_agent.as_deref(), Some("a test"));
    assert_eq!(sim.seen("hal.science").hits("/x%20y?q=1"), 1);
    assert_eq!(sim.seen("zenodo.org"), Default::default());
}

#[tokio::test]
async fn requests_at_once_are_counted_per_host_and_over_hosts_that_share() {
    let sim = SimWeb::start(World::new()).await.unwrap();
    let client = Client::http1(&sim);
    let barrier = Barrier::new();
    for host in ["arxiv.org", "export.arxiv.org"] {
        sim.set(&format!("https://{host}/held"), Reply::pdf(2000).held_by(&barrier));
    }
    let urls = ["https://arxiv.org/held", "https://arxiv.org/held", "https://export.arxiv.org/held"];
    let (answers, ()) = tokio::join!(join_all(urls.map(|url| client.get(url))), async {
        sim.wait_for_requests("arxiv.org", 2).await;
        sim.wait_for_requests("export.arxiv.org", 1).await;
        barrier.open();
    });
    assert!(answers.iter().all(|answer| answer.body.len() == 2000));
    assert_eq!(sim.seen("arxiv.org").most_in_flight, 2);
    assert_eq!(sim.seen("export.arxiv.org").most_in_flight, 1);
    assert_eq!(sim.seen_together(&["arxiv.org", "export.arxiv.org"]).most_in_flight, 3);
    client.get("https://arxiv.org/held").await;
    assert_eq!(sim.seen("arxiv.org").most_in_flight, 2, "an open barrier holds nothing back");
}

#[tokio::test]
async fn a_request_stays_in_flight_while_its_body_is_sent() {
    let sim = SimWeb::start(World::new()).await.unwrap();
    let client = Client::http1(&sim);
    sim.set("https://hal.science/endless", Reply::endless());
    tokio::select! {
        _ = client.get("https://hal.science/endless") => panic!("the endless body ended"),
        () = async {
            sim.wait_for_requests("hal.science", 1).await;
            tokio::time::sleep(MS(50)).await;
            client.get("https://hal.science/other").await;
        } => {}
    }
    assert_eq!(sim.seen("hal.science").most_in_flight, 2);
}

#[tokio::test(flavor = "multi_thread")] // the server has to run beside the client, or there is no race to lose
async fn a_client_that_asks_one_by_one_is_never_seen_twice_at_once() {
    let sim = SimWeb::start(World::new()).await.unwrap();
    sim.set("https://hal.science/a", Reply::pdf(40_000));
    sim.set("https://hal.science/b", Reply::pdf(40_000).cut_after(20_000));
    for client in [Client::http1(&sim), Client::http2(&sim)] {
        for n in 0..60 {
            client.get(if n % 4 == 0 { "https://hal.science/b" } else { "https://hal.science/a" }).await;
        }
    }
    let seen = sim.seen("hal.science");
    assert_eq!((seen.requests.len(), seen.most_in_flight), (120, 1));
}

#[tokio::test]
async fn the_client_that_walks_away_is_no_longer_in_flight() {
    let sim = SimWeb::start(World::new()).await.unwrap();
    sim.set("https://hal.science/endless", Reply::endless());
    let client = Client::http1(&sim);
    let left = tokio::time::timeout(MS(200), client.get("https://hal.science/endless")).await;
    assert!(left.is_err());
    // How soon a broken connection is noticed is the system's affair; that it is, is ours.
    let noticed = async {
        loop {
            sim.forget();
            client.get("https://hal.science/next").await;
            if sim.seen("hal.science").most_in_flight == 1 {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), noticed).await.unwrap();
}

#[tokio::test]
async fn intervals_and_windows_are_measured_between_starts() {
    let sim = SimWeb::start(World::new()).await.unwrap();
    let client = Client::http1(&sim);
    for pause in [0, 300, 100] {
        tokio::time::sleep(MS(pause)).await;
        client.get("https://hal.science/").await;
    }
    let seen = sim.seen("hal.science");
    let interval = seen.min_interval.unwrap();
    assert!(interval >= MS(100) && interval <= seen.requests[2].at - seen.requests[1].at);
    assert!(seen.requests[1].at - seen.requests[0].at >= MS(300));
    assert_eq!(seen.most_within(Duration::from_secs(60)), 3);
    assert_eq!(seen.most_within(interval), 1);
}

#[tokio::test]
async fn the_report_counts_all_hosts_and_starts_anew_when_told_to() {
    let sim = SimWeb::start(World::new()).await.unwrap();
    let client = Client::http1(&sim);
    for url in ["https://hal.science/", "http://hal.science/", "https://zenodo.org/"] {
        client.get(url).await;
    }
    let report = serde_json::to_value(sim.report()).unwrap();
    assert_eq!(report["requests"], 3);
    assert_eq!(report["hosts"]["hal.science"]["requests"], 2);
    assert_eq!(report["hosts"]["zenodo.org"]["most_in_flight"], 1);
    assert!(report["hosts"]["zenodo.org"]["min_interval_ms"].is_null());
    sim.forget();
    assert_eq!(sim.report().requests, 0);
}

#[tokio::test]
async fn calls_of_services_are_told_from_pages_and_files() {
    let mut world = World::new();
    world.eprint(Eprint { id: "1706.03762".into(), versions: 1, title: "Attention".into() });
    world.set("https://hal.science/1.pdf", Reply::pdf(2000));
    let sim = SimWeb::start(world).await.unwrap();
    let client = Client::http1(&sim);
    for url in [
        "https://export.arxiv.org/api/query?id_list=1706.03762",
        "https://export.arxiv.org/api/query?id_list=1706.03763",
        "https://export.arxiv.org/pdf/1706.03762v1",
        "https://export.arxiv.org/robots.txt",
        "https://hal.science/1.pdf",
        "https://api.unpaywall.org/v2/10.1/nobody?email=a@b.org",
    ] {
        client.get(url).await;
    }
    let seen = sim.seen("export.arxiv.org");
    assert_eq!((seen.requests.len(), seen.calls), (4, 2));
    assert_eq!(sim.seen("hal.science").calls, 0);
    let report = serde_json::to_value(sim.report()).unwrap();
    assert_eq!((&report["requests"], &report["calls"]), (&6.into(), &3.into()));
    assert_eq!(report["hosts"]["api.unpaywall.org"]["calls"], 1);
}
