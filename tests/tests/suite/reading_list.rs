//! The reading list of the demo and the world that serves it belong together.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gleaner_model::identifier::{Identifier, Scheme};
use gleaner_tests::simweb::{SimWeb, reading_list};
use serde_json::Value;

use crate::client::Client;

fn lines() -> impl Iterator<Item = &'static str> {
    reading_list::LIST.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// The list's identifiers by scheme; and how many lines named a work again, and how many named none.
fn parsed() -> (BTreeMap<Scheme, BTreeSet<String>>, usize, usize) {
    let (mut known, mut again, mut broken) = (BTreeMap::<_, BTreeSet<_>>::new(), 0, 0);
    for line in lines() {
        match Identifier::parse(line) {
            Ok(id) if known.entry(id.scheme().clone()).or_default().insert(id.value().to_owned()) => {}
            Ok(_) => again += 1,
            Err(_) => broken += 1,
        }
    }
    (known, again, broken)
}

#[test]
fn the_list_has_many_works_two_named_twice_and_three_broken_lines() {
    let (known, again, broken) = parsed();
    assert!(known.values().map(BTreeSet::len).sum::<usize>() >= 60);
    assert_eq!((again, broken), (2, 3));
    for scheme in [Scheme::Doi, Scheme::Arxiv, Scheme::Url, Scheme::Pmid, Scheme::Pmcid] {
        assert!(known.contains_key(&scheme), "the list names no {scheme}");
    }
}

#[test]
fn the_world_knows_the_dois_of_the_list_and_no_others() {
    let (known, ..) = parsed();
    let (works, unknown, _) = reading_list::identifiers();
    let served: BTreeSet<String> = works.iter().chain(&unknown).map(|doi| doi.to_lowercase()).collect();
    assert_eq!(known[&Scheme::Doi], served);
}

#[tokio::test]
async fn the_world_serves_every_eprint_and_url_of_the_list() {
    let sim = SimWeb::start(reading_list::world(Duration::ZERO)).await.unwrap();
    let client = Client::http1(&sim);
    let (known, ..) = parsed();
    for id in &known[&Scheme::Arxiv] {
        let answer = client.get(&format!("https://export.arxiv.org/api/query?id_list={id}")).await;
        assert!(answer.text().contains("<entry>"), "{id}");
    }
    for url in &known[&Scheme::Url] {
        assert!([200, 301].contains(&client.get(url).await.status.as_u16()), "{url}");
    }
}

/// How the world treats each work: the first location that serves a sound file, by its place in the record.
#[tokio::test]
async fn the_world_has_good_files_fallbacks_closed_works_and_hopeless_ones() {
    let sim = SimWeb::start(reading_list::world(Duration::ZERO)).await.unwrap();
    let client = Client::http1(&sim);
    let (mut first, mut later, mut closed, mut hopeless) = (0, 0, 0, 0);
    let mut hosts = BTreeSet::new();
    for doi in reading_list::identifiers().0 {
        let api = format!("https://api.unpaywall.org/v2/{doi}?email=reader@example.org");
        let record: Value = serde_json::from_slice(&client.get(&api).await.body).unwrap();
        let locations = record["oa_locations"].as_array().unwrap();
        let mut good = None;
        for (place, url) in
            locations.iter().filter_map(|location| location["url_for_pdf"].as_str()).enumerate()
        {
            if is_sound(&client, url).await {
                hosts.insert(url::Url::parse(url).unwrap().host_str().unwrap().to_owned());
                good = Some(place);
                break;
            }
        }
        match good {
            Some(0) => first += 1,
            Some(_) => later += 1,
            None if locations.is_empty() => closed += 1,
            None => hopeless += 1,
        }
    }
    assert!(first >= 35 && hosts.len() >= 25, "{first} at the first location, {} hosts", hosts.len());
    assert_eq!((later, closed, hopeless), (8, 6, 2));
    assert_eq!(sim.seen("journals.plos.org").requests.len(), 5 + 2);
}

/// Follows redirects, asks again when told to come later, and says whether a whole PDF of decent size came.
pub(crate) async fn is_sound(client: &Client, url: &str) -> bool {
    let mut url = url.to_owned();
    for _ in 0..5 {
        let answer = client.get(&url).await;
        match answer.status.as_u16() {
            301 => answer.header("location").clone_into(&mut url),
            429 => assert_eq!(answer.header("retry-after"), "2"),
            status => {
                let packed = answer.header("content-encoding") == "gzip";
                let looks = packed || answer.body.starts_with(b"%PDF-");
                return status == 200 && looks && !answer.cut && answer.body.len() >= 1024;
            }
        }
    }
    false
}
