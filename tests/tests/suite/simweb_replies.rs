//! What can go wrong on the way to a file, each as a client meets it, over HTTP/1.1 and HTTP/2.

use std::io::Read;
use std::time::{Duration, Instant};

use gleaner_model::clock::{Clock, SystemClock, UnixMillis};
use gleaner_tests::simweb::{Behaviour, Reply, RetryAfter, SimWeb, World, pdf};

use crate::client::{Answer, Client};

const URL: &str = "https://journals.plos.org/plosone/article/file?id=10.1371/x&type=printable";

/// What a client gets, over both versions of HTTP.
async fn answers(reply: Reply) -> [Answer; 2] {
    let sim = SimWeb::start(World::new()).await.unwrap();
    sim.set(URL, reply);
    [Client::http1(&sim).get(URL).await, Client::http2(&sim).get(URL).await]
}

#[tokio::test]
async fn a_sound_pdf_arrives_whole_and_is_the_one_that_its_url_makes() {
    for answer in answers(Reply::pdf(300_000)).await {
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), "application/pdf");
        assert_eq!(answer.header("content-length"), "300000");
        assert!(!answer.cut && answer.body == pdf::document(URL, 300_000));
    }
}

#[tokio::test]
async fn a_body_without_a_declared_length_arrives_whole() {
    for answer in answers(Reply::pdf(100_000).chunked()).await {
        assert_eq!(answer.header("content-length"), "");
        assert!(!answer.cut && answer.body.len() == 100_000);
    }
}

#[tokio::test]
async fn a_cut_body_declares_more_than_it_sends() {
    for answer in answers(Reply::pdf(100_000).cut_after(30_000)).await {
        assert_eq!(answer.header("content-length"), "100000");
        assert!(answer.cut, "the client was told that the body is complete");
        assert_eq!(answer.body, pdf::document(URL, 100_000)[..30_000]);
    }
}

#[tokio::test]
async fn a_body_without_its_tail_is_honest_about_its_length() {
    for answer in answers(Reply::pdf(100_000).without_tail()).await {
        assert_eq!(answer.header("content-length"), "75000");
        assert!(!answer.cut && !answer.body.windows(5).any(|window| window == b"%%EOF"));
    }
}

#[tokio::test]
async fn html_may_claim_to_be_a_pdf() {
    for answer in answers(Reply::html("Full text").media_type("application/pdf")).await {
        assert_eq!(answer.header("content-type"), "application/pdf");
        assert!(answer.text().starts_with("<!DOCTYPE html>"));
    }
}

#[tokio::test]
async fn small_and_empty_bodies_are_just_that() {
    for answer in answers(Reply::tiny_pdf()).await {
        assert!(answer.body.starts_with(b"%PDF-") && answer.body.len() < 1024);
    }
    for answer in answers(Reply::empty()).await {
        assert_eq!((answer.status.as_u16(), answer.body.len(), answer.cut), (200, 0, false));
    }
}

#[tokio::test]
async fn gzip_is_declared_and_unpacks_to_the_file() {
    for answer in answers(Reply::pdf(50_000).gzip()).await {
        assert_eq!(answer.header("content-encoding"), "gzip");
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&*answer.body).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, pdf::document(URL, 50_000));
    }
}

#[tokio::test]
async fn pages_of_publishers_look_like_what_they_are() {
    let pages = [
        (Reply::error(404), 404, "cannot be shown"),
        (Reply::error(500), 500, "cannot be shown"),
        (Reply::challenge_page().status(403), 403, "Just a moment..."),
        (Reply::login_page(), 200, "type=\"password\""),
        (Reply::redirect(307, "http://169.254.169.254/latest/meta-data"), 307, "Moved"),
    ];
    for (reply, status, text) in pages {
        for answer in answers(reply.clone()).await {
            assert_eq!(answer.status, status);
            assert!(answer.text().contains(text));
            assert!(answer.header("content-type").starts_with("text/html"));
        }
    }
}

#[tokio::test]
async fn retry_after_comes_as_seconds_or_as_a_date_in_the_future() {
    for answer in answers(Reply::too_many(RetryAfter::Seconds(7))).await {
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (429, "7"));
    }
    let before = SystemClock.now();
    for answer in answers(Reply::error(503).retry_after(RetryAfter::Date(30))).await {
        let date = httpdate::parse_http_date(answer.header("retry-after")).unwrap();
        let since = date.duration_since(std::time::UNIX_EPOCH).unwrap();
        let wait = before.until(UnixMillis(since.as_millis().try_into().unwrap()));
        assert!((30..90).contains(&wait.as_secs()), "{wait:?}");
    }
}

#[tokio::test]
async fn an_endless_body_goes_on_until_the_client_leaves() {
    let sim = SimWeb::start(World::new()).await.unwrap();
    sim.set(URL, Reply::endless());
    let client = Client::http1(&sim);
    let left = tokio::time::timeout(Duration::from_millis(300), client.get(URL)).await;
    assert!(left.is_err(), "the endless body ended");
}

#[tokio::test]
async fn a_flood_of_headers_is_more_than_a_client_takes() {
    let sim = SimWeb::start(World::new()).await.unwrap();
    sim.set(URL, Reply::pdf(2000).header_flood(2000));
    assert!(Client::http1(&sim).try_get(URL).await.is_err());
}

#[tokio::test]
async fn slowness_comes_before_the_headers_or_between_pieces() {
    let ms = Duration::from_millis;
    let started = Instant::now();
    answers(Reply::pdf(2000).delayed(ms(120))).await;
    assert!(started.elapsed() >= ms(240));
    let started = Instant::now();
    answers(Reply::pdf(2000).dribbled(500, ms(30))).await;
    assert!(started.elapsed() >= ms(2 * 4 * 30));
}

#[tokio::test]
async fn the_first_requests_may_be_refused() {
    let sim = SimWeb::start(World::new()).await.unwrap();
    sim.set(URL, Reply::pdf(2000).after_first(2, Reply::too_many(RetryAfter::Seconds(1))));
    let client = Client::http1(&sim);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(client.get(URL).await.status.as_u16());
    }
    assert_eq!(statuses, [429, 429, 200, 200]);
}

#[tokio::test]
async fn requests_above_a_rate_may_be_refused_for_a_whole_host() {
    let sim = SimWeb::start(World::new()).await.unwrap();
    sim.set(URL, Reply::pdf(2000));
    let refusal = Reply::too_many(RetryAfter::Seconds(60));
    let gate = Behaviour::of_host().at_most(3, Duration::from_secs(60), refusal);
    sim.change(|world| {
        world.set_host("journals.plos.org", gate);
    });
    let client = Client::http1(&sim);
    let mut statuses = Vec::new();
    for url in [URL, "https://journals.plos.org/nowhere", URL, URL, URL] {
        statuses.push(client.get(url).await.status.as_u16());
    }
    assert_eq!(statuses, [200, 404, 200, 429, 429]);
}

#[tokio::test]
async fn every_spelling_of_a_path_meets_and_a_query_may_be_left_open() {
    let sim = SimWeb::start(World::new()).await.unwrap();
    sim.set("https://hal.science/a file (1).pdf", Reply::html("spelled"));
    sim.set("https://hal.science/q", Reply::html("any query"));
    sim.set("https://hal.science/q?n=1", Reply::html("query one"));
    let client = Client::http1(&sim);
    for (url, text) in [
        ("https://hal.science/a%20file%20%281%29.pdf", "spelled"),
        ("https://hal.science/q?n=2", "any query"),
        ("https://hal.science/q?n=1", "query one"),
    ] {
        assert!(client.get(url).await.text().contains(text), "{url}");
    }
}

#[tokio::test]
async fn a_search_answers_whoever_asks_for_as_much_and_other_pages_stay() {
    let mut world = World::new();
    world
        .set_search("https://api.example.org/find?q=DOI:\"a%20b\"&core=1", Reply::html("first"))
        .set_search("https://api.example.org/find?q=DOI:\"a%20b\"", Reply::html("second"))
        .set("https://api.example.org/find", Reply::html("any"))
        .set("https://api.example.org/find?q=c", Reply::html("exact"));
    let sim = SimWeb::start(world).await.unwrap();
    let client = Client::http1(&sim);
    for (query, title) in [
        ("?page=1&core=1&q=DOI%3A%22a+b%22", "first"),
        ("?q=DOI:%22a%20b%22&core=2", "second"),
        ("?q=DOI:%22A%20b%22", "any"),
        ("", "any"),
        ("?q=c", "exact"),
    ] {
        let answer = client.get(&format!("https://api.example.org/find{query}")).await;
        assert!(answer.text().contains(&format!("<title>{title}</title>")), "{query}");
    }
}
