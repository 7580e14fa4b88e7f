//! The simulated web's TLS: every host name has a certificate of the one CA, and only for itself.

use gleaner_tests::simweb::{Reply, SimWeb, World};
use url::Url;

use crate::client::Client;

#[tokio::test]
async fn every_host_name_has_a_certificate_that_its_ca_vouches_for() {
    let sim = SimWeb::start(World::new()).await.unwrap();
    for host in ["api.unpaywall.org", "www.pnas.org", "127.0.0.1"] {
        sim.set(&format!("https://{host}/"), Reply::html(host));
        for client in [Client::http1(&sim), Client::http2(&sim)] {
            let answer = client.get(&format!("https://{host}/")).await;
            assert!(answer.text().contains(host));
        }
        assert_eq!(sim.seen(host).requests.len(), 2);
    }
}

#[tokio::test]
async fn another_web_s_ca_does_not_vouch_for_this_one() {
    let sim = SimWeb::start(World::new()).await.unwrap();
    let other = SimWeb::start(World::new()).await.unwrap();
    let stranger = Client::new(sim.addr(), sim.plain_addr(), other.ca_pem(), false);
    let error = stranger.try_get("https://arxiv.org/").await.unwrap_err();
    assert!(format!("{error:#}").contains("invalid peer certificate"), "{error:#}");
    assert_eq!(sim.report().requests, 0);
}

#[tokio::test]
async fn a_connection_made_for_one_host_is_not_answered_for_another() {
    let sim = SimWeb::start(World::new()).await.unwrap();
    sim.set("https://zenodo.org/", Reply::html("Zenodo"));
    let url = Url::parse("https://zenodo.org/").unwrap();
    for client in [Client::http1(&sim), Client::http2(&sim)] {
        assert_eq!(client.get_as("hal.science", &url).await.unwrap().status, 421);
        assert_eq!(client.get_as("zenodo.org", &url).await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn http_and_https_are_different_places() {
    let sim = SimWeb::start(World::new()).await.unwrap();
    sim.set("http://europepmc.org/a", Reply::redirect(301, "https://europepmc.org/a"));
    sim.set("https://europepmc.org/a", Reply::html("here"));
    let client = Client::http1(&sim);
    let moved = client.get("http://europepmc.org/a").await;
    assert_eq!((moved.status.as_u16(), moved.header("location")), (301, "https://europepmc.org/a"));
    assert_eq!(client.get("https://europepmc.org/a").await.status, 200);
    let seen = sim.seen("europepmc.org").requests;
    assert_eq!(seen.iter().map(|seen| seen.scheme).collect::<Vec<_>>(), ["http", "https"]);
}
