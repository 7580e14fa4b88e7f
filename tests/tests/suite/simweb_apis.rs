//! The simulated APIs answer in the documented shapes, and refuse what the real ones refuse.

use gleaner_tests::simweb::{Eprint, Location, SimWeb, Work, World};
use serde_json::Value;

use crate::client::{Answer, Client};

async fn sim() -> (SimWeb, Client) {
    let mut world = World::new();
    world
        .work(Work::new(
            "10.1371/Journal.X(1)",
            [Location::landing_page("https://doi.org/x"), Location::repository("https://hal.science/x.pdf")],
        ))
        .work(Work::new("10.1145/closed", []))
        .eprint(Eprint { id: "hep-th/9711200".into(), versions: 3, title: "Large N & <more>".into() })
        .eprint(Eprint { id: "1706.03762".into(), versions: 7, title: "Attention".into() });
    let sim = SimWeb::start(world).await.unwrap();
    let client = Client::http2(&sim);
    (sim, client)
}

async fn unpaywall(client: &Client, doi: &str, query: &str) -> (u16, Value) {
    let answer = client.get(&format!("https://api.unpaywall.org/v2/{doi}{query}")).await;
    assert_eq!(answer.header("content-type"), "application/json");
    (answer.status.as_u16(), serde_json::from_slice(&answer.body).unwrap())
}

#[tokio::test]
async fn unpaywall_knows_a_doi_in_any_case_and_encoding() {
    let (_sim, client) = sim().await;
    for doi in ["10.1371/journal.x(1)", "10.1371%2FJOURNAL.X%281%29"] {
        let (status, record) = unpaywall(&client, doi, "?email=reader@example.org").await;
        assert_eq!((status, &record["doi"]), (200, &Value::from("10.1371/journal.x(1)")));
        assert!(record["best_oa_location"]["url_for_pdf"].is_null());
        assert_eq!(record["oa_locations"][1]["url_for_pdf"], "https://hal.science/x.pdf");
        assert_eq!(record["oa_locations"][1]["host_type"], "repository");
    }
    assert_eq!(client.get("https://hal.science/x.pdf").await.header("content-type"), "application/pdf");
}

#[tokio::test]
async fn unpaywall_says_closed_unknown_and_who_are_you() {
    let (_sim, client) = sim().await;
    let (status, record) = unpaywall(&client, "10.1145/closed", "?email=a@b.org").await;
    assert_eq!(
        (status, record["is_oa"].as_bool(), &record["best_oa_location"]),
        (200, Some(false), &Value::Null)
    );
    assert_eq!(unpaywall(&client, "10.1/unknown", "?email=a@b.org").await.0, 404);
    for query in ["", "?email=", "?email=someone@example.com"] {
        assert_eq!(unpaywall(&client, "10.1145/closed", query).await.0, 422, "{query}");
    }
}

async fn arxiv(client: &Client, ids: &str) -> Answer {
    client.get(&format!("https://export.arxiv.org/api/query?id_list={ids}")).await
}

#[tokio::test]
async fn arxiv_answers_with_the_version_asked_for_or_the_newest() {
    let (_sim, client) = sim().await;
    for (ids, pdf) in [
        ("hep-th/9711200", "https://arxiv.org/pdf/hep-th/9711200v3"),
        ("hep-th%2F9711200v1", "https://arxiv.org/pdf/hep-th/9711200v1"),
        ("1706.03762", "https://arxiv.org/pdf/1706.03762v7"),
    ] {
        let feed = arxiv(&client, ids).await;
        assert!(
            feed.text().contains(&format!("<link href=\"{pdf}\" rel=\"related\" type=\"application/pdf\""))
        );
        assert_eq!(client.get(pdf).await.header("content-type"), "application/pdf");
    }
    assert!(
        arxiv(&client, "hep-th/9711200").await.text().contains("<title>Large N &amp; &lt;more&gt;</title>")
    );
}

#[tokio::test]
async fn arxiv_has_no_entry_for_an_unknown_id_and_an_error_for_a_malformed_one() {
    let (_sim, client) = sim().await;
    for unknown in ["2101.00001", "1706.03762v8", "hep-th/0000000"] {
        let feed = arxiv(&client, unknown).await;
        assert_eq!(feed.status, 200);
        assert!(!feed.text().contains("<entry>"), "{unknown}");
    }
    for malformed in ["abc", "17O6.03762", "hep-th/97112", "1706.1"] {
        let feed = arxiv(&client, malformed).await;
        assert_eq!(feed.status, 400, "{malformed}");
        assert!(feed.text().contains("<title>Error</title>"));
    }
    assert_eq!(client.get("https://arxiv.org/pdf/2101.00001").await.status, 404);
}

#[tokio::test]
async fn arxiv_serves_a_pdf_under_each_of_its_addresses() {
    let (_sim, client) = sim().await;
    for path in ["pdf/1706.03762", "pdf/1706.03762v2", "pdf/1706.03762.pdf", "pdf/hep-th/9711200v1.pdf"] {
        for host in ["arxiv.org", "export.arxiv.org"] {
            assert!(
                client.get(&format!("https://{host}/{path}")).await.body.starts_with(b"%PDF-"),
                "{host}/{path}"
            );
        }
    }
}
