//! The simulated APIs answer in the documented shapes, and refuse what the real ones refuse.

use gleaner_tests::simweb::{
    CORE_KEY, CentralArticle, Eprint, Holding, Kept, Location, Paper, SimWeb, Snapshot, Work, World,
};
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

/// Status and JSON of an answer.
async fn json(client: &Client, url: &str) -> (u16, Value) {
    let answer = client.get(url).await;
    (answer.status.as_u16(), serde_json::from_slice(&answer.body).unwrap())
}

#[tokio::test]
async fn further_apis_refuse_what_the_real_ones_refuse() {
    let mut world = World::new();
    world.paper(Paper::open("10.5555/A", "https://press.example.org/a.pdf", "GOLD"));
    let sim = SimWeb::start(world).await.unwrap();
    let client = Client::http2(&sim);
    let converter = "https://pmc.ncbi.nlm.nih.gov/tools/idconv/api/v1/articles/?format=json";
    assert_eq!(json(&client, &format!("{converter}&ids=7,10.5555/a&idtype=pmid")).await.0, 400);
    let (status, answer) = json(&client, &format!("{converter}&ids=7&idtype=pmid")).await;
    assert_eq!((status, &answer["records"][0]["status"]), (200, &Value::from("error")));
    let scholar = "https://api.semanticscholar.org/graph/v1/paper";
    assert_eq!(json(&client, &format!("{scholar}/DOI:10.5555/b?fields=externalIds")).await.0, 404);
    assert_eq!(json(&client, &format!("{scholar}/DOI:10.5555/a?fields=files")).await.0, 400);
    let (_, paper) = json(&client, &format!("{scholar}/doi:10.5555/a?fields=openAccessPdf")).await;
    assert!(paper["externalIds"].is_null() && paper["openAccessPdf"]["url"].is_string(), "{paper}");
    assert_eq!(json(&client, "https://doaj.org/api/search/articles/cells").await.0, 400);
    let core = "https://api.core.ac.uk/v3/search/works/?q=doi:%2210.5555/a%22";
    assert_eq!(json(&client, core).await.0, 401);
    assert_eq!(
        json(&client, &format!("{core}&api_key={CORE_KEY}")).await.0,
        401,
        "the key goes into a header"
    );
}

#[tokio::test]
async fn the_archive_lists_and_serves_what_it_kept() {
    const GONE: &str = "http://press.example.org/a.pdf?v=1";
    let mut world = World::new();
    for (timestamp, kept) in [("20200101000000", Kept::Pdf), ("20210101000000", Kept::TooMany)] {
        world.snapshot(Snapshot::new(timestamp, GONE, kept));
    }
    let sim = SimWeb::start(world).await.unwrap();
    let client = Client::http2(&sim);
    let index = "https://web.archive.org/cdx/search/cdx?url=http%3A%2F%2Fpress.example.org%2Fa.pdf%3Fv%3D1";
    let lines = |answer: Answer| String::from_utf8_lossy(&answer.body).lines().count();
    assert_eq!(lines(client.get(index).await), 2);
    assert_eq!(lines(client.get(&format!("{index}&filter=statuscode:200")).await), 1);
    assert_eq!(lines(client.get(&format!("{index}&filter=mimetype:image/png")).await), 0);
    let snapshot = |timestamp| format!("https://web.archive.org/web/{timestamp}id_/{GONE}");
    assert_eq!(client.get(&snapshot("20200101000000")).await.header("content-type"), "application/pdf");
    assert_eq!(client.get(&snapshot("20210101000000")).await.status.as_u16(), 429);
    assert_eq!(client.get(&snapshot("20220101000000")).await.status.as_u16(), 404);
}

#[tokio::test]
async fn an_article_of_pmc_is_in_the_datasets_or_on_the_older_site() {
    let mut world = World::new();
    for (pmcid, holding) in
        [("PMC1", Holding::Datasets), ("PMC2", Holding::OlderSite), ("PMC3", Holding::Closed)]
    {
        world.central(CentralArticle { pmcid: pmcid.to_owned(), pmid: None, doi: None, holding });
    }
    let sim = SimWeb::start(world).await.unwrap();
    let client = Client::http2(&sim);
    let has = async |url: &str, word: &str| {
        let answer = client.get(url).await;
        String::from_utf8_lossy(&answer.body).contains(word)
    };
    for (pmcid, listed, older) in [("PMC1", true, false), ("PMC2", false, true), ("PMC3", false, false)] {
        let listing =
            format!("https://pmc-oa-opendata.s3.amazonaws.com/?list-type=2&prefix={pmcid}.&delimiter=/");
        assert_eq!(has(&listing, "<KeyCount>1<").await, listed, "{pmcid}");
        let oa = format!("https://www.ncbi.nlm.nih.gov/pmc/utils/oa/oa.fcgi?id={pmcid}");
        assert_eq!(has(&oa, "format=\"pdf\"").await, older, "{pmcid}");
    }
}
