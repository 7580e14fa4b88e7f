//! Test guest `batch`: answers for many works in one call, so that what the host gathers can be counted on the wire. Must
//! never remember anything: each call is known by its requests alone.
//!
//! It takes DOIs `10.5555/batch.WORD.N`. Each call sends one request: `/one/N` for one work, `/many/COUNT/N` for several,
//! N being the first one's. What
//! it answers is the word's: `file` a file at `files.example.org`, `none` no copy, `retry`, `limited` and `give-up` a
//! failure. `trap` traps, for all that are asked about with it; `short` makes an answer too few of several; `costly` is a
//! file that takes three requests more.

use gleaner_sdk::{BatchResolver, Candidate, Failure, Host, Info, Query, Request, Resolution, Resolver};

/// Answers by the word in a DOI.
#[derive(Debug)]
pub struct Batch;

gleaner_sdk::export_batch_resolver!(Batch);

const BASE: &str = "https://batch.example.org";
const PREFIX: &str = "10.5555/batch.";

impl Resolver for Batch {
    fn describe() -> Info {
        Info::new("batch", env!("CARGO_PKG_VERSION"), "Answers for many works at once")
            .takes(&format!("doi:{PREFIX}"))
            .host("batch.example.org")
    }

    fn resolve(query: &Query, host: &impl Host) -> Result<Resolution, Failure> {
        host.fetch(&Request::get(&host.base_url(BASE).path("one").segment(words(query).1)))?;
        answer(query, host)
    }
}

impl BatchResolver for Batch {
    const MOST: u32 = 50;

    fn resolve_many(queries: &[Query], host: &impl Host) -> Vec<Result<Resolution, Failure>> {
        let first = queries.first().map_or("", |query| words(query).1);
        let url = host.base_url(BASE).path("many").segment(&queries.len().to_string()).segment(first);
        if let Err(failure) = host.fetch(&Request::get(&url)) {
            return gleaner_sdk::for_each(queries, &Err(failure));
        }
        let is_short = queries.iter().any(|query| words(query).0 == "short");
        queries.iter().skip(usize::from(is_short)).map(|query| answer(query, host)).collect()
    }
}

/// The word and the number.
fn words(query: &Query) -> (&str, &str) {
    let rest = query.doi().and_then(|doi| doi.strip_prefix(PREFIX)).unwrap_or_default();
    rest.split_once('.').unwrap_or((rest, ""))
}

fn answer(query: &Query, host: &impl Host) -> Result<Resolution, Failure> {
    let (word, number) = words(query);
    if word == "costly" {
        for part in ["a", "b", "c"] {
            host.fetch(&Request::get(&host.base_url(BASE).path("more").segment(number).segment(part)))?;
        }
    }
    match word {
        "file" | "short" | "costly" => {
            Ok(Resolution::of(Candidate::pdf(&format!("https://files.example.org/{number}.pdf"))))
        }
        "retry" => Err(Failure::retry("test", "try again")),
        "limited" => Err(Failure::rate_limited(Some(1000), "slow down")),
        "give-up" => Err(Failure::give_up("test", "never")),
        #[allow(clippy::panic, reason = "what it is for")]
        "trap" => panic!("asked to trap by {number}"),
        _ => Ok(Resolution::none()),
    }
}
