//! Test guest `hostile`: misbehaves as the DOI says. After `10.5555/` comes a word, and after `:` what the word
//! needs; words that nobody knows are answered without candidates. Must never be bundled as a plugin.
//!
//! | DOI | what it does |
//! |---|---|
//! | `ok` | answers with one good candidate |
//! | `loop`, `recurse`, `alloc` | spends CPU, stack, memory without end |
//! | `trap`, `panic` | ends without an answer, mutely or with a message |
//! | `log-flood` | logs without end in long lines |
//! | `garbage`, `big` | answers with bad candidates, with 100 MB of text |
//! | `many:N` | answers with N candidates, 100 000 unless told |
//! | `propose:URL` | answers with that candidate |
//! | `count`, `hoard:MB`, `busy:MS` | says how often this instance was called; keeps memory; computes so long |
//! | `discover` | answers with identifiers, good and bad |
//! | `fail-retry`, `fail-give-up`, `fail-limited:MS` | fails with that disposition |
//! | `fetch:URL` | sends a request, and reports what came of it in `extra` or in the failure |
//! | `requests:N:URL`, `requests-at-once:N:URL` | sends N requests |
//! | `setting:KEY`, `clock` | answers with what the host says, in `extra` |

mod misdeeds;

use gleaner_sdk::{
    Candidate, Failure, Field, Host, HttpError, Identifier, Info, Query, Request, Resolution, Resolver,
    Response, Url,
};
use percent_encoding::percent_decode_str;

/// Does what the DOI says.
#[derive(Debug)]
pub struct Hostile;

gleaner_sdk::export_resolver!(Hostile);

impl Resolver for Hostile {
    fn describe() -> Info {
        Info::new("hostile", env!("CARGO_PKG_VERSION"), "Misbehaves on request")
            .takes("doi:10.5555/")
            .host("files.example.org")
    }

    fn resolve(query: &Query, host: &impl Host) -> Result<Resolution, Failure> {
        let Some(order) = query.doi().and_then(|doi| doi.strip_prefix("10.5555/")) else {
            return Ok(Resolution::none());
        };
        let (word, argument) = order.split_once(':').unwrap_or((order, ""));
        match word {
            "ok" => Ok(Resolution::of(Candidate::file("https://files.example.org/ok.pdf"))),
            "loop" => misdeeds::spin(),
            "recurse" => Ok(extra("depth", misdeeds::recurse(0))),
            "alloc" => misdeeds::allocate(),
            "trap" => std::process::abort(),
            "panic" => misdeeds::panic(),
            "log-flood" => misdeeds::flood(host),
            "garbage" => Ok(misdeeds::garbage()),
            "many" => Ok(misdeeds::many(argument.parse().unwrap_or(100_000))),
            "propose" => Ok(Resolution::of([misdeeds::candidate(&decoded(argument))])),
            "count" => Ok(extra("calls", misdeeds::count())),
            "hoard" => Ok(extra("hoard", misdeeds::hoard(argument.parse().unwrap_or(1)))),
            "busy" => Ok(extra("busy", misdeeds::busy(host, argument.parse().unwrap_or(1)))),
            "big" => Ok(extra("big", "x".repeat(100_000_000))),
            "discover" => Ok(discover()),
            "fail-retry" => Err(Failure::retry("ordered", "failed as ordered")),
            "fail-give-up" => Err(Failure::give_up("ordered", "failed as ordered")),
            "fail-limited" => Err(Failure::rate_limited(argument.parse().ok(), "limited as ordered")),
            "fetch" => report(host.send(&get(argument))),
            "requests" => {
                requests(argument, |request, count| (0..count).map(|_| host.send(&request)).collect())
            }
            "requests-at-once" => requests(argument, |request, count| host.send_all(&vec![request; count])),
            "setting" => {
                Ok(host.setting(argument).map_or(Resolution::none(), |value| extra("setting", value)))
            }
            "clock" => Ok(extra("now-ms", host.now_ms())),
            _ => Ok(Resolution::none()),
        }
    }
}

/// An answer is told in `extra`: `status`, `url`, `body-length`. An error becomes a failure that is given up; its
/// code is the error's name in the WIT package.
fn report(outcome: Result<Response, HttpError>) -> Result<Resolution, Failure> {
    let (code, message) = match outcome {
        Ok(response) => {
            let mut resolution = extra("status", response.status);
            resolution.extra.push(field("url", response.url));
            resolution.extra.push(field("body-length", response.body.len()));
            return Ok(resolution);
        }
        Err(HttpError::Denied(rule)) => ("denied", rule),
        Err(HttpError::Timeout) => ("timeout", String::new()),
        Err(HttpError::TooLarge(limit)) => ("too-large", limit.to_string()),
        Err(HttpError::RateLimited(after)) => {
            ("rate-limited", after.map_or(String::new(), |ms| ms.to_string()))
        }
        Err(HttpError::Transport(cause)) => ("transport", cause),
    };
    Err(Failure::give_up(code, message))
}

/// Reports the first error, or the last answer.
fn requests(
    argument: &str,
    send: impl FnOnce(Request, usize) -> Vec<Result<Response, HttpError>>,
) -> Result<Resolution, Failure> {
    let Some((count, url)) = argument.split_once(':') else { return Ok(Resolution::none()) };
    let outcomes = send(get(url), count.parse().unwrap_or(0));
    outcomes.into_iter().try_fold(Resolution::none(), |_, outcome| report(outcome))
}

/// The URL may be percent-encoded as a whole, because a DOI goes through the host's hands first.
fn get(url: &str) -> Request {
    Request { url: decoded(url), ..Request::get(&Url::new("")) }
}

fn decoded(url: &str) -> String {
    percent_decode_str(url).decode_utf8_lossy().into_owned()
}

fn discover() -> Resolution {
    let found = [
        ("pmid", "12345"),
        ("arxiv", "2104.12255v1"),
        ("no-such-scheme", "anything"),
        ("doi", "this is no DOI"),
        ("pmid", "-1"),
        ("", ""),
    ];
    let discovered = found.map(|(scheme, value)| Identifier::new(scheme, value)).to_vec();
    Resolution { discovered, ..Resolution::none() }
}

fn extra(key: &str, value: impl ToString) -> Resolution {
    Resolution { extra: vec![field(key, value)], ..Resolution::none() }
}

fn field(key: &str, value: impl ToString) -> Field {
    Field { key: key.to_owned(), value: value.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gleaner_sdk::testing::{FakeHost, query};

    const URL: &str = "https://files.example.org/x";

    fn resolve(order: &str, host: &FakeHost) -> Result<Resolution, Failure> {
        Hostile::resolve(&query(&[("doi", &format!("10.5555/{order}"))]), host)
    }

    #[test]
    fn an_unknown_word_is_answered_without_candidates() {
        assert_eq!(resolve("anything", &FakeHost::new()), Ok(Resolution::none()));
        assert_eq!(resolve("ok", &FakeHost::new()).unwrap().candidates.len(), 1);
    }

    #[test]
    fn a_fetch_reports_the_answer_or_the_error() {
        let host = FakeHost::new().answer(URL, 204, "body");
        let resolution = resolve("fetch:https%3A%2F%2Ffiles.example.org%2Fx", &host).unwrap();
        let fields = [field("status", 204), field("url", ""), field("body-length", 4)];
        assert_eq!(resolution.extra, fields);
        let failure = resolve("fetch:https://other.example.org/", &host).unwrap_err();
        assert_eq!(failure.code, "denied");
    }

    #[test]
    fn requests_are_sent_as_often_as_ordered() {
        for word in ["requests", "requests-at-once"] {
            let host = FakeHost::new().answer(URL, 200, "");
            assert_eq!(resolve(&format!("{word}:3:{URL}"), &host).unwrap().extra[0], field("status", 200));
            assert_eq!(host.sent().len(), 3);
        }
    }

    #[test]
    fn settings_and_the_time_are_passed_on() {
        let host = FakeHost::new().set("contact", "someone@example.org");
        assert_eq!(
            resolve("setting:contact", &host).unwrap().extra,
            [field("setting", "someone@example.org")]
        );
        assert_eq!(resolve("clock", &host).unwrap().extra, [field("now-ms", host.now_ms())]);
    }

    #[test]
    fn garbage_is_garbage_and_many_are_many() {
        let host = FakeHost::new();
        assert!(resolve("garbage", &host).unwrap().candidates.len() > 5);
        assert_eq!(resolve("many", &host).unwrap().candidates.len(), 100_000);
        assert_eq!(resolve("many:7", &host).unwrap().candidates.len(), 7);
        assert_eq!(resolve("propose:file%3a%2f%2f%2fx", &host).unwrap().candidates[0].url, "file:///x");
    }
}
